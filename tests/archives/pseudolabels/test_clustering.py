"""Groups against planted truth, scores against hand-made numbers, and the rule that drops mixtures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit.archives.pseudolabels import clustering
from tlkit.config import ConfigError, UnknownNameError

PARTS = ["HEAD", "CHEST", "ABDOMEN", "KNEE", "HAND", "PELVIS"]
MODALITIES = ["MR", "CT", "CR", "XA", "RF"]
MIXED = (0, 15, 16, 17, 19, 21, 22, 23, 31, 32, 35, 36, 39, 48)  # the published drop list, radiologynet2025 0.1


def blobs(k: int = 6, each: int = 30) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(k), each)
    return (8 * np.eye(k)[truth] + rng.normal(size=(k * each, k))).astype(np.float32), truth


def planted(noise: float = 0.1) -> tuple[np.ndarray, pd.DataFrame]:
    """Return 50 groups of 40 to 89 items: 14 are random mixtures, the others nearly of one modality and part."""
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(50), 40 + np.arange(50))
    pure = pd.DataFrame({"modality": np.array(MODALITIES)[groups % 5], "body_part": np.array(PARTS)[groups % 6]})
    drawn = pd.DataFrame({"modality": rng.choice(MODALITIES, len(groups)), "body_part": rng.choice(PARTS, len(groups))})
    random = np.isin(groups, MIXED) | (rng.random(len(groups)) < noise)
    return groups, pd.DataFrame(np.where(random[:, None], drawn, pure), columns=pure.columns)


@pytest.mark.parametrize("rule, limit", [("threshold", 0.6), ("quantile", 36 / 50)])
def test_exactly_the_14_planted_mixtures_of_50_groups_are_dropped(rule, limit):
    groups, targets = planted()
    shuffled = np.random.default_rng(1).permutation(len(groups))
    summary = clustering.heterogeneity(groups[shuffled], targets.iloc[shuffled].reset_index(drop=True))
    found = clustering.select(summary, rule, limit)
    assert tuple(found.index[~found["kept"]]) == MIXED
    assert found["kept"].sum() == 36
    assert found.loc[found["kept"], "label"].tolist() == list(range(36))  # ascending, as the published labels
    assert (found.loc[~found["kept"], "label"] == -1).all()
    assert found.loc[[0, 48], "reason"].str.contains("entropy").all() and (found["reason"] == "").sum() == 36


@pytest.mark.parametrize("method", clustering.METHODS)
def test_planted_groups_are_found_and_repeat(method):
    features, truth = blobs()
    found = clustering.cluster(features, 6, method, seed=3)
    assert pd.crosstab(found, truth).gt(0).sum().tolist() == [1] * 6
    assert found.dtype == np.int64 and set(found) == set(range(6))
    assert (found == clustering.cluster(features, 6, method, seed=3)).all()


@pytest.mark.parametrize("method", clustering.METHODS)
def test_groups_fitted_on_a_part_are_given_to_all(method):
    features, truth = blobs()
    found = clustering.cluster(features, 6, method, seed=0, fit_on=60)
    assert len(found) == 180
    assert (pd.crosstab(found, truth).max() >= 29).all()


def test_kmedoids_takes_the_manhattan_distance():
    # From (0,0), (3,3) is nearer than (0,5) by the Euclidean distance, farther by Manhattan's.
    features = np.array([[0, 5]] * 5 + [[3, 3]] * 5 + [[0, 0]], np.float32)
    by_city = clustering.cluster(features, 2, "kmedoids")
    assert by_city[-1] == by_city[0] != by_city[5]


@pytest.mark.parametrize("method", clustering.METHODS)
def test_more_groups_than_distinct_samples_say_both_numbers(method):
    features = np.repeat(np.eye(4, dtype=np.float32), 5, axis=0)
    assert len(set(clustering.cluster(features, 4, method))) == 4
    with pytest.raises(ConfigError, match=r"5 groups asked for, 4 distinct samples there \(of 20"):
        clustering.cluster(features, 5, method)
    with pytest.raises(ConfigError, match="0 groups asked for"):
        clustering.cluster(features, 0, method)


def test_values_that_are_none_are_refused():
    features, _ = blobs()
    features[3, 1] = np.nan
    with pytest.raises(ConfigError, match="1 rows hold NaN"):
        clustering.cluster(features, 3)


def test_an_unknown_method_names_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'kmedoids'"):
        clustering.cluster(blobs()[0], 3, "kmedoid")


@settings(max_examples=30, deadline=None)
@given(st.floats(1e-3, 1e3), st.integers(1, 5), st.integers(0, 99))
def test_every_source_weighs_the_same_whatever_its_scale_and_width(scale, width, seed):
    rng = np.random.default_rng(seed)
    blocks = {"a": rng.normal(size=(40, 3)), "b": 5 + scale * rng.normal(size=(40, width)), "c": np.ones((40, 2))}
    fused = clustering.fuse(blocks)
    assert fused.shape == (40, 5 + width)
    variance = fused.var(axis=0)
    assert variance[:3].sum() == pytest.approx(1, rel=1e-3)
    assert variance[3:-2].sum() == pytest.approx(1, rel=1e-3)
    assert (fused[:, -2:] == 0).all() and np.abs(fused.mean(axis=0)).max() < 1e-4
    by_city = np.abs(clustering.fuse(blocks, "kmedoids")).sum(axis=1)
    assert by_city.mean() == pytest.approx(2, rel=1e-3)  # 1 of each source that says something


def test_scores_of_a_table_worked_by_hand():
    groups = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    halves = ["CT", "CT", "MR", "MR", "CR", "CR", "CR", "CR"]
    targets = pd.DataFrame({"modality": halves, "body_part": ["", "", "A", "B", "", "", "B", "A"], "none": [""] * 8})
    found = clustering.scores(groups, targets).set_index("target")
    # H(target) = 1.5 ln 2, H(target|group) = 0.5 ln 2, H(group) = ln 2, H(group|target) = 0.
    assert found.loc["modality"].tolist() == pytest.approx([2 / 3, 1, 0.8, 8])
    assert found.loc["body_part"].tolist() == pytest.approx([0, 0, 0, 4], abs=1e-9)
    assert np.isnan(found.loc["none", "nmi"]) and found.loc["none", "n"] == 0


def test_the_fusion_beats_sources_that_each_see_half():
    rng = np.random.default_rng(0)
    a, b = np.repeat([0, 1], 100), np.tile([0, 1], 100)
    blocks = {name: values[:, None] + 0.05 * rng.normal(size=(200, 2)) for name, values in (("one", a), ("two", b))}
    targets = pd.DataFrame({"both": (2 * a + b).astype(str)})
    found = clustering.compare(blocks, targets, ks=[2, 4], methods=["kmeans", "kmedoids"])
    assert len(found) == 3 * 2 * 2
    assert list(found)[:3] == ["source", "method", "k"]
    at = found.query("k == 4 and method == 'kmeans'").set_index("source")["homogeneity"]
    assert at["fusion"] == pytest.approx(1) and at[["one", "two"]].max() < 0.7
    assert set(clustering.compare({"one": blocks["one"]}, targets, [2])["source"]) == {"one"}


def test_heterogeneity_of_groups_worked_by_hand():
    groups = np.repeat([0, 1, 4, 7], [2, 4, 4, 1])
    part = ["A", "A", "A", "A", "B", "B", "A", "B", "", "", ""]
    modality = ["CT", "CT", "CT", "MR", "CR", "XA", "CT", "CT", "CT", "MR", "MR"]
    found = clustering.heterogeneity(groups, pd.DataFrame({"modality": modality, "body_part": part}))
    assert found.index.tolist() == [0, 1, 4, 7] and found["size"].tolist() == [2, 4, 4, 1]
    assert found["modality"].tolist()[::2] == ["CT", "CT"]
    assert found["modality_share"].tolist() == [1, 0.25, 0.75, 1]
    quarter = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75)) / np.log(4)
    assert found["modality_entropy"].tolist() == pytest.approx([0, 1, quarter, 0])
    assert found["body_part_entropy"].iloc[:3].tolist() == pytest.approx([0, 1, 1])  # the unknown do not count
    assert found.loc[7, "body_part"] == "" and np.isnan(found.loc[7, "body_part_entropy"])


def test_one_value_in_all_rows_is_no_heterogeneity():
    found = clustering.heterogeneity(np.array([0, 0, 1]), pd.DataFrame({"modality": ["CT"] * 3}))
    assert found["modality_entropy"].tolist() == [0, 0]


def test_small_groups_and_mixed_ones_say_all_their_reasons():
    table = pd.DataFrame(
        {"size": [19, 20, 19], "modality_entropy": [0.0, 0.5, 0.9], "body_part_entropy": [0.0, np.nan, 0.8]}
    )
    found = clustering.select(table, limit=0.5, floor=20)
    assert found["reason"].tolist() == [
        "under 20 items",
        "",
        "under 20 items; modality: entropy 0.90 over 0.50; body_part: entropy 0.80 over 0.50",
    ]
    assert found["label"].tolist() == [-1, 0, -1]
    none = clustering.select(table, floor=21)
    assert not none["kept"].any() and none["label"].tolist() == [-1, -1, -1]
    with pytest.raises(ConfigError, match="limit: expected 0 to 1"):
        clustering.select(table, limit=50)
    with pytest.raises(UnknownNameError, match="Did you mean 'quantile'"):
        clustering.select(table, "quantil")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(0, 99))
def test_labels_are_0_to_the_number_of_kept_groups(groups, seed):
    rng = np.random.default_rng(seed)
    targets = pd.DataFrame({"modality": rng.choice(["CT", "MR", ""], len(groups))})
    summary = clustering.heterogeneity(np.array(groups), targets)
    assert summary["modality_entropy"].dropna().between(0, 1 + 1e-9).all()
    assert summary["size"].sum() == len(groups)
    found = clustering.select(summary, limit=1.0, floor=1)
    assert sorted(found.loc[found["kept"], "label"]) == list(range(found["kept"].sum()))
