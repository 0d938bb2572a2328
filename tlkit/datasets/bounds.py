"""What one file may cost, and how it may fail: by an UnreadableFile, whatever is in it.

Readers say what they need by the size that a header announces, before anything is decoded or unpacked.
"""

from __future__ import annotations

import math
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tlkit.config import ConfigError
from tlkit.datasets.cards import UnreadableFile

FILE_GB = 1.0  # memory that reading one file may take, unless TLKIT_FILE_GB says otherwise
PIECE = 1 << 20  # bytes unpacked at a time


def allowed() -> float:
    """Return the bytes of memory that one file may take; raise ConfigError where TLKIT_FILE_GB is no such number."""
    said = os.environ.get("TLKIT_FILE_GB", "").strip() or FILE_GB
    try:
        most = float(said) * 1e9
    except ValueError:
        most = math.nan
    if not 0 < most < math.inf:
        raise ConfigError(f"TLKIT_FILE_GB is '{said}'; expected a number of GB above 0, such as {FILE_GB:g}.")
    return most


def identity() -> dict[str, Any]:
    """Return what decides which files are read, besides the files: the bound where it is not the usual one."""
    return {} if allowed() == FILE_GB * 1e9 else {"file_gb": allowed() / 1e9}


def check_need(need: float) -> None:
    """Raise UnreadableFile where reading a file takes more than `allowed` bytes of memory."""
    if not need <= (most := allowed()):
        told = f"{need / 1e9:,.1f} GB" if math.isfinite(need) else "any memory"
        raise UnreadableFile(f"needs {told}; at most {most / 1e9:g} GB are allowed for one file: raise TLKIT_FILE_GB")


def check_regular(file: Path) -> int:
    """Return the size of a file in bytes; raise UnreadableFile for what would wait or never end: pipes, devices."""
    try:
        facts = os.stat(file)
    except OSError as error:
        raise UnreadableFile(f"{type(error).__name__}: {error.strerror}") from None
    except ValueError:  # a name with a zero byte
        raise UnreadableFile("a name that no file can have") from None
    if not stat.S_ISREG(facts.st_mode):
        raise UnreadableFile("no regular file, but a folder, a pipe or a device")
    return facts.st_size


def unpacked_size(stream: BinaryIO, wbits: int, copies: int = 1) -> int:
    """Return the bytes that what is left of a stream unpacks to, keeping none of them; `wbits` as for zlib.

    Raises zlib.error for damaged data, UnreadableFile where they end early or where `copies` of them are too much.
    """
    unpacker, size = zlib.decompressobj(wbits), 0
    while not unpacker.eof:
        packed = unpacker.unconsumed_tail or stream.read(PIECE)
        if not packed:
            raise UnreadableFile(f"the packed data end early, after {size:,} bytes")
        size += len(unpacker.decompress(packed, PIECE))
        if size * copies > allowed():
            raise UnreadableFile(
                f"unpacks to more than {size / 1e6:,.0f} MB, of which reading makes {copies} copies; at most "
                f"{allowed() / 1e9:g} GB are allowed for one file: raise TLKIT_FILE_GB"
            )
    return size


def name_error(error: BaseException) -> str:
    """Return the kind of an error and nothing of its text, which may quote the file."""
    strerror = getattr(error, "strerror", None)  # of errors of the system: what, without the file's name
    return f"{type(error).__name__}: {strerror}" if strerror else type(error).__name__


def quote_error(error: BaseException) -> str:
    """Return the kind of an error and its first line, where files hold no names of persons."""
    return f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}".splitlines()[0]


@contextmanager
def reading(tell: Callable[[BaseException], str]) -> Iterator[None]:
    """Turn whatever goes wrong while one file is read into UnreadableFile, with `tell(error)` as its reason.

    The original error goes, and with its frames the arrays that they hold. Decoders written in Rust raise what is no
    Exception. Errors of settings (ConfigError) pass.
    """
    try:
        yield
    except (UnreadableFile, ConfigError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        reason = tell(error)
    else:
        return
    raise UnreadableFile(reason) from None
