"""What a folder holds: its layout, files, labels, patients and splits, from what lies there and the flags given."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd

from tlkit.advice import dicoms, kinds, people, reading
from tlkit.advice.choices import AmbiguousError, name_few
from tlkit.advice.seen import Seen
from tlkit.config import ConfigError
from tlkit.datasets.layout import layout_of
from tlkit.training.tasks import TASKS

FLAGS = ("labels", "label", "file", "task", "patient", "split", "burnt_in", "reading")
ANEW = ("--reading new", "the folder is read anew, by the flags that were given before")
SMALLEST_SHARE = 0.1  # of images, rows and masks that must be used: else the reading is wrong
BESIDE = (
    "is no image extension|folder is no split|^no image$|^neither an image nor|^no .npz|^no DICOM file"  # of rejects
)


def understand(folder: Path | str, name: str = "", **asked: str) -> dict[str, Any]:
    """Return the reading of a folder (see `reading.Reading`), from its data.yaml or guessed and written there.

    `asked` are the flags of the command (`FLAGS`), without those that were not given. A data.yaml that they, or no
    flags, led to is read as it stands, and it is said where the folder has changed since; with the flag `reading` "new"
    it is guessed anew. Raises AmbiguousError where there is more than one way to read the folder or
    none, ConfigError where it is missing, or its name belongs to another one.
    """
    place = Path(os.path.abspath(Path(folder).expanduser()))  # a link stays one: its name is the one chosen
    if not place.exists():
        raise ConfigError(f"{place} is not there. Expected a folder of images, or a MedMNIST .npz file.")
    asked = {k: v for k, v in asked.items() if v}
    new = asked.pop("reading", "") == "new"
    check_task(asked.get("task", ""))
    name = reading.file_name(name) or reading.default_name(place)
    old = reading.read(name)
    if old and Path(old["asked"].get("folder", old["folder"])) != place:
        raise ConfigError(
            f"'{name}' is the advice on {old['folder']}. Choose another name for {place}: --name NAME "
            f"(or remove {reading.folder_of(name)})."
        )
    before = {k: v for k, v in (old or {}).get("asked", {}).items() if k != "folder"}
    if new:
        asked = before | asked
    elif old and (not asked or asked == before):
        return _kept(old)
    found = guess(place, name, asked)
    found["asked"] = {"folder": str(place), **asked}
    found["seen"] = reading.files_seen(found)
    reading.write(found)
    return found


def _kept(old: dict[str, Any]) -> dict[str, Any]:
    """Return a reading that was kept; with a line where its folder has changed since.

    Raises AmbiguousError, with the command that reads the folder anew, where it no longer fits.
    """
    file = reading.folder_of(old["name"]) / "data.yaml"
    if not old.get("seen") or (now := reading.files_seen(old)) == old["seen"]:
        return old
    try:
        check(old)
    except ConfigError as error:
        raise AmbiguousError(
            f"{error}\nThe files have changed since {file} was written, and it no longer fits them:", [ANEW]
        ) from error
    what = f"{old['seen'].split(' ')[0]} files then, {now.split(' ')[0]} now"
    changed = "its table" if old["seen"].split(" ")[0] == now.split(" ")[0] else f"the folder ({what})"
    line = f"{changed} has changed since data.yaml was written, which is kept: --reading new reads it anew"
    return old | {"said": [*old["said"], line]}


def guess(place: Path, name: str, asked: dict[str, str]) -> dict[str, Any]:
    """Return what a folder holds: layout, task, classes, options and `said`, words for each; see `understand`."""
    found = {"name": name, "folder": str(place), "options": {}, "said": [], "official": True}
    seen = Seen(kinds.find_innermost(place), asked)
    found |= {"folder": str(seen.root), **kinds.find(seen, name)}
    if asked.get("split", "").lower() == "none":
        found["official"] = False
    check_flags(found, asked)
    table, folders = found.pop("table", None), found.pop("folders", 0)
    _add_patients(found, check(found), asked.get("patient", ""), table, folders)
    return found


def check_flags(found: dict[str, Any], asked: dict[str, str]) -> None:
    """Raise ConfigError for flags that a reading of this kind does not hear, or that it does not do as they say."""
    heard = {"class_folders": ("labels", "label"), "pairs": ("file", "label"), "npz": ()}.get(found["layout"], FLAGS)
    unheard = [flag for flag in asked if flag not in (*heard, "patient", "task", "split")]
    of_folders = "=" in asked.get("split", "") and found["layout"] == "class_folders"
    heard_split = of_folders or {"table", "tables"} & found["options"].keys()
    if asked.get("split", "none").lower() != "none" and not heard_split:
        unheard.append("split")
    levels = ("folder:1", "folder:2")
    named = "word" in found["options"]
    if found["layout"] == "class_folders" and not named and asked.get("label", "folder:1") not in levels:
        unheard.append("label")
    if unheard:
        raise ConfigError(
            f"{found['folder']} is read as {found['said'][0]}. Nothing there hears "
            f"{', '.join(f'--{flag} {asked[flag]}' for flag in unheard)}: leave it out, or name a table, --labels FILE."
        )
    if asked.get("task", found["task"]) != found["task"]:
        raise ConfigError(
            f"--task {asked['task']}: {found['folder']} holds a task of {found['task']}: {found['said'][0]}."
        )


def check(found: dict[str, Any]) -> pd.DataFrame:
    """Return the samples of a reading; raise AmbiguousError where next to nothing can be used, or of one class."""
    card = reading.card_of(found)
    samples, rejects = layout_of(card).scan(Path(found["folder"]), card)
    reasons = rejects.loc[rejects["kind"] != "note", "reason"]
    reasons = reasons[~reasons.str.contains(BESIDE)]
    if len(samples) < max(1, SMALLEST_SHARE * (samples["path"].nunique() + len(reasons))):
        told = "".join(f"\n  {n} x {reason}" for reason, n in reasons.value_counts().head(5).items())
        raise AmbiguousError(
            f"Of {found['folder']}, read as {found['said'][0]}, {len(samples)} images can be used:{told}"
        )
    if "class" in samples and samples["class"].nunique() < 2:
        only = name_few(list(samples["class"].unique()))
        raise AmbiguousError(f"All {len(samples)} images are of one class ({only}): there is nothing to learn.")
    return samples


def _add_patients(found: dict[str, Any], samples: pd.DataFrame, says: str, table: tuple | None, folders: int) -> None:
    """Add the option `patient` to a reading, and say it; raise AmbiguousError where it is to be chosen first."""
    if found["layout"] == "npz":
        if says.lower() not in ("", "none"):
            raise ConfigError(
                f"--patient {says}: nothing in {found['folder']} can say who is shown. Say --patient none."
            )
        found["said"].append("patients: unknown, every image counts as one")
        return
    rows, file, column = table or (None, "", "")
    paths = samples["path"].drop_duplicates()
    if found["layout"] == "dicom_table":
        how = dicoms.patient_way(found, samples, says, rows, file, column)
    else:
        people.settle(says, says or people.proposals(paths, samples.get("class"), rows, folders))
        how = people.way(says, paths, rows, file, column) if says else None
    unit = "scan" if found["layout"] == "pairs" else "image"
    if how is None:
        found["said"].append(f"patients: unknown, every {unit} counts as one")
        return
    found["options"]["patient"] = how
    shown = check(found)
    found["said"].append(f"patients: {shown['patient'].nunique()} in {len(shown)} images, by {says}")


def check_task(task: str) -> None:
    """Raise ConfigError for a task that is none of TASKS; "" is to be guessed."""
    if task and task not in TASKS:
        raise ConfigError(f"--task: unknown task '{task}'. Known: {', '.join(TASKS)}.")
