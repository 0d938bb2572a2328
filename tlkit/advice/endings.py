"""Files that are not read, by their endings, and what their owner can do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

from tlkit.advice.seen import Seen

UNREAD = {  # endings of what a user may take for images or tables: what to do
    "unpack it first, and name the folder": (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"),
    "save them as PNG or JPEG": (".heic", ".heif", ".npy", ".mat", ".h5", ".hdf5", ".psd", ".raw", ".cr2", ".dng",
                                 ".svg", ".pdf"),
    "cut slides into tiles, saved as PNG or JPEG": (".svs", ".ndpi", ".mrxs", ".scn", ".vsi", ".czi"),
    "save single frames as PNG": (".mp4", ".avi", ".mov", ".mkv"),
    "volumes are read with masks alone, for segmentation; for classes save slices as PNG": (".nii", ".nii.gz"),
    "convert volumes to .nii.gz": (".mha", ".mhd", ".nrrd", ".nhdr", ".mgz", ".mnc", ".img", ".hdr"),
    "of tables CSV, TSV, XLSX and parquet are read: save it as one of them": (".xls", ".ods", ".xlsm", ".sav",
                                                                              ".jsonl"),
    "if it is the table, name it: --labels FILE; boxes as of YOLO are not read": (".txt", ".dat", ".tab"),
    "marks of boxes and outlines are not read: save masks as PNG in masks/, or write a table": (".json", ".xml"),
    "if they are images, give their names an ending such as .png": ("",),
}  # fmt: skip

HOLDING = ("save", "cut", "convert", "unpack")  # what is said of files that may hold pictures
PICTURES = {  # their endings: beside others they would be missed in silence
    ending for what, known in UNREAD.items() if what.startswith(HOLDING) for ending in known
}


def count_endings(seen: Seen) -> str:
    """Return how many files of which ending there are, and what to do with those that are not read."""
    endings = Counter(ending_of(f) for f in seen.files)
    told = ", ".join(f"{n} x {ending or 'no ending'}" for ending, n in endings.most_common(6)) or "it is empty"
    return ". ".join([told, *say_what_to_do(seen.files)])


def ending_of(path: str) -> str:
    """Return the ending of a file's name in small letters, ".nii.gz" as one; "" for none."""
    name = path.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else PurePosixPath(name).suffix


def say_what_to_do(files: Iterable[str]) -> list[str]:
    """Return a sentence for each kind of files that are not read."""
    seen = set(map(ending_of, files))
    there = {what: [e or "no ending" for e in known if e in seen] for what, known in UNREAD.items()}
    return [f"Of {' and '.join(found)}: {what}" for what, found in there.items() if found]
