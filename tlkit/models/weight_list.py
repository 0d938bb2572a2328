"""The published weights that the studies compare: `cards/SOURCE.yaml` has what is common to a source, and its files.

A text may name {arch}, the key of a file, and what the file's entry says, such as {file}.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tlkit.config import ConfigError, lookup, nearest
from tlkit.models.weight_cards import WeightsCard, own_weights
from tlkit.yamllines import parse

MiB = 2**20


def read_cards(file: Path) -> Iterator[WeightsCard]:
    """Yield the cards of one source. Raises ConfigError for a key that nothing reads."""
    common, fields = parse(file.read_bytes())[0], WeightsCard.__dataclass_fields__
    for arch, own in common.pop("files").items():
        names = {"arch": arch, **own}
        said = {key: _filled(value, names) for key, value in {**common, **own, "file": common["file"]}.items()}
        if "MiB" in said:
            said["bytes"] = round(said.pop("MiB") * MiB)
        for key in said.keys() - fields:
            if f"{{{key}}}" not in str(common):
                raise ConfigError(f"{file}, {arch}: a card has no '{key}'.{nearest(key, fields)}")
        yield WeightsCard(name=f"{file.stem}/{arch}", **{k: v for k, v in said.items() if k in fields})


def _filled(value: Any, names: dict[str, Any]) -> Any:
    if isinstance(value, str):
        return value.format(**names)
    return tuple(_filled(v, names) for v in value) if isinstance(value, list) else value


WEIGHTS: dict[str, WeightsCard] = {
    card.name: card for file in sorted((Path(__file__).parent / "cards").glob("*.yaml")) for card in read_cards(file)
}


def find(source: str | dict[str, Any], backbone: str) -> WeightsCard:
    """Return the first card of a source ("imagenet", "radiologynet" ...) whose encoder is `backbone`, else raise.

    Of a file that a study names ({file: PATH, ...}) the card says what the study does.
    """
    if isinstance(source, dict):
        return own_weights(source, backbone)
    cards = {card.backbone: card for card in reversed(WEIGHTS.values()) if card.name.startswith(f"{source}/")}
    if not cards:
        lookup(source, dict.fromkeys(name.split("/")[0] for name in WEIGHTS), "source of weights")
    return lookup(backbone, cards, f"backbone with {source} weights")
