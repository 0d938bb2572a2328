"""A notebook whose runs are missing says so in a sentence: what it costs, and how to have it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlkit import runs, studies
from tlkit.workflow import needed
from tlkit.workflow.minutes import say_minutes

BOOK = "35_fig7_overlays"  # the fewest runs


def finish(config) -> None:
    with runs.claim(config) as run:
        runs.finish(run, {"accuracy": 0.5, "images": 8}, seconds=60)


@pytest.fixture
def study():
    return studies.load("boundaries", "quick")


def test_without_any_run_one_sentence_says_the_command_the_minutes_and_the_small_version(study):
    with pytest.raises(needed.NothingDoneError) as stop:
        needed.complete(study, BOOK)
    said = str(stop.value)
    assert re.search(r"4 runs that this notebook needs are missing: about \d+ minutes? of work", said), (
        "with pretrainings"
    )
    assert "`make figures STUDY=boundaries SCALE=quick`" in said and "`make_missing = True`" in said
    assert re.search(r'with `scale = "smoke"` as well, takes (seconds|about \d+ minutes?)\.$', said)
    assert "\n" not in said
    assert stop.value._render_traceback_() == [f"NothingDoneError: {said}"]


def test_the_small_version_offers_no_smaller_one():
    with pytest.raises(needed.NothingDoneError, match=r"are done here\.$"):
        needed.complete(studies.load("boundaries", "smoke"), BOOK)


def test_some_runs_are_shown_and_the_others_told(study, capsys):
    (_, config), *_ = study.shown_configs(BOOK)
    finish(config)
    assert needed.complete(study, BOOK).done() == [runs.run_id(config)]
    assert "3 runs that this notebook needs are missing" in capsys.readouterr().out


def test_all_runs_and_nothing_is_said(study, capsys):
    for _, config in study.shown_configs(BOOK):
        for one in [*study.lineage(config["pretraining"], config["backbone"], config["seed"]), config]:
            finish(one)
    assert len(needed.complete(study, BOOK).done()) == 2
    assert capsys.readouterr().out == ""


def test_missing_runs_are_made_where_asked(study, monkeypatch, capsys):
    made = []
    monkeypatch.setattr(needed, "run_all", lambda configs, of: made.extend(configs))
    needed.complete(study, BOOK, make=True)
    assert len(made) == 2 and "done now, one after the other" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(0, "no time"), (0.1, "seconds"), (0.6, "about 1 minute"), (7.4, "about 7 minutes"), (89.9, "about 90 minutes"),
     (600, "about 10 hours"), (14_400, "about 10 days"), (float("nan"), "a time that nobody can tell")],
)  # fmt: skip
def test_minutes_in_words(minutes, words):
    assert say_minutes(minutes) == words


@given(st.floats(0.5, 1e7))
def test_minutes_are_never_told_as_none(minutes):
    number, unit = re.fullmatch(r"about ([\d,]+) (minute|hour|day)s?", say_minutes(minutes)).groups()
    told = int(number.replace(",", "")) * {"minute": 1, "hour": 60, "day": 1440}[unit]
    assert abs(told - minutes) <= max(0.5, 0.5 * {"minute": 1, "hour": 60, "day": 1440}[unit])
