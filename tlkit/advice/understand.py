"""What a folder holds: its layout, files, labels, patients and splits, from what lies there and the flags given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from tlkit.advice import kinds, people, reading
from tlkit.advice.choices import AmbiguousError, few
from tlkit.advice.seen import Seen
from tlkit.config import ConfigError
from tlkit.datasets.layout import layout_of
from tlkit.training.tasks import TASKS

FLAGS = ("labels", "label", "file", "task", "patient", "split")
SMALLEST_SHARE = 0.5  # of the images that must be used: else the reading is wrong


def understand(folder: Path | str, name: str = "", **asked: str) -> dict[str, Any]:
    """Return the reading of a folder (see `reading.Reading`), from its data.yaml or guessed and written there.

    `asked` are the flags of the command (`FLAGS`), without those that were not given. A data.yaml that they, or no
    flags, led to is read as it stands. Raises AmbiguousError where there is more than one way to read the folder or
    none, ConfigError where it is missing, or its name belongs to another one.
    """
    place = Path(folder).expanduser().resolve()
    if not place.exists():
        raise ConfigError(f"{place} is not there. Expected a folder of images, or a MedMNIST .npz file.")
    asked = {k: v for k, v in asked.items() if v}
    check_task(asked.get("task", ""))
    name = reading.file_name(name) or reading.default_name(place)
    old = reading.read(name)
    if old and Path(old["asked"].get("folder", old["folder"])) != place:
        raise ConfigError(
            f"'{name}' is the advice on {old['folder']}. Choose another name for {place}: --name NAME "
            f"(or remove {reading.folder_of(name)})."
        )
    if old and (not asked or asked == {k: v for k, v in old["asked"].items() if k != "folder"}):
        return old
    found = guess(place, name, asked)
    found = {"name": name, "folder": str(place), **found, "asked": {"folder": str(place), **asked}}
    reading.write(found)
    return found


def guess(place: Path, name: str, asked: dict[str, str]) -> dict[str, Any]:
    """Return what a folder holds: layout, task, classes, options and `said`, words for each; see `understand`."""
    seen = Seen(place, asked)
    found = kinds.find(seen)
    found = {"name": name, "folder": str(place), "options": {}, "said": [], **found}
    if asked.get("split", "").lower() == "none":
        found["official"] = False
    samples = check(found)
    table = found.pop("table", None)
    _patients(found, samples, asked, table, found.pop("folders", 0))
    return found


def check(found: dict[str, Any]) -> pd.DataFrame:
    """Return the samples of a reading; raise AmbiguousError where nothing, or less than half, of it can be used."""
    card = reading.card_of(found)
    samples, rejects = layout_of(card).scan(Path(found["folder"]), card)
    left = rejects[rejects["kind"] != "note"]
    if len(samples) == 0 or len(samples) < SMALLEST_SHARE * (len(samples) + (left["reason"] != "no image").sum()) / 2:
        reasons = left["reason"].value_counts()
        told = "".join(f"\n  {n} x {reason}" for reason, n in reasons.head(5).items())
        raise AmbiguousError(f"Of {found['folder']} only {len(samples)} images can be used:{told}")
    if "class" in samples and samples["class"].nunique() < 2:
        only = few(list(samples["class"].unique()))
        raise AmbiguousError(f"All {len(samples)} images are of one class ({only}): there is nothing to learn.")
    return samples


def _patients(found: dict[str, Any], samples: pd.DataFrame, asked: dict[str, str], table, folders: int) -> None:
    """Add the option `patient` to a reading, where its layout has one."""
    says = asked.get("patient", "")
    if "patient" not in layout_of(reading.card_of(found)).options:
        if says.lower() not in ("", "none"):
            raise ConfigError(f"--patient: nothing in {found['folder']} can say who is shown. Say --patient none.")
        return
    rows, file, column = table if table else (None, "", "")
    paths = samples["path"].drop_duplicates()
    label = samples.get("class")
    people.settle(says, [] if says else people.proposals(paths, label, rows, folders))
    if says and (how := people.way(says, paths, rows, file, column)):
        found["options"]["patient"] = how
        shown = check(found)
        found["said"].append(f"patients: {shown['patient'].nunique()} in {len(shown)} images, by {says}")
    else:
        found["said"].append("patients: unknown, every image counts as one")


def check_task(task: str) -> None:
    if task and task not in TASKS:
        raise ConfigError(f"--task: unknown task '{task}'. Known: {', '.join(TASKS)}.")
