"""Centred kernel alignment (CKA): how alike are two sets of features of the same examples?

Rows are examples, columns are features. CKA is 1 for equal features and does not change when the features are
rotated, mirrored, shifted or scaled as a whole (Kornblith et al. 2019, arXiv:1905.00414).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tlkit.config import ConfigError, lookup

KERNELS = ("linear", "rbf")
FEWEST = 4  # examples: below, the unbiased estimate divides by 0
Pairs = Mapping[str, tuple[np.ndarray, np.ndarray]]


def cka(x: np.ndarray, y: np.ndarray, kernel: str = "linear", unbiased: bool = False) -> float:
    """Return the CKA of `x` [N,P] and `y` [N,Q] from their whole N x N kernel matrices; NaN where a side is constant.

    0 to 1; `unbiased` removes the part that finite N gives to unrelated features (it can fall below 0, and needs
    N >= 4). "rbf" takes each side's own `bandwidth`, as published (jonske2025 5.7).
    """
    _check(x, y, FEWEST if unbiased else 2)
    a, b = (gram(z, kernel) for z in (x, y))
    if not unbiased:
        return alignment(centred(a), centred(b))
    return _ratio(hsic(a, a, True), hsic(a, b, True), hsic(b, b, True))


def alignment(a: np.ndarray, b: np.ndarray) -> float:
    """Return the CKA of two kernel matrices that are `centred`; NaN where one is 0."""
    return _ratio(np.vdot(a, a), np.vdot(a, b), np.vdot(b, b))


def minibatch_cka(batches: Iterable[Pairs], kernels: Sequence[str] = KERNELS) -> dict[tuple[str, str], float]:
    """Return the CKA of each (name, kernel) from batches of {name: (x [B,P], y [B,Q])}; memory is that of one batch.

    The unbiased HSIC of each batch estimates that of all examples, so their sums do before the ratio is taken
    (Nguyen, Raghu and Kornblith 2021, arXiv:2010.15327). Batches must be random parts of the examples (`parts`).
    The RBF bandwidths are those of the first batch, for all. Raises ConfigError for a batch of fewer than 4.
    """
    widths: dict[str, tuple[float, float]] = {}
    sums: dict[tuple[str, str], np.ndarray] = {}
    for batch in batches:
        for name, (x, y) in batch.items():
            _check(x, y, FEWEST)
            for kernel in kernels:
                if kernel == "rbf" and name not in widths:
                    widths[name] = bandwidth(x), bandwidth(y)
                left, right = widths.get(name, (None, None))
                a, b = gram(x, kernel, left), gram(y, kernel, right)
                found = np.array([hsic(a, a, True), hsic(a, b, True), hsic(b, b, True)])
                sums[name, kernel] = sums.get((name, kernel), 0) + found
    return {key: _ratio(*total) for key, total in sums.items()}


def parts(n: int, batch: int = 256, seed: int = 0) -> list[np.ndarray]:
    """Return the numbers 0 to n - 1 in random order, cut into parts of nearly equal size, at most `batch` each."""
    order = np.random.default_rng(seed).permutation(n)
    return np.array_split(order, max(1, -(-n // batch)))


def gram(x: np.ndarray, kernel: str, sigma2: float | None = None) -> np.ndarray:
    """Return the kernel matrix [N,N] of the rows of `x`, float64: products, or exp(-d^2 / (2 sigma2)).

    Without `sigma2` the RBF kernel takes `bandwidth(x)`.
    """
    from scipy.spatial.distance import squareform

    lookup(kernel, dict.fromkeys(KERNELS), "kernel")
    if kernel == "linear":
        x = x.astype(np.float64) - x[:1]  # a common shift changes no HSIC, and costs digits
        return x @ x.T
    d2 = _squared_distances(x)
    kernels = squareform(np.exp(d2 / (-2 * (_median(d2) if sigma2 is None else sigma2))))
    np.fill_diagonal(kernels, 1)
    return kernels


def bandwidth(x: np.ndarray) -> float:
    """Return sigma^2 of the RBF kernel: the lower median of the squared distances that are not 0; NaN if all are.

    Source: jonske2025 5.7.
    """
    return _median(_squared_distances(x))


def _median(d2: np.ndarray) -> float:
    d2 = d2[d2 > 0]
    return float(np.quantile(d2, 0.5, method="lower")) if d2.size else float("nan")


def hsic(a: np.ndarray, b: np.ndarray, unbiased: bool = False) -> float:
    """Return the Hilbert-Schmidt independence criterion of two kernel matrices [N,N], up to a factor of N.

    Biased: sum(HaH * HbH) with H = I - 1/N. Unbiased: Song et al. 2012 (JMLR 13), eq. 5, with its factor.
    """
    if not unbiased:
        return float(np.vdot(centred(a), b))  # H is a projection: one side centred is enough
    n = len(a)
    a, b = (m - np.diag(np.diag(m)) for m in (a, b))
    total = (a * b).sum() + a.sum() * b.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * a.sum(0) @ b.sum(0)
    return float(total / (n * (n - 3)))


def centred(kernels: np.ndarray) -> np.ndarray:
    """Return a kernel matrix less the means of its rows and columns: HaH with H = I - 1/N."""
    rows = kernels.mean(1)  # and the columns' means, too: a kernel matrix is symmetric
    found = kernels - rows
    found -= rows[:, None]
    found += rows.mean()
    return found


def displacement(before: np.ndarray, after: np.ndarray) -> float:
    """Return how far weights moved, relative to where they stood: |after - before| / |before| (L2), 0 or more."""
    return float(np.linalg.norm(after - before) / np.linalg.norm(before))


def weight_matrix(weight: np.ndarray) -> np.ndarray:
    """Return a convolution's weights [out,in,kh,kw] for CKA as in jonske2025 5.7: rows (out,kh,kw), columns in."""
    return weight.transpose(0, 2, 3, 1).reshape(-1, weight.shape[1])


def _squared_distances(x: np.ndarray) -> np.ndarray:
    """Return the squared distance of each pair of rows once, [N (N - 1) / 2]."""
    from scipy.spatial.distance import pdist

    return pdist(x.astype(np.float64), "sqeuclidean")


def _ratio(xx: float, xy: float, yy: float) -> float:
    return float(xy / np.sqrt(xx * yy)) if xx > 0 and yy > 0 else float("nan")


def _check(x: np.ndarray, y: np.ndarray, fewest: int) -> None:
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y):
        raise ConfigError(f"CKA needs [N,P] and [N,Q] of the same N examples, found {x.shape} and {y.shape}")
    if len(x) < fewest:
        raise ConfigError(f"CKA needs at least {fewest} examples (in each batch), found {len(x)}: take more images")
