from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit.config import ConfigError
from tlkit.datasets import splits

quick = settings(max_examples=40, deadline=None)


def table(sizes, labels, split="") -> pd.DataFrame:
    """Return a table of patients p0, p1, ... with so many rows and such a label each."""
    rows = [(f"p{k}", label) for k, (n, label) in enumerate(zip(sizes, labels, strict=True)) for _ in range(n)]
    frame = pd.DataFrame(rows, columns=["patient", "label"])
    return frame.assign(id=[f"{i:05d}" for i in range(len(frame))], split=split)


@st.composite
def tables(draw, most=40):
    n = draw(st.integers(3, most))
    sizes = draw(st.lists(st.integers(1, 9), min_size=n, max_size=n))
    labels = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    return table(sizes, labels)


@quick
@given(tables(), st.floats(0.05, 0.4), st.floats(0.05, 0.4), st.integers(0, 99))
def test_no_patient_is_in_two_splits_and_shares_are_near(frame, val, test, seed):
    split = splits.assign(frame, val, test, seed)
    splits.check_disjoint(split, frame["patient"])
    slack = (frame["label"].nunique() + 1) * 2 * frame["patient"].value_counts().max()
    assert abs((split == "val").sum() - val * len(frame)) <= slack
    assert abs((split == "test").sum() - test * len(frame)) <= slack


@quick
@given(tables(), st.integers(0, 99), st.randoms(use_true_random=False))
def test_draws_do_not_depend_on_the_order_of_the_rows(frame, seed, random):
    order = list(frame.index)
    random.shuffle(order)
    moved = frame.loc[order]
    pd.testing.assert_series_equal(splits.assign(frame, seed=seed), splits.assign(moved, seed=seed).sort_index())
    for by in ("patient", "slice"):
        assert (splits.fraction(frame, 0.3, seed, by) == splits.fraction(moved, 0.3, seed, by)).all()
    n = len(frame) // 2
    assert (splits.take_count(frame, n, seed) == splits.take_count(moved, n, seed)).all()


def test_every_class_with_enough_patients_is_in_every_split():
    frame = table([5] * 12, [0] * 6 + [1] * 3 + [2] * 3)
    split = splits.assign(frame)
    assert (pd.crosstab(frame["label"], split) > 0).all(axis=None)


def test_many_rare_classes_still_fill_every_split():
    frame = table([3] * 20, range(20))
    counts = splits.assign(frame, val=0.2, test=0.2).value_counts()
    assert counts.to_dict() == {"train": 36, "val": 12, "test": 12}


def test_equal_patients_meet_the_shares_exactly():
    counts = splits.assign(table([2] * 100, [0] * 100), val=0.15, test=0.2).value_counts()
    assert counts.to_dict() == {"train": 130, "test": 40, "val": 30}


def test_seeds_differ():
    frame = table([1] * 50, [0] * 50)
    assert (splits.assign(frame, seed=0) != splits.assign(frame, seed=1)).any()


def test_official_splits_are_kept_and_missing_ones_carved_from_train():
    frame = table([1] * 40, [0] * 40, split=["train"] * 20 + ["test"] * 20)
    split = splits.assign(frame, val=0.25)
    assert (split[20:] == "test").all()
    assert split[:20].value_counts().to_dict() == {"train": 15, "val": 5}
    frame["split"] = split
    pd.testing.assert_series_equal(splits.assign(frame), split)


def test_a_patient_in_two_official_splits_is_named():
    frame = table([2, 2, 1], [0, 0, 0], split=["train", "test", "train", "train", "test"])
    with pytest.raises(splits.LeakageError, match="1 patients stand in more than one split: p0"):
        splits.assign(frame)


def test_without_labels_patients_are_still_kept_together():
    frame = table([4] * 20, [0] * 20).drop(columns=["label", "split"])
    split = splits.assign(frame)
    splits.check_disjoint(split, frame["patient"])
    assert set(split) == {"train", "val", "test"}


@quick
@given(tables(), st.sampled_from(["patient", "slice"]), st.integers(0, 9))
def test_fractions_are_nested_stratified_and_hold_every_class(frame, by, seed):
    draws = [set(splits.fraction(frame, share, seed, by)) for share in (0.01, 0.1, 0.5, 1.0)]
    assert all(a <= b for a, b in pairwise(draws)) and draws[-1] == set(frame["id"])
    for draw in draws:
        assert set(frame.loc[frame["id"].isin(draw), "label"]) == set(frame["label"])


def test_a_fraction_by_patient_takes_whole_patients_and_by_slice_it_does_not():
    frame = table([10] * 20, [0, 1] * 10)
    kept = frame[frame["id"].isin(splits.fraction(frame, 0.2))]
    assert kept["patient"].value_counts().to_dict() == {p: 10 for p in kept["patient"].unique()}
    assert kept["label"].value_counts().to_dict() == {0: 20, 1: 20}
    sliced = frame[frame["id"].isin(splits.fraction(frame, 0.2, by="slice"))]
    assert sliced["label"].value_counts().to_dict() == {0: 20, 1: 20} and sliced["patient"].nunique() > 4


def test_a_class_that_is_nobodys_most_frequent_one_is_in_every_fraction():
    frame = table([5] * 10, [0] * 10)
    frame.loc[[7, 32], "label"] = 1
    kept = frame[frame["id"].isin(splits.fraction(frame, 0.1))]
    assert set(kept["label"]) == {0, 1}


@quick
@given(tables(), st.floats(0, 1))
def test_take_count_is_exact_and_keeps_the_ratios(frame, share):
    n = round(share * len(frame))
    ids = splits.take_count(frame, n)
    assert len(set(ids)) == len(ids) == n
    got = frame[frame["id"].isin(ids)]["label"].value_counts()
    for label, size in frame["label"].value_counts().items():
        assert abs(got.get(label, 0) - size * n / len(frame)) < 1


def test_labels_of_the_chosen_classes_are_numbered_from_0():
    label = pd.Series([0, 1, 9, 10, 11, 20, 29, 10])
    assert splits.choose_classes(label, {"every": 10}).tolist() == [0, -1, -1, 1, -1, 2, -1, 1]
    assert splits.choose_classes(label, 10).tolist() == [0, 1, 9, -1, -1, -1, -1, -1]
    assert splits.choose_classes(label, {"every": 1}).tolist() == label.tolist()


@pytest.mark.parametrize("classes", [{"every": 0}, {"evry": 10}, {"every": 2.5}, {}])
def test_a_choice_of_classes_that_cannot_be_is_an_error(classes):
    with pytest.raises(ConfigError, match=r"classes: expected a number, or \{every: step\}"):
        splits.choose_classes(pd.Series([0, 1]), classes)


@pytest.mark.parametrize(
    "call",
    [
        lambda f: splits.assign(f, val=0.5, test=0.6),
        lambda f: splits.assign(f.assign(split="dev")),
        lambda f: splits.fraction(f, 0),
        lambda f: splits.fraction(f, 0.5, by="x"),
        lambda f: splits.take_count(f, 99),
    ],
)
def test_impossible_wishes_are_errors(call):
    with pytest.raises(ValueError, match=r"got|unknown"):
        call(table([1] * 9, [0] * 9))


def test_unknown_labels_are_a_class_of_their_own():
    frame = table([1] * 9, [0.0] * 6 + [np.nan] * 3)
    assert (pd.crosstab(frame["label"].isna(), splits.assign(frame)) > 0).all(axis=None)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(0, 99))
def test_balanced_takes_as_many_of_every_class(labels, seed):
    table = pd.DataFrame({"id": [f"i{k}" for k in range(len(labels))], "patient": "p", "label": labels})
    kept = table[table["id"].isin(splits.balance(table, seed))]["label"].value_counts()
    assert set(kept) == {pd.Series(labels).value_counts().min()} and set(kept.index) == set(labels)


def test_balanced_is_a_draw_and_not_the_first_ones():
    table = pd.DataFrame({"id": [f"{k:03d}" for k in range(100)], "patient": "p", "label": [1] * 10 + [0] * 90})
    draws = {tuple(splits.balance(table, seed)) for seed in range(3)}
    assert len(draws) == 3 and all(set(table["id"][:10]) <= set(d) for d in draws)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(0, 99))
def test_oversampling_shows_every_class_as_often_and_every_sample_about_as_often(labels, seed):
    labels = np.array(labels)
    drawn = splits.oversample(labels, seed)
    most = np.bincount(labels).max()
    assert set(np.bincount(labels[drawn])) <= {0, most} and len(drawn) == most * len(set(labels.tolist()))
    for label in set(labels.tolist()):
        times = [np.sum(drawn == k) for k in np.flatnonzero(labels == label)]
        assert max(times) - min(times) <= 1


# Published sizes (radiologynet2025 2.1, 2.2, 2.3), a class each: of the images split, train, val, test.
PUBLISHED = {
    "brain-tumor-mri": (
        {"val": 0.25, "test": 0.0},
        [(1321, 990, 331), (1339, 1004, 335), (1595, 1196, 399), (1457, 1092, 365)],
    ),
    "covid-radiography": ({"val": 0.125, "test": 0.125}, [(3616, 2712, 452, 452)] * 2),
    "grazpedwri": ({"val": 0.125, "test": 0.125}, [(2473, 1854, 309, 310)] * 2),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_split_sizes_are_met_to_one_image_a_class(name):
    shares, sizes = PUBLISHED[name]
    labels = np.repeat(np.arange(len(sizes)), [n for n, *_ in sizes])
    ids = [f"{k:05d}" for k in range(len(labels))]
    images = pd.DataFrame({"id": ids, "patient": ids, "label": labels})
    found = splits.assign(images, **shares).groupby(images["label"]).value_counts().unstack(fill_value=0)
    for label, (_, *published) in enumerate(sizes):
        ours = found.loc[label, ["train", "val", "test"][: len(published)]].to_numpy()
        assert abs(ours - published).max() <= 1, (label, ours, published)


def test_balancing_gives_the_published_number_of_images():
    labels = [1] * 2473 + [0] * (20327 - 2473)
    images = pd.DataFrame({"id": [f"{k:05d}" for k in range(20327)], "patient": "p", "label": labels})
    assert len(splits.balance(images)) == 4946  # osteopenia, radiologynet2025 2.3
