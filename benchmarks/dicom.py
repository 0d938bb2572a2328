"""From DICOM files to stored 224 px slices: `python -m benchmarks dicom`.

Speed is measured against a bare loop over the same files, `pydicom.dcmread(file).pixel_array` and `cv2.resize`, in
turns in one process; the loop knows no HU, no rules and no names. Memory is the largest size of a fresh process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import as_rows
from tlkit.archives import archive, ct_series, deidentify
from tlkit.datasets import DATASETS
from tlkit.datasets.store import build_store
from tlkit.npyfiles import NpyWriter

PIXELS, SIZE, REPEATS = 512, 224, 5
COUNT = {"uncompressed": 240, "RLE": 160, "JPEG 2000": 30}
FILES = {"few": 1_000, "many": 10_000}


def header(number: int, pixels: int):
    """Return a slice of a series of 40, with as many elements as scanners write."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    d, series = Dataset(), number // 40
    d.file_meta = FileMetaDataset()
    d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d.SOPClassUID, d.SOPInstanceUID = CTImageStorage, f"1.2.3.{number}"
    d.StudyInstanceUID, d.SeriesInstanceUID = f"1.2.4.{series}", f"1.2.5.{series}"
    d.Modality, d.PatientID, d.BodyPartExamined = "CT", f"P{series}", "THORAX"
    d.ImageType, d.StudyDate, d.PatientName = ["ORIGINAL", "PRIMARY", "AXIAL"], "20200101", "A^B"
    d.ImagePositionPatient, d.ImageOrientationPatient = [0, 0, number % 40], [1, 0, 0, 0, 1, 0]
    d.InstanceNumber, d.PixelSpacing, d.SliceThickness = number % 40, [0.7, 0.7], 1
    d.Rows = d.Columns = pixels
    d.SamplesPerPixel, d.PhotometricInterpretation, d.PixelRepresentation = 1, "MONOCHROME2", 0
    d.BitsAllocated, d.BitsStored, d.HighBit, d.RescaleSlope, d.RescaleIntercept = 16, 12, 11, 1, -1024
    block = d.private_block(0x29, "A MAKER", create=True)
    for element in range(60):
        block.add_new(element, "LO", "a private value")
    return d


def picture(pixels: int, seed: int) -> np.ndarray:
    """Return stored values of a noisy disc in air, uint16."""
    y, x = np.mgrid[-1 : 1 : pixels * 1j, -1 : 1 : pixels * 1j]
    noise = np.random.default_rng(seed).normal(24, 12, x.shape) * (x**2 + y**2 < 0.98)
    body = np.where(x**2 + y**2 < 0.7, 1000 + 60 * np.sin(9 * x) * np.cos(7 * y), 0)
    return np.clip(body + noise, 0, 4095).astype(np.uint16)


def write(folder: Path, count: int, pixels: int, kind: str = "uncompressed") -> list[Path]:
    """Write `count` files of different slices and return their paths."""
    from pydicom.uid import JPEG2000Lossless, RLELossless

    folder.mkdir()
    files = [folder / f"{number:05d}.dcm" for number in range(count)]
    pictures = [picture(pixels, seed).tobytes() for seed in range(8)]
    for number, file in enumerate(files):
        ds = header(number, pixels)
        ds.PixelData = pictures[number % 8]
        if kind != "uncompressed":
            ds.compress({"RLE": RLELossless, "JPEG 2000": JPEG2000Lossless}[kind])
        ds.save_as(file, enforce_file_format=True)
    return files


def linked(folder: Path, files: list[Path], count: int) -> list[Path]:
    """Return `count` names for the given files in turn."""
    folder.mkdir()
    names = [folder / f"{number:05d}.dcm" for number in range(count)]
    for number, name in enumerate(names):
        os.link(files[number % len(files)], name)
    return names


def bare(files: list[Path]) -> None:
    import cv2
    import pydicom

    for file in files:
        cv2.resize(pydicom.dcmread(file).pixel_array, (SIZE, SIZE), interpolation=cv2.INTER_AREA)


def pixels_of(files: list[Path]) -> None:
    import pydicom

    for file in files:
        _ = pydicom.dcmread(file).pixel_array


def ours(folder: Path, samples: pd.DataFrame, workers: int = 1) -> None:
    """Decode the slices of `folder` as a store does, and write them."""
    with tempfile.TemporaryDirectory() as target:
        writer = None
        for (image,), *_ in ct_series.read(folder, samples, DATASETS["radnet"], SIZE, workers):
            writer = writer or NpyWriter(Path(target) / "images.npy", image)
            writer.append(image)
        writer.finish()


def on_one_core(call: Callable[[], None]) -> None:
    """Do `call` on one core, where the system can: GDCM decodes JPEG 2000 in threads, so one process takes them all."""
    if not hasattr(os, "sched_setaffinity"):
        return call()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        call()
    finally:
        os.sched_setaffinity(0, cores)


def in_turns(*calls: Callable[[], None], repeats: int = REPEATS) -> list[float]:
    """Return the median seconds of each call."""
    rounds = []
    for _ in range(repeats):
        times = [time.perf_counter()]
        for call in calls:
            call()
            times.append(time.perf_counter())
        rounds.append(np.diff(times))
    return np.median(rounds, axis=0).tolist()


def samples_of(folder: Path) -> pd.DataFrame:
    return ct_series.assemble(archive.index(folder, deidentify.load_key(), workers=1), min_slices=1)[0]


def fresh_index(folder: Path) -> None:
    """Index from nothing: each time by another key, so that no part of before fits."""
    archive.index(folder, os.urandom(32), workers=1)


def peak(folder: Path) -> float:
    """Return the largest size, in MB, of a fresh process that indexes and decodes an archive."""
    command = [sys.executable, "-m", "benchmarks.dicom", "--peak", str(folder)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _peak(folder: Path) -> float:
    import psutil

    process, largest, done = psutil.Process(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            largest.append(max(largest.pop(), process.memory_info().rss))

    watcher = threading.Thread(target=watch)
    watcher.start()
    build_store(DATASETS["radnet"], folder, 32, workers=1)
    done.set()
    watcher.join()
    return largest[0] / 1e6


def run() -> list[dict]:
    """Return rows (name, unit, ours, other, ratio, limit); speeds are medians of 5 rounds, in turns with the rival."""
    before = os.environ.get("TLKIT_RUNS")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TLKIT_RUNS"] = str(Path(folder) / "runs")
        try:
            return _run(Path(folder))
        finally:
            os.environ.pop("TLKIT_RUNS") if before is None else os.environ.update(TLKIT_RUNS=before)


def _run(folder: Path) -> list[dict]:
    rows = []
    for kind, count in COUNT.items():
        files = write(folder / kind, count, PIXELS, kind)
        samples = samples_of(folder / kind)
        mine, loop = in_turns(partial(ours, folder / kind, samples), partial(bare, files))
        rows.append(
            (f"DICOM to stored 224 px, {kind}, against a bare loop", "images/s", count / mine, count / loop, ">= 0.8")
        )
        if kind == "uncompressed":
            links = linked(folder / "links", files, FILES["few"])
            head, full = (
                FILES["few"] / t for t in in_turns(partial(fresh_index, folder / "links"), partial(pixels_of, links))
            )
            rows.append(
                ("DICOM index by headers, against reading pixels, uncompressed", "files/s", head, full, ">= 3.0")
            )
    several = folder / "several"
    many = len(write(several, 120, PIXELS, "JPEG 2000"))
    samples = samples_of(several)
    ours(several, samples, 2)  # starts the processes
    alone = partial(on_one_core, partial(ours, several, samples, 1))
    two, one = in_turns(partial(ours, several, samples, 2), alone, repeats=3)
    name = "DICOM to stored 224 px, JPEG 2000, two processes against one core"
    rows.append((name, "images/s", many / two, many / one, ">= 1.7"))
    for name, count in FILES.items():
        write(folder / name, count, 32)
    memory = [peak(folder / name) for name in ("many", "few")]
    rows.append(("DICOM to a store, peak memory, 10,000 files against 1,000", "MB", *memory, "<= 1.1"))
    return as_rows(*rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peak"]:
        print(_peak(Path(sys.argv[2])))
    else:
        print(pd.DataFrame(run()).to_string(index=False, float_format="%.2f"))
