from __future__ import annotations

import importlib
import shutil
from collections import namedtuple

import pytest

from tlkit import check
from tlkit.__main__ import main

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def few_modules(monkeypatch):
    monkeypatch.setattr(check, "MODULES", ("torch", "numpy"))  # all of them take seconds


def states() -> dict[str, str]:
    return check.environment_check().set_index("what")["state"].to_dict()


def test_table_covers_what_the_project_needs():
    table = check.environment_check()
    assert list(table) == ["what", "found", "state", "mend"]
    assert {"Python", "torch", "GPU", "CPU cores", "free disk", "real data"} <= set(table["what"])
    assert set(table["state"]) <= {"ok", "none", "FIX"}
    assert (table.loc[table["state"] == "FIX", "mend"] != "").all()


def test_every_listed_module_has_a_name_that_can_be_imported():
    names = importlib.reload(check).MODULES
    assert all(importlib.util.find_spec(n) for n in names)


def test_a_missing_package_says_make_setup(monkeypatch):
    monkeypatch.setattr(check, "MODULES", ("no_such_package",))
    row = check.environment_check().set_index("what").loc["no_such_package"]
    assert row["state"] == "FIX" and row["mend"] == "make setup" and "no_such_package" in row["found"]


def test_a_full_disk_needs_mending_and_the_command_fails(monkeypatch, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(100, 99, 1e9))
    assert states()["free disk"] == "FIX"
    assert main(["check"]) == 1
    assert "TLKIT_RUNS" in capsys.readouterr().out


def test_the_disk_of_a_runs_folder_that_does_not_exist_yet_is_its_own(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: asked.append(path) or Usage(1, 0, 1e12))
    monkeypatch.setenv("TLKIT_RUNS", str(tmp_path / "not" / "yet"))
    assert states()["free disk"] == "ok" and asked == [tmp_path]


def test_real_data(monkeypatch, tmp_path):
    assert states()["real data"] == "none"
    monkeypatch.setenv("TLKIT_DATA", str(tmp_path / "absent"))
    assert states()["real data"] == "FIX"
    monkeypatch.setenv("TLKIT_DATA", str(tmp_path))
    assert states()["real data"] == "none"
    (tmp_path / "lits" / "part").mkdir(parents=True)
    table = check.environment_check().set_index("what")
    assert table.loc["real data", "state"] == "ok" and table.loc["real data", "found"] == "lits"
