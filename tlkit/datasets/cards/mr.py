"""Magnetic resonance."""

from tlkit.datasets.cards.card import DataCard

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
    phantom="brain_tumor",
)
