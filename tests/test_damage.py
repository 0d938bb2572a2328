"""Damaged files of runs: named with what to do, never counted as done; all other runs go on."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from tlkit import __main__, paths, runfolder, runs
from tlkit.config import NotAvailableError
from tlkit.runs import RunDamagedError, claim, finish, run_id
from tlkit.studies import load

CONFIG = {
    "kind": "finetune", "mode": "finetune", "task": "R", "pretraining": "radnet", "fraction": 1.0, "weights": None,
    "backbone": "resnet10", "seed": 42, "recipe": {"lr": 0.1},
}  # fmt: skip
RID = run_id(CONFIG)
LARGE = bytes(range(256)) * 1000  # more than is hashed at every look
FILES = {
    "environment.json": b'{"host": "here"}', "history.csv": b"epoch,loss\n0,0.5\n1,0.4\n", "model.safetensors": LARGE,
    "inputs.json": b'{"weights": {}, "groups": {}}', "predictions_test.parquet": LARGE,
}  # fmt: skip
NAMES = ["status.json", "config.json", "metrics.json", *FILES]


def made(seed: int = 42, **status) -> str:
    """Do a run without training, and return its id."""
    with claim({**CONFIG, "seed": seed}) as run:
        for name, data in FILES.items():
            (run.folder / name).write_bytes(data)
        finish(run, {"accuracy": 0.5}, seconds=60, **status)
    return run.id


def flipped(data: bytes) -> bytes:
    place = len(data) // 2
    return data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]


DAMAGES = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "garbled": lambda data: b"\xff\x00" * (len(data) // 2),
    "flipped": flipped,
}


def damage(path, how: str) -> None:
    if how == "deleted":
        path.unlink()
    else:
        path.write_bytes(DAMAGES[how](path.read_bytes()))


@pytest.mark.parametrize("how", [*DAMAGES, "deleted"])
@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_is_named_and_the_run_is_not_done(name, how, capsys):
    good, bad = made(1), made()
    damage(runs.folder(bad) / name, how)
    told = rf"{name} is damaged \(.*tlkit remove {bad}`"
    deep = how in ("garbled", "flipped") and name in ("model.safetensors", "predictions_test.parquet")  # of same size
    assert runs.state(bad) == ("done" if deep else "damaged") and runs.state(bad, verify=True) == "damaged"
    assert runs.state(good) == "done" and runs.state_is_done(good) and runs.state_is_done(bad) == deep
    if deep:
        with pytest.raises(RunDamagedError, match=told):
            runs.check_file(bad, name)
        return
    with pytest.raises(RunDamagedError, match=told), claim({**CONFIG}):
        pass
    table = runs.listing().set_index("id")
    assert table["state"].to_dict() == {good: "done", bad: "damaged"}
    assert name in table.at[bad, "error"] and table.at[good, "error"] == ""
    assert set(runs.read_all()["run"]) == set(runs.read_all([good, bad])["run"]) == {good}
    assert runs.history(good)["loss"].tolist() == [0.5, 0.4]
    if name in ("history.csv", "status.json"):
        with pytest.raises(RunDamagedError, match=told):
            runs.history(bad)
    assert __main__.main(["status"]) == 0 and "damaged" in capsys.readouterr().out
    assert __main__.main(["remove", bad]) == 0
    assert runs.state(bad) == "missing" and made() == bad and runs.state(bad) == "done"


@pytest.mark.parametrize("suffix", ["", runs.PARTIAL])
def test_a_file_in_the_place_of_a_run_is_damage(suffix, capsys):
    good = made(1)
    there = runs.folder(RID + suffix)
    there.write_text("no folder")
    with pytest.raises(RunDamagedError, match=rf"expected a folder.*tlkit remove {RID}`"), claim({**CONFIG}):
        pass
    assert runs.listing().set_index("id")["state"].to_dict() == {good: "done", RID: "damaged"}
    assert set(runs.read_all()["run"]) == {good}
    assert __main__.main(["remove", RID]) == 0 and not there.exists() and runs.state(good) == "done"


@pytest.mark.parametrize("how", ["empty", "cut", "garbled", "flipped"])
@pytest.mark.parametrize("name", ["status.json", "config.json"])
def test_a_damaged_folder_of_an_unfinished_run_is_not_begun_anew_in_silence(name, how):
    with pytest.raises(ValueError), claim(CONFIG) as run:
        raise ValueError("the reason")
    assert runs.state(RID) == "failed"
    damage(run.folder / name, how)
    assert runs.state(RID) == "damaged" and runs.listing()["state"].tolist() == ["damaged"]
    with pytest.raises(RunDamagedError, match=rf"{name} is damaged .*tlkit remove {RID}`"), claim(CONFIG):
        pass
    assert runs.remove(RID) == [RID] and runs.state(RID) == "missing"


def test_a_run_killed_before_its_rename_is_looked_at(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(runs, "_seal", lambda run: run.folder)
        made()
    damage(runs.folder(RID + runs.PARTIAL) / "metrics.json", "cut")
    with pytest.raises(RunDamagedError, match=r"metrics.json is damaged \(\d+ bytes of \d+\)"), claim(CONFIG):
        pass


def test_an_older_folder_and_one_that_only_looks_like_a_run():
    where = runs.folder("finetune-R-old-100pct-s1-0123abcd")
    where.mkdir(parents=True)
    (where / "metrics.json").write_text("{}")
    (where / "status.json").write_text('{"state": "done"}')
    (paths.runs_root() / "data").mkdir()
    table = runs.listing()
    assert table["state"].tolist() == ["damaged"] and "by an older version" in table["error"][0]


def test_what_cannot_be_made_is_no_failure():
    with pytest.raises(NotAvailableError), claim(CONFIG):
        raise NotAvailableError("one group of CR is left")
    assert runs.state(RID) == "not available" and not runs.state_is_done(RID)
    row = runs.listing().iloc[0]
    assert row["state"] == "not available" and "one group of CR is left" in row["error"]
    with claim(CONFIG) as run:  # other data, another outcome
        finish(run, {})
    assert runs.state(RID) == "done"


@pytest.mark.parametrize("place", ["a.json", "runs/studies/boundaries/smoke/data-lits.json"])
def test_other_json_says_to_delete_it(tmp_path, place):
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{")
    with pytest.raises(RunDamagedError, match=r".json is damaged \(no JSON: .*\). Delete it"):
        runs.read_json(path)


def test_runs_are_known_by_their_names_without_a_config():
    study = load("radiologynet", "smoke")
    assert all(runfolder.NAMED.fullmatch(run_id(config)) for config in study.configs())
    assert not any(runfolder.NAMED.fullmatch(name) for name in ("data", "studies", "notebooks", "ratings", ".locks"))


def test_the_order_of_the_listing_is_that_of_the_ids():
    ids = [made(seed) for seed in (3, 1, 2)]
    assert runs.listing()["id"].tolist() == sorted(ids) and isinstance(runs.listing(), pd.DataFrame)
    assert json.loads((runs.folder(ids[0]) / "status.json").read_text())["files"]["model.safetensors"][0] == len(LARGE)
    assert runfolder.read_status(runs.folder(ids[0]))["seconds"] == 60


def test_a_study_goes_on_around_a_damaged_run():
    study = load("boundaries", "smoke")
    good, bad = study.finetune("imagenet", ["R"], ["E1"])[:2]
    for config in (good, bad):
        with claim(config) as run:
            finish(run, {"accuracy": 0.5}, seconds=60)
    damage(runs.folder(run_id(bad)) / "metrics.json", "cut")
    plan = study.plan().set_index("run")["state"]
    assert plan[run_id(good)] == "done" and plan[run_id(bad)] == "damaged"
    assert study.missing()["state"].value_counts()["damaged"] == 1
    assert set(study.results()["run"]) == {run_id(good)}
