"""What a study file may say: every key with its type, its range and what it is for, declared once.

What needs the rest of the study, such as the name of a task, is looked at in `crosscheck`.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import Annotated, Any, Literal, get_origin, get_type_hints

from pydantic import AfterValidator, Field

from tlkit import plugins
from tlkit.datasets.copies import DISTANCE, FARTHEST
from tlkit.datasets.splits import COPIES
from tlkit.declared import Keys, declare, expected, once, one_of, rising, wide
from tlkit.studies.own import OwnDataset, OwnWeights
from tlkit.studies.values import (
    Changes,
    Classes,
    Colour,
    Count,
    Dataset,
    Entries,
    Maybe,
    Name,
    Positive,
    Seed,
    Share,
    Size,
    Text,
    Two,
    Where,
    key,
    many,
)
from tlkit.training.augment import AUGMENTS, DRAWS, Augment
from tlkit.training.pretraining import METHODS
from tlkit.training.recipe import CHOICES, LIMITS, Recipe
from tlkit.training.recipes import every_recipe


class Study(Keys):
    """common, and each of scales"""

    data: Annotated[str, one_of(("phantom", "real"), "kind of data")] = key(
        "phantom, or real: the files below TLKIT_DATA"
    )
    backbone: Text = key("resnet10, unet, a name of timm, or torchvision/NAME")
    size: Size = key("pixels of an image's side")
    seeds: many(Seed) = key("one run each: order, augmentation, head, subset")
    split: dict[str, Any] = key("how train, val and test are drawn where a data set does not fix them")
    pretrainings: Entries = key("what runs start from, by name")
    tasks: Entries = key("what runs learn, by name")
    experiments: Entries = key("which tasks start from which pretrainings, and how, by name")
    title: Text = key("the question, for captions; default: the name of the file", "")
    source: Text = key("where the study comes from", "")
    splits: dict[Dataset, dict[str, Any]] = key("what `split` says otherwise for a data set", {})
    phantoms: dict[Dataset, dict[str, Any]] = key("seed and parameters of each phantom data set", {})
    figures: dict[str, dict[str, Any]] = key("notebooks that draw the figures, with what each shows", {})
    colours: dict[Name, Colour] = key("of pretrainings, in the order of every figure; others follow", {})
    datasets: dict[
        Name, Annotated[Text | dict[str, Any], expected("its name in figures, or the card of a data set of your own")]
    ] = key("data sets by name: its name in figures, where not its own, or the card of one of yours", {})
    fetch: dict[Dataset, Text] = key("size of an open data set that `figures` offers to fetch; default: mini", {})
    estimates: dict[Name, dict[str, Any]] = key("pretrainings that figures show and nobody made, by name", {})
    job: Annotated[
        list[Annotated[str, one_of(("tasks", "experiments", "seeds"), "part of a job")]], AfterValidator(once)
    ] = key("what a notebook execution is split by, besides pretrainings: tasks, experiments, seeds", [])
    images_per_second: dict[Annotated[str, one_of(("pretrain", "finetune"), "kind of run")], Positive] = key(
        "speed of pretrain and finetune with `backbone` at `size`, for `plan` before any is measured", {}
    )
    gpus: Annotated[
        Count | dict[Literal["pretrain", "finetune"], Count],
        expected("a whole number of 1 or more, or one each of pretrain and finetune"),
    ] = key("processes of a run", 1)
    threads: Count = key("CPU threads of a run", 1)
    shards: dict[Dataset, Count] = key("jobs that share the decoding of a large data set; it decides no number", {})
    resources: dict[
        Annotated[str, one_of(("data", "pretrain", "finetune", "figure"), "kind of job")],
        dict[Annotated[str, one_of(("mem_mb", "runtime", "gpu"), "resource")], Seed],
    ] = key("of a job on a cluster, by kind: mem_mb, runtime (minutes), gpu; else thought out from its runs", {})
    pretraining_seed: Seed = key("seed of the pretraining runs", 42)
    max_unreadable: Annotated[
        Annotated[float, Field(ge=0, le=1)] | dict[Dataset, Annotated[float, Field(ge=0, le=1)]],
        expected("a share from 0 to 1, or data sets with one each"),
    ] = key("share of a data set's files that may be damaged, for all or by data set; decides no number", 0.01)


class Split(Keys):
    """split, and each of splits"""

    val: Annotated[float, Field(ge=0)] = key("share below 1, or number of patients", 0.15)
    test: Annotated[float, Field(ge=0)] = key("share below 1, or number of patients", 0.2)
    seed: Annotated[Seed | Literal["run"], expected("a whole number of 0 or more, or run")] = key(
        "of the draw; run: drawn anew by the seed of each run, and of each pretraining on the images of a task"
    )
    by: Annotated[str, one_of(("patient", "image"), "unit of a split")] = key(
        "patient, or image as published", "patient"
    )
    official: bool = key("keep the splits that the data set fixes; false: draw all anew", True)
    copies: Annotated[str, one_of(COPIES, "way with copies")] = key(
        "drop: copies of an image stay on one side, and are no test images where an official split has them on two; "
        "keep: as published",
        COPIES[0],
    )
    near: Annotated[int | None, Field(ge=0, le=FARTHEST)] = key(
        "bits of 256 up to which images look the same and are copies; null: equal pixels alone", DISTANCE
    )


class Entry(Keys):
    """What every entry that names images may say: of tasks and of pretrainings."""

    title: Text = key("name in figures", "")
    of: Text = key("an earlier entry: start as its copy", "")
    classes: Classes = key("the first N classes, {every: step}, or the labels of a multi-label task", None)
    images: Count | None = key("number of training images", None)
    where: Where = key("keep the images whose columns have these values", None)
    options: Maybe = key("options of the data set's card, such as mask, crop, only_liver", None)
    size: Size = key("pixels, where not the study's", 8)
    split: Maybe = key("what `split` says otherwise for these images", None)


class Pretraining(Entry):
    """each of pretrainings"""

    dataset: Dataset = key("its images; none: random weights", "")
    groups: Maybe = key("settings of pseudo-labels, made of reports, headers and images", None)
    images_per_epoch: Count = key("images of an epoch, drawn anew each time", 1)
    corpus: Count = key("images of the whole corpus, which the size adjustment counts; default: images", 1)
    corpora: many(str) = key("pretrainings whose images are mixed in each batch", [])
    after: Text = key("an earlier pretraining whose weights it goes on from", "")
    seed: Seed = key(
        "of its run, where not `pretraining_seed`; what differs by it alone is one arm, pretrained again", 42
    )
    method: Annotated[str, one_of(METHODS, "method of pretraining")] = key(", ".join(METHODS), "contrastive")
    weights: Annotated[
        Text | dict[str, Any], expected("a source of published weights, or {file: PATH} of your own")
    ] = key("published weights by source (imagenet, radiologynet, radnet, radimagenet), or {file: PATH}", "")
    partial: bool = key("true: these weights may fill only a part of the encoder; the rest starts at random", False)
    recipe: Changes = key("base, and what changes in it", {})
    by_backbone: dict[str, dict[str, Any]] = key("what changes for a backbone", {})


class Task(Entry):
    """each of tasks"""

    dataset: Dataset = key("its images and labels; `of` another task brings one, too")
    size: Annotated[Size | Literal["card"], expected("a whole number of 8 or more, or card")] = key(
        "pixels, where not the study's; card: those of the weights that a run starts from", 8
    )
    balance: bool | None = key("as many images of every class as the rarest has", None)
    fraction: Share = key("share of the training images", 1)
    fraction_by: Annotated[str | None, one_of(("patient", "slice", None), "unit of a fraction")] = key(
        "patient, or slice as published", None
    )
    images_per_epoch: Count = key("images of an epoch: fewer are drawn anew each time, more are repeated", 1)
    backbone: Text = key("where not the study's", "")
    architecture: Text = key("the published one, for which `backbone` may stand in", "")
    recipe: Changes = key("base, and what changes in it")


class Experiment(Keys):
    """each of experiments"""

    title: Text = key("name in figures", "")
    mode: Annotated[str, one_of(("finetune", "lineval"), "mode")] = key("finetune, or lineval: the encoder is frozen")
    tasks: many(str) = key("default: all", [])
    pretrainings: Annotated[
        many(str) | Annotated[dict[str, many(str)], Field(min_length=1)],
        expected("a list of pretrainings, or tasks with a list each (one or more, each once)"),
    ] = key("default: all; or those of each task", [])
    fraction: Share = key("share of the training images, where not the task's", 1)
    fractions: many(Share) = key("one run each", [])
    seeds: many(Seed) = key("where not the study's", [])
    lrs: many(Positive) = key("peak learning rates, one run each", [])
    rates_of: Name = key("experiment whose choice among its learning rates counts; default: this one's own", "")
    bn: Annotated[str, one_of(("frozen", "adapt"), "BatchNorm policy of a frozen encoder")] = key(
        "frozen, or adapt as published", "frozen"
    )
    recipe: Changes = key("what changes in every recipe", {})
    recipes: dict[str, Changes] = key("what changes in the recipe of a task", {})
    pretraining_recipes: dict[str, Changes] = key("what changes in the recipe of runs from a pretraining", {})


class Figure(Keys):
    """each of figures, by its notebook; names that another scale has are passed over"""

    experiments: many(str) = key("whose runs it shows; none: it shows no run", [])
    tasks: many(str) = key("default: all of these experiments", [])
    pretrainings: many(str) = key("default: all of these experiments", [])
    seeds: many(Seed) = key("default: all of these experiments", [])
    whole: many(str) = key("experiments on all data, set beside these on parts of it", [])
    frozen: many(str) = key("experiments with a frozen encoder, set beside these as baselines", [])
    arm: Text = key("the pretraining whose pictures are drawn", "")
    domains: dict[str, many(Dataset)] = key("two pretrainings, with the data sets of the domain of each", {})
    compared: dict[str, Two] = key("questions, each with the two pretrainings whose difference answers it", {})
    planted: dict[str, float] = key("points that phantom raters add to a pretraining", {})
    published: dict[str, dict[str, Annotated[list[float], Field(min_length=2, max_length=2)]]] = key(
        "validation values of a task and pretraining after the first and the last epoch drawn", {}
    )
    files: dict[str, many(Name)] = key("file names, by experiment, task or data set", {})
    captions: dict[str, Text] = key("words of a caption, by file or task", {})


class Estimate(Keys):
    """each of estimates: a pretraining on the first of two corpora, at another size"""

    title: Text = key("name in figures", "")
    between: Two = key("pretrainings on a corpus and on a larger part of it, between which it is interpolated")
    factor: Positive = key("by how much the first corpus would have to grow")


DECLARED = (Study, OwnDataset, Split, Pretraining, OwnWeights, Task, Experiment, Figure, Estimate)
PARTS: dict[str, type[Keys]] = {
    "pretrainings": Pretraining, "tasks": Task, "experiments": Experiment, "figures": Figure, "estimates": Estimate,
}  # fmt: skip


@cache
def augment() -> type[Keys]:
    """Return the declaration of an augmentation that is not one of AUGMENTS."""
    hints = get_type_hints(Augment)
    about: dict[str, Any] = {n: {"ge": 0, "le": 1} if n.startswith("p_") else {"ge": 0} for n in hints}
    about |= {n: AfterValidator(rising) for n, hint in hints.items() if get_origin(hint) is tuple}
    return declare("Augment", hints, about | {"hue": {"ge": 0, "le": 0.5}, "draw": one_of(DRAWS, "draw")})


@cache
def recipe() -> type[Keys]:
    """Return the declaration of what a study says of a recipe: `base`, and any field of Recipe."""
    hints = {
        **get_type_hints(Recipe),
        "base": str,
        "normalise": str,
        "augment": Annotated[str | dict, expected(f"{', '.join(AUGMENTS)}, or fields of an augmentation")],
    }
    about = LIMITS | {name: one_of(table, name) for name, table in CHOICES.items()}
    about |= {"base": one_of(every_recipe(), "recipe"), "window": AfterValidator(wide)}
    return declare("Recipe", hints, about)


def groups() -> type[Keys]:
    """Return the declaration of the settings of pseudo-labels."""
    return plugins.pseudolabels().declaration()


@cache
def phantom(writer: str) -> type[Keys]:
    """Return the declaration of the parameters of a phantom's writer: counts, shares and ranges of counts."""
    write = plugins.phantoms().PHANTOMS[writer].write
    hints = get_type_hints(write)
    hints = {name: hints[name] for name in list(inspect.signature(write).parameters)[1:]}
    limits: dict[Any, Any] = {int: {"ge": 1}, float: {"ge": 0, "le": 1}, tuple[int, int]: AfterValidator(rising)}
    about = {name: limits.get(hint, {}) for name, hint in hints.items()}
    return declare(writer, hints, about | {"seed": {"ge": 0, "lt": 2**32}, "pixels": {"ge": 8}})


def describe() -> str:
    """Return every key of a study file with what it is for."""
    blocks = [
        [f"{model.__doc__}:", *(f"  {name}: {field.description}" for name, field in model.model_fields.items())]
        for model in DECLARED
    ]
    return "\n".join(line for block in blocks for line in block)
