from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import namedtuple

import pandas as pd
import pytest

from tlkit import check, paths, runs, studies
from tlkit.__main__ import main
from tlkit.datasets import DATASETS
from tlkit.studies import studyfile
from tlkit.workflow import dag, execution

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def tiny_study(monkeypatch):
    """The first study reads phantoms of a few images."""
    real = studies.load

    def load(*args):
        study = real(*args)
        study.spec["phantoms"] = {
            "imagenet": {"seed": 1, "classes": 3, "train": 16, "val": 14, "pixels": 32},
            "radnet": {"seed": 1, "series": 7, "pixels": 24, "slices": [30, 31]},
            "lits": {"seed": 1, "volumes": 5, "pixels": 32, "slices": [30, 31]},
            "brats": {"seed": 1, "patients": 3, "pixels": 24, "slices": 16},
            "chestxray": {"seed": 1, "patients": 10, "pixels": 24},
        }
        return study

    monkeypatch.setattr(studies, "load", load)


@pytest.fixture
def write_config(tmp_path, config):
    def write(**changes) -> str:
        made = config("pretrain", recipe={"epochs": 1})
        for key, value in changes.items():
            made[key] = {**made[key], **value} if isinstance(value, dict) else value
        (tmp_path / "config.json").write_text(json.dumps(made))
        return str(tmp_path / "config.json")

    return write


def error_of(capsys, *argv: str) -> str:
    """Return the one message of a command that fails."""
    assert main([*argv]) == 1
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return err


# --- commands that show ---


def test_no_command_and_help_list_all_commands(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    for name in ("check", "data", "plan", "run", "status", "notebook", "job", "figures", "published"):
        assert re.search(rf"^    {name}\s", out, re.M)
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2


def test_the_module_is_a_command(tmp_path):
    command = [sys.executable, "-m", "tlkit"]
    done = subprocess.run([*command, "status"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and "no runs yet" in done.stdout
    done = subprocess.run([*command, "plan", "--study", "boundary"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "") and "Traceback" not in done.stderr
    assert done.stderr.startswith("UnknownNameError: unknown study 'boundary'. Did you mean 'boundaries'?")


def test_check_fails_where_something_is_to_mend(monkeypatch, capsys):
    monkeypatch.setattr(check, "MODULES", ("numpy",))
    assert main(["check"]) == 0 and "numpy" in capsys.readouterr().out
    monkeypatch.setattr(check, "MODULES", ("no_such_package",))
    assert main(["check"]) == 1 and "make setup" in capsys.readouterr().out


def test_data_lists_every_card(capsys):
    assert main(["data"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in DATASETS) and len(DATASETS) >= 6


def test_plan_counts_runs_and_minutes(capsys):
    assert main(["plan", "--scale", "smoke"]) == 0
    study = studies.load("boundaries", "smoke")
    total = len(study.configs())
    assert f"{total} runs: {total} missing. Left: " in capsys.readouterr().out
    config = study.pretrain("imagenet")
    with runs.claim(config) as run:
        runs.finish(run, {"loss": 1.0}, seconds=60)
    assert main(["plan", "--scale", "smoke", "--all"]) == 0
    out = capsys.readouterr().out
    assert re.search(rf"done\s+1\.00\s+{runs.run_id(config)}", out)
    assert f"{total} runs: {total - 1} missing, 1 done. " in out
    assert out.count("missing ") >= total - 1


def test_plan_needs_no_data(capsys):
    assert main(["plan", "--scale", "paper"]) == 0
    assert (
        "Data that are not there: brats, chestxray, imagenet, lits, radnet. `python -m tlkit data`"
        in capsys.readouterr().out
    )


def test_published_writes_four_tables_and_prints_the_claims(tmp_path, capsys):
    from tlkit.phantoms.logs import write as write_logs

    logs, out = tmp_path / "logs", tmp_path / "out"
    logs.mkdir()
    write_logs(logs, seed=0, experiments=("E1", "E4"))
    logs.joinpath("E1/PT_Scratch_FT_R/test.log").write_text("acc,avg_val_loss\n0.9x,0.1\n")
    assert main(["published", str(logs), "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "linear evaluation on RadNet" in shown and "139 runs" in shown
    tables = {path.stem: pd.read_csv(path) for path in out.iterdir()}
    assert set(tables) == {"results", "contrasts", "convergence", "rejects"}
    assert {"E1/PT_Scratch_FT_R/test.log", "E1/PT_SimCLR_I1k_FT_BraTS_testing"} == set(tables["rejects"]["file"])
    cell = tables["results"].query("experiment == 'E1' and task == 'R' and pretraining == 'scratch'")
    assert cell["n"].tolist() == [3]
    main(["published", str(logs), "--out", str(out), "--margin", "0.5", "--no-train"])
    assert pd.read_csv(out / "contrasts.csv")["equivalent"].mean() > tables["contrasts"]["equivalent"].mean()


def test_status_lists_runs(capsys):
    assert main(["status"]) == 0 and "make figures" in capsys.readouterr().out
    config = studies.load("boundaries", "smoke").pretrain("imagenet")
    with pytest.raises(ValueError), runs.claim(config):
        raise ValueError("the reason")
    assert main(["status"]) == 0
    out = capsys.readouterr().out
    assert runs.run_id(config) in out and "failed" in out and "the reason" in out


# --- commands that do ---


def test_data_make_writes_phantoms_and_stores(tiny_study, capsys, caplog):
    with caplog.at_level("INFO", logger="tlkit.datasets.store"):
        assert main(["data", "make", "--scale", "smoke"]) == 0
    assert re.search(r"radnet: 0 unreadable files and [1-9]\d* files or slices left out by a rule", caplog.text)
    stores, study_sets = capsys.readouterr().out.split(), {"imagenet", "lits", "radnet", "brats", "chestxray"}
    assert sorted(s.split("-phantom-")[0].rsplit("/", 1)[1] for s in stores) == sorted(study_sets)
    assert all((paths.store_root() / s / "store.json").exists() for s in stores)
    assert len(list(paths.phantom_root().glob("*/phantom.json"))) == len(study_sets)


def test_run_does_what_the_config_says(data, write_config, config, capsys):
    assert main(["run", write_config()]) == 0
    folder = runs.folder(runs.run_id(config("pretrain", recipe={"epochs": 1})))
    assert capsys.readouterr().out.split()[-1] == str(folder)
    assert (folder / "metrics.json").exists() and (folder / "model.safetensors").exists()


def test_notebook_reads_its_parameters_as_yaml(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(execution, "execute", lambda *args: asked.append(args) or args[-1])
    assert main(["notebook", "20_finetune", "-p", "tasks", "[R]", "-p", "seeds", "[1, 2]", "-p", "data", ""]) == 0
    output = paths.runs_root() / "notebooks" / "20_finetune.ipynb"
    assert asked == [("20_finetune", {"tasks": ["R"], "seeds": [1, 2], "data": None}, output)]
    assert capsys.readouterr().out.strip() == str(output)


def test_job_and_figures_get_the_study(monkeypatch, capsys):
    asked = []
    record = {"job": "data-lits", "state": "done", "cause": "", "notebook": ""}
    monkeypatch.setattr(execution, "make_job", lambda study, name: asked.append((study.scale, name)) or record)
    monkeypatch.setattr(dag, "make_figures", lambda *args: asked.append(args) or 0)
    assert main(["job", "data-lits", "--scale", "smoke"]) == 0
    assert capsys.readouterr().out.startswith("done          data-lits:")
    assert main(["figures", "--scale", "course", "--cores", "5", "--profile", "slurm"]) == 0
    assert main(["figures", "--study", " boundaries  real_mini ", "--data", "phantom"]) == 0
    assert asked[1:] == [
        (["boundaries"], "course", "", 5, "slurm"),
        (["boundaries", "real_mini"], "quick", "phantom", 0, ""),
    ]


def test_a_study_whose_name_has_spaces_is_one_study(monkeypatch):
    monkeypatch.setattr(studyfile, "names", lambda: ["my study", "boundaries"])
    asked = []
    monkeypatch.setattr(dag, "make_figures", lambda names, *_: asked.append(names) or 0)
    main(["figures", "--study", "my study"])
    assert asked == [["my study"]]


def test_a_failed_job_is_written_down_for_the_dag_and_an_error_for_people(monkeypatch, capsys):
    monkeypatch.setattr(execution, "_prepare", lambda *_: (_ for _ in ()).throw(OSError("the reason")))
    assert "OSError: the reason" in error_of(capsys, "job", "data-lits", "--scale", "smoke")
    assert main(["job", "data-lits", "--scale", "smoke", "--record"]) == 0
    assert capsys.readouterr().out == "failed        data-lits: OSError: the reason\n"
    main(["plan", "--scale", "smoke"])
    assert capsys.readouterr().out.endswith("failed        data-lits: OSError: the reason\n")
    with runs.claim(studies.load("boundaries", "smoke").pretrain("imagenet")) as run:
        runs.finish(run, {"loss": 1.0}, seconds=60)
    main(["status"])
    assert capsys.readouterr().out.endswith("failed        data-lits: OSError: the reason\n")


def test_away_from_a_checkout_one_sentence_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(paths, "NOTEBOOKS", tmp_path / "notebooks")
    err = error_of(capsys, "figures")
    assert err.startswith("NoCheckoutError: tlkit works from a checkout") and err.count("\n") == 1


# --- errors: one message, exit status 1, no traceback ---


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["plan", "--scale", "smoky"], "unknown scale 'smoky'. Did you mean 'smoke'?"),
        (["plan", "--data", "reel"], "unknown kind of data 'reel'. Did you mean 'real'?"),
        (["job", "data-lit"], "unknown job 'data-lit'. Did you mean 'data-lits'?"),
        (["notebook", "fig2_task_dependency"], "Did you mean '30_fig2_task_dependency'?"),
        (["notebook", "20_finetune", "-p", "task", "R"], "20_finetune has no parameter 'task'. Did you mean 'tasks'?"),
        (["run", "no-such-config.json"], "no-such-config.json"),
        (["published", "no-such-folder"], "git clone https://github.com/TIO-IKIM/"),
    ],
)
def test_wrong_names(capsys, argv, message):
    assert message in error_of(capsys, *argv)


@pytest.mark.parametrize("argv", [["data", "make"], ["job", "data-lits"]])
def test_missing_data(capsys, argv):
    err = error_of(capsys, *argv, "--scale", "course", "--data", "real")
    assert err.startswith("MissingDataError: ") and "Expected, under TLKIT_DATA" in err and "To get it:" in err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "train"}, "UnknownNameError: unknown kind of run 'train'."),
        ({"seeed": 1}, "UnknownNameError: unknown key of a config 'seeed'. Did you mean 'seed'?"),
        ({"backbone": "resnet11"}, "UnknownNameError: "),
        ({"recipe": {"optimizer": "adamww"}}, "unknown recipe.optimizer 'adamww'. Did you mean 'adamw'?"),
        ({"recipe": {"epochs": 0}}, "ConfigError: recipe.epochs: expected 1 or more, found 0"),
        ({"data": {"phantom": {"writer": "imagenet", "seed": 1, "version": 0}}}, "DataChangedError: data set"),
        ({"data": {"name": "covid-ct", "phantom": {"seed": 1}}}, "ConfigError: 'covid-ct' has no phantom."),
        ({"data": {"split": {"val": 0.7, "test": 0.7}}}, "ConfigError: val and test are two shares"),
    ],
)
def test_a_config_that_cannot_be_run(data, write_config, capsys, changes, message):
    assert message in error_of(capsys, "run", write_config(**changes))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "ConfigError: .*config.json is not JSON"),
        (
            '{"kind": "pretrain"}',
            "ConfigError: a config lacks pretraining, data, backbone, recipe, seed, compute; found kind",
        ),
    ],
)
def test_a_file_that_is_no_config(tmp_path, capsys, text, message):
    (tmp_path / "config.json").write_text(text)
    assert re.match(message, error_of(capsys, "run", str(tmp_path / "config.json")))


def test_a_pretraining_that_is_not_done(data, write_config, tmp_path, config, capsys):
    made = config("finetune", weights={"run": "pretrain-x"}, pretraining="x")
    (tmp_path / "config.json").write_text(json.dumps(made))
    assert "run pretrain-x is not done" in error_of(capsys, "run", str(tmp_path / "config.json"))


def test_a_loss_that_diverges(data, write_config, capsys):
    recipe = {"lr": 1e30, "optimizer": "sgd", "epochs": 2, "warmup": 0}
    assert "DivergedError: the loss became" in error_of(capsys, "run", write_config(recipe=recipe))


def test_a_run_that_another_process_does(data, write_config, capsys):
    path = write_config()
    with runs.claim(json.loads((data.parent / "config.json").read_text())):
        assert re.match("RunBusyError: run .* is being trained by process", error_of(capsys, "run", path))


def test_a_disk_too_small_for_phantoms(tiny_study, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10, 9, 1))
    err = error_of(capsys, "data", "make", "--scale", "smoke")
    assert err.startswith("DiskSpaceError: phantom brats needs about ") and "TLKIT_RUNS" in err


def test_a_disk_too_small_for_a_run(data, write_config, monkeypatch, capsys):
    path = write_config()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10, 9, 1))
    assert re.match(r"RunFailedError: run .* no space left below", error_of(capsys, "run", path))


def test_files_that_cannot_be_read(tmp_path, monkeypatch, capsys):
    card = DATASETS["covid-ct"]
    for part in ("train", "val", "test"):
        for name in card.classes:
            (tmp_path / card.folder / part / name).mkdir(parents=True)
            (tmp_path / card.folder / part / name / "a.jpg").write_text(f"no image, {part} {name}")
    monkeypatch.setenv("TLKIT_DATA", str(tmp_path))
    from tlkit.datasets import identity

    config = studies.load("boundaries", "smoke").pretrain("imagenet")
    config["data"] = {**identity("covid-ct", None), "size": 32, "split": {"val": 0.2, "test": 0.2, "seed": 0}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert "UnreadableShareError: covid-ct: 1 of 6 files" in error_of(capsys, "run", str(tmp_path / "config.json"))


# --- make ---


def make(*arguments: str, cwd=paths.REPO) -> str:
    alone = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run(["make", *arguments], cwd=cwd, env=alone, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.skipif(not shutil.which("make"), reason="no make here")
def test_make_alone_prints_help_with_every_target():
    text = (paths.REPO / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*):", text, re.M)) - {"help"}
    shown = re.findall(r"^make ([a-z-]+) +(.+)$", make(), re.M)
    assert {name for name, _ in shown} == targets and all(what for _, what in shown)
    assert {"setup", "figures", "test", "lab", "plan", "bench", "clean"} <= targets
    phony = re.search(r"^\.PHONY: (.*)$", text, re.M).group(1).split()
    assert set(phony) == targets | {"help"}


@pytest.mark.skipif(not shutil.which("make"), reason="no make here")
def test_make_figures_installs_first_and_hands_its_variables_on(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(paths.REPO / name, tmp_path)
    plan = make("-n", "figures", cwd=tmp_path)
    assert plan.index("-m venv .venv") < plan.index("pip install") < plan.index("-m tlkit figures")
    assert plan.count("-c constraints.txt") == 1
    small = make("-n", "setup", "TORCH_INDEX=https://there/cpu", cwd=tmp_path)
    assert "--index-url https://there/cpu torch torchvision" in small
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    python.chmod(0o755)
    (tmp_path / ".venv" / "installed").touch()
    name = "a b'ü & touch pwned; `touch pwned`"
    said = make("figures", f"STUDY={name}", "SCALE=smoke", "DATA=real", f"PROFILE={name}", cwd=tmp_path).splitlines()
    asked = ["--study", name, "--scale", "smoke", "--data", "real", "--profile", name]
    assert said == ["-m", "tlkit", "figures", *asked]
    said = make("advise", f"FOLDER={name}", f"PATIENT={name}", cwd=tmp_path).splitlines()
    assert said == ["-m", "tlkit", "advise", name, "--budget", "30m", "--patient", name]
    assert not (tmp_path / "pwned").exists()
