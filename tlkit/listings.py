"""What the commands `check`, `plan`, `status` and `published` print: lines that 100 columns hold."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from tlkit import paths, runs
from tlkit.config import ConfigError, UnknownNameError, lookup

if TYPE_CHECKING:
    from tlkit.studies import Study

WIDTH = 100
SCALES = ("smoke", "quick", "mini", "course", "paper")  # from the smallest on
STATES = ("done", "running", "lost", "failed", "not available", "interrupted", "damaged")  # of runs that are there
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def check_lines(table: pd.DataFrame) -> list[str]:
    """Return a line per requirement of `check.environment_check`; how to mend it stands under what needs mending."""
    lines = []
    for row in table.to_dict("records"):
        lines += _wrap(f"{row['state']:<5} {row['what']:<13} {row['found']}", 20)
        lines += _wrap(f"{'':<5} mend it: {row['mend']}", 15) if row["state"] == "FIX" else []
    return lines


def report_plan(study: Study, every: bool = False) -> list[str]:
    """Return the plan of a study, a line per group of runs or (`every`) per run, what is left, and failed jobs.

    Raises ConfigError for a figure that could show no run.
    """
    from tlkit.workflow import records
    from tlkit.workflow.minutes import plan_minutes

    for figure in study.spec["figures"]:
        study.shown_configs(figure)
    plan = plan_minutes(study)
    if every:
        shown = plan[["state", "minutes", "run"]].to_string(index=False, float_format="%.2f").splitlines()
    else:
        shown = plan_lines(plan, study.names())
    failed = [] if study.absent else map(records.read, records.list_failed(study.folder))
    return [*shown, *plan_sum(plan, study), *map(records.say, failed)]


def report_status(study: str = "", states: str = "", since: str = "") -> list[str]:
    """Return the runs in the runs folder, as `select_runs` chooses them (`study`: by name), and failed jobs."""
    from tlkit.workflow import records, watching

    table = runs.listing()
    if table.empty:
        return [f"no runs yet below {paths.runs_root()}; `make figures` makes them"]
    shown = select_runs(table, load_scales(study) if study else None, states, since)
    failed = map(records.read, records.list_failed(paths.runs_root() / "studies" / study))
    at_work = set(shown["state"]) & {"running", "lost"}
    watched = ["", "At work (--watch shows them again and again)", watching.say_at_work()] if at_work else []
    return [*status_lines(shown, of=len(table)), *watched, *map(records.say, failed)]


def report_published(logs: str, out: Path | None, margin: float, train: bool) -> list[str]:
    """Write four tables of published logs to `out`, and return the claims beside what the logs say."""
    from tlkit.figures import evaluation
    from tlkit.published import authorlogs, claims, jonske2025
    from tlkit.report.saving import write_csv

    found = authorlogs.read(logs, train=train)
    tables = evaluation.tables(found, jonske2025.FIGURES, margin) | {"rejects": found.rejects}
    out = out or paths.paper_root() / "tables" / found.name
    for name, table in tables.items():
        write_csv(table, out / f"{name}.csv")
    checked = claims.check(claims.read_quoted(found.name), tables["contrasts"])
    shown = ["statement", "experiment", "delta_pct", "p", "delta_ours", "p_ours", "agrees", "holds"]
    counts = f"{found.results['run'].nunique()} runs, {len(tables['results'])} cells, {len(found.rejects)} rejects"
    files = f"{counts}; results.csv, contrasts.csv, convergence.csv and rejects.csv are in {out}"
    return [checked[shown].to_string(index=False), files]


def plan_lines(plan: pd.DataFrame, names: dict[str, str]) -> list[str]:
    """Return a line per experiment, task and pretraining of `plan_minutes`: runs by state, and what is left."""
    from tlkit.workflow.minutes import say_minutes

    states = [state for state in (*STATES, "missing") if (plan["state"] == state).any()]
    heads = [f"{state:>{max(7, len(state) + 1)}}" for state in states]
    room = WIDTH - sum(map(len, heads)) - 20
    lines = [f"{'runs':<{room}}{''.join(heads)}  left"]
    plan = plan.fillna({"task": ""})
    for (kind, experiment), block in plan.groupby(["kind", "experiment"], sort=False):
        lines.append("pretraining" if kind == "pretrain" else names[experiment])
        for (task, pretraining), rows in block.groupby(["task", "pretraining"], sort=False):
            what = " from ".join(filter(None, [names[task], names[pretraining]]))
            counts = [f"{(rows['state'] == s).sum() or '':>{len(h)}}" for s, h in zip(states, heads, strict=True)]
            left = rows.loc[rows["state"] != "done", "minutes"]
            told = "" if left.empty else say_minutes(left.sum() if left.notna().any() else float("nan"))
            told = {"a time that nobody can tell": "unknown"}.get(told, told.removeprefix("about "))
            lines.append(f"  {_cut(what, room - 2):<{room - 2}}{''.join(counts)}  {told}".rstrip())
    return lines


def plan_sum(plan: pd.DataFrame, study: Study) -> list[str]:
    """Return what the runs of `plan_minutes` are and what is left, and what nobody can tell or is not there."""
    from tlkit.workflow.minutes import say_minutes

    left = plan.loc[plan["state"] != "done", "minutes"]
    counts = ", ".join(f"{n} {state}" for state, n in plan["state"].value_counts().items())
    told = "nothing" if left.empty else say_minutes(left.sum() if left.notna().any() else float("nan"))
    gpus = max(study.compute(kind)["processes"] for kind in ("pretrain", "finetune"))
    cost = f" (at most {gpus * left.sum() / 60:,.0f} GPU-hours on {gpus} GPUs)" if gpus > 1 else ""
    order = ", one after the other" if len(left) else ""
    lines = [f"{len(plan)} runs: {counts}. Left: {told}{cost}{order}."]
    for reason, n in plan.loc[plan["unpriced"] != "", "unpriced"].value_counts().items():
        lines.append(f"Not in this sum: {n} runs, since {reason}.")
    if study.absent:
        absent = ", ".join(sorted(study.absent))
        lines.append(f"Data that are not there: {absent}. `python -m tlkit data` says what to do.")
    return [part for line in lines for part in _wrap(line, 2)]


def status_lines(table: pd.DataFrame, of: int) -> list[str]:
    """Return a line per run of `runs.listing`, under it why one failed, is damaged or in doubt, and their number.

    `of`: how many there are, of which these are shown.
    """
    lines = [f"{'state':<14}{'minutes':>8}  {'changed':<17} run"]
    for row in table.to_dict("records"):
        when = row["updated"][:16].replace("T", " ")
        minutes = f"{row['minutes']:.1f}" if row["minutes"] >= 0.05 else "<0.1" if row["state"] == "done" else ""
        lines += _wrap(f"{row['state']:<14}{minutes:>8}  {when:<17} {row['id']}", 42)
        if row["error"]:
            lines += _wrap(f"{'':<14}{row['error'].splitlines()[0]}", 16)
    counts = ", ".join(f"{n} {state}" for state, n in table["state"].value_counts().items())
    return [*lines, f"{len(table)} of {of} runs{': ' * bool(counts)}{counts}. Missing ones: `python -m tlkit plan`."]


def select_runs(
    table: pd.DataFrame, studies: Iterable[Study] | None = None, states: str = "", since: str = ""
) -> pd.DataFrame:
    """Return the rows of `runs.listing` that belong to one of `studies`, are in one of `states`, and changed `since`.

    Args: states: names with commas; since: a span back from now, such as 30m, 2h, 3d or 1w, or a date 2026-01-31.
    Raises: UnknownNameError, ConfigError.
    """
    if states:
        known = {state: state for state in STATES}
        table = table[table["state"].isin([lookup(state.strip(), known, "state") for state in states.split(",")])]
    if studies is not None:
        table = table[table["id"].isin({rid for study in studies for rid in study.planned()})]
    if since:
        first = _moment(since)
        table = table[[bool(told) and datetime.fromisoformat(told) >= first for told in table["updated"]]]
    return table


def load_scales(name: str) -> list[Study]:
    """Return a study at each scale that it has. Raises: UnknownNameError for another name."""
    from tlkit.studies import load, studyfile

    lookup(name, dict.fromkeys(studyfile.names()), "study")
    found: list[Study] = []
    for scale in SCALES:
        try:
            found.append(load(name, scale))
        except UnknownNameError:  # it has no such scale
            continue
    return found


def _moment(since: str) -> datetime:
    if span := re.fullmatch(r"(\d+)\s*([mhdw])", since.strip()):
        return datetime.now(UTC) - timedelta(**{UNITS[span[2]]: int(span[1])})
    try:
        return datetime.fromisoformat(since.strip()).astimezone(UTC)
    except ValueError as error:
        raise ConfigError(f"--since {since!r}: expected 30m, 2h, 3d or 1w, or a date such as 2026-01-31.") from error


def _wrap(line: str, indent: int) -> list[str]:
    how = {"subsequent_indent": " " * indent, "drop_whitespace": True, "break_on_hyphens": False}
    return textwrap.wrap(line, WIDTH, **how, replace_whitespace=False) or [""]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
