"""What blinded ratings say: do the raters agree, and do heat maps of one pretraining get better ratings?

A frame of ratings has one row per rater and heat map, with the columns of `read`. Ratings are ranks from 1 to 5, and
the three heat maps of an image share its difficulty, so tests compare them within images.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from tlkit.config import ConfigError
from tlkit.rating import answers, session
from tlkit.rating.answers import RatingError
from tlkit.runs import read_json

log = logging.getLogger(__name__)

COLUMNS = ["rater", "item", "id", "task", "letter", "pretraining", "rating", "remark", "seconds"]


def read(folder: Path, partial: bool = False) -> pd.DataFrame:
    """Return the last answers of all raters of a session joined with its key: COLUMNS, rating from 1 to 5 (int).

    Raises RatingError where nobody has rated, a file or the key can't be read, phantom raters and people share the
    session, or a rater has not finished: reading ends the blinding. With `partial` what is there is read.
    """
    items, letters = session.layout(folder)
    if not (raters := session.raters(folder)):
        raise RatingError(f"nobody has rated in {folder} yet; open the panel in the notebook 44_rate_heatmaps")
    if len({rater.startswith(session.PHANTOM) for rater in raters}) > 1:
        raise RatingError(f"{folder} mixes phantom raters with people: {', '.join(raters)}; move one kind away")
    found = pd.concat([_last(folder, rater, items, letters) for rater in raters], ignore_index=True)
    counts = found.groupby("rater").size().reindex(raters, fill_value=0)
    if (few := counts[counts < len(items) * len(letters)]).size and not partial:
        done = ", ".join(f"{rater} {n} of {len(items) * len(letters)}" for rater, n in few.items())
        raise RatingError(f"heat maps rated so far: {done}. Finish them in the panel, then run this cell again.")
    key = _key(folder, items, letters)
    return found.merge(key, on=["item", "letter"], validate="many_to_one")[COLUMNS]


def agreement(ratings: pd.DataFrame, seed: int = 0, draws: int = 1000, level: float = 0.95) -> pd.DataFrame:
    """Return the quadratically weighted kappa of every two raters, one row per pair.

    Columns: rater_a, rater_b, n (heat maps that both rated), items, kappa, ci_low, ci_high, same (share of equal
    ratings), within_1 (at most one apart). The interval is the percentile bootstrap over items, whose heat maps stay
    together; draws in which kappa is not defined are left out. kappa is NaN where both raters give one rating to all.
    Source: the study reports no agreement (radiologynet2025 4.5).
    """
    wide = ratings.pivot(index=["item", "letter"], columns="rater", values="rating")
    rows, rng = [], np.random.default_rng(seed)
    for a, b in combinations(wide.columns, 2):
        both = wide[[a, b]].dropna().astype(float)
        x, y = both[a], both[b]
        sums = pd.DataFrame({"n": 1.0, "x": x, "y": y, "xx": x * x, "yy": y * y, "xy": x * y}).groupby("item").sum()
        n = len(sums)
        low, high = _interval(kappa(rng.multinomial(n, np.full(n, 1 / n), draws) @ sums.to_numpy()), level)
        rows.append(
            {"rater_a": a, "rater_b": b, "n": len(both), "items": n, "kappa": float(kappa(sums.sum().to_numpy()))}
            | {"ci_low": low, "ci_high": high, "same": (x == y).mean(), "within_1": (abs(x - y) <= 1).mean()}
        )
    columns = ["rater_a", "rater_b", "n", "items", "kappa", "ci_low", "ci_high", "same", "within_1"]
    return pd.DataFrame(rows, columns=columns)


def kappa(sums: np.ndarray) -> np.ndarray:
    """Return quadratically weighted kappa [...] from sums [..., 6] over pairs of ratings: of 1, x, y, xx, yy and xy.

    1 - E(x - y)^2 / the same for unrelated x and y: scikit-learn's cohen_kappa_score(labels=[1, 2, 3, 4, 5],
    weights="quadratic"), but of all draws of a bootstrap at once. NaN where both give one and the same rating to all.
    """
    x, y, xx, yy, xy = np.moveaxis(sums[..., 1:] / sums[..., :1], -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        unrelated = xx + yy - 2 * x * y
        return 1 - (xx + yy - 2 * xy) / np.where(unrelated > 1e-12, unrelated, np.nan)


def by_task(ratings: pd.DataFrame, test: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    """Return `test` of all ratings and, where there are several tasks, of each, below a column `task` ("all" first)."""
    tasks = list(ratings["task"].unique())
    parts = {"all": ratings} | ({t: ratings[ratings["task"] == t] for t in tasks} if len(tasks) > 1 else {})
    return pd.concat([test(part).assign(task=name) for name, part in parts.items()], ignore_index=True).pipe(
        lambda frame: frame[["task", *frame.columns.drop("task")]]
    )


def item_means(ratings: pd.DataFrame, order: Sequence[str] = ()) -> pd.DataFrame:
    """Return [items x pretrainings]: the mean rating over those raters who rated all heat maps of the item.

    `order` names the columns. Raises ConfigError where no image is left or fewer than two pretrainings.
    """
    by_rater = ratings.pivot(index=["item", "rater"], columns="pretraining", values="rating").dropna()
    means = by_rater.astype(float).groupby("item").mean()
    if len(means) == 0 or means.shape[1] < 2:
        raise ConfigError(
            f"expected images with rated heat maps of two or more pretrainings, found {len(means)} images and "
            f"{means.shape[1]} pretrainings"
        )
    return means[[*order] or list(means.columns)]


def friedman(ratings: pd.DataFrame) -> pd.DataFrame:
    """Return Friedman's test over the pretrainings, paired by image, in one row.

    Columns: items, raters, pretrainings, chi2, p (chi-squared approximation), kendall_w (0: no common order, 1: the
    same order in every image). NaN for two pretrainings, for which `pairs` is the test, and where no image tells
    pretrainings apart. Raises ConfigError as `item_means` does.
    """
    from scipy.stats import friedmanchisquare

    means = item_means(ratings)
    n, k = means.shape
    found = {"chi2": np.nan, "p": np.nan, "kendall_w": np.nan}
    if k > 2 and (np.ptp(means, axis=1) > 0).any():
        test = friedmanchisquare(*means.to_numpy().T)
        found = {"chi2": test.statistic, "p": test.pvalue, "kendall_w": test.statistic / (n * (k - 1))}
    return pd.DataFrame([{"items": n, "raters": ratings["rater"].nunique(), "pretrainings": k, **found}])


def pairs(ratings: pd.DataFrame, order: Sequence[str] = (), seed: int = 0, draws: int = 2000) -> pd.DataFrame:
    """Return Wilcoxon's signed-rank test of every two pretrainings on the item means, one row per pair.

    Columns: a, b, n (images), mean_a, mean_b, difference (points), ci_low, ci_high (95 %, percentile bootstrap over
    images), rank_biserial (from -1 to 1: a above b in all images), p (exact, ties included; 1 where no image differs),
    p_normal and p_continuity (its normal approximation without and with continuity correction), p_holm (of p, over the
    rows). Images without a difference drop out of the test, not out of n. Neither study made this test: the
    RadiologyNET study shows its ratings untested (its Mann-Whitney tests have the correction: `attainable`).
    Raises ConfigError as `item_means` does.
    """
    from statsmodels.stats.multitest import multipletests

    means, rng, rows = item_means(ratings, order), np.random.default_rng(seed), []
    for a, b in combinations(means.columns, 2):
        d = (means[a] - means[b]).to_numpy()
        low, high = _interval(rng.choice(d, (draws, len(d))).mean(1), 0.95)
        rows.append(
            {"a": a, "b": b, "n": len(d), "mean_a": means[a].mean(), "mean_b": means[b].mean()}
            | {"difference": d.mean(), "ci_low": low, "ci_high": high, "rank_biserial": _rank_biserial(d)}
            | _signed_rank(d)
        )
    found = pd.DataFrame(rows)
    return found.assign(p_holm=multipletests(found["p"], method="holm")[1])


class Mixed(NamedTuple):
    """A mixed model: `effects`, one row per pretraining; `variances` by what varies; `note`: what could be fitted."""

    effects: pd.DataFrame
    variances: dict[str, float]
    note: str


def fit_mixed(ratings: pd.DataFrame, reference: str = "") -> Mixed:
    """Fit rating ~ pretraining with random images and raters (crossed), as if ratings were numbers.

    Effects against `reference` (default: the first by name) in points: pretraining, reference, estimate, se, ci_low,
    ci_high, p (normal approximation). Where the model with random raters does not converge, as with two or three
    raters whose means hardly differ, raters are fixed; where that fails too, the effects are empty. `note` says which.
    """
    names = sorted(ratings["pretraining"].unique(), key=lambda name: (name != reference, name))
    data = ratings.assign(
        pretraining=pd.Categorical(ratings["pretraining"], names), rating=ratings["rating"].astype(float)
    )
    image, rater = {"image": "0 + C(item)"}, {"rater": "0 + C(rater)"}
    ways = {
        "Images and raters are random.": ("rating ~ C(pretraining)", image | rater),
        "The model with random raters did not converge: raters are fixed.": (
            "rating ~ C(pretraining) + C(rater)",
            image,
        ),
    }
    if data["rater"].nunique() == 1:
        ways = {"One rater: only images are random.": ("rating ~ C(pretraining)", image)}
    for note, (formula, random) in ways.items():
        if (fit := _fit(data, formula, random)) is not None:
            return Mixed(_effects(fit, names), _variances(fit), note)
    empty = pd.DataFrame(columns=["pretraining", "reference", "estimate", "se", "ci_low", "ci_high", "p"])
    return Mixed(empty, {}, "No mixed model converged on these ratings: read the rank tests, which need none.")


def _fit(data: pd.DataFrame, formula: str, random: Mapping[str, str]):
    """Return the fitted statsmodels MixedLM, or None where it did not converge or its errors can't be told."""
    from statsmodels.formula.api import mixedlm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they warn of is tested below
        try:
            fit = mixedlm(formula, data, groups=np.ones(len(data)), vc_formula=dict(random)).fit(reml=True)
            return fit if fit.converged and fit.scale > 0 and np.isfinite(fit.bse_fe).all() else None
        except np.linalg.LinAlgError:
            return None


def _effects(fit, names: Sequence[str]) -> pd.DataFrame:
    rows = []
    for name in names[1:]:
        term = f"C(pretraining)[T.{name}]"
        low, high = fit.conf_int().loc[term]
        rows.append((name, names[0], fit.params[term], fit.bse[term], low, high, fit.pvalues[term]))
    return pd.DataFrame(rows, columns=["pretraining", "reference", "estimate", "se", "ci_low", "ci_high", "p"])


def _variances(fit) -> dict[str, float]:
    return dict(zip(fit.model.exog_vc.names, map(float, fit.vcomp), strict=True)) | {"rest": float(fit.scale)}


def _rank_biserial(d: np.ndarray) -> float:
    """Return the matched-pairs rank-biserial correlation of differences [n]; 0 where none differs."""
    from scipy.stats import rankdata

    d = d[d != 0]
    ranks = rankdata(np.abs(d))
    return float((np.sign(d) * ranks).sum() / ranks.sum()) if len(d) else 0.0


def _signed_rank(d: np.ndarray) -> dict[str, float]:
    """Return the two-sided p-values of Wilcoxon's signed-rank test of differences [n]: exact, and both approximations.

    Exact: the share of all signs of the ranks whose sum lies at least as far from its mean, counted one rank at a time.
    """
    from scipy.stats import rankdata, wilcoxon

    d = d[d != 0]
    if not len(d):
        return {"p": 1.0, "p_normal": 1.0, "p_continuity": 1.0}
    doubled = np.rint(2 * rankdata(np.abs(d).round(9))).astype(int)  # ties have half ranks
    chance = np.zeros(doubled.sum() + 1)
    chance[0] = 1
    for rank in doubled:
        chance[rank:] = (chance[rank:] + chance[: len(chance) - rank]) / 2
        chance[:rank] /= 2
    far = np.abs(2 * np.arange(len(chance)) - doubled.sum()) >= abs((np.sign(d) * doubled).sum())
    both = {
        name: wilcoxon(d, method="asymptotic", correction=c).pvalue
        for name, c in (("p_normal", False), ("p_continuity", True))
    }
    return {"p": float(chance[far].sum()), **both}


def _interval(draws: Sequence[float], level: float) -> tuple[float, float]:
    values = np.asarray(draws, dtype=float)
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _last(folder: Path, rater: str, items: Sequence[str], letters: Sequence[str]) -> pd.DataFrame:
    path = folder / f"{rater}.csv"
    found = answers.read(path, items, letters).drop_duplicates(["item", "letter"], keep="last")
    if not path.read_bytes().endswith(b"\n"):
        log.warning("%s ends in a torn line, which is left out; the rater's panel heals it", path)
    return found.dropna(subset="rating").astype({"rating": int}).assign(rater=rater)


def _key(folder: Path, items: Sequence[str], letters: Sequence[str]) -> pd.DataFrame:
    path = folder / "key.json"
    if not path.exists():
        raise RatingError(f"no key at {path}: without it letters can't be told apart; put back the key of this session")
    key = read_json(path)["items"]
    if sorted(key) != sorted(items) or any(sorted(entry["letters"]) != sorted(letters) for entry in key.values()):
        raise RatingError(f"{path} is the key of another session: its items or letters differ from session.json")
    rows = [
        (item, letter, who, entry["id"], entry["task"])
        for item, entry in key.items()
        for letter, who in entry["letters"].items()
    ]
    return pd.DataFrame(rows, columns=["item", "letter", "pretraining", "id", "task"])
