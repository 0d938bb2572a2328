from __future__ import annotations

import contextlib
import copy
import errno
import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import namedtuple

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit import openrun, paths, pulse, runfolder, runs
from tlkit.machine import environment
from tlkit.runs import RunBusyError, RunFailedError, claim, finish, run_id

CONFIG = {"kind": "pretrain", "pretraining": "radnet", "backbone": "resnet10", "seed": 42, "recipe": {"lr": 0.1}}
RID = run_id(CONFIG)
Usage = namedtuple("Usage", "total used free")


def done(config=CONFIG, **metrics):
    with claim(config) as run:
        return finish(run, {"loss": 1.5, **metrics}, seconds=90)


def leaves(value, path=()):
    """Yield the path of every plain value in a config."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, key))
    else:
        yield path


def changed(config, path):
    """Return a copy with another plain value at `path`."""
    config = copy.deepcopy(config)
    place = config
    for key in path[:-1]:
        place = place[key]
    old = place[path[-1]]
    if isinstance(old, bool):
        place[path[-1]] = not old
    else:
        place[path[-1]] = 7 if old is None else old + ("x" if isinstance(old, str) else 1)
    return config


def test_slugs_can_be_read(config):
    assert RID.startswith("pretrain-radnet-resnet10-s42-") and len(RID.rsplit("-", 1)[1]) == 8
    tenth = config("finetune", fraction=0.1, mode="lineval", task="R", pretraining="radnet", seed=3)
    assert run_id(tenth).startswith("lineval-R-radnet-10pct-s3-")
    odd = {**CONFIG, "backbone": "torchvision/vgg 11"}
    assert run_id(odd).startswith("pretrain-radnet-torchvision_vgg_11-s42-")


@given(draw=st.data())
@settings(max_examples=60, deadline=None)
def test_an_id_changes_with_every_leaf_and_never_with_the_order(config, draw):
    full = config("finetune", "lits", weights={"run": "pretrain-x"})
    path = draw.draw(st.sampled_from(list(leaves(full))))
    assert run_id(changed(full, path)) != run_id(full), path
    turned = dict(draw.draw(st.permutations(list(full.items()))))
    turned["data"] = dict(reversed(list(full["data"].items())))
    assert run_id(turned) == run_id(full) == run_id(json.loads(json.dumps(turned)))


def test_a_run_goes_from_missing_to_done():
    assert runs.state(RID) == "missing"
    with claim(CONFIG) as run:
        assert runs.state(RID) == "running" and run.folder.name == f"{RID}.partial"
        assert runs.read_json(run.folder / "config.json") == CONFIG
        (run.folder / "checkpoint").mkdir()
        (run.folder / "checkpoint" / "last.pt").write_text("state")
        where = finish(run, {"loss": 0.25, "auc": float("nan")}, seconds=3)
    assert runs.state(RID) == "done" and where == runs.folder(RID)
    assert runs.read_json(where / "metrics.json") == {"loss": 0.25, "auc": None}
    assert not (where / "checkpoint").exists() and not runs.folder(RID + runs.PARTIAL).exists()
    status = runs.read_json(where / "status.json")
    assert status["state"] == "done" and status["seconds"] == 3 and status["pid"] == os.getpid()


def test_a_finished_folder_is_never_written_again():
    where = done()
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in where.iterdir()}
    with claim(CONFIG) as run:
        assert run is None
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in where.iterdir()} == before


@pytest.mark.parametrize(("error", "state"), [(ValueError, "failed"), (KeyboardInterrupt, "interrupted")])
def test_an_error_keeps_the_folder_and_the_next_start_goes_on(error, state):
    with pytest.raises(error), claim(CONFIG) as run:
        (run.folder / "kept.txt").write_text("epoch 3")
        raise error("the reason")
    assert runs.state(RID) == state
    status = runs.read_json(runs.folder(RID + runs.PARTIAL) / "status.json")
    assert status["error"] == f"{error.__name__}: the reason"
    with claim(CONFIG) as run:
        assert (run.folder / "kept.txt").read_text() == "epoch 3"
        where = finish(run, {})
    again = runs.read_json(where / "status.json")
    assert "error" not in again and again["started"] == status["started"]


def test_a_kill_just_before_the_rename_costs_nothing(monkeypatch):
    def killed(run):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(runs, "_seal", killed)
        done()
    part = runs.folder(RID + runs.PARTIAL)
    (part / ".model.safetensors.77.part").write_text("half")
    (part / ".status.json.77.part").write_text("half")
    with claim(CONFIG) as run:
        assert run is None
    assert sorted(p.name for p in runs.folder(RID).iterdir()) == ["config.json", "metrics.json", "status.json"]


HOLD = """
import json, sys
from tlkit import openrun, paths, pulse, runfolder, runs
with runs.claim(json.loads(sys.argv[1])) as run:
    print("ready", flush=True)
    sys.stdin.readline()
    runs.finish(run, {"loss": 1.0})
"""


@contextlib.contextmanager
def other_process():
    """Another process that is at work on the run until it reads a line."""
    command = [sys.executable, "-c", HOLD, json.dumps(CONFIG)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_of_two_processes_one_wins_and_the_other_says_who():
    with other_process() as process:
        assert runs.state(RID) == "running"
        with pytest.raises(RunBusyError, match=rf"process {process.pid} on {socket.gethostname()}"), claim(CONFIG):
            pass
        timer = threading.Timer(0.3, lambda: process.communicate("go\n"))
        timer.start()
        with claim(CONFIG, wait=True) as run:  # waits, and then there is nothing to do
            assert run is None
        timer.join()
    assert runs.state(RID) == "done"


def test_the_lock_of_a_killed_process_is_free():
    with other_process() as process:
        process.kill()
        process.wait()
        assert runs.state(RID) == "interrupted"
        with claim(CONFIG) as run:
            assert runs.read_json(run.folder / "status.json")["pid"] == os.getpid()


def test_a_full_disk_says_what_is_free_and_stays_resumable(monkeypatch):
    message = r"no space left below .*\(1\.50 GB free\).*TLKIT_RUNS.*last epoch that was kept"
    with pytest.raises(RunFailedError, match=message), claim(CONFIG) as run:
        (run.folder / "kept.txt").write_text("epoch 3")
        monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 1.5e9))
        raise OSError(errno.ENOSPC, "No space left on device")
    assert runs.state(RID) == "failed"
    with claim(CONFIG) as run:
        assert (run.folder / "kept.txt").exists()


def test_a_disk_that_is_full_from_the_start(monkeypatch):
    def full(path, value):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(RunFailedError, match="GB free"):
        patch.setattr(runs, "write_json", full)
        with claim(CONFIG):
            pass
    assert done().exists()


def test_other_os_errors_stay_what_they_are():
    with pytest.raises(PermissionError), claim(CONFIG):
        raise PermissionError(errno.EACCES, "no")


def test_json_is_whole_or_not_there(tmp_path):
    path = tmp_path / "a.json"
    runs.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        runs.write_json(path, {"a": object()})
    assert runs.read_json(path) == {"a": 1} and list(tmp_path.glob("*.tmp")) == []


def test_listing_and_results(config):
    assert runs.listing().empty and runs.read_all().empty
    done()
    tuned = config("finetune", fraction=0.1, seed=5)
    rid = run_id(tuned)
    with claim(tuned) as run:
        finish(run, {"accuracy": 0.5, "val_accuracy": 0.75, "auc": float("nan")}, seconds=60)
    with pytest.raises(ZeroDivisionError), claim({**CONFIG, "seed": 1}):
        _ = 1 / 0
    table = runs.listing().set_index("id")
    assert table["state"].value_counts().to_dict() == {"done": 2, "failed": 1}
    assert table.loc[rid, "minutes"] == 1.0 and "ZeroDivisionError" in table["error"].max()
    values = runs.read_all([rid, "no-such-run"])
    assert set(values["run"]) == {rid} and values["fraction"].unique() == [0.1]
    assert values.set_index("metric")["value"].dropna().to_dict() == {"accuracy": 0.5, "val_accuracy": 0.75}
    assert set(runs.read_all()["run"]) == {RID, rid}


def test_the_notebook_is_added_once(tmp_path):
    where = done()
    book = tmp_path / "book.ipynb"
    book.write_text("first")
    runs.add_notebook(RID, book)
    (tmp_path / "other.ipynb").write_text("second")
    runs.add_notebook(RID, tmp_path / "other.ipynb")
    runs.add_notebook("missing", book)
    assert (where / "notebook.ipynb").read_text() == "first"


def test_environment_names_packages_machine_and_commit():
    found = environment()
    assert {"torch", "numpy", "tlkit"} <= set(found["packages"]) and found["threads"] >= 1
    assert found["host"] == socket.gethostname() and set(found["commit"]) == {"id", "dirty"}
    json.dumps(found)


def test_history_is_read_back(tmp_path):
    where = done()
    pd.DataFrame({"epoch": [0], "loss": [0.5]}).to_csv(where / "history.csv", index=False)
    assert runs.history(RID)["loss"].tolist() == [0.5]


# --- seen from outside ---


def test_a_run_at_work_says_how_far_it_is_where_and_when(monkeypatch):
    monkeypatch.setattr(pulse, "BEAT", 0.01)
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    with claim(CONFIG) as run:
        pulse.tell(epoch=2, epochs=3, step=5, steps=9)
        while "epoch" not in (told := openrun.read_status(run.folder)):
            time.sleep(0.01)
        assert (told["epoch"], told["step"], told["job"], told["pid"]) == (2, 5, "77", os.getpid())
        assert abs(told["heartbeat"] - time.time()) < 60 and told["host"] == socket.gethostname()
        where = finish(run, {})
        time.sleep(0.05)
    told = runs.read_json(where / "status.json")
    assert told["state"] == "done" and "epoch" not in told and not run.folder.with_name(f"{RID}.partial").exists()


def left_running(**changes) -> None:
    """Leave the folder of a run whose process is gone without a word."""
    with pytest.raises(ZeroDivisionError), claim(CONFIG):
        _ = 1 / 0
    where = runs.folder(RID + runs.PARTIAL)
    status = {**runs.read_json(where / "status.json"), "state": "running", "heartbeat": time.time(), **changes}
    status.pop("check")
    runfolder.write_status(where, status)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "interrupted"),  # killed on this machine, whose locks are sure
        ({"host": "n7"}, "running"),  # where locks are not seen between machines
        ({"host": "n7", "heartbeat": 1e9, "job": "77"}, "lost"),
    ],
)
def test_a_run_without_a_sign_of_life_is_lost(changes, state):
    left_running(**changes)
    found, why = runs.state_and_cause(RID)
    assert found == state == runs.listing()["state"].item()
    if state == "lost":
        assert why == runs.listing()["error"].item()
        assert re.match(
            r"no sign of life from process \d+ on n7, job 77 since .*python -m tlkit run .*config.json", why
        )
    with claim(CONFIG) as run:  # and can be gone on with
        finish(run, {})


def test_a_run_that_hangs_is_lost_while_its_process_lives():
    with claim(CONFIG) as run:
        run.rest()
        told = openrun.read_status(run.folder)
        runfolder.write_status(run.folder, told | {"heartbeat": time.time() - openrun.SILENT})
        assert runs.state(RID) == "lost"


def test_a_run_that_another_process_took_over_writes_no_more():
    with pytest.raises(RunBusyError, match="was taken over"), claim(CONFIG) as run:
        run.lock.lost = True
        finish(run, {})
    assert openrun.read_status(runs.folder(RID + runs.PARTIAL))["state"] == "running"


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.EROFS, errno.ENOTCONN])
def test_a_file_system_that_is_away_is_told_and_nothing_is_lost(number):
    with (
        pytest.raises(RunFailedError, match=r"file system of .*/images.npy is away .*TLKIT_RUNS"),
        claim(CONFIG) as run,
    ):
        (run.folder / "kept.txt").write_text("epoch 3")
        raise OSError(number, os.strerror(number), "/lost/images.npy")
    assert runs.state(RID) == "failed"
    with claim(CONFIG) as run:
        assert (run.folder / "kept.txt").exists()


def test_a_site_without_flock_does_its_runs_one_process_at_a_time(monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    with claim(CONFIG) as run:
        assert runs.state(RID) == "running"
        with pytest.raises(RunBusyError, match=f"process {os.getpid()}"), claim(CONFIG):
            pass
        finish(run, {})
    assert runs.state(RID) == "done" and not list((paths.runs_root() / ".locks").glob("*.lease"))


def test_a_run_that_is_left_as_it_is_says_nothing_more(monkeypatch):
    monkeypatch.setattr(pulse, "BEAT", 0.01)
    with claim(CONFIG) as run:
        pass  # its processes go on with it
    before = openrun.read_status(run.folder)
    time.sleep(0.1)
    assert openrun.read_status(run.folder) == before
