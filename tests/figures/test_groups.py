"""Fig. 2 and 3 show every kept image once, and mosaics show members of the group they name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tlkit.figures import groups


@pytest.fixture(autouse=True)
def plain():
    import matplotlib

    matplotlib.use("agg")
    yield
    matplotlib.pyplot.close("all")


def table() -> pd.DataFrame:
    """Return 60 images of 30 files in groups 0 (kept, label 0), 1 (dropped) and 2 (kept, label 1)."""
    group = np.repeat([0, 1, 2], [30, 20, 10])
    modality = np.where(group == 2, "XA", np.where(np.arange(60) % 3, "CT", "MR"))
    part = np.where(np.arange(60) % 4, "CHEST", "")
    label = np.array([0, -1, 1])[group]
    path = [f"f{i // 2}" for i in range(60)]
    columns = {"path": path, "modality": modality, "body_part": part, "group": group, "label": label}
    return pd.DataFrame(columns).assign(kept=label >= 0)


def summary() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "size": [15, 10, 5], "images": [30, 20, 10], "modality": ["CT", "CT", "XA"],
            "modality_share": [0.67, 0.6, 1], "modality_entropy": [0.4, 0.9, 0.0],
            "body_part": ["CHEST", "CHEST", ""], "body_part_share": [1, 1, np.nan],
            "body_part_entropy": [0, 0, np.nan], "kept": [True, False, True], "label": [0, -1, 1],
        }
    )  # fmt: skip


def texts(fig) -> str:
    import matplotlib.text

    return "\n".join(text.get_text() for text in fig.findobj(matplotlib.text.Text))


def test_sizes_are_those_of_kept_groups_largest_first():
    fig = groups.sizes(summary().iloc[::-1], phantom=True)
    (ax,) = fig.axes
    assert [bar.get_height() for bar in ax.patches] == [30, 10]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "1"]
    colours = [bar.get_facecolor() for bar in ax.patches]
    assert colours[0] != colours[1]
    shown = texts(fig)
    assert "2 groups kept of 3; n = 40 images of 20 files." in shown and "phantom data" in shown
    assert {t.get_text() for t in ax.get_legend().get_texts()} == {"CT", "XA"}


def test_shares_count_every_kept_image_once():
    fig = groups.shares(table())
    left, right = fig.axes
    by_modality = dict(
        zip([t.get_text() for t in left.get_yticklabels()], [b.get_width() for b in left.patches], strict=True)
    )
    assert by_modality == pytest.approx({"CT": 50, "MR": 25, "XA": 25})
    assert sum(b.get_width() for b in right.patches) == pytest.approx(100)
    assert {t.get_text() for t in right.get_yticklabels()} == {"Chest", "unknown"}
    assert "n = 40 images of 20 files in 2 groups." in texts(fig)


def test_rare_body_parts_are_one_bar():
    many = table().assign(body_part=[f"PART{i:02d}" for i in range(60)])
    labels = [t.get_text() for t in groups.shares(many).axes[1].get_yticklabels()]
    assert len(labels) == groups.MOST_PARTS + 1 and "other parts" in labels


def test_a_mosaic_shows_members_of_its_group_from_different_files():
    images = np.arange(60, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8)
    fig = groups.mosaic(images, table(), summary(), [1, 2], each=6, seed=3, phantom=True)
    rows = np.array(fig.axes).reshape(2, 7)
    shown = [[int(ax.images[0].get_array()[0, 0]) for ax in row[1:] if ax.images] for row in rows]
    assert len(shown[0]) == 6 and all(30 <= i < 50 for i in shown[0])
    assert len(shown[1]) == 5 and all(i >= 50 for i in shown[1])  # it has five files
    assert all(len({i // 2 for i in row}) == len(row) for row in shown)
    words = texts(fig)
    for text in (
        "group 1, n = 10 files",
        "CT 60% (entropy 0.90)",
        "dropped",
        "body part unknown",
        "kept",
        "phantom data",
    ):
        assert text in words
    again = groups.mosaic(images, table(), summary(), [1], each=6, seed=3)
    assert [int(ax.images[0].get_array()[0, 0]) for ax in again.axes[1:]] == shown[0]
    with pytest.raises(KeyError):
        groups.mosaic(images, table(), summary(), [7])


def test_nothing_kept_is_said():
    with pytest.raises(ValueError, match="no group is kept"):
        groups.sizes(summary().assign(kept=False))
    with pytest.raises(ValueError, match="no image is in a kept group"):
        groups.shares(table().assign(kept=False))
