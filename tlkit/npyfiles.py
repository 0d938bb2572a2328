"""Files of numpy arrays (.npy) that grow, are joined, and are read by rows."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import BinaryIO

import numpy as np


class NpyWriter:
    """An .npy file that grows by one array of the same shape and dtype at a time.

    Plain writes, not a memory map: a full disk is then an error and not the end of the process. The header is
    written again at the end; numpy pads it so that its length does not depend on the number of rows.
    """

    def __init__(self, path: Path, sample: np.ndarray):
        self.shape, self.dtype, self.n = sample.shape, sample.dtype, 0
        self.file = path.open("wb")
        self._header()
        self.start = self.file.tell()

    def append(self, array: np.ndarray) -> None:
        """Write the next row, an array of the dtype and shape of the first."""
        _check_kind((self.dtype, self.shape), (array.dtype, array.shape))
        self.file.write(np.ascontiguousarray(array).data)
        self.n += 1

    def finish(self) -> None:
        """Write the number of rows into the header, and close the file once it is on the disk."""
        self.file.seek(0)
        self._header()
        if self.file.tell() != self.start:
            raise AssertionError("the .npy header changed its length")
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()

    def _header(self) -> None:
        head = np.lib.format.header_data_from_array_1_0(np.empty((0, *self.shape), self.dtype))
        np.lib.format.write_array_header_1_0(self.file, head | {"shape": (self.n, *self.shape)})


def join_rows(files: list[Path], target: Path) -> None:
    """Write the rows of the .npy files, which `NpyWriter` wrote, to `target`; the files stay, for the next try.

    A single file is the target too, by a hard link, where the file system has them.
    """
    if len(files) == 1:
        try:
            os.link(files[0], target)
        except OSError:  # exFAT, some network mounts
            shutil.copyfile(files[0], target)
        return
    writer = None
    for file in files:
        with file.open("rb") as more:
            (rows, *shape), dtype = _read_header(more)
            writer = writer or NpyWriter(target, np.empty(shape, dtype))
            _check_kind((writer.dtype, writer.shape), (dtype, tuple(shape)))
            shutil.copyfileobj(more, writer.file, 2**24)
        writer.n += rows
    writer.finish()


def _read_header(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    np.lib.format.read_magic(file)
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    return shape, dtype


def _check_kind(expected: tuple[np.dtype, tuple[int, ...]], found: tuple[np.dtype, tuple[int, ...]]) -> None:
    if found != expected:
        raise ValueError("one store holds one kind of image: expected {} {}, found {} {}".format(*expected, *found))


def read_rows(array: np.memmap, file: int, index: np.ndarray) -> np.ndarray:
    """Return a copy of `array[index]`, read from the open file descriptor and not through the map.

    Pages of a map, and their neighbours, count as memory of the process once they are touched, so an epoch
    would grow by the store's size; read calls leave them in the system's cache. One call a run of neighbours.
    """
    if not hasattr(os, "preadv"):  # Windows
        return np.take(np.asarray(array), index, axis=0)
    out = np.empty((len(index), *array.shape[1:]), array.dtype)
    row, flat = array[:1].nbytes, memoryview(out.reshape(-1).view(np.uint8))
    starts = np.flatnonzero(np.diff(index, prepend=-2) != 1).tolist()
    for start, stop in zip(starts, [*starts[1:], len(index)], strict=False):
        target, offset = flat[start * row : stop * row], array.offset + int(index[start]) * row
        while len(target):  # a call may return less than was asked for
            n = os.preadv(file, [target], offset)
            if n == 0:
                raise EOFError(f"{array.filename} ends early: it was cut or replaced while open")
            target, offset = target[n:], offset + n
    return out
