"""Layout "ct_series": any tree of DICOM files as a corpus of CT slices in HU, labelled by body region.

Everything that leaves this module is de-identified (`deidentify`): samples, rejects and stores name patients, series
and files by pseudonyms of one key.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tlkit.archives import archive, deidentify, dicom
from tlkit.datasets.cards import DataCard, UnreadableFile
from tlkit.datasets.layout import FLAG, Layout
from tlkit.datasets.splits import take_count
from tlkit.declared import one_of

BLOCK = 64  # slices decoded by one process at a time
SERIAL = 4000  # slices up to which one process is faster than starting several
GAP = 1.5  # steps from one slice to the next from which on slices count as missing
BESIDE = 5  # steps on either side that say what is usual
OTHER = len(dicom.KEYWORDS)
COLUMNS = [
    "id", "path", "frame", "patient", "split", "label", "series", "position", "order", "body_part",
]  # fmt: skip


def identity(root: Path) -> dict[str, Any]:
    """Return what decides the samples besides the files: the key of the pseudonyms, since splits are drawn by them.

    Nothing for phantoms, which have one key everywhere.
    """
    key = deidentify.load_key(root)
    return {} if key == deidentify.PHANTOM_KEY else {"key": deidentify.fingerprint(key)}


def scan(root: Path, card: DataCard) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (samples, rejects) from the headers of all files below `root`, one row per slice; see `assemble`."""
    described = card.options.get("labels_from", "tag") == "described"
    reading = archive.ct_reading(bool(card.options.get("derived")), described)
    table = archive.index(root, deidentify.load_key(root), reading=reading)
    return assemble(table, card.options.get("min_slices", 30))


def assemble(index: pd.DataFrame, min_slices: int = 30) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (samples, rejects) of an archive's index: series of at least `min_slices`, sorted along their normal.

    Out go, each with its reason: second copies, series of two patients, slices of another orientation than most of
    their series, without a position where others have one, or at the position of another; then short series.
    `order` says by what a series is sorted: "position", without any "instance" number, or "path". Of series that are
    kept, rejects of kind "note" tell where slices are missing and which have no positions.
    """
    table, left_out = index[index["reason"] == ""].sort_values(["series", "instance", "path"]), []
    left_out.append(index.loc[index["reason"] != "", ["path", "reason", "kind"]])

    def leave_out(where: pd.Series, reason: str, kind: str = "rule") -> pd.DataFrame:
        left_out.append(table.loc[where, ["path"]].assign(reason=reason, kind=kind))
        return table[~where]

    table = leave_out(table["sop"].ne("") & table.duplicated("sop"), "second copy of a slice (same SOPInstanceUID)")
    patients = table.groupby("series")["patient"].transform("nunique")
    table = leave_out(patients > 1, "series with slices of two or more patients", "unreadable")
    most = table["series"].map(table.groupby("series")["orientation"].agg(lambda kinds: kinds.mode().iloc[0]))
    table = leave_out(table["orientation"] != most, "orientation differs from most slices of its series")
    placed = table["position"].notna()
    some = placed.groupby(table["series"]).transform("any")
    table = leave_out(some & ~placed, "no position, and other slices of its series have one")
    where = table["position"].round(2)
    doubled = where.notna() & pd.DataFrame({"series": table["series"], "where": where}).duplicated()
    table = leave_out(doubled, "second slice at one position of its series")
    sizes = table.groupby("series")["path"].transform("size")
    table = leave_out(sizes < min_slices, f"series of under {min_slices} slices")
    samples = _ordered(table)
    return samples, pd.concat([*left_out, _notes(samples)]).sort_values("path", ignore_index=True)


def read(
    root: Path, samples: pd.DataFrame, card: DataCard, size: int, workers: int | None = None
) -> Iterator[tuple[list[np.ndarray | str], list[None], str]]:
    """Yield ([image], [None], "") for each row of `samples`, int16 [size,size] in HU.

    In place of an image stands the reason (str) where a rule of `dicom.decode` leaves the slice out; ([], [], reason)
    stands for a file that cannot be read. `workers` processes (default: all cores, at most 4; one for under 4,000
    slices) do not change the result.
    """
    found = archive.locate(root, samples["path"])
    least = card.options.get("min_coverage", 0.25)
    blocks = (
        ([Path(root, path) for path in found.iloc[start : start + BLOCK]], size, least)
        for start in range(0, len(found), BLOCK)
    )
    workers = workers or (1 if len(found) <= SERIAL else None)
    for block in archive.spread(dicom.decode_block, blocks, workers):
        for image in block:
            yield ([], [], str(image)) if isinstance(image, UnreadableFile) else ([image], [None], "")


def subset(table: pd.DataFrame, images: int | None = None, seed: int = 0) -> np.ndarray:
    """Return the sorted ids of `images` rows (None: all) without the class "other", in the class ratios of `table`.

    Jonske et al. 2025, section 2.1.1: RadNet-12M are all slices, RadNet-1.28M as many as ImageNet has. In a study
    file the same is said by `classes: 6, images: N`.
    """
    named = table[table["label"] < OTHER]
    return take_count(named, len(named) if images is None else images, seed)


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Return the samples in anatomical order, with `id` and `order` filled in."""
    table = table.sort_values(["series", "position", "instance", "path"], ignore_index=True)
    series = table.groupby("series")
    numbered = series["instance"].transform("count") == series["path"].transform("size")
    table["order"] = np.where(table["position"].notna(), "position", np.where(numbered, "instance", "path"))
    table["id"] = table["series"] + "_" + series.cumcount().astype(str).str.zfill(5)
    return table.assign(frame=0, split="")[COLUMNS].astype({"label": "int64"})


def _notes(samples: pd.DataFrame) -> pd.DataFrame:
    """Return what there is to tell of series that are kept, each at one slice: gaps, and unknown positions."""
    gap = samples.groupby("series")["position"].diff()
    step = _steps_beside(gap, samples["series"])
    gaps = samples.loc[gap > GAP * step, ["path"]].assign(kind="note")
    gaps["reason"] = [
        f"slices missing before this one: {g:.2f} mm, the steps beside it are {s:.2f} mm"
        for g, s in zip(gap[gaps.index], step[gaps.index], strict=True)
    ]
    unplaced = samples[samples["order"] != "position"].drop_duplicates("series").assign(kind="note")
    unplaced["reason"] = "no slice of this series has a position: sorted by " + unplaced["order"]
    return pd.concat([gaps, unplaced])[["path", "reason", "kind"]]


def _steps_beside(gap: pd.Series, series: pd.Series) -> pd.Series:
    """Return the usual step at each slice: the median of the `BESIDE` steps before it or of those after it.

    The larger of both, so that where a series goes over from one step to another nothing seems to be missing.
    """

    def before(steps: pd.Series) -> pd.Series:
        earlier = steps.groupby(series).shift(1)
        return earlier.groupby(series).rolling(BESIDE, min_periods=1).median().droplevel(0)

    return pd.concat([before(gap), before(gap[::-1])], axis=1).max(axis=1)


LAYOUT = Layout(
    scan=scan,
    read=read,
    identity=identity,
    options={
        "min_slices": (int, {"ge": 1}),
        "min_coverage": (float, {"ge": 0, "le": 1}),
        "derived": FLAG,
        "labels_from": (str, one_of(("tag", "described"), "source of labels")),
    },
)
