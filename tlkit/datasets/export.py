"""A DICOM file of a hospital archive as grey images of 8 bit, as the RadiologyNET study exports them (spec 0.8).

Modality LUT, the file's own linear window, inversion of plain radiographs, rules that drop what shows nothing, zeros
beside the shorter side. The functions of the DICOM standard that the study does not use (VOI LUT tables, sigmoid
windows, MONOCHROME1 outside of CR) are not used here either.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tlkit.datasets import archive, bounds, dicom, headers, pixels
from tlkit.datasets.arrays import resize, square
from tlkit.datasets.cards import UnreadableFile

NARROW = 0.1  # shorter side over longer side, below which an image is a strip
DARK = 64  # brightest grey level that is too dark: such an image needs fewer than 7 bits
FEW, FEW_XA = 0.1, 0.2  # share of the 256 grey levels that is too little; of several frames of an angiography


def windows(centres: str, widths: str) -> list[tuple[float, float]] | str:
    """Return the pairs (centre, width) of a header's texts, or the reason (str) why there are none."""
    if not (centres and widths):
        return "no window in the header"
    found, wide = archive.floats(centres), archive.floats(widths)
    if not found or len(found) != len(wide):
        return "a window that is no list of pairs of numbers"
    if min(wide) <= 0:
        return "a window without width"
    return list(zip(found, wide, strict=True))


def window(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """Return `values` as uint8: 0 up to centre - width/2, 255 above centre + width/2, linear and cut in between."""
    low = centre - width / 2
    return np.clip((values - low) / width * 255, 0, 255).astype(np.uint8)


def why_dropped(image: np.ndarray, few: float = FEW) -> str:
    """Return why an exported image [H,W] shows too little; "" where it does not."""
    ratio, brightest = min(image.shape) / max(image.shape), int(image.max())
    levels = np.count_nonzero(np.bincount(image.ravel(), minlength=256)) / 256
    if ratio < NARROW:
        return f"a strip: the shorter side is {ratio:.0%} of the longer, at least {NARROW:.0%} is wanted"
    if brightest < DARK:
        return f"too dark: the brightest level is {brightest} of 255, at least {DARK} is wanted"
    if levels <= few:
        return f"too flat: {levels:.0%} of the grey levels occur, more than {few:.0%} are wanted"
    return ""


def export(file: Path, wanted: list[tuple[int, int]], size: int | None = None) -> list[np.ndarray | str]:
    """Return a square uint8 image [S,S] for each (frame, window) of one file, `size` px a side or as large as it is.

    In place of an image stands the reason (str) where a rule drops it. Raises UnreadableFile where pixels are
    missing, damaged or not finite.
    """
    results = len(wanted) * size**2 if size else 0
    with bounds.reading(dicom.damaged), headers.quiet():
        ds = headers.read_dataset(file)
        if pixels.number(ds, "SamplesPerPixel", 1) != 1:
            return ["colours, no grey image"] * len(wanted)
        side = max(pixels.number(ds, name, 0) for name in ("Rows", "Columns"))
        pixels.check_pixels(ds, results or (1 + len(wanted)) * side**2)
        count, last = pixels.frame_count(ds), max(frame for frame, _ in wanted)
        if last >= count:
            raise UnreadableFile(f"{count} frames; the header says at least {last + 1}")
        images = {}
        for frame, stored in pixels.frames(ds, sorted({frame for frame, _ in wanted})):
            values = _values(ds, stored, frame)
            for pair in (pair for pair in wanted if pair[0] == frame):
                image = _image(ds, values, *pair, count)
                images[pair] = image if isinstance(image, str) else resize(square(image), size or max(image.shape))
        return [images[pair] for pair in wanted]


def export_block(
    files: list[Path], wanted: list[list[tuple[int, int]]], size: int
) -> list[list[np.ndarray | str] | UnreadableFile]:
    """Return what `export` gives for each file, errors as values."""
    found: list[list[np.ndarray | str] | UnreadableFile] = []
    for file, images in zip(files, wanted, strict=True):
        try:
            found.append(export(file, images, size))
        except UnreadableFile as error:
            found.append(UnreadableFile(str(error)))  # without the frames that hold the file's arrays
    return found


def _image(ds, values: np.ndarray, frame: int, number: int, count: int) -> np.ndarray | str:
    """Return one frame in the window of that number, uint8 [H,W] as large as it is, or why it is dropped."""
    voi = _of_frame(ds, frame, "FrameVOILUTSequence")
    pairs = windows(*(pixels.text(voi or ds, f"Window{name}") for name in ("Center", "Width")))
    if isinstance(pairs, str):
        return pairs
    if number >= len(pairs):
        return f"no window {number + 1} in this frame"
    image = window(values, *pairs[number])
    if ds.get("Modality") == "CR" and ds.get("PresentationLUTShape", "INVERSE") == "INVERSE":
        image = 255 - image
    several = ds.get("Modality") == "XA" and count > 1
    return why_dropped(image, FEW_XA if several else FEW) or image


def _values(ds, stored: np.ndarray, frame: int) -> np.ndarray:
    """Return the values of one frame after the modality LUT, float32 [H,W]; without one they stay as stored."""
    from pydicom.pixels import apply_modality_lut

    if "ModalityLUTSequence" in ds:
        values = apply_modality_lut(stored, ds).astype(np.float32)
    else:
        facts = _of_frame(ds, frame, "PixelValueTransformationSequence") or ds
        slope, intercept = pixels.number(facts, "RescaleSlope", 1), pixels.number(facts, "RescaleIntercept", 0)
        values = stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    if not np.isfinite(values).all():
        raise UnreadableFile("pixels that are not finite numbers")
    return values


def _of_frame(ds, frame: int, name: str):
    """Return the item of one of the frame's own functional groups, else of the shared ones; None without either."""
    for groups, at in (("PerFrameFunctionalGroupsSequence", frame), ("SharedFunctionalGroupsSequence", 0)):
        if len(ds.get(groups) or ()) > at and (found := ds[groups][at].get(name)):
            return found[0]
    return None
