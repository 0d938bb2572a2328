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
