"""The files of a data set, decoded to images of one size: in threads, in order, one file after the other."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from tlkit.datasets import bounds, notes
from tlkit.datasets.arrays import resize
from tlkit.datasets.cards import DataCard, UnreadableFile
from tlkit.datasets.layout import Layout

A, B = TypeVar("A"), TypeVar("B")


def decode(
    layout: Layout, root: Path, samples: pd.DataFrame, card: DataCard, size: int, workers: int | None
) -> Iterator[tuple]:
    """Yield (images, masks, error, *notes) of each file of `samples` at `size` px, in order.

    `workers` decode at the same time (default: 4 at most); a layout with a `read` of its own decodes with that.
    """
    if layout.read:
        return layout.read(root, samples, card, size, workers)
    read = partial(_read_file, layout, root, card, size)
    return _in_order(read, split_files(samples), workers or min(4, os.cpu_count() or 1))


def find_starts(samples: pd.DataFrame) -> np.ndarray:
    """Return the first row of each file (rows of one file are neighbours)."""
    path = samples["path"].to_numpy()
    return np.flatnonzero(np.r_[True, path[1:] != path[:-1]]) if len(path) else np.array([], int)


def split_files(samples: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the rows of each file; one at a time, since an archive has millions."""
    return (samples.iloc[a:b] for a, b in pairwise([*find_starts(samples), len(samples)]))


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
                note = note or ("" if isinstance(image, str) else notes.note_shape(image))
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


def count_mask(mask: np.ndarray | None, card: DataCard) -> dict[str, int]:
    """Return the pixels of each value of the stored mask that the card names a column for."""
    return {c: int(np.count_nonzero(mask == v)) for c, v in card.options.get("mask_columns", {}).items()}
