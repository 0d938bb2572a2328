"""What was understood of a folder: a plain dict close to a data card, kept in runs/advice/<name>/data.yaml.

The file can be edited; it is then read in place of guessing. Nothing is written beside the reader's images.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field

from tlkit import paths
from tlkit.config import ConfigError, file_name, freeze, short_hash
from tlkit.datasets.arrays import FITS
from tlkit.datasets.cards import DATASETS, DataCard, visible_files
from tlkit.datasets.layout import layout
from tlkit.declared import Keys, check, declare, one_of
from tlkit.files import sha256, write_text
from tlkit.layouts.table import digest_of
from tlkit.plugins import LAYOUTS
from tlkit.training.tasks import TASKS, check_classes
from tlkit.yamllines import parse

MODALITIES = ("CT", "MR", "other")
HEAD = """# How `python -m tlkit advise` reads the images in `folder`. Edit it: it is then read in place of guessing.
# `--reading new` guesses it anew. A reading that other flags asked for before is kept as data.old.yaml.
"""


class Reading(Keys):
    """The keys of data.yaml."""

    name: str = Field(description="what the images are called in results")
    folder: str = Field(description="where the images lie")
    layout: Annotated[str, one_of(LAYOUTS, "layout")] = Field(description="how they lie there")
    task: Annotated[str, one_of(TASKS, "task")] = Field(description="what is asked of an image")
    classes: list[str] = Field(description="names of the classes, by which labels are numbered")
    options: dict[str, Any] = Field(description="options of the layout")
    official: bool = Field(default=True, description="whether the splits that the images came with are kept")
    asked: dict[str, Any] = Field(default={}, description="the flags of the command that it was understood by")
    seen: str = Field(default="", description="the files and tables that it was understood from")
    said: list[str] = Field(default=[], description="what was understood, in words")


def folder_of(name: str) -> Path:
    """Return the folder of all that the advice on the images of that name writes."""
    return paths.runs_root() / "advice" / name


def default_name(folder: Path) -> str:
    """Return the name of a folder, or of a file without its ending, as a name of results."""
    return file_name(folder.stem if folder.is_file() else folder.name).strip("._-=") or "images"


def write(reading: dict[str, Any]) -> Path:
    """Write a reading to its data.yaml and return the file; one that is there becomes data.old.yaml."""
    file = folder_of(reading["name"]) / "data.yaml"
    text = yaml.safe_dump(make_plain(reading), sort_keys=False, allow_unicode=True, width=110)
    if file.is_file():
        file.replace(file.with_name("data.old.yaml"))
    write_text(file, HEAD + text)
    return file


def read(name: str) -> dict[str, Any] | None:
    """Return the reading of that name, None where there is none; raise ConfigError for one that cannot be."""
    file = folder_of(name) / "data.yaml"
    if not file.is_file():
        return None
    said = parse(file.read_bytes())[0]
    if not isinstance(said, dict):
        raise ConfigError(f"{file}: expected keys and values. Remove it to have it guessed anew.")
    faults = check(Reading, said, ())
    if not faults:
        known = layout(said["layout"])
        options = known.options | {"fit": (str, one_of(FITS, "fit"))}
        declared = declare(
            said["layout"], {k: h for k, (h, _) in options.items()}, {k: a for k, (_, a) in options.items()}
        )
        faults = check(declared, said["options"], ("options",))
    if faults:
        told = "\n".join(f"  {'.'.join(map(str, path)) or 'file'}: {text}" for path, text in faults)
        raise ConfigError(f"{file} cannot be read:\n{told}\nMend it, or remove it to have it guessed anew.")
    return {"official": True, "asked": {}, "said": [], **said}


def files_seen(reading: dict[str, Any]) -> str:
    """Return how many files lie in a reading's folder, and a hash of their names and of what its tables hold."""
    root, options = Path(reading["folder"]), reading["options"]
    place = Path(reading["asked"]["folder"])  # that was named: what was read may be a part of it
    files = [f.relative_to(place).as_posix() for f in visible_files(place)]
    tables = [root / table for table in options.get("tables") or filter(None, [options.get("table")])]
    held = [sha256(table) for table in tables if table.is_file()]
    return f"{len(files)} files {short_hash([files, held])}"


def card_of(reading: dict[str, Any]) -> DataCard:
    """Return the data card of a reading; a table outside of the folder is held by its hash.

    It has the reading's name, unless that belongs to a data set with a card.

    Raises ConfigError for classes that do not fit the task.
    """
    options = dict(reading["options"])
    tables = [Path(table) for table in options.get("tables") or [options.get("table", "")]]
    if any(t.is_absolute() for t in tables) and all((Path(reading["folder"]) / t).is_file() for t in tables):
        options.setdefault("table_sha256", digest_of(Path(reading["folder"]) / t for t in tables))
    check_classes(reading["task"], len(reading["classes"]))
    return DataCard(
        name=f"own {reading['name']}" if reading["name"] in DATASETS else reading["name"],
        title=reading["name"],
        domain="own images",
        task=reading["task"],
        layout=reading["layout"],
        folder=reading["folder"],
        licence="that of its owner",
        source="the reader's own folder",
        citation="",
        access=("bring the folder back, or name another one",),
        tree=f"  {reading['folder']}/",
        classes=tuple(reading["classes"]),
        options=freeze(options),
    )


def make_plain(value: Any) -> Any:
    """Return a value as YAML writes it: lists in place of tuples."""
    if isinstance(value, dict):
        return {k: make_plain(v) for k, v in value.items()}
    return [make_plain(v) for v in value] if isinstance(value, list | tuple) else value
