"""Stores: a data set decoded once to arrays on disk, with the table of its samples.

`<name>[-phantom]-<size>px-<8 hex>/` holds images.npy, masks.npy (segmentation), table.parquet (row i belongs
to image i), near.parquet (pairs of rows that look the same), rejects.csv and store.json. The 8 digits stand for the
files' content and all that decides the decoding, so an equal store is never built twice and an unequal one never
taken for it.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch

from tlkit import paths
from tlkit.config import TlkitError, file_name, short_hash
from tlkit.datasets import bounds, copies, notes
from tlkit.datasets.arrays import NpyWriter, read_rows, resize
from tlkit.datasets.cards import NAMED, PHANTOM_FACTS, DataCard, UnreadableFile
from tlkit.datasets.content import content_hash
from tlkit.datasets.layout import Layout, layout_of, reader
from tlkit.files import DiskSpaceError, building, require_room
from tlkit.progress import track

STORE_VERSION = 4
MAX_UNREADABLE = 0.01  # share of the files that may be damaged, where nobody says otherwise
REJECTS = ["path", "reason", "kind"]
log = logging.getLogger(__name__)
A, B = TypeVar("A"), TypeVar("B")


class StoreError(TlkitError):
    """A store that cannot be built; the message says why and what helps."""


class UnreadableShareError(StoreError):
    """More files than allowed could not be read, so the store would not be the data set."""


@dataclass(eq=False)
class Store:
    """A finished store: `images` [N,S,S] or [N,S,S,3] and `masks` [N,S,S] or None as memory maps.

    `table` has one row an image, `meta` is store.json. `take` is for training: it leaves no pages of the
    maps behind, so memory does not grow with the store.
    """

    path: Path
    images: np.memmap
    masks: np.memmap | None
    table: pd.DataFrame
    meta: dict[str, Any]
    _files: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.table)

    def __reduce__(self):
        return open_store, (self.path,)  # another process opens the files itself

    def take(self, index: np.ndarray) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return copies (images, masks or None) of the rows `index`, in that order, in the store's dtype."""
        index = np.asarray(index, dtype=np.int64)
        if index.size and (index.min() < 0 or index.max() >= len(self)):
            raise IndexError(f"rows {index.min()} to {index.max()} of a store of {len(self)} images")
        images = self._rows("images", self.images, index)
        return images, None if self.masks is None else self._rows("masks", self.masks, index)

    @property
    def patients_named(self) -> bool:
        """Whether `patient` in the table says who is shown; else each image (or scan) counts as a patient."""
        return self.meta["patients"] == NAMED

    def owners(self, near: int | None) -> pd.DataFrame:
        """Return `copies.owners` of all rows; images look the same up to `near` bits of 256 (None: only equal ones)."""
        return copies.owners(self.table, self._near(near), self.patients_named)

    def copies(self, near: int | None = copies.DISTANCE) -> pd.DataFrame:
        """Return the pairs of rows a, b of other patients that are copies: distance in bits, -1 for equal pixels."""
        return copies.linked(self.table, self._near(near), self.patients_named)

    def _near(self, near: int | None) -> pd.DataFrame:
        file = self.path / "near.parquet"
        return copies.nearer(pd.read_parquet(file) if file.is_file() else None, near)

    def _rows(self, name: str, array: np.memmap, index: np.ndarray) -> torch.Tensor:
        if name not in self._files:
            self._files[name] = (self.path / f"{name}.npy").open("rb", buffering=0)
        return torch.from_numpy(read_rows(array, self._files[name].fileno(), index))


def open_store(path: Path | str) -> Store:
    """Return the store in folder `path`; raise FileNotFoundError where there is no finished one."""
    path = Path(path)
    if not (path / "store.json").is_file():
        raise FileNotFoundError(
            f"no finished store at {path} (expected store.json in it). `tlkit.datasets.prepare(name, size)` builds one."
        )
    masks = path / "masks.npy"
    return Store(
        path=path,
        images=np.load(path / "images.npy", mmap_mode="r"),
        masks=np.load(masks, mmap_mode="r") if masks.is_file() else None,
        table=pd.read_parquet(path / "table.parquet"),
        meta=json.loads((path / "store.json").read_text()),
    )


def build_store(
    card: DataCard,
    root: Path,
    size: int,
    out_root: Path | None = None,
    max_unreadable: float | None = None,
    workers: int | None = None,
) -> Path:
    """Decode the data set in `root` to `size` x `size` px and return the store's folder.

    A finished store is returned at once; a second process waits for the one that builds. Files that cannot be
    read and slices left out by a rule go to rejects.csv; raises UnreadableShareError where more than
    `max_unreadable` of the files cannot be read (None: MAX_UNREADABLE), StoreError where nothing can be or the disk
    gets full, DiskSpaceError where it has no room from the start.
    `workers` decode at the same time (default: 4 at most) and do not change the result. A layout that has a `read`
    of its own (CT series: processes, and files named by pseudonyms) decodes with that.
    """
    most = MAX_UNREADABLE if max_unreadable is None else max_unreadable
    root, out_root = Path(root), Path(out_root or paths.store_root())
    key = {
        "content": content_hash(root),
        "layout": card.layout,
        "options": card.options,
        "classes": card.classes,
        "size": size,
        "version": STORE_VERSION,
        **reader(card, root),
    }
    facts = root / PHANTOM_FACTS
    phantom = json.loads(facts.read_text()) if facts.is_file() else None
    name = f"{file_name(card.name)}{'-phantom' if phantom else ''}-{size}px-{short_hash(key)}"
    final = out_root / name
    with building(final) as part:
        if part:
            _build(card, root, part, most, workers, key, phantom)
    store = open_store(final)
    if part:
        _tell(store)
    _Rejects(card, store.meta["files"], most).extend(pd.read_csv(final / "rejects.csv"))
    return final


class _Rejects(list):
    """The rows (path, reason, kind) of rejects.csv; raises as soon as too many files are unreadable."""

    def __init__(self, card: DataCard, files: int, most: float):
        super().__init__()
        self.card, self.files, self.most, self.unreadable = card, files, most, []

    def add(self, path: str, reason: str, kind: str) -> None:
        self.append((path, reason, kind))
        if kind == "unreadable":
            self.unreadable.append((path, reason))
        if len(self.unreadable) > self.most * self.files:
            raise UnreadableShareError(
                f"{self.card.name}: {len(self.unreadable)} of {self.files} files cannot be read so far, and "
                f"{self.most:.1%} are allowed. Most frequent reasons, each with its first file:{self._counts()}\n"
                "Mend or remove such files, or allow more of them: `max_unreadable: 0.05` (a share) in the study file, "
                "max_unreadable=... in `prepare` and `build_store`."
            )

    def _counts(self, most: int = 5) -> str:
        table = pd.DataFrame(self.unreadable, columns=["path", "reason"])
        reasons = table.groupby("reason", sort=False)["path"].agg(["size", "first"])
        reasons = reasons.sort_values("size", ascending=False, kind="stable")
        lines = [f"\n  {n} x {first}: {reason}" for reason, n, first in reasons.head(most).itertuples()]
        if len(reasons) > most:
            lines.append(f"\n  and {len(reasons) - most} other reasons")
        if layout_of(self.card).read:  # an archive
            lines.append(
                f"\nThe files are named by pseudonyms. Where a file lies: tlkit.archives.archive.locate(root, "
                f"['{reasons['first'].iloc[0]}']), with the archive's folder as root."
            )
        return "".join(lines)

    def extend(self, table: pd.DataFrame) -> None:
        for row in table[REJECTS].itertuples(index=False):
            self.add(*row)


def _build(
    card: DataCard, root: Path, part: Path, most: float, workers: int | None, key: dict, phantom: dict | None
) -> None:
    """Write a whole store into the folder `part`."""
    layout = layout_of(card)
    samples, scanned = layout.scan(root, card)
    count = len(_starts(samples))
    rejects = _Rejects(card, count + int((scanned["kind"] == "unreadable").sum()), most)
    rejects.extend(scanned)
    for note in notes.of_classes(samples):
        rejects.add(*note)

    if layout.read:
        images_of_files = layout.read(root, samples, card, key["size"], workers)
    else:
        read = partial(_read_file, layout, root, card, key["size"])
        images_of_files = _in_order(read, _by_file(samples), workers or min(4, os.cpu_count() or 1))
    writers: dict[str, NpyWriter] = {}
    kept, counts, seen = [], [], copies.Gathered()
    with closing(images_of_files) as decoded, _disk_errors(part):
        files = zip(_by_file(samples), decoded, strict=True)
        for rows, (images, masks, error, *told) in track(files, count, f"{card.name}: decode", "file"):
            if error:
                rejects.add(rows["path"].iloc[0], error, "unreadable")
                continue
            for note in filter(None, told):
                rejects.add(rows["path"].iloc[0], note, "note")
            for i, image, mask in zip(rows.index, images, masks, strict=True):
                if isinstance(image, str):
                    where = f" (slice {rows.at[i, 'frame']})" if len(rows) > 1 else ""
                    rejects.add(rows.at[i, "path"], image + where, "rule")
                    continue
                arrays = {"images": image} if mask is None else {"images": image, "masks": mask}
                if not kept:
                    require_room(part, len(samples) * sum(a.nbytes for a in arrays.values()), "the store")
                    writers = {k: NpyWriter(part / f"{k}.npy", a) for k, a in arrays.items()}
                for k, writer in writers.items():
                    writer.append(arrays[k])
                seen.add(image)
                kept.append(i)
                counts.append(_count(mask, card))
        for writer in writers.values():
            writer.finish()

    if not kept:
        raise StoreError(
            f"{card.name}: no image to store in {root}; {len(rejects)} files or slices were left out"
            f"{''.join(f'{chr(10)}  {path}: {reason}' for path, reason, _ in rejects[:5])}\n"
            f"Expected:\n{card.tree}"
        )
    table = samples.loc[kept].reset_index(drop=True)
    table = table.assign(**pd.DataFrame(counts)) if counts[0] else table
    table, unit = table.assign(pixels=seen.pixels), layout.patients(card)
    pairs = seen.pairs(table["patient"])
    if pairs is None:
        rejects.add(".", f"over {copies.MOST:,} images: only equal ones were sought among them", "note")
    else:
        pairs.to_parquet(part / "near.parquet")
    near = copies.nearer(pairs, copies.DISTANCE)
    for note in copies.notes(table, near, unit == NAMED):
        rejects.add(*note)
    table.to_parquet(part / "table.parquet")
    pd.DataFrame(rejects, columns=REJECTS).to_csv(part / "rejects.csv", index=False)
    meta = {
        "name": card.name,
        "title": f"Phantom of {card.title}" if phantom else card.title,
        "domain": card.domain,
        "task": card.task,
        "classes": layout.classes(root, card),
        "n": len(kept),
        "size": key["size"],
        "channels": 3 if len(writers["images"].shape) == 3 else 1,
        "dtype": str(writers["images"].dtype),
        "files": rejects.files,
        "unreadable": len(rejects.unreadable),
        "left_out": sum(kind == "rule" for *_, kind in rejects),  # kind "note" is in the store
        "patients": unit,
        "copies": copies.count(table, near, unit == NAMED),
        "phantom": phantom,
        "key": key,
    }
    (part / "store.json").write_text(json.dumps(meta, indent=1))


def _starts(samples: pd.DataFrame) -> np.ndarray:
    """Return the first row of each file (rows of one file are neighbours)."""
    path = samples["path"].to_numpy()
    return np.flatnonzero(np.r_[True, path[1:] != path[:-1]]) if len(path) else np.array([], int)


def _by_file(samples: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the rows of each file; one at a time, since an archive has millions."""
    return (samples.iloc[a:b] for a, b in pairwise([*_starts(samples), len(samples)]))


def _read_file(layout: Layout, root: Path, card: DataCard, size: int, rows: pd.DataFrame):
    """Return (images, masks, "", note) of one file at `size` px, or ([], [], reason) where it cannot be read."""
    images: list[np.ndarray | str] = []
    masks: list[np.ndarray | None] = []
    fit = card.options.get("fit", "squash")
    note = ""
    try:
        with bounds.reading(bounds.quote_error):
            if layout.slices:  # of a volume, one at a time
                pairs = layout.slices(root, rows, card)
            else:
                pairs = zip(*layout.decode(root, rows, card), strict=True)
            for image, mask in pairs:
                note = note or ("" if isinstance(image, str) else notes.of_shape(image))
                images.append(image if isinstance(image, str) else resize(image, size, fit=fit))
                masks.append(None if mask is None else resize(mask, size, nearest=True, fit=fit))
    except UnreadableFile as error:
        return [], [], str(error).replace(f"{root}/", "")  # rejects are compared between machines
    return images, masks, "", note


def _in_order(work: Callable[[A], B], items: Iterable[A], workers: int) -> Iterator[B]:
    """Yield `work(item)` in the order of `items`, computed by threads; at most `workers` are ahead."""
    with ThreadPoolExecutor(workers) as pool:
        ahead: deque = deque()
        for item in items:
            ahead.append(pool.submit(work, item))
            if len(ahead) >= workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _count(mask: np.ndarray | None, card: DataCard) -> dict[str, int]:
    """Return the pixels of each value of the stored mask that the card names a column for."""
    return {c: int(np.count_nonzero(mask == v)) for c, v in card.options.get("mask_columns", {}).items()}


@contextmanager
def _disk_errors(part: Path) -> Iterator[None]:
    """Say what to do where the disk is too small."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC or isinstance(error, DiskSpaceError):
            raise
        raise StoreError(
            f"no space for the store in {part.parent} ({error.strerror}); nothing was kept. Free some, "
            "choose a smaller size, or set TLKIT_RUNS to a folder on a larger disk."
        ) from error


def _tell(store: Store) -> None:
    """Say what was left out: a warning where files could not be read, a log line where a rule left them out."""
    n, m = store.meta["unreadable"], store.meta["left_out"]
    text = (
        f"{store.meta['name']}: {n} unreadable files and {m} files or slices left out by a rule; the "
        f"reason of each is in {store.path / 'rejects.csv'}"
    )
    if n:
        warnings.warn(text, stacklevel=3)
    elif m:
        log.info(text)
    if told := copies.sentence(store.meta["copies"], store.meta["n"]):
        log.warning("%s: %s", store.meta["name"], told)
