"""The types of what stands in a study file: names, counts, shares, colours."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationInfo

from tlkit.config import ConfigError, lookup
from tlkit.datasets.cards import DATASETS
from tlkit.declared import expected, once
from tlkit.yamllines import show_value

LONGEST = 80  # bytes of a name: run folders hold two of them, and file systems end at 255


def _name(value: str) -> str:
    if not value.strip() or not value.isprintable() or len(value.encode()) > LONGEST:
        raise ConfigError(f"expected a name: one line of text of at most {LONGEST} bytes, found {show_value(value)}.")
    return value


def _line(value: str) -> str:
    if not value.strip():
        raise ConfigError("expected text, found none.")
    return value


def _dataset(value: str, info: ValidationInfo) -> str:
    lookup(value, dict.fromkeys([*DATASETS, *(info.context or ())]), "data set")
    return value


def _counts(value: Any) -> Any:
    if isinstance(value, dict) and set(value) != {"every"}:
        raise ConfigError("every")
    return value


Name = Annotated[str, AfterValidator(_name)]
Text = Annotated[str, AfterValidator(_line)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Size = Annotated[int, Field(ge=8)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Dataset = Annotated[str, AfterValidator(_dataset)]  # one with a card, or of the study: the context of a check
Entries = Annotated[dict[Name, dict[str, Any]], Field(min_length=1)]
Changes = dict[str, Any]  # of a recipe
Colour = Annotated[str, Field(pattern="^#[0-9a-f]{6}$"), expected("a colour such as '#e69f00'")]
Three = Annotated[list[float], Field(min_length=3, max_length=3)]
Two = Annotated[list[str], Field(min_length=2, max_length=2), AfterValidator(once)]
Maybe = Annotated[dict[str, Any] | None, expected("keys and values")]
Classes = Annotated[
    Count | Annotated[dict[str, Count], AfterValidator(_counts)] | Annotated[list[str], AfterValidator(once)] | None,
    expected("a number of classes, {every: step}, or a list of labels"),
]
Where = Annotated[
    dict[str, str | int | float | bool] | None, expected("columns of the data set's table, with one value each")
]


def many(kind: Any) -> Any:
    """Return the type of a list of one or more, each once."""
    return Annotated[list[kind], Field(min_length=1), AfterValidator(once)]


def key(text: str, *default: Any, **limits: Any) -> Any:
    """Return a field with its description; one without default has to be there."""
    return Field(*default, description=text, **limits)
