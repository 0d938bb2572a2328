"""A pretraining corpus at a size that nobody trained: as published, from pseudo-runs, and as a contrast of real runs.

RadNet has as many images as ImageNet, but its slices repeat each other. Jonske et al. 2025 bound by which factor they
count less (lower and upper bound) and interpolate between RadNet and RadNet-12M, linearly in the number of images,
to where the corpus is as large as ImageNet in effect.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tlkit.config import ConfigError, lookup
from tlkit.stats import differences


@dataclass(frozen=True)
class SizeAdjustment:
    """How to estimate a pretraining between two `parents`, from their sizes `small` and `large` in images.

    `factors`: by how much the small corpus would have to grow, by the name of the estimate.
    Source: jonske2025 5.2, 5.6.
    """

    small: int
    large: int
    parents: tuple[str, str]
    factors: Mapping[str, float]

    def __post_init__(self) -> None:
        if not 0 < self.small < self.large:
            raise ConfigError(f"sizes {self.small} and {self.large} of {self.parents}; expected 0 < small < large")

    def weight(self, name: str) -> float:
        """Return the weight of the larger parent in `name`; above 1 where the factor leads beyond it."""
        return (lookup(name, self.factors, "size-adjusted pretraining") - 1) * self.small / (self.large - self.small)

    def mixtures(self) -> dict[str, dict[str, float]]:
        """Return the weights of the parents in each estimate, as `differences.pairwise` takes them."""
        small, large = self.parents
        return {name: {small: 1 - self.weight(name), large: self.weight(name)} for name in self.factors}

    def published_sd(self, sd_small: np.ndarray, sd_large: np.ndarray, name: str) -> np.ndarray:
        """Return the published standard deviation of `name` from those of the parents (ddof=0).

        The line through both means has a slope and an intercept, whose errors are added as if they were independent;
        they are not, so the result is too large. Source: jonske2025 5.2.
        """
        slope = np.hypot(sd_small, sd_large) / (self.large - self.small)
        intercept = np.hypot(sd_large, slope * self.large)
        return np.hypot(slope * self.small * lookup(name, self.factors, "size-adjusted pretraining"), intercept)

    def independent_sd(self, sd_small: np.ndarray, sd_large: np.ndarray, name: str) -> np.ndarray:
        """Return the standard deviation of (1 - w) * small + w * large for independent runs."""
        w = self.weight(name)
        return np.hypot((1 - w) * sd_small, w * sd_large)

    def pseudo_runs(self, small: np.ndarray, large: np.ndarray, name: str) -> np.ndarray:
        """Return the published pseudo-runs [..., n] of `name` from the runs [..., m] and [..., n] of the parents.

        The larger parent's runs, shifted to the interpolated mean and stretched from their sd to `published_sd`
        (ddof=0). Where they do not vary there is nothing to stretch (the published code divides by zero): all
        pseudo-runs are then the mean.
        """
        w = self.weight(name)
        mean_small, mean_large = (x.mean(axis=-1, keepdims=True) for x in (small, large))
        sd_small, sd_large = (x.std(axis=-1, keepdims=True) for x in (small, large))
        varied = differences.varies(large)[..., None]
        z = np.divide(large - mean_large, sd_large, out=np.zeros_like(large), where=varied)
        return (1 - w) * mean_small + w * mean_large + z * self.published_sd(sd_small, sd_large, name)


def read_study(spec: Mapping[str, Any]) -> SizeAdjustment | None:
    """Return how to make the `estimates` of a study file; None where it has none, or lacks either corpus.

    A corpus is as large as its `corpus` says, else as its `images`: those trained on, without val and test.
    """
    estimates = spec["estimates"]
    parents = next((entry["between"] for entry in estimates.values()), [])
    entries = [spec["pretrainings"].get(name, {}) for name in parents]
    sizes = [entry.get("corpus", entry.get("images")) for entry in entries]
    factors = {name: entry["factor"] for name, entry in estimates.items()}
    return SizeAdjustment(*sizes, tuple(parents), factors) if sizes and all(sizes) else None


def list_estimates(adjustment: SizeAdjustment | None) -> list[str]:
    """Return the names of the pretrainings that have no runs of their own."""
    return [*adjustment.factors] if adjustment else []


def add_pseudo_runs(
    results: pd.DataFrame, adjustment: SizeAdjustment, within: Sequence[str] = differences.PANEL
) -> pd.DataFrame:
    """Return `results` with the pseudo-runs of every estimate below, in each panel that has both parents.

    They are the rows of the larger parent with another `pretraining` and `value`. Tested like runs they overstate
    their spread (`error_inflation`) and hide that they depend on the parents; `differences.pairwise` with
    `adjustment.mixtures()` does without. Raises ValueError as `differences.check` does. Source: jonske2025 5.2.
    """
    added = [results]
    for _, small, large in _parents(results, adjustment, within):
        for name in adjustment.factors:
            values = adjustment.pseudo_runs(small["value"].to_numpy(float), large["value"].to_numpy(float), name)
            added.append(large.assign(pretraining=name, value=values))
    return pd.concat(added, ignore_index=True)


def error_inflation(
    results: pd.DataFrame, adjustment: SizeAdjustment, within: Sequence[str] = differences.PANEL
) -> pd.DataFrame:
    """Return by which factor the published spread of each estimate is too large, in panels that have both parents.

    Columns: `within`, pretraining, sd_published, sd_independent (both from sds with ddof=0), ratio (NaN where the
    parents do not vary). Raises ValueError as `differences.check` does.
    """
    rows = []
    for key, small, large in _parents(results, adjustment, within):
        sds = [x["value"].std(ddof=0) for x in (small, large)]
        for name in adjustment.factors:
            rows.append((*key, name, adjustment.published_sd(*sds, name), adjustment.independent_sd(*sds, name)))
    table = pd.DataFrame(rows, columns=[*within, "pretraining", "sd_published", "sd_independent"])
    ratio = table["sd_published"] / table["sd_independent"].where(table["sd_independent"] > 0)
    return table.astype({c: results[c].dtype for c in within}).assign(ratio=ratio)


def null_p_values(
    n_sim: int,
    seed: int,
    adjustment: SizeAdjustment,
    name: str,
    n: int = 4,
    sds: tuple[float, float, float] = (1, 1, 1),
) -> pd.DataFrame:
    """Return p_published and p_sound of `n_sim` simulated panels in which the estimate `name` equals another one.

    Each has `n` normal runs of the small parent, the large one and another pretraining, with standard deviations
    `sds`. All true means are 0: both tests see only the difference. Drawn by numpy's default generator from `seed`.
    """
    small, large, other = np.random.default_rng(seed).normal(size=(3, n_sim, n)) * np.reshape(sds, (3, 1, 1))
    w = adjustment.weight(name)
    published = differences.contrast([adjustment.pseudo_runs(small, large, name), other], [1, -1])
    sound = differences.contrast([small, large, other], [1 - w, w, -1])
    return pd.DataFrame({"p_published": published["p"], "p_sound": sound["p"]})


def _parents(
    results: pd.DataFrame, adjustment: SizeAdjustment, within: Sequence[str]
) -> Iterator[tuple[tuple, pd.DataFrame, pd.DataFrame]]:
    """Yield each panel that has both parents: its key and the rows of the smaller and of the larger one."""
    differences.check(results, [*within, "pretraining"])
    for key, panel in results.groupby(list(within), observed=True, dropna=False):
        small, large = (panel[panel["pretraining"] == name] for name in adjustment.parents)
        if len(small) and len(large):
            yield key, small, large
