"""Mappings of declared keys: types, ranges and tables of allowed values, held against what a file says.

A fault is (path, text): what was expected, what was found, and the nearest allowed name. Values are checked, never
converted: run ids hash them.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from typing import Annotated, Any, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WrapValidator, create_model

from tlkit.config import ConfigError, nearest
from tlkit.yamllines import Path, show_value

Fault = tuple[Path, str]


class Keys(BaseModel):
    """A mapping of known keys; 1 is a number with or without a point, "1" and true are none."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


def one_of(table: Iterable[Any], what: str) -> AfterValidator:
    """Return a check that a value is in the table; the fault names the nearest."""

    def check(value: Any) -> Any:
        names = list(table)
        if value not in names:
            allowed = ", ".join("null" if n is None else str(n) for n in names)
            raise ConfigError(f"unknown {what} {show_value(value)}.{nearest(value, names)} Allowed: {allowed}.")
        return value

    return AfterValidator(check)


def expected(text: str) -> WrapValidator:
    """Return a wrapper that tells any fault of a value as "expected `text`, found ..."."""

    def check(value: Any, handler: Callable) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise ConfigError(f"expected {text}, found {show_value(value)}.") from None

    return WrapValidator(check)


def once(values: list) -> list:
    """Return a list without repetitions as it is; raise ConfigError for another."""
    twice = [v for i, v in enumerate(values) if v in values[:i]]
    if twice:
        raise ConfigError(f"expected each entry once, found {show_value(twice[0])} again.")
    return values


def some(values: list) -> list:
    """Return a list of one entry or more, each once, as it is; raise ConfigError for another."""
    if not values:
        raise ConfigError("expected one entry or more, found an empty list.")
    return once(values)


def _listed(hint: Any) -> Any:
    """Return the type of a field as a file can write it: a tuple is a list, of as many entries where that is fixed."""
    kinds, optional = get_args(hint), get_origin(hint) is types.UnionType
    if optional and len(kinds) == 2 and kinds[1] is types.NoneType:
        return _listed(kinds[0]) | None
    if get_origin(hint) is not tuple:
        return hint
    if kinds[1] is ...:
        return list[kinds[0]]
    text = f"a list of {len(kinds)} {'whole ' if kinds[0] is int else ''}numbers"
    return Annotated[list[kinds[0]], Field(min_length=len(kinds), max_length=len(kinds)), expected(text)]


def declare(name: str, hints: dict[str, Any], about: dict[str, Any]) -> type[Keys]:
    """Return the declaration of keys with these types, all optional; `about` holds a check or the limits of some."""
    fields: dict[str, Any] = {}
    for field, hint in hints.items():
        more = about.get(field, {})
        more = Field(**more) if isinstance(more, dict) else more
        fields[field] = (Annotated[_listed(hint), more], None)
    return create_model(name, __base__=Keys, **fields)


def rising(pair: Any) -> Any:
    """Return (low, high), or None, as it is; raise ConfigError where low is above high."""
    if pair is not None and pair[0] > pair[1]:
        raise ConfigError(f"expected the lower value first, found {show_value(pair)}.")
    return pair


def apart(pair: Any) -> Any:
    """Return (low, high), or None, as it is; raise ConfigError where low is not below high."""
    if pair is not None and pair[0] >= pair[1]:
        raise ConfigError(f"expected the lower value first and a higher one, found {show_value(pair)}.")
    return pair


def wide(window: Any) -> Any:
    """Return (centre, width), or None, as it is; raise ConfigError for a width of 0 or less."""
    if window is not None and window[1] <= 0:
        raise ConfigError(f"expected a centre and a width above 0, found {show_value(window)}.")
    return window


EXPECTED = {  # pydantic's kind of fault: how a message says what was expected
    "int_type": "a whole number", "int_from_float": "a whole number", "float_type": "a number", "string_type": "text",
    "bool_type": "true or false", "list_type": "a list", "tuple_type": "a list", "dict_type": "keys and values",
    "model_type": "keys and values", "greater_than": "more than {gt:g}", "greater_than_equal": "{ge:g} or more",
    "less_than": "less than {lt:g}", "less_than_equal": "{le:g} or less", "too_short": "{min_length} or more entries",
}  # fmt: skip


def check(model: type[Keys], values: Any, path: Path, context: Any = None) -> list[Fault]:
    """Return the faults of a mapping: unknown and missing keys, and values of another type or out of range.

    `context` is for checks that need to know more than the value (pydantic's `ValidationInfo.context`).
    """
    try:
        model.model_validate(values, context=context)
    except ValidationError as error:
        return [_told(model, path, e) for e in error.errors(include_url=False)]
    return []


def _told(model: type[Keys], path: Path, error: Any) -> Fault:
    where, kind = (*path, *(p for p in error["loc"] if p != "[key]")), error["type"]
    if kind == "extra_forbidden":
        return where, f"nothing reads this key.{nearest(where[-1], model.model_fields)} {known(model)}"
    if kind == "missing":
        return where[:-1], f"lacks `{where[-1]}` ({model.model_fields[where[-1]].description})."
    if kind == "value_error":  # a check of ours
        return where, str(error["ctx"]["error"])
    text = EXPECTED[kind].format(**error.get("ctx", {})) if kind in EXPECTED else error["msg"]
    return where, f"expected {text}, found {show_value(error['input'])}."


def known(model: type[Keys]) -> str:
    """Return the sentence that names the keys of a declaration."""
    return f"Known keys: {', '.join(model.model_fields)}."
