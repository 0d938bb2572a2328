"""Weights from files, with an account of what fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import torch
from torch import Tensor, nn

from tlkit.config import TlkitError
from tlkit.files import write_bytes
from tlkit.models.key_rules import Rule, renamer
from tlkit.models.weight_files import WeightsFileError, read_tensors, weights_hash

__all__ = [
    "LoadReport", "WeightsFileError", "WeightsMismatchError", "load_encoder", "read_tensors", "save_weights",
    "weights_hash",
]  # fmt: skip

PREFIXES = ("module.", "_orig_mod.", "model.", "encoder.", "backbone.")
CANDIDATES = (  # what a file that does not fit is tried on, without memory for any weight
    "resnet10", "unet", "torchvision/resnet18", "torchvision/resnet34", "torchvision/resnet50", "torchvision/vgg16",
    "torchvision/efficientnet_b3", "torchvision/efficientnet_b4", "torchvision/inception_v3",
    "torchvision/densenet121", "torchvision/mobilenet_v3_small", "torchvision/mobilenet_v3_large",
    "tf_efficientnet_lite0",
)  # fmt: skip
MOST_EXCESS = 0.1  # of the tensors that fit; MobileNet's last layer is an excess of two


@dataclass(frozen=True)
class LoadReport:
    """What of a weights file fitted an encoder: names of tensors; shapes are (name, in file, in encoder).

    `excess` are those of `unexpected` that belong to a part which the encoder has, but smaller: the third block of a
    stage of two. `repeated` are equal tensors that the file holds once more under another name.
    """

    path: str
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    wrong_shape: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    repeated: tuple[str, ...] = ()
    excess: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Share of the encoder's tensors that the file filled, 0 to 1 (BatchNorm's step counters aside)."""
        counted = [n for n in self.matched if not _counter(n)]
        failed = [n for n in self.missing if not _counter(n)]
        return len(counted) / max(1, len(counted) + len(failed) + len(self.wrong_shape))

    def fits(self, minimum: float) -> bool:
        """Tell whether the file is of this architecture: enough is filled, and it has not many blocks more."""
        return self.share >= minimum and len(self.excess) <= MOST_EXCESS * len(self.matched)

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
            "there twice": self.repeated,
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
    """Too little of the file fits the encoder; `.report` says what did, `.better` names the encoder that it fits."""

    def __init__(self, report: LoadReport, minimum: float, better: str | None = None):
        advice = f" It fits '{better}': take that backbone, or the file of this one." if better else ""
        many = f" and at most {MOST_EXCESS:.0%} more ({len(report.excess)} found)" if report.excess else ""
        super().__init__(
            f"expected at least {minimum:.0%} of the encoder's tensors in the file{many}; is it from the same "
            f"architecture?{advice}\n{report}"
        )
        self.report, self.better = report, better


def _counter(name: str) -> bool:
    return name.endswith("num_batches_tracked")  # files from before torch 0.4.1 lack it


def load_encoder(encoder: nn.Module, path: str | Path, minimum: float = 0.9, rules: Sequence[Rule] = ()) -> LoadReport:
    """Fill `encoder` from a weights file (see `read_tensors`) and report what fitted.

    Names are put through `rules` (see key_rules); then prefixes such as "module.", "model." or "encoder." come off
    where needed. Heads and decoders are listed as unexpected.
    Raises WeightsMismatchError, with the encoder untouched, where less than the share `minimum` fits, or where the
    file is of a deeper network of the same family. Raises WeightsFileError, FileNotFoundError.
    """
    tensors = read_tensors(path)
    report, fitting = _compare(tensors, encoder, rules, str(path))
    if not report.fits(minimum):
        raise WeightsMismatchError(report, minimum, fitting_backbone(tensors, rules, minimum))
    encoder.load_state_dict(fitting, strict=False)
    return report


def _compare(
    tensors: Mapping[str, Tensor], encoder: nn.Module, rules: Sequence[Rule], path: str
) -> tuple[LoadReport, dict[str, Tensor]]:
    """Return the report, and the tensors that fit by their names in the encoder."""
    target, rename = encoder.state_dict(), renamer(rules, encoder)
    parts = {name.partition(".")[0] for name in target}
    fitting: dict[str, Tensor] = {}
    unexpected, repeated, excess = [], [], []
    wrong: dict[str, tuple[str, tuple[int, ...], tuple[int, ...]]] = {}
    for key, tensor in tensors.items():
        name = _strip(rename(key), target)
        if name in fitting and torch.equal(tensor, fitting[name]):
            repeated.append(key)
        elif name not in target or name in fitting:
            unexpected.append(key)
            if name.partition(".")[0] in parts:
                excess.append(key)
        elif tensor.shape != target[name].shape:
            wrong[name] = (name, tuple(tensor.shape), tuple(target[name].shape))
        else:
            fitting[name] = tensor
    shapes = tuple(v for k, v in wrong.items() if k not in fitting)
    missing = tuple(n for n in target if n not in fitting and n not in wrong)
    matched = tuple(n for n in target if n in fitting)
    return LoadReport(path, matched, missing, tuple(unexpected), shapes, tuple(repeated), tuple(excess)), fitting


def fitting_backbone(tensors: Mapping[str, Tensor], rules: Sequence[Rule] = (), minimum: float = 0.9) -> str | None:
    """Return which of CANDIDATES the tensors fit best, or None where they fit none."""
    from tlkit.models.backbones import backbone

    shares = {}
    for name in CANDIDATES:
        with torch.device("meta"):
            report, _ = _compare(tensors, backbone(name), rules, "")
        if report.fits(minimum):
            shares[name] = report.share
    return max(shares, key=shares.get, default=None)


def _strip(key: str, target: Mapping[str, Tensor]) -> str:
    while key not in target:
        prefix = next((p for p in PREFIXES if key.startswith(p)), None)
        if prefix is None:
            break
        key = key.removeprefix(prefix)
    return key


def save_weights(module: nn.Module, path: str | Path) -> Path:
    """Write the state dict of `module` as safetensors: whole under its name, or not at all."""
    from safetensors.torch import save

    # contiguous and cloned: safetensors takes neither channels_last nor tied tensors
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in module.state_dict().items()}
    write_bytes(Path(path), save(tensors))  # its own writer does not report a full disk as OSError
    return Path(path)
