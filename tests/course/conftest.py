"""The runs folder that all lessons share in the tests, as the students of one machine may."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def course_runs(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("course_runs")


@pytest.fixture
def shared(course_runs, monkeypatch) -> Path:
    monkeypatch.setenv("TLKIT_RUNS", str(course_runs))
    return course_runs
