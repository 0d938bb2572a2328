"""Radiographs."""

from tlkit.datasets.cards.card import DataCard

FINDINGS = (  # in the order of the published outputs, in which "No Finding" is the fourth
    "Cardiomegaly", "Emphysema", "Effusion", "Hernia", "Infiltration", "Mass", "Nodule", "Atelectasis", "Pneumothorax",
    "Pleural_Thickening", "Pneumonia", "Fibrosis", "Edema", "Consolidation",
)  # fmt: skip

CHESTXRAY = DataCard(
    name="chestxray",
    title="ChestX-ray8/14: frontal chest radiographs with 14 findings mined from reports",
    domain="CR",
    task="multilabel",
    layout="chestxray",
    folder="chestxray",
    licence="free use with citation of the paper and acknowledgement of the NIH Clinical Center",
    source="https://nihcc.app.box.com/v/ChestXray-NIHCC",
    citation="Wang et al. ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks. CVPR (2017).",
    access=(
        "Download the twelve archives images_*.tar.gz, Data_Entry_2017_v2020.csv (or Data_Entry_2017.csv), "
        "train_val_list.txt and test_list.txt from the page above, or 'nih-chest-xrays/data' from Kaggle; no "
        "agreement is needed, about 45 GB.",
        "Unpack each archive into a folder of its own (images_001/images/*.png); one images/ for all is read as well.",
    ),
    tree="""
chestxray/
  Data_Entry_2017.csv  or  Data_Entry_2017_v2020.csv
  train_val_list.txt, test_list.txt         the official split, by patient
  images_*/images/<patient>_<nnn>.png  or  images/*.png
""",
    counts={"images": 112_120, "patients": 30_805, "train": 77_871, "train and val": 86_524, "test": 25_596},
    classes=FINDINGS,
    options={"channels": 1, "also": ("No Finding",)},  # labels that exclude all others; outputs where a study asks
    phantom="chestxray",
)

RSNA_BONE_AGE = DataCard(
    name="rsna-bone-age",
    title="RSNA Pediatric Bone Age: radiographs of left hands with bone age and sex",
    domain="CR",
    task="regression",
    layout="boneage",
    folder="rsna-bone-age",
    licence="terms of the RSNA challenge: research and education, with citation; see the source",
    source="https://www.rsna.org/rsnai/ai-image-challenge/rsna-pediatric-bone-age-challenge-2017",
    citation="Halabi et al. The RSNA Pediatric Bone Age Machine Learning Challenge. Radiology 290 (2019).",
    access=(
        "From the page above download the training set with its annotations, the validation set and the test set "
        "(about 10 GB); Kaggle's 'kmader/rsna-bone-age' has the training images alone with ages.",
        "Unpack all, also the two archives inside the validation set, and keep the names of files or folders that say "
        "training, validation or test.",
        "The test set's table is an Excel sheet: save it as CSV beside it (or install openpyxl).",
    ),
    tree="""
rsna-bone-age/                          the tables may lie anywhere below; either as given out:
  boneage-training-dataset.csv          id,boneage,male            (or train.csv)
  boneage-training-dataset/<id>.png
  Bone Age Validation Set/Validation Dataset.csv    Image ID,male,Bone Age (months)
  Bone Age Validation Set/boneage-validation-dataset-*/<id>.png
  Bone Age Test Set/Bone age ground truth.csv       Case ID,Sex,Ground truth bone age (months)
  Bone Age Test Set/Test Set Images/<id>.png
or renamed:
  TrainingSet/{train.csv,Images/<id>.png}  ValidationSet/{Valid.csv,Images/}  TestSet/{Test.csv,Images/}
(patients are not named: every image counts as a patient of its own)
""",
    counts={"images": 14_236, "train": 12_611, "val": 1_425, "test": 200},
    options={"channels": 1, "target": "boneage", "unit": "months", "inputs": ("male",), "ages": (0.0, 240.0)},
    phantom="rsna-bone-age",
)

GRAZPEDWRI = DataCard(
    name="grazpedwri",
    title="GRAZPEDWRI-DX: wrist radiographs of children, with or without osteopenia",
    domain="CR",
    task="binary",
    layout="grazped",
    folder="grazpedwri",
    licence="CC BY 4.0",
    source="https://doi.org/10.6084/m9.figshare.14825193",
    citation="Nagy et al. A pediatric wrist trauma X-ray dataset (GRAZPEDWRI-DX) for machine learning. "
    "Sci Data 9, 222 (2022).",
    access=(
        "Download images_part1.zip to images_part4.zip and dataset.csv from figshare (link above; no login). "
        "folder_structure.zip, with boxes for detection, is not needed.",
        "Unpack each archive into a folder of its own, or all into Images/.",
    ),
    tree="""
grazpedwri/
  dataset.csv                           filestem,patient_id,...,osteopenia,... (osteopenia empty: no)
  images_part*/<filestem>.png  or  Images/<filestem>.png     16 bits
""",
    counts={"images": 20_327, "patients": 6_091, "osteopenia": 2_473},
    classes=("no osteopenia", "osteopenia"),
    options={"channels": 1, "percentiles": (0.1, 99.9)},
    phantom="grazpedwri",
)

COVID_RADIOGRAPHY = DataCard(
    name="covid-radiography",
    title="COVID-19 Radiography: chest radiographs with COVID-19 or without finding",
    domain="CR",
    task="binary",
    layout="class_folders",
    folder="covid-radiography",
    licence="none of its own: the images keep the terms of the collections that they come from (see its README)",
    source="https://www.kaggle.com/datasets/tawsifurrahman/covid19-radiography-database",
    citation="Chowdhury et al. Can AI help in screening viral and COVID-19 pneumonia? IEEE Access 8 (2020); "
    "Rahman et al. Exploring the effect of image enhancement techniques on COVID-19 detection. Comput Biol Med 132 "
    "(2021).",
    access=(
        "Log in at Kaggle and download 'tawsifurrahman/covid19-radiography-database' (about 0.8 GB).",
        "Unpack and rename COVID-19_Radiography_Dataset/ to covid-radiography/.",
    ),
    tree="""
covid-radiography/
  COVID/images/COVID-<n>.png
  Normal/images/Normal-<n>.png
(Lung_Opacity/, Viral Pneumonia/, masks/ and the tables beside them are not read. Patients are not named: every image
counts as a patient of its own. The two classes come from different collections, so what tells them apart may be the
collection and not the disease.)
""",
    counts={"COVID": 3_616, "Normal": 10_192},
    classes=("Normal", "COVID"),
    options={
        "channels": 1,
        "beside": ("Lung_Opacity/*", "Viral Pneumonia/*", "*/masks/*", "*.metadata.xlsx", "README*"),
    },
    phantom="covid",
)
