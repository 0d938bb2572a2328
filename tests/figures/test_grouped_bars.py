"""Fig. 5 and the BatchNorm bars: every run is drawn, significance is marked, and what is missing says so."""

from __future__ import annotations

import grid_frames
import numpy as np
import pandas as pd
import pytest
from looks import PAPER

from tlkit.config import ConfigError
from tlkit.figures import batchnorm, modalities, rank_tables
from tlkit.report.style import BETTER

MODALITIES = grid_frames.MODALITIES


@pytest.fixture(autouse=True)
def plain():
    import matplotlib

    matplotlib.use("agg")
    yield
    matplotlib.pyplot.close("all")


def results() -> pd.DataFrame:
    found = grid_frames.results(tasks=("PBA_InceptionV3", "GRAZ_ResNet34", "BTMR_ResNet50"), rates=(1e-4, 1e-3))
    rows = rank_tables.statistics(found[found["experiment"] == "single_modality"])
    return rows.assign(challenge=rows["task"].str.split("_").str[0])


def drawn(ax) -> list[float]:
    return sorted(y for line in ax.lines if line.get_gid() == "runs" for y in line.get_ydata())


def p_texts(ax) -> list:
    return [t for t in ax.texts if t.get_text().startswith(("p ", "Holm "))]


def test_every_run_and_its_p_values_are_drawn():
    rows = results()
    tests = modalities.compare(rows, MODALITIES)
    fig = modalities.draw(rows, tests, MODALITIES, phantom=True)
    assert len(fig.axes) == 3
    for ax, (task, of) in zip(fig.axes, rows.groupby("task", sort=False), strict=True):
        assert drawn(ax) == sorted(of["value"])
        low, high = ax.get_ylim()
        assert low < of["value"].min() and of["value"].max() < high
        assert ax.get_title() == f"{task}, against {grid_frames.SINGLE[task].upper()} only"
        assert [t.get_text() for t in ax.get_xticklabels()] == ["$10^{-4}$", "$10^{-3}$"]
        mine = tests[tests["task"] == task]
        for row, (holm, p) in zip(mine.to_dict("records"), np.reshape(p_texts(ax), (-1, 2)), strict=True):
            assert (holm.get_color() == BETTER) == (holm.get_weight() == "bold") == (row["p_holm"] < 0.05), holm
            assert p.get_weight() != "bold" and p.get_size() < holm.get_size(), "what is not corrected catches no eye"
    assert "all tests of this figure (6)" in fig._supxlabel.get_text().replace("\n", " ")
    assert "n = 5 each" in fig._supxlabel.get_text()


def test_the_task_without_a_network_is_drawn():
    rows = results()
    told = pd.DataFrame({"task": ["BTMR_ResNet50"], "metric": "f1_macro", "baseline": "no image", "value": [0.1]})
    axes = modalities.draw(rows, modalities.compare(rows, MODALITIES), MODALITIES, baselines=told).axes
    lines = [[line.get_ydata()[0] for line in ax.lines if line.get_gid() == "baseline"] for ax in axes]
    assert lines == [[], [], [0.1]] and axes[2].get_ylim()[0] < 0.1


def test_a_group_without_a_side_says_so():
    rows = results()
    rows = rows[(rows["task"] != "BTMR_ResNet50") | (rows["lr"] != 1e-3) | (rows["pretraining"] == "radiologynet")]
    fig = modalities.draw(rows, modalities.compare(rows, MODALITIES), MODALITIES)
    said = [t.get_text() for t in fig.axes[2].texts]
    assert "not tested" in said and "no run" in said
    assert "figure (5)" in fig._supxlabel.get_text().replace("\n", " ")


def test_odd_rates_are_written_out():
    rows = results().replace({"lr": {1e-3: 5e-4}})
    fig = modalities.draw(rows, modalities.compare(rows, MODALITIES), MODALITIES)
    assert fig.axes[0].get_xticklabels()[1].get_text() == "0.0005"
    with pytest.raises(ValueError, match="python -m tlkit plan"):
        modalities.draw(rows.iloc[:0], modalities.compare(rows, MODALITIES), MODALITIES)


def test_a_side_of_a_task_that_never_ran_is_left_out_of_its_title():
    rows = results()
    rows = rows[(rows["task"] != "BTMR_ResNet50") | (rows["pretraining"] == "radiologynet")]
    fig = modalities.draw(rows, modalities.compare(rows, MODALITIES), MODALITIES)
    assert fig.axes[2].get_title() == "BTMR_ResNet50"
    assert [t.get_text() for t in fig.axes[2].texts].count("no run") == 2


def reestimated() -> pd.DataFrame:
    rows = [
        {"task": "BTMR_MobileNetV3Small", "pretraining": arm, "fraction": share, "seed": seed, "metric": "f1_macro"}
        | {"run": f"{arm}{share}{seed}", "before": 0.1 + 0.01 * seed, "after": 0.8 + 0.01 * seed, "lr": 1e-4}
        for arm in ("scratch", "imagenet")
        for share in (0.05, 0.5)
        for seed in (1, 2, 3)
    ]
    return pd.DataFrame(rows)


def test_before_and_after_stand_side_by_side():
    fig = batchnorm.draw(reestimated(), names=PAPER)
    assert [ax.get_title() for ax in fig.axes] == ["random weights", "ImageNet"]
    (first, _) = fig.axes
    found = [
        y for line in first.lines if line.get_gid() == "mean" and line.get_marker() == "o" for y in line.get_ydata()
    ]
    assert found == pytest.approx([0.12, 0.82, 0.12, 0.82])
    assert [t.get_text() for t in first.get_xticklabels()] == ["5 %", "50 %"]
    assert first.get_ylim() == (0, 1)
    assert "n = 3 each" in fig._supxlabel.get_text()


def test_a_run_at_two_rates_is_an_error():
    with pytest.raises(ConfigError, match="share their group and seed"):
        batchnorm.draw(pd.concat([reestimated(), reestimated().assign(lr=1e-3)]))
