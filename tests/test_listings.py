"""The lists that commands print fit 100 columns and say what is left in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit import listings, studies
from tlkit.config import ConfigError, UnknownNameError
from tlkit.names import Names

NOW = datetime.now(UTC)
LONG = "finetune-COVID_MobileNetV3Large-radiologynet_all_modalities_of_the_archive-100pct-s42-0ba03282"


def listing(**changes) -> pd.DataFrame:
    rows = [
        {"id": f"run-{state}-{hours}", "state": state, "minutes": minutes, "error": error}
        | {"updated": (NOW - timedelta(hours=hours)).isoformat(timespec="seconds")}
        for state, hours, minutes, error in (
            ("done", 1, 0.0, ""), ("done", 30, 75.2, "in doubt: it knows no more than chance"),
            ("failed", 3, 0.0, "DivergedError: " + "the loss became nan " * 9), ("running", 0, 0.0, ""),
        )
    ]  # fmt: skip
    return pd.DataFrame(rows).assign(**changes)


def plan(**changes) -> pd.DataFrame:
    row = {"run": LONG, "state": "missing", "kind": "finetune", "experiment": "E1", "task": "a task"}
    row |= {"pretraining": "p", "minutes": 2.0, "passes": 1, "unpriced": ""}
    return pd.DataFrame([row] * 3).assign(**changes)


def test_no_line_is_longer_than_100_columns():
    table = pd.DataFrame([{"what": "x" * 30, "found": "y " * 200, "state": "FIX", "mend": "z " * 200}])
    names = Names({"a task": "A very long title of a task " * 6, "E1": "fine-tuning"})
    states = ["done", "not available", "interrupted"]
    shown = [
        *listings.check_lines(table),
        *listings.plan_lines(plan(state=states), names),
        *listings.plan_sum(plan(unpriced="why " * 60), studies.load("boundaries", "paper")),
        *listings.status_lines(listing(id=LONG), 4),
    ]
    assert max(map(len, shown)) <= listings.WIDTH


def test_a_mend_stands_under_what_needs_it_alone():
    rows = [{"what": w, "found": w, "state": s, "mend": "m"} for w, s in (("a", "ok"), ("b", "none"), ("c", "FIX"))]
    assert listings.check_lines(pd.DataFrame(rows))[-2:] == ["FIX   c             c", "      mend it: m"]
    assert len(listings.check_lines(pd.DataFrame(rows))) == 4


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "3 runs: 3 missing. Left: about 6 minutes, one after the other."),
        ({"minutes": 0.01}, "3 runs: 3 missing. Left: seconds, one after the other."),
        ({"minutes": float("nan")}, "3 runs: 3 missing. Left: a time that nobody can tell, one after the other."),
        ({"state": "done"}, "3 runs: 3 done. Left: nothing."),
    ],
)
def test_what_is_left_in_words(changes, told):
    assert listings.plan_sum(plan(**changes), studies.load("boundaries", "quick")) == [told]


@settings(max_examples=20)
@given(st.floats(0, 1e6) | st.just(float("nan")))
def test_missing_runs_never_cost_nothing(minutes):
    (line,) = listings.plan_lines(plan(minutes=minutes)[:1], Names({}))[2:]
    assert line.endswith(("seconds", "minute", "minutes", "hour", "hours", "day", "days", "unknown")) or minutes == 0


def test_runs_by_state_and_time():
    table = listing()
    assert set(listings.select_runs(table, states="failed, running")["state"]) == {"failed", "running"}
    assert len(listings.select_runs(table, since="2h")) == 2
    assert len(listings.select_runs(table, since="1d", states="done")) == 1
    assert len(listings.select_runs(table, since=(NOW - timedelta(days=3)).date().isoformat())) == 4
    with pytest.raises(UnknownNameError, match="Did you mean 'failed'"):
        listings.select_runs(table, states="fail")
    with pytest.raises(ConfigError, match="expected 30m, 2h, 3d or 1w"):
        listings.select_runs(table, since="yesterday")


def test_runs_by_study():
    study = studies.load("boundaries", "smoke")
    mine = next(iter(study.planned()))
    table = pd.concat([listing(), listing(id=mine)[:1]])
    assert listings.select_runs(table, [study])["id"].tolist() == [mine]
    assert {s.scale for s in listings.load_scales("boundaries")} == {"smoke", "quick", "course", "paper"}
    assert "mini" in {s.scale for s in listings.load_scales("open_boundaries")}
    with pytest.raises(UnknownNameError, match="Did you mean 'boundaries'"):
        listings.load_scales("boundary")


def test_a_run_says_how_long_it_took_and_why_it_failed():
    lines = listings.status_lines(listing(), 9)
    assert lines[1].split()[:2] == ["done", "<0.1"] and lines[2].split()[:2] == ["done", "75.2"]
    assert "in doubt" in lines[3] and "DivergedError" in lines[5]
    assert lines[-1] == "4 of 9 runs: 2 done, 1 failed, 1 running. Missing ones: `python -m tlkit plan`."
