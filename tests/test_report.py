"""Figures show every run and say what they are; files are whole, repeatable and name their runs."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit import paths, report
from tlkit.analysis import stats

ABOUT = {
    "runs": ["run-b", "run-a", "run-b"],
    "notebook": "30_figure.ipynb",
    "caption": "Means.",
    "scale": "smoke",
}


@pytest.fixture(autouse=True)
def plain(monkeypatch, tmp_path):
    import matplotlib

    matplotlib.use("agg")
    monkeypatch.setenv("TLKIT_PAPER", str(tmp_path / "paper"))
    yield
    matplotlib.pyplot.close("all")


def results() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        (experiment, task, metric, name, seed, rng.uniform(0.5, 0.9))
        for experiment, names in (
            ("lineval", ["imagenet", "mine"]),
            ("finetune", ["mine", "scratch", "imagenet"]),
        )
        for task, metric in (("lits", "dice_1"), ("radnet", "accuracy"))
        for name in names
        for seed in range(3)
    ]
    return pd.DataFrame(rows, columns=["experiment", "task", "metric", "pretraining", "seed", "value"])


def drawn_runs(ax) -> list[float]:
    return [y for line in ax.lines if line.get_gid() == "runs" for y in line.get_ydata()]


def texts(fig) -> str:
    import matplotlib.text

    return "\n".join(text.get_text() for text in fig.findobj(matplotlib.text.Text))


def test_bars_show_every_run_inside_the_axes():
    frame = results()
    fig = report.bars(frame)
    assert len(fig.axes) == 4
    expected = [
        frame.query("experiment == @e and task == @t")["value"]
        for e in ("finetune", "lineval")
        for t in ("lits", "radnet")
    ]
    for ax, values in zip(fig.axes, expected, strict=True):
        assert sorted(drawn_runs(ax)) == sorted(values)
        low, high = ax.get_ylim()
        assert low < values.min() and values.max() < high


def test_bars_have_the_mean_and_the_sd():
    frame = results().query("experiment == 'finetune' and task == 'lits'")
    (ax,) = report.bars(frame).axes
    summary = stats.summarise(frame).set_index("pretraining").loc[["scratch", "imagenet", "mine"]]
    assert [p.get_height() for p in ax.patches] == pytest.approx(summary["mean"].tolist())
    whiskers = [container.lines[2][0].get_segments()[0][:, 1] for container in ax.containers[1::2]]
    assert [np.ptp(w) / 2 for w in whiskers] == pytest.approx(summary["sd"].tolist())
    dashed = [line.get_ydata()[0] for line in ax.lines if line.get_linestyle() == "--"]
    assert dashed == [summary["mean"].max()]


def test_the_best_error_is_the_lowest():
    frame = results().query("experiment == 'finetune' and task == 'lits'").assign(metric="mae")
    (ax,) = report.bars(frame).axes
    dashed = [line.get_ydata()[0] for line in ax.lines if line.get_linestyle() == "--"]
    assert dashed == [stats.summarise(frame)["mean"].min()]


def test_bars_name_what_is_shown():
    fig = report.bars(results(), names={"dice_1": "Dice, liver"})
    shown = texts(fig)
    for words in (
        "Fine-tuning",
        "Linear evaluation",
        "Dice, liver",
        "accuracy",
        "n = 3 each",
        "sd (ddof = 1)",
    ):
        assert words in shown
    assert "Vertical axes do not start at 0." in shown
    assert [ax.get_title("left") for ax in fig.axes] == ["a", "b", "c", "d"]
    assert [t.get_text() for t in fig.axes[0].get_xticklabels()] == ["Scratch", "ImageNet", "mine"]
    # Scratch has no linear evaluation: its place stays, and says so.
    assert ["not run" in "".join(t.get_text() for t in ax.texts) for ax in fig.axes] == [
        False,
        False,
        True,
        True,
    ]
    assert "phantom" not in shown


def test_axes_from_zero_are_not_called_cut():
    frame = results().assign(value=[0.0, 0.5, 1.0] * 10)
    assert "do not start at 0" not in texts(report.bars(frame))


def test_single_runs_and_unequal_n_are_said():
    frame = results().query("experiment == 'finetune' and task == 'lits'")
    frame = frame[(frame["pretraining"] != "mine") | (frame["seed"] == 0)]
    (ax,) = report.bars(frame).axes
    assert [t.get_text() for t in ax.get_xticklabels()] == [
        "Scratch, n = 3",
        "ImageNet, n = 3",
        "mine, n = 1",
    ]
    assert len(drawn_runs(ax)) == 7


def test_no_results_say_which_command_helps():
    with pytest.raises(ValueError, match="python -m tlkit status"):
        report.bars(results().iloc[:0])


def test_last_row_may_be_shorter():
    frame = pd.concat([results().query("task == 'lits'").assign(task=f"t{i}") for i in range(5)])
    fig = report.bars(frame)
    assert len(fig.axes) == 10
    # Balanced: three panels and two, for both experiments.
    assert len({round(ax.get_subplotspec().colspan.start) for ax in fig.axes}) == 3


@pytest.mark.parametrize("values", [[0.7, 0.7], [0.2, 0.9], [0.0, 0.0], [-3.0, 2.0]])
def test_limits_hold_every_value(values):
    frame = pd.DataFrame({"mean": [np.mean(values)], "sd": [np.std(values, ddof=1)]})
    low, high = report.limits(frame, pd.Series(values))
    assert low < min(values) and max(values) < high


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.floats(0.3, 1), min_size=1, max_size=4), spread=st.floats(0, 0.001))
def test_limits_are_the_published_ones_where_nothing_is_cut(values, spread):
    mean = pd.Series(values)
    low, high = report.limits(pd.DataFrame({"mean": mean, "sd": spread}), mean)
    assert low <= 0.99 * mean.min() + 1e-12
    assert high >= 1.01 * (mean + spread).max() - 1e-12
    if mean.max() < 1.02 * mean.min():
        assert (low, high) == pytest.approx((0.99 * mean.min(), 1.01 * (mean + spread).max()))


def test_colours_are_fixed_and_distinct():
    assert report.in_order(["zeta", "radnet12m", "alpha", "scratch"]) == [
        "scratch",
        "radnet12m",
        "alpha",
        "zeta",
    ]
    palette = report.colours(["zeta", "radnet", "alpha"])
    assert palette == report.colours(["alpha", "zeta", "radnet"])
    assert palette["radnet"] == report.PRETRAINING_COLOURS["radnet"]
    both = [*report.PRETRAINING_COLOURS.values(), *report.OTHER_COLOURS]
    assert len(set(both)) == len(both)


def test_style_ends_with_its_block():
    import matplotlib as mpl

    before = mpl.rcParams["font.size"]
    with report.style():
        assert mpl.rcParams["font.size"] == report.STYLE["font.size"] != before
    assert mpl.rcParams["font.size"] == before


def test_save_figure_writes_all_files():
    files = report.save_figure(report.bars(results()), "boundaries", "fig2", **ABOUT, phantom=False)
    folder = paths.paper_root() / "figures" / "boundaries"
    assert [f.name for f in files] == ["fig2.svg", "fig2.pdf", "fig2.png", "fig2.json"]
    assert sorted(folder.iterdir()) == sorted(files)
    starts = [f.read_bytes()[:5] for f in files[:3]]
    assert starts == [b"<?xml", b"%PDF-", b"\x89PNG\r"]
    about = json.loads(files[-1].read_text(encoding="utf-8"))
    assert about["runs"] == ["run-a", "run-b"]
    assert about["caption"] == "Means."
    assert (about["phantom"], about["scale"], about["notebook"]) == (False, "smoke", "30_figure.ipynb")
    assert {"commit", "dirty", "tlkit", "date"} <= set(about)
    assert about["date"].endswith("+00:00")


def test_same_results_give_the_same_bytes():
    first, second = (
        {f.suffix: f.read_bytes() for f in report.save_figure(report.bars(results()), "s", name, **ABOUT, phantom=True)}
        for name in ("one", "two")
    )
    for kind in (".svg", ".pdf", ".png"):
        assert first[kind] == second[kind]


def test_phantom_figures_are_marked_once():
    unmarked = report.bars(results())
    *_, sidecar = report.save_figure(unmarked, "s", "f", **ABOUT, phantom=True)
    assert texts(unmarked).count("phantom data") == 1
    marked = report.bars(results(), phantom=True)
    report.save_figure(marked, "s", "f", **ABOUT, phantom=True)
    assert texts(marked).count("phantom data") == 1
    about = json.loads(sidecar.read_text(encoding="utf-8"))
    assert about["phantom"] is True
    assert about["caption"] == "Means. Phantom data (scale smoke): not results on patients."


def test_a_failed_save_leaves_the_old_file(monkeypatch):
    fig = report.bars(results())
    svg, *_ = report.save_figure(fig, "s", "f", **ABOUT, phantom=False)
    before = svg.read_bytes()

    def break_off(temp, **_):
        temp.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(fig, "savefig", break_off)
    with pytest.raises(OSError, match="disk full"):
        report.save_figure(fig, "s", "f", **ABOUT, phantom=False)
    assert svg.read_bytes() == before
    assert len(list(svg.parent.iterdir())) == 4


def test_save_table_round_trips():
    frame = pd.DataFrame({"run": ["12e45678", "b"], "n": [4, 12], "mean": [1 / 3, np.nan], "p": [0.00001234, 0.5]})
    csv, md, sidecar = report.save_table(frame, "s", "t", **ABOUT, phantom=True, floats={"mean": ".2f"})
    pd.testing.assert_frame_equal(pd.read_csv(csv), frame, check_exact=True, check_dtype=False)
    lines = md.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "Means. Phantom data (scale smoke): not results on patients."
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines[4:]]
    assert cells == [["12e45678", "4", "0.33", "1.234e-05"], ["b", "12", "–", "0.5"]]
    assert json.loads(sidecar.read_text(encoding="utf-8"))["runs"] == ["run-a", "run-b"]


def test_a_named_index_is_kept():
    frame = pd.DataFrame({"mean": [0.5]}, index=pd.Index(["radnet"], name="pretraining"))
    csv, *_ = report.save_table(frame, "s", "t", **ABOUT, phantom=False)
    assert csv.read_text() == "pretraining,mean\nradnet,0.5\n"


def test_commit_names_the_tree(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "REPO", tmp_path)
    assert report.commit() == {"commit": "unknown", "dirty": None}
    git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([*git, *command], check=True)
    clean = report.commit()
    assert len(clean["commit"]) == 40 and clean["dirty"] is False
    (tmp_path / "new.py").write_text("")
    assert report.commit() == {**clean, "dirty": True}


def test_import_is_light():
    heavy = {"matplotlib", "scipy", "statsmodels"}
    code = f"import sys, tlkit.report; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
