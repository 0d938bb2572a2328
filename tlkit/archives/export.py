"""A DICOM file of a hospital archive as grey images of 8 bit, as the RadiologyNET study exports them.

Modality LUT, the file's own linear window, inversion of what is stored with bone dark, rules that drop what shows
nothing, zeros beside the shorter side. VOI LUT tables and sigmoid windows, which the study does not use, are not used
here either.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tlkit.archives import archive, dicom, headers, pixels
from tlkit.datasets import bounds
from tlkit.datasets.arrays import resize, square
from tlkit.datasets.cards import UnreadableFile

NARROW = 0.1  # shorter side over longer side, below which an image is a strip
DARK = 64  # brightest grey level that is too dark: such an image needs fewer than 7 bits
POLARITIES = ("photometric", "published")
NO_WINDOW = "no window in the header"
FEW, FEW_XA = 0.1, 0.2  # share of the 256 grey levels that is too little; of several frames of an angiography


def windows(centres: str, widths: str) -> list[tuple[float, float]] | str:
    """Return the pairs (centre, width) of a header's texts, or the reason (str) why there are none.

    Pairs that are no numbers or have no width are dropped, and the others kept.
    """
    if not (centres and widths):
        return NO_WINDOW
    parts = [text.split("\\") for text in (centres, widths)]
    pairs = [archive.floats(f"{centre}\\{width}") for centre, width in zip(*parts, strict=False)]
    if len(parts[0]) != len(parts[1]) or not any(pairs):
        return "a window that is no list of pairs of numbers"
    return [(pair[0], pair[1]) for pair in pairs if pair and pair[1] > 0] or "a window without width"


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


@dataclass(frozen=True)
class Rules:
    """What a card says of the export: see `multimodal.LAYOUT`.

    `polarity` names one of `POLARITIES`. `percentiles` (0 to 100) of a frame are its window where the header has none;
    None: such a frame is left out. `channels`: colours become greys (1), or all images are in colour (3); 0: a file in
    colours is left out. `drop`: images that show too little are left out, see `why_dropped`.
    """

    polarity: str = POLARITIES[0]
    percentiles: tuple[float, float] | None = None
    channels: int = 0
    drop: bool = True


def export(
    file: Path, wanted: list[tuple[int, int]], size: int | None = None, rules: Rules | None = None
) -> list[np.ndarray | str]:
    """Return a square uint8 image [S,S] for each (frame, window) of one file, `size` px a side or as large as it is.

    With three channels of the rules [S,S,3].

    In place of an image stands the reason (str) where a rule drops it. Raises UnreadableFile where pixels are
    missing, damaged or not finite.
    """
    rules = rules or Rules()
    results = len(wanted) * size**2 * max(1, rules.channels) if size else 0
    with bounds.reading(dicom.damaged), headers.quiet():
        ds = headers.read_dataset(file)
        colours = pixels.not_grey(ds)
        if colours and not rules.channels:
            return [colours] * len(wanted)
        side = max(pixels.number(ds, name, 0) for name in ("Rows", "Columns"))
        pixels.check_pixels(ds, results or (1 + len(wanted)) * side**2)
        count, last = pixels.frame_count(ds), max(frame for frame, _ in wanted)
        if last >= count:
            raise UnreadableFile(f"{count} frames; the header says at least {last + 1}")
        images = {}
        for frame, stored in pixels.frames(ds, sorted({frame for frame, _ in wanted})):
            pairs = [pair for pair in wanted if pair[0] == frame]
            if colours:
                shown = [_in_channels(pixels.colours(ds, stored), rules.channels)] * len(pairs)
            else:
                values, outside = _values(ds, stored, frame), pixels.padding(ds, stored, frame)
                shown = [_in_channels(_image(ds, values, outside, *pair, rules), rules.channels) for pair in pairs]
            for pair, image in zip(pairs, shown, strict=True):
                images[pair] = image if isinstance(image, str) else resize(square(image), size or max(image.shape))
        return [images[pair] for pair in wanted]


def export_block(
    files: list[Path], wanted: list[list[tuple[int, int]]], size: int, rules: Rules | None = None
) -> list[list[np.ndarray | str] | UnreadableFile]:
    """Return what `export` gives for each file, errors as values."""
    found: list[list[np.ndarray | str] | UnreadableFile] = []
    for file, images in zip(files, wanted, strict=True):
        try:
            found.append(export(file, images, size, rules))
        except UnreadableFile as error:
            found.append(UnreadableFile(str(error)))  # without the frames that hold the file's arrays
    return found


def _in_channels(image: np.ndarray | str, channels: int) -> np.ndarray | str:
    """Return an image [H,W] or [H,W,3] as greys, or with three channels in colour."""
    if isinstance(image, str) or image.ndim == (3 if channels == 3 else 2):
        return image
    if channels == 3:
        return np.stack([image] * 3, axis=-1)
    return np.rint(image @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)  # as Pillow weighs them


def is_inverted(ds, polarity: str) -> bool:
    """Tell whether low values are shown bright.

    "photometric": those of MONOCHROME1 are, by the standard (PS3.3, C.7.6.3.1.2), for any modality. "published": those
    of any CR whose PresentationLUTShape is INVERSE or missing, as the RadiologyNET study has it, and no others.
    """
    if polarity == "photometric":
        return pixels.text(ds, "PhotometricInterpretation") == "MONOCHROME1"
    return ds.get("Modality") == "CR" and ds.get("PresentationLUTShape", "INVERSE") == "INVERSE"


def _image(ds, values: np.ndarray, outside: np.ndarray, frame: int, number: int, rules: Rules) -> np.ndarray | str:
    """Return one frame in the window of that number, uint8 [H,W] as large as it is, or why it is dropped.

    Padding (`outside`) is black.
    """
    voi = pixels.holder(ds, "WindowCenter", frame)
    pairs = windows(*(pixels.text(voi, f"Window{name}") for name in ("Center", "Width")))
    if isinstance(pairs, str) and rules.percentiles:
        pairs = of_percentiles(values[~outside], rules.percentiles)
    if isinstance(pairs, str):
        return pairs
    if number >= len(pairs):
        return f"no window {number + 1} in this frame"
    image = window(values, *pairs[number])
    if is_inverted(ds, rules.polarity):
        image = 255 - image
    image[outside] = 0
    several = ds.get("Modality") == "XA" and pixels.frame_count(ds) > 1
    if not rules.drop:
        return image
    return why_dropped(image, FEW_XA if several else FEW) or image


def of_percentiles(values: np.ndarray, percentiles: tuple[float, float]) -> list[tuple[float, float]] | str:
    """Return the one window (centre, width) from the lower to the upper percentile; a reason where it has no width."""
    low, high = np.percentile(values, percentiles) if values.size else (0, 0)
    return [((low + high) / 2, high - low)] if high > low else "no window in the header, and all values are the same"


def _values(ds, stored: np.ndarray, frame: int) -> np.ndarray:
    """Return the values of one frame after the modality LUT, float32 [H,W]; without one they stay as stored."""
    from pydicom.pixels import apply_modality_lut

    if "ModalityLUTSequence" in ds:
        values = apply_modality_lut(stored, ds).astype(np.float32)
    else:
        facts = pixels.holder(ds, "RescaleSlope", frame)
        slope, intercept = pixels.number(facts, "RescaleSlope", 1), pixels.number(facts, "RescaleIntercept", 0)
        values = stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    if not np.isfinite(values).all():
        raise UnreadableFile("pixels that are not finite numbers")
    return values
