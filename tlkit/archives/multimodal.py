"""Layout "multimodal": any tree of DICOM files of some modalities as grey images of 8 bit, one row per image.

A file gives one image, a CT one for each of its windows, an angiography one for each frame and window, an MR one for
each frame, as in the RadiologyNET study; of what else may have frames (`MULTIFRAME`) each frame is one. Everything that
is written is de-identified (`deidentify`); free text of headers (`tags`) and reports (`reports.read`) is handed over in
memory alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import AfterValidator

from tlkit.archives import archive, bodyparts, ct_series, deidentify, dicom, export, headers
from tlkit.archives.reports import REPORTS, read_reports
from tlkit.datasets.cards import DataCard, UnreadableFile
from tlkit.datasets.layout import PERCENTILES, Layout
from tlkit.declared import one_of, some

BLOCK = 64  # files decoded by one process at a time
MODALITIES = ("MR", "CT", "CR", "XA", "RF")  # those of the study
ADMITTED = (*MODALITIES, "DX", "MG", "US", "PT", "NM")  # those that a card may name
MULTIFRAME = ("MR", "XA", "US", "PT", "NM")  # of the others a file with frames is left out
IMAGE = "1.2.840.10008.5.1.4.1.1"  # what the UIDs of image classes start with
ENHANCED = {  # windows stand in functional groups, which an index does not read, also those of one frame
    f"{IMAGE}.{end}" for end in ("2.1", "2.2", "4.1", "4.4", "12.1.1", "12.2.1", "128.1", "130")
}
RAW = {f"{IMAGE}.{end}" for end in ("1.1.1", "1.2.1")}  # DX and MG for processing: not yet what is looked at
MOST = 20_000  # images of one file, from which on its header counts as damaged
SECONDARY = f"{IMAGE}.7"  # secondary captures, of one frame or of several: .7.1, .7.2 ...
FREE_TEXT = bodyparts.DESCRIPTIONS  # named by PS3.15: never in a file
TECHNICAL = {  # nothing of it is named by PS3.15
    "Modality": (0x0008, 0x0060), "Manufacturer": (0x0008, 0x0070), "ManufacturerModelName": (0x0008, 0x1090),
    "ImageType": (0x0008, 0x0008), "BodyPartExamined": (0x0018, 0x0015), "ScanningSequence": (0x0018, 0x0020),
    "SequenceVariant": (0x0018, 0x0021), "MRAcquisitionType": (0x0018, 0x0023), "SliceThickness": (0x0018, 0x0050),
    "KVP": (0x0018, 0x0060), "RepetitionTime": (0x0018, 0x0080), "EchoTime": (0x0018, 0x0081),
    "InversionTime": (0x0018, 0x0082), "MagneticFieldStrength": (0x0018, 0x0087),
    "SpacingBetweenSlices": (0x0018, 0x0088), "FlipAngle": (0x0018, 0x1314),
    "DistanceSourceToDetector": (0x0018, 0x1110), "ExposureTime": (0x0018, 0x1150),
    "XRayTubeCurrent": (0x0018, 0x1151), "Exposure": (0x0018, 0x1152), "ConvolutionKernel": (0x0018, 0x1210),
    "PatientPosition": (0x0018, 0x5100), "ViewPosition": (0x0018, 0x5101), "SamplesPerPixel": (0x0028, 0x0002),
    "PhotometricInterpretation": (0x0028, 0x0004), "NumberOfFrames": (0x0028, 0x0008), "Rows": (0x0028, 0x0010),
    "Columns": (0x0028, 0x0011), "PixelSpacing": (0x0028, 0x0030), "BitsAllocated": (0x0028, 0x0100),
    "BitsStored": (0x0028, 0x0101), "PixelRepresentation": (0x0028, 0x0103), "WindowCenter": (0x0028, 0x1050),
    "WindowWidth": (0x0028, 0x1051), "RescaleIntercept": (0x0028, 0x1052), "RescaleSlope": (0x0028, 0x1053),
    "PresentationLUTShape": (0x2050, 0x0020),
}  # fmt: skip
TAGS = TECHNICAL | {
    "MediaStorageSOPClassUID": (0x0002, 0x0002), "TransferSyntaxUID": (0x0002, 0x0010),
    "SpecificCharacterSet": (0x0008, 0x0005), "SOPClassUID": (0x0008, 0x0016), "SOPInstanceUID": (0x0008, 0x0018),
    "AccessionNumber": (0x0008, 0x0050), "StudyDescription": (0x0008, 0x1030), "PatientID": (0x0010, 0x0020),
    "ProtocolName": (0x0018, 0x1030), "StudyInstanceUID": (0x0020, 0x000D), "SeriesInstanceUID": (0x0020, 0x000E),
    "BurnedInAnnotation": (0x0028, 0x0301), "RequestedProcedureDescription": (0x0032, 0x1060),
}  # fmt: skip
DESCRIPTIONS = {"StudyDescription": (0x0008, 0x1030), "SeriesDescription": (0x0008, 0x103E)}
DESCRIBED = {name: TAGS[name] for name in ("SpecificCharacterSet", "MediaStorageSOPClassUID", "TransferSyntaxUID")}
DESCRIBED |= DESCRIPTIONS | {"SeriesInstanceUID": TAGS["SeriesInstanceUID"]}
INDEX = {  # columns of the index
    **dict.fromkeys(("path", "reason", "kind", "sop", "patient", "exam", "accession", "modality", "body_part"), "str"),
    "no_window": "str",
    **dict.fromkeys(("frames", "windows"), "float64"),
    "state": "uint64",
}
COLUMNS = [
    "id", "path", "frame", "window", "patient", "exam", "split", "label", "class", "modality", "body_part",
]  # fmt: skip


def scan(root: Path, card: DataCard) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (samples, rejects) from the headers of all files below `root`, one row per image; see `COLUMNS`.

    Out go, each with its reason, second copies and exams of two patients, besides what `_row` leaves out at once.
    `path`, `patient` and `exam` are pseudonyms, `frame` and `window` count from 0, `body_part` is a name of
    `bodyparts.PARTS` or "" where the header does not say. Rejects of kind "note" tell which images get their window
    from `options["percentiles"]`.
    """
    table = listing(root, card)
    second = (table["reason"] == "") & table["sop"].ne("") & table.duplicated("sop")
    table.loc[second, ["reason", "kind"]] = ["second copy of an image (same SOPInstanceUID)", "rule"]
    mixed = (table["reason"] == "") & (table.groupby("exam")["patient"].transform("nunique") > 1)
    table.loc[mixed, ["reason", "kind"]] = ["exam with images of two or more patients", "unreadable"]
    rejects = table.loc[table["reason"] != "", ["path", "reason", "kind"]].reset_index(drop=True)
    table = table[table["reason"] == ""].astype({"frames": "int64", "windows": "int64"})
    rejects = pd.concat([rejects, _notes(table, export_rules(card))]).sort_values("path", ignore_index=True)
    samples = table.loc[table.index.repeat(table["frames"] * table["windows"])]
    number = samples.groupby("path").cumcount()
    samples = samples.assign(frame=number // samples["windows"], window=number % samples["windows"], split="")
    parts = zip(samples["path"], samples["frame"], samples["window"], strict=True)
    samples["id"] = [f"{path}_{frame:05d}_{window:02d}" for path, frame, window in parts]
    samples["label"] = samples["modality"].map({name: i for i, name in enumerate(card.classes)}).astype("int64")
    return samples.assign(**{"class": samples["modality"]}).reset_index(drop=True)[COLUMNS], rejects


def read(
    root: Path, samples: pd.DataFrame, card: DataCard, size: int, workers: int | None = None
) -> Iterator[tuple[list[np.ndarray | str], list[None], str]]:
    """Yield ([image ...], [None ...], "") for each file of `samples`, uint8 [size,size]; see `export.export`.

    In place of an image stands the reason (str) where a rule drops it; ([], [], reason) stands for a file that cannot
    be read. `workers` processes (default: as `ct_series.read`) do not change the result.
    """
    wanted = _wanted(samples)
    found = archive.locate(root, wanted.index)
    rules = export_rules(card)
    blocks = (
        ([Path(root, path) for path in found.iloc[at : at + BLOCK]], wanted.iloc[at : at + BLOCK].tolist(), size, rules)
        for at in range(0, len(found), BLOCK)
    )
    for block in archive.spread(
        export.export_block, blocks, workers or (1 if len(found) <= ct_series.SERIAL else None)
    ):
        for images in block:
            unreadable = isinstance(images, UnreadableFile)
            yield ([], [], str(images)) if unreadable else (images, [None] * len(images), "")


def decode(root: Path, rows: pd.DataFrame, card: DataCard) -> tuple[list[np.ndarray | str], list[None]]:
    """Return the images of one file's `rows`, square and as large as they are, and no masks; to look at few of them.

    Raises UnreadableFile.
    """
    (path,), (wanted,) = archive.locate(root, rows["path"].unique()), _wanted(rows)
    return export.export(Path(root, path), wanted, rules=export_rules(card)), [None] * len(rows)


def export_rules(card: DataCard) -> export.Rules:
    """Return what a card says of the export."""
    return export.Rules(**{k: card.options[k] for k in ("polarity", "percentiles") if k in card.options})


def tags(root: Path, card: DataCard, workers: int | None = None) -> pd.DataFrame:
    """Return the header of every file that `scan` lists: index `path`, columns of text as `TECHNICAL` and `FREE_TEXT`.

    Parts of a value are joined by a backslash, missing ones are "". `FREE_TEXT` may hold names: it is for the memory
    of one process, and belongs into no file.
    """
    found = archive.locate(root, scan(root, card)[0]["path"].unique())
    blocks = ((Path(root), found.iloc[at : at + archive.BLOCK]) for at in range(0, len(found), archive.BLOCK))
    rows = [row for block in archive.spread(_tags, blocks, workers) for row in block]
    return pd.DataFrame(rows, found.index.rename("path"), [*TECHNICAL, *FREE_TEXT], dtype="str").fillna("")


def reports(root: Path, card: DataCard) -> pd.Series:
    """Return the report of each exam that `scan` lists (index: `exam`), "" where there is none.

    From `<root>/reports.csv`; see `reports.read_reports`, also for what `attrs` of the result tells. With
    `options["text"]` "descriptions": those of study and series in place of it. Never written.
    """
    table = listing(root, card)
    table = table[table["reason"] == ""]
    if card.options.get("text") == "descriptions":
        return _descriptions(Path(root), table)
    return read_reports(Path(root) / REPORTS, table, deidentify.load_key(root))


def _descriptions(root: Path, table: pd.DataFrame) -> pd.Series:
    """Return what an exam's headers call the study and its series, each text once, sorted."""
    found = archive.locate(root, table["path"])
    heads = headers.read_headers([root / path for path in found], DESCRIBED)
    words = [[h[k] for k in DESCRIPTIONS] if isinstance(h, dict) else [] for h in heads]
    texts = pd.Series(words, table["exam"].to_numpy()).explode().dropna()
    texts = texts[texts != ""].groupby(level=0).agg(lambda told: "\n".join(sorted(set(told))))
    texts = texts.reindex(sorted(table["exam"].unique()), fill_value="").astype("str").rename("report")
    texts.attrs = {"missing": int((texts == "").sum()), "other": 0, "cp1250": 0, "rejected": {}}
    return texts.rename_axis("exam")


def listing(root: Path, card: DataCard) -> pd.DataFrame:
    """Return the archive's index without the file of the reports, which is a part of the layout."""
    key = deidentify.load_key(root)
    table = archive.index(root, key, reading=_reading(card))
    return table[table["path"] != archive.file_name(key, REPORTS)].reset_index(drop=True)


def _reading(card: DataCard) -> archive.Reading:
    modalities, windowless = card.classes, export_rules(card).percentiles is not None
    version = "multimodal 3" + ("" if modalities == MODALITIES else f" {' '.join(modalities)}")
    row = partial(_row, modalities=modalities, windowless=windowless)
    return archive.Reading(version + " windowless" * windowless, INDEX, row, {"tags": TAGS})


def _notes(table: pd.DataFrame, rules: export.Rules) -> pd.DataFrame:
    """Return a note for each file of which a frame may get its window from percentiles."""
    if rules.percentiles is None:
        return table.head(0).reindex(columns=["path", "reason", "kind"])
    told = table[table["no_window"] != ""].assign(kind="note")
    low, high = rules.percentiles
    told["reason"] = told["no_window"] + f": the window of a frame without one is its percentiles {low:g} to {high:g}"
    return told.reindex(columns=["path", "reason", "kind"])


def _wanted(samples: pd.DataFrame) -> pd.Series:
    """Return the pairs (frame, window) of each file, in the order of its rows; index: path."""
    pairs = pd.Series(list(zip(samples["frame"], samples["window"], strict=True)), index=samples.index)
    return pairs.groupby(samples["path"], sort=False).agg(list)


def _tags(root: Path, files: pd.Series) -> list[dict[str, str]]:
    return [head if isinstance(head, dict) else {} for head in headers.read_headers([root / f for f in files], TAGS)]


def _row(head: dict[str, str], key: bytes, modalities: tuple[str, ...], windowless: bool) -> dict[str, str | float]:
    """Return what a header says, de-identified; of what is no image of `modalities` the reason alone.

    `windowless`: an image needs no window.
    """
    modality, frames = head["Modality"], int(next(iter(archive.floats(head["NumberOfFrames"])), 1)) or 1
    pairs = export.windows(head["WindowCenter"], head["WindowWidth"])
    missing = pairs if isinstance(pairs, str) else ""
    inside = (modality in MULTIFRAME and frames > 1) or head["SOPClassUID"] in ENHANCED  # where windows may be as well
    if rule := _not_an_image(head, frames, modalities) or ("" if inside or windowless else missing):
        return {"reason": rule, "kind": "rule"}
    shown = len(pairs) if modality in ("CT", "XA") and isinstance(pairs, list) else 1
    if frames * shown > MOST:
        return {"reason": "no plausible number of frames and windows", "kind": "rule"}
    uids = {"sop": head["SOPInstanceUID"], "exam": head["StudyInstanceUID"] or head["SeriesInstanceUID"]}
    return {
        **{name: deidentify.pseudonym(key, "uid", uid) if uid else "" for name, uid in uids.items()},
        "patient": deidentify.pseudonym(key, "patient", deidentify.owner(head)),
        "accession": deidentify.pseudonym(key, "accession", head["AccessionNumber"]) if head["AccessionNumber"] else "",
        "modality": modality,
        "body_part": bodyparts.repair(head),
        "no_window": missing,
        "frames": frames,
        "windows": shown,
    }


def _not_an_image(head: dict[str, str], frames: int, modalities: tuple[str, ...]) -> str:
    """Return why a file is no image of `modalities`; "" for one that is. Reasons carry no free text."""
    modality = head["Modality"]
    if head["MediaStorageSOPClassUID"] == headers.DICOMDIR:
        return "DICOMDIR, an index file"
    if not modality:
        return "no Modality in the header"
    if modality not in modalities:
        more = "; `modalities` of the data set's options can admit it" if modality in ADMITTED else ""
        return f"modality {dicom.known_modality(head)}, not one of {', '.join(modalities)}{more}"
    if f"{head['SOPClassUID']}.".startswith(f"{SECONDARY}."):
        return "secondary capture, which may have text burnt in"
    if dicom.burnt_in(head):
        return "text is burnt into the image"
    if modality == "US" and head["BurnedInAnnotation"].upper() != "NO":  # most show the patient's name
        return "ultrasound whose header does not say that no text is burnt in"
    if head["SOPClassUID"] in RAW:
        return "raw pixels for processing, not for presentation"
    if not head["Rows"] or not head["Columns"]:
        return "no image: the header has no rows or no columns"
    if frames < 1:
        return "no plausible number of frames and windows"
    if frames > 1 and modality not in MULTIFRAME:
        return f"more than one frame in a file of {modality}; only one is exported"
    return ""


LAYOUT = Layout(
    scan=scan,
    read=read,
    identity=ct_series.identity,
    tags=tags,
    reports=reports,
    options={
        "modalities": (tuple[Annotated[str, one_of(ADMITTED, "modality")], ...], AfterValidator(some)),
        "polarity": (str, one_of(export.POLARITIES, "polarity")),
        "percentiles": PERCENTILES,
        "text": (str, one_of(("reports", "descriptions"), "source of texts")),
    },
)
