"""Resume state: everything the next epoch needs, written so that a kill leaves the old one or the new one."""

from __future__ import annotations

import errno
import io
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import nn


def save(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values to `path` atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".tmp")
    whole = io.BytesIO()  # written to a file itself, torch would hide a full disk behind a RuntimeError
    torch.save(state, whole)
    part.write_bytes(whole.getbuffer())
    os.replace(part, path)


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """Return what `save` wrote, or None where nothing was written. Holds tensors and plain values only."""
    if not path.exists():
        return None
    return torch.load(path, map_location=device, weights_only=True)


def require_room(folder: Path, model: nn.Module, copies: int = 6) -> None:
    """Raise OSError (ENOSPC) before training where weights and resume state would not fit on the disk."""
    need = copies * sum(p.numel() * p.element_size() for p in model.parameters())
    free = shutil.disk_usage(folder).free
    if free < need:
        raise OSError(
            errno.ENOSPC,
            f"a run of this model needs {need / 1e9:.2f} GB, found {free / 1e9:.2f} GB",
            str(folder),
        )
