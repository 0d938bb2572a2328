"""What a published weights file is, where it comes from, and how it gets into an encoder."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from torch import nn

from tlkit import paths
from tlkit.config import TlkitError
from tlkit.models.key_rules import Rule
from tlkit.models.weight_files import WeightsFileError
from tlkit.models.weights import LoadReport, load_encoder, weights_hash


@dataclass(frozen=True)
class WeightsCard:
    """One published file of weights: licence, source, how to get it, and what it needs of encoder and input.

    `file` lies under TLKIT_WEIGHTS, or is shipped by the Python package `package`; `bytes` is its size about,
    `sha256` its first digits ("" where unknown). Input: grey or colour values brought to `input_range` (intensity:
    "range" = one scale for all images, "minmax" = of each image), then `mean` taken off and divided by `std`.
    channels="grey": one channel written three times. `size` are the pixels it was trained on.
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
    sha256: str = ""
    package: str = ""


class MissingWeightsError(TlkitError, FileNotFoundError):
    """A weights file is not where it should be; says what was expected, what is there, and how to get it."""

    def __init__(self, card: WeightsCard):
        self.card = card
        root = weights_root()
        steps = (*card.access, f"Put it at TLKIT_WEIGHTS/{card.file} (TLKIT_WEIGHTS unset: TLKIT_DATA/weights).")
        numbered = "\n".join(f"  {i}. {step}" for i, step in enumerate(steps, 1))
        super().__init__(
            f"weights '{card.name}' ({card.title}) are missing.\n"
            f"Expected: {card.file}, about {megabytes(card)} MB, under TLKIT_WEIGHTS\n"
            f"Found: {_found(card, root)}\n"
            f"Licence: {card.licence}\n"
            f"To get it (nothing is ever downloaded by itself):\n{numbered}\n"
            f"`python -m tlkit data` lists data sets and weights, and whether they are present."
        )


def weights_root() -> Path | None:
    """Return the folder of published weights: TLKIT_WEIGHTS, or `weights` under TLKIT_DATA; None where none is set."""
    value, data = os.environ.get("TLKIT_WEIGHTS"), paths.data_root()
    if value:
        return Path(value).expanduser().resolve()
    return data / "weights" if data else None


def present(card: WeightsCard) -> Path | None:
    """Return the card's file, or None: under `weights_root`, also unpacked or as safetensors, or in its package."""
    root = weights_root()
    stem = card.file.removesuffix(".tar.gz").removesuffix(".pth").removesuffix(".pt")
    names = dict.fromkeys((card.file, f"{stem}.pth", f"{stem}.pt", f"{stem}.safetensors"))
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


def load_card(encoder: nn.Module, card: WeightsCard, minimum: float = 0.9) -> LoadReport:
    """Fill `encoder` with the card's weights and report what fitted; a U-Net on that encoder has them too.

    A whole classifier of the same library takes the file's last layer as well. Mean and deviation are not
    applied here. Raises MissingWeightsError, WeightsFileError (damaged, or not the file of the card) and
    WeightsMismatchError, which names the encoder that the file fits better; the encoder is then untouched.
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
    return load_encoder(encoder, path, minimum, card.rules)


def megabytes(card: WeightsCard) -> int:
    return max(1, round(card.bytes / 1e6))


def _found(card: WeightsCard, root: Path | None, most: int = 8) -> str:
    if root is None:
        found = "neither TLKIT_WEIGHTS nor TLKIT_DATA is set"
    elif not root.is_dir():
        found = f"no folder {root}"
    else:
        names = sorted(p.relative_to(root).as_posix() for p in islice(root.rglob("*"), 1000) if p.is_file())
        more = f" ... ({len(names)} files)" if len(names) > most else ""
        found = f"{root} holds {', '.join(names[:most]) or 'nothing'}{more}"
    return found + (f"; the Python package '{card.package}' is not installed" if card.package else "")
