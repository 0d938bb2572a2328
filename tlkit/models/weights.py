"""Weights from files, with an account of what fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tlkit import plugins
from tlkit.config import TlkitError, lookup
from tlkit.files import write_bytes
from tlkit.models.key_rules import Rule, renamer
from tlkit.models.parts import choose_stem, first_convolution, regrid
from tlkit.models.weight_files import WeightsFileError, read_tensors, weights_hash

__all__ = [
    "LoadReport", "WeightsFileError", "WeightsMismatchError", "load_encoder", "read_tensors", "save_weights",
    "weights_hash",
]  # fmt: skip

PREFIXES = ("module.", "_orig_mod.", "model.", "encoder.", "backbone.")
MOST_EXCESS = 0.1  # of the tensors that fit; MobileNet's last layer is an excess of two
STEMS = ("", "repeat", "sum")
COUNTER = "num_batches_tracked"  # of BatchNorm: files from before torch 0.4.1 lack it
POSITIONS = ("pos_embed", "pos_embedding")  # how the names of a ViT's positions end
NAMED = 10  # tensors that an error lists


@dataclass(frozen=True)
class LoadReport:
    """What of a weights file fitted an encoder: names of tensors; shapes are (name, in file, in encoder).

    BatchNorm's step counters, which old files lack and no output needs, are not counted. `excess` are those of
    `unexpected` that belong to a part which the encoder has, but smaller: the third block of a stage of two.
    `repeated` are equal tensors that the file holds once more under another name. `stem` says how the first
    convolution was brought to the encoder's channels; "" where it had them. So does `positions` of a ViT's positions.
    """

    path: str
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    wrong_shape: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    repeated: tuple[str, ...] = ()
    excess: tuple[str, ...] = ()
    stem: str = ""
    positions: str = ""

    @property
    def random(self) -> tuple[str, ...]:
        """The encoder's tensors that the file did not fill: they stay as they were."""
        return (*self.missing, *(name for name, _, _ in self.wrong_shape))

    @property
    def deeper(self) -> bool:
        """Tell whether the file is of a larger network of the same family."""
        return len(self.excess) > MOST_EXCESS * len(self.matched)

    @property
    def whole(self) -> bool:
        """Tell whether the file fills every tensor of the encoder, and is not of a larger network."""
        return not self.random and not self.deeper

    @property
    def title(self) -> str:
        """How much of the encoder was loaded, in a line."""
        count = f"{len(self.matched)} of {len(self.matched) + len(self.random)}"
        stays = f"; {len(self.random)} stayed random" if self.random else ""
        brought = {"first convolution": self.stem, "positions": self.positions}
        more = "".join(f"; {what}: {how}" for what, how in brought.items() if how)
        return f"{Path(self.path).name}: {count} of the encoder's tensors loaded{stays}{more}"

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
    """The file does not fill the encoder; `.report` says what fits, `.better` names the encoder that it fits."""

    def __init__(self, report: LoadReport, advice: str, better: str | None = None):
        names = ", ".join(report.random[:NAMED]) + (" ..." if len(report.random) > NAMED else "")
        found = [f"{len(report.random)} are not filled: {names}."] if report.random else []
        found += [f"The file has {len(report.excess)} tensors more of the same parts."] if report.deeper else []
        expected = "expected every tensor of the encoder in the file; is it from the same architecture?"
        super().__init__(" ".join([expected, *found, advice]) + f"\n{report}")
        self.report, self.better = report, better


def load_encoder(
    encoder: nn.Module,
    path: str | Path,
    rules: Sequence[Rule] = (),
    *,
    partial: bool = False,
    stem: str = "",
    prefix: str = "",
) -> LoadReport:
    """Fill `encoder` from a weights file (see `read_tensors`) and report what fitted.

    Of a file with several models only the tensors whose names begin with `prefix` are looked at. Names are put through
    `rules` (see key_rules); then prefixes such as "module.", "model." or "encoder." come off where needed. Heads and
    decoders are listed as unexpected. `partial` takes a file that fills only a part; the rest stays as it is, and the
    report names it. `stem` brings a first convolution of other channels to the encoder's: "repeat" writes the weights
    of one channel for each of the encoder's, divided by their number, so that a grey image written that often gives the
    same output; "sum" adds those of several up for an encoder of one.
    Raises WeightsMismatchError, with the encoder untouched, where a tensor is not filled or the file is of a deeper
    network of the same family (with `partial`: where nothing fits), or where `stem` does not suit the file. Raises
    UnknownNameError for another `stem`, WeightsFileError, FileNotFoundError.
    """
    lookup(stem, dict.fromkeys(STEMS), "stem")
    tensors = read_tensors(path)
    report, fitting = compare(tensors, encoder, rules, str(path), stem, prefix)
    if not report.matched or (stem and not report.stem) or not (partial or report.whole):
        advice, better = _stem_advice(report, encoder, stem), None
        if not advice:
            found = plugins.recognise().best(tensors)
            better = found.backbone if found and found.whole else None
            advice = _advice(report, found if better else None)
        raise WeightsMismatchError(report, advice, better)
    encoder.load_state_dict(fitting, strict=False)
    return report


def _stem_advice(report: LoadReport, encoder: nn.Module, stem: str) -> str:
    """Return what helps where the first convolution alone is wrong, or `stem` does not suit it; "" otherwise."""
    first = first_convolution(encoder)
    found, wanted = next(((a, b) for name, a, b in report.wrong_shape if name == first), ((), ()))
    if stem and not report.stem:
        shapes = f"{found} for {wanted}" if found else "of the encoder's shape, or not in the file"
        return f"stem='{stem}' does not suit its first convolution, which is {shapes}."
    suits = choose_stem(found, wanted)
    if not suits or report.random != (first,) or report.deeper:
        return ""
    return (
        f"Its first convolution takes {found[1]} channels, the encoder's {wanted[1]}: say stem='{suits}' on its card "
        "or to load_encoder."
    )


def _advice(report: LoadReport, found: Any) -> str:
    if found and (found.rules or _strip(found.prefix, {"": None})):
        return f"It fits '{found.backbone}' with {found.said}: say so beside `file`, or take that backbone."
    if found:
        return f"It fits '{found.backbone}': take that backbone, or the file of this one."
    if not report.matched:
        return "No name fits: take another backbone, or give `rules` from the file's names to the encoder's."
    return "Say `partial` (of load_encoder, on the card, or beside `weights` in the study) to start the rest at random."


def _adapted(tensor: Tensor, inputs: int, stem: str) -> Tensor:
    if stem == "sum":
        return tensor.sum(dim=1, keepdim=True)
    return (tensor / inputs).repeat(1, inputs, 1, 1)


def compare(
    tensors: Mapping[str, Tensor],
    encoder: nn.Module,
    rules: Sequence[Rule],
    path: str,
    stem: str = "",
    prefix: str = "",
) -> tuple[LoadReport, dict[str, Tensor]]:
    """Return the report of `load_encoder`, and the tensors that fit by their names in the encoder, which is left."""
    target, rename = encoder.state_dict(), renamer(rules, encoder)
    parts, first = {name.partition(".")[0] for name in target}, first_convolution(encoder)
    fitting: dict[str, Tensor] = {}
    unexpected, repeated, excess, made, positions = [], [], [], "", ""
    wrong: dict[str, tuple[str, tuple[int, ...], tuple[int, ...]]] = {}
    for key, tensor in tensors.items():
        if not key.startswith(prefix):
            unexpected.append(key)
            continue
        name = _strip(rename(key.removeprefix(prefix)), target)
        if name == first and stem and stem == choose_stem(tensor.shape, target[name].shape):
            made = f"{tensor.shape[1]} channels to {target[name].shape[1]} ({stem})"
            tensor = _adapted(tensor, target[name].shape[1], stem)
        other_grid = name.endswith(POSITIONS) and name in target and tensor.shape != target[name].shape
        if other_grid and (moved := regrid(tensor, target[name].shape)) is not None:
            positions = f"{tensor.shape[1]} to {moved.shape[1]} (interpolated)"
            tensor = moved
        if name in fitting and torch.equal(tensor, fitting[name]):
            repeated.append(key)
        elif name not in target or name in fitting:
            unexpected.append(key)
            if name.partition(".")[0] in parts and not name.endswith(COUNTER):
                excess.append(key)
        elif tensor.shape != target[name].shape:
            wrong[name] = (name, tuple(tensor.shape), tuple(target[name].shape))
        else:
            fitting[name] = tensor
    shapes = tuple(v for k, v in wrong.items() if k not in fitting)
    counted = [n for n in target if not n.endswith(COUNTER)]
    missing = tuple(n for n in counted if n not in fitting and n not in wrong)
    matched = tuple(n for n in counted if n in fitting)
    left = (tuple(unexpected), shapes, tuple(repeated), tuple(excess))
    return LoadReport(path, matched, missing, *left, made, positions), fitting


def _strip(key: str, target: Mapping[str, Any]) -> str:
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
