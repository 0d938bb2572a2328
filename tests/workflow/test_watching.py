from __future__ import annotations

import time

import pytest

from tlkit import openrun, pulse, runfolder, runs
from tlkit.__main__ import main
from tlkit.workflow import watching

CONFIG = {"kind": "pretrain", "pretraining": "radnet", "backbone": "resnet10", "seed": 42}


@pytest.fixture
def at_work():
    """Three runs: one at work, one lost with its node, one failed."""
    for seed in (1, 2):
        with pytest.raises(ZeroDivisionError), runs.claim({**CONFIG, "seed": seed}):
            _ = 1 / 0
    lost = runs.folder(runs.run_id({**CONFIG, "seed": 2}) + runs.PARTIAL)
    told = {"state": "running", "heartbeat": 1e9, "host": "n7", "job": "77", "epoch": 1, "epochs": 4}
    runfolder.write_status(lost, openrun.read_status(lost) | told)
    with runs.claim(CONFIG) as run:
        pulse.tell(epoch=2, epochs=3, step=5, steps=9)
        run.status("running")
        yield run


def test_runs_at_work_are_seen_from_outside(at_work, capsys):
    table = watching.list_at_work().set_index("state")
    assert table.loc["running", ["run", "epoch", "step", "job"]].tolist() == [at_work.id, "2/3", "5/9", ""]
    assert table.loc["lost", ["epoch", "step", "host", "job"]].tolist() == ["1/4", "", "n7", "77"]
    said = watching.say_at_work()
    assert "no sign of life from process" in said and "on n7, job 77" in said
    assert "1 running, 1 lost, 1 ended before they were done" in said
    main(["status"])
    out = capsys.readouterr().out
    assert said.splitlines()[0] in out and "failed" in out, "and all the others"


def test_watching_goes_on_until_ctrl_c(at_work, monkeypatch, capsys):
    times = iter([None, None])
    monkeypatch.setattr(
        time, "sleep", lambda seconds: next(times, 0) is None or (_ for _ in ()).throw(KeyboardInterrupt)
    )
    assert main(["status", "--watch"]) == 0
    assert capsys.readouterr().out.count(at_work.id) == 3


def test_nothing_at_work_is_said(capsys):
    assert watching.list_at_work().empty
    assert "no runs yet below" in watching.say_at_work()
