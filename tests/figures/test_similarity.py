"""CKA: its invariances, the definition with centring matrices, and minibatches against the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit.config import ConfigError, UnknownNameError
from tlkit.figures import similarity

BOTH = pytest.mark.parametrize("kernel", similarity.KERNELS)
EITHER = pytest.mark.parametrize("unbiased", [False, True])


def related(n: int, p: int = 6, q: int = 9, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two views of the same 3 hidden values, with noise."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(n, 3))
    return tuple(hidden @ rng.normal(size=(3, k)) + rng.normal(size=(n, k)) for k in (p, q))


@BOTH
def test_the_definition_with_centring_matrices(kernel):
    x, y = related(12)
    n, grams = len(x), []
    for z in (x, y):
        d2 = ((z[:, None] - z[None]) ** 2).sum(-1)
        nonzero = np.sort(d2[d2 > 0])
        sigma2 = nonzero[(len(nonzero) - 1) // 2]  # the lower median
        grams.append(z @ z.T if kernel == "linear" else np.exp(-d2 / (2 * sigma2)))
    h = np.eye(n) - 1 / n
    k, l = (h @ g @ h for g in grams)  # noqa: E741
    expected = (k * l).sum() / np.sqrt((k * k).sum() * (l * l).sum())
    assert similarity.cka(x, y, kernel) == pytest.approx(expected)


def test_linear_cka_is_that_of_the_cross_covariance():
    x, y = (z - z.mean(0) for z in related(20))
    parts = [np.linalg.norm(a.T @ b) for a, b in ((x, y), (x, x), (y, y))]
    assert similarity.cka(x, y) == pytest.approx(parts[0] ** 2 / (parts[1] * parts[2]))


def test_the_unbiased_estimate_is_the_mean_over_all_quadruples():
    # The U-statistic that Song et al. write in closed form: every ordered choice of 4 different examples.
    from itertools import permutations

    x, y = related(6)
    k, l = x @ x.T, y @ y.T  # noqa: E741
    terms = [k[i, j] * (l[i, j] + l[p, q] - 2 * l[i, p]) for i, j, p, q in permutations(range(6), 4)]
    assert similarity.hsic(k, l, unbiased=True) == pytest.approx(np.mean(terms))


@BOTH
@EITHER
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 100))
def test_rotation_scale_and_shift_change_nothing(kernel, unbiased, seed, scale):
    x, y = related(15, seed=seed)
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(6, 6)))[0]
    moved = scale * x @ rotation + 5
    expected = similarity.cka(x, y, kernel, unbiased)
    assert similarity.cka(moved, y, kernel, unbiased) == pytest.approx(expected, abs=1e-9)
    assert similarity.cka(y, x, kernel, unbiased) == pytest.approx(expected, abs=1e-9)
    assert similarity.cka(moved, x, kernel, unbiased) == pytest.approx(1)


def test_stretching_one_feature_does_change_it():
    x, _ = related(40)
    assert similarity.cka(x, x * [10, 1, 1, 1, 1, 1]) < 0.9


@BOTH
def test_unrelated_features_are_0_only_without_the_bias(kernel):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 200, 500))
    assert similarity.cka(x, y, kernel) > 0.5
    assert abs(similarity.cka(x, y, kernel, unbiased=True)) < 0.02


@BOTH
def test_one_batch_is_the_whole(kernel):
    x, y = related(30)
    found = similarity.minibatch_cka([{"a": (x, y)}])
    assert found["a", kernel] == pytest.approx(similarity.cka(x, y, kernel, unbiased=True))


@BOTH
def test_minibatches_are_close_to_the_whole(kernel):
    x, y = related(1500, 40, 30)
    batches = ({"a": (x[i], y[i])} for i in similarity.parts(len(x), batch=100))
    whole = similarity.cka(x, y, kernel, unbiased=True)
    assert 0.2 < whole < 0.9
    assert similarity.minibatch_cka(batches, [kernel])["a", kernel] == pytest.approx(whole, abs=0.02)


def test_sums_come_before_the_ratio():
    # Batches of very different spread: a mean of the batches' own CKAs would be another number.
    (x, y), (u, v) = related(20), related(20, seed=1)
    u, v = 10 * u, 10 * v
    sums = sum(
        np.array([similarity.hsic(a @ a.T, b @ b.T, True) for a, b in ((p, p), (p, q), (q, q))])
        for p, q in ((x, y), (u, v))
    )
    found = similarity.minibatch_cka([{"a": (x, y)}, {"a": (u, v)}], ["linear"])
    assert found["a", "linear"] == pytest.approx(sums[1] / np.sqrt(sums[0] * sums[2]))


def test_the_bandwidth_of_the_first_batch_is_kept():
    (x, y), (u, v) = related(20), related(20, seed=1)
    found = similarity.minibatch_cka([{"a": (x, y)}, {"a": (3 * u, v)}], ["rbf"])["a", "rbf"]
    sx, sy, sums = similarity.bandwidth(x), similarity.bandwidth(y), np.zeros(3)
    for p, q in ((x, y), (3 * u, v)):
        k, l = similarity.gram(p, "rbf", sx), similarity.gram(q, "rbf", sy)  # noqa: E741
        sums += [similarity.hsic(k, k, True), similarity.hsic(k, l, True), similarity.hsic(l, l, True)]
    assert found == pytest.approx(sums[1] / np.sqrt(sums[0] * sums[2]))


def test_bandwidth_by_hand():
    # 0, 1, 3: squared distances 1, 9, 4; a fourth equal to the first adds 0 (left out), 1 and 9: 1 1 4 9 9
    assert similarity.bandwidth(np.array([[0.0], [1], [3], [0]])) == 4
    assert similarity.bandwidth(np.array([[0.0], [1], [3], [7]])) == 9  # 1 4 9 | 16 36 49: the lower one
    assert np.isnan(similarity.bandwidth(np.ones((5, 2))))


@BOTH
@EITHER
def test_constant_features_have_no_cka(kernel, unbiased):
    x, _ = related(10)
    assert np.isnan(similarity.cka(x, np.full((10, 3), 0.1), kernel, unbiased))


@given(n=st.integers(4, 3000), batch=st.integers(8, 300))
def test_parts_cover_everything_once_and_none_is_too_small(n, batch):
    found = similarity.parts(n, batch)
    assert sorted(np.concatenate(found)) == list(range(n))
    assert min(map(len, found)) >= similarity.FEWEST and max(map(len, found)) <= batch


def test_weight_matrix_has_input_channels_as_columns():
    weight = np.arange(2 * 3 * 2 * 2).reshape(2, 3, 2, 2)
    found = similarity.weight_matrix(weight)
    assert found.shape == (8, 3)
    assert found[5].tolist() == weight[1, :, 0, 1].tolist()


def test_displacement_by_hand():
    assert similarity.displacement(np.array([3.0, 4.0]), np.array([3.0, 4.5])) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (np.zeros((5, 2)), np.zeros((6, 2)), ConfigError, r"same N examples, found \(5, 2\) and \(6, 2\)"),
        (np.zeros(5), np.zeros(5), ConfigError, "same N examples"),
        (np.zeros((3, 2)), np.zeros((3, 2)), ConfigError, "at least 4 examples.*found 3"),
    ],
)
def test_errors_say_what_was_found(x, y, error, message):
    with pytest.raises(error, match=message):
        similarity.cka(x, y, unbiased=True)
    with pytest.raises(error, match=message):
        similarity.minibatch_cka([{"a": (x, y)}])


def test_an_unknown_kernel_is_named():
    with pytest.raises(UnknownNameError, match="linear, rbf"):
        similarity.cka(*related(5), kernel="rfb")
