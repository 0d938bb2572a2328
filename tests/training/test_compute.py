"""The same run id has the same bits, whoever does the run and whatever the environment says of threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import cv2
import nbformat
import pytest
import torch
from threadpoolctl import threadpool_info

from tlkit import paths, runs
from tlkit.config import ConfigError, canonical
from tlkit.studies import load
from tlkit.training import compute
from tlkit.training.compute import ProcessesError, limit_threads
from tlkit.training.recipe import Recipe
from tlkit.training.recipes import every_recipe
from tlkit.training.run import run
from tlkit.training.supervised import Supervised
from tlkit.workflow import execution

FILES = ("model.safetensors", "metrics.json", "predictions_val.parquet", "predictions_test.parquet")
CELLS = ('config_file = ""', "import json, pathlib\nfrom tlkit.training.run import run",
         "run(json.loads(pathlib.Path(config_file).read_text()))")  # fmt: skip


@pytest.fixture
def threads():
    """Return a function that sets torch's threads, as another program in this process would; put back at the end."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def settings() -> tuple:
    pools = {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}
    return torch.get_num_threads(), cv2.getNumThreads(), pools


def bits(folder) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


def by_command(file, n: str):
    """Return `python -m tlkit run` of a config file in an environment that asks for n threads."""
    env = {**os.environ, "OMP_NUM_THREADS": n, "MKL_NUM_THREADS": n, "OPENBLAS_NUM_THREADS": n}
    return subprocess.Popen([sys.executable, "-m", "tlkit", "run", str(file)], env=env, stdout=subprocess.DEVNULL)


def stop_in(epoch: int):
    real = Supervised.views

    def views(self, batch, positions, now, keys=None):
        if now == epoch:
            raise KeyboardInterrupt
        return real(self, batch, positions, now, keys)

    return views


def test_one_number_a_run_id(config, new_runs, tmp_path, monkeypatch, threads):
    made, file = config(recipe={"epochs": 2}), tmp_path / "config.json"
    file.write_text(json.dumps(made))
    found, running = {}, []
    for n in ("1", "2"):
        root = new_runs(f"command{n}")
        running.append(by_command(file, n))
        found[f"command, {n}"] = root / runs.run_id(made)
    new_runs("here")
    threads(2)
    found["here"] = run(made)
    assert torch.get_num_threads() == 2
    new_runs("resumed")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Supervised, "views", stop_in(1))
        run(made)
    threads(1)
    found["resumed"] = run(made)
    new_runs("notebook")  # as JupyterLab and the DAG's jobs do it
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    book.cells[0].metadata["tags"] = ["parameters"]
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, tmp_path / "one_run.ipynb")
    monkeypatch.setattr(paths, "NOTEBOOKS", tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    execution.execute("one_run", {"config_file": str(file)}, tmp_path / "out" / "one_run.ipynb")
    found["notebook"] = runs.folder(runs.run_id(made))
    assert [process.wait() for process in running] == [0, 0]
    whole = bits(found.pop("here"))
    assert {name: bits(folder) == whole for name, folder in found.items()} == dict.fromkeys(found, True)


def test_two_threads_are_another_run(config, data, threads):
    one, two = (config(recipe={"epochs": 1}, compute={"threads": n, "processes": 1}) for n in (1, 2))
    assert runs.run_id(one) != runs.run_id(two)
    folder = run(two)
    assert runs.read_json(folder / "environment.json")["threads"] == 2


def test_what_was_set_is_put_back(threads):
    threads(2)
    with limit_threads(1):
        pass  # loads the libraries that it limits
    before = settings()
    with pytest.raises(ZeroDivisionError), limit_threads(1):
        assert torch.get_num_threads() == cv2.getNumThreads() == 1
        assert {pool["num_threads"] for pool in threadpool_info()} == {1}
        _ = 1 / 0
    assert settings() == before
    with limit_threads(2), limit_threads(1):
        assert torch.get_num_threads() == 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "expected the numbers of threads and processes, found None"),
        ({"threads": 1}, "expected the numbers of threads and processes"),
        ({"threads": 0, "processes": 1}, "config.compute.threads: expected a whole number from 1, found 0"),
        ({"threads": 1, "processes": True}, "config.compute.processes: expected a whole number from 1"),
        ({"threads": 1, "processes": 3}, "recipe.batch is 8, which config.compute.processes .3. cannot share evenly"),
    ],
)
def test_a_wrong_compute_is_an_error_before_anything_starts(config, data, value, message):
    with pytest.raises(ConfigError, match=message):
        run(config(compute=value))
    assert not list(paths.runs_root().glob("finetune*"))


def test_another_number_of_processes_than_the_config_says(config, data, monkeypatch):
    monkeypatch.setattr(compute, "started_by_torchrun", lambda: True)
    with pytest.raises(ProcessesError, match=r"for 2 processes .*key `gpus`\), found 1 at work.*--nproc-per-node 2"):
        run(config(compute={"threads": 1, "processes": 2}))


def test_fewer_gpus_than_processes(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    compute.check_devices(1)
    with pytest.raises(ProcessesError, match=r"needs a GPU for each; found 1. Set `gpus` in the study file"):
        compute.check_devices(8)


def test_a_study_says_what_its_runs_are_computed_with():
    study = load("boundaries", "smoke")
    assert {canonical(c["compute"]) for c in study.configs()} == {'{"processes":1,"threads":1}'}
    ids = [runs.run_id(c) for c in study.configs()]
    study.spec |= {"gpus": {"pretrain": 4}, "threads": 2}
    assert study.compute("pretrain") == {"threads": 2, "processes": 4}
    assert study.compute("finetune") == {"threads": 2, "processes": 1}
    assert not set(ids) & {runs.run_id(c) for c in study.configs()}
    assert load("boundaries", "paper").compute("finetune")["processes"] == 8


def test_published_recipes_say_their_precision_and_batchnorm():
    for name, recipe in every_recipe().items():
        published = name.endswith(("_published", "_radiologynet"))
        assert recipe.precision == ("bfloat16" if published else "float32"), name
        assert recipe.sync_batchnorm == (not name.endswith("_published")), name


def test_precision_does_not_depend_on_the_machine():
    assert Recipe(epochs=1, batch=1).precision == "float32"
    with pytest.raises(ValueError, match=r"unknown recipe.precision 'auto'"):
        Recipe(epochs=1, batch=1, precision="auto")
