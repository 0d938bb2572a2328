"""Masks that lie beside their images, in one folder: volumes of equal names, pictures and volumes with an end."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePosixPath
from shlex import quote
from typing import Any

from tlkit.advice.choices import AmbiguousError, Choice
from tlkit.advice.mask_folders import IMAGES, MASK_ENDS, MASK_NAME, MASKS, MOST_UNEVEN, is_image
from tlkit.advice.masks import masks_or_classes, read_masks, values_of
from tlkit.advice.seen import Seen
from tlkit.layouts import pairs
from tlkit.layouts.folders import EXTENSIONS, split_of

MOST_VALUES = 8  # of files beside others, to be masks


def find(seen: Seen) -> dict[str, Any] | None:
    """Return the reading of folders that hold equally named volumes, one of which is a mask; None where there are none.

    Raises AmbiguousError where several volumes may be the image.
    """
    if found := _suffixed(seen):
        return found
    volumes = [PurePosixPath(f) for f in seen.files if pairs.is_volume(f)]
    folders = {p.parent for p in volumes}
    names = Counter(pairs.stem_of(p.name) for p in volumes)
    common = sorted(name for name, n in names.items() if n == len(folders))
    masks = [name for name in common if MASK_NAME.search(name)]
    images = [name for name in common if name not in masks]
    if len(masks) != 1 or not images or seen.ending(*EXTENSIONS):
        return None
    said = seen.asked.get("file", "").lower()
    asked = [n for n in images if n.lower() == said] or [n for n in images if said and n.lower().startswith(said)]
    if len(images) > 1 and len(asked) != 1:
        raise AmbiguousError(
            f"Each folder has several volumes beside its mask {masks[0]}. Say which is the image:",
            [(f"--file {quote(name)}", f"in {names[name]} folders") for name in images],
        )
    image = (asked or images)[0]
    options = {"pairs": [[".", ".", ""]], "image_end": image, "mask_end": masks[0]}
    return read_masks(seen, options, [f"volumes beside their masks: {image} and {masks[0]} in {len(folders)} folders"])


def _suffixed(seen: Seen) -> dict[str, Any] | None:
    """Return the reading of masks that lie beside their images, such as x.png and x_mask.png; None where none do.

    Raises AmbiguousError where folders may be classes as well, or several volumes the image.
    """
    paths = {str(PurePosixPath(f).parent / pairs.stem_of(f)): f for f in seen.files if is_image(f)}
    found = {end: {s.removesuffix(end) for s in paths if s.endswith(end)} for end in MASK_ENDS if end}
    asked = seen.asked.get("label", "")
    if re.match(r"[-_ .]", asked) and any(s.endswith(asked) for s in paths):
        found = {asked: {s.removesuffix(asked) for s in paths if s.endswith(asked)}}
    end, bases = max(found.items(), key=lambda item: len(item[1]))
    others = [s for s in paths if not s.endswith(end)]
    kinds = Counter(s.removeprefix(b) for s in others for b in _prefixes(s) if b in bases)
    kinds = Counter({kind: n for kind, n in kinds.items() if n > MOST_UNEVEN * len(bases)})
    if end == asked and "" in kinds:
        kinds = Counter({"": kinds[""]})  # what else lies there are masks of others
    if not kinds or len(bases) < MOST_UNEVEN / 4 * len(paths):
        return None
    said, names = seen.asked.get("file", "").lower(), {kind: kind.strip("_- .") or "name" for kind in sorted(kinds)}
    meant = [k for k, name in names.items() if name.lower() == said]
    if len(kinds) > 1 and len(meant) != 1:
        raise AmbiguousError(
            f"Several images lie beside each mask, which ends in {end}. Say which is meant, by the end of its name:",
            [(f"--file {quote(name)}", f"{kinds[kind]} images") for kind, name in names.items()],
        )
    image, task = (meant or list(kinds))[0], seen.asked.get("task", "")
    above = {tuple(n for n in PurePosixPath(s).parts[:-1] if not split_of(n)) for s in others}
    if task == "multiclass":
        return None
    if not task and 1 < len(above) <= len(others) / 2 and not pairs.is_volume(seen.files[0]):
        raise masks_or_classes(f"{len(bases)} masks ({end}) lie beside their images, in folders.", above)
    options = {"pairs": [[".", ".", ""]], "mask_end": end} | ({"image_end": image} if image else {})
    return read_masks(seen, options, [f"{len(bases)} masks beside their images, with {end} behind the name"])


def proposals(seen: Seen) -> list[Choice]:
    """Return (flag, meaning) for each end of names of files that lie beside those without it, and hold few values."""
    stems = {str(PurePosixPath(f).parent / pairs.stem_of(f)): f for f in seen.files if is_image(f)}
    ends = Counter(s.removeprefix(b) for s in stems for b in _prefixes(s)[1:] if b in stems)
    found = []
    for end, n in ends.items():
        files = [f for s, f in stems.items() if s.endswith(end)]
        enough = n > MOST_UNEVEN * (len(stems) - ends.total())  # of the files without any such end
        values = values_of(seen.root, files[:3])[0] if enough else set()
        if 2 <= len(values) <= MOST_VALUES:
            found.append((f"--label {quote(end)}", f"{n} masks of {len(values)} values beside their images"))
    return found


def patterns_of_masks(seen: Seen) -> list[str]:
    """Return patterns of the paths of masks beside pictures, by the end of most names, or in folders of their own."""
    stems = {str(PurePosixPath(f).with_suffix("")) for f in seen.files if is_image(f)}
    counts = Counter(end for end in MASK_ENDS if end for s in stems if s.endswith(end) and s.removesuffix(end) in stems)
    holding = {PurePosixPath(f).parent for f in seen.files if is_image(f)}
    beside = {p.parent for p in holding if p.name.lower() in IMAGES}
    folders = {p.name for p in holding if p.name.lower() in MASKS and p.parent in beside}
    return [f"*{end}*" for end, _ in counts.most_common(1)] + sorted(f"*/{name}/*" for name in folders)


def _prefixes(stem: str) -> list[str]:
    """Return a path without ending, and what is before each sign in its name."""
    folder, _, name = stem.rpartition("/")
    cuts = [len(name), *(m.start() for m in re.finditer(r"[-_ .]", name))]
    return [f"{folder}/{name[:at]}" if folder else name[:at] for at in cuts]
