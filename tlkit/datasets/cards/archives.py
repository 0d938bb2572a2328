"""What hospitals keep: DICOM archives that nobody gives out."""

from tlkit.datasets.cards.card import DataCard

RADNET = DataCard(
    name="radnet",
    title="RadNet: CT series of one hospital, labelled by body region",
    domain="CT",
    task="multiclass",
    layout="ct_series",
    folder="radnet",
    licence="private (patients' data); nothing may be shared",
    source="University Medicine Essen; described in the paper below, section 2.1.1",
    citation="Jonske et al. Why does my medical AI look at pictures of birds? CMPB 261, 108634 (2025).",
    access=(
        "RadNet is not given out. Put your own CT archive in its place: any tree of DICOM files, any names, "
        "uncompressed, RLE, JPEG of any kind, JPEG-LS or JPEG 2000. Notebook 02_radnet_from_dicom goes through it.",
        "Keep BodyPartExamined (0018,0015): it is the label; and PatientID, which keeps patients in one split.",
        "Nothing that is written holds a name, a UID or a true date (PS3.15 basic profile, see "
        "tlkit/datasets/deidentify.py). The key of the pseudonyms is runs/private/deidentify.key: keep it with the "
        "runs, pass it to nobody.",
    ),
    tree="""
radnet/
  **/*                          DICOM files of CT series; recognised by content, not by name
""",
    counts={"series": 90_663, "slices": 12_034_617, "classes": 7},
    classes=("head/neck", "thorax", "abdomen", "extremities", "pelvis/hip", "spine", "other"),
    # derived: slices that were changed after the scan, packed with loss for instance, count as well
    options={"min_slices": 30, "min_coverage": 0.25, "derived": False},
    phantom="radnet",
)

RADIOLOGYNET = DataCard(
    name="radiologynet",
    title="RadiologyNET: the archive of one hospital, MR, CT, CR, XA and RF, with reports",
    domain="MR, CT, CR, XA, RF",
    task="multiclass",
    layout="multimodal",
    folder="radiologynet",
    licence="private (patients' data); nothing may be shared",
    source="Clinical Hospital Centre Rijeka, 2008 to 2017; described in the paper below",
    citation="The RadiologyNET transfer learning study. Sci Rep (2025), doi 10.1038/s41598-025-05009-w.",
    access=(
        "The archive is not given out; its authors publish weights that were trained on it (radiologynet.riteh.hr). "
        "Put your own archive in its place: any tree of DICOM files, any names, as they come from a PACS.",
        "Add reports.csv (UTF-8) with the columns exam (StudyInstanceUID or AccessionNumber) and text: pseudo-labels "
        "are made of texts, tags and images. Notebook 03_pseudo_labels goes through it.",
        "Keep WindowCenter and WindowWidth: an image without a window is left out, unless `percentiles: [0.5, 99.5]` "
        "among the data set's options takes it from the grey values. `modalities` admits DX, MG, US, PT and NM, too. "
        "Keep PatientID, which keeps patients in one split.",
        "Nothing that is written holds a name, a UID, or a word of a report or description (PS3.15 basic profile, see "
        "tlkit/datasets/deidentify.py). The key of the pseudonyms is runs/private/deidentify.key: keep it with the "
        "runs, pass it to nobody.",
    ),
    tree="""
radiologynet/
  **/*                          DICOM files; recognised by content, not by name
  reports.csv                   exam,text
""",
    counts={
        "files": 1_337_926,
        "images": 1_902_414,
        "CT": 1_022_167,
        "classes": 5,
    },  # CT: 53.73 %; of others no share is given
    classes=("MR", "CT", "CR", "XA", "RF"),
    # polarity: by PhotometricInterpretation, or the "published" rule, which inverts any CR that does not say IDENTITY;
    # percentiles: of a frame's grey values as its window where the header has none (None: left out)
    options={"modalities": ("MR", "CT", "CR", "XA", "RF"), "polarity": "photometric", "percentiles": None},
    phantom="hospital",
)
