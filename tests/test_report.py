"""Figures show every run and say what they are; files are whole, repeatable and name their runs."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from functools import partial
from itertools import combinations, permutations, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from looks import COLOURS, PAPER
from PIL import Image

from tlkit import paths, report
from tlkit.config import UnknownNameError
from tlkit.figures import bars as figure_bars
from tlkit.figures import convergence
from tlkit.figures import losses as figure_losses
from tlkit.figures import matrices as figure_matrices
from tlkit.figures.panels import HEADING
from tlkit.names import COLOURS as PALETTE
from tlkit.names import GREY, Names
from tlkit.published import evidence
from tlkit.stats import differences

ABOUT = {
    "runs": ["run-b", "run-a", "run-b"],
    "notebook": "30_figure.ipynb",
    "caption": "Means.",
    "scale": "smoke",
}


bars, matrices = partial(figure_bars.draw, names=PAPER), partial(figure_matrices.draw, names=PAPER)
forest, draw_losses = partial(evidence.forest, names=PAPER), partial(figure_losses.draw, names=PAPER)


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
            ("finetune", ["mine", "scratch", "imagenet"]),
            ("lineval", ["imagenet", "mine"]),
        )
        for task, metric in (("lits", "dice_1"), ("radnet", "accuracy"))
        for name in names
        for seed in range(3)
    ]
    return pd.DataFrame(rows, columns=["experiment", "task", "metric", "pretraining", "seed", "value"])


def drawn_runs(ax) -> list[float]:
    return [y for line in ax.lines if line.get_gid() == "runs" for y in line.get_ydata()]


def means(ax) -> list[float]:
    return [y for line in ax.lines if line.get_gid() == "mean" and line.get_marker() == "o" for y in line.get_ydata()]


def texts(fig) -> str:
    import matplotlib.text

    return "\n".join(text.get_text() for text in fig.findobj(matplotlib.text.Text))


def test_bars_show_every_run_inside_the_axes():
    frame = results()
    fig = bars(frame)
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
    (ax,) = bars(frame).axes
    summary = differences.summarise(frame).set_index("pretraining").loc[["scratch", "imagenet", "mine"]]
    assert means(ax) == pytest.approx(summary["mean"].tolist()) and not ax.patches, "a bar would need its 0"
    whiskers = [container.lines[2][0].get_segments()[0][:, 1] for container in ax.containers]
    assert [np.ptp(w) / 2 for w in whiskers] == pytest.approx(summary["sd"].tolist())
    dashed = [line.get_ydata()[0] for line in ax.lines if line.get_linestyle() == "--"]
    assert dashed == [summary["mean"].max()]


def test_the_best_error_is_the_lowest():
    frame = results().query("experiment == 'finetune' and task == 'lits'").assign(metric="mae")
    (ax,) = bars(frame).axes
    dashed = [line.get_ydata()[0] for line in ax.lines if line.get_linestyle() == "--"]
    assert dashed == [differences.summarise(frame)["mean"].min()]


def test_bars_name_what_is_shown():
    fig = bars(results(), names=PAPER | {"dice_1": "Dice, liver"})
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
    assert [ax.get_title("left") for ax in fig.axes] == ["a", "b", "c", "d"]
    assert [t.get_text() for t in fig.axes[0].get_xticklabels()] == ["random weights", "ImageNet", "mine"]
    # Scratch has no linear evaluation: its place stays, and says so.
    assert ["not run" in "".join(t.get_text() for t in ax.texts) for ax in fig.axes] == [
        False,
        False,
        True,
        True,
    ]
    assert "phantom" not in shown


def test_baselines_and_chance_are_drawn_within_the_axes_with_their_names():
    frame = results().query("task == 'radnet'")
    told = pd.DataFrame({"task": "radnet", "metric": "accuracy", "baseline": ["no image", "pixels"], "value": [0.1, 2]})
    for ax in bars(frame, baselines=told).axes:
        assert [line.get_ydata()[0] for line in gid(ax, "baseline")] == [0.1, 2]
        low, high = ax.get_ylim()
        assert low < 0.1 and high > 2
        assert {"no\nimage", "pixels"} <= {t.get_text() for t in ax.texts}
    for ax in bars(frame.assign(metric="auc")).axes:
        assert [line.get_ydata()[0] for line in gid(ax, "baseline")] == [0.5] and "chance" in [
            t.get_text() for t in ax.texts
        ]


def test_single_runs_and_unequal_n_are_said():
    frame = results().query("experiment == 'finetune' and task == 'lits'")
    frame = frame[(frame["pretraining"] != "mine") | (frame["seed"] == 0)]
    (ax,) = bars(frame).axes
    assert [t.get_text() for t in ax.get_xticklabels()] == [
        "random weights, n = 3",
        "ImageNet, n = 3",
        "mine, n = 1",
    ]
    assert len(drawn_runs(ax)) == 7


def test_no_results_say_which_command_helps():
    with pytest.raises(ValueError, match="python -m tlkit plan"):
        bars(results().iloc[:0])


def test_last_row_may_be_shorter():
    frame = pd.concat([results().query("task == 'lits'").assign(task=f"t{i}") for i in range(5)])
    fig = bars(frame)
    assert len(fig.axes) == 10
    # Balanced: three panels and two, for both experiments.
    assert len({round(ax.get_subplotspec().colspan.start) for ax in fig.axes}) == 3


@settings(max_examples=20, deadline=None)
@given(values=st.lists(st.floats(-3, 3), min_size=2, max_size=4))
def test_the_axis_holds_every_value_and_whisker(values):
    frame = pd.DataFrame({"experiment": "e", "task": "t", "metric": "m", "pretraining": "p", "value": values})
    (ax,) = bars(frame.assign(seed=range(len(values)))).axes
    low, high = ax.get_ylim()
    mean, sd = np.mean(values), np.std(values, ddof=1)
    assert low <= min(*values, mean - sd) and max(*values, mean + sd) <= high


def test_arms_stand_in_the_order_of_their_colours_and_others_get_free_ones():
    names = Names({}, {"scratch": "#8c8c8c", "b": "#e69f00"})
    assert report.in_order(["zeta", "b", "alpha", "scratch"], names) == ["scratch", "b", "alpha", "zeta"]
    palette = report.colours(["zeta", "b", "alpha"], names)
    assert palette == report.colours(["alpha", "zeta", "b"], names)
    assert palette["b"] == "#e69f00" and len(set(palette.values())) == 3
    assert len({GREY, *PALETTE}) == 1 + len(PALETTE)
    many = report.colours([str(i) for i in range(30)], names)
    assert set(many.values()) == set(PALETTE) - {"#e69f00"}


def test_style_ends_with_its_block():
    import matplotlib as mpl

    before = mpl.rcParams["font.size"]
    with report.style():
        assert mpl.rcParams["font.size"] == report.STYLE["font.size"] != before
    assert mpl.rcParams["font.size"] == before


def test_save_figure_writes_all_files():
    files = report.save_figure(bars(results()), "boundaries", "fig2", **ABOUT, phantom=False)
    folder = paths.paper_root() / "figures" / "boundaries" / ABOUT["scale"]
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
        {f.suffix: f.read_bytes() for f in report.save_figure(bars(results()), "s", name, **ABOUT, phantom=True)}
        for name in ("one", "two")
    )
    for kind in (".svg", ".pdf", ".png"):
        assert first[kind] == second[kind]


def test_fonts_in_a_pdf_are_true_type_without_tables_for_layout(monkeypatch):
    from matplotlib.backends import backend_pdf

    embedded, subset = [], backend_pdf._backend_pdf_ps.get_glyphs_subset

    def kept(*font):
        with subset(*font) as found:
            embedded.append(set(found.font.keys()))
        return subset(*font)

    monkeypatch.setattr(backend_pdf._backend_pdf_ps, "get_glyphs_subset", kept)
    report.save_figure(bars(results()), "s", "f", **ABOUT, phantom=True)
    assert embedded and all("glyf" in tables and not tables & {"GPOS", "GSUB", "GDEF"} for tables in embedded)


def test_phantom_figures_are_marked_once():
    unmarked = bars(results())
    *_, sidecar = report.save_figure(unmarked, "s", "f", **ABOUT, phantom=True)
    assert texts(unmarked).count("phantom data") == 1
    marked = bars(results(), phantom=True)
    report.save_figure(marked, "s", "f", **ABOUT, phantom=True)
    assert texts(marked).count("phantom data") == 1
    about = json.loads(sidecar.read_text(encoding="utf-8"))
    assert about["phantom"] is True
    assert about["caption"] == "Means. Phantom data (scale smoke): not results on patients."


def test_the_networks_that_ran_stand_on_the_figure_once():
    fig = bars(results())
    for _ in range(2):
        *_, sidecar = report.save_figure(fig, "s", "f", **ABOUT, phantom=False, networks="resnet10, unet")
    assert texts(fig).replace("\n", " ").count("Networks: resnet10, unet.") == 1
    assert json.loads(sidecar.read_text(encoding="utf-8"))["caption"] == "Means. Networks: resnet10, unet."


def test_figures_of_two_scales_stand_side_by_side():
    paths_of = [
        report.save_figure(bars(results()), "s", "f", **ABOUT | {"scale": scale}, phantom=False)[0]
        for scale in ("smoke", "quick")
    ]
    assert all(path.exists() for path in paths_of) and paths_of[0] != paths_of[1]


def test_a_failed_save_leaves_the_old_file(monkeypatch):
    fig = bars(results())
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


def pairs(panels: int = 2, **columns: object) -> pd.DataFrame:
    """Both directions of imagenet, radnet and scratch in `panels` tasks, with the columns of `differences.pairwise`."""
    rng = np.random.default_rng(1)
    rows = []
    for experiment in ("E1", "E4"):
        for i in range(panels):
            mean = dict(zip(("scratch", "imagenet", "radnet"), rng.uniform(0.5, 0.9, 3), strict=True))
            p = {
                frozenset(ab): rng.uniform(0, 1)
                for ab in (("scratch", "imagenet"), ("scratch", "radnet"), ("imagenet", "radnet"))
            }
            for a, b in permutations(mean, 2):
                known, gap = p[frozenset((a, b))], mean[a] - mean[b]
                rows.append(
                    {"experiment": experiment, "task": f"t{i}", "metric": "auc", "a": a, "b": b, "n_a": 4, "n_b": 4}
                    | {"mean_a": mean[a], "mean_b": mean[b], "delta_pct": (mean[a] / mean[b] - 1) * 100}
                    | {"p_published": known, "p_sound": known / 2, "p_holm": min(1, 3 * known)}
                    | {"ci_low": gap - 0.02, "ci_high": gap + 0.03, "equivalent": False}
                )
    return pd.DataFrame(rows).assign(**columns)


def cells(ax) -> dict[tuple[float, float], str]:
    return {tuple(map(int, t.get_position()[::-1])): t.get_text() for t in ax.texts if "\n" in t.get_text()}


def gid(ax, name: str) -> list:
    return [artist for artist in (*ax.lines, *ax.collections, *ax.patches) if artist.get_gid() == name]


def test_estimates_are_hollow_and_said():
    frame = results().query("experiment == 'finetune' and task == 'lits'").replace({"mine": "radnet_ub"})
    (ax,) = bars(frame, estimated=["radnet_ub", "radnet_lb"]).axes
    dots = [line for line in ax.lines if line.get_gid() == "mean" and line.get_marker() == "o"]
    assert [dot.get_markerfacecolor() == "white" for dot in dots] == [False, False, True]
    assert len(drawn_runs(ax)) == 6
    (pseudo,) = gid(ax, "pseudo-runs")
    assert sorted(pseudo.get_ydata()) == sorted(frame.query("pretraining == 'radnet_ub'")["value"])
    assert pseudo.get_marker() == "s"
    assert "estimates" in texts(ax.figure)
    assert "estimates" not in texts(bars(frame))
    assert "estimates" not in texts(bars(frame, estimated=["radnet_lb"]))


def test_experiments_and_panels_stand_as_they_first_appear():
    frame = results()
    again = pd.concat([frame[(frame["experiment"] == "lineval") & (frame["task"] == "radnet")], frame])
    fig = bars(again.drop_duplicates(["experiment", "task", "metric", "pretraining", "seed"]))
    assert [ax.get_title() for ax in fig.axes] == ["RadNet", "lits", "lits", "RadNet"]
    assert texts(fig).index("Linear evaluation") < texts(fig).index("Fine-tuning")


def test_only_the_lowest_panels_name_their_bars():
    frame = pd.concat(
        [results().query("experiment == 'lineval' and task == 'lits'").assign(task=f"t{i}") for i in range(5)]
    )
    named = [bool(ax.get_xticklabels()[0].get_text()) for ax in bars(frame).axes]
    assert named == [False, False, True, True, True]
    # The third one stands above a gap: its names may reach into it.
    assert [ax.get_xticklabels()[0].get_in_layout() for ax in bars(frame).axes[2:]] == [False, True, True]


def test_a_long_number_stays_in_its_cell():
    names = ("scratch", "imagenet", "radnet", "radnet_lb", "radnet_ub", "radnet12m")
    rows = product(("t0", "t1", "t2"), names, names)
    cell = {"experiment": "E1", "metric": "auc", "n_a": 4, "n_b": 4, "mean_a": 9.0, "mean_b": 0.1}
    frame = pd.DataFrame(rows, columns=["task", "a", "b"]).assign(**cell, delta_pct=12345.67, p_holm=0.5)
    fig = matrices(frame[frame["a"] != frame["b"]])
    fig.canvas.draw()
    (ax, *_) = fig.axes
    numbers = [text for text in ax.texts if text.get_text() == "+12345.67\n0.500"]
    assert len(numbers) == 30 and all(text.get_window_extent().width < ax.bbox.width / 6 for text in numbers)


def single_runs(panels: int) -> pd.DataFrame:
    """Three runs of each pretraining in `panels` tasks."""
    cells = product([f"t{i}" for i in range(panels)], ("scratch", "imagenet", "radnet", "radnet12m"), range(3))
    frame = pd.DataFrame(cells, columns=["task", "pretraining", "seed"])
    value = np.random.default_rng(0).uniform(0.5, 0.9, len(frame))
    return frame.assign(experiment="E2", metric="accuracy", value=value)


@pytest.mark.parametrize(("draw", "frame"), [(figure_bars.draw, single_runs(8)), (figure_matrices.draw, pairs(6))])
def test_long_titles_leave_room_for_their_neighbours(draw, frame):
    names = {f"t{i}": f"ImageNet, {i} of 10 classes, 10 %" for i in range(8)}
    fig = draw(frame, names=names)
    fig.canvas.draw()
    named = [ax for ax in fig.axes if ax.get_title()]
    assert len(named) == frame.groupby(["experiment", "task"]).ngroups
    assert all("10\N{NO-BREAK SPACE}%" in ax.get_title() for ax in named)
    headings = [text for ax in named for text in ax.texts if text.get_gid() == HEADING and text.get_text() != "X"]
    written = [*headings, *(title for ax in named for title in (ax.title, ax._left_title))]
    boxes = [text.get_window_extent() for text in written]
    assert all(box.x0 >= 0 and box.x1 <= fig.bbox.x1 for box in boxes)
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_a_matrix_shows_delta_and_p_of_row_against_column():
    frame = pairs()
    fig = matrices(frame, p="p_published", names=PAPER | {"t0": "Task 0", "E1": "fine-tuning"}, phantom=True)
    order = ["scratch", "imagenet", "radnet"]
    for ax, (_, panel) in zip(fig.axes, frame.groupby(["experiment", "task"]), strict=True):
        assert len(cells(ax)) == len(panel) == 6
        drawn = ax.images[0].get_array()
        for pair in panel.to_dict("records"):
            at = order.index(pair["a"]), order.index(pair["b"])
            delta = f"{pair['delta_pct']:+.2f}".replace("-", "−")
            assert cells(ax)[at] == f"{delta}\n{pair['p_published']:.3f}"
            strength = 1 if pair["p_holm"] < 0.05 else figure_matrices.PALE
            assert drawn[at] == pytest.approx(np.sign(pair["delta_pct"]) * strength), "the corrected p decides"
        assert np.ma.getmaskarray(drawn).diagonal().all()
    assert fig.axes[0].get_title() == "Task 0, AUC"
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == ["random weights", "ImageNet", "RadNet"]
    shown = texts(fig)
    for words in ("Fine-tuning", "row worse, p < 0.05", "not clear", "as published", "n = 4 each", "phantom data"):
        assert words in shown
    assert "certain" not in shown, "p says nothing of certainty"


@pytest.mark.parametrize(
    ("delta", "p", "text"),
    [
        (0.004, 0.9994, "±0\n0.999"),
        (-0.004, 1.0, "±0\n1.000"),
        (131.62, 0.0009, "+131.62\n<0.001"),
        (np.nan, np.nan, "–\n–"),
    ],
)
def test_numbers_of_a_cell(delta, p, text):
    fig = matrices(pairs(delta_pct=delta, p_sound=p), p="p_sound")
    assert set(cells(fig.axes[0]).values()) == {text}


def test_the_other_p_values_are_named():
    assert "Holm" in texts(matrices(pairs(), p="p_holm"))
    with pytest.raises(UnknownNameError, match=r"p_welch.*p_published"):
        matrices(pairs(), p="p_welch")


def test_a_lower_error_is_better_in_a_matrix():
    frame = pairs(metric="mae")
    pair = frame.iloc[0]
    drawn = matrices(frame).axes[0].images[0].get_array()
    assert np.sign(drawn[0, 1]) == -np.sign(pair["mean_a"] - pair["mean_b"])


def test_text_of_a_matrix_is_legible_on_every_colour():
    import matplotlib.colors as mc
    from matplotlib import text

    frame = pairs(panels=6)
    frame["p_published"] = np.linspace(0, 1, len(frame))

    def luminance(colour):
        rgb = np.array(mc.to_rgb(colour))
        return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]

    fig = matrices(frame)
    for ax in fig.axes:
        (image,) = ax.images
        for written in ax.texts:
            if "\n" in written.get_text():
                x, y = written.get_position()
                below = image.to_rgba(image.get_array()[int(y), int(x)])[:3]
                light, dark = sorted([luminance(below), luminance(written.get_color())], reverse=True)
                assert (light + 0.05) / (dark + 0.05) > 4.5
    assert min(t.get_size() for t in fig.findobj(text.Text) if t.get_text()) >= 5


def test_matrices_need_every_pretraining_in_their_order():
    with pytest.raises(ValueError, match=r"order lists \['radnet'\].*\['imagenet', 'scratch'\]"):
        matrices(pairs(), order=["radnet"])
    first = matrices(pairs(), order=["radnet", "scratch", "imagenet"]).axes[0]
    assert [t.get_text() for t in first.get_yticklabels()] == ["RadNet", "random weights", "ImageNet"]


def test_pairs_keep_the_order_of_their_panels():
    frame = pairs().replace({"t0": "zebra", "t1": "ape"})
    assert [ax.get_title() for ax in matrices(frame).axes[:2]] == ["zebra, AUC", "ape, AUC"]


def forest_row(fig, label: str) -> tuple[float, list[str]]:
    ax, table = fig.axes
    at = dict(zip([t.get_text() for t in ax.get_yticklabels()], ax.get_yticks(), strict=True))
    return at[label], [t.get_text() for t in table.texts if t.get_position()[1] == at[label]]


def test_a_forest_shows_points_interval_and_p_values():
    frame = pairs()
    fig = forest(frame, a="radnet", b="imagenet", margin=0.02, names=PAPER | {"E4": "linear evaluation"}, phantom=True)
    chosen = frame.query("a == 'radnet' and b == 'imagenet'")
    points = 100 * (chosen["mean_a"] - chosen["mean_b"])
    ax, _ = fig.axes
    assert [line.get_xdata()[0] for line in gid(ax, "difference")] == pytest.approx(points.tolist())
    drawn = [list(line.get_xdata()) for line in gid(ax, "interval")]
    assert np.array(drawn) == pytest.approx(100 * chosen[["ci_low", "ci_high"]].to_numpy())
    low, high = ax.get_xlim()
    assert low < np.min(drawn) and np.max(drawn) < high
    (band,) = gid(ax, "margin")
    assert [f(band.get_paths()[0].vertices[:, 0]) for f in (min, max)] == pytest.approx([-2, 2])
    labels = [t.get_text() for t in ax.get_yticklabels()]
    assert labels == ["E1", "t0, AUC", "t1, AUC", "Linear evaluation", "t0, AUC", "t1, AUC"]
    shown = texts(fig)
    for words in ("RadNet minus ImageNet", "RadNet\nhigher →", "n = 4 each", "±2 points", "phantom data"):
        assert words in shown


@pytest.mark.parametrize(
    ("p_holm", "equivalent", "gap", "verdict"),
    [
        (0.04, False, 0.03, "higher"),
        (0.04, False, -0.03, "lower"),
        (0.04, True, 0.003, "higher, within ±1"),
        (0.06, True, 0.003, "within ±1"),
        (0.06, False, 0.003, "open"),
        (np.nan, False, 0.003, "open"),
    ],
)
def test_verdicts(p_holm, equivalent, gap, verdict):
    frame = pairs(1, mean_a=0.7, mean_b=0.7 - gap, ci_low=gap - 0.01, ci_high=gap + 0.01, p_holm=p_holm)
    frame = frame.query("experiment == 'E1'").assign(equivalent=equivalent, p_published=0.0004, p_sound=0.2)
    fig = forest(frame, a="radnet", b="scratch")
    _, row = forest_row(fig, "t0, AUC")
    interval = f"{100 * gap:+.2f} [{100 * gap - 1:+.2f}, {100 * gap + 1:+.2f}]".replace("-", "−")
    assert row == [interval, "<0.001", "0.200", "–" if np.isnan(p_holm) else f"{p_holm:.3f}", verdict]
    (dot,) = gid(fig.axes[0], "difference")
    assert (dot.get_markerfacecolor() == "white") == (not p_holm < 0.05)


def test_a_wide_forest_is_logarithmic_outside_and_says_so():
    narrow = pairs(ci_low=-0.05, ci_high=0.09, mean_a=0.7, mean_b=0.68)
    wide = narrow.assign(ci_low=-0.4)
    (near, _), (far, _) = (forest(f, a="radnet", b="scratch").axes for f in (narrow, wide))
    assert (near.get_xscale(), far.get_xscale()) == ("linear", "symlog")
    assert "logarithmic beyond ±2" in far.get_xlabel() and "logarithmic" not in near.get_xlabel()
    assert far.get_xlim()[0] < -40


def test_untested_pairs_stay_in_a_forest():
    untested = ["ci_low", "ci_high", "p_published", "p_sound", "p_holm"]
    frame = pairs(1, **dict.fromkeys(untested, np.nan), mean_a=0.7, mean_b=0.68)
    _, row = forest_row(forest(frame.query("experiment == 'E1'"), a="radnet", b="scratch"), "t0, AUC")
    assert row == ["+2.00", "–", "–", "–", "open"]


def loss_curves(rows: int = 50) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    parts = [
        pd.DataFrame({"samples": 64.0 * np.arange(1, rows + 1), "loss": rng.uniform(0.1, 2, rows)}).assign(
            experiment="E1", task=task, pretraining=name, n=3
        )
        for task in ("LiTS", "R")
        for name in ("scratch", "radnet")
    ]
    return convergence.make_relative(pd.concat(parts, ignore_index=True))


def settled(never: int = 0) -> pd.DataFrame:
    """Three runs a cell; the first `never` runs of scratch on LiTS do not converge."""
    rows = [
        ("E1", task, metric, name, seed, f"{task}-{name}-{seed}", "published", 5 + seed + i, True)
        for task, metric in (("LiTS", "dice_1"), ("R", "accuracy"))
        for i, name in enumerate(("scratch", "radnet"))
        for seed in range(3)
    ]
    columns = ["experiment", "task", "metric", "pretraining", "seed", "run", "rule", "epoch", "reached"]
    frame = pd.DataFrame(rows, columns=columns).assign(epochs=12)
    lost = (frame["task"] == "LiTS") & (frame["pretraining"] == "scratch") & (frame["seed"] < never)
    return frame.assign(reached=~lost, epoch=frame["epoch"].where(~lost, 100))


def test_convergence_draws_losses_and_epochs():
    losses, times = loss_curves(), settled()
    fig = draw_losses(losses, times, names=PAPER | {"LiTS/dice_1": "Dice, liver"}, phantom=True)
    lits, times_of, rad, _ = fig.axes
    assert [lits.get_title(), times_of.get_title(), rad.get_title()] == ["LiTS", "Dice, liver", "R"]
    assert [lits.get_title("left"), rad.get_title("left")] == ["a", "b"]
    for line, name in zip(gid(lits, "loss"), ("scratch", "radnet"), strict=True):
        curve = losses.query("task == 'LiTS' and pretraining == @name")
        assert line.get_xydata() == pytest.approx(curve[["samples", "loss_relative"]].to_numpy())
        assert line.get_color() == COLOURS[name]
    assert means(times_of) == [6, 7]
    assert drawn_runs(times_of) == [5, 6, 7, 6, 7, 8]
    assert lits.get_xlim() == (0, 64 * 50)
    shown = texts(fig)
    for words in (
        "images seen",
        "relative\ntraining loss",
        "epochs",
        "n = 3.",
        "heights",
        "phantom data",
        "random weights",
    ):
        assert words in shown
    assert "Triangles" not in shown
    absolute = draw_losses(losses.drop(columns="loss_relative"), times, relative=False)
    assert gid(absolute.axes[0], "loss")[0].get_ydata() == pytest.approx(losses["loss"][:50].to_numpy())
    assert "heights" not in texts(absolute)


def test_runs_that_never_converge_stand_at_the_epochs_that_they_had_and_have_no_mean():
    fig = draw_losses(loss_curves(), settled(never=2))
    epochs = fig.axes[1]
    assert means(epochs) == [7], "of the arm whose runs all converged"
    assert gid(epochs, "not reached")[0].get_ydata().tolist() == [12, 12] and drawn_runs(epochs) == [7, 6, 7, 8]
    assert epochs.get_ylim()[1] < 20, "no run had 100 epochs"
    assert "the published code counts them as 100 epochs" in " ".join(texts(fig).split())


def test_convergence_says_where_there_are_no_training_logs():
    for losses in (loss_curves().query("task == 'R'"), loss_curves().iloc[:0]):
        assert "no training logs" in texts(draw_losses(losses, settled()))


def test_long_curves_are_thinned_within_their_limit():
    losses = loss_curves(5000)
    fig = draw_losses(losses, settled(), limits={"LiTS": 64 * 1000})
    lits, rad = gid(fig.axes[0], "loss")[0], gid(fig.axes[2], "loss")[0]
    curve = losses.query("task == 'LiTS' and pretraining == 'scratch'")[["samples", "loss_relative"]].to_numpy()
    assert lits.get_xydata() == pytest.approx(curve[:1000:2])  # 1000 rows: every second one leaves 500
    assert len(rad.get_xdata()) == 556  # 5000 rows: every ninth one
    assert fig.axes[0].get_xlim() == (0, 64 * 1000)


@pytest.mark.parametrize(
    ("losses", "times", "message"),
    [
        (lambda c: c, lambda t: t.iloc[:0], "python -m tlkit plan"),
        (lambda c: c.drop(columns="loss_relative"), lambda t: t, r"pass convergence\.make_relative"),
        (lambda c: c, lambda t: pd.concat([t, t.assign(rule="patience")]), r"rules \['patience', 'published'\]"),
    ],
)
def test_convergence_says_what_it_needs(losses, times, message):
    with pytest.raises(ValueError, match=message):
        draw_losses(losses(loss_curves()), times(settled()))


def test_nulls_show_the_share_below_005():
    sound = (np.arange(1000) + 0.5) / 1000
    fig = evidence.nulls(pd.DataFrame({"p_published": np.sqrt(sound), "p_sound": sound}))
    (ax,) = fig.axes
    published, uniform = (patch.get_data().values for patch in ax.patches if hasattr(patch, "get_data"))
    assert uniform == pytest.approx(np.full(20, 5.0))
    assert published == pytest.approx(np.histogram(np.sqrt(sound), np.linspace(0, 1, 21))[0] / 10)
    shown = [t.get_text() for t in ax.get_legend().get_texts()]
    assert "as published: 0.2 % below 0.05" in shown and "contrast of the real runs: 5.0 % below 0.05" in shown
    (band,) = gid(ax, "band")
    # 1,000 draws with probability 0.05: 95 % of the counts lie from 37 to 64.
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((3.7, 6.4))
    assert "n = 1,000" in texts(fig)


def test_empty_frames_say_what_helps():
    with pytest.raises(ValueError, match="python -m tlkit plan"):
        matrices(pairs().iloc[:0])
    with pytest.raises(ValueError, match=r"no pair \(radnet, radnet12m\).*'imagenet'"):
        forest(pairs(), a="radnet", b="radnet12m")
    with pytest.raises(ValueError, match="one row per simulated comparison"):
        evidence.nulls(pd.DataFrame({"p_sound": [0.5]}))


@pytest.mark.parametrize(
    "draw",
    [
        lambda: matrices(pairs(), phantom=True),
        lambda: forest(pairs(), a="radnet", b="scratch", phantom=True),
        lambda: draw_losses(loss_curves(), settled(1), phantom=True),
        lambda: evidence.nulls(pd.DataFrame({"p_published": [0.1, 0.9], "p_sound": [0.2, 0.4]})),
    ],
    ids=["matrices", "forest", "convergence", "nulls"],
)
def test_every_figure_is_closed_and_repeatable(draw):
    import matplotlib.pyplot as plt

    figures = [draw(), draw()]
    assert not plt.get_fignums()
    saved = [
        report.save_figure(fig, "s", str(i), **ABOUT, phantom=True)[0].read_bytes() for i, fig in enumerate(figures)
    ]
    assert saved[0] == saved[1]
    assert all(texts(fig).count("phantom data") == 1 for fig in figures)


def test_the_alternative_text_names_panels_axes_and_arms():
    fig = bars(results(), phantom=True)
    said = report.describe(fig, "Test results.")
    assert said.startswith("Test results. Panels: ") and fig.axes[0].get_title() in said
    *_, sidecar = report.save_figure(fig, "s", "f", **ABOUT, phantom=False)
    assert json.loads(sidecar.read_text(encoding="utf-8"))["alt"].startswith("Means. Panels: ")
    assert len(report.describe(fig, "word " * 500)) <= 1000


def test_a_picture_is_shown_with_its_alternative_text(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **how: shown.append((data, how)))
    report.show(bars(results()), 'Means of "a" & <b>.')
    ((data, how),) = shown
    assert how == {"raw": True} and data["text/plain"].startswith('Means of "a" &')
    assert 'alt="Means of &quot;a&quot; &amp; &lt;b&gt;. ' in data["text/html"] and "<figcaption>" in data["text/html"]


def test_what_is_saved_is_not_drawn_again_to_be_shown(monkeypatch):
    shown, fig = [], bars(results())
    monkeypatch.setattr("IPython.display.display", lambda data, **how: shown.append(data["text/html"]))
    files = report.save_figure(fig, "s", "f", **ABOUT, phantom=True)
    monkeypatch.setattr(fig, "savefig", None)
    report.show(fig)
    picture = Image.open(io.BytesIO(base64.b64decode(shown[0].partition("base64,")[2].partition('"')[0])))
    assert [2 * n for n in picture.size] == pytest.approx(Image.open(files[2]).size, abs=1)


def test_import_is_light():
    heavy = {"matplotlib", "scipy", "statsmodels"}
    code = f"import sys, tlkit.report; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_images_of_a_grid_keep_their_brightness_to_each_other(recwarn):
    dark, light = np.zeros((3, 4, 4), np.float32), np.full((3, 4, 4), 0.5, np.float32)
    light[0, 0, 0] = 3.0  # as a normalised image has
    fig = report.image_grid([dark - 1, light, np.zeros((4, 4), np.int16)], masks=[np.eye(4)])
    drawn = [ax.get_images()[0].get_array() for ax in fig.axes[:3]]
    assert drawn[0].max() == 0 and drawn[1][0, 0, 0] == 1 and drawn[1][1, 1, 1] == pytest.approx(1.5 / 4)
    assert not [w for w in recwarn if "Clipping" in str(w.message)]
