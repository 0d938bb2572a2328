"""A recipe: all that decides a run besides data and weights."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from tlkit.config import ConfigError, UnknownNameError, lookup, nearest
from tlkit.models.heads import FREEZING
from tlkit.models.unet import DECODERS
from tlkit.training.augment import AUGMENTS, Augment
from tlkit.training.optim import OPTIMIZERS, SCHEDULES


@dataclass(frozen=True)
class Normalise:
    """What becomes of an image in [0,1]: a mean is taken off each channel, and the rest divided by a deviation."""

    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    channels: str = "RGB"  # as stored | grey: the luminance three times

    def __post_init__(self) -> None:
        lookup(self.channels, {"RGB": None, "grey": None}, "channels of normalise")


CARD = "card"  # as the weights that a run starts from were made: a study resolves it (`StudyRuns.card_recipe`)
NORMALISE = {
    "none": Normalise(),
    "imagenet": Normalise((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": Normalise((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    CARD: None,
}

CHOICES = {
    "optimizer": OPTIMIZERS, "schedule": SCHEDULES, "select": ("best", "last"), "freeze": FREEZING,
    "bn": (None, "train", "frozen", "adapt"), "intensity": ("range", "minmax"),
    "precision": ("float32", "bfloat16", "float16"), "projection": ("clean", "published"),
    "normalise": NORMALISE, "sampling": ("all", "oversample"), "loss": ("cross_entropy", "dice"), "decoder": DECODERS,
}  # fmt: skip
LIMITS = {  # what a study file may say of a field
    "epochs": {"ge": 1}, "batch": {"ge": 1}, "lr": {"gt": 0}, "weight_decay": {"ge": 0}, "decay": {"gt": 0, "le": 1},
    "warmup": {"ge": 0}, "patience": {"ge": 0}, "temperature": {"gt": 0}, "negatives": {"ge": 0}, "crop": {"ge": 0},
}  # fmt: skip

ONE_CLASS = ("classification", "multiclass", "binary")  # an image is of one class
TASK_KINDS = ("multiclass", "binary", "multilabel", "regression", "segmentation")
READ_BY = {  # methods of pretraining and kinds of task that read a field; what is not here is read by all of them
    "temperature": ("contrastive",), "negatives": ("contrastive",), "projection": ("contrastive",),
    "augment": ("contrastive", "classification", *TASK_KINDS),
    "normalise": ("contrastive", "classification", *TASK_KINDS),  # a sigmoid paints images in [0,1]
    "patience": ("classification", "reconstruction", *TASK_KINDS),
    "monitor": ("classification", "reconstruction", *TASK_KINDS),
    "sampling": (*ONE_CLASS, "reconstruction"),
    "class_weights": (*ONE_CLASS, "multilabel", "segmentation"),
    "head_bias": (*ONE_CLASS, "multilabel"),
    "freeze": TASK_KINDS, "bn": TASK_KINDS, "loss": ("segmentation",), "decoder": ("segmentation",),
}  # fmt: skip
LATER = {"head_bias": True, "crop": 0, "group": 0, "checkpointing": False}  # of fields that came when there were runs
VERSIONS = {  # of code that gave other numbers before: a part of the id of the runs that go through it, and of no other
    "colour": 2,  # jitter step by step in a drawn order, hue in HSV; before: one matrix, cut once
    "heads": 2,  # in float32 under mixed precision; before: in half
}
DEFAULT_TEXT = {"augment": "none", "class_weights": "null", "bn": "null", "monitor": '""'}  # as a study file says it


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
    normalise: str | Normalise = "none"  # a key of NORMALISE, or what a card says; after augmentation
    sampling: str = "all"  # all | oversample: every class as often as the largest in each epoch; see READ_BY
    loss: str = "cross_entropy"  # of segmentation: cross_entropy | dice (radiologynet2025 2.5)
    decoder: str = "unet"  # of segmentation: a key of unet.DECODERS
    head_bias: bool = True  # of classes and labels: the linear head has a bias; False as published by Jonske et al.
    precision: str = "float32"  # float32 | bfloat16 | float16 (mixed precision)
    sync_batchnorm: bool = True  # several processes: statistics of the whole batch; False: of each one's part
    class_weights: tuple[float, ...] | None = None  # of the cross-entropy
    temperature: float = 0.5  # NT-Xent
    negatives: int = 0  # images that share negatives; 0 = the whole batch, 512 = one published GPU
    projection: str = "clean"  # projection head of SimCLR: clean | published
    group: int = 0  # images of a step that share BatchNorm statistics, as on a GPU of its own; 0: a process's part
    checkpointing: bool = False  # activations are computed again for the gradient: less memory, a third more time
    crop: int = 0  # px of the window of a stored image that is seen: random in training, else the middle; 0: all of it

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            if name == "normalise" and isinstance(self.normalise, Normalise):
                continue
            if getattr(self, name) not in allowed:
                lookup(getattr(self, name), dict.fromkeys(allowed), f"recipe.{name}")
        for name in ("epochs", "batch"):
            if getattr(self, name) < 1:
                raise ConfigError(f"recipe.{name}: expected 1 or more, found {getattr(self, name)}")

        if self.group < 0:
            raise ConfigError(f"recipe.group: expected images, or 0 for all of a process, found {self.group}")
        if self.patience and self.select != "best":
            raise ConfigError("recipe.patience stops at the best epoch, so it needs recipe.select = 'best'")

    def check_read(self, way: str) -> None:
        """Raise ConfigError for fields that say something and that `way` would not read.

        `way`: a method of pretraining, or a kind of task.
        """
        unread = [name for name, ways in READ_BY.items() if way not in ways]
        if self.schedule != "exponential":
            unread.append("decay")
        if way == "segmentation" and self.loss == "dice":
            unread.append("class_weights")
        defaults = {f.name: Augment() if f.name == "augment" else f.default for f in fields(self)}
        if said := [name for name in unread if getattr(self, name) != defaults[name]]:
            wanted = ", ".join(f"{name}: {DEFAULT_TEXT.get(name, defaults[name])}" for name in said)
            raise ConfigError(f"{way} does not read recipe.{', recipe.'.join(said)} as it is here; say {wanted}.")
        if way == "contrastive" and self.schedule == "plateau":
            raise ConfigError("contrastive has no validation value, so there is no plateau; say another schedule.")
        if way == "reconstruction" and self.monitor not in ("", "mse"):
            raise ConfigError(f"reconstruction selects on mse; recipe.monitor is '{self.monitor}'.")

    @property
    def normalisation(self) -> Normalise:
        """What `normalise` means. Raises ConfigError for "card", which has to be resolved before."""
        if self.normalise == CARD:
            raise ConfigError(
                "recipe.normalise is 'card', and nothing says which: a task of a study takes it from its pretraining. "
                f"Elsewhere take one of {', '.join(n for n in NORMALISE if n != CARD)}."
            )
        return self.normalise if isinstance(self.normalise, Normalise) else NORMALISE[self.normalise]

    def versions(self) -> dict[str, int]:
        """Return those of VERSIONS whose code this recipe goes through."""
        used = {"colour": self.augment.p_colour > 0, "heads": self.precision != "float32"}
        return {name: number for name, number in VERSIONS.items() if used[name]}

    def check_versions(self, said: dict[str, int]) -> None:
        """Raise ConfigError where a config was made for other code, which gave its run other numbers."""
        if said != self.versions():
            raise ConfigError(
                f"recipe.versions: expected {self.versions()}, found {said}: the config is of another version of "
                "tlkit. Load the study again; its runs get new ids."
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, and `versions` where there are any; fields of LATER only where they say something else.

        So a run keeps the id that it had before there was such a field.
        """
        said = {k: v for k, v in vars(self).items() if not (k in LATER and v == LATER[k])}
        said |= {k: dict(vars(v)) for k, v in said.items() if isinstance(v, Augment | Normalise)}
        versions = self.versions()
        return said | ({"versions": versions} if versions else {})

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """Build from a config's dict; lists become tuples; unknown fields raise UnknownNameError.

        `versions` are left out: old runs can be read, `check_versions` is for those that are to be made.
        """
        values = {k: v for k, v in values.items() if k != "versions"}
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
            for name in look:
                lookup(name, vars(Augment()), "field of an augmentation")
            look = Augment(**{k: tuple(v) if isinstance(v, list) else v for k, v in look.items()})
        how = plain.get("normalise", "none")
        if isinstance(how, dict):
            for name in how:
                lookup(name, vars(Normalise()), "field of normalise")
            how = Normalise(**{k: tuple(v) if isinstance(v, list) else v for k, v in how.items()})
        return cls(**{**plain, "augment": look, "normalise": how})
