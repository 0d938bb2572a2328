"""Fig. 6 to 8 show the means and sds that they are given, and say of how many runs."""

from __future__ import annotations

import pandas as pd
import pytest
from looks import PAPER

from tlkit.figures import first_epochs


@pytest.fixture(autouse=True)
def plain():
    import matplotlib

    matplotlib.use("agg")
    yield
    matplotlib.pyplot.close("all")


def curves(last: int = 10) -> pd.DataFrame:
    rows = [
        {"challenge": task[:4], "task": task, "metric": metric, "pretraining": arm, "epoch": epoch}
        | {"mean": top - 0.3 / epoch + 0.01 * i, "sd": 0.02, "n": 5, "fraction": 1.0}
        for task, metric, top in (("PBA_Inc", "mae", 8), ("GRAZ_Res", "f1_macro", 0.8), ("GRAZ_Den", "f1_macro", 0.6))
        for i, arm in enumerate(("radiologynet", "scratch", "imagenet"))
        for epoch in range(1, last + 1)
    ]
    return pd.DataFrame(rows)


def lines(ax) -> list[list[float]]:
    return [container.lines[0].get_ydata().tolist() for container in ax.containers]


def test_panels_lines_and_whiskers_are_the_frame():
    frame = curves()
    fig = first_epochs.draw(frame, names=PAPER | {"mae": "MAE (months)"}, phantom=True)
    assert [ax.get_title() for ax in fig.axes] == ["PBA_Inc", "GRAZ_Res", "GRAZ_Den"]
    assert fig.axes[0].get_ylabel() == "MAE (months)"
    for ax in fig.axes:
        of = frame[frame["task"] == ax.get_title()]
        expected = [of[of["pretraining"] == arm]["mean"].tolist() for arm in ("scratch", "imagenet", "radiologynet")]
        assert lines(ax) == expected
        whisker = ax.containers[0].lines[2][0].get_segments()[0][:, 1]
        assert whisker[1] - whisker[0] == pytest.approx(0.04)
        assert ax.get_xticks().tolist() == list(range(1, 11))
    legend = [t.get_text() for t in fig.legends[0].get_texts()]
    assert legend == ["random weights", "ImageNet", "RadiologyNET"]
    assert "n = 5 each" in fig._supxlabel.get_text() and "phantom data" in [t.get_text() for t in fig.texts]


def test_panels_of_a_block_share_their_scale_and_only_those():
    bone, *graz = first_epochs.draw(curves()).axes
    assert graz[0].get_ylim() == graz[1].get_ylim() != bone.get_ylim()


def test_errors_that_span_orders_of_magnitude_get_a_log_scale():
    frame = curves()
    wild = (frame["metric"] == "mae") & (frame["pretraining"] == "scratch") & (frame["epoch"] == 1)
    bone, *graz = first_epochs.draw(frame.assign(mean=frame["mean"].where(~wild, 5000.0))).axes
    assert bone.get_yscale() == "log" and "log scale" in bone.get_ylabel()
    assert {ax.get_yscale() for ax in graz} == {"linear"}


def test_panels_by_share_and_curves_that_end_early_are_said():
    frame = curves().assign(share="5 % of the training images")
    frame = frame[(frame["pretraining"] != "scratch") | (frame["epoch"] < 4)]
    fig = first_epochs.draw(frame, panel=("task", "share"), columns=3)
    assert {ax.get_title() for ax in fig.axes} == {"5 % of the training images"}
    assert "first of its runs ended" in fig._supxlabel.get_text().replace("\n", " ")
    with pytest.raises(ValueError, match="python -m tlkit plan"):
        first_epochs.draw(frame.iloc[:0])
