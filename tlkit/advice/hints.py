"""Transferability scores: numbers that rank frozen encoders by the training features alone, without a held-out image.

Published work agrees that none is reliable on medical images (arXiv 2308.07444, 2405.20420), so they are hints. Each is
of the training part: on test features it would look ahead. A score is only read within one task, and between encoders
of any width. An H-score lies between 0 and the number of classes less one, NLEEP between minus the entropy of the
classes and 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tlkit.advice.targets import check_target

HINTS = ("logme", "h_score", "nleep")
RATIOS = 1e8  # of LogME: how far the noise over the prior may lie from the largest squared singular value
COMPONENTS = 5  # of NLEEP: Gaussians a class, as published
LEAST_ROWS = 5  # a Gaussian, as fewer images only name themselves
KEPT, MOST = 0.8, 64  # of NLEEP: share of the variance that is kept, and directions at most


def hints(features: np.ndarray, target: np.ndarray, kind: str, seed: int = 0) -> dict[str, float]:
    """Return HINTS of training features [N,D]; NaN for a score that the kind of task does not have.

    On one thread, so that their number moves no digits. Raises as `targets.check_target`.
    """
    import sklearn.mixture  # noqa: F401  loads what threadpool_limits has to find
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return {
            "logme": logme(features, target, kind),
            "h_score": h_score(features, target, kind),
            "nleep": nleep(features, target, kind, seed),
        }


def logme(features: np.ndarray, target: np.ndarray, kind: str) -> float:
    """Return the log evidence of a Bayesian linear model, a row and target column (You et al., ICML 2021).

    y ~ N(F w, 1 / beta) with w ~ N(0, 1 / alpha), alpha and beta at the maximum of the evidence. Columns are the
    classes one-hot (a class without an image is left out), the labels, or the number, standardised: its unit does not
    matter. Nor does the scale of the features: beta has a closed form given alpha / beta, which is searched for
    relative to the largest singular value, over a grid and then within it. The published fixed-point iteration starts
    at 1, and may stop early. Features have no intercept, as published.
    """
    from scipy.optimize import minimize_scalar

    features, target = check_target(features, target, kind)
    columns = _columns(target, kind)
    columns = columns[:, columns.any(axis=0)]
    n, squares, projected = len(features), *_rotated(features, columns)
    total = (columns**2).sum(axis=0)
    if not len(squares):
        return float(np.mean(-0.5 * (1 + np.log(2 * np.pi * total / n))))
    squares = squares / squares.max()

    def evidence(log_ratio: np.ndarray, column: int) -> np.ndarray:
        ratio = np.exp(np.atleast_1d(log_ratio))[:, None]
        outside = max(total[column] - projected[:, column].sum(), 1e-12 * total[column])  # what rounding leaves
        lost = (projected[:, column] * ratio / (ratio + squares)).sum(axis=1) + outside
        spread = np.log1p(squares / ratio).sum(axis=1)
        return (0.5 * n * (np.log(n / lost) - 1 - np.log(2 * np.pi)) - 0.5 * spread) / n

    grid, best = np.linspace(-np.log(RATIOS), np.log(RATIOS), 75), []
    for column in range(columns.shape[1]):
        values = evidence(grid, column)
        place = int(values.argmax())
        around = grid[max(place - 1, 0)], grid[min(place + 1, len(grid) - 1)]
        finer = minimize_scalar(lambda x, c=column: -evidence(x, c)[0], bounds=around, method="bounded")
        best.append(max(values[place], -finer.fun))
    return float(np.mean(best))


def h_score(features: np.ndarray, target: np.ndarray, kind: str) -> float:
    """Return the H-score tr(cov(f)^-1 cov(E[f|y])) (Bao et al., ICIP 2019); NaN of a number.

    The covariance is shrunk as Ledoit and Wolf do, and the second one by as much (Ibrahim et al., ECML 2022): with
    more numbers than images the plain one cannot be inverted. Of several labels the mean; 0 for features that never
    change.
    """
    from scipy.linalg import cho_factor, cho_solve

    features, target = check_target(features, target, kind)
    if kind == "regression":
        return float("nan")
    centred = _centred(features)
    if not centred.size:
        return 0.0
    cov, shrinkage = shrunk_covariance(centred)
    factor = cho_factor(cov + 1e-12 * np.trace(cov) * np.eye(len(cov)))

    def score(y: np.ndarray) -> float:
        _, code, counts = np.unique(y, return_inverse=True, return_counts=True)
        means = np.stack([centred[code == c].mean(axis=0) for c in range(len(counts))], axis=1)
        return float((1 - shrinkage) * (means * cho_solve(factor, means) * counts / len(y)).sum())

    return _over_labels(score, target, kind)


def shrunk_covariance(centred: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the covariance [D,D] of centred features [N,D], shrunk as Ledoit and Wolf (2004) do, and by which share.

    The values of scikit-learn's `ledoit_wolf`, in a quarter of its time: the sum over all entries of X².T @ X² is that
    of the fourth powers of the rows' lengths.
    """
    n, d = centred.shape
    cov = centred.T @ centred / n
    mean = np.trace(cov) / d
    apart = (cov**2).sum() - d * mean**2
    noise = (((centred**2).sum(axis=1) ** 2).sum() / n - (cov**2).sum()) / n
    share = float(np.clip(noise / apart, 0, 1)) if apart > 0 else 0.0
    return (1 - share) * cov + share * mean * np.eye(d), share


def nleep(features: np.ndarray, target: np.ndarray, kind: str, seed: int = 0) -> float:
    """Return NLEEP (Li et al., CVPR 2021), at most 0, of several labels its mean, NaN of a number.

    The mean log likelihood of the classes given the parts of a Gaussian mixture of the features' main directions: 80 %
    of the variance but at most 64, 5 parts a class with diagonal covariances but at least 5 images a part. `seed`
    starts the mixture.
    """
    from sklearn.mixture import GaussianMixture

    features, target = check_target(features, target, kind)
    if kind == "regression":
        return float("nan")
    centred = _centred(features)
    if not centred.size:
        return _over_labels(lambda y: leep(np.ones((len(y), 1)), y), target, kind)
    directions = _main_directions(centred)
    classes = target.shape[1] + 1 if kind == "multilabel" else len(np.unique(target))
    parts = max(1, min(COMPONENTS * classes, len(features) // LEAST_ROWS))
    mixture = GaussianMixture(parts, covariance_type="diag", reg_covar=1e-6, random_state=seed)
    belongs = _quietly(lambda: mixture.fit(directions).predict_proba(directions))
    return _over_labels(lambda y: leep(belongs, y), target, kind)


def leep(belongs: np.ndarray, target: np.ndarray) -> float:
    """Return the mean log likelihood of classes [N] by what the parts [N,K] that an image belongs to hold of them.

    LEEP (Nguyen et al., ICML 2020) of any probabilities whose rows sum to 1: log sum_z P(y|z) P(z|x).
    """
    _, code = np.unique(target, return_inverse=True)
    joint = np.stack([belongs[code == c].sum(axis=0) for c in range(code.max() + 1)])
    whole = joint.sum(axis=0)
    given = np.divide(joint, whole, out=np.zeros_like(joint), where=whole > 0)
    return float(np.log(np.maximum((given[code] * belongs).sum(axis=1), 1e-300)).mean())


def _columns(target: np.ndarray, kind: str) -> np.ndarray:
    """Return the target as columns float64 [N,K]: classes one-hot, labels, or the standardised number."""
    if kind == "regression":
        return ((target - target.mean()) / target.std())[:, None]
    return target.astype(np.float64) if kind == "multilabel" else np.eye(int(target.max()) + 1)[target]


def _over_labels(score: Callable[[np.ndarray], float], target: np.ndarray, kind: str) -> float:
    """Return the score of a target of classes; of several labels its mean over those that change."""
    if kind != "multilabel":
        return score(target)
    return float(np.mean([score(y) for y in target.T if y.min() != y.max()]))


def _rotated(features: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the squared singular values [R] of features and the squares [R,K] of columns in their left directions.

    By the smaller of the two Gram matrices: a quarter of the time of a singular value decomposition.
    """
    tall = len(features) > features.shape[1]
    squares, vectors = np.linalg.eigh(features.T @ features if tall else features @ features.T)
    kept = squares > 1e-12 * max(squares[-1], 0) if squares[-1] > 0 else np.zeros(len(squares), bool)
    squares, vectors = squares[kept], vectors[:, kept]
    inside = (vectors.T @ (features.T @ columns)) / np.sqrt(squares)[:, None] if tall else vectors.T @ columns
    return squares, inside**2


def _centred(features: np.ndarray) -> np.ndarray:
    """Return the features that change by more than rounding, centred, all scaled alike to a mean square of 1."""
    centred = features - features.mean(axis=0)
    centred = centred[:, np.abs(centred).max(axis=0) > 1e-12 * np.abs(features).max(axis=0)]
    return centred / np.sqrt((centred**2).mean()) if centred.size else centred


def _main_directions(centred: np.ndarray) -> np.ndarray:
    """Return centred features along their main directions [N,R]: KEPT of the variance, but at most MOST of them.

    scikit-learn's PCA computes all directions, or some of them by an iteration that flat spectra make slow.
    """
    from scipy.linalg import eigh

    tall, size = len(centred) > centred.shape[1], min(centred.shape)
    gram = centred.T @ centred if tall else centred @ centred.T
    squares, vectors = eigh(gram, subset_by_index=(max(size - MOST, 0), size - 1))
    squares, vectors = np.maximum(squares[::-1], 0), vectors[:, ::-1]
    kept = int(np.searchsorted(np.cumsum(squares) / np.trace(gram), KEPT)) + 1
    return (centred @ vectors if tall else vectors * np.sqrt(squares))[:, :kept]


def _quietly(made: Callable[[], np.ndarray]) -> np.ndarray:
    """Return what is made, without the warning that a mixture has not come to its end: a hint needs none."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return made()
