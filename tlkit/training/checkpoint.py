"""Resume state: everything the next epoch needs, written so that a kill leaves the old one or the new one."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tlkit import files
from tlkit.runfolder import RunDamagedError

DIGEST = 32  # bytes of SHA-256 before the torch file: torch does not notice a flipped bit


def save(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values to `path` atomically."""
    whole = io.BytesIO(bytes(DIGEST))  # written to a file itself, torch would hide a full disk behind a RuntimeError
    whole.seek(DIGEST)
    torch.save(state, whole)
    with whole.getbuffer() as data:
        data[:DIGEST] = hashlib.sha256(data[DIGEST:]).digest()
        files.write_bytes(path, data)


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """Return what `save` wrote, or None where nothing was written. Holds tensors and plain values only.

    Raises: RunDamagedError where the file is not as it was written.
    """
    if not path.exists():
        return None
    data = path.read_bytes()
    if hashlib.sha256(memoryview(data)[DIGEST:]).digest() != data[:DIGEST]:
        raise unusable(path, f"is damaged ({'its bytes changed' if data else 'empty'})")
    return torch.load(io.BytesIO(data[DIGEST:]), map_location=device, weights_only=True)


def unusable(path: Path, why: str) -> RunDamagedError:
    """Return the error for a resume state that training cannot go on from."""
    return RunDamagedError(f"{path} {why}. Delete it to start the epoch count anew.")


def require_room(folder: Path, model: nn.Module, copies: int = 8) -> None:
    """Raise DiskSpaceError before training where weights and resume state would not fit on the disk."""
    need = copies * sum(p.numel() * p.element_size() for p in model.parameters())
    files.require_room(folder, need, "a run of this model")
