from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, namedtuple
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from tlkit import __main__, runs
from tlkit.config import ConfigError, UnknownNameError
from tlkit.datasets import identity
from tlkit.datasets.store import Store
from tlkit.models.weights import WeightsMismatchError, weights_hash
from tlkit.training import checkpoint, resume
from tlkit.training import run as run_module
from tlkit.training.data import DataChangedError, class_names
from tlkit.training.loop import DivergedError, Fit
from tlkit.training.reconstruction import Reconstruction
from tlkit.training.run import SelectionError, chosen_rows, open_data, run
from tlkit.training.simclr import Contrastive
from tlkit.training.supervised import Supervised

pytestmark = pytest.mark.usefixtures("data", "every_epoch")
Usage = namedtuple("Usage", "total used free")
TIMES = ["seconds", "cpu_seconds", "images_per_second"]
CONTRACT = {
    "config.json", "status.json", "environment.json", "inputs.json", "metrics.json", "history.csv", "model.safetensors",
    "predictions_val.parquet", "predictions_test.parquet",
}  # fmt: skip


@pytest.fixture
def every_epoch(monkeypatch):
    """Every epoch is kept, however little time the training takes."""
    monkeypatch.setattr(resume, "MOST", float("inf"))
    monkeypatch.setattr(resume, "FIRST", 0)


def configs(config) -> dict[str, dict]:
    """Return what `made` of conftest.py does once for the tests of this file."""
    return {"pretrained": config("pretrain", recipe={"epochs": 1}), "finetuned": config()}


@pytest.fixture
def lend(made):
    """Return a function that puts a copy of one of these finished runs beside the others, and gives its folder."""
    root, ids = made
    return lambda name: shutil.copytree(root / ids[name], runs.folder(ids[name]))


def bits(folder) -> dict[str, object]:
    """Return what must be equal between an unbroken run and a resumed one."""
    found = {n: (folder / n).read_bytes() for n in ("metrics.json", "model.safetensors", "config.json")}
    found["history"] = pd.read_csv(folder / "history.csv").drop(columns=TIMES).to_csv()
    for path in sorted(folder.glob("*.parquet")):
        found[path.name] = (
            pd.read_parquet(path).map(lambda v: v.tolist() if hasattr(v, "tolist") else v).to_dict("list")
        )
    return found


def stop(patch, objective: type, epoch: int) -> None:
    """Let training end by Ctrl-C in the second step of `epoch`."""
    real = objective.views

    def views(self, batch, positions, now, keys=None):
        self.steps = getattr(self, "steps", Counter()) + Counter([now])
        if self.steps[epoch] == 2:
            raise KeyboardInterrupt
        return real(self, batch, positions, now, keys)

    patch.setattr(objective, "views", views)


@pytest.fixture(scope="module")
def whole() -> dict[str, dict[str, object]]:
    """The bits of unbroken runs, by id: each is done once."""
    return {}


@pytest.fixture
def unbroken(whole, new_runs):
    """Return a function that gives the bits of a run that nothing breaks, and turns to an empty runs folder."""

    def made(config) -> dict[str, object]:
        if (rid := runs.run_id(config)) not in whole:
            new_runs("whole")
            whole[rid] = bits(run(config))
        new_runs("broken")
        return whole[rid]

    return made


KINDS = {
    "best": {"recipe": {"epochs": 3}},
    "patience": {"recipe": {"patience": 2, "epochs": 7, "lr": 0.02}},
    "last, 10 %": {"recipe": {"epochs": 3, "select": "last", "optimizer": "lars"}, "fraction": 0.5},
    "lineval": {"mode": "lineval", "recipe": {"epochs": 3, "freeze": "encoder", "bn": "frozen"}},
    "segmentation": {"dataset": "lits", "recipe": {"epochs": 3}},
    "pretraining": {"kind": "pretrain", "recipe": {"epochs": 3}},
    "pretraining, a part an epoch": {"kind": "pretrain", "recipe": {"epochs": 3}, "images_per_epoch": 24},
    "pretraining on two corpora": {"kind": "pretrain", "recipe": {"epochs": 3}},
    "pretraining after another": {"kind": "pretrain", "recipe": {"epochs": 3}, "seed": 2},
    "classification": {
        "kind": "pretrain",
        "method": "classification",
        "recipe": {
            "epochs": 3,
            "select": "best",
            "monitor": "log_loss",
            "sampling": "oversample",
            "schedule": "plateau",
        },
    },
    "reconstruction": {
        "kind": "pretrain",
        "method": "reconstruction",
        "backbone": "unet",
        "recipe": {"epochs": 3, "select": "best", "augment": "none"},
    },
}
STOPPED = {"reconstruction": Reconstruction, "classification": Supervised}


def both(config) -> list[dict]:
    """Return the data entries of a pretraining on photographs and on CT."""
    return [config(dataset=name)["data"] for name in ("imagenet", "lits")]


@pytest.mark.parametrize("kind", KINDS)
def test_killed_and_resumed_is_unbroken_to_the_bit(kind, config, lend, new_runs, monkeypatch):
    made = config(**KINDS[kind])
    if kind.endswith("two corpora"):
        made["data"] = both(config)
    after = kind.endswith("after another")
    new_runs("whole")
    if after:
        made["weights"] = {"run": lend("pretrained").name}
    whole = bits(run(made))
    new_runs("broken")
    if after:
        lend("pretrained")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stop(patch, STOPPED.get(kind, Contrastive if kind.startswith("pretraining") else Supervised), epoch=2)
        run(made)
    assert runs.state(runs.run_id(made)) == "interrupted"
    torch.manual_seed(int(time.time()))
    assert bits(run(made)) == whole


@pytest.mark.parametrize("kind", ["finetune", "pretrain"])
@pytest.mark.parametrize(
    "point",
    [(resume, "write_history"), (checkpoint, "save"), (run_module, "save_weights"), (runs, "finish"), (runs, "_seal")],
)
def test_a_kill_between_any_two_files_changes_nothing(kind, point, config, unbroken, monkeypatch):
    made = config(kind, recipe={"epochs": 1})
    whole = unbroken(made)
    place, name = point
    real = getattr(place, name)

    def killed(*args, **kwargs):
        if name != "finish" and name != "_seal":
            real(*args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(place, name, killed)
        run(made)
    found = run(made)
    assert bits(found) == whole and not (found / "checkpoint").exists()


def test_sigkill_of_a_process_and_resume_is_unbroken_to_the_bit(config, new_runs, tmp_path, capsys, caplog):
    """The process that is killed is one of its own; the command that goes on is called in this one."""
    made = config(recipe={"epochs": 12})
    new_runs("whole")
    whole = bits(run(made))
    root = new_runs("broken")
    (tmp_path / "config.json").write_text(json.dumps(made))
    early = "import sys; from tlkit import __main__; from tlkit.training import resume; resume.FIRST = 0; "
    command = [sys.executable, "-c", early + "sys.exit(__main__.main())", "run", str(tmp_path / "config.json")]
    partial = runs.folder(runs.run_id(made) + runs.PARTIAL)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.time() + 300
        while not (partial / resume.LAST).exists() and time.time() < until:
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert runs.state(runs.run_id(made)) == "interrupted" and 1 <= len(pd.read_csv(partial / "history.csv")) < 12
    capsys.readouterr()
    with caplog.at_level("INFO"):
        assert __main__.main(["run", str(tmp_path / "config.json")]) == 0
    found = runs.folder(runs.run_id(made))
    assert capsys.readouterr().out.strip() == str(found) and found.parent == root
    assert "resuming after epoch" in caplog.text and bits(found) == whole


def test_a_finished_run_is_complete_and_never_touched_again(config):
    made = config()
    folder = run(made)
    assert {p.name for p in folder.iterdir()} == CONTRACT
    assert runs.read_json(folder / "config.json") == made
    status = runs.read_json(folder / "status.json")
    assert status["state"] == "done" and 0 < status["train_seconds"] < status["seconds"]
    for split in ("val", "test"):
        kept = pd.read_parquet(folder / f"predictions_{split}.parquet")
        assert list(kept) == ["id", "patient", "target", "output"] and kept["id"].is_unique
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.iterdir()}
    start = time.perf_counter()
    assert run(made) == folder
    assert time.perf_counter() - start < 0.5
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.iterdir()} == before


def test_metrics_can_be_computed_again_from_the_predictions(config, lend):
    made, folder = config(), lend("finetuned")
    metrics = runs.read_json(folder / "metrics.json")
    for split, prefix in (("test", ""), ("val", "val_")):
        kept = pd.read_parquet(folder / f"predictions_{split}.parquet")
        guess = np.stack(kept["output"].to_numpy()).argmax(1)
        assert metrics[f"{prefix}accuracy"] == (guess == kept["target"]).mean()
    best = runs.history(folder.name)["accuracy"].max()
    assert metrics["val_accuracy"] == best and metrics["images"] == made["data"]["images"]


def test_the_test_set_is_read_once_and_only_after_training(config, monkeypatch):
    made = config(recipe={"epochs": 3})
    _, table = open_data(made["data"])
    rows = {s: set(chosen_rows(made["data"], table, s)) for s in ("train", "val", "test")}
    taken = []
    real = Store.take
    monkeypatch.setattr(Store, "take", lambda self, index: taken.append(list(index)) or real(self, index))
    run(made)
    order = [next(s for s, r in rows.items() if set(batch) <= r) for batch in taken]
    seen = Counter(row for batch, split in zip(taken, order, strict=True) for row in batch if split == "test")
    assert seen == Counter(rows["test"])
    first = order.index("test")
    assert set(order[first:]) == {"test"} and set(order[:first]) == {"train", "val"}


def test_same_seed_same_bits_and_another_seed_differs(config, new_runs):
    made = [config("pretrain", recipe={"epochs": 1}), config(recipe={"epochs": 1})]
    found = []
    for name in ("a", "b"):
        new_runs(name)
        torch.manual_seed(len(found))  # the state of the global generator does not matter
        found.append([bits(run(c)) for c in made])
    assert found[0] == found[1]
    assert bits(run({**made[1], "seed": 2}))["history"] != found[0][1]["history"]


@pytest.fixture
def pretrained(lend):
    """A finished pretraining and the entries of a config that starts from it."""
    return {"pretraining": "imagenet", "weights": {"run": lend("pretrained").name}}


def test_linear_evaluation_keeps_every_byte_of_the_encoder(config, pretrained):
    before = load_file(runs.folder(pretrained["weights"]["run"]) / "model.safetensors")
    folder = run(config(mode="lineval", recipe={"freeze": "encoder", "epochs": 2}, **pretrained))
    after = load_file(folder / "model.safetensors")
    assert all(torch.equal(after[f"encoder.{k}"], v) for k, v in before.items())
    source = pretrained["weights"]["run"]
    used = {source: weights_hash(runs.folder(source) / "model.safetensors")}
    assert runs.read_json(folder / "inputs.json") == {"weights": used, "groups": {}}
    counted = sum(not name.endswith("num_batches_tracked") for name in before)
    told = runs.read_json(folder / "weights.json")
    assert f"{counted} of {counted} of the encoder's tensors" in told["report"] and told["random"] == []
    adapted = run(config(mode="lineval", recipe={"freeze": "encoder", "bn": "adapt", "epochs": 2}, **pretrained))
    after = load_file(adapted / "model.safetensors")
    moved = {k for k, v in before.items() if not torch.equal(after[f"encoder.{k}"], v)}
    assert {"bn1.weight", "bn1.running_mean"} <= moved and "conv1.weight" not in moved


def test_pretraining_after_another_starts_from_its_encoder(config, pretrained, monkeypatch):
    before = load_file(runs.folder(pretrained["weights"]["run"]) / "model.safetensors")
    started, real = [], run_module.fit

    def seen(objective, *args, **kwargs):
        started.append({k: v.clone() for k, v in objective.model.state_dict().items()})
        return real(objective, *args, **kwargs)

    monkeypatch.setattr(run_module, "fit", seen)
    alone = config("pretrain", "lits", recipe={"epochs": 1})
    folder = run({**alone, "weights": pretrained["weights"]})
    run(alone)
    first, fresh = started
    assert all(torch.equal(first[f"encoder.{k}"], v) for k, v in before.items())
    assert all(torch.equal(first[k], fresh[k]) for k in fresh if k.startswith("projection."))
    assert not torch.equal(first["encoder.conv1.weight"], fresh["encoder.conv1.weight"])
    after = load_file(folder / "model.safetensors")
    assert set(after) == set(before) and not torch.equal(after["conv1.weight"], before["conv1.weight"])
    source = pretrained["weights"]["run"]
    used = runs.read_json(folder / "inputs.json")["weights"]
    assert used == {source: weights_hash(runs.folder(source) / "model.safetensors")}


def test_pretraining_on_two_corpora_uses_the_training_images_of_both(config, monkeypatch):
    made = config("pretrain", recipe={"epochs": 1, "batch": 16})
    made["data"] = both(config)
    monkeypatch.setattr(run_module.learned, "measure", lambda *_: {})  # after training it looks at validation images
    taken, real = [], Store.take
    monkeypatch.setattr(Store, "take", lambda self, index: taken.append((self, index)) or real(self, index))
    metrics = runs.read_json(run(made) / "metrics.json")
    assert metrics["images"] == 40 + 24
    seen = {"imagenet": [], "lits": []}
    for store, index in taken:
        seen[store.meta["name"]] += list(index)
    for data in made["data"]:
        _, table = open_data(data)
        assert sorted(seen[data["name"]]) == sorted(chosen_rows(data, table, "train"))
    sizes = [len(index) for store, index in taken if store.meta["name"] == "lits"]
    assert len(sizes) >= 3 and max(sizes) < 16  # mixed in a batch, not one after the other


def test_a_part_of_the_images_an_epoch_is_drawn_anew_and_sets_the_steps(config, monkeypatch):
    monkeypatch.setattr(run_module.learned, "measure", lambda *_: {})  # after training it looks at validation images
    taken, real = [], Store.take
    monkeypatch.setattr(Store, "take", lambda self, index: taken.append(set(index)) or real(self, index))
    run(config("pretrain", recipe={"epochs": 3, "batch": 8}, images_per_epoch=24))
    assert [len(t) for t in taken] == [8] * 9
    epochs = [set().union(*taken[k : k + 3]) for k in (0, 3, 6)]
    assert [len(e) for e in epochs] == [24] * 3 and epochs[0] != epochs[1] and len(set().union(*epochs)) > 24
    message = "images_per_epoch: expected 1 to 40, the images there, found 41"
    with pytest.raises(ConfigError, match=message):
        run(config("pretrain", recipe={"epochs": 1}, images_per_epoch=41))


@pytest.mark.parametrize(("per_epoch", "steps"), [(16, 2), (100, 12)])
def test_a_task_may_see_fewer_images_an_epoch_or_each_several_times(config, monkeypatch, per_epoch, steps):
    taken, real = [], Store.take
    monkeypatch.setattr(Store, "take", lambda self, index: taken.append(list(index)) or real(self, index))
    folder = run(config(recipe={"epochs": 1, "batch": 8}, images_per_epoch=per_epoch))
    seen = [row for rows in taken[:steps] for row in rows]  # the steps come before validation and test
    times = pd.Series(seen).value_counts()
    there = runs.read_json(folder / "metrics.json")["images"]
    assert len(seen) == 8 * steps and len(times) == min(there, 16 if per_epoch == 16 else there)
    assert times.max() <= -(-per_epoch // there)


@pytest.mark.parametrize("dataset", ["imagenet", "lits"])
def test_all_pretrainings_of_a_seed_start_with_the_same_head(config, pretrained, monkeypatch, dataset):
    heads = []

    def seen(objective, recipe, **_):
        heads.append({k: v.clone() for k, v in objective.model.state_dict().items() if not k.startswith("encoder.")})
        encoder = objective.model.encoder.state_dict()
        heads[-1]["first"] = next(iter(encoder.values())).clone()
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module, "fit", seen)
    for changes in ({}, pretrained, {**pretrained, "seed": 2}):
        with pytest.raises(KeyboardInterrupt):
            run(config(dataset=dataset, **changes))
    scratch, loaded, other = heads
    assert not torch.equal(scratch.pop("first"), loaded.pop("first"))
    assert all(torch.equal(scratch[k], loaded[k]) for k in scratch)
    assert any(not torch.equal(loaded[k], other[k]) for k in loaded)


def test_a_pretraining_that_is_not_done_is_named(config):
    with pytest.raises(FileNotFoundError, match=r"run pretrain-x is not done: expected .*make plan"):
        run(config(weights={"run": "pretrain-x"}))


def test_weights_of_another_architecture_do_not_fit(config, pretrained):
    made = config(backbone="resnet18", **pretrained)
    with pytest.raises(WeightsMismatchError, match=r"100 are not filled: layer1\.1\.conv1\.weight"):
        run(made)
    assert runs.state(runs.run_id(made)) == "failed"


def test_weights_that_do_not_give_the_logged_value_are_not_reported(config, monkeypatch):
    made = config(recipe={"epochs": 4})
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run_module, "_evaluate", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        run(made)
    where = runs.folder(runs.run_id(made) + runs.PARTIAL)
    state = checkpoint.load(where / resume.LAST)
    assert runs.read_json(where / "status.json")["state"] == "interrupted"
    logged = pd.read_csv(where / "history.csv")["accuracy"].max()
    rows = [{**row, "accuracy": row["accuracy"] + 0.5} for row in state["rows"]]  # what other weights gave
    checkpoint.save(where / resume.LAST, state | {"rows": rows})
    with pytest.raises(SelectionError, match=rf"logged accuracy {logged + 0.5:.6f}, its weights give"):
        run(made)
    assert not runs.folder(runs.run_id(made)).exists()


def test_data_that_changed_are_not_trained_on(config):
    made = config()
    version = made["data"]["phantom"]["version"]
    made["data"]["phantom"]["version"] = version - 1
    told = rf"'imagenet' is not the one.*expected .*'version': {version - 1}.*found .*'version': {version}"
    with pytest.raises(DataChangedError, match=told):
        run(made)


def test_nan_fails_with_the_step_and_goes_on_from_the_last_good_epoch(config, unbroken, monkeypatch):
    made = config(recipe={"epochs": 3})
    whole = unbroken(made)
    real = Supervised.views

    def views(self, batch, positions, epoch, keys):
        images, *others = real(self, batch, positions, epoch, keys)
        return images * (float("nan") if epoch == 2 else 1), *others

    with monkeypatch.context() as patch, pytest.raises(DivergedError, match=r"became nan at step 11 \(epoch 3\)"):
        patch.setattr(Supervised, "views", views)
        run(made)
    rid = runs.run_id(made)
    status = runs.read_json(runs.folder(rid + runs.PARTIAL) / "status.json")
    assert runs.state(rid) == "failed" and "DivergedError: the loss became nan" in status["error"]
    assert len(checkpoint.load(runs.folder(rid + runs.PARTIAL) / resume.LAST)["rows"]) == 2
    assert bits(run(made)) == whole


@pytest.mark.parametrize("point", [(checkpoint, "save"), (resume, "write_history"), (run_module, "save_weights")])
def test_a_full_disk_says_so_and_the_run_can_go_on(config, unbroken, monkeypatch, point):
    made = config(recipe={"epochs": 2, "select": "last"})
    whole = unbroken(made)
    place, name = point
    real, calls = getattr(place, name), []

    def full(*args):
        calls.append(args)
        if len(calls) == (1 if place is run_module else 2):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*args)

    with (
        monkeypatch.context() as patch,
        pytest.raises(runs.RunFailedError, match=r"GB free\). Free some, or set TLKIT_RUNS"),
    ):
        patch.setattr(place, name, full)
        run(made)
    assert runs.state(runs.run_id(made)) == "failed"
    assert bits(run(made)) == whole


def test_no_room_for_a_run(config, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 1e6))
    with pytest.raises(runs.RunFailedError, match=r"0.00 GB free"):
        run(config())


def test_a_run_that_is_claimed_is_busy(config):
    made = config()
    with runs.claim(made), pytest.raises(runs.RunBusyError, match=f"process {os.getpid()} on"):
        run(made)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "finetun"}, "unknown kind of run 'finetun'. Did you mean 'finetune'"),
        ({"task_kind": "multiclas"}, "unknown task kind 'multiclas'. Did you mean 'multiclass'"),
        ({"backbone": "resnet_10"}, "unknown backbone 'resnet_10'. Did you mean 'resnet10'"),
        ({"frction": 1}, "unknown key of a config 'frction'. Did you mean 'fraction'"),
    ],
)
def test_unknown_names_give_the_nearest(config, change, message):
    with pytest.raises(UnknownNameError, match=message):
        run({**config(), **change})


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("recipe", {"optimizer": "adamww"}, "'adamww'. Did you mean 'adamw'"),
        ("recipe", {"augment": "simcrl"}, "unknown augmentation 'simcrl'. Did you mean 'simclr'"),
        ("recipe", {"epoch": 3}, "unknown recipe field 'epoch'. Did you mean 'epochs'"),
        ("data", {"name": "imagnet"}, "unknown data set 'imagnet'. Did you mean 'imagenet'"),
        ("data", {"clases": 2}, "unknown key of config.data 'clases'. Did you mean 'classes'"),
    ],
)
def test_unknown_names_inside_give_the_nearest(config, part, change, message):
    made = config()
    made[part].update(change)
    with pytest.raises(UnknownNameError, match=message):
        run(made)


def test_a_config_without_a_key_and_a_split_without_images(config):
    made = config()
    del made["weights"]
    with pytest.raises(ValueError, match="lacks weights"):
        run(made)
    with pytest.raises(ValueError, match="imagenet: no image to take in split 'train'"):
        run(config(data={"classes": 0}))


def test_the_command_prints_the_folder_or_one_message(config, tmp_path, capsys):
    path = tmp_path / "config.json"
    made = config(recipe={"epochs": 1})
    path.write_text(json.dumps(made))
    assert __main__.main(["run", str(path)]) == 0
    assert capsys.readouterr().out.strip() == str(runs.folder(runs.run_id(made)))
    assert __main__.main(["status"]) == 0 and "done" in capsys.readouterr().out
    version = made["data"]["phantom"]["version"]
    made["data"]["phantom"]["version"] = version - 1
    path.write_text(json.dumps(made))
    assert __main__.main(["run", str(path)]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("DataChangedError: ")


def test_chosen_rows(config):
    data = config()["data"]
    _, table = open_data(data)
    train = chosen_rows(data, table, "train")
    assert len(train) == 40 and set(table["split"].iloc[train]) == {"train"}
    assert set(chosen_rows({**data, "images": 10}, table, "train")) < set(table.index[table["split"] == "train"])


@pytest.mark.parametrize(("classes", "kept"), [(2, [0, 1]), ({"every": 2}, [0, 2])])
def test_a_subset_of_the_classes_is_numbered_from_0_in_every_split(config, classes, kept):
    whole, data = config()["data"], config(data={"classes": classes})["data"]
    (_, before), (store, table) = open_data(whole), open_data(data)
    assert (store.table["label"] == table["label"]).all() and (table["split"] == before["split"]).all()
    for split in ("train", "val", "test"):
        rows = chosen_rows(data, table, split)
        assert {kept[new]: old for new, old in zip(table["label"][rows], before["label"][rows], strict=True)} == {
            k: k for k in kept
        }
        if split != "train":
            assert len(rows) == before.query("split == @split")["label"].isin(kept).sum()
    assert class_names(data, table) == tuple(f"n9000000{k + 1}" for k in kept)
    made = config(data={"classes": classes}, recipe={"epochs": 1})
    found = pd.read_parquet(run(made) / "predictions_test.parquet")
    assert set(found["target"]) == {0, 1} and set(found["output"].map(len)) == {2}


def test_more_images_than_there_are_is_said(config, caplog):
    data = {**config()["data"], "images": 999}
    _, table = open_data(data)
    assert len(chosen_rows(data, table, "train")) == (table["split"] == "train").sum()
    assert "999 training images asked for" in caplog.text


def test_a_fraction_of_the_training_images_changes_nothing_else(config):
    whole, tenth = (run(config(recipe={"epochs": 1}, fraction=f)) for f in (1.0, 0.5))
    assert runs.read_json(tenth / "metrics.json")["images"] == pytest.approx(20, abs=2)
    a, b = (pd.read_parquet(f / "predictions_test.parquet") for f in (whole, tenth))
    assert a["id"].tolist() == b["id"].tolist()


def test_published_weights_are_loaded_and_another_file_is_an_error(config):
    from tlkit.models import weight_cards, weight_list

    card = weight_list.find("imagenet", "tf_efficientnet_lite0")
    weights = {"card": card.name, "sha256": weights_hash(weight_cards.where(card))}
    made = config(backbone=card.backbone, weights=weights, pretraining="imagenet", recipe={"epochs": 1})
    folder = run(made)
    told = runs.read_json(folder / "weights.json")
    assert "245 of 245 of the encoder's tensors" in told["report"] and told["random"] == []
    assert f"{made['data']['size']} px (card: 224)" in told["other_input"]
    with pytest.raises(DataChangedError, match="not those of this config: expected SHA-256 0000"):
        run({**made, "weights": {**weights, "sha256": "0" * 64}})


def test_a_flat_folder_beside_a_table_of_labels_is_one_class_and_trains_nothing(config, tmp_path, monkeypatch):
    from PIL import Image

    folder = tmp_path / "data" / "imagenet-1k"
    (folder / "images").mkdir(parents=True)
    for i in range(20):
        noise = np.random.default_rng(i).integers(0, 256, (12, 12, 3), np.uint8)
        Image.fromarray(noise).save(folder / "images" / f"{i}.png")
    (folder / "labels.csv").write_text("image,label\n" + "".join(f"{i}.png,{i % 2}\n" for i in range(20)))
    monkeypatch.setenv("TLKIT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TLKIT_RUNS", str(tmp_path / "runs"))
    made = config(recipe={"epochs": 1})
    more = {"size": 12, "split": {"val": 0.2, "test": 0.2, "seed": 0}}
    with pytest.raises(ConfigError, match=r"needs 2 or more classes, found 1. With one class every answer is right"):
        run({**made, "data": {**identity("imagenet"), **more}})


def test_a_task_of_another_kind_than_the_labels_trains_nothing(config, data):
    for kind, words in (
        ("binary", "a binary task needs 2 classes, found 3"),
        ("multilabel", "a column of 0 and 1 for each label, found none for"),
        ("segmentation", "a segmentation task needs masks; 'imagenet' has none"),
    ):
        with pytest.raises(ConfigError, match=words):
            run(config(task_kind=kind))


def fitted(values: list[float], resumed: bool) -> Fit:
    history = pd.DataFrame({"mae": values})
    return Fit(history, int(history["mae"].idxmin()), 1.0, 1.0, resumed)


def test_a_resumed_run_tells_a_value_that_rounds_otherwise_and_refuses_other_weights(caplog):
    months = fitted([60.0, 42.0, 41.0], resumed=True)
    assert run_module._confirm_selected(41.0, "mae", months, images=50) == {}
    assert run_module._confirm_selected(41.3, "mae", months, images=50) == {"mae_logged": 41.0}
    assert "logged mae 41.000000, its weights give 41.300000" in caplog.text
    with pytest.raises(SelectionError, match=r"logged mae 41\.000000, its weights give 61"):
        run_module._confirm_selected(61.0, "mae", months, images=50)
    with pytest.raises(SelectionError, match="its weights give nan"):
        run_module._confirm_selected(float("nan"), "mae", months, images=50)


def test_an_unbroken_run_on_the_cpu_gives_the_value_that_it_logged(monkeypatch):
    monkeypatch.setattr(run_module, "pick_device", lambda: torch.device("cpu"))
    with pytest.raises(SelectionError, match=r"its weights give 41\.001"):
        run_module._confirm_selected(41.001, "mae", fitted([60.0, 41.0], resumed=False), images=50)


def test_one_epoch_and_one_image_that_tips_over():
    one = fitted([0.5], resumed=True)
    assert run_module._confirm_selected(0.6, "mae", one, images=10) == {"mae_logged": 0.5}
    with pytest.raises(SelectionError):
        run_module._confirm_selected(0.7, "mae", one, images=10)


def test_weights_of_a_part_have_to_be_asked_for(config, tmp_path, monkeypatch):
    from tlkit.models import backbone, weight_list

    card = replace(weight_list.WEIGHTS["imagenet/resnet18"], name="imagenet/part", backbone="resnet10", file="part.pt")
    card = replace(card, sha256="")
    monkeypatch.setitem(weight_list.WEIGHTS, card.name, card)
    monkeypatch.setenv("TLKIT_WEIGHTS", str(tmp_path))
    state = backbone("resnet10", seed=3).state_dict()
    lost = state.pop("layer4.0.conv2.weight")
    torch.save(state, tmp_path / card.file)
    weights = {"card": card.name, "sha256": weights_hash(tmp_path / card.file)}
    whole = config(weights=weights, recipe={"epochs": 1})
    with pytest.raises(WeightsMismatchError, match=r"1 are not filled: layer4\.0\.conv2\.weight"):
        run(whole)
    folder = run({**whole, "weights": {**weights, "partial": True}})
    assert runs.read_json(folder / "weights.json")["random"] == ["layer4.0.conv2.weight"]
    assert load_file(folder / "model.safetensors")["encoder.layer4.0.conv2.weight"].shape == lost.shape


def test_the_input_of_a_card_is_resolved_by_a_study(config):
    with pytest.raises(ConfigError, match="normalise is 'card', and nothing says which"):
        run(config(recipe={"normalise": "card"}))
