"""Cheap evidence from frozen features: by hand, by a second implementation, and what degenerate features give."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.covariance import ledoit_wolf
from threadpoolctl import threadpool_limits

from tlkit.advice import hints, scores, targets
from tlkit.advice.targets import ScoreError
from tlkit.config import UnknownNameError


def made(n=90, d=6, kind="multiclass", shift=1.0, seed=0):
    """Return features of `d` numbers of which the first ones tell the target, and the target."""
    rng = np.random.default_rng(seed)
    features, classes = rng.normal(size=(n, d)), rng.integers(0, 3, n)
    features[:, :3] += shift * np.eye(3)[classes]
    told = {"multiclass": classes, "binary": classes // 2, "regression": 40.0 + 9 * classes + rng.normal(size=n)}
    told["multilabel"] = np.stack([classes == 1, classes >= 1], axis=1).astype(int)
    return features, told[kind]


# LogME


def log_evidence(features, y, alpha, beta):
    """The definition: the density of y with w integrated out, by its covariance."""
    cov = np.eye(len(y)) / beta + features @ features.T / alpha
    return multivariate_normal(np.zeros(len(y)), cov).logpdf(y) / len(y)


def most_evidence(features, y):
    def lost(x):
        return -log_evidence(features, y, *np.exp(np.clip(x, -30, 30)))

    starts = [(0, 0), (4, 0), (-3, 1), (8, 2)]
    return -min(minimize(lost, x, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10}).fun for x in starts)


@pytest.mark.parametrize("n, d", [(30, 4), (12, 20)])
def test_logme_is_the_largest_evidence_over_alpha_and_beta(n, d):
    features, target = made(n, d)
    columns = np.eye(3)[target]
    wanted = np.mean([most_evidence(features, y) for y in columns.T])
    assert hints.logme(features, target, "multiclass") == pytest.approx(wanted, abs=1e-6)
    years = made(n, d, "regression")[1]
    wanted = most_evidence(features, (years - years.mean()) / years.std())
    assert hints.logme(features, years, "regression") == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("kind", targets.KINDS)
@pytest.mark.parametrize("scale", [1e-6, 3.0, 1e5])
def test_no_hint_depends_on_the_scale_of_the_features_or_the_order_of_the_images(kind, scale):
    features, target = made(kind=kind)
    wanted, order = hints.hints(features, target, kind), np.random.default_rng(1).permutation(len(target))
    assert hints.hints(features * scale, target, kind) == pytest.approx(wanted, rel=1e-6, nan_ok=True)
    found = hints.hints(features[order], target[order], kind)
    assert [found[k] for k in ("logme", "h_score")] == pytest.approx(
        [wanted[k] for k in ("logme", "h_score")], rel=1e-6, nan_ok=True
    )


def test_the_unit_of_a_number_does_not_move_its_logme():
    features, years = made(kind="regression")
    assert hints.logme(features, years, "regression") == pytest.approx(hints.logme(features, 12 * years, "regression"))


# H-score


def plain_h_score(features, y):
    """The definition: tr(pinv(cov(f)) cov(E[f|y]))."""
    means = np.zeros_like(features)
    for c in np.unique(y):
        means[y == c] = features[y == c].mean(axis=0)
    return np.trace(
        np.linalg.pinv(np.atleast_2d(np.cov(features.T, bias=True))) @ np.atleast_2d(np.cov(means.T, bias=True))
    )


def test_h_score_by_hand():
    """Two classes at -1 and 1 with noise of 1: the variance is 2, that of the means 1."""
    features = np.array([[-2.0], [0], [0], [2]])
    assert plain_h_score(features, [0, 0, 1, 1]) == pytest.approx(0.5)
    assert hints.h_score(features, [0, 0, 1, 1], "binary") == pytest.approx(0.5)  # one number is not shrunk


def test_h_score_is_its_definition_where_shrinking_vanishes():
    features, target = made(20_000, 4, shift=2.0)
    assert hints.h_score(features, target, "multiclass") == pytest.approx(plain_h_score(features, target), rel=5e-3)


@pytest.mark.parametrize("n, d", [(40, 5), (20, 60)])
def test_h_score_is_its_definition_with_the_covariance_of_ledoit_and_wolf(n, d):
    features, target = made(n, d)
    cov, share = ledoit_wolf(features)
    centred = features - features.mean(axis=0)
    ours, ours_share = hints.shrunk_covariance(centred)
    assert np.allclose(ours, cov) and ours_share == pytest.approx(share)
    means = np.stack([centred[target == c].mean(axis=0) for c in target])
    wanted = (1 - share) * np.trace(np.linalg.pinv(cov) @ (means.T @ means / n))
    assert hints.h_score(features, target, "multiclass") == pytest.approx(wanted)


# NLEEP


def test_leep_by_hand():
    """Part 0 holds one image of each class, part 1 two of class 1: log of 1/2, 1/2, 1, 1."""
    belongs = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    assert hints.leep(belongs, np.array([0, 1, 1, 1])) == pytest.approx(2 * np.log(0.5) / 4)
    half = np.full((4, 2), 0.5)  # parts that tell nothing: the entropy of the classes
    assert hints.leep(half, np.array([0, 1, 1, 1])) == pytest.approx((np.log(0.25) + 3 * np.log(0.75)) / 4)


def test_nleep_knows_clusters_that_are_classes():
    features, target = made(shift=40.0)
    assert hints.nleep(features, target, "multiclass") > -1e-6
    assert hints.nleep(features, np.random.default_rng(0).permutation(target), "multiclass") < -0.5


def bounds_of(target: np.ndarray, kind: str) -> dict[str, tuple[float, float]]:
    """Return for each of HINTS (what it is of features that tell nothing, what it can be at most).

    LogME's first is that of zeros, the evidence of noise alone; its second is unbounded. An H-score is at most the
    number of classes less one, NLEEP lies between minus the entropy of the classes and 0. Regressions have LogME alone.
    """
    columns = hints._columns(targets.check_target(np.zeros((len(target), 1)), target, kind)[1], kind)
    noise = float(np.mean([-0.5 * (1 + np.log(2 * np.pi * (y**2).mean())) for y in columns.T if y.any()]))
    found = {"logme": (noise, np.inf)}
    if kind == "regression":
        return found
    entropy = hints._over_labels(
        lambda y: float(-sum(p * np.log(p) for p in np.bincount(y) / len(y) if p)), target, kind
    )
    most = hints._over_labels(lambda y: float(len(np.unique(y)) - 1), target, kind)
    return found | {"h_score": (0.0, most), "nleep": (-entropy, 0.0)}


@pytest.mark.parametrize("kind", targets.KINDS)
def test_more_told_is_a_higher_hint_within_the_bounds(kind):
    little, much = (hints.hints(*made(kind=kind, shift=s), kind) for s in (0.0, 4.0))
    bounds = bounds_of(made(kind=kind)[1], kind)
    assert set(bounds) == {name for name in hints.HINTS if not np.isnan(much[name])}
    for name, (nothing, most) in bounds.items():
        assert little[name] < much[name] <= most and much[name] > nothing


@pytest.mark.parametrize("kind", targets.KINDS)
@pytest.mark.parametrize("constant", [0.0, 0.1])
def test_features_that_never_change_give_what_tells_nothing(kind, constant):
    _, target = made(kind=kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = hints.hints(np.full((len(target), 5), constant), target, kind)
    for name, (nothing, _) in bounds_of(target, kind).items():
        if name != "logme" or not constant:  # ones are an intercept, which the evidence has use for
            assert found[name] == pytest.approx(nothing, abs=1e-6)
    assert found["logme"] >= bounds_of(target, kind)["logme"][0] - 1e-6


# Parts


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=4, max_size=60), st.sampled_from(targets.KINDS)
)
def test_every_row_tests_once_and_no_patient_is_on_both_sides(rows, kind):
    classes, patients = np.array(rows).T
    target = np.stack([classes == 1, classes >= 1], axis=1).astype(int) if kind == "multilabel" else classes
    if len(set(patients.tolist())) < 2:
        with pytest.raises(ScoreError, match="two or more patients"):
            targets.folds(target, kind, patients)
        return
    parts = targets.folds(target, kind, patients)
    assert sorted(np.concatenate([test for _, test in parts]).tolist()) == list(range(len(rows)))
    for train, test in parts:
        assert not set(patients[train]) & set(patients[test]) and len(train) + len(test) == len(rows)


def test_parts_are_a_matter_of_the_seed_and_hold_each_class():
    target = np.repeat([0, 1], [80, 20])
    parts = [targets.folds(target, "binary", seed=s) for s in (0, 0, 1)]
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(parts[0], parts[1], strict=True))
    assert any(not np.array_equal(a, b) for (a, _), (b, _) in zip(parts[0], parts[2], strict=True))
    assert [target[test].sum() for _, test in parts[0]] == [4] * 5


# Neighbours, probe, few images


def test_neighbours_by_hand():
    """Of nine rows that train three neighbours count; a long vector is as near as a short one."""
    angle = np.array([0.0, 0.1, 0.2, 2.0, 2.1, 2.2, 4.0, 4.1, 4.2])
    seen = np.stack([np.cos(angle), np.sin(angle)], axis=1) * np.arange(1, 10)[:, None]
    unseen = np.array([[1.0, 0.1], [-4.2, 9.1]])
    target = np.repeat([0, 1, 2], 3)
    assert scores.knn(seen, target, unseen, "multiclass", 3).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert scores.knn(seen, 10.0 * target, unseen, "regression", 2).tolist() == [0, 10]


@pytest.mark.parametrize("kind", targets.KINDS)
def test_evidence_of_features_that_tell_all_and_of_some_that_tell_nothing(kind):
    clear, target = made(120, kind=kind, shift=8.0)
    noise, _ = made(120, kind=kind, shift=0.0)
    metric = "r2" if kind == "regression" else "auc"
    good, bad = (scores.evidence(f, target, kind, metric=metric) for f in (clear, np.roll(noise, 1, axis=0)))
    chance = 0.0 if kind == "regression" else 0.5
    assert good["knn"] > 0.9 and good["probe"] > 0.9 and good["few_shot"][10]["mean"] > 0.7
    assert bad["knn"] < chance + 0.2 and bad["probe"] < chance + 0.2
    assert good["metric"] == metric and set(good["seconds"]) > {"knn", "probe", "hints"}
    assert good["few_shot"][5]["n"] == 5


def test_evidence_is_the_same_for_any_number_of_threads_scale_and_time():
    features, target = made(200, 40)
    patients = np.arange(200) // 4
    with threadpool_limits(2):
        first = scores.evidence(features, target, "multiclass", patients=patients, seed=3)
    with threadpool_limits(1):
        again = scores.evidence(features, target, "multiclass", patients=patients, seed=3)
    scaled = scores.evidence(1e-5 * features, target, "multiclass", patients=patients, seed=3)
    assert first | {"seconds": 0} == again | {"seconds": 0}
    assert scaled["probe"] == pytest.approx(first["probe"], abs=0.01) and scaled["knn"] == first["knn"]


@pytest.mark.parametrize("kind", ["multiclass", "binary", "multilabel"])
def test_constant_features_are_at_chance_and_not_below(kind):
    """Pooled over parts, the shares of the classes in training would rank the images against themselves."""
    _, target = made(103, kind=kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = scores.evidence(np.full((103, 4), 0.3), target, kind, metric="auc")
    assert found["probe"] == pytest.approx(0.5) and found["few_shot"][5]["mean"] == pytest.approx(0.5)
    assert found["knn"] == pytest.approx(0.5)


def test_more_numbers_than_images():
    features, target = made(40, 300, shift=9.0)
    found = scores.evidence(features, target, "multiclass", shots=(1, 5, 25))
    assert found["probe"] > 0.6 and np.isfinite([found[name] for name in hints.HINTS]).all()
    assert found["few_shot"][25] == {
        "mean": pytest.approx(np.nan, nan_ok=True),
        "sd": pytest.approx(np.nan, nan_ok=True),
        "n": 0,
    }


def test_patients_whose_images_are_alike_tell_nothing_of_others():
    """Copies of an image with a label by lot: known by heart where a patient is on both sides, and never here."""
    rng = np.random.default_rng(0)
    patients, labels = np.repeat(np.arange(80), 4), np.repeat(rng.permutation(80) % 2, 4)
    features = np.repeat(rng.normal(size=(80, 100)), 4, axis=0) + 0.01 * rng.normal(size=(320, 100))
    apart = scores.evidence(features, labels, "binary", patients=patients, shots=())
    leaking = scores.evidence(features, labels, "binary", shots=())
    assert leaking["probe"] > 0.9 and leaking["knn"] > apart["knn"] + 0.1
    assert apart["probe"] < 0.65 and apart["knn"] < 0.65


def test_the_penalty_is_chosen_by_patients_of_its_own():
    """Noise asks for a strong penalty, a clear rule for a weak one: the outputs of the second are large."""
    rng = np.random.default_rng(0)
    seen, groups = rng.normal(size=(80, 30)) / 30**0.5, np.arange(80) // 2
    noise, rule = rng.integers(0, 2, 80), (seen[:, 0] > 0).astype(int)
    assert np.ptp(scores.probe(seen, noise, seen, "binary", 2, groups, 0)) < 0.1
    assert np.ptp(scores.probe(seen, rule, seen, "binary", 2, groups, 0)) > 0.9


def test_given_parts_are_kept_to_and_hints_see_training_alone():
    features, target = made(60, shift=3.0)
    parts = [(np.arange(40), np.arange(40, 60))]
    found = scores.evidence(features, target, "multiclass", parts=parts, shots=(1,))
    changed = features.copy()
    changed[40:] = 0
    other = scores.evidence(changed, target, "multiclass", parts=parts, shots=(1,))
    assert [found[k] for k in hints.HINTS] == [other[k] for k in hints.HINTS] and found["probe"] != other["probe"]
    frame = scores.predictions(features, target, "multiclass", parts, shots=(1,))
    assert frame["probe"]["row"].tolist() == list(range(40, 60)) and frame["few_1"]["draw"].nunique() == 5


def test_a_class_that_one_part_lacks_has_no_probability_there():
    features, target = made(30)
    target[:] = [0, 1] * 15
    target[-1] = 2
    frame = scores.predictions(features, target, "multiclass", [(np.arange(20), np.arange(20, 30))], shots=(1,))
    assert np.stack(frame["probe"]["output"]).shape == (10, 3) and frame["few_1"].empty
    assert (np.stack(frame["probe"]["output"])[:, 2] == 0).all()


# Bad input


@pytest.mark.parametrize(
    "features, target, kind, says",
    [
        (np.ones((4, 2)), [0, 0, 0, 0], "binary", "nothing to tell apart"),
        (np.ones((4, 2)), [0, 1, 0], "binary", r"\[4, 2\] and \[3\]"),
        (np.ones(4), [0, 1, 0, 1], "binary", r"\[4\]"),
        (np.array([[1.0], [np.nan], [2], [3]]), [0, 1, 0, 1], "binary", "features of 1 of 4 images"),
        (np.ones((4, 2)), [0, 1, np.nan, 1], "regression", "target of 1 of 4 images"),
        (np.ones((4, 2)), [0, 1, 2, 1], "binary", "0 to 1, found 0 to 2"),
        (np.ones((4, 2)), [0.5, 1, 2, 1], "multiclass", "Numbers are a regression"),
        (np.ones((4, 2)), [0, 1, 0, 1], "multilabel", "2 axes"),
        (np.ones((4, 0)), [0, 1, 0, 1], "binary", r"\[4, 0\]"),
    ],
)
def test_what_no_score_can_be_computed_of_says_why(features, target, kind, says):
    with pytest.raises(ScoreError, match=says):
        scores.evidence(features, target, kind)


def test_parts_that_share_a_patient_and_unknown_names_are_refused():
    features, target = made(12)
    target[:3] = [0, 1, 2]
    half = [(np.arange(6), np.arange(6, 12))]
    with pytest.raises(ScoreError, match="1 patients both train and test, the first b"):
        scores.evidence(features, target, "multiclass", patients=["a"] * 5 + ["b"] * 2 + ["c"] * 5, parts=half)
    with pytest.raises(UnknownNameError, match="unknown metric"):
        scores.evidence(features, target, "multiclass", metric="dice")
    with pytest.raises(UnknownNameError, match="task kind"):
        scores.evidence(features, target, "segmentation")
    with pytest.raises(ScoreError, match="3 classes for the target, found 2"):
        scores.evidence(features, target, "multiclass", classes=["a", "b"])
