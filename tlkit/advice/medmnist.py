"""A MedMNIST .npz file, or one like it."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from tlkit.advice import endings, labels, reading
from tlkit.advice.choices import AmbiguousError, name_few
from tlkit.advice.seen import Seen
from tlkit.layouts import npz


def find(seen: Seen, name: str) -> dict[str, Any] | None:
    """Return the reading of the one .npz file that was named, or lies in the folder; None where there is none.

    A file that was named alone is linked into the folder of the advice, so that only it counts as the data.
    Raises AmbiguousError where there are several.
    """
    root = seen.root
    if root.is_file():
        if root.suffix.lower() != ".npz":
            raise AmbiguousError(_no_folder(root))
        link = reading.folder_of(name) / "files" / root.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(root.resolve())
        root = link.parent
    elif len(files := seen.ending(".npz")) > 1:
        raise AmbiguousError(
            f"{root} holds {len(files)} .npz files. Name one of them in place of the folder:",
            [(quote(str(root / f)), "") for f in files],
        )
    elif not files:
        return None
    file = npz.the_file(root)
    shapes, options = npz.headers(file), {}
    parts = [p for p in npz.PARTS if f"{p}_images" in shapes]
    answers = [npz.labels(file, p) for p in parts]
    shape, dtype = shapes["train_images"]
    told = [f"MedMNIST: images of {' x '.join(map(str, shape[1:]))}"]
    if dtype != "uint8":
        options["range"] = list(npz.span(file))
        told.append(f"{dtype}: {options['range'][0]:g} is black, {options['range'][1]:g} white (`range`)")
    found = {"folder": str(root), "layout": "npz", "official": len(parts) > 1}
    splits = ", ".join(f"{p} {shapes[f'{p}_images'][0][0]}" for p in parts)
    told.append(f"splits: {splits}" if len(parts) > 1 else "splits: none, they are drawn")
    task, classes, more = _answers(file, answers, seen.asked.get("task", ""))
    if task == "regression":
        told[0] += ", a number for each"
        return found | {"task": task, "classes": ["number"], "options": options | {"target": "number"}, "said": told}
    told[0] += f", {len(classes)} {'labels' if task == 'multilabel' else 'classes'}: {name_few(classes)}"
    if task == "multiclass" and answers[0].dtype.kind == "i" and answers[0].shape[1] == 1 and len(classes) > 2:
        told.append("--task regression reads the classes as a number")
    return found | {"task": task, "classes": classes, "options": options | more, "said": told}


def _answers(file: Path, answers: list[np.ndarray], asked: str) -> tuple[str, list[str], dict[str, Any]]:
    """Return task, names of classes and options of the labels [N,L] of all parts."""
    whole, texts = np.concatenate(answers), answers[0].dtype.kind == "U"
    if whole.shape[1] == 1 and not texts and (asked == "regression" or whole.dtype.kind == "f"):
        return "regression", [], {}
    if whole.shape[1] > 1:
        one = all(map(npz.is_one_of, answers)) and asked != "multilabel"
        return "multiclass" if one else "multilabel", [f"class {i}" for i in range(whole.shape[1])], {}
    values = np.unique(whole).tolist()
    if len(values) < 2:
        raise AmbiguousError(f"All labels of {file} are {values[0]}: one class leaves nothing to learn.")
    if texts:
        return "multiclass", values, {}
    options = {} if values == list(range(len(values))) else {"values": values}
    return "multiclass", [f"class {value}" for value in values], options


def _no_folder(file: Path) -> str:
    """Return what to do with a file that was named in place of a folder."""
    ending = endings.ending_of(file.name)
    told = f"{file} is a file. Expected a folder of images, or a MedMNIST .npz file."
    if ending in labels.ENDINGS:
        return f"{told} Name the folder of the images, and the table: --labels {quote(str(file))}"
    return " ".join([told, *(f"{what}." for what in endings.say_what_to_do([file.name]))])
