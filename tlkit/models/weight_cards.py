"""What a published weights file is, where it comes from, and how it gets into an encoder."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tlkit import paths
from tlkit.config import TlkitError, freeze
from tlkit.models.key_rules import Rule
from tlkit.models.parts import eval_mode
from tlkit.models.weight_files import WeightsFileError
from tlkit.models.weights import LoadReport, load_encoder, weights_hash

CHECK_PIXELS, CHECK_PARTS = 64, 8  # of the check image; of the features, each of which gives its mean
CHECK_TOLERANCE = 0.01  # of the length of the means


@dataclass(frozen=True)
class WeightsCard:
    """One published file of weights: licence, source, how to get it, and what it needs of encoder and input.

    `file` lies under TLKIT_WEIGHTS, or is an absolute path, or is shipped by the Python package `package`; `bytes` is
    its size about, `sha256` its first digits ("" where unknown). Input: grey or colour values brought to `input_range`
    (intensity: "range" = one scale for all images, "minmax" = of each image), then `mean` taken off and divided by
    `std`. channels="grey": one channel written three times. `size` are the pixels it was trained on. `recipe_input`
    gives all that to a run. `partial`, `stem` and `prefix` are told to `load_encoder`; `check` are features of
    `check_image`, which `check_features` holds a loaded encoder against ("" and () where the card says nothing of it).
    """

    name: str  # "source/architecture"
    title: str
    backbone: str  # a name that `backbone` takes
    licence: str
    source: str
    citation: str
    file: str
    bytes: int
    access: tuple[str, ...]
    channels: str = "RGB"  # RGB | grey
    input_range: tuple[float, float] = (0.0, 1.0)
    intensity: str = "range"  # range | minmax
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    size: int = 224
    rules: tuple[Rule, ...] = ()
    stem: str = ""  # repeat | sum, where the file's first convolution has other channels than the encoder's
    prefix: str = ""  # of the encoder's tensors, in a file of several models
    partial: bool = False  # the file fills only a part of the encoder
    check: tuple[float, ...] = ()
    sha256: str = ""
    package: str = ""


class MissingWeightsError(TlkitError, FileNotFoundError):
    """A weights file is not where it should be; says what was expected, what is there, and how to get it."""

    def __init__(self, card: WeightsCard):
        self.card = card
        root = weights_root()
        put = f"Put it at TLKIT_WEIGHTS/{card.file} (TLKIT_WEIGHTS unset: TLKIT_DATA/weights)."
        below = not Path(card.file).expanduser().is_absolute()
        numbered = "\n".join(f"  {i}. {step}" for i, step in enumerate([*card.access, *([put] if below else [])], 1))
        size = f", about {megabytes(card)} MB" if card.bytes else ""
        licence = f"Licence: {card.licence}\n" if card.licence else ""
        super().__init__(
            f"weights '{card.name}' ({card.title}) are missing.\n"
            f"Expected: {card.file}{size}{', under TLKIT_WEIGHTS' if below else ''}\n"
            f"Found: {_found(card, root)}\n"
            f"{licence}"
            f"To get it (nothing is ever downloaded by itself):\n{numbered}\n"
            f"`python -m tlkit data` lists data sets and weights with a card, and whether they are present."
        )


def own_weights(said: dict[str, Any], backbone: str = "") -> WeightsCard:
    """Return the card of weights that a study names as `{file: PATH, ...}`; what it does not say stays empty."""
    known = {f.name for f in fields(WeightsCard)}
    told = {k: freeze(v) for k, v in said.items() if k in known - {"sha256", "partial"}}
    access = ("See `weights: {file: ...}` in the study file: below TLKIT_WEIGHTS, or an absolute path.",)
    empty = {"licence": "", "source": "", "citation": "", "bytes": 0}
    title = "named in the study file"
    return WeightsCard(name=said["file"], title=title, backbone=backbone, access=access, **empty, **told)


def weights_root() -> Path | None:
    """Return the folder of published weights: TLKIT_WEIGHTS, or `weights` under TLKIT_DATA; None where none is set."""
    value, data = os.environ.get("TLKIT_WEIGHTS"), paths.data_root()
    if value:
        return Path(value).expanduser().resolve()
    return data / "weights" if data else None


def present(card: WeightsCard) -> Path | None:
    """Return the card's file, or None: under `weights_root`, also unpacked or as safetensors, or in its package.

    One whose path is absolute lies there and nowhere else.
    """
    root, file = weights_root(), Path(card.file).expanduser()
    if file.is_absolute():
        return file if file.is_file() else None
    stem = card.file.removesuffix(".tar.gz").removesuffix(".pth").removesuffix(".pt")
    others = (f"{stem}.pth", f"{stem}.pt", f"{stem}.safetensors") if card.bytes else ()  # a study names the file itself
    names = dict.fromkeys((card.file, *others))
    places = [root / name for name in names] if root else []
    spec = importlib.util.find_spec(card.package) if card.package else None  # found, not imported: runs no code
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        places += sorted(Path(folder).rglob(Path(card.file).name))
    return next((p for p in places if p.is_file()), None)


def where(card: WeightsCard) -> Path:
    """Return the card's file; raise MissingWeightsError, with the steps to get it, where it is not there."""
    found = present(card)
    if found is None:
        raise MissingWeightsError(card)
    return found


def load_card(encoder: nn.Module, card: WeightsCard, partial: bool = False) -> LoadReport:
    """Fill `encoder` with the card's weights and report what fitted; a U-Net on that encoder has them too.

    A whole classifier of the same library takes the file's last layer as well. `partial`, or that of the card, takes a
    file that fills only a part. Mean and deviation are not applied here: see `recipe_input`.
    Raises MissingWeightsError, WeightsFileError (damaged, not the file of the card, or other features than the card's
    `check`) and WeightsMismatchError, which names what is not filled and the encoder that the file fits better; of a
    mismatch the encoder is untouched.
    """
    path = where(card)
    if card.sha256 and path.name == Path(card.file).name:
        found = weights_hash(path)
        if not found.startswith(card.sha256):
            raise WeightsFileError(
                f"{path.name} is not the file of '{card.name}': expected a SHA-256 that starts with {card.sha256}, "
                f"found {found[: len(card.sha256)]} ({path.stat().st_size:,} of about {card.bytes:,} bytes). Get it "
                f"again: {card.access[0]}"
            )
    how = {"partial": partial or card.partial, "stem": card.stem, "prefix": card.prefix}
    report = load_encoder(encoder, path, card.rules, **how)
    if card.check and report.whole:
        check_features(encoder, card)
    return report


def moments(card: WeightsCard) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and standard deviation that bring values in [0,1] to what the card's weights expect."""
    low, high = card.input_range
    mean = tuple((m - low) / (high - low) for m in card.mean)
    return mean, tuple(s / (high - low) for s in card.std)


def recipe_input(card: WeightsCard) -> dict[str, Any]:
    """Return the fields of a recipe that give a run the input of the card: `normalise` and `intensity`."""
    mean, std = moments(card)
    return {"normalise": {"mean": mean, "std": std, "channels": card.channels}, "intensity": card.intensity}


def check_image(pixels: int = CHECK_PIXELS) -> Tensor:
    """Return the image of the check values, float32 [1,3,pixels,pixels] in [0,1]: waves, other ones in each channel."""
    at = np.arange(pixels) / pixels
    waves = [np.sin(2 * np.pi * (2 + c) * at)[:, None] * np.cos(2 * np.pi * (5 - c) * at) for c in range(3)]
    return torch.from_numpy((0.5 + 0.5 * np.stack(waves)[None]).astype(np.float32))


@torch.no_grad()
def checked_features(encoder: nn.Module, card: WeightsCard) -> Tensor:
    """Return the means of CHECK_PARTS parts of the pooled features of `check_image`, in evaluation mode.

    The image is normalised as the card says.
    """
    first = next(encoder.parameters())
    mean, std = (torch.tensor(m).view(3, 1, 1) for m in moments(card))
    image = ((check_image() - mean) / std).to(first)
    with eval_mode(encoder):
        if hasattr(encoder, "forward_head"):  # timm's, which may have its classifier still
            found = encoder.forward_head(encoder.forward_features(image), pre_logits=True)
        else:
            found = encoder(image)
    return torch.stack([part.mean() for part in found[0].float().cpu().chunk(CHECK_PARTS)])


def check_features(encoder: nn.Module, card: WeightsCard) -> None:
    """Raise WeightsFileError where the encoder's features of `check_image` are not those of the card's `check`.

    Compared as a whole: the distance may be CHECK_TOLERANCE of the length. Of EfficientNet-Lite0, other ways to
    compute in float32 differ by 1e-6 and bfloat16 by 0.005; values that are not normalised differ by 0.16.
    """
    found, wanted = checked_features(encoder, card), torch.tensor(card.check)
    far = float((found - wanted).norm() / wanted.norm()) if found.shape == wanted.shape else float("inf")
    if not far < CHECK_TOLERANCE:
        raise WeightsFileError(
            f"'{card.name}' gives other features of the check image than its card says: expected "
            f"{_digits(wanted)}, found {_digits(found)} (distance {far:.2g} of the length, at most {CHECK_TOLERANCE}). "
            "Its file, its key rules, its mean and std, or the encoder are not those of the card."
        )


def _digits(values: Tensor) -> str:
    return ", ".join(f"{v:.4f}" for v in values)


def megabytes(card: WeightsCard) -> int:
    """Return the size of a weights file in MB (10^6 bytes), at least 1."""
    return max(1, round(card.bytes / 1e6))


def _found(card: WeightsCard, root: Path | None, most: int = 8) -> str:
    above = Path(card.file).expanduser().parent
    root = above if above.is_absolute() else root
    if root is None:
        found = "neither TLKIT_WEIGHTS nor TLKIT_DATA is set"
    elif not root.is_dir():
        found = f"no folder {root}"
    else:
        inside = root.iterdir() if root == above else root.rglob("*")
        names = sorted(p.relative_to(root).as_posix() for p in islice(inside, 1000) if p.is_file())
        more = f" ... ({len(names)} files)" if len(names) > most else ""
        found = f"{root} holds {', '.join(names[:most]) or 'nothing'}{more}"
    return found + (f"; the Python package '{card.package}' is not installed" if card.package else "")
