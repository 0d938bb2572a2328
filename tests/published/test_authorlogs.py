from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from tlkit.phantoms.logs import write as write_logs
from tlkit.published import authorlogs
from tlkit.published import jonske2025 as study

FRAMES = {"test": "results", "val": "epochs", "train": "training"}
# A few runs are enough for most tests: two tasks, two pretrainings, four repeats.
KEPT = re.compile(r"E1/PT_(Scratch|SimCLR_R)_FT_(LiTS|R)(_f\d)?")


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("logs")
    write_logs(root, 3)
    return root


@pytest.fixture(scope="session")
def few(whole, tmp_path_factory) -> Path:
    return copy_few(whole, tmp_path_factory.mktemp("few"))


@pytest.fixture(scope="session")
def all_read(whole) -> authorlogs.Logs:
    """What is read of the whole tree, once for the tests that only look at it."""
    return authorlogs.read(whole)


@pytest.fixture(scope="session")
def few_read(few) -> authorlogs.Logs:
    """What is read of the few runs before a test changes a copy of them."""
    return authorlogs.read(few)


@pytest.fixture
def tree(few, tmp_path) -> Path:
    return Path(shutil.copytree(few, tmp_path / "tree"))


def copy_few(source: Path, target: Path) -> Path:
    for run in source.glob("E1/*"):
        if KEPT.fullmatch(f"E1/{run.name}"):
            shutil.copytree(run, target / "E1" / run.name)
            if not run.name.endswith("LiTS"):
                (target / "E1" / run.name / "train.log").unlink(missing_ok=True)
    return target


def lines(logs: authorlogs.Logs) -> list[tuple[str, str, bool]]:
    return list(logs.rejects.itertuples(index=False, name=None))


def same(before: pd.DataFrame, after: pd.DataFrame, but: set[str] = frozenset()) -> None:
    """Assert that two frames agree in all runs but those named, and in their columns as far as both have them."""
    a, b = (f[~f["run"].isin(but)].reset_index(drop=True) for f in (before, after))
    assert_frame_equal(a[[c for c in a if c in b]], b, check_exact=True)


# --- what is read ---


def test_every_published_run_is_read(all_read):
    cells = all_read.headline().groupby(["experiment", "task", "metric", "pretraining"], observed=True).size()
    assert (cells == 4).all() and len(cells) == 32 + 92 + 24 + 8 + 8
    assert all_read.results["run"].nunique() == all_read.epochs["run"].nunique() == 80 + 272 + 60 + 32 + 32
    assert lines(all_read) == [("E1/PT_SimCLR_I1k_FT_BraTS_testing", "a debug run, left out by its name", False)]


def test_results_hold_all_metrics_under_one_name(all_read):
    results = all_read.results
    assert list(results) == authorlogs.RESULTS and set(results["kind"]) == {"finetune"}
    found = results.groupby(["task", "run"], observed=True)["metric"].agg(frozenset).groupby("task", observed=True)
    names = {task: set(sets) for task, sets in found}
    assert names["R"] == names["RXXS"] == names["I100XS"] == {frozenset({"accuracy", "loss"})}
    assert names["CX8S"] == {frozenset({"auc", "dice", "iou", "precision", "recall"})}
    classes = {f"{m}_{k}" for m in study.OVERLAPS for k in range(3)}
    weighted = {f"weighted_{m}_avg" for m in study.OVERLAPS}
    assert names["LiTS"] == {frozenset(classes), frozenset(classes | weighted)}
    assert names["BraTSM"] == {frozenset(classes | {f"{m}_3" for m in study.OVERLAPS})}


def test_epochs_are_the_lines_of_val_log(tree):
    epochs = authorlogs.read(tree).epochs
    assert list(epochs)[:10] == [*authorlogs.HEAD, "epoch", "loss", "val_loss"]
    for run in ("E1/PT_SimCLR_R_FT_R_f2", "E1/PT_Scratch_FT_LiTS"):
        ours = epochs[epochs["run"] == run].reset_index(drop=True)
        with (tree / run / "val.log").open() as file:
            rows = list(csv.DictReader(file))
        assert ours["epoch"].tolist() == list(range(len(rows)))
        names = {title: "val_loss" if m == "loss" else m for title, m in study.METRICS[ours["task"][0]].items()}
        for title in rows[0].keys() - {"epoch"}:
            assert ours[names.get(title, "loss")].tolist() == [float(row[title]) for row in rows], title


def test_training_counts_steps(all_read):
    training = all_read.training
    assert list(training) == authorlogs.TRAINING
    cell = training.drop_duplicates("task").set_index(training.drop_duplicates("task")["task"].astype(str))
    assert cell.loc["R", ["batch", "epochs", "steps", "steps_per_epoch"]].tolist() == [4096, 100, 6001, 60]
    assert cell.loc["RXXS", ["batch", "epochs", "steps", "steps_per_epoch"]].tolist() == [256, 100, 101, 1]
    assert cell.loc["LiTSM", ["batch", "epochs", "steps", "steps_per_epoch"]].tolist() == [128, 50, 501, 10]
    assert cell["fraction"].loc[["R", "LiTSM", "RS", "RXS", "RXXS", "I100", "BraTSS"]].tolist() == [
        1, 0.5, 0.1, 0.01, 0.001, 1, 0.1,
    ]  # fmt: skip


def test_curves_are_means_over_the_runs_of_a_cell(tmp_path):
    for repeat, offset in (("", 0.0), ("_f1", 1.0), ("_f2", 2.0)):
        rows = [(e, s) for e in range(1, 51) for s in range(1, 4 if e == 1 else 3)]
        text = "".join(f"{e},{s},{offset + s + 0.5}\n" for e, s in rows)
        folder = tmp_path / f"E1/PT_Scratch_FT_CX8{repeat}"
        folder.mkdir(parents=True)
        (folder / "train.log").write_text("epoch,step,loss\n" + text)
    logs = authorlogs.read(tmp_path)
    curve = logs.curves
    assert list(curve) == ["experiment", "task", "pretraining", "n", "samples", "loss"] and len(curve) == 101
    assert curve["n"].eq(3).all() and curve["loss"].tolist()[:5] == [2.5, 3.5, 4.5, 2.5, 3.5]
    # (step + 3 * (epoch - 1)) * 128: the largest step number is 3
    assert curve["samples"].tolist()[:6] == [128, 256, 384, 512, 640, 896]
    assert logs.training["steps_per_epoch"].tolist() == [2, 2, 2] and logs.results.empty and logs.epochs.empty


def test_run_of_another_length_is_not_in_the_curve(tree, few_read):
    path = tree / "E1/PT_Scratch_FT_LiTS_f1/train.log"
    text = "".join(f"{e},{s},0.5\n" for e in range(1, 51) for s in (1, 2))
    path.write_text("epoch,step,loss\n" + text)
    before, after = few_read, authorlogs.read(tree)
    assert_frame_equal(before.curves, after.curves)
    assert after.training.set_index("run")["steps_per_epoch"]["E1/PT_Scratch_FT_LiTS_f1"] == 2
    reason = "100 steps, 1001 in the first run of the cell: not in the mean curve"
    assert lines(after) == [("E1/PT_Scratch_FT_LiTS_f1/train.log", reason, True)]


def test_without_train_the_rest_is_the_same(few, few_read):
    full, short = few_read, authorlogs.read(few, train=False)
    assert len(full.training) == 2 and short.training.empty and short.curves.empty
    assert list(short.training) == list(full.training) and list(short.curves) == list(full.curves)
    assert_frame_equal(full.results, short.results)
    assert_frame_equal(full.epochs, short.epochs)


def test_curves_are_small(all_read):
    curves = all_read.curves
    assert curves.memory_usage(deep=True).sum() / len(curves) < 25


def test_tasks_stand_in_the_order_of_the_panels(all_read):
    for frame in (all_read.results, all_read.epochs, all_read.training, all_read.curves):
        assert frame["task"].cat.ordered and list(frame["task"].cat.categories) == study.TASKS
    assert study.TASKS[:7] == ["BraTS", "CX8", "I1k", "LiTS", "R", "BraTSM", "BraTSS"] and len(study.TASKS) == 22
    assert all_read.results["pretraining"].unique().tolist() == list(study.PRETRAININGS.values())


def test_headline_is_what_the_paper_shows(all_read):
    headline = all_read.headline()
    shown = headline.groupby("task", observed=True)["metric"].agg(lambda m: sorted(set(m)))
    assert shown["R"] == shown["I10XS"] == ["accuracy"] and shown["CX8M"] == ["auc"]
    assert shown["LiTS"] == ["dice_1", "dice_2"] and shown["BraTSS"] == ["dice_1", "dice_2", "dice_3"]


def test_size_adjustment_needs_both_corpora(few_read, all_read):
    assert few_read.size_adjustment() is None  # radnet12m is not in it
    adjustment = all_read.size_adjustment()
    assert (adjustment.small, adjustment.large) == (1_281_167, 12_034_617)


def test_names(few_read):
    names = few_read.names()
    assert names["mixed_sequential"] != "mixed_sequential" and names["radnet12m"] == "RadNet-12M"
    assert names["E1"] == "fine-tuning" and names["E4"] == "linear evaluation"
    assert names["BraTSM/dice_2"] == "Dice, whole tumour" and names["BraTS/dice_3"] == "Dice, tumour core"
    assert names["LiTS/dice_1"] == "Dice, liver" and names["RXXS"] == "RadNet, 0.1 %" and names["R"] == "RadNet"
    assert names["anything"] == "anything"


def test_seeds(tmp_path):
    for run in ("E1/PT_SimCLR_RF_FT_LiTS_f1", "E1/PT_SimCLR_RF_FT_LiTS_f2", "E1/PT_SimCLR_RF_FT_LiTS"):
        (tmp_path / run).mkdir(parents=True)
    (tmp_path / "E4/PT_SimCLR_RF_FT_LiTS_lineval_f1").mkdir(parents=True)
    (tmp_path / "E4/PT_SimCLR_RF_FT_LiTS_f2_lineval").mkdir(parents=True)
    seeds = {run["run"]: (run["seed"], run["mode"]) for run in authorlogs._runs(tmp_path, [])}
    assert seeds == {
        "E1/PT_SimCLR_RF_FT_LiTS": (42, "finetune"),
        "E1/PT_SimCLR_RF_FT_LiTS_f1": (11, "finetune"),
        "E1/PT_SimCLR_RF_FT_LiTS_f2": (2, "finetune"),
        "E4/PT_SimCLR_RF_FT_LiTS_lineval_f1": (1, "lineval"),
        "E4/PT_SimCLR_RF_FT_LiTS_f2_lineval": (2, "lineval"),
    }


# --- where it is read from ---


@pytest.mark.parametrize("place", authorlogs.PLACES)
def test_clone_or_folder_in_it(few, tmp_path, place):
    shutil.copytree(few, tmp_path / "clone" / place)
    logs = authorlogs.read(tmp_path / "clone")
    assert logs.folder == tmp_path / "clone" / place and logs.results["run"].nunique() == 16 and not logs.phantom


@pytest.mark.parametrize("found", ["", "E1", "Experiment1"])
def test_wrong_folder_is_told(tmp_path, found):
    folder = tmp_path / "wrong"
    if found:
        folder.mkdir()
        (folder / found).write_text("a file")
    with pytest.raises(authorlogs.PublishedLogsError, match=rf"expected E1/PT.*found {found or 'nothing'}.*git clone"):
        authorlogs.read(folder)


def test_load_takes_the_folder_then_the_variable_then_phantoms(few, tmp_path, monkeypatch):
    phantom = authorlogs.load()
    assert phantom.phantom and phantom.folder.parent == authorlogs.paths.phantom_root()
    assert json.loads((phantom.folder / "phantom.json").read_text())["phantom"] == "logs"
    other = shutil.copytree(few, tmp_path / "other")
    monkeypatch.setenv("TLKIT_LOGS", str(other))
    assert authorlogs.load().folder == other and not authorlogs.load().phantom
    assert authorlogs.load(few).folder == few


def test_reading_needs_no_torch():
    code = "import sys, tlkit.published.authorlogs\n"
    code += "print([m for m in ('torch', 'matplotlib', 'scipy', 'cv2') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert run.stdout.strip() == "[]"


# --- what is rejected: folders ---

FOLDERS = {
    "E3/PT_Scratch_FT_R_noise2": ("E3", "unknown experiment"),
    "E1/PT_Scratch_FT_R_testing": ("", "debug run"),
    "E1/Scratch_FT_R": ("", "unknown name"),
    "E1/PT_Scratch_FT_R_f4": ("", "unknown name"),
    "E1/PT_SimCLR_X_FT_R": ("", "unknown pretraining SimCLR_X"),
    "E1/PT_Scratch_FT_LiTSM": ("", "unknown task LiTSM: E1 has BraTS"),
    "E1/PT_Scratch_FT_R_lineval": ("", "E1 is fine-tuning"),
    "E1/PT_Scratch_FT_R_lineval_f1_lineval": ("", "unknown name"),
    "E4/PT_SimCLR_R_FT_R": ("", "E4 is linear evaluation"),
    "notes": ("", "unknown experiment"),
}


@pytest.mark.parametrize("folder", FOLDERS)
def test_folder_that_is_no_run_is_named(tree, few_read, folder):
    name, reason = FOLDERS[folder]
    (tree / folder).mkdir(parents=True)
    logs = authorlogs.read(tree)
    assert [(file, used) for file, _, used in lines(logs)] == [(name or folder, False)]
    assert reason in logs.rejects["reason"][0]
    assert_frame_equal(logs.results, few_read.results)


def test_second_folder_of_a_cell_is_named(tmp_path):
    for name in ("PT_SimCLR_R_FT_R_f1_lineval", "PT_SimCLR_R_FT_R_lineval_f1"):
        (tmp_path / "E4" / name).mkdir(parents=True)
    rejects = authorlogs.read(tmp_path).rejects.set_index("file")
    reason = "a second folder for the cell and seed of E4/PT_SimCLR_R_FT_R_f1_lineval"
    assert rejects.loc["E4/PT_SimCLR_R_FT_R_lineval_f1", "reason"] == reason
    assert rejects.loc["E4/PT_SimCLR_R_FT_R_lineval_f2", "reason"].startswith("missing")
    assert len(rejects) == 2 + 1 + 3  # two logs of the first folder, the second folder, three repeats


def test_missing_repeat_is_named(tree, few_read):
    shutil.rmtree(tree / "E1/PT_SimCLR_R_FT_R_f2")
    shutil.rmtree(tree / "E1/PT_SimCLR_R_FT_R")
    before, after = few_read, authorlogs.read(tree)
    assert [file for file, _, _ in lines(after)] == ["E1/PT_SimCLR_R_FT_R", "E1/PT_SimCLR_R_FT_R_f2"]
    assert after.rejects["reason"].str.startswith("missing").all() and not after.rejects["used"].any()
    for frame in FRAMES.values():
        same(getattr(before, frame), getattr(after, frame), {"E1/PT_SimCLR_R_FT_R_f2", "E1/PT_SimCLR_R_FT_R"})


def test_missing_logs_are_named_but_not_a_missing_train_log(tree, few_read):
    run = "E1/PT_Scratch_FT_LiTS"
    for kind in FRAMES:
        (tree / run / f"{kind}.log").unlink()
    before, after = few_read, authorlogs.read(tree)
    assert lines(after) == [(f"{run}/{kind}.log", "missing", False) for kind in ("test", "val")]
    for frame in FRAMES.values():
        same(getattr(before, frame), getattr(after, frame), {run})


def test_what_cannot_be_opened_is_named(tree):
    run = tree / "E1/PT_Scratch_FT_LiTS"
    (run / "test.log").unlink()
    (run / "test.log").mkdir()
    shutil.rmtree(tree / "E1/PT_Scratch_FT_R")
    (tree / "E1/PT_Scratch_FT_R").write_text("a file")
    logs = authorlogs.read(tree, train=False)
    files = ["E1/PT_Scratch_FT_LiTS/test.log", "E1/PT_Scratch_FT_R/test.log", "E1/PT_Scratch_FT_R/val.log"]
    assert logs.rejects["file"].tolist() == files and logs.rejects["reason"].str.startswith("unreadable: ").all()


# --- what is rejected: files ---

NUMBER = r"\d\.\d+"
FILES = {
    ("test", "two rows"): (lambda t: t + t.split("\n")[1] + "\n", "2 rows of test metrics, expected 1", False),
    ("test", "no row"): (lambda t: t.split("\n")[0] + "\n", "0 rows", False),
    ("test", "over 1"): (lambda t: t.replace(",0.", ",1.", 1), "expected 0 to 1", False),
    ("test", "no number"): (lambda t: t.replace("0.", "0-", 1), "expected a decimal", False),
    ("test", "optional nan"): (lambda t: re.sub(rf"{NUMBER}\n", "nan\n", t), r"recall_2: 1 values", True),
    ("test", "unknown"): (lambda t: t.replace("iou_avg_class_0", "iou_avg_class_9"), "unknown column", True),
    ("test", "needed"): (lambda t: t.replace("dice_avg_class_1", "dice"), "no column for dice_1", False),
    ("val", "cut off"): (lambda t: t[:-1], "cut off", False),
    ("val", "fewer epochs"): (lambda t: t[: t.rindex("\n49,") + 1], "49 rows that do not count", False),
    ("val", "other epoch"): (lambda t: t.replace("\n7,", "\n8,"), "50 rows that do not count", False),
    ("val", "infinite"): (lambda t: re.sub(rf"{NUMBER}\n$", "-inf\n", t), "not finite", True),
    ("val", "not ASCII"): (lambda t: t.replace("0.", "０.", 1), "not ASCII", False),
    ("train", "fewer epochs"): (lambda t: t[: t.rindex("\n50,1,") + 1], "981 rows that do not count", False),
    ("train", "fewer steps"): (lambda t: t[: t.rindex("\n50,20,") + 1], "epochs of 19 to 21 steps", False),
    ("train", "gap"): (lambda t: re.sub(r"\n3,7,.*", "", t, count=1), "count 1, 2, 3", False),
    ("train", "epoch 0"): (lambda t: t.replace("\n1,", "\n0,"), "epochs 1 to 50", False),
    ("train", "negative"): (lambda t: re.sub(rf"\n3,7,({NUMBER})", r"\n3,7,-\1", t), "line 49, loss: '-", False),
    ("train", "unknown"): (
        lambda t: t.replace("\n", ",x\n").replace("loss,x", "loss,time"),
        "unknown column 'time' left out",
        True,
    ),
}


@pytest.mark.parametrize(("kind", "case"), FILES)
def test_bad_file_is_named_and_touches_nothing_else(tree, few_read, kind, case):
    run = "E1/PT_Scratch_FT_LiTS"
    change, reason, used = FILES[kind, case]
    path = tree / run / f"{kind}.log"
    text = path.read_text()
    path.write_text(change(text))
    assert path.read_text() != text
    before, after = few_read, authorlogs.read(tree)
    assert [(file, kept) for file, _, kept in lines(after)] == [(f"{run}/{kind}.log", used)]
    assert re.search(reason, after.rejects["reason"][0])
    for log, frame in FRAMES.items():
        same(getattr(before, frame), getattr(after, frame), {run} if log == kind else set())
    assert (run in set(getattr(after, FRAMES[kind])["run"])) == used


def test_windows_line_ends(tree, few_read):
    for path in tree.rglob("*.log"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    before, after = few_read, authorlogs.read(tree)
    assert lines(after) == []
    for frame in ("results", "epochs", "training", "curves"):
        assert_frame_equal(getattr(before, frame), getattr(after, frame))


# --- damage at random ---

LETTERS = np.frombuffer(b"abcdefghijklmnopqrstuvwxyzE._-+, ", np.uint8)
NO_DIGITS = np.array([b for b in range(256) if not 48 <= b <= 57], np.uint8)


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """Return `data` cut off, emptied, garbled by other bytes than digits, or with a line less or twice."""
    kind = rng.choice(["cut", "empty", "bytes", "letters", "delete", "twice"], p=[0.25, 0.05, 0.2, 0.2, 0.15, 0.15])
    if kind in ("cut", "empty"):
        return data[: rng.integers(len(data))] if kind == "cut" else b""
    if kind in ("bytes", "letters"):
        garbled = np.frombuffer(data, np.uint8).copy()
        where = rng.integers(len(data)) + np.arange(rng.integers(1, 5))
        where = where[where < len(data)]
        garbled[where] = rng.choice(LETTERS if kind == "letters" else NO_DIGITS, len(where))
        return garbled.tobytes()
    rows = data.splitlines(keepends=True)
    k = rng.integers(len(rows))
    return b"".join(rows[:k] + rows[k + 1 :] if kind == "delete" else rows[: k + 1] + rows[k:])


def assert_damage_is_noticed(source: Path, tree: Path, rounds: int, files: int) -> None:
    """Damage `files` logs of different runs at a time, read, and compare with the reading of the whole tree."""
    rng = np.random.default_rng(2025)
    before = authorlogs.read(source)
    values = before.results.set_index(["run", "metric"])["value"]
    paths = sorted(p.relative_to(source).as_posix() for p in source.rglob("*.log"))
    for _ in range(rounds):
        runs, damaged = set(), {}
        for path in rng.permutation(paths):
            data = (source / path).read_bytes()
            if len(damaged) < files and Path(path).parent not in runs and (bad := damage(data, rng)) != data:
                damaged[path] = bad
                runs.add(Path(path).parent)
        for path, bad in damaged.items():
            (tree / path).write_bytes(bad)
        after = authorlogs.read(tree)
        assert set(after.rejects["file"]) == set(damaged), damaged
        for log, frame in FRAMES.items():
            hit = {str(Path(p).parent) for p in damaged if p.endswith(f"/{log}.log")}
            same(getattr(before, frame), getattr(after, frame), hit)
        # What is still used of a damaged file holds the values that it had.
        left = after.results.set_index(["run", "metric"])["value"]
        assert left.equals(values.loc[left.index])
        kept = after.epochs.set_index(["run", "epoch"]).select_dtypes("number")
        old = before.epochs.set_index(["run", "epoch"]).loc[kept.index, kept.columns]
        assert (kept.isna() | (kept == old)).all(axis=None)
        for path in damaged:
            shutil.copyfile(source / path, tree / path)


def test_random_damage_of_phantom_logs_is_noticed(few, tree):
    assert_damage_is_noticed(few, tree, rounds=60, files=5)


def test_random_damage_of_the_real_logs_is_noticed(jonske_logs, tmp_path):
    source = copy_few(jonske_logs.folder, tmp_path / "source")
    tree = Path(shutil.copytree(source, tmp_path / "tree"))
    assert_damage_is_noticed(source, tree, rounds=60, files=5)


# --- the real logs ---


def test_all_real_runs_are_read(jonske_logs):
    found = jonske_logs.rejects
    inside = found[found["file"].str.match("E[14]/")]
    assert inside.values.tolist() == [["E1/PT_SimCLR_I1k_FT_BraTS_testing", "a debug run, left out by its name", False]]
    for frame in (jonske_logs.results, jonske_logs.epochs):
        assert frame.groupby("experiment")["run"].nunique().loc[["E1", "E4"]].tolist() == [80, 60]
    cells = jonske_logs.headline().groupby(["experiment", "task", "metric", "pretraining"], observed=True).size()
    assert (cells == 4).all() and len(cells.loc[["E1", "E4"]]) == 32 + 24


def test_real_test_logs_by_another_reader(jonske_logs):
    ours = jonske_logs.results.set_index(["run", "metric"])["value"].to_dict()
    for run, task in jonske_logs.results[["run", "task"]].drop_duplicates().itertuples(index=False):
        with (jonske_logs.folder / run / "test.log").open(newline="") as file:
            (row,) = csv.DictReader(file)
        names = study.METRICS[study.find_whole(task)]
        for title, value in row.items():
            assert ours.pop((run, names[title])) == float(value)
    assert not ours


def test_real_val_and_train_logs_by_another_reader(jonske_logs):
    for run, epochs in jonske_logs.epochs.groupby("run"):
        table = pd.read_csv(jonske_logs.folder / run / "val.log")
        assert np.allclose(epochs["loss"], table["avg_epoch_train_loss"], rtol=1e-12, atol=0)
        shown = study.SHOWN[study.find_whole(epochs["task"].iloc[0])][0]
        column = next(c for c in table if study.METRICS[study.find_whole(epochs["task"].iloc[0])].get(c) == shown)
        assert np.allclose(epochs[shown], table[column], rtol=1e-12, atol=0)
    cell = jonske_logs.curves.query("experiment == 'E1' and task == 'BraTS' and pretraining == 'radnet'")
    logs = [pd.read_csv(jonske_logs.folder / f"E1/PT_SimCLR_R_FT_BraTS{repeat}/train.log") for repeat in study.REPEATS]
    assert np.allclose(cell["loss"], np.mean([log["loss"] for log in logs], axis=0), rtol=1e-12)
    assert set(cell["n"]) == {4}
    samples = (logs[0]["step"] + logs[0]["step"].max() * (logs[0]["epoch"] - 1)) * 128
    assert cell["samples"].tolist() == samples.tolist()
    files = {p.parent.name for p in jonske_logs.folder.glob("E[14]/*/train.log") if not p.parent.match("*_testing")}
    read = jonske_logs.training[jonske_logs.training["experiment"].isin(["E1", "E4"])]
    assert {Path(run).name for run in read["run"]} == files
