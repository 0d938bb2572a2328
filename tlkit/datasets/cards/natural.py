"""Photographs."""

from tlkit.datasets.cards.card import DataCard

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
