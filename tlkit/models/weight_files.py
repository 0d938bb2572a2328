"""Reading the weights files of others: tensors come out, and none of their code is executed."""

from __future__ import annotations

import gzip
import pickle
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from tlkit import plugins
from tlkit.config import TlkitError
from tlkit.files import sha256

WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "encoder")  # what others save around it
OTHERS = ("optimizer", "optim", "scaler", "scheduler", "lr_sched", "loops", "callbacks", "hyper_parameters")  # no model
SAVE = "Where you trust it, save its state_dict() with tlkit.models.save_weights."
SUFFIXES = (".pth", ".pt", ".ckpt", ".bin", ".safetensors")  # of the member of an archive that holds the weights


class WeightsFileError(TlkitError, ValueError):
    """A weights file that is damaged, unsafe to read, or holds no tensors."""


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Return the named tensors of a weights file, on the CPU: safetensors, a torch file, or an archive of one.

    Of a torch file nothing but tensors and plain values is read (`weights_only`; a whole model by the names of its
    tensors, without its code, see `boxed`), and of a training checkpoint the model alone. Of several models in one
    file (`student`, `teacher`) each tensor has the model's name before its own. From a .tar.gz the one weights file is
    copied out; nothing is unpacked under a name of the archive's choice. Names of transformers become timm's.
    Raises WeightsFileError, FileNotFoundError.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no weights file at {path}")
    if path.name.endswith((".tar.gz", ".tgz")) or tarfile.is_tarfile(path):
        with _member(path) as (name, copy):
            found = {k: v.clone() for k, v in _read(copy, f"{path.name}/{name}").items()}
    else:
        found = _read(path, path.name)
    return plugins.huggingface().as_timm(found)


def _read(path: Path, title: str) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise _damaged(title, error) from error
    found = _unpickled(path, title)
    tensors = _tensors(found)
    if not tensors:
        raise WeightsFileError(f"{title} has no named tensors; expected a state_dict, or one under {WRAPPERS}.")
    return tensors


def _unpickled(path: Path, title: str) -> Any:
    """Return what a torch file holds: tensors and plain values, else with other objects as empty boxes."""
    try:  # memory-mapped, a checkpoint's optimiser state is never read
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        first = error
    except OSError:
        raise
    except Exception as error:  # damaged bytes can make the reader fail in any way
        if "TorchScript" in str(error):
            raise WeightsFileError(f"{title} is a TorchScript program. {SAVE}") from error
        raise _damaged(title, error) from error
    try:
        return plugins.boxed().load_boxed(path)
    except OSError:
        raise
    except Exception as error:
        reason = str(error if isinstance(error, pickle.UnpicklingError) else first).splitlines() or [""]
        raise WeightsFileError(
            f"{title} holds more than tensors, and nothing else is read from others (or it is damaged, or no weights "
            f"file). {SAVE} ({reason[0]})"
        ) from error


def _tensors(found: Any) -> dict[str, Tensor]:
    """Return the tensors of nested mappings and modules with the names of all levels; of a wrapper what it wraps.

    What has other keys than names is no model but the state of an optimiser.
    """
    parts = plugins.boxed().parts
    inside = parts(found) or {}
    if not all(isinstance(k, str) for k in inside):
        return {}
    for name in WRAPPERS:
        if parts(inside.get(name)) is not None and (wrapped := _tensors(inside[name])):
            return wrapped
    flat = {k: v.detach() for k, v in inside.items() if isinstance(v, Tensor)}
    for name, part in inside.items():
        if not name.startswith(OTHERS) and parts(part) is not None:
            flat |= {f"{name}.{k}": v for k, v in _tensors(part).items()}
    return flat


def _damaged(title: str, error: Exception) -> WeightsFileError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return WeightsFileError(f"{title} is damaged or no weights file: download it again, whole. ({reason})")


@contextmanager
def _member(path: Path) -> Iterator[tuple[str, Path]]:
    """Copy the one weights file of a tar archive into a folder of its own; yield its name there and the copy."""
    with tempfile.TemporaryDirectory(prefix="tlkit-weights-") as folder:
        try:
            with tarfile.open(path) as archive:
                member = _only(archive.getmembers(), path.name)
                copy = Path(folder, "weights").with_suffix(PurePosixPath(member.name).suffix)
                with archive.extractfile(member) as source, open(copy, "wb") as target:
                    shutil.copyfileobj(source, target)
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise _damaged(path.name, error) from error
        yield member.name, copy


def _only(members: list[tarfile.TarInfo], title: str) -> tarfile.TarInfo:
    """Return the one weights file among the members; refuse links, devices and names that lead out of the archive."""
    for m in members:
        name = PurePosixPath(m.name)
        if name.is_absolute() or ".." in name.parts or not (m.isfile() or m.isdir()):
            raise WeightsFileError(f"{title} is refused: its member '{m.name}' is no plain file inside the archive.")
    names = {m.name: m for m in members if m.isfile()}
    found = [n for n in names if n.endswith(SUFFIXES) and not PurePosixPath(n).name.startswith(".")]
    if len(found) != 1:
        held = ", ".join(sorted(names)[:5]) or "nothing"
        raise WeightsFileError(f"{title}: expected one file ({', '.join(SUFFIXES)}) in the archive, found {held}.")
    return names[found[0]]


def weights_hash(path: str | Path) -> str:
    """Return the SHA-256 of the file, 64 hex digits: what a run's config records about its start weights."""
    return sha256(Path(path))
