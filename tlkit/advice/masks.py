"""Images with masks: nnU-Net v2, the Medical Segmentation Decathlon, images/ and masks/."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from shlex import quote
from typing import Any

import numpy as np

from tlkit.advice import mask_folders, pictures
from tlkit.advice.choices import AmbiguousError, name_few
from tlkit.advice.endings import count_endings
from tlkit.advice.seen import Seen
from tlkit.datasets import bounds
from tlkit.datasets.cards import UnreadableFile
from tlkit.layouts import lits, pairs
from tlkit.layouts.folders import split_of

LOOKED_AT, VOLUMES = 200, 6  # masks whose values are read: pictures, volumes
JPEG = {".jpg", ".jpeg", ".jpe", ".jfif"}
THRESHOLD, BLUR, BLURRED = 127, 48, 0.05  # of masks with blurred edges: levels, and the share of pixels between them
MOST_CLASSES = 40  # values of masks, from which on they are taken for greys
SOFT_TISSUE = [40.0, 400.0]  # HU: centre and width of the window of CT


def read_described(seen: Seen) -> dict[str, Any] | None:
    """Return the reading of a dataset.json of nnU-Net v2 or of the Decathlon, None where there is none.

    Raises AmbiguousError where it is not as one of the two has it.
    """
    file = seen.root / "dataset.json"
    below = [seen.root / f for f in seen.files if f.endswith("/dataset.json")]
    if len(sets := [f.parent for f in below if (f.parent / "imagesTr").is_dir()]) > 1:
        raise AmbiguousError(
            f"{seen.root} holds {len(sets)} data sets. Name one of them in place of the folder:",
            [(quote(str(folder)), "") for folder in sets],
        )
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
    told = [f"{kind}: {len(codes)} classes, {name_few(list(codes.values()), 8)}"]
    several = not newer or any("_0001." in f for f in seen.files)  # else the channels of a picture lie in one file
    if len(names) > 1 and several:
        how = "`image_end`" if newer else "`channel`"
        told.append(
            f"the first of {len(names)} channels is read, {names[0]} of {name_few(names)} ({how} chooses another)"
        )
    if str(names[0]).upper() == "CT" and any(pairs.is_volume(f) for f in seen.files):
        options["window"] = SOFT_TISSUE
        told.append("CT: the window of soft tissue, centre 40 and width 400 HU (`window`)")
    masks = [m for pair in folders for m in pairs.of_pair(seen.root, pair, options, "mask").values()]
    if not masks:
        raise AmbiguousError(
            f"{file} is read as {kind}, and labelsTr holds no masks that can be read: {count_endings(seen)}."
        )
    if odd := sorted(values_of(seen.root, masks)[0] - set(codes)):
        raise AmbiguousError(
            f"The masks in labelsTr hold the values {name_few(odd)}, which `labels` of {file} does not name: it has "
            f"{name_few(list(codes))}. Name them there, in a copy of the folder."
        )
    if unsaid := [value for value, name in codes.items() if str(name).lower() == "ignore"]:
        codes = {value: name for value, name in codes.items() if value not in unsaid}
        how = {"ignore=background": "as_background", "ignore=none": "unlabelled"}
        if (said := seen.asked.get("label", "")) not in how:
            raise AmbiguousError(
                f"{file} names pixels `ignore`: nobody has labelled them, and here every pixel of an image counts. Say "
                "what is to become of them:",
                [("--label ignore=none", "images, and slices of volumes, that hold such pixels are left out"),
                 ("--label ignore=background", "they count as background, in training and in Dice")],
            )  # fmt: skip
        options[how[said]] = unsaid
        what = "they count as background" if said == "ignore=background" else "no image with them is read"
        told.append(f"pixels of `ignore`: {what}")
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


def read_paired(seen: Seen) -> dict[str, Any] | None:
    """Return the reading of folders of images beside folders of masks, None where there are none."""
    if (found := mask_folders.find(seen)) is None:
        return None
    options, count = found
    above = {tuple(n for n in PurePosixPath(a).parts[:-1] if not split_of(n)) for a, *_ in options["pairs"]}
    if len(above) > 1 and (task := seen.asked.get("task", "")) != "segmentation":
        if task == "multiclass":
            return None
        raise masks_or_classes(f"{count} images lie beside their masks, in several folders.", above)
    folders = [f"{a} and {PurePosixPath(b).name}" for a, b, *_ in options["pairs"]]
    return read_masks(seen, options, [f"images and masks: {count} pairs in {name_few(folders)}"])


def masks_or_classes(told: str, above: set[tuple[str, ...]]) -> AmbiguousError:
    """Return the error of images with masks in folders, given by their parts, that may be classes as well."""
    classes = name_few(sorted({parts[-1] for parts in above if parts}))
    return AmbiguousError(
        f"{told} Say what is asked of an image:",
        [("--task segmentation", "its mask"), ("--task multiclass", f"its folder: {classes}; masks are left out")],
    )


def read_masks(seen: Seen, options: dict[str, Any], told: list[str]) -> dict[str, Any]:
    """Return the reading of pairs whose classes only their masks can tell."""
    masks = [m for pair in options["pairs"] for m in pairs.of_pair(seen.root, pair, options, "mask").values()]
    values, looked = values_of(seen.root, masks)
    if _blurred(seen.root, masks, values):
        options["threshold"] = THRESHOLD
        told.append(f"masks with blurred edges: above {THRESHOLD} is the foreground (`threshold`)")
        return _segmentation(seen, options, {0: "background", 1: "foreground"}, told)
    coloured = max(values, default=0) >= pairs.COLOUR
    if not 2 <= len(values) <= MOST_CLASSES:
        raise AmbiguousError(
            f"The masks hold {len(values)} values ({name_few(sorted(values), 8)}), such as {masks[0]}: expected from 2 "
            f"(background and one class) to {MOST_CLASSES}. Masks saved as JPEG have blurred values: save them as PNG."
        )
    first, *others = sorted(values)
    names = [f"colour #{v % pairs.COLOUR:06x}" if coloured else f"value {v}" for v in others]
    names = ["foreground"] if len(others) == 1 else names
    codes = {first: "background", **dict(zip(others, names, strict=True))}
    seen_as = [f"#{v % pairs.COLOUR:06x} {n}" if coloured else f"{v} {n}" for v, n in codes.items()]
    told.append(f"classes, by the values of {looked} masks: {name_few(seen_as, 8)}")
    return _segmentation(seen, options, codes, told)


def _blurred(root: Path, masks: Sequence[str], values: set[int]) -> bool:
    """Tell whether masks of two values were saved as JPEG, or smoothed: nearly all of their pixels are at the ends."""
    jpeg = PurePosixPath(masks[0]).suffix.lower() in JPEG
    if pairs.is_volume(masks[0]) or len(values) <= (2 if jpeg else MOST_CLASSES):
        return False
    seen, inside = 0, 0
    for path in masks[:: max(1, len(masks) // 20)]:
        try:
            with bounds.reading(bounds.quote_error):
                pixels = pairs.mask_values(root / path, 0, levels=True)
        except UnreadableFile:
            continue
        seen, inside = seen + pixels.size, inside + int(((pixels > BLUR) & (pixels < 255 - BLUR)).sum())
    return seen > 0 and inside <= BLURRED * seen


def values_of(root: Path, masks: Sequence[str]) -> tuple[set[int], int]:
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
    first = options["pairs"][0][0]
    images = [p for pair in options["pairs"] for p in pairs.of_pair(seen.root, pair, options, "image").values()]
    beside = options["pairs"][0][0] == options["pairs"][0][1]
    images = [p for p in images if not beside or not pairs.stem_of(p).endswith(options["mask_end"])]
    if images and not pairs.is_volume(images[0]):
        looks, said = pictures.options(seen.root, images)
        options, told = options | looks, [*told, *said]
    split = sorted({pair[2] for pair in options["pairs"]} - {""})
    told.append(f"splits: by folders, {', '.join(split)}" if split else "splits: none, they are drawn")
    found = {"layout": "pairs", "task": "segmentation", "classes": list(codes.values()), "options": options}
    above = len(PurePosixPath(first).parts) if len({a for a, *_ in options["pairs"]}) == 1 else 0
    return found | {"said": told, "folders": above}
