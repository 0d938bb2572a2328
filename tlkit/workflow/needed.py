"""The runs that a notebook shows: what is missing of them, what that costs, and how to have them."""

from __future__ import annotations

import shlex

import pandas as pd

from tlkit import runs
from tlkit.config import ConfigError, TlkitError
from tlkit.studies import Study, load
from tlkit.studies.running import run_all
from tlkit.studies.shown import Shown
from tlkit.workflow.minutes import plan_minutes, say_minutes

SMALL = "smoke"  # the scale of the small version


class NothingDoneError(ConfigError):
    """None of the runs that a notebook shows is done; the message says what they cost and how to have them."""


def complete(study: Study, notebook: str, make: bool = False) -> Shown:
    """Return the runs that a notebook shows, and print what of them is missing; `make` does the missing ones, here.

    Raises: NothingDoneError where none is done and none is to be made; as `studies.run_all` and `Study.shown` do.
    """
    left = list_missing(study, notebook)
    if left.empty:
        return study.shown(notebook)
    cost = f"{len(left)} runs that this notebook needs are missing: {_minutes(left)}"
    if make:
        print(f"{cost} of work, done now, one after the other. On all cores it is faster: {command(study)}")
        run_all([config for _, config in study.shown_configs(notebook, beside=True)], study)
        return study.shown(notebook)
    shown = study.shown(notebook)
    if not (shown.table["state"] == "done").any() and not shown.missing().empty:
        raise NothingDoneError(
            f"Nothing to show yet. {cost} of work, which `{command(study)}` does in a terminal; or set `make_missing = "
            f"True` above, and they are done here.{_offer(study, notebook)}"
        )
    print(f"{cost} of work; what is there is shown without them. {command(study)} makes them.")
    return shown


def list_missing(study: Study, notebook: str) -> pd.DataFrame:
    """Return the rows of `plan_minutes` that a notebook needs and that are neither done nor impossible, pretrainings
    included; without prices where nothing is missing.
    """
    configs, needed = [config for _, config in study.shown_configs(notebook, beside=True)], []
    with study.without_data():
        for config in configs:
            before = study.lineage(config["pretraining"], config["backbone"], config["seed"])
            needed += [runs.run_id(one) for one in [*before, config]]
    states = {rid: runs.state(rid) for rid in dict.fromkeys(needed)}
    wanted = [rid for rid, state in states.items() if state not in ("done", "not available")]
    if not wanted:
        return pd.DataFrame(columns=["run", "state", "minutes"])
    plan = plan_minutes(study)
    return plan[plan["run"].isin(wanted)].reset_index(drop=True)


def command(study: Study, scale: str = "", profile: str = "") -> str:
    """Return the command that makes the runs of a study; by a profile, on a cluster."""
    more = ("" if study.phantom else " DATA=real") + (f" PROFILE={shlex.quote(profile)}" if profile else "")
    return f"make figures STUDY={shlex.quote(study.name)} SCALE={scale or study.scale}{more}"


def _minutes(left: pd.DataFrame) -> str:
    return say_minutes(left["minutes"].sum() if left["minutes"].notna().any() else float("nan"))


def _offer(study: Study, notebook: str) -> str:
    """Return a sentence on the small version; "" where the study has none, or this is it."""
    if study.scale == SMALL:
        return ""
    try:
        left = list_missing(load(study.name, SMALL), notebook)
    except TlkitError:
        return ""
    return f' The small version, with `scale = "{SMALL}"` as well, takes {_minutes(left) if len(left) else "seconds"}.'
