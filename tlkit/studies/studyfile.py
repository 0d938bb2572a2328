"""What a study file says at one scale: read, laid over its common part, and checked before anything runs.

`schema.describe()` lists every key. All faults of a file come in one error, each with its line.
"""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Any

from tlkit import paths
from tlkit.config import lookup, merge, nearest
from tlkit.datasets.cards import DATASETS
from tlkit.studies import crosscheck, figures, keycheck, schema
from tlkit.studies.faults import Faults, StudyError
from tlkit.studies.schema import PARTS, Study, describe
from tlkit.yamllines import Path, YamlError, parse, show_value

__all__ = ["StudyError", "describe", "merge", "names", "read"]
SHOWN = ("figures", "colours", "datasets", "estimates")  # empty where a study does not have them


def files() -> dict[str, FilePath]:
    """Return the study files by name: those of paper/studies, and what `advise` has written below the runs."""
    own = {file.parent.name: file for file in (paths.runs_root() / "advice").glob("*/study.yaml")}
    return own | {file.stem: file for file in paths.STUDIES.glob("*.yaml")}


def names() -> list[str]:
    """Return the names of all study files, sorted."""
    return sorted(files())


def read(name: str, scale: str, data: str = "") -> dict[str, Any]:
    """Return what the study `name` says at `scale`; `data` ("phantom" or "real") overrides what the scale says.

    Raises: UnknownNameError for a study, scale or kind of data that does not exist; StudyError, which names file, line
    and entry of all that is wrong, with what was expected and the nearest allowed name.
    """
    file = lookup(name, files(), "study")
    faults = Faults(file)
    try:
        text, faults.lines = parse(file.read_bytes())
    except YamlError as error:
        raise StudyError(f"{faults.file}:{error.line}: {error}") from None
    _check_parts(text, faults)
    over, common = lookup(scale, text["scales"], "scale"), text["common"]
    faults.scale = scale
    _check_shape(common, ("common",), faults)
    _check_shape(over, ("scales", scale), faults)
    faults.stop()
    _check_removed(common, over, faults)
    faults.stop()
    spec = merge(common, over)
    for part in ("pretrainings", "tasks"):
        spec[part] = _entries(part, common.get(part, {}), over.get(part, {}), spec.get(part, {}), faults)
    faults.stop()
    if data:
        spec["data"] = lookup(data, {"phantom": "phantom", "real": "real"}, "kind of data")
    keycheck.check_keys(spec, faults)
    faults.stop()
    spec = {"name": name, "title": name, "job": [], **{key: {} for key in SHOWN}, **spec}
    spec["figures"] = figures.keep_at_scale(spec, _every_name(text), faults)
    crosscheck.check_study(spec, faults)
    faults.stop()
    return spec


def _every_name(text: dict[str, Any]) -> dict[str, list[str]]:
    """Return the names of each part of the study at all its scales, and as "files" those of what a file can show."""
    scales = [text["common"], *text["scales"].values()]
    found = {part: [s[part] for s in scales if isinstance(s.get(part), dict)] for part in PARTS}
    every = {part: list(dict.fromkeys(name for s in found[part] for name in s)) for part in PARTS}
    own = (name for s in scales if isinstance(s.get("datasets"), dict) for name in s["datasets"])
    return every | {"files": [*every["experiments"], *every["tasks"], *DATASETS, *own]}


def _check_parts(text: Any, faults: Faults) -> None:
    """Raise StudyError for a file that is not made of `common` and `scales` of keys and values each."""
    if not isinstance(text, dict):
        found = "an empty file" if text is None else show_value(text)
        faults.add((), f"expected the keys `common` and `scales`, found {found}. Copy a file of {faults.file.parent}.")
        faults.stop()
    for key in text.keys() - {"common", "scales"}:
        faults.add((key,), f"nothing reads this key.{nearest(key, PARTS_OF_FILE)} Known keys: common, scales.")
    for key, what in PARTS_OF_FILE.items():
        if key not in text:
            faults.add((), f"lacks `{key}`: {what}.")
        else:
            _check_mapping(text[key], (key,), faults)
    if isinstance(text.get("scales"), dict):
        if not text["scales"]:
            faults.add(("scales",), "expected one scale or more, found none.")
        for scale, values in text["scales"].items():
            _check_mapping(values, ("scales", scale), faults)
    faults.stop()


PARTS_OF_FILE = {"common": "what all scales share", "scales": "what each scale says otherwise, by name"}


def _check_mapping(values: Any, where: Path, faults: Faults) -> bool:
    if not isinstance(values, dict):
        faults.add(where, f"expected keys and values ({{}} for none), found {show_value(values)}.")
    return isinstance(values, dict)


def _check_shape(values: dict[str, Any], top: Path, faults: Faults) -> None:
    """Note what keeps the entries of a part from being laid over each other."""
    for part in PARTS:
        if part in values and _check_mapping(values[part], (*top, part), faults):
            for name, entry in values[part].items():
                if entry is not None or top == ("common",):
                    _check_mapping(entry, (*top, part, name), faults)


def _check_removed(common: dict[str, Any], over: dict[str, Any], faults: Faults) -> None:
    """Note what the scale removes (null) and nobody has: a misspelt name would leave the entry in."""
    top = ("scales", faults.scale)
    for key in (k for k, v in over.items() if v is None):
        _check_there(key, Study.model_fields, (*top, key), faults)
    for part, model in PARTS.items():
        for name, entry in over.get(part, {}).items():
            if entry is None:
                _check_there(name, common.get(part, {}), (*top, part, name), faults)
            for key, value in (entry or {}).items():
                if value is None:
                    _check_there(key, model.model_fields, (*top, part, name, key), faults)
                elif key in NESTED and isinstance(value, dict):
                    for inner in (k for k, v in value.items() if v is None):
                        _check_there(inner, NESTED[key]().model_fields, (*top, part, name, key, inner), faults)


NESTED = {"recipe": schema.recipe, "groups": schema.groups}


def _check_there(name: str, known: Any, where: Path, faults: Faults) -> None:
    if name not in known:
        faults.add(where, f"there is none to remove.{nearest(name, known)} Known: {', '.join(known)}.")


def _entries(part: str, common: dict, over: dict, merged: dict, faults: Faults) -> dict[str, dict[str, Any]]:
    """Return the entries of one part; one that is `of` an earlier one starts as what that is at this scale."""
    found: dict[str, dict[str, Any]] = {}
    for name, entry in merged.items():
        base = entry.get("of")
        if base is not None and (not isinstance(base, str) or base not in found):
            text = f"unknown earlier entry {show_value(base)}.{nearest(base, found)} Allowed: "
            text += f"{', '.join(found) or 'none'}."
            faults.add((part, name, "of"), text)
            base = None
        if base is not None:
            faults.of[part, name] = (part, base)
        found[name] = merge(merge(found.get(base, {}), common.get(name, {})), over.get(name, {}))
    return found
