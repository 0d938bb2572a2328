"""A store in shards: what was decoded of a large data set before a kill is not decoded again.

A shard is a folder `.<store>.shards/<number>/`: images.npy and masks.npy, rows.parquet (which samples they are, what is
known of each), looks.npy (`copies.look`) and rejects.csv. They are joined to the store when all are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from tlkit.datasets import copies, decoding, rejects
from tlkit.datasets.cards import DataCard
from tlkit.datasets.layout import layout_of
from tlkit.datasets.rejects import Rejects, StoreError
from tlkit.files import FULL, DiskSpaceError, building, require_room
from tlkit.npyfiles import NpyWriter, join_rows
from tlkit.progress import track

ROWS = 50_000  # of a shard, about: some minutes of decoding


def cut(samples: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the samples of each shard; the rows of a file stay together."""
    first = decoding.find_starts(samples)
    ends = first[np.searchsorted(first, np.arange(ROWS, samples.index.size, ROWS)).clip(max=len(first) - 1)]
    return [samples.iloc[a:b] for a, b in pairwise([0, *np.unique(ends), len(samples)])]


def make_shards(
    folder: Path,
    root: Path,
    card: DataCard,
    samples: pd.DataFrame,
    left_out: Rejects,
    size: int,
    workers: int | None,
    share: tuple[int, int] = (0, 1),
) -> list[Path]:
    """Decode the shards that are not there below `folder` to `size` px, and return their folders in order.

    `left_out` gets what is rejected. `share`: see `build_store`.
    """
    shards = {folder / f"{i:05d}": part for i, part in enumerate(cut(samples))}
    mine = dict(list(shards.items())[share[0] :: share[1]])
    todo = [part for path, part in mine.items() if not path.is_dir()]
    wanted = samples if len(todo) == len(shards) else pd.concat([samples[:0], *todo])
    decoded = decoding.decode(layout_of(card), root, wanted, card, size, workers)
    with closing(decoded), _disk_errors(folder):
        stream = iter(track(decoded, len(decoding.find_starts(wanted)), f"{card.name}: decode", "file"))
        for path, part in mine.items():
            if path.is_dir():
                left_out.extend(pd.read_csv(path / "rejects.csv"))
                continue
            with building(path) as aside:
                if aside:
                    _write(aside, card, part, stream, left_out, len(samples))
    return list(mine)


def _write(
    part: Path, card: DataCard, samples: pd.DataFrame, decoded: Iterator[tuple], left_out: Rejects, total: int
) -> None:
    """Write a shard of a store of `total` rows into the folder `part`, from the next files of `decoded`."""
    writers: dict[str, NpyWriter] = {}
    kept, counts, seen, before = [], [], copies.Gathered(), len(left_out)
    count = len(decoding.find_starts(samples))
    for rows, (images, masks, error, *told) in zip(decoding.split_files(samples), islice(decoded, count), strict=True):
        if error:
            left_out.add(rows["path"].iloc[0], error, "unreadable")
            continue
        for note in filter(None, told):
            left_out.add(rows["path"].iloc[0], note, "note")
        for i, image, mask in zip(rows.index, images, masks, strict=True):
            if isinstance(image, str):
                where = f" (slice {rows.at[i, 'frame']})" if len(rows) > 1 else ""
                left_out.add(rows.at[i, "path"], image + where, "rule")
                continue
            arrays = {"images": image} if mask is None else {"images": image, "masks": mask}
            if not kept:
                require_room(part, total * sum(a.nbytes for a in arrays.values()), "the store")
                writers = {k: NpyWriter(part / f"{k}.npy", a) for k, a in arrays.items()}
            for k, writer in writers.items():
                writer.append(arrays[k])
            seen.add(image)
            kept.append(i)
            counts.append(decoding.count_mask(mask, card))
    for writer in writers.values():
        writer.finish()
    np.save(part / "looks.npy", np.array(seen.looks, np.uint8).reshape(-1, copies.LOOK))
    rows = pd.DataFrame(counts, index=pd.Index(kept, dtype="int64", name="row"))
    rows.assign(pixels=np.array(seen.pixels, "int64")).to_parquet(part / "rows.parquet")
    pd.DataFrame(left_out[before:], columns=rejects.COLUMNS).to_csv(part / "rejects.csv", index=False)


def join(shards: list[Path], part: Path) -> pd.DataFrame:
    """Join the arrays of the shards in the folder `part`, and return what is known of each row, by its sample."""
    for name in ("images", "masks"):
        if there := [path / f"{name}.npy" for path in shards if (path / f"{name}.npy").is_file()]:
            with _disk_errors(part):
                join_rows(there, part / f"{name}.npy")
    return pd.concat([pd.read_parquet(path / "rows.parquet") for path in shards])


def read_looks(shards: list[Path]) -> np.ndarray:
    """Return the looks of all rows, uint8 [N,32]."""
    return np.concatenate([np.load(path / "looks.npy") for path in shards])


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Say what to do where the disk is too small."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL or isinstance(error, DiskSpaceError):
            raise
        raise StoreError(
            f"no space for the store in {folder.parent} ({error.strerror}); nothing was kept of what was at work, and "
            f"of whole shards all. Free some, choose a smaller size, or set TLKIT_RUNS to a folder on a larger disk."
        ) from error
