"""What a run starts from is recorded and compared; what goes away takes with it what started from it."""

from __future__ import annotations

import json

import pytest

from tlkit import __main__, lineage, paths, runs
from tlkit.config import UnknownNameError
from tlkit.files import sha256
from tlkit.models import backbone
from tlkit.models.weights import save_weights
from tlkit.runs import InputsChangedError, RunBusyError, RunDamagedError, claim, finish, run_id
from tlkit.training import run as run_module
from tlkit.training.run import run


def done(config, seed: int = 0) -> str:
    """Finish a run with the initial weights of `seed`, without training."""
    with claim(config) as job:
        started = {config["weights"]["run"]: "0" * 64} if config.get("weights") else {}
        lineage.record(job.folder, {"weights": started, "groups": config.get("used", {})})
        save_weights(backbone("resnet10", seed=seed), job.folder / "model.safetensors")
        finish(job, {"loss": 1.0})
    return run_id(config)


@pytest.fixture
def pair(config, data, monkeypatch):
    """A finished pretraining, and the config of a run that starts from it and stops where it would train."""
    before = config("pretrain", recipe={"epochs": 1})

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module, "fit", stop)
    return before, config(recipe={"epochs": 1}, weights={"run": done(before)})


def flip(path) -> None:
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)


def test_a_flipped_bit_in_the_weights_stops_a_run_before_it_trains(pair):
    before, made = pair
    path = runs.folder(run_id(before)) / "model.safetensors"
    flip(path)
    with pytest.raises(RunDamagedError, match=rf"model.safetensors is damaged .*tlkit remove {run_id(before)}`"):
        run(made)
    assert runs.state(run_id(made)) == "failed"


def test_a_run_goes_on_from_the_weights_that_it_began_with(pair):
    before, made = pair
    with pytest.raises(KeyboardInterrupt):
        run(made)
    path = runs.folder(run_id(made) + runs.PARTIAL) / "inputs.json"
    used = sha256(runs.folder(run_id(before)) / "model.safetensors")
    assert runs.read_json(path) == {"weights": {run_id(before): used}, "groups": {}}
    with pytest.raises(KeyboardInterrupt):  # the same weights: nothing is in the way
        run(made)
    runs.shutil.rmtree(runs.folder(run_id(before)))
    done(before, seed=1)  # made anew under its name
    with pytest.raises(InputsChangedError, match=rf"begun with another content of {run_id(before)} .*{run_id(made)}`"):
        run(made)


def test_a_pretraining_that_was_made_anew_is_not_mixed_with_what_others_started_from(pair):
    before, made = pair
    with pytest.raises(KeyboardInterrupt):
        run(made)
    runs.shutil.rmtree(runs.folder(run_id(before)))
    done(before, seed=1)
    told = rf"those that 1 other runs started from \(such as {run_id(made)}\).*tlkit remove {run_id(before)}`"
    with pytest.raises(InputsChangedError, match=told):
        run({**made, "seed": 2})
    assert set(runs.remove(run_id(before))) >= {run_id(before), run_id(made)}
    done(before, seed=1)
    with pytest.raises(KeyboardInterrupt):
        run({**made, "seed": 2})


def test_other_groups_under_one_name(config):
    first, second = (config("pretrain", seed=s, used={"radnet-12345678": str(s) * 64}) for s in (1, 2))
    done(first)
    with pytest.raises(InputsChangedError, match=r"the groups of radnet-12345678 are not those .*tlkit remove radnet"):
        done(second)


def test_all_that_started_from_a_run_goes_with_it(config, capsys):
    first = config("pretrain")
    second = config("pretrain", "lits", weights={"run": done(first)})
    third = config(weights={"run": done(second)})
    other = done(config(seed=7))
    ids = [run_id(first), run_id(second), done(third)]
    groups = paths.groups_root() / "archive-1234abcd"
    groups.mkdir(parents=True)
    runs.write_json(groups / "groups.json", {"settings": {"encoder": ids[0]}})
    fourth = config("pretrain", seed=9, used={groups.name: "0" * 64})
    ids.append(done(fourth))
    (runs.folder(ids[2]) / "config.json").write_text("")  # what it started from is known from its inputs
    with claim({**third, "seed": 5}), pytest.raises(RunBusyError, match="nothing was removed"):
        runs.remove(ids[0])
    assert runs.state(ids[0]) == "done"
    assert __main__.main(["remove", ids[0], ids[1]]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in (*ids, groups.name))
    assert [runs.state(rid) for rid in ids] == ["missing"] * 4 and not groups.exists()
    assert runs.listing()["id"].tolist() == [other]


def test_a_name_that_is_no_run(config, capsys):
    rid = done(config(seed=7))
    with pytest.raises(UnknownNameError, match=rf"no run '{rid[:-1]}x' below .*Did you mean '{rid}'"):
        runs.remove(f"{rid[:-1]}x")
    for name in ("..", "data", "", "a/b"):
        assert __main__.main(["remove", name]) == 1
    assert "no run ''" in capsys.readouterr().err and runs.state(rid) == "done"


def test_what_cannot_be_read_holds_nobody_up(config):
    rid = done(config(seed=7))
    for text in ("", "[]", json.dumps({"weights": 3})):
        (runs.folder(rid) / "inputs.json").write_text(text)
        (runs.folder(rid) / "config.json").write_text(text)
        assert lineage.sources(runs.folder(rid)) == set()
        done(config(seed=len(text)))
