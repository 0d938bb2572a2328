"""Images with masks: nnU-Net v2, the Medical Segmentation Decathlon, images/ and masks/."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from tlkit.advice import pictures
from tlkit.advice.choices import AmbiguousError, few
from tlkit.advice.seen import Seen
from tlkit.datasets import bounds
from tlkit.datasets.cards import UnreadableFile
from tlkit.layouts import lits, pairs
from tlkit.layouts.folders import EXTENSIONS, split_above, split_of

IMAGES = {
    "images", "image", "imgs", "img", "scans", "bilder", "input", "inputs", "jpegimages", "imagestr", "imagests",
}  # fmt: skip
MASKS = {
    "masks", "mask", "labels", "label", "segmentations", "segmentation", "annotations", "annotation", "gt",
    "groundtruth", "ground_truth", "seg", "masken", "labelstr", "labelsts",
}  # fmt: skip
MASK_ENDS = (
    "",
    *(f"{sign}{word}" for word in ("mask", "masks", "seg", "segmentation", "label", "labels", "gt") for sign in "_- "),
)
MASK_NAME = re.compile(r"mask|seg|label|lesion|gold|consensus|ground|(^|[^a-z])gt([^a-z]|$)", re.IGNORECASE)
IMAGE_ENDS = ("", *(f"{sign}{word}" for word in ("0000", "image", "img", "im", "scan", "orig") for sign in "_-"))
IMAGE_STARTS, MASK_STARTS = ("", "image", "img", "im"), ("", "mask", "seg", "label", "gt")
MOST_UNEVEN = 0.5  # share of the masks of two folders that have an image, from which on the two are pairs
LOOKED_AT, VOLUMES = 200, 6  # masks whose values are read: pictures, volumes
MOST_CLASSES = 40  # values of masks, from which on they are taken for greys
SOFT_TISSUE = [40.0, 400.0]  # HU: centre and width of the window of CT


def described(seen: Seen) -> dict[str, Any] | None:
    """Return the reading of a dataset.json of nnU-Net v2 or of the Decathlon, None where there is none.

    Raises AmbiguousError where it is not as one of the two has it.
    """
    file = seen.root / "dataset.json"
    if not file.is_file() or not (seen.root / "imagesTr").is_dir():
        return None
    try:
        said = json.loads(file.read_text(encoding="utf-8-sig"))
        labels = said["labels"]
        channels = said.get("channel_names") or said.get("modality") or {"0": "image"}
        newer = "channel_names" in said or "file_ending" in said or _numbered(seen)
        codes = _codes(labels)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AmbiguousError(
            f"{file}: expected `labels` and `channel_names` (nnU-Net v2) or `modality` (Decathlon); {error!r}."
        ) from error
    folders = [["imagesTr", "labelsTr", ""]]
    if (seen.root / "labelsTs").is_dir() and any(f.startswith("labelsTs/") for f in seen.files):
        folders = [["imagesTr", "labelsTr", "train"], ["imagesTs", "labelsTs", "test"]]
    names = list(channels.values()) if isinstance(channels, dict) else list(channels)
    options: dict[str, Any] = {"pairs": folders}
    if newer:
        options["image_end"] = "_0000"
    elif len(names) > 1:
        options["channel"] = 0
    kind = "nnU-Net v2" if newer else "Medical Segmentation Decathlon"
    told = [f"{kind}: {len(codes)} classes, {few(list(codes.values()), 8)}"]
    if len(names) > 1:
        how = "`image_end`" if newer else "`channel`"
        told.append(f"the first of {len(names)} channels is read, {names[0]} of {few(names)} ({how} chooses another)")
    if str(names[0]).upper() == "CT" and any(pairs.is_volume(f) for f in seen.files):
        options["window"] = SOFT_TISSUE
        told.append("CT: the window of soft tissue, centre 40 and width 400 HU (`window`)")
    return _segmentation(seen, options, codes, told)


def _numbered(seen: Seen) -> bool:
    """Tell whether the first channel of images has _0000 behind the name of the mask, as in nnU-Net."""
    names = pairs.stems(seen.root, "imagesTr", "_0000").keys()
    return bool(names) and names <= pairs.stems(seen.root, "labelsTr").keys()


def _codes(labels: dict[str, Any]) -> dict[int, str]:
    """Return {value in a mask: name}: nnU-Net v2 names values, the Decathlon numbers names; regions are lists."""
    if all(str(k).isdigit() for k in labels):
        codes = {int(k): str(v) for k, v in labels.items()}
    elif any(isinstance(v, list | tuple) for v in labels.values()):
        values = {int(i) for v in labels.values() for i in (v if isinstance(v, list | tuple) else [v])}
        codes = {i: f"value {i}" if i else "background" for i in values}
    else:
        codes = {int(v): str(k) for k, v in labels.items()}
    return dict(sorted(codes.items()))


def paired(seen: Seen) -> dict[str, Any] | None:
    """Return the reading of folders of images beside folders of masks, None where there are none."""
    found = _folders(seen)
    if not found:
        return None
    options: dict[str, Any] = {"pairs": found}
    count, fits = _fitting(seen, found)
    if not count:
        one, two = ([PurePosixPath(f).name for f in seen.files if f.startswith(f"{d}/")] for d in found[0][:2])
        raise AmbiguousError(
            f"{found[0][0]}/ and {found[0][1]}/ look like images and masks, but no two names fit: {few(one, 3)} and "
            f"{few(two, 3)}. Expected the same name, or one with _mask, _seg, _label or _gt behind it."
        )
    options |= fits
    return read_masks(seen, options, [f"images and masks: {count} pairs in {few([a for a, *_ in found])}"])


def _folders(seen: Seen) -> list[list[str]]:
    """Return [folder of images, folder of masks, split] of all that lie beside each other."""
    holding = {p for f in seen.files if shows(f) for p in PurePosixPath(f).parents}
    found = []
    for images in sorted(p for p in holding if p.name.lower() in IMAGES):
        masks = [p for p in holding if p.parent == images.parent and p.name.lower() in MASKS]
        if images.name.lower() in ("imagestr", "imagests"):
            masks = [p for p in masks if p.name.lower() == f"labels{images.name.lower()[-2:]}"]
        if len(masks) > 1:
            names = few(sorted(p.as_posix() for p in masks))
            raise AmbiguousError(f"{images}/ has more than one folder of masks beside it: {names}. Leave one of them.")
        for mask in masks:
            inner = [p.name for p in holding if p.parent == images and split_of(p.name) and mask / p.name in holding]
            parts = [(images / n, mask / n, split_of(n)) for n in sorted(inner)] or [
                (images, mask, split_above(images))
            ]
            found += [[a.as_posix(), b.as_posix(), split] for a, b, split in parts]
    if any(a.lower().endswith("imagests") for a, *_ in found):
        return [[a, b, "test" if a.lower().endswith("ts") else "train"] for a, b, _ in found]
    return found or _alike(seen, holding)


def _alike(seen: Seen, holding: set[PurePosixPath]) -> list[list[str]]:
    """Return [folder of images, folder of masks, split] of two beside each other, one called like masks, that fit."""
    found = []
    for masks in sorted(p for p in holding if MASK_NAME.search(p.name)):
        for images in sorted(p for p in holding if p.parent == masks.parent and not MASK_NAME.search(p.name)):
            count, _ = _fitting(seen, pair := [[images.as_posix(), masks.as_posix(), split_above(images)]])
            if count > MOST_UNEVEN * len(pairs.stems(seen.root, masks.as_posix())):
                found += pair
    return found if len({a for a, *_ in found}) == len(found) else []


def _fitting(seen: Seen, found: list[list[str]]) -> tuple[int, dict[str, str]]:
    """Return the most pairs of images and masks, and the options by which their names fit."""
    ways = [{"image_end": a, "mask_end": b} for a in IMAGE_ENDS for b in MASK_ENDS]
    ways += [{"image_start": a, "mask_start": b} for a in IMAGE_STARTS for b in MASK_STARTS if a or b]
    names = {d: list(pairs.stems(seen.root, d)) for a, b, _ in found for d in (a, b)}

    @cache
    def cut(folder: str, end: str, start: str) -> set[str]:
        return {pairs.cut(name, end, start) for name in names[folder]} - {None}

    def fit(how: dict[str, str]) -> int:
        ends = [(how.get(f"{of}_end", ""), how.get(f"{of}_start", "")) for of in ("image", "mask")]
        return sum(len(cut(a, *ends[0]) & cut(b, *ends[1])) for a, b, _ in found)

    count, _, best = max(((fit(how), -len("".join(how.values())), i) for i, how in enumerate(ways)))
    return count, {k: v for k, v in ways[best].items() if v}


def shows(path: str) -> bool:
    return pairs.is_volume(path) or PurePosixPath(path).suffix.lower() in EXTENSIONS


def read_masks(seen: Seen, options: dict[str, Any], told: list[str]) -> dict[str, Any]:
    """Return the reading of pairs whose classes only their masks can tell."""
    ends = options.get("mask_end", ""), options.get("mask_start", "")
    masks = [m for _, folder, _ in options["pairs"] for m in pairs.stems(seen.root, folder, *ends).values()]
    values, looked = _values(seen.root, masks)
    coloured = max(values, default=0) >= pairs.COLOUR
    if not 2 <= len(values) <= MOST_CLASSES:
        raise AmbiguousError(
            f"The masks hold {len(values)} values ({few(sorted(values), 8)}), such as {masks[0]}: expected from 2 "
            f"(background and one class) to {MOST_CLASSES}. Masks saved as JPEG have blurred values: save them as PNG."
        )
    first, *others = sorted(values)
    names = [f"colour #{v % pairs.COLOUR:06x}" if coloured else f"value {v}" for v in others]
    names = ["foreground"] if len(others) == 1 else names
    codes = {first: "background", **dict(zip(others, names, strict=True))}
    seen_as = [f"#{v % pairs.COLOUR:06x} {n}" if coloured else f"{v} {n}" for v, n in codes.items()]
    told.append(f"classes, by the values of {looked} masks: {few(seen_as, 8)}")
    return _segmentation(seen, options, codes, told)


def _values(root: Path, masks: Sequence[str]) -> tuple[set[int], int]:
    """Return the values of some masks, and of how many."""
    most = VOLUMES if pairs.is_volume(masks[0]) else LOOKED_AT
    chosen = [masks[i] for i in sorted({round(i) for i in np.linspace(0, len(masks) - 1, most)})]
    found: set[int] = set()
    for path in chosen:
        try:
            with bounds.reading(bounds.quote_error):
                if pairs.is_volume(path):
                    volume = lits.Axial(root / path)
                    found |= {int(v) for k in range(volume.raw.shape[2]) for v in np.unique(volume.whole(k))}
                else:
                    found |= set(np.unique(pairs.mask_values(root / path)).tolist())
        except UnreadableFile:  # the reader gives the reason
            continue
    if max(found, default=0) >= pairs.COLOUR:  # greys in some files are colours in others
        found = {v if v >= pairs.COLOUR else pairs.COLOUR + v * 0x010101 for v in found}
    return found, len(chosen)


def _segmentation(seen: Seen, options: dict[str, Any], codes: dict[int, str], told: list[str]) -> dict[str, Any]:
    values = list(codes)
    if values != list(range(len(values))):
        options["values"] = values
    options["mask_columns"] = {f"px_{i}": i for i in range(1, len(values))}
    first, ends = options["pairs"][0][0], (options.get("image_end", ""), options.get("image_start", ""))
    images = [p for folder, *_ in options["pairs"] for p in pairs.stems(seen.root, folder, *ends).values()]
    beside = options["pairs"][0][0] == options["pairs"][0][1]
    images = [p for p in images if not beside or not pairs.stem_of(p).endswith(options["mask_end"])]
    if images and not pairs.is_volume(images[0]):
        looks, said = pictures.options(seen.root, images)
        options, told = options | looks, [*told, *said]
    split = sorted({split for *_, split in options["pairs"]} - {""})
    told.append(f"splits: by folders, {', '.join(split)}" if split else "splits: none, they are drawn")
    found = {"layout": "pairs", "task": "segmentation", "classes": list(codes.values()), "options": options}
    above = len(PurePosixPath(first).parts) if len({a for a, *_ in options["pairs"]}) == 1 else 0
    return found | {"said": told, "folders": above}
