from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tlkit.config import UnknownNameError
from tlkit.figures import convergence
from tlkit.phantoms import write
from tlkit.phantoms.logs import ODD
from tlkit.phantoms.logs import write as write_logs
from tlkit.published import authorlogs, discrepancies
from tlkit.published import jonske2025 as study


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return write.make("logs", tmp_path_factory.mktemp("phantom"), 5)


@pytest.fixture(scope="module")
def logs(root) -> authorlogs.Logs:
    return authorlogs.read(root)


def files(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*.log")}


def test_seed_decides_every_byte(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_logs(tmp_path / name, seed, ("E8",))
    assert files(tmp_path / "a") == files(tmp_path / "b")
    other = files(tmp_path / "c")
    assert other.keys() == files(tmp_path / "a").keys() and not other.items() & files(tmp_path / "a").items()


def test_marked_small_and_below_the_estimate(root, logs):
    size = sum(len(data) for data in files(root).values())
    settings = json.loads((root / "phantom.json").read_text())["settings"]
    assert size < 15e6 and size < write.expected_bytes("logs", **settings)
    assert logs.phantom and list(settings["experiments"]) == ["E1", "E2", "E4", "E6", "E8"]


def test_all_train_logs_are_below_the_estimate_too(tmp_path):
    write_logs(tmp_path, 0, ("E2",), all_train=True)
    made = files(tmp_path)
    assert sum(name.endswith("train.log") for name in made) == 4 * 17 * 4
    assert sum(map(len, made.values())) < write.expected_bytes("logs", experiments=["E2"], all_train=True)


def test_unknown_experiment_is_told(tmp_path):
    with pytest.raises(UnknownNameError, match="unknown experiment 'E3'"):
        write_logs(tmp_path, 0, ("E3",))


def test_mixed_trees_repeat_runs_of_the_others(root):
    made = files(root)
    for new, old in (("E6", "E1"), ("E8", "E4")):
        pairs = [(n, f"{old}/{n.split('/', 1)[1]}") for n in made if n.startswith(new) and "Ix" not in n]
        assert len(pairs) == 2 * 2 * (4 + 4 + 1) and all(made[a] == made[b] for a, b in pairs)
        assert {n.split("_FT_")[0][3:] for n in made if n.startswith(new) and "Ix" in n} == {
            "PT_SimCLR_IxRS",
            "PT_SimCLR_IxRM",
        }


def test_titles_differ_between_versions(root):
    made = files(root)
    heads = {name: data.split(b"\n")[0].decode() for name, data in made.items() if name.endswith("test.log")}
    assert {h for n, h in heads.items() if "FT_R" in n} == {
        f"{a},{b}" for a in ("acc", "accuracy") for b in ("avg_loss", "avg_val_loss")
    }
    weighted = {name for name, h in heads.items() if h.startswith("weighted_")}
    assert weighted == {n for n in heads if n.startswith("E1/") and "_FT_LiTS" in n and "SimCLR_RF" not in n}


def test_debug_run(root):
    real, debug = root / "E1/PT_SimCLR_I1k_FT_BraTS", root / "E1/PT_SimCLR_I1k_FT_BraTS_testing"
    assert (debug / "test.log").read_bytes() == (real / "test.log").read_bytes()
    assert (debug / "old_test.log").exists() and len((debug / "val.log").read_text().splitlines()) == 4
    assert len((debug / "train.log").read_text().splitlines()) == 1 + 21 + 20 + 20


def test_one_percent_of_radnet_is_broken_for_all(logs):
    values = logs.headline().query("experiment == 'E2'").groupby(["task", "pretraining"], observed=True)["value"].mean()
    assert (values["RXS"] < values["RXXS"] - 0.1).all() and (values["RXXS"] < values["RS"]).all()


def test_shares_of_the_data_follow_the_names_but_for_chest_xrays(logs):
    table = discrepancies.images_per_epoch(logs.training).query("experiment == 'E2'")
    table = table.assign(task=table["task"].astype(str)).set_index("task")
    whole = logs.training.query("experiment == 'E1'").groupby("task", observed=True)["steps_per_epoch"].first()
    for task in ("BraTS", "LiTS"):
        assert (2 * table["steps"][f"{task}M"], 10 * table["steps"][f"{task}S"]) == (whole[task], whole[task])
    assert table["steps"]["CX8M"] == table["steps"]["CX8S"] == whole["CX8"]
    others = table.drop(["CX8M", "CX8S"]).dropna()
    assert np.allclose(others["share"], others["nominal"], rtol=0.06) and len(others) >= 13


def test_collapsed_runs(logs):
    values = logs.headline().query("task in ['LiTS', 'LiTSS'] and experiment != 'E4'")
    medians = values.groupby(["task", "metric"], observed=True)["value"].transform("median")
    low = values[values["value"] < 0.6 * medians]
    assert set(low["run"]) == {run for run, odd in ODD.items() if odd == "collapsed"}


def test_second_class_of_brats_is_all_that_is_not_background(logs):
    table = discrepancies.complement_of_background(logs.results)
    brats = table[table["task"].astype(str).str.startswith("BraTS")].groupby("class")["mismatch"]
    assert brats.max()[2] < 1e-6 and min(brats.min()[1], brats.min()[3]) > 0.5
    assert table[table["task"].astype(str).str.startswith("LiTS")]["mismatch"].min() > 0.02


def test_one_run_never_settles(logs):
    times = convergence.times(logs.history()).query("rule == 'published'")
    assert set(times[~times["reached"]]["run"]) == {run for run, odd in ODD.items() if odd == "unsettled"}
    settled = times[times["reached"]]["epoch"]
    assert settled.min() >= 2 and settled.max() < 45


def test_values_of_a_class_belong_together(logs):
    wide = logs.results.pivot(index=["run", "task"], columns="metric", values="value")
    for k in range(4):
        dice, iou, precision, recall = (wide[f"{m}_{k}"].dropna() for m in study.OVERLAPS)
        assert np.allclose(dice, 2 * precision * recall / (precision + recall)) and np.allclose(iou, dice / (2 - dice))
