"""What each data set is, where it comes from, and what to do when it is not there: one card each, NAME.yaml."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import Any

from tlkit import paths
from tlkit.config import ConfigError, TlkitError, freeze, nearest
from tlkit.yamllines import parse

NAMED = "named"  # patients are known; else what counts as one
PHANTOM_FACTS = "phantom.json"  # lies in a phantom data set and says how it was made; not a part of the data


@dataclass(frozen=True)
class DataCard:
    """One data set: its licence, its source, how to get it, and the tree that the reader expects.

    `folder` lies under TLKIT_DATA, or is an absolute path. `layout` is a key of `plugins.LAYOUTS`, or "module:object";
    `options` goes to its functions. `phantom` names the writer of its phantom twin (None: it has none).
    """

    name: str
    title: str
    domain: str  # natural | CT | MR | CR | XA | RF | US | OCT | fundus | microscopy | dermatoscopy
    task: str  # multiclass | multilabel | binary | regression | segmentation | none
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
    fetch: dict[str, Any] = field(default_factory=dict)  # where it can be had without a login: see tlkit/sources


class MissingDataError(TlkitError, FileNotFoundError):
    """A data set is not where it should be; says what was expected, what is there, and how to get it."""

    def __init__(self, card: DataCard, root: Path | None):
        self.card, self.root = card, root
        below = not Path(card.folder).expanduser().is_absolute()
        steps = [*card.access, *([f"Set TLKIT_DATA to the folder that holds '{card.folder}/'."] if below else [])]
        numbered = "\n".join(f"  {i}. {step}" for i, step in enumerate(steps, 1))
        super().__init__(
            f"{card.title} ('{card.name}') is missing.\n"
            f"Expected{', under TLKIT_DATA' if below else ''}:\n{_indent(card.tree)}\n"
            f"Found: {_found(card, root)}\n"
            f"To get it:\n{numbered}\n"
            f"`python -m tlkit data` lists every data set with a card and whether it is present."
        )


class UnreadableFile(TlkitError):
    """One file that cannot be decoded; the text is the reason that goes to the rejects table."""


def place(card: DataCard, root: Path | None) -> Path | None:
    """Return where the card's folder is, or should be: below `root`, unless its path is absolute; None without both."""
    folder = Path(card.folder).expanduser()
    return folder if folder.is_absolute() else root and root / folder


def present(card: DataCard, root: Path | None) -> bool:
    """Tell whether the card's folder is there (see `place`) and holds anything but hidden files."""
    folder = place(card, root)
    return bool(folder and folder.is_dir() and next(visible(folder), None))


def where(card: DataCard) -> Path:
    """Return the folder of the real data set (see `place`); raise MissingDataError if it is not there."""
    root = paths.data_root()
    folder = place(card, root)
    if folder is None or not present(card, root):
        raise MissingDataError(card, root)
    return folder


ADDED = {"__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"}


def hidden(name: str) -> bool:
    """Tell whether an entry of that name is none of the data: a dot, the lock of an open table, what systems add."""
    return name.startswith((".", "~$")) or name.casefold() in ADDED


def visible(folder: Path) -> Iterator[Path]:
    """Yield the entries of `folder` that are not `hidden`."""
    return (p for p in folder.iterdir() if not hidden(p.name))


def visible_files(root: Path) -> list[Path]:
    """Return the data's files below `root`, sorted: no hidden ones, none in hidden folders."""
    return [Path(root, name) for name in visible_names(root)]


def visible_names(root: Path) -> list[str]:
    """Return the paths of `visible_files`, relative to `root`, with slashes; a tenth of the memory."""
    found = []
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = [f for f in folders if not hidden(f) and not is_loop(folder, f)]
        below = Path(folder).relative_to(root).as_posix() + "/"
        found += [f"{below}{n}".removeprefix("./") for n in names if not hidden(n) and n != PHANTOM_FACTS]
    return sorted(found, key=lambda name: name.replace("/", "\0"))  # folder by folder, as paths are compared


def is_loop(folder: str, name: str) -> bool:
    """Tell whether a folder is a link to one that it lies in, which would be walked for ever."""
    path = os.path.join(folder, name)
    return os.path.islink(path) and Path(folder).resolve().is_relative_to(Path(path).resolve())


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.strip("\n").splitlines())


def _found(card: DataCard, root: Path | None, most: int = 8) -> str:
    folder = place(card, root)
    if folder is None:
        return "TLKIT_DATA is not set."
    above = root if root and folder.is_relative_to(root) else folder.parent
    if not above.is_dir():
        return f"TLKIT_DATA is {root}, which is no folder." if above == root else f"{above} is no folder."
    there = folder if folder.is_dir() else above
    names = sorted(p.name + ("/" if p.is_dir() else "") for p in islice(visible(there), 1000))
    more = f" ... ({len(names)} entries)" if len(names) > most else ""
    missing = "" if there is folder else f"no '{folder.relative_to(above)}/'; "
    return f"{missing}{there} holds {', '.join(names[:most]) or 'nothing'}{more}"


def read_card(file: Path) -> DataCard:
    """Return the card in a YAML file; raise ConfigError for keys that a card does not have, or that it lacks."""
    said, known = parse(file.read_bytes())[0], {f.name for f in fields(DataCard)}
    for key in said.keys() - known:
        raise ConfigError(f"{file}: a card has no '{key}'.{nearest(key, known)}")
    try:
        return DataCard(**{key: freeze(value) for key, value in said.items()})
    except TypeError as error:
        raise ConfigError(f"{file}: {str(error).partition(' ')[2]}") from error


def own_card(name: str, said: dict[str, Any]) -> DataCard:
    """Return the card of a data set that a study file describes under `datasets`; what it does not say stays empty."""
    empty = {"title": name, "domain": "", "licence": "", "source": "", "citation": ""}
    access = (f"See `folder` of '{name}' under `datasets` in the study file: below TLKIT_DATA, or an absolute path.",)
    told = {**empty, "access": access, "tree": f"{said['folder']}/ in the layout {said['layout']}", **said}
    return DataCard(name=name, **{key: freeze(value) for key, value in told.items()})


DATASETS: dict[str, DataCard] = {
    card.name: card for card in map(read_card, sorted(Path(__file__).parent.glob("*.yaml")))
}
