"""Recipes: all that decides a run besides data and weights. The published values are named recipes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from tlkit.config import ConfigError, UnknownNameError, lookup, nearest
from tlkit.models.heads import FREEZING
from tlkit.training.augment import AUGMENTS, Augment
from tlkit.training.optim import OPTIMIZERS, SCHEDULES

NORMALISE = {  # mean and standard deviation of the channels, taken off the image in [0,1]
    "none": None,
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}

CHOICES = {
    "optimizer": OPTIMIZERS, "schedule": SCHEDULES, "select": ("best", "last"), "freeze": FREEZING,
    "bn": (None, "train", "frozen", "adapt"), "intensity": ("range", "minmax"),
    "precision": ("auto", "float32", "bfloat16", "float16"), "projection": ("clean", "published"),
    "normalise": NORMALISE, "sampling": ("all", "oversample"), "loss": ("cross_entropy", "dice"),
}  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """How to train. Every field is part of the run id."""

    epochs: int
    batch: int  # images a step, over all processes
    optimizer: str = "adamw"  # a key of optim.OPTIMIZERS
    lr: float = 1e-3  # peak learning rate
    weight_decay: float = 1e-4
    exclude: bool = True  # no weight decay (LARS: no trust ratio) on biases and BatchNorm; False as published
    schedule: str = "cosine"  # cosine (per step) | cosine_epoch | exponential (per epoch) | constant | plateau
    decay: float = 0.97  # factor an epoch, exponential only
    warmup: float = 0.0  # epochs of linear warm-up
    patience: int = 0  # epochs without a better validation value before stopping; 0 = never
    select: str = "best"  # best validation epoch | last, as published
    monitor: str = ""  # the validation metric that selects; empty: the task's own
    freeze: str = "none"  # none = fine-tuning | encoder = linear evaluation
    bn: str | None = None  # of a frozen encoder: frozen (clean, the default) | adapt (as published); else train
    augment: Augment = field(default_factory=Augment)
    window: tuple[float, float] | None = None  # HU centre and width, CT only
    intensity: str = "range"  # range = one scale for all images | minmax = per image, as published
    normalise: str = "none"  # a key of NORMALISE, after augmentation
    sampling: str = "all"  # all | oversample: every class as often as the largest in each epoch
    loss: str = "cross_entropy"  # of segmentation: cross_entropy | dice (radiologynet 2.5)
    precision: str = "auto"  # auto | float32 | bfloat16 | float16
    class_weights: tuple[float, ...] | None = None  # of the cross-entropy
    temperature: float = 0.5  # NT-Xent
    negatives: int = 0  # images that share negatives; 0 = the whole batch, 512 = one published GPU
    projection: str = "clean"  # projection head of SimCLR: clean | published

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            lookup(getattr(self, name), dict.fromkeys(allowed), f"recipe.{name}")
        for name in ("epochs", "batch"):
            if getattr(self, name) < 1:
                raise ConfigError(f"recipe.{name}: expected 1 or more, found {getattr(self, name)}")

        if self.patience and self.select != "best":
            raise ConfigError("recipe.patience stops at the best epoch, so it needs recipe.select = 'best'")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """Build from a config's dict; lists become tuples; unknown fields raise UnknownNameError."""
        known = {f.name for f in fields(cls)}
        for name in set(values) - known:
            raise UnknownNameError(
                f"unknown recipe field '{name}'.{nearest(name, known)} Allowed: {', '.join(sorted(known))}."
            )
        if missing := {"epochs", "batch"} - set(values):
            raise ConfigError(f"a recipe lacks {', '.join(sorted(missing))}; found {', '.join(values)}.")
        plain = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        look = plain.get("augment", Augment())
        if isinstance(look, str):
            look = lookup(look, AUGMENTS, "augmentation")
        if isinstance(look, dict):
            look = Augment(**{k: tuple(v) if isinstance(v, list) else v for k, v in look.items()})
        return cls(**{**plain, "augment": look})


CHEST_WEIGHTS = (1, 1, 1, 0.001, *11 * (1,))  # the fourth of the 15 published outputs is "No Finding"
SOFT_TISSUE = (40.0, 400.0)  # HU centre and width of the usual abdominal window
WIDE = (0.0, 2000.0)  # HU: lung, soft tissue and most bone at once, for mixed body regions

_published = {
    "augment": AUGMENTS["finetune_published"],
    "select": "last",
    "schedule": "exponential",
    "intensity": "minmax",
    "exclude": False,
}
_published_seg = {**_published, "augment": AUGMENTS["segmentation_published"], "epochs": 50, "batch": 128}
# The complexity ladder of ImageNet and RadNet, by the size of the training set: of 130,000 images, of at most 13,000.
_large = Recipe(epochs=100, batch=1024, optimizer="lars", lr=2.4, weight_decay=1e-6, **_published)
_small = Recipe(epochs=100, batch=256, lr=1e-4, weight_decay=1e-6, **_published)
_chest = Recipe(epochs=50, batch=128, lr=5e-4, weight_decay=1e-6, class_weights=CHEST_WEIGHTS, **_published)
_liver = Recipe(lr=2e-4, weight_decay=1e-6, class_weights=(1, 3, 10), **_published_seg)
_brain = Recipe(
    lr=1e-3,
    weight_decay=1e-5,
    decay=0.95,
    class_weights=(1, 5, 5, 5),
    **{**_published_seg, "augment": replace(AUGMENTS["segmentation_published"], p_colour=0.0)},
)

RECIPES: dict[str, Recipe] = {
    # Ours: the clean way, small enough for a laptop; studies override epochs, batch and learning rate.
    "simclr": Recipe(epochs=20, batch=128, lr=2e-3, augment=AUGMENTS["simclr"], warmup=1, select="last", window=WIDE),
    "finetune": Recipe(epochs=10, batch=32, lr=1e-3, augment=AUGMENTS["finetune"], window=WIDE),
    "segment": Recipe(
        epochs=10,
        batch=16,
        lr=2e-3,
        augment=AUGMENTS["segmentation"],
        window=SOFT_TISSUE,
        class_weights=(1, 3, 10),
    ),
    # Jonske et al. 2025, spec 1.1: pretraining of all three corpora.
    "simclr_published": Recipe(
        epochs=100,
        batch=4096,
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
        window=None,
    ),
    # spec 2.2 and 2.3: fine-tuning by task; the epochs are the same however few the images.
    "I1k_published": replace(_large, batch=4096, lr=4.8),
    **dict.fromkeys(("I1kS_published", "I100_published"), _large),
    **{f"{name}_published": _small for name in ("I1kXS", "I100S", "I100XS", "I10", "I10S", "RXS", "RXXS")},
    "I10XS_published": replace(_small, batch=64),
    "R_published": replace(_large, batch=4096, lr=0.01, weight_decay=1e-4),
    "RS_published": replace(_large, lr=0.005, weight_decay=1e-5),
    "CX8_published": _chest,  # the next three on parts of their data, too
    "LiTS_published": _liver,
    "BraTS_published": _brain,
}


def recipe(name: str, **changes: Any) -> Recipe:
    """Return the named recipe with some fields changed.

    Example: `recipe("finetune", epochs=5, bn="frozen", freeze="encoder")`
    Raises: UnknownNameError for an unknown recipe or field, with the nearest allowed name.
    """
    base = lookup(name, RECIPES, "recipe")
    return Recipe.from_dict({**{f.name: getattr(base, f.name) for f in fields(base)}, **changes})


def linear_evaluation(base: Recipe, bn: str = "frozen") -> Recipe:
    """Return `base` with the encoder frozen; `bn="adapt"` is what the published code did (spec 3.3)."""
    return replace(base, freeze="encoder", bn=bn)
