"""Folders of images beside folders of masks, whose names of files fit each other."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import PurePosixPath
from shlex import quote
from typing import Any, NamedTuple

from tlkit.advice.choices import AmbiguousError, name_few
from tlkit.advice.seen import Seen
from tlkit.layouts import pairs
from tlkit.layouts.folders import EXTENSIONS, split_above, split_of

IMAGES = {
    "images", "image", "imgs", "img", "scans", "bilder", "input", "inputs", "jpegimages", "imagestr", "imagests",
}  # fmt: skip
MASKS = {
    "masks", "mask", "labels", "label", "segmentations", "segmentation", "annotations", "annotation", "gt",
    "groundtruth", "ground_truth", "seg", "masken", "labelstr", "labelsts",
}  # fmt: skip
NNUNET = {"imagestr", "imagests", "labelstr", "labelsts"}
MASK_ENDS = (
    "",
    *(f"{sign}{word}" for word in ("mask", "masks", "seg", "segmentation", "label", "labels", "gt") for sign in "_- "),
)
MASK_NAME = re.compile(
    r"mask|seg|label|lesion|gold|consensus|ground|manual|annot|truth|expert|rater|observer|(^|[^a-z])gt([^a-z]|$)",
    re.IGNORECASE,
)
IMAGE_ENDS = ("", *(f"{sign}{word}" for word in ("0000", "image", "img", "im", "scan", "orig") for sign in "_-"))
IMAGE_STARTS, MASK_STARTS = ("", "image", "img", "im"), ("", "mask", "seg", "label", "gt")
MOST_UNEVEN = 0.5  # share of the masks of two folders that have an image, from which on the two are pairs


class Pair(NamedTuple):
    """A folder of images, the folder of their masks, and the split; `count` of them fit by `ends` of their names."""

    images: str
    masks: str
    split: str
    count: int
    ends: dict[str, str]


def find(seen: Seen) -> tuple[dict[str, Any], int] | None:
    """Return the options `pairs` and ends of names, and the number of pairs; None where no folders are such.

    Raises AmbiguousError where several folders may be the masks, or the images, and where no names fit.
    """
    holding = {p for f in seen.files if is_image(f) for p in PurePosixPath(f).parents}
    folders = [folder for folder in sorted(holding) if folder.name.lower() in IMAGES]
    found = [pair for folder in folders for pair in _beside(seen, folder, holding)]
    fitting = [pair for pair in found if pair.count]
    if found and not fitting:
        raise AmbiguousError(_unlike(seen, found[0]))
    fitting = fitting or _alike(seen, holding)
    if not fitting:
        return None
    chosen = _one_of(seen, _one_of(seen, fitting, "masks", "label"), "images", "file")
    ways = [pair.ends for pair in chosen]
    same = all(way == ways[0] for way in ways)
    listed = [[*pair[:3], *([] if same else (pair.ends.get(k, "") for k in pairs.ENDS))] for pair in chosen]
    return {"pairs": listed} | (ways[0] if same else {}), sum(pair.count for pair in chosen)


def _one_of(seen: Seen, found: list[Pair], what: str, flag: str) -> list[Pair]:
    """Return the pairs whose folder of masks, or of images, has the name that was asked for, or the only name."""
    names: dict[str, list[Pair]] = {}
    for pair in found:
        folder = PurePosixPath(getattr(pair, what))
        names.setdefault((folder.parent if split_of(folder.name) else folder).name.lower(), []).append(pair)
    pieces = {(pair.split, PurePosixPath(pair.images).parent) for pair in found}
    asked = seen.asked.get(flag, "").lower().strip("/")
    if asked in names:
        return names[asked]
    if len(names) == 1 or (what == "images" and len(pieces) == len(found)) or set(names) <= NNUNET:
        return found
    raise AmbiguousError(
        f"More than one folder may hold the {what}. Say which:",
        [(f"--{flag} {quote(name)}", _meaning(seen, own, what)) for name, own in sorted(names.items())],
    )


def _meaning(seen: Seen, found: list[Pair], what: str) -> str:
    first = next(iter(pairs.stems(seen.root, getattr(found[0], what)).values()))
    return f"{sum(pair.count for pair in found)} fit, such as {first}"


def _beside(seen: Seen, images: PurePosixPath, holding: set[PurePosixPath]) -> Iterable[Pair]:
    """Yield the folders of masks beside a folder of images, and those of their splits."""
    masks = [p for p in holding if p.parent == images.parent and p != images and p.name.lower() not in IMAGES]
    masks = sorted(p for p in masks if p.name.lower() in MASKS or MASK_NAME.search(p.name))
    numbered = images.name.lower() in ("imagestr", "imagests")
    if numbered:
        masks = [p for p in masks if p.name.lower() == f"labels{images.name.lower()[-2:]}"]
    for mask in masks:
        inner = [p.name for p in holding if p.parent == images and split_of(p.name) and mask / p.name in holding]
        split = "" if not numbered else "test" if images.name.lower().endswith("ts") else "train"
        for name in sorted(inner) or [""]:
            a, b = (images / name, mask / name) if name else (images, mask)
            yield _fitted(seen, a, b, split_of(name) if name else split or split_above(images))


def _alike(seen: Seen, holding: set[PurePosixPath]) -> list[Pair]:
    """Return folders beside each other, one called like masks, most of whose masks fit."""
    found = []
    for masks in sorted(p for p in holding if MASK_NAME.search(p.name)):
        for images in sorted(p for p in holding if p.parent == masks.parent and not MASK_NAME.search(p.name)):
            pair = _fitted(seen, images, masks, split_above(images))
            if pair.count > MOST_UNEVEN * len(pairs.stems(seen.root, masks.as_posix())):
                found.append(pair)
    return found


def _fitted(seen: Seen, images: PurePosixPath, masks: PurePosixPath, split: str) -> Pair:
    """Return the pair with the most names that fit, by the least that is cut off of them."""
    names = [list(pairs.stems(seen.root, folder.as_posix())) for folder in (images, masks)]
    own = [("", _common_end(part)) for part in names]
    ways = [{"image_end": a, "mask_end": b} for a in IMAGE_ENDS for b in MASK_ENDS]
    ways += [{"image_start": a, "mask_start": b} for a in IMAGE_STARTS for b in MASK_STARTS if a or b]
    ways += [{"image_end": a, "mask_end": b} for a in own[0] for b in own[1] if a or b]

    @cache
    def cut(which: int, end: str, start: str) -> set[str]:
        return {pairs.cut(name, end, start) for name in names[which]} - {None}

    def fit(how: dict[str, str]) -> int:
        ends = [(how.get(f"{of}_end", ""), how.get(f"{of}_start", "")) for of in ("image", "mask")]
        return len((cut(0, *ends[0]) & cut(1, *ends[1])) - {""})

    count, _, best = max(((fit(how), -len("".join(how.values())), -i) for i, how in enumerate(ways)))
    ends = {k: v for k, v in ways[-best].items() if v}
    return Pair(images.as_posix(), masks.as_posix(), split, count, ends)


def _common_end(names: list[str]) -> str:
    """Return what stands behind all names from a sign on, such as _training; "" for one name alone."""
    if len(names) < 2:
        return ""
    first, last = (pick(names, key=_turned) for pick in (min, max))  # what these share, all do
    shared = first[len(first) - _shared(_turned(first), _turned(last)) :]
    at = re.search(r"[-_ .]", shared)
    return shared[at.start() :] if at else ""


def _turned(name: str) -> str:
    return name[::-1]


def _shared(one: str, two: str) -> int:
    return next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))


def _unlike(seen: Seen, pair: Pair) -> str:
    one, two = ([PurePosixPath(f).name for f in seen.files if f.startswith(f"{d}/")] for d in pair[:2])
    return (
        f"{pair.images}/ and {pair.masks}/ look like images and masks, but no two names fit: {name_few(one, 3)} and "
        f"{name_few(two, 3)}. Expected the same name, or one with _mask, _seg, _label or _gt behind it."
    )


def is_image(path: str) -> bool:
    """Tell whether a path ends like a picture or a volume."""
    return pairs.is_volume(path) or PurePosixPath(path).suffix.lower() in EXTENSIONS
