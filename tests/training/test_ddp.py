"""Two processes on the CPU (gloo), joined as torchrun joins them."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tlkit import runs, stopping
from tlkit.models import classifier
from tlkit.training import checkpoint, resume
from tlkit.training.augment import DRAWS
from tlkit.training.loop import fit
from tlkit.training.processes import process_group, rank
from tlkit.training.recipe import Recipe
from tlkit.training.recipes import recipe
from tlkit.training.run import chosen_rows, open_data, run
from tlkit.training.simclr import Contrastive, SimCLRModel
from tlkit.training.supervised import Samples, Supervised, predict
from tlkit.training.tasks import task

CPU = torch.device("cpu")
TWO = {"threads": 1, "processes": 2}
PLAIN = Recipe(epochs=3, batch=6, lr=0.05, window=(0, 2000), sync_batchnorm=False)
SIMCLR = recipe("simclr", epochs=3, batch=8, lr=0.5, optimizer="sgd", window=(0, 2000))


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def forks():
    """Return what starts processes as forks of one that has imported all of it, once for the tests of this file."""
    context = torch.multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["tlkit.training.run", "torch.distributed", "torch._dynamo", "timm", "sklearn.metrics"]
    )
    return context


def together(work, folder: Path, jobs: int, seconds: float = 300) -> None:
    """Run `work(folder, ports)` as rank 0 and rank 1; fail where one of them has not ended in time."""
    context = forks()
    ports = [free_port() for _ in range(jobs)]
    ranks = [context.Process(target=_as_rank, args=(work, r, str(folder), ports, dict(os.environ))) for r in (0, 1)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(seconds)
    hanging = [r for r, process in enumerate(ranks) if process.is_alive()]
    for process in ranks:
        process.kill()
    assert not hanging, f"rank {hanging} hangs"
    assert [process.exitcode for process in ranks] == [0, 0]


def _as_rank(work, rank: int, folder: str, ports: list[int], environment: dict[str, str]) -> None:
    os.environ |= environment | {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
    }
    torch.set_num_threads(1)
    work(Path(folder), ports)


@contextlib.contextmanager
def joined(port: int):
    os.environ["MASTER_PORT"] = str(port)
    with process_group() as (rank, world):
        assert world == 2
        yield rank


class MemoryStore:
    """Grey images in memory, with labels."""

    def __init__(self, n: int):
        self.images = torch.randint(0, 256, (n, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
        self.table = pd.DataFrame({"id": [f"i{k:02d}" for k in range(n)], "patient": "p", "label": np.arange(n) % 3})

    def take(self, index):
        return self.images[index], None


class Encoder(nn.Sequential):
    num_features = 8

    def __init__(self, norm: bool):
        torch.manual_seed(0)
        super().__init__(nn.Flatten(), nn.Linear(192, 8), nn.BatchNorm1d(8) if norm else nn.Identity(), nn.ReLU())


def toy(norm: bool) -> Supervised:
    store = MemoryStore(25)
    job = task("multiclass", ("a", "b", "c"))
    model = classifier(Encoder(norm), 3, seed=0)
    return Supervised(model, job, Samples(store, np.arange(20)), Samples(store, np.arange(20, 25)), PLAIN, 0)


def outcome(goal: Supervised, folder: Path) -> dict:
    """Train, and return all that the processes and a single one should agree on."""
    folder.mkdir(exist_ok=True)
    validated, validate = [], goal.validate
    goal.validate = lambda: validated.append({k: v.clone() for k, v in goal.model.state_dict().items()}) or validate()
    fitted = fit(goal, PLAIN, seed=0, folder=folder, device=CPU)
    samples = {n: Samples(goal.train.store, np.arange(n)) for n in (5, 1)}  # 1: fewer samples than processes
    return {
        "weights": goal.model.state_dict(),
        "validated": validated,
        "history": fitted.history[["loss", "lr", "accuracy"]].to_dict("list"),
        "predicted": {n: predict(goal.model, goal.task, s, PLAIN)["id"].tolist() for n, s in samples.items()},
    }


def _good(folder: Path, ports: list[int]) -> None:
    for norm, port in zip((False, True), ports, strict=True):
        with joined(port) as rank:
            torch.save(outcome(toy(norm), folder / f"{norm}"), folder / f"{norm}-{rank}.pt")


def test_two_processes_train_what_one_does(tmp_path):
    together(_good, tmp_path, jobs=2)
    first, second = (torch.load(tmp_path / f"False-{r}.pt") for r in (0, 1))
    alone = outcome(toy(norm=False), tmp_path / "alone")
    for found in (first, second):
        assert found["predicted"] == alone["predicted"] == {5: [f"i{k:02d}" for k in range(5)], 1: ["i00"]}
        assert found["history"]["loss"] == pytest.approx(alone["history"]["loss"], abs=1e-5)
        for name, value in alone["weights"].items():
            assert torch.allclose(found["weights"][name], value, atol=1e-5), name
    for norm in (False, True):  # BatchNorm sees half a batch in each, so only the processes agree
        first, second = (torch.load(tmp_path / f"{norm}-{r}.pt") for r in (0, 1))
        assert first["history"] == second["history"] and first["predicted"] == second["predicted"]
        pairs = zip([*first["validated"], first["weights"]], [*second["validated"], second["weights"]], strict=True)
        assert all(torch.equal(b[k], v) for a, b in pairs for k, v in a.items())


class AskedToEnd(Supervised):
    """Both processes get SIGTERM in the second step of the second epoch."""

    def loss(self, model, views):
        self.step = getattr(self, "step", 0) + 1
        if self.step == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().loss(model, views)


def _asked(folder: Path, ports: list[int]) -> None:
    for norm, (whole, first, second) in zip((False, True), (ports[:3], ports[3:]), strict=True):
        with joined(whole):
            unbroken = outcome(toy(norm), folder / f"{norm}-whole")
        good, broken = toy(norm), folder / f"{norm}"
        bad = AskedToEnd(good.model, good.task, good.train, good.val, PLAIN, 0)
        broken.mkdir(exist_ok=True)
        # the first ends when it has kept its state, the second when it misses the first
        with contextlib.suppress(stopping.Stopped, RuntimeError), joined(first):
            fit(bad, PLAIN, seed=0, folder=broken, device=CPU)
            raise AssertionError("it went on")
        with joined(second) as rank:
            if rank == 0:
                shutil.copytree(broken, folder / f"{norm}-alone")
            torch.distributed.barrier()
            torch.save([unbroken, outcome(toy(norm), broken)], folder / f"{norm}-{rank}.pt")


def test_two_processes_end_in_an_epoch_and_go_on_as_two_or_as_one(tmp_path):
    together(_asked, tmp_path, jobs=6)
    for norm in (False, True):
        for unbroken, found in (torch.load(tmp_path / f"{norm}-{r}.pt") for r in (0, 1)):
            assert found["history"] == unbroken["history"]
            assert all(torch.equal(value, unbroken["weights"][name]) for name, value in found["weights"].items())
    assert checkpoint.load(tmp_path / "False-alone" / resume.LAST)["within"]["step"] == 2
    unbroken, _ = torch.load(tmp_path / "False-0.pt")
    alone = outcome(toy(norm=False), tmp_path / "False-alone")
    assert alone["history"]["loss"] == pytest.approx(unbroken["history"]["loss"], abs=1e-5)
    assert all(torch.allclose(value, unbroken["weights"][name], atol=1e-5) for name, value in alone["weights"].items())


def two_corpora(draw: str) -> Contrastive:
    """Return a SimCLR objective without BatchNorm on two stores, one of grey values that need the recipe's window."""
    scans = MemoryStore(10)
    scans.images = scans.images.short() * 7
    model = SimCLRModel(Encoder(norm=False), published_head=True)
    chosen = replace(SIMCLR, augment=replace(SIMCLR.augment, draw=draw))
    return Contrastive(model, [Samples(MemoryStore(14), np.arange(14)), Samples(scans, np.arange(10))], chosen, 0)


def contrasted(goal: Contrastive, folder: Path) -> dict:
    folder.mkdir(exist_ok=True)
    history = fit(goal, goal.recipe, seed=0, folder=folder, device=CPU).history
    return {"weights": goal.model.state_dict(), "history": history[["loss", "lr"]].to_dict("list")}


def _two_corpora(folder: Path, ports: list[int]) -> None:
    for draw, port in zip(DRAWS, ports, strict=True):
        with joined(port) as rank:
            torch.save(contrasted(two_corpora(draw), folder / draw), folder / f"{draw}-{rank}.pt")


def test_two_processes_pretrain_on_two_corpora_as_one_does(tmp_path):
    """So do their draws, whether each image has its own or all of a step share one; not those of a process's part."""
    together(_two_corpora, tmp_path, jobs=len(DRAWS))
    start = two_corpora("image").model.state_dict()  # `Encoder` seeds the head's draw too
    for draw in DRAWS:
        alone = contrasted(two_corpora(draw), tmp_path / f"alone-{draw}")
        assert any(not torch.allclose(start[k], v, atol=1e-4) for k, v in alone["weights"].items())
        for found in (torch.load(tmp_path / f"{draw}-{r}.pt") for r in (0, 1)):
            same = found["history"]["loss"] == pytest.approx(alone["history"]["loss"], abs=1e-5)
            same &= all(torch.allclose(found["weights"][k], v, atol=1e-5) for k, v in alone["weights"].items())
            assert same == (draw != "group"), draw


class Bad(Supervised):
    """One process sees a loss that is not a number, in the last step of the second epoch."""

    def loss(self, model, views):
        self.step = getattr(self, "step", 0) + 1
        bad = self.step == 6 and rank() == 1
        return super().loss(model, views) * (float("nan") if bad else 1)


def _bad(folder: Path, ports: list[int]) -> None:
    rank, errors = int(os.environ["RANK"]), {}
    resume.FIRST = 0
    good = toy(norm=False)
    try:
        with joined(ports[0]):
            bad = Bad(good.model, good.task, good.train, good.val, PLAIN, 0)
            (folder / "nan").mkdir(exist_ok=True)
            fit(bad, PLAIN, seed=0, folder=folder / "nan", device=CPU)
    except Exception as error:
        errors["nan"] = str(error)
    real = checkpoint.save

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    config = json.loads((folder / "config.json").read_text())
    checkpoint.save = full
    os.environ["MASTER_PORT"] = str(ports[1])
    try:
        run(config)
    except Exception as error:
        errors["full"] = f"{type(error).__name__}: {error}"
    checkpoint.save = real
    os.environ["MASTER_PORT"] = str(ports[2])
    try:
        run({**config, "seed": 5})
    except Exception as error:
        errors["busy"] = f"{type(error).__name__}: {error}"
    (folder / f"errors-{rank}.json").write_text(json.dumps(errors))


def test_an_error_in_one_process_ends_both(config, data, tmp_path):
    made = config(recipe={"epochs": 2, "batch": 8, "sync_batchnorm": False}, compute=TWO)
    (tmp_path / "config.json").write_text(json.dumps(made))
    with runs.claim({**made, "seed": 5}):
        together(_bad, tmp_path, jobs=3)
    first, second = (json.loads((tmp_path / f"errors-{r}.json").read_text()) for r in (0, 1))
    assert first["nan"] == second["nan"] and "became nan at step 6 (epoch 2)" in first["nan"]
    assert first["full"].startswith("RunFailedError") and "full" in second
    assert first["busy"].startswith("RunBusyError") and f"process {os.getpid()}" in first["busy"] and "busy" in second
    assert runs.state(runs.run_id(made)) == "failed"


def test_torchrun_finishes_a_run_folder(config, data, tmp_path):
    made = config(recipe={"epochs": 2, "sync_batchnorm": False}, compute=TWO)
    (tmp_path / "config.json").write_text(json.dumps(made))
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(free_port())]
    command = [*launch, "-m", "tlkit", "run", str(tmp_path / "config.json")]
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    folder = runs.folder(runs.run_id(made))
    assert set(done.stdout.split()) == {str(folder)}
    assert runs.state(folder.name) == "done" and not (folder / "checkpoint").exists()
    _, table = open_data(made["data"])
    for split in ("val", "test"):
        kept = pd.read_parquet(folder / f"predictions_{split}.parquet")
        assert kept["id"].tolist() == table["id"].iloc[np.sort(chosen_rows(made["data"], table, split))].tolist()
    metrics = runs.read_json(folder / "metrics.json")
    assert metrics["val_accuracy"] == runs.history(folder.name)["accuracy"].max()
    assert all(v.isfinite().all() for v in load_file(folder / "model.safetensors").values())
    assert done.stderr.count("epoch 2/2") == 1  # one process speaks


def test_a_run_starts_its_own_processes(config, data):
    made = config(recipe={"epochs": 1, "sync_batchnorm": False}, compute=TWO)
    folder = run(made)
    assert runs.state(folder.name) == "done" and runs.read_json(folder / "environment.json")["processes"] == 2
    assert run(made) == folder  # done: nothing is started
    shared = config(recipe={"epochs": 1}, compute=TWO)
    with pytest.raises(runs.RunFailedError, match=r"failed in its 2 processes: ConfigError: recipe.sync_batchnorm is"):
        run(shared)
    assert runs.state(runs.run_id(shared)) == "failed"


def test_the_processes_of_a_run_end_when_who_started_them_is_killed(config, data, tmp_path):
    made = config(recipe={"epochs": 500, "sync_batchnorm": False}, compute=TWO)
    (tmp_path / "config.json").write_text(json.dumps(made))
    folder = runs.folder(runs.run_id(made))
    top = forks().Process(target=_start, args=(tmp_path / "config.json", dict(os.environ)))
    top.start()
    while not runs.folder(folder.name + runs.PARTIAL).joinpath("history.csv").exists() and top.is_alive():
        time.sleep(0.1)
    below = psutil.Process(top.pid).children(recursive=True)
    assert len(below) >= 3  # torchrun and two of its own
    top.kill()
    top.join()
    assert not psutil.wait_procs(below, timeout=30)[1]


def _start(config_file: Path, environment: dict[str, str]) -> None:
    """Call `python -m tlkit run`, in a process that has imported what it needs."""
    from tlkit.__main__ import main

    os.environ |= environment
    main(["run", str(config_file)])
