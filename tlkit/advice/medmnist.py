"""A MedMNIST .npz file, or one like it."""

from __future__ import annotations

from shlex import quote
from typing import Any

from tlkit.advice import reading
from tlkit.advice.choices import AmbiguousError
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
            raise AmbiguousError(f"{root} is a file. Expected a folder of images, or a MedMNIST .npz file.")
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
    shapes, answers = npz.headers(file), npz.labels(file, "train")
    asked = seen.asked.get("task", "")
    number = answers.shape[1] == 1 and (asked == "regression" or answers.dtype.kind == "f")
    if number:
        told = [f"MedMNIST: images of {' x '.join(map(str, shapes['train_images'][0][1:]))}, a number for each"]
        found = {"folder": str(root), "layout": "npz", "task": "regression", "classes": ["number"]}
        return found | {"options": {"target": "number"}, "said": [*told, _said_of_parts(shapes)]}
    task = "multilabel" if answers.shape[1] > 1 else "multiclass"
    count = answers.shape[1] if task == "multilabel" else 1 + max(npz.labels(file, p).max() for p in _parts(shapes))
    (_, *size), _ = shapes["train_images"]
    told = [
        f"MedMNIST: images of {' x '.join(map(str, size))}, {count} {'labels' if task == 'multilabel' else 'classes'}"
    ]
    told += ["--task regression reads the classes as a number"] if task == "multiclass" and count > 2 else []
    told.append(_said_of_parts(shapes))
    classes = [f"class {i}" for i in range(count)]
    return {"folder": str(root), "layout": "npz", "task": task, "classes": classes, "options": {}, "said": told}


def _said_of_parts(shapes: dict) -> str:
    return "splits: " + ", ".join(f"{p} {shapes[f'{p}_images'][0][0]}" for p in _parts(shapes))


def _parts(shapes: dict) -> list[str]:
    return [p for p in npz.PARTS if f"{p}_images" in shapes]
