"""DICOM headers as vectors: raw strings cleaned to numbers, what is missing filled in, and an autoencoder."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from tlkit.archives.pseudolabels.autoencoder import Autoencoder, encode, learn
from tlkit.config import ConfigError
from tlkit.models import initial_weights
from tlkit.training.recipe import Recipe

TARGETS = ("Modality", "BodyPartExamined")  # what groups are judged by is not what they are made from
MOST_CATEGORIES = 50
LEAST_FILLED = 0.2
NUMERIC = 0.95  # share of a column's entries that must be numbers for it to be one of numbers
LONGEST = 16  # entries of an array that become columns


@dataclass(frozen=True)
class Cleaned:
    """Headers as columns: `numbers` (float, NaN where missing), `categories` ("" where missing), and what was dropped.

    `dropped` names each column that is not used and why, `lost` counts entries of number columns that are no number.
    """

    numbers: pd.DataFrame
    categories: pd.DataFrame
    dropped: dict[str, str]
    lost: dict[str, int]


def clean(frame: pd.DataFrame, without: tuple[str, ...] = TARGETS) -> Cleaned:
    """Return the usable columns of raw header strings (one row per file).

    Array-like strings become numbered columns; columns go that have fewer than 2 distinct values, categories of more
    than 50, or entries in under 20 % of the rows (radiologynet2025 0.2). The columns `without` are left out, since the
    groups are scored against them. A column is one of numbers where 95 % of its entries are.
    """
    text = frame.fillna("").astype(str).apply(lambda column: column.str.strip())
    numbers, categories, lost = {}, {}, {}
    dropped = {name: "what the groups are judged by" for name in without if name in text}
    for name in text.columns.difference(list(without), sort=False):
        parts = _numbers(text[name])
        if parts is None:
            categories[name] = text[name]
            continue
        lost |= {name: n} if (n := int((parts[0].isna() & text[name].ne("")).sum())) else {}
        several = parts.shape[1] > 1
        numbers |= {f"{name}_{i}" if several else name: parts[i] for i in parts}
    kept = [{}, {}]
    for found, table, most in ((kept[0], numbers, np.inf), (kept[1], categories, MOST_CATEGORIES)):
        for name, column in table.items():
            reason = _useless(column.replace("", np.nan), most)
            found |= {} if reason else {name: column}
            dropped |= {name: reason} if reason else {}
    return Cleaned(*(pd.DataFrame(found, index=frame.index) for found in kept), dropped, lost)


def _numbers(column: pd.Series) -> pd.DataFrame | None:
    """Return the numbers of a column of strings, one column per place of an array; None where most are none."""
    bare = column.str.strip("[]()")
    parts = bare.str.split(re.compile(r"\s*[\\,]\s*"), regex=True, expand=True).iloc[:, :LONGEST]
    values = parts.apply(pd.to_numeric, errors="coerce").replace([np.inf, -np.inf], np.nan).astype(float)
    entries, numeric = column.ne(""), values[0].notna()
    return values if entries.any() and numeric[entries].mean() >= NUMERIC else None


def _useless(column: pd.Series, most: float) -> str:
    filled, distinct = column.notna().mean(), column.nunique()
    if filled < LEAST_FILLED:
        return f"filled in {filled:.0%} of the rows, at least {LEAST_FILLED:.0%} are needed"
    if distinct < 2:
        return f"{distinct} distinct value"
    return f"{distinct} categories, at most {MOST_CATEGORIES} are used" if distinct > most else ""


def impute(cleaned: Cleaned, seed: int = 0, fit_on: int = 2000, trees: int = 20, rounds: int = 3) -> np.ndarray:
    """Return float32 [N, columns] in [0, 1]: numbers filled in and scaled from least to greatest, one-hot categories.

    Missing numbers are predicted by extremely randomised trees from all other columns, round by round, as MissForest
    does (published: 256 trees, 10 rounds); learned on a draw of `fit_on` rows, and the mean in a column that lacks none
    there. A missing category is a row of zeros: that a tag is missing says something, and the mean of two codes would
    say nothing.
    Random: draw and trees, by `seed`. Raises ConfigError where no column is left. Source: radiologynet2025 0.2.
    """
    from sklearn.preprocessing import MinMaxScaler, OneHotEncoder

    blocks = []
    if not cleaned.categories.empty:
        known = [sorted(set(column) - {""}) for _, column in cleaned.categories.items()]
        encoder = OneHotEncoder(categories=known, handle_unknown="ignore", sparse_output=False)
        blocks.append(encoder.fit_transform(cleaned.categories))
    if not cleaned.numbers.empty:
        filled = _filled(cleaned.numbers.to_numpy(), np.hstack(blocks or [np.empty((len(cleaned.numbers), 0))]),
                         np.random.default_rng(seed), fit_on, trees, rounds)  # fmt: skip
        blocks.append(MinMaxScaler(clip=True).fit_transform(filled))
    if not blocks:
        reasons = "".join(f"\n  {name}: {reason}" for name, reason in cleaned.dropped.items())
        raise ConfigError(f"no header column is left to group by; leave headers out of `sources`. Dropped:{reasons}")
    return np.hstack(blocks).astype(np.float32)


def _filled(
    numbers: np.ndarray, others: np.ndarray, rng: np.random.Generator, fit_on: int, trees: int, rounds: int
) -> np.ndarray:
    """Return `numbers` with its NaN predicted from the other numbers and from `others`."""
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401  (makes the next import possible)
    from sklearn.impute import IterativeImputer

    if not np.isnan(numbers).any():
        return numbers
    state = int(rng.integers(2**31))
    forest = ExtraTreesRegressor(trees, min_samples_leaf=2, random_state=state, n_jobs=1)
    how = {"max_iter": rounds, "random_state": state, "keep_empty_features": True}
    imputer = IterativeImputer(forest, skip_complete=True, **how)  # a column without gaps needs no forest
    both = np.hstack([numbers, others])
    drawn = np.sort(rng.choice(len(both), min(fit_on, len(both)), replace=False))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a few rounds are what was asked for
        imputer.fit(both[drawn])
    return imputer.transform(both)[:, : numbers.shape[1]]


def embed(values: np.ndarray, val: np.ndarray, epochs: int = 50, seed: int = 0, size: int | None = None) -> np.ndarray:
    """Return float32 [N, size], the codes of an autoencoder of `values` ([N, columns] in [0, 1]); size: half of them.

    Linear, LeakyReLU, BatchNorm, then a linear layer to the code and one more, whose output is the code; mirrored, with
    a sigmoid at the end; mean squared error; Adam, learning rate 0.01, batches of 32; the epoch with the least error on
    the rows `val` (booleans [N]) counts. Ours shuffles the rows. Source: radiologynet2025 0.2.
    """
    columns = values.shape[1]
    size = size or max(2, columns // 2)
    hidden = (columns + size) // 2
    with initial_weights(seed):
        down = [nn.Linear(columns, hidden), nn.LeakyReLU(), nn.BatchNorm1d(hidden)]
        up = [nn.Linear(size, hidden), nn.LeakyReLU(), nn.BatchNorm1d(hidden), nn.Linear(hidden, columns), nn.Sigmoid()]
        encoder = nn.Sequential(*down, nn.Linear(hidden, size), nn.Linear(size, size))
        model = Autoencoder(encoder, nn.Sequential(*up))
    inputs = torch.from_numpy(values)
    recipe = Recipe(epochs=epochs, batch=32, lr=0.01, weight_decay=0.0, schedule="constant")

    def read(rows: np.ndarray) -> torch.Tensor:
        return inputs[torch.from_numpy(rows)]

    learn(model, read, np.flatnonzero(~val), np.flatnonzero(val), recipe, seed)
    return encode(model.encoder, read, len(values))
