"""Stores: a data set decoded once to arrays on disk, with the table of its samples.

`<name>[-phantom]-<size>px-<8 hex>/` holds images.npy, masks.npy (segmentation), table.parquet (row i belongs
to image i), near.parquet (pairs of rows that look the same), rejects.csv and store.json. The 8 digits stand for the
files' content and all that decides the decoding, so an equal store is never built twice and an unequal one never
taken for it.
"""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from tlkit import paths
from tlkit.config import file_name, short_hash
from tlkit.datasets import copies, decoding, notes, rejects
from tlkit.datasets.cards import NAMED, PHANTOM_FACTS, DataCard
from tlkit.datasets.content import content_hash
from tlkit.datasets.layout import layout_of, reader
from tlkit.datasets.rejects import Rejects, StoreError
from tlkit.datasets.shards import join, make_shards, read_looks
from tlkit.files import building
from tlkit.npyfiles import read_rows

STORE_VERSION = 4
MAX_UNREADABLE = 0.01  # share of the files that may be damaged, where nobody says otherwise
log = logging.getLogger(__name__)


@dataclass(eq=False)
class Store:
    """A finished store: `images` [N,S,S] or [N,S,S,3] and `masks` [N,S,S] or None as memory maps.

    `table` has one row per image, `meta` is store.json. `take` is for training: it leaves no pages of the
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
        return copies.link_copies(self.table, self._near(near), self.patients_named)

    def _near(self, near: int | None) -> pd.DataFrame:
        file = self.path / "near.parquet"
        return copies.keep_near(pd.read_parquet(file) if file.is_file() else None, near)

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
    share: tuple[int, int] | None = None,
) -> Path:
    """Decode the data set in `root` to `size` x `size` px and return the store's folder.

    A finished store is returned at once; a second process waits for the one that builds. What a killed one has decoded
    is not decoded again (`shards`). Files that cannot be read and slices left out by a rule go to rejects.csv; raises
    UnreadableShareError where more than `max_unreadable` of the files cannot be read (None: MAX_UNREADABLE), StoreError
    where nothing can be or the disk gets full, DiskSpaceError where it has no room from the start.
    `workers` decode at the same time (default: 4 at most) and do not change the result. A layout that has a `read`
    of its own (CT series: processes, and files named by pseudonyms) decodes with that. With a `share` (i, n), as one of
    n processes or machines, only every n-th shard from the i-th (0 is the first) is decoded, and no store built.
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
    final, aside = out_root / name, out_root / f".{name}.shards"
    if share:
        if not final.is_dir():
            make_shards(aside, root, card, *_scan(card, root, most), size, workers, share)
        return final
    with building(final) as part:
        if part:
            try:
                _build(card, root, part, aside, most, workers, key, phantom)
            except BaseException:
                if not any(aside.glob("[0-9]*")):  # else what is decoded is kept
                    shutil.rmtree(aside, ignore_errors=True)
                raise
    store = open_store(final)
    shutil.rmtree(aside, ignore_errors=True)
    if part:
        _tell(store)
    Rejects(card, store.meta["files"], most).extend(pd.read_csv(final / "rejects.csv"))
    return final


def _scan(card: DataCard, root: Path, most: float) -> tuple[pd.DataFrame, Rejects]:
    """Return the samples of a data set, and what is left out before anything is decoded."""
    samples, scanned = layout_of(card).scan(root, card)
    left_out = Rejects(card, len(decoding.find_starts(samples)) + int((scanned["kind"] == "unreadable").sum()), most)
    left_out.extend(scanned)
    for note in notes.note_classes(samples):
        left_out.add(*note)
    return samples, left_out


def _build(
    card: DataCard, root: Path, part: Path, aside: Path, most: float, workers: int | None, key: dict, phantom: Any
) -> None:
    """Write a whole store into the folder `part`, by shards in the folder `aside`."""
    layout, (samples, left_out) = layout_of(card), _scan(card, root, most)
    shards = make_shards(aside, root, card, samples, left_out, key["size"], workers)
    known = join(shards, part)
    if known.empty:
        raise StoreError(
            f"{card.name}: no image to store in {root}; {len(left_out)} files or slices were left out"
            f"{''.join(f'{chr(10)}  {path}: {reason}' for path, reason, _ in left_out[:5])}\n"
            f"Expected:\n{card.tree}"
        )
    table, unit = samples.loc[known.index].reset_index(drop=True), layout.patients(card)
    table = table.assign(**known.reset_index(drop=True))
    pairs = None
    if len(table) > copies.MOST:
        left_out.add(".", f"over {copies.MOST:,} images: only equal ones were sought among them", "note")
    else:
        pairs = copies.near_pairs(read_looks(shards), table["patient"].to_numpy())
        pairs.to_parquet(part / "near.parquet")
    near = copies.keep_near(pairs, copies.DISTANCE)
    for note in copies.note_copies(table, near, unit == NAMED):
        left_out.add(*note)
    table.to_parquet(part / "table.parquet")
    pd.DataFrame(left_out, columns=rejects.COLUMNS).to_csv(part / "rejects.csv", index=False)
    images = np.load(part / "images.npy", mmap_mode="r")
    meta = {
        "name": card.name,
        "title": f"Phantom of {card.title}" if phantom else card.title,
        "domain": card.domain,
        "task": card.task,
        "classes": layout.classes(root, card),
        "n": len(table),
        "size": key["size"],
        "channels": 3 if images.ndim == 4 else 1,
        "dtype": str(images.dtype),
        "files": left_out.files,
        "unreadable": len(left_out.unreadable),
        "left_out": sum(kind == "rule" for *_, kind in left_out),  # kind "note" is in the store
        "patients": unit,
        "copies": copies.count(table, near, unit == NAMED),
        "phantom": phantom,
        "key": key,
    }
    (part / "store.json").write_text(json.dumps(meta, indent=1))


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
    if told := copies.say_copies(store.meta["copies"], store.meta["n"]):
        log.warning("%s: %s", store.meta["name"], told)
