"""What the studies do otherwise than the papers at the paper scale, and what smaller scales leave out.

The files of `paper/deviations` say what was published; what is ours is read from the study files, so that
`paper/deviations.md` cannot say something that is not so.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from tlkit import paths, studies
from tlkit.config import ConfigError, canonical
from tlkit.studies.configs import StudyRuns, recipe_dict
from tlkit.studies.keycheck import at_backbone
from tlkit.yamllines import parse

PAPER = "paper"  # the scale of the published values
COLUMNS = ("what", "published", "ours", "why", "to have it as published")


def table(name: str) -> list[dict[str, str]]:
    """Return the deviations of the study `name` at the paper scale, one dict of COLUMNS each.

    Raises ConfigError where the study does otherwise than a value that is `held`, where a deviation is none any more,
    and where a place is not there.
    """
    said = read_published(name)
    there = places(studies.load(name, PAPER).spec)
    for where, wanted in said["held"].items():
        if (ours := values(there, where, name)) != [wanted]:
            raise ConfigError(
                f"{name}, {where}: published {canonical(wanted)}, here {_shown(ours)}. Have it so, or say it under "
                f"`deviations` of {paths.DEVIATIONS.name}/{name}.yaml: why, and how to choose the published."
            )
    return [_row(row, there, name) for row in said["deviations"]]


def read_published(name: str) -> dict[str, Any]:
    """Return what `paper/deviations/<name>.yaml` says: `held` values by place, and `deviations`."""
    return parse((paths.DEVIATIONS / f"{name}.yaml").read_bytes())[0]


def places(spec: dict[str, Any]) -> dict[str, Any]:
    """Return what a study says at one scale, by place ("tasks/R/recipe/lr"): recipes, options and splits in full."""
    made, names, study = dict(spec), set(), StudyRuns("", "", spec)
    for part in ("pretrainings", "tasks"):
        made[part] = {name: _entry(entry, study) for name, entry in spec[part].items()}
        every = [*spec[part].values()]
        every += [at_backbone(e, b) for e in spec[part].values() for b in e.get("by_backbone", {})]
        names |= {entry["dataset"] for entry in every if "dataset" in entry}
    splits = spec.get("splits", {})
    made["splits"] = {
        name: {"by": "patient", "copies": "drop", **spec["split"], **splits.get(name, {})} for name in sorted(names)
    }
    return dict(_flat(made))


def _entry(entry: dict[str, Any], study: StudyRuns) -> dict[str, Any]:
    made = {k: v for k, v in entry.items() if k != "by_backbone"}
    if "base" in entry.get("recipe", {}):
        made["recipe"] = recipe_dict(entry["recipe"])
    if "dataset" in entry:
        made["options"] = {"fit": "squash", **study.card(entry).options}
    each = {name: _entry(at_backbone(entry, name), study) for name in entry.get("by_backbone", {})}
    return made | ({"by_backbone": each} if each else {})


def _flat(entry: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in entry.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}/")
        else:
            yield f"{above}{key}", [*value] if isinstance(value, tuple) else value


def values(there: dict[str, Any], where: str, name: str) -> list[Any]:
    """Return the different values of the `places` that `where` means ("*" stands for anything), each once.

    Raises ConfigError where there is none.
    """
    found = [value for place, value in there.items() if fnmatchcase(place, where)]
    if not found:
        raise ConfigError(f"{name} at the {PAPER} scale has no place {where}; one part of it may have been renamed.")
    return list({canonical(value): value for value in found}.values())


def _row(row: dict[str, Any], there: dict[str, Any], name: str) -> dict[str, str]:
    wanted = row["published"]
    if "where" in row:
        ours = values(there, row["where"], name)
        if ours == [wanted]:
            raise ConfigError(
                f"{name}, {row['where']} is {_shown(ours)}, as published: '{row['what']}' is no deviation. Move it to "
                f"`held` of {paths.DEVIATIONS.name}/{name}.yaml."
            )
        wanted = _shown([wanted]) + (f"; {row['note']}" if "note" in row else "")
        ours = f"{_shown(ours)} (`{row['where']}`)"
    else:
        ours = row["ours"]
    choose = row["choose"] if isinstance(row["choose"], str) else f"`{_flow(row['choose'])}`"
    return dict(zip(COLUMNS, (row["what"], str(wanted), ours, row["why"], choose), strict=True))


def _flow(changes: dict[str, Any]) -> str:
    return yaml.safe_dump(changes, default_flow_style=True, sort_keys=False, width=1000).strip()[1:-1]


def _shown(found: list[Any]) -> str:
    return " or ".join(f"`{v if isinstance(v, str) and v else canonical(v)}`" for v in found)


def list_left_out(name: str) -> list[dict[str, str]]:
    """Return what each smaller scale of the study `name` lacks of the paper scale: scale, tasks, pretrainings ..."""
    scales = parse((paths.STUDIES / f"{name}.yaml").read_bytes())[0]["scales"]
    paper, rows = studies.load(name, PAPER).spec, []
    for scale in (s for s in scales if s != PAPER):
        spec, row = studies.load(name, scale).spec, {"scale": scale}
        for part in ("tasks", "pretrainings", "experiments"):
            row[part] = ", ".join(entry for entry in paper[part] if entry not in spec[part]) or "none"
        nets = {task: entry.get("backbone", spec["backbone"]) for task, entry in spec["tasks"].items()}
        there = {task: entry.get("backbone", paper["backbone"]) for task, entry in paper["tasks"].items()}
        other = sorted({net for task, net in nets.items() if net != there.get(task)})
        row["networks in the place of the published"] = ", ".join(other) or "none"
        rows.append(row)
    return rows


def text() -> str:
    """Return the text of `paper/deviations.md`."""
    names = sorted(path.stem for path in paths.DEVIATIONS.glob("*.yaml"))
    parts = [(paths.DEVIATIONS / "head.md").read_text()]
    for name in names:
        parts += [f"## `{name}` at the paper scale\n", _markdown(table(name))]
    parts.append((paths.DEVIATIONS / "variants.md").read_text())
    parts.append("## What the smaller scales leave out of the paper scale\n")
    parts.append("Besides images, pixels, epochs and seeds:\n")
    parts += [f"`{name}`\n\n{_markdown(list_left_out(name))}" for name in names]
    parts.append((paths.DEVIATIONS / "figures.md").read_text())
    return "\n".join(parts)


def _markdown(rows: list[dict[str, str]]) -> str:
    lines = [[*rows[0]], ["---"] * len(rows[0]), *([*row.values()] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write() -> Path:
    """Write `paper/deviations.md` and return its path."""
    out = paths.REPO / "paper" / "deviations.md"
    out.write_text(text(), encoding="utf-8")
    return out
