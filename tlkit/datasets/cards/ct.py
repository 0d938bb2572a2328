"""Computed tomography."""

from tlkit.datasets.cards.card import DataCard

LITS = DataCard(
    name="lits",
    title="LiTS 2017: liver and liver lesions in abdominal CT",
    domain="CT",
    task="segmentation",
    layout="lits",
    folder="lits",
    licence="CC BY-NC-SA 4.0",
    source="https://competitions.codalab.org/competitions/17094",
    citation="Bilic et al. The Liver Tumor Segmentation Benchmark (LiTS). Med Image Anal 84 (2023).",
    access=(
        "Register for the challenge at CodaLab (link above) and follow 'Get data', or fetch the same "
        "training batches from academictorrents.com (search for LiTS); about 50 GB unpacked.",
        "Unpack 'Training Batch 1' and 'Training Batch 2'; sub-folders may stay. The test volumes have no "
        "masks and are not used.",
    ),
    tree="""
lits/
  **/volume-<n>.nii[.gz]        n = 0 ... 130, HU
  **/segmentation-<n>.nii[.gz]  0 background, 1 liver, 2 lesion
""",
    counts={"volumes": 131},
    classes=("background", "liver", "lesion"),
    options={"only_liver": False, "mask_columns": {"liver_px": 1, "lesion_px": 2}},
    phantom="lits",
)

LITS_PNG = DataCard(
    name="lits-png",
    title="LiTS 2017 as PNG slices, the export that the study used",
    domain="CT",
    task="segmentation",
    layout="lits_png",
    folder="lits-png",
    licence="CC BY-NC-SA 4.0",
    source="https://www.kaggle.com/datasets/andrewmvd/lits-png",
    citation="Bilic et al. The Liver Tumor Segmentation Benchmark (LiTS). Med Image Anal 84 (2023).",
    access=(
        "Log in at Kaggle and download 'andrewmvd/lits-png'.",
        "Unpack; sub-folders may stay. The grey values are 8 bits of a window of the export's choice, not HU.",
    ),
    tree="""
lits-png/
  **/volume-<v>_<s>.png                     v the volume, s the slice
  **/segmentation-<v>_livermask_<s>.png     above 0 in the liver
  **/segmentation-<v>_lesionmask_<s>.png    above 0 in lesions
""",
    counts={"volumes": 131},
    classes=("background", "liver", "lesion"),
    options={"channels": 1, "only_liver": False, "mask_columns": {"liver_px": 1, "lesion_px": 2}},
    phantom="lits_png",
)

LUNA16 = DataCard(
    name="luna16",
    title="LUNA16: lung nodules of 3 mm and more in chest CT",
    domain="CT",
    task="segmentation",
    layout="luna16",
    folder="luna16",
    licence="CC BY 4.0 (LUNA16); its scans are LIDC-IDRI, CC BY 3.0",
    source="https://luna16.grand-challenge.org/",
    citation="Setio et al. Validation, comparison, and combination of algorithms for automatic detection of pulmonary "
    "nodules in CT images: the LUNA16 challenge. Med Image Anal 42 (2017); scans: Armato et al. Med Phys 38 (2011).",
    access=(
        "From the challenge's page follow 'Download' to Zenodo (records 3723295 and 4121926; no login): subset0.zip to "
        "subset9.zip, about 120 GB unpacked, and annotations.csv. Some subsets suffice for a smaller study.",
        "Unpack each archive; candidates, the evaluation script and the lung masks may lie beside them.",
    ),
    tree="""
luna16/
  annotations.csv               seriesuid,coordX,coordY,coordZ,diameter_mm (mm)
  subset<n>/<uid>.mhd           n = 0 ... 9, HU
  subset<n>/<uid>.raw           or .zraw, compressed
(masks are not given: see mask below, in options; a series counts as a patient, since patients are not named)
""",
    counts={"series": 888, "series with nodules": 601, "nodules": 1_186},
    classes=("background", "nodule"),
    # mask: "ball" of the annotated diameter or the published "box"; crop: pixels of a slice, None for all of it;
    # split: "" is drawn by series, "published" makes every tenth series val, and no test set
    options={
        "crop": 96,
        "mask": "ball",
        "split": "",
        "window": (0.0, 2000.0),  # centre and width that recipe.window needs
        "mask_columns": {"nodule_px": 1},
    },
    phantom="luna16",
)

COVID_CT = DataCard(
    name="covid-ct",
    title="COVID-CT: chest CT figures of publications, COVID-19 or not",
    domain="CT",
    task="multiclass",
    layout="class_folders",
    folder="covid-ct",
    licence="none stated; figures cut from publications and preprints, which keep their own terms",
    source="https://github.com/UCSD-AI4H/COVID-CT",
    citation="Yang et al. COVID-CT-Dataset: a CT scan dataset about COVID-19. arXiv:2003.13865 (2020).",
    access=(
        "Clone https://github.com/UCSD-AI4H/COVID-CT and unpack both archives of Images-processed/.",
        "Sort the images into the folders below by the lists in Data-split/.",
    ),
    tree="""
covid-ct/
  {train,val,test}/{covid,noncovid}/*.{jpg,png}
(patients are not named, and its issue 11 reports one patient in all three parts)
""",
    counts={"images": 746, "classes": 2},
    classes=("covid", "noncovid"),
    options={"channels": 1},
)
