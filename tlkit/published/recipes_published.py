"""The recipes of both studies, with their published values; a study file names them as it names ours."""

from __future__ import annotations

from dataclasses import replace

from tlkit.training.augment import AUGMENTS
from tlkit.training.recipe import Recipe
from tlkit.training.recipes import WIDE

# `group` of the recipes of Jonske et al.: the images of one of their eight GPUs.
CHEST_WEIGHTS = (1, 1, 1, 0.001, *11 * (1,))  # the fourth of the 15 published outputs is "No Finding"
_published = {
    "augment": AUGMENTS["finetune_published"],
    "select": "last",
    "schedule": "exponential",
    "intensity": "minmax",
    "exclude": False,
    "precision": "bfloat16",  # published: float16, whose range needs a loss scaler
    "sync_batchnorm": False,  # asked for, but not at work (jonske2025 0.4)
}
_published_classes = {**_published, "head_bias": False}
_published_seg = {**_published, "augment": AUGMENTS["segmentation_published"], "epochs": 50, "batch": 128, "group": 16}
# The complexity ladder of ImageNet and RadNet, by the size of the training set: of 130,000 images, of at most 13,000.
_large = Recipe(epochs=100, batch=1024, group=128, optimizer="lars", lr=2.4, weight_decay=1e-6, **_published_classes)
_small = Recipe(epochs=100, batch=256, group=32, lr=1e-4, weight_decay=1e-6, **_published_classes)
_chest = Recipe(
    epochs=50, batch=128, group=16, lr=5e-4, weight_decay=1e-6, class_weights=CHEST_WEIGHTS, **_published_classes
)
_liver = Recipe(lr=2e-4, weight_decay=1e-6, class_weights=(1, 3, 10), **_published_seg)
_brain = Recipe(
    lr=1e-3,
    weight_decay=1e-5,
    decay=0.95,
    class_weights=(1, 5, 5, 5),
    **{**_published_seg, "augment": replace(AUGMENTS["segmentation_published"], p_colour=0.0)},
)

RADIOLOGYNET = {  # architecture: learning rate and patience
    "resnet18": (1e-4, 2), "resnet34": (1e-4, 2), "resnet50": (1e-4, 10), "vgg16": (1e-4, 5), "densenet121": (1e-4, 10),
    "mobilenet_v3_small": (1e-4, 2), "mobilenet_v3_large": (1e-4, 2), "efficientnet_b3": (1e-4, 25),
    "efficientnet_b4": (1e-3, 25), "inception_v3": (1e-3, 10),
}  # fmt: skip
_groups = Recipe(
    epochs=500,
    batch=32,
    lr=1e-4,
    weight_decay=1e-3,
    exclude=False,
    schedule="constant",
    patience=2,
    monitor="log_loss",
    sampling="oversample",
    augment=AUGMENTS["radiology_published"],
    precision="bfloat16",  # the text does not say; mixed, so that the published batches fit one GPU
)
_downstream = replace(_groups, epochs=200, patience=10, sampling="all", normalise="imagenet")

RECIPES: dict[str, Recipe] = {
    # jonske2025 1.1: pretraining of all three corpora.
    "simclr_published": Recipe(
        epochs=100,
        batch=4096,
        group=512,
        optimizer="lars",
        lr=4.8,
        weight_decay=1e-6,
        exclude=False,
        schedule="cosine_epoch",
        augment=AUGMENTS["simclr_published"],
        select="last",
        intensity="minmax",
        negatives=512,
        projection="published",
        precision="bfloat16",
        sync_batchnorm=False,
        window=None,
    ),
    # jonske2025 2.2, 2.3: fine-tuning by task; the epochs are the same however few the images.
    "I1k_published": replace(_large, batch=4096, group=512, lr=4.8),
    **dict.fromkeys(("I1kS_published", "I100_published"), _large),
    **{f"{name}_published": _small for name in ("I1kXS", "I100S", "I100XS", "I10", "I10S", "RXS", "RXXS")},
    "I10XS_published": replace(_small, batch=64, group=8),
    "R_published": replace(_large, batch=4096, group=512, lr=0.01, weight_decay=1e-4),
    "RS_published": replace(_large, lr=0.005, weight_decay=1e-5),
    "CX8_published": _chest,  # the next three on parts of their data, too
    "LiTS_published": _liver,
    "BraTS_published": _brain,
    # radiologynet2025 1.1: pretraining on pseudo-labels; patience counts epochs, as published.
    **{
        f"{name}_radiologynet": replace(_groups, lr=lr, patience=patience)
        for name, (lr, patience) in RADIOLOGYNET.items()
    },
    "unet_radiologynet": replace(
        _groups, optimizer="adam", weight_decay=0.0, patience=2, augment=AUGMENTS["none"], monitor="mse"
    ),
    # radiologynet2025 2.0: five tasks; studies give the learning rates, from 1e-2 to 1e-5.
    "label_radiologynet": _downstream,
    "boneage_radiologynet": replace(
        _downstream, optimizer="adam", schedule="plateau", monitor="mse", augment=AUGMENTS["hand_published"]
    ),
    "nodule_radiologynet": replace(
        _downstream,
        optimizer="adam",
        loss="dice",
        class_weights=None,
        decoder="published",
        monitor="",
        augment=AUGMENTS["nodule_published"],
        window=WIDE,
        crop=64,
    ),
}
