"""What each data set is, where it comes from, and what to do when it is not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from tlkit import paths
from tlkit.config import TlkitError

PHANTOM_FACTS = "phantom.json"  # lies in a phantom data set and says how it was made; not a part of the data


@dataclass(frozen=True)
class DataCard:
    """One data set: its licence, its source, how to get it, and the tree that the reader expects.

    `folder` lies under TLKIT_DATA, `layout` is a key of `tlkit.datasets.LAYOUTS`, `options` goes to that
    layout's functions, `phantom` names the writer of its phantom twin (None: it has none).
    """

    name: str
    title: str
    domain: str  # natural | CT | MR | CR | XA | RF
    task: str  # multiclass | multilabel | segmentation | none
    layout: str
    folder: str
    licence: str
    source: str
    citation: str
    access: tuple[str, ...]
    tree: str
    counts: dict[str, int] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    phantom: str | None = None


class MissingDataError(TlkitError, FileNotFoundError):
    """A data set is not where it should be; says what was expected, what is there, and how to get it."""

    def __init__(self, card: DataCard, root: Path | None):
        self.card, self.root = card, root
        steps = "\n".join(f"  {i}. {step}" for i, step in enumerate(card.access, 1))
        super().__init__(
            f"{card.title} ('{card.name}') is missing.\n"
            f"Expected, under TLKIT_DATA:\n{_indent(card.tree)}\n"
            f"Found: {_found(card, root)}\n"
            f"To get it:\n{steps}\n"
            f"  {len(card.access) + 1}. Set TLKIT_DATA to the folder that holds '{card.folder}/'.\n"
            f"`python -m tlkit data` lists every data set and whether it is present."
        )


class UnreadableFile(TlkitError):
    """One file that cannot be decoded; the text is the reason that goes to the rejects table."""


def present(card: DataCard, root: Path | None) -> bool:
    """Tell whether `root/<folder of the card>` exists and holds anything but hidden files."""
    folder = root / card.folder if root else None
    return bool(folder and folder.is_dir() and next(visible(folder), None))


def where(card: DataCard) -> Path:
    """Return the folder of the real data set under TLKIT_DATA; raise MissingDataError if it is not there."""
    root = paths.data_root()
    if root is None or not present(card, root):
        raise MissingDataError(card, root)
    return root / card.folder


def overview() -> pd.DataFrame:
    """Return one row a data set: what it is, its licence, how to get it, and whether it is present."""
    root = paths.data_root()
    rows = [
        {
            "name": card.name,
            "domain": card.domain,
            "task": card.task,
            "present": "yes" if present(card, root) else "no",
            "phantom": "yes" if card.phantom else "no",
            "licence": card.licence,
            "source": card.source,
        }
        for card in DATASETS.values()
    ]
    return pd.DataFrame(rows)


def visible(folder: Path) -> Iterator[Path]:
    """Yield the entries of `folder` whose names do not start with a dot."""
    return (p for p in folder.iterdir() if not p.name.startswith("."))


def visible_files(root: Path) -> list[Path]:
    """Return the data's files below `root`, sorted: no hidden ones, none in hidden folders."""
    files = []
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = [f for f in folders if not f.startswith(".")]
        files += [Path(folder, n) for n in names if not n.startswith(".") and n != PHANTOM_FACTS]
    return sorted(files)


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip("\n").splitlines())


def _found(card: DataCard, root: Path | None, most: int = 8) -> str:
    if root is None:
        return "TLKIT_DATA is not set."
    if not root.is_dir():
        return f"TLKIT_DATA is {root}, which is no folder."
    folder = root / card.folder
    place = folder if folder.is_dir() else root
    names = sorted(p.name + ("/" if p.is_dir() else "") for p in islice(visible(place), 1000))
    more = f" ... ({len(names)} entries)" if len(names) > most else ""
    missing = "" if place is folder else f"no '{card.folder}/'; "
    return f"{missing}{place} holds {', '.join(names[:most]) or 'nothing'}{more}"


IMAGENET = DataCard(
    name="imagenet",
    title="ImageNet-1k (ILSVRC 2012)",
    domain="natural",
    task="multiclass",
    layout="imagenet",
    folder="imagenet-1k",
    licence="ImageNet terms of access: non-commercial research and education only; no redistribution",
    source="https://www.image-net.org/challenges/LSVRC/2012/",
    citation="Russakovsky et al. ImageNet Large Scale Visual Recognition Challenge. IJCV 115 (2015).",
    access=(
        "Log in at image-net.org with an institutional address and accept the terms, or log in at Kaggle and "
        "join 'imagenet-object-localization-challenge'.",
        "Download (image-net.org: ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar; Kaggle: one archive of "
        "about 155 GB that also holds both LOC_*.csv/txt files).",
        "Unpack; each class of the training part is one folder named by its WordNet id.",
    ),
    tree="""
imagenet-1k/
  LOC_synset_mapping.txt        "n01440764 tench, Tinca tinca": the order of the classes
  LOC_val_solution.csv          ImageId,PredictionString (not needed where val/ has class folders)
  train/<wnid>/*.JPEG
  val/*.JPEG  or  val/<wnid>/*.JPEG
(the tree of the Kaggle archive, with ILSVRC/Data/CLS-LOC/{train,val}, is read as well)
""",
    counts={"train": 1_281_167, "val": 25_000, "test": 25_000, "classes": 1000},
    options={"halve": "val"},
    phantom="imagenet",
)

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
        "uncompressed, RLE, JPEG lossless, JPEG-LS or JPEG 2000. Notebook 02_radnet_from_dicom goes through it.",
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
    options={"min_slices": 30, "min_coverage": 0.25},
    phantom="radnet",
)

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
)

BRATS = DataCard(
    name="brats",
    title="BraTS 2020: gliomas in brain MR",
    domain="MR",
    task="segmentation",
    layout="brats",
    folder="brats",
    licence="free for research after registration, with citation; see the terms at the source",
    source="https://www.med.upenn.edu/cbica/brats2020/data.html",
    citation="Menze et al. The Multimodal Brain Tumor Image Segmentation Benchmark (BRATS). IEEE TMI 34 (2015); "
    "Bakas et al. Advancing TCGA glioma MRI collections. Sci Data 4, 170117 (2017); Bakas et al. arXiv:1811.02629.",
    access=(
        "Register at the CBICA image processing portal (link above) and download the training data of 2020, or the "
        "same files from Kaggle ('awsaf49/brats20-dataset-training-validation'; about 35 GB unpacked).",
        "Unpack; folders above the patients may stay. The validation part has no segmentations and is not used.",
    ),
    tree="""
brats/
  **/BraTS20_Training_<nnn>/    nnn = 001 ... 369; all volumes 240 x 240 x 155, skull taken off
    BraTS20_Training_<nnn>_{t1,t1ce,t2,flair}.nii[.gz]
    BraTS20_Training_<nnn>_seg.nii[.gz]    0 background, 1 NCR/NET, 2 ED, 4 ET
                                           (of patient 355 also W39_1998.09.19_Segm.nii)
""",
    counts={"patients": 369},
    classes=("background", "NCR/NET", "ED", "ET"),  # mask values 0 to 3; the files write 4 for ET
    options={
        "channels": ("t1", "t1ce", "flair"),  # one or three of t1, t1ce, t2, flair; these as published
        "scale": "channel",  # or "patient": one factor for all channels
        "only_tumour": True,
        "window": (2000.0, 4000.0),  # centre and width that recipe.window needs: 0 to brats.FULL
        "mask_columns": {"ncr_px": 1, "ed_px": 2, "et_px": 3},
        "regions": {  # dice_1, dice_2, dice_3
            "enhancing tumour": ("ET",),
            "whole tumour": ("NCR/NET", "ED", "ET"),
            "tumour core": ("NCR/NET", "ET"),
        },
    },
    phantom="brats",
)

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

BRAIN_TUMOR_MRI = DataCard(
    name="brain-tumor-mri",
    title="Brain Tumor MRI: glioma, meningioma, pituitary tumour or none",
    domain="MR",
    task="multiclass",
    layout="class_folders",
    folder="brain-tumor-mri",
    licence="CC0 by the collection's page (check it); the part of Bhuvaji et al.: MIT by its page",
    source="https://www.kaggle.com/datasets/masoudnickparvar/brain-tumor-mri-dataset",
    citation="Nickparvar. Brain Tumor MRI Dataset. Kaggle (2021), doi:10.34740/kaggle/dsv/2645886; one part "
    "is Bhuvaji et al. Brain Tumor Classification (MRI). Kaggle (2020).",
    access=(
        "Log in at Kaggle and download 'masoudnickparvar/brain-tumor-mri-dataset' (7,023 images; the part of "
        "Bhuvaji et al. alone, 'sartajbhuvaji/brain-tumor-classification-mri', has 3,264).",
        "Unpack. In the part of Bhuvaji et al. rename the class folders to the names below.",
    ),
    tree="""
brain-tumor-mri/
  Training/{glioma,meningioma,notumor,pituitary}/*.jpg
  Testing/{glioma,meningioma,notumor,pituitary}/*.jpg
(patients are not named: every image counts as a patient of its own)
""",
    counts={"images": 7_023, "images (part of Bhuvaji et al.)": 3_264, "classes": 4},
    classes=("glioma", "meningioma", "notumor", "pituitary"),
    options={"channels": 1},
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

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
NATURAL_IMAGES = DataCard(
    name="natural-images",
    title="CIFAR-10 as JPEG files: 32 px photographs of ten classes",
    domain="natural",
    task="multiclass",
    layout="class_folders",
    folder="natural-images",
    licence="none stated; free for research with citation",
    source="https://www.cs.toronto.edu/~kriz/cifar.html",
    citation="Krizhevsky. Learning multiple layers of features from tiny images. Technical report (2009).",
    access=(
        "Download the Python version of CIFAR-10 (170 MB, no login) and write its images as JPEG files into "
        "the folders below; 8,000 + 1,000 of them suffice for the small studies.",
    ),
    tree="""
natural-images/
  train/<class>/*.jpg
  val/<class>/*.jpg             used as the test set
""",
    counts={"train": 8_000, "test": 1_000, "classes": 10},
    classes=CIFAR10,
    options={"splits": {"val": "test"}},
)

DATASETS: dict[str, DataCard] = {
    card.name: card
    for card in (IMAGENET, RADNET, LITS, LITS_PNG, BRATS, CHESTXRAY, BRAIN_TUMOR_MRI, COVID_CT, NATURAL_IMAGES)
}
