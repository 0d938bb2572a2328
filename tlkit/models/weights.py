"""Weights from files, with an account of what fitted."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

import torch
from torch import Tensor, nn

from tlkit.config import TlkitError

WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "encoder")  # what others save around it
PREFIXES = ("module.", "_orig_mod.", "model.", "encoder.", "backbone.")


@dataclass(frozen=True)
class LoadReport:
    """What of a weights file fitted an encoder: names of tensors; shapes are (name, in file, in encoder)."""

    path: str
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    wrong_shape: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]

    @property
    def share(self) -> float:
        """Share of the encoder's tensors that the file filled, 0 to 1 (BatchNorm's step counters aside)."""
        counted = [n for n in self.matched if not _counter(n)]
        failed = [n for n in self.missing if not _counter(n)]
        return len(counted) / max(1, len(counted) + len(failed) + len(self.wrong_shape))

    @property
    def title(self) -> str:
        return f"{Path(self.path).name}: {self.share:.1%} of the encoder's tensors loaded"

    def rows(self) -> list[tuple[str, int, str]]:
        """Return (what, count, examples) for display."""
        shapes = [f"{n} {a} for {b}" for n, a, b in self.wrong_shape]
        named = {
            "matched": self.matched,
            "missing in the file": self.missing,
            "of another shape": shapes,
            "not in the encoder": self.unexpected,
        }
        return [(k, len(v), ", ".join(v[:3]) + (" ..." if len(v) > 3 else "")) for k, v in named.items()]

    def __str__(self) -> str:
        lines = [f"  {what:<20}{count:>5}  {examples}" for what, count, examples in self.rows()]
        return "\n".join([self.title, *lines])

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><td>{w}</td><td style='text-align:right'>{c}</td><td><code>{escape(e)}</code></td></tr>"
            for w, c, e in self.rows()
        )
        header = "<tr><th></th><th>tensors</th><th>such as</th></tr>"
        return f"<table><caption>{escape(self.title)}</caption>{header}{cells}</table>"


class WeightsMismatchError(TlkitError, ValueError):
    """Too little of the file fits the encoder; `.report` says what did."""

    def __init__(self, report: LoadReport, minimum: float):
        super().__init__(
            f"expected at least {minimum:.0%} of the encoder's tensors in the file; is it from the same "
            f"architecture?\n{report}"
        )
        self.report = report


def _counter(name: str) -> bool:
    return name.endswith("num_batches_tracked")  # files from before torch 0.4.1 lack it


def load_encoder(encoder: nn.Module, path: str | Path, minimum: float = 0.9) -> LoadReport:
    """Fill `encoder` from a weights file and report what fitted.

    Reads safetensors, or torch files without executing their pickle. Wrapping dicts and prefixes
    ("module.", "encoder.", "backbone." ...) are taken off; heads and decoders are listed as unexpected.
    Raises WeightsMismatchError, with the encoder untouched, where less than the share `minimum` fits.
    """
    target = encoder.state_dict()
    fitting: dict[str, Tensor] = {}
    unexpected: list[str] = []
    wrong: dict[str, tuple[str, tuple[int, ...], tuple[int, ...]]] = {}
    for key, tensor in read_tensors(path).items():
        name = _strip(key, target)
        if name not in target or name in fitting:
            unexpected.append(key)
        elif tensor.shape != target[name].shape:
            wrong[name] = (name, tuple(tensor.shape), tuple(target[name].shape))
        else:
            fitting[name] = tensor
    shapes = tuple(v for k, v in wrong.items() if k not in fitting)
    missing = tuple(n for n in target if n not in fitting and n not in wrong)
    matched = tuple(n for n in target if n in fitting)
    report = LoadReport(str(path), matched, missing, tuple(unexpected), shapes)
    if report.share < minimum:
        raise WeightsMismatchError(report, minimum)
    encoder.load_state_dict(fitting, strict=False)
    return report


def _strip(key: str, target: Mapping[str, Tensor]) -> str:
    while key not in target:
        prefix = next((p for p in PREFIXES if key.startswith(p)), None)
        if prefix is None:
            break
        key = key.removeprefix(prefix)
    return key


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Return the named tensors of a safetensors or torch file, on the CPU; none of its code is executed."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no weights file at {path}")
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path.name} holds more than tensors, and nothing else is read from others. Where you trust it, "
            f"save its state_dict() with tlkit.models.save_weights. ({str(error).splitlines()[0]})"
        ) from error
    while isinstance(found, Mapping) and (inner := _wrapped(found)) is not None:
        found = inner
    tensors = {k: v for k, v in found.items() if isinstance(v, Tensor)} if isinstance(found, Mapping) else {}
    if not tensors:
        raise ValueError(f"{path.name} has no named tensors; expected a state_dict, or one under {WRAPPERS}.")
    return tensors


def _wrapped(found: Mapping) -> Mapping | None:
    return next((found[k] for k in WRAPPERS if isinstance(found.get(k), Mapping)), None)


def save_weights(module: nn.Module, path: str | Path) -> Path:
    """Write the state dict of `module` as safetensors: whole under its name, or not at all."""
    from safetensors.torch import save

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        # contiguous and cloned: safetensors takes neither channels_last nor tied tensors
        tensors = {k: v.detach().cpu().contiguous().clone() for k, v in module.state_dict().items()}
        part.write_bytes(save(tensors))  # its own writer does not report a full disk as OSError
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def weights_hash(path: str | Path) -> str:
    """Return the SHA-256 of the file, 64 hex digits: what a run's config records about its start weights."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
