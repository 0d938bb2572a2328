"""What the figures of a study show at one scale: the names in `figures`, held against those of the study."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tlkit.config import lookup
from tlkit.studies.faults import Faults
from tlkit.yamllines import Path

NAMED = {  # keys of a figure that list names, or have them as keys: the part of the study with these names
    "experiments": "experiments", "whole": "experiments", "frozen": "experiments",
    "tasks": "tasks", "published": "tasks",
    "pretrainings": "pretrainings", "domains": "pretrainings", "planted": "pretrainings",
}  # fmt: skip
SHOWN = ("experiments", "tasks", "pretrainings", "arm")  # with nothing left of one of these there is no figure


def keep_at_scale(spec: dict[str, Any], every: dict[str, Iterable[str]], faults: Faults) -> dict[str, dict[str, Any]]:
    """Return the figures of a study without the names that only other scales have.

    Args: every: the names of each part of the study at all its scales; of "files" those that a file can belong to.
    Notes names that no scale has, and figures of which nothing is left.
    """
    for where, part, name in _names(spec):
        with faults.at(*where):
            lookup(name, dict.fromkeys(every[part]), part.removesuffix("s"))
    found = {}
    for notebook, entry in spec["figures"].items():
        found[notebook] = {key: _left(key, value, spec) for key, value in entry.items()}
        for key in (key for key in SHOWN if key in entry and not found[notebook][key]):
            text = f"this scale has none of them; say `figures: {{{notebook}: null}}` there."
            faults.add(("figures", notebook, key), text)
    return found


def _left(key: str, value: Any, spec: dict[str, Any]) -> Any:
    """Return what is left of a figure's key at this scale."""
    there = spec[NAMED.get(key, "pretrainings")]
    if key == "arm":
        return value if value in there else ""
    if key == "compared":
        return {question: pair for question, pair in value.items() if set(pair) <= set(there)}
    if key not in NAMED:
        return value
    if isinstance(value, dict):
        return {name: more for name, more in value.items() if name in there}
    return [name for name in value if name in there]


def _names(spec: dict[str, Any]) -> Iterator[tuple[Path, str, str]]:
    """Yield place, part and name of all that figures name."""
    for name in (name for name in spec["colours"] if name not in spec["estimates"]):
        yield ("colours", name), "pretrainings", name
    for estimate, entry in spec["estimates"].items():
        for place, name in enumerate(entry["between"]):
            yield ("estimates", estimate, "between", place), "pretrainings", name
    for notebook, entry in spec["figures"].items():
        for place, part, name in _of_figure(entry):
            yield ("figures", notebook, *place), part, name


def _of_figure(entry: dict[str, Any]) -> Iterator[tuple[Path, str, str]]:
    for key, part in NAMED.items():
        for place, name in _places(entry.get(key, [])):
            yield (key, place), part, name
    for key in ("compared", "published"):
        for what, arms in entry.get(key, {}).items():
            for place, name in _places(arms):
                yield (key, what, place), "pretrainings", name
    if "arm" in entry:
        yield ("arm",), "pretrainings", entry["arm"]
    for name in entry.get("files", {}):
        yield ("files", name), "files", name


def _places(names: list[str] | dict[str, Any]) -> Iterable[tuple[str | int, str]]:
    return ((name, name) for name in names) if isinstance(names, dict) else enumerate(names)
