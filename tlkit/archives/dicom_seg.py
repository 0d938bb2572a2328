"""Layout "dicom_seg": series of CT or MR slices, and DICOM SEG or RTSTRUCT objects that say what they show.

Any tree: an object belongs to the series that it names. Everything that is written is de-identified as in `ct_series`.
Of a series with several objects a pixel is of a class where `options["agree"]` of them mark it; where classes overlap
the later one counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import AfterValidator, Field

from tlkit.archives import archive, ct_series, deidentify, dicom, headers, seg_series
from tlkit.archives.seg_series import READERS, Reader, read_header, read_series
from tlkit.config import ConfigError
from tlkit.datasets import bounds
from tlkit.datasets.cards import DataCard, UnreadableFile
from tlkit.datasets.layout import FLAG, WINDOW, Layout

IMAGES = ("CT", "MR")
COLUMNS = ["id", "path", "frame", "patient", "split", "series", "modality", "objects"]
INDEX = {**archive.COLUMNS, "modality": "str"}


def scan(root: Path, card: DataCard) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (samples, rejects), one row per slice of the series that an object was drawn on, sorted along its normal.

    `objects` names the files with masks of the series. Rejected with a reason: slices as in `ct_series.assemble`,
    series without an object, objects of no series that is there, or without a segment of any class.
    """
    root, key = Path(root), deidentify.load_key(root)
    table = archive.index(root, key, reading=READING)
    wanted = table["modality"].isin(IMAGES)
    drawn, rejects = _drawn(
        root, table[table["modality"].isin(list(READERS))], set(table.loc[wanted, "series"]), key, card
    )
    left = table.loc[~wanted & (table["reason"] != ""), ["path", "reason", "kind"]]
    alone = wanted & ~table["series"].isin(list(drawn))
    unmarked = table.loc[alone, ["path"]].assign(reason="no object with masks was drawn on its series", kind="rule")
    samples, more = ct_series.assemble(table[wanted & ~alone], 1)
    samples = samples.merge(table[["path", "modality"]], on="path")
    samples["objects"] = samples["series"].map({name: " ".join(sorted(paths)) for name, paths in drawn.items()})
    told = pd.DataFrame(rejects, columns=["path", "reason", "kind"])
    return samples[COLUMNS], pd.concat([left, unmarked, more, told]).sort_values(["path", "reason"], ignore_index=True)


def read(
    root: Path, samples: pd.DataFrame, card: DataCard, size: int, workers: int | None = None
) -> Iterator[tuple[list[np.ndarray | str], list[np.ndarray | None], str]]:
    """Yield ([image], [mask], "") for each row of `samples`: int16 [size,size] and uint8 [size,size].

    CT in HU; of MR the percentile `seg_series.TOP` of a series becomes FULL. In place of an image stands the
    reason (str) that leaves the slice out; ([], [], reason) stands for what cannot be read: of a series all its slices.
    """
    blocks = ((*block, size) for block in _blocks(Path(root), samples, card))
    for block in archive.spread(read_series, blocks, workers or (1 if len(samples) <= ct_series.SERIAL else None)):
        yield from block


def names(root: Path) -> pd.Series:
    """Return what the objects below `root` call their segments, with how many objects do, for `segments` of a card."""
    key = deidentify.load_key(root)
    table = archive.index(root, key, reading=READING)
    table = table[table["modality"].isin(list(READERS))]
    found = archive.locate(root, table["path"], key)
    told = [
        "; ".join(dict.fromkeys(filter(None, texts)))
        for file, kind in zip(found, table["modality"], strict=True)
        for texts in READERS[kind].names(read_header(Path(root, file))).values()
    ]
    return pd.Series(told, dtype="str").value_counts()


def _row(head: dict[str, str], key: bytes) -> dict[str, str | float]:
    modality = head["Modality"]
    if modality not in (*IMAGES, *READERS):
        return {
            "reason": f"modality {dicom.known_modality(head)}, not one of {', '.join((*IMAGES, *READERS))}",
            "kind": "rule",
        }
    if modality in IMAGES and (dicom.burnt_in(head) or head["NumberOfFrames"] not in ("", "0", "1")):
        reason = "text is burnt into the image" if dicom.burnt_in(head) else "more than one frame in a file"
        return {"reason": reason, "kind": "rule"}
    return archive.slice_values(head, key) | {"modality": modality}


READING = archive.Reading("dicom_seg 1", INDEX, _row)


def _drawn(
    root: Path, objects: pd.DataFrame, present: set[str], key: bytes, card: DataCard
) -> tuple[dict[str, list[str]], list[tuple[str, str, str]]]:
    """Return the objects of each series (pseudonyms), and rejects."""
    drawn: dict[str, list[str]] = {}
    rejects = []
    found = archive.locate(root, objects["path"], key)
    for path, modality, file in zip(objects["path"], objects["modality"], found, strict=True):
        reader, rule = READERS[modality], reader_of(card)
        try:
            with bounds.reading(dicom.damaged):
                ds = read_header(root / file)
                described = headers.join_values(ds.get("SeriesDescription"))
                known, told = reader.series_of(ds), reader.names(ds)
        except UnreadableFile as error:
            rejects.append((path, str(error), "unreadable"))
            continue
        series = {deidentify.pseudonym(key, "uid", uid) for uid in known} & present
        if not re.search(card.options.get("objects", ""), described, re.IGNORECASE):
            rejects.append((path, "`objects` of the data set's options leaves it out", "rule"))
        elif not series:
            rejects.append((path, "drawn on no series that is there", "rule"))
        elif not any(seg_series.class_of(texts, rule.patterns) for texts in told.values()):
            rejects.append((path, f"none of its {len(told)} segments is of a class: see dicom_seg.names", "rule"))
        else:
            for name in series:
                drawn.setdefault(name, []).append(path)
    return drawn, rejects


def reader_of(card: DataCard) -> Reader:
    """Return what a card says of the reading. Raises ConfigError where its classes are not those of `segments`."""
    said = card.options.get("segments", {})
    if list(card.classes[1:]) != list(said):
        raise ConfigError(
            f"{card.name}: `segments` names {', '.join(said) or 'nothing'}; expected the classes behind the "
            f"background: {', '.join(card.classes[1:])}."
        )
    get = card.options.get
    return Reader(tuple(said.values()), get("agree", 1), bool(get("only_labelled")), get("crop"))


def _blocks(root: Path, samples: pd.DataFrame, card: DataCard) -> Iterator[tuple]:
    objects = {name for told in samples["objects"].unique() for name in told.split()}
    found = archive.locate(root, pd.Index([*samples["path"], *sorted(objects)]).unique())
    rule = reader_of(card)
    for _, rows in samples.groupby((samples["series"] != samples["series"].shift()).cumsum(), sort=False):
        files = [root / found[path] for path in rows["path"]]
        masks = [root / found[path] for path in rows["objects"].iloc[0].split()]
        yield files, masks, rows["modality"].iloc[0], rule


def _check_patterns(said: dict[str, str]) -> dict[str, str]:
    for name, pattern in said.items():
        _check_pattern(pattern, name)
    return said


def _check_pattern(pattern: str, name: str = "objects") -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"`{name}`: expected a regular expression, found '{pattern}' ({error}).") from error
    return pattern


LAYOUT = Layout(
    scan=scan,
    read=read,
    identity=ct_series.identity,
    options={
        "segments": (dict[str, str], AfterValidator(_check_patterns)),
        "objects": (str, AfterValidator(_check_pattern)),
        "agree": (int, {"ge": 1}),
        "only_labelled": FLAG,
        "crop": (Annotated[int, Field(ge=1)] | None, {}),
        "window": WINDOW,
    },
)
