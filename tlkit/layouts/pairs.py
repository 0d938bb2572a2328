"""Layout "pairs": images with a mask each, by lists of files: pictures (PNG, TIFF ...) or volumes (NIfTI)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from tlkit.datasets import bounds
from tlkit.datasets.cards import DataCard, UnreadableFile, visible_files
from tlkit.datasets.layout import FLAG, PERCENTILES, RANGE, SCANS, WINDOW, Layout
from tlkit.layouts import folders, lits
from tlkit.layouts.patients import PATIENT, name_patients, patients

ENDS = ("image_end", "mask_end", "image_start", "mask_start")
COLOUR = 1 << 24  # from which on the values of a mask stand for colours
VOLUMES = (".nii", ".nii.gz")
COLUMNS = ["id", "path", "mask_path", "frame", "patient", "split"]
TOP = (0.5, 99.5)  # percentiles of a volume that are black and white where no window is said


def scan(root: Path, card: DataCard) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (samples, rejects), one row per picture or slice of a volume; of volumes the headers are read.

    `options["pairs"]` lists [folder of images, folder of masks, split] below `root`. An image and its mask have one
    stem, of the image without `options["image_end"]` (such as "_0000"), of the mask without `options["mask_end"]`; so
    with `image_start` and `mask_start`. A pair may have these four of its own behind the split.
    Rejected with a reason: images without mask, masks without image, pairs of volumes that do not fit, other channels.
    """
    rows, rejects, read = [], [], set()
    for images, masks, split, *own in card.options["pairs"]:
        pair = (images, masks, split, *own)
        known = of_pair(root, pair, card.options, "mask")
        within = set(known.values()) if images == masks else set()
        for stem, path in of_pair(root, pair, card.options, "image").items():
            if path in within:  # masks lie beside their images
                continue
            read.add(path)
            mask = known.pop(stem, None)
            if mask is None:
                rejects.append((path, f"no mask of its name in {masks}", "rule"))
                continue
            read.add(mask)
            try:
                count = _slices(root / path, root / mask) if is_volume(path) else 1
            except UnreadableFile as error:
                rejects.append((path, str(error), "unreadable"))
                continue
            name = f"{PurePosixPath(path).parent}/{stem}"
            ids = [f"{name}_{k:04d}" for k in range(count)] if is_volume(path) else [name]
            rows += [(i, path, mask, k, name, split) for k, i in enumerate(ids)]
        rejects += [(mask, f"no image of its name in {images}", "rule") for mask in known.values()]
    told = read | {path for path, *_ in rejects}
    others = [f.relative_to(root).as_posix() for f in visible_files(root)]
    rejects += [(f, "neither an image nor a mask of a pair", "rule") for f in others if f not in told]
    samples = pd.DataFrame(rows, columns=COLUMNS).sort_values("id", ignore_index=True)
    if card.options.get("patient"):
        samples, unnamed = name_patients(root, samples, card)
        rejects += unnamed
    return samples, pd.DataFrame(sorted(rejects), columns=["path", "reason", "kind"])


def is_volume(path: str) -> bool:
    """Tell whether a path ends like a volume of several slices."""
    return path.lower().endswith(VOLUMES)


def stem_of(path: str) -> str:
    """Return a file's name without its ending, .nii.gz being one."""
    return PurePosixPath(path).name[: -len(".nii.gz")] if path.lower().endswith(".nii.gz") else PurePosixPath(path).stem


def cut(name: str, end: str, start: str = "") -> str | None:
    """Return a path whose last part is without its `start` and `end`; None for one without these."""
    above, slash, stem = name.rpartition("/")
    if not (stem.endswith(end) and stem.startswith(start)):
        return None
    return f"{above}{slash}{stem.removesuffix(end).removeprefix(start)}"


def stems(root: Path, folder: str, end: str = "", start: str = "") -> dict[str, str]:
    """Return {path below the folder, its stem without `start` and `end`: path below `root`} of its images, sorted.

    Files without these are left out.
    """
    found = {}
    for file in visible_files(root / folder):
        path = file.relative_to(root).as_posix()
        if is_volume(path) or file.suffix.lower() in folders.EXTENSIONS:
            inside = cut((file.relative_to(root / folder).parent / stem_of(path)).as_posix(), end, start)
            if inside is not None:
                found[inside] = path
    return found


def of_pair(root: Path, pair: Sequence[str], options: Mapping[str, Any], what: str) -> dict[str, str]:
    """Return `stems` of the images ("image") or the masks ("mask") of a pair of folders."""
    own = dict(zip(ENDS, pair[3:], strict=False))
    ends = (own.get(key, options.get(key, "")) for key in (f"{what}_end", f"{what}_start"))
    return stems(root, pair[what == "mask"], *ends)


def _slices(image: Path, mask: Path) -> int:
    """Return the number of axial slices of two volumes; the image may have channels behind its three dimensions."""
    with bounds.reading(bounds.quote_error):
        proxy, head = lits.open_nifti(image)
        if len(lits.solid(proxy.shape)) != 4:
            return lits.count_slices(image, mask)
        other = lits.solid(lits.open_nifti(mask)[0].shape)
        if proxy.shape[:3] != other:
            raise UnreadableFile(f"shapes of volume {proxy.shape} and mask {other}; expected equal 3D shapes")
        turn = lits.to_lps(head.get_best_affine())
        return proxy.shape[int(np.flatnonzero(turn[:, 0] == 2)[0])]


def slices(root: Path, rows: pd.DataFrame, card: DataCard) -> Iterator[tuple[np.ndarray | str, np.ndarray | None]]:
    """Yield (image uint8 [H,W] or [H,W,3], mask uint8 [H,W]) of the rows of one file.

    The grey values of a volume pass `options["window"]` (centre, width), else its `options["percentiles"]`; slices are
    axial, front up, right side left. A mask's value is the number of its class, or its place in `options["values"]`.
    A reason (str) stands in place of an image whose mask is empty, with `options["only_labelled"]`, and of one whose
    mask holds a value of `options["unlabelled"]`.
    Raises UnreadableFile for damaged files, sizes that differ, and values that are no class.
    """
    path, mask_path = rows["path"].iloc[0], rows["mask_path"].iloc[0]
    if is_volume(path):
        volume, labels = lits.Axial(root / path, card.options.get("channel", 0)), lits.Axial(root / mask_path)
        ends = _ends(volume, card)
        pairs = ((folders.to_bytes(volume[k], ends), labels.whole(k)) for k in rows["frame"])
    else:
        pairs = iter(
            [(folders.decode(root, rows, card)[0][0], mask_values(root / mask_path, card.options.get("threshold")))]
        )
    for image, values in pairs:
        if image.shape[:2] != values.shape:
            raise UnreadableFile(f"sizes of image {image.shape[:2]} and mask {values.shape} differ")
        if np.isin(values, card.options.get("unlabelled", ())).any():
            yield "pixels that nobody has labelled", None
            continue
        mask = _coded(values, card)
        if card.options.get("only_labelled") and not mask.any():
            yield "an empty mask", None
        else:
            yield image, mask


def _ends(volume: lits.Axial, card: DataCard) -> tuple[float, float]:
    """Return the values of a volume that become black and white."""
    if window := card.options.get("window"):
        return window[0] - window[1] / 2, window[0] + window[1] / 2
    step = max(1, volume.raw.size // 1_000_000)
    values = volume.raw.reshape(-1)[::step].astype(np.float32) * volume.slope + volume.inter
    if not np.isfinite(values).all():
        raise UnreadableFile("values that are no finite numbers")
    low, high = np.percentile(values, card.options.get("percentiles") or TOP)
    if low == high:
        low, high = values.min(), values.max()
    return float(low), float(high if high > low else low + 1)


def mask_values(file: Path, threshold: int | None = None, levels: bool = False) -> np.ndarray:
    """Return the values of a picture that is a mask, whole numbers [H,W]: of a palette its indices.

    With a `threshold` 1 above that grey value, else 0; with `levels` these grey values.

    A mask in colours has COLOUR + 0xRRGGBB. Raises UnreadableFile for damaged files.
    """
    with bounds.reading(bounds.quote_error), folders.open_picture(file) as image:
        if levels or threshold is not None:
            greys = np.asarray(image.convert("L"))
            return greys if levels else (greys > threshold).astype(np.int64)
        if image.mode == "1":
            return np.asarray(image).astype(np.int64)
        values = np.asarray(image)
        if image.mode == "F":
            if not (np.isfinite(values).all() and (values == np.rint(values)).all()):
                raise UnreadableFile("a mask with values that are no whole numbers")
        elif values.ndim == 3:
            if image.mode in ("LA", "La"):
                return values[..., 0].astype(np.int64)
            if (values[..., :3] != values[..., :1]).any():
                return COLOUR + values[..., :3].astype(np.int64) @ np.array([0x10000, 0x100, 1])
            values = values[..., 0]
        return values.astype(np.int64)


def _coded(values: np.ndarray, card: DataCard) -> np.ndarray:
    """Return a mask as numbers of classes, uint8."""
    known = np.asarray(card.options.get("values") or range(len(card.classes)))
    if ignored := card.options.get("as_background"):
        values = np.where(np.isin(values, ignored), known[0], values)
    if known.max() >= COLOUR > values.max(initial=0):  # a mask in colours that holds nothing but greys
        values = COLOUR + values * 0x010101
    order = np.argsort(known)
    at = np.searchsorted(known[order], values).clip(max=len(known) - 1)
    if (known[order][at] != values).any():
        odd = sorted(set(np.unique(values)) - set(known))
        raise UnreadableFile(f"mask values {[float(v) for v in odd[:5]]}; expected {', '.join(map(str, known))}")
    return order[at].astype(np.uint8)


LAYOUT = Layout(
    scan=scan,
    slices=slices,
    patients=lambda card: patients(card) if card.options.get("patient") else SCANS,
    options={
        "pairs": (list[list[str]], {}),
        **{name: (str, {}) for name in ENDS},
        "channel": (int, {"ge": 0}),
        "threshold": (int, {"ge": 0, "le": 254}),
        "values": (tuple[int, ...], {}),
        "as_background": (tuple[int, ...], {}),
        "unlabelled": (tuple[int, ...], {}),
        "mask_columns": (dict[str, int], {}),
        "only_labelled": FLAG,
        "window": WINDOW,
        "percentiles": PERCENTILES,
        "channels": folders.CHANNEL,
        "patient": PATIENT,
        "range": RANGE,
    },
)
