"""Who is in train, val and test, and which part of train: ids only, decided by hashes of (seed, name).

Every function gives the same answer for the same seed whatever the order of the rows.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

from tlkit.config import ConfigError, TlkitError, lookup

SPLITS = ("train", "val", "test")
COPIES = ("drop", "keep")  # of images that a fixed split has on two sides: clean, and as published


class LeakageError(TlkitError, ValueError):
    """The same patient stands in two splits."""


def assign(
    table: pd.DataFrame,
    val: float = 0.15,
    test: float = 0.2,
    seed: int = 0,
    by: str = "patient",
    copies: str = "drop",
    official: bool = True,
) -> pd.Series:
    """Return "train", "val" or "test" for every row, aligned with `table`; no patient is in two of them.

    Splits that the data set fixes are kept (`official`; else drawn anew); missing ones are carved by patient from what
    is "train" or "". `val` and `test` are shares of the rows carved from, met as nearly as whole patients allow.
    Stratified by each patient's most frequent label: a class with a patient for each split is in each split; rarer
    classes are pooled. by="image" carves single images (published for ChestX-ray), so that the carved splits share
    patients. From 1 on, `val` and `test` are numbers of patients (exact where all are of one class, as without labels).
    copies="drop": patients of one `owner` and images of one `copy`, where `table` has these columns (`copies.owners`),
    stay on one side; where the fixed splits have them on two, those of the later one get "", which is no split.
    copies="keep", as published, knows patients and ids alone.
    Raises LeakageError if the fixed splits already share a patient.
    """
    counted = check_shares(val, test)
    fixed = table["split"] if official and "split" in table else pd.Series("", index=table.index)
    unit, with_copies = lookup(by, {"patient": ("patient", "owner"), "image": ("id", "copy")}, "unit of a split")
    lookup(copies, dict.fromkeys(COPIES), "way with copies")
    if copies == "drop" and with_copies in table:
        unit = with_copies
    has = set(fixed.unique())
    unknown = has - {*SPLITS, ""}
    if unknown:
        raise ValueError(f"unknown splits {sorted(unknown)}; expected train, val, test or an empty string.")
    shares = {name: s for name, s in {"val": val, "test": test}.items() if s > 0 and name not in has}
    split = fixed.replace("", "train").rename("split")
    check_disjoint(split, table["patient"])
    split[on_two_sides(split, table[unit])] = ""
    pool = table[split == "train"]
    if shares and len(pool):
        drawn = _units(pool, seed, unit)
        if counted:
            drawn["rows"] = 1
        rest = (len(drawn) if counted else 1) - sum(shares.values())
        if rest <= 0:
            raise ConfigError(f"val={val} and test={test} leave none of {len(drawn)} patients to train.")
        shares = {"train": rest, **shares}
        split[pool.index] = pool[unit].map(_deal(drawn, shares))
    return split


def on_two_sides(split: pd.Series, patient: pd.Series) -> pd.Series:
    """Tell which rows have their patient in an earlier split as well (of train, val, test in this order)."""
    order = split.map({name: i for i, name in enumerate(SPLITS)})
    return order > order.groupby(patient).transform("min")


def check_shares(val: float = 0.15, test: float = 0.2) -> bool:
    """Tell whether `val` and `test` of `assign` are numbers of patients; raise ConfigError where they are neither."""
    counted = max(val, test) >= 1
    if val < 0 or test < 0 or (val % 1 or test % 1 if counted else val + test >= 1):
        raise ConfigError(
            "val and test are two shares that leave some to train, or two whole numbers of patients; "
            f"got val={val}, test={test}."
        )
    return counted


def fraction(table: pd.DataFrame, share: float, seed: int = 0, by: str = "patient") -> np.ndarray:
    """Return the sorted ids of about `share` of the rows, stratified by label, at least one of every class.

    Whole patients (`by="patient"`, of each patient's most frequent label) or single slices (`by="slice"`, the
    published way). Nested: with one seed, the 1 % is inside the 10 %.
    """
    if not 0 < share <= 1:
        raise ConfigError(f"share is in (0, 1]; got {share}.")
    if by not in ("patient", "slice"):
        raise ConfigError(f"by is 'patient' or 'slice'; got '{by}'.")
    units = _units(table, seed, "patient") if by == "patient" else _slices(table, seed)
    kept: list[str] = []
    for _, group in units.groupby("label"):
        rows = group["rows"].cumsum().to_numpy()
        kept += group.index[: 1 + int(np.abs(rows - share * rows[-1]).argmin())].tolist()
    if by == "patient":
        labels = _labels(table)  # classes that are no patient's most frequent one: the first drawn with it
        for label in sorted(set(labels) - set(units["label"])):
            has = set(table.loc[labels == label, "patient"])
            kept.append(next(name for name in units.index if name in has))
    return np.sort(table.loc[table["patient" if by == "patient" else "id"].isin(kept), "id"].to_numpy())


def take_count(table: pd.DataFrame, n: int, seed: int = 0) -> np.ndarray:
    """Return the sorted ids of exactly `n` rows, drawn over all patients, in the class ratios of `table`.

    Counts are apportioned by largest remainders (Jonske et al. 2025, section 2.1.1: RadNet-1.28M).
    """
    if not 0 <= n <= len(table):
        raise ValueError(f"n is between 0 and the {len(table)} rows of the table; got {n}.")
    units = _slices(table, seed)
    size = units.groupby("label").size()
    exact = size * n / max(len(table), 1)
    count = np.floor(exact).astype(int)
    count[(exact - count).sort_values(ascending=False, kind="stable").index[: n - count.sum()]] += 1
    kept = [i for label, group in units.groupby("label") for i in group.index[: count[label]]]
    return np.sort(np.array(kept, dtype=object))


def choose_classes(label: pd.Series, classes: int | dict[str, int]) -> pd.Series:
    """Return the labels of the chosen classes, numbered from 0, and -1 for all others.

    `classes`: n for the classes 0 to n - 1, {"every": step} for the classes 0, step, 2 step, ... (Jonske et al. 2025:
    ImageNet-100 is step 10, ImageNet-10 is step 100). Raises ConfigError for anything else.
    """
    if isinstance(classes, int):
        return label.where(label < classes, -1)
    if set(classes) != {"every"} or not isinstance(classes["every"], int) or classes["every"] < 1:
        raise ConfigError(f"classes: expected a number, or {{every: step}} with a step of 1 or more, found {classes}.")
    return (label // classes["every"]).where(label % classes["every"] == 0, -1)


def balance(table: pd.DataFrame, seed: int = 0) -> np.ndarray:
    """Return the sorted ids of as many rows of every class as the rarest has, drawn at random over all patients.

    The RadiologyNET study balanced osteopenia and COVID-19 so, but took the first of a list (radiologynet2025 6.8).
    """
    units = _slices(table, seed)
    least = units.groupby("label").size().min()
    return np.sort(np.concatenate([group.index[:least] for _, group in units.groupby("label")]).astype(object))


def oversample(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return positions in which every class comes as often as the largest: all its samples in turn, then a random few.

    Source: radiologynet2025 1.4, where the few were the first ones.
    """
    rng, (classes, counts) = np.random.default_rng(seed), np.unique(labels, return_counts=True)
    found = []
    for label in classes:
        own = np.flatnonzero(labels == label)
        again, rest = divmod(counts.max(), len(own))
        found += [np.tile(own, again), rng.choice(own, rest, replace=False)]
    return np.sort(np.concatenate(found))


def check_disjoint(split: pd.Series, patient: pd.Series) -> None:
    """Raise LeakageError, naming the patients, if any stands in more than one split."""
    pairs = pd.DataFrame({"split": split.to_numpy(), "patient": patient.to_numpy()}).drop_duplicates()
    pairs = pairs[pairs["split"] != ""]
    shared = sorted(pairs.loc[pairs["patient"].duplicated(), "patient"].unique())
    if shared:
        raise LeakageError(
            f"{len(shared)} patients stand in more than one split: {', '.join(map(str, shared[:10]))}"
            f"{' ...' if len(shared) > 10 else ''}. Say `split: {{official: false}}` in the study file to have it "
            "drawn anew, by patient, or correct the data set's own."
        )


def _draw(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()


def _labels(table: pd.DataFrame) -> pd.Series:
    """Return the class of every row; -1 where it is unknown, 0 everywhere where the table has none."""
    return table["label"].fillna(-1) if "label" in table else pd.Series(0, index=table.index)


def _units(table: pd.DataFrame, seed: int, unit: str) -> pd.DataFrame:
    """Return one row per `unit`, such as a patient (label: the most frequent, the lowest of equals; rows), as drawn."""
    pairs = pd.DataFrame({"unit": table[unit], "label": _labels(table)})
    counts = pairs.value_counts().rename("rows").reset_index()
    counts = counts.sort_values(["unit", "rows", "label"], ascending=[True, False, True])
    units = counts.groupby("unit").agg(label=("label", "first"), rows=("rows", "sum"))
    return units.sort_index(key=lambda names: [_draw(seed, n) for n in names])


def _slices(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return one row per sample (label, rows = 1), in drawn order."""
    units = pd.DataFrame({"label": _labels(table).to_numpy(), "rows": 1}, index=table["id"].to_numpy())
    return units.sort_index(key=lambda names: [_draw(seed, n) for n in names])


def _deal(patients: pd.DataFrame, shares: dict[str, float]) -> dict[str, str]:
    """Deal patients to splits, class by class; the classes with too few patients for all splits as one."""
    few = patients.groupby("label")["rows"].transform("size") < len(shares)
    filled = dict.fromkeys(shares, 0)
    dealt: dict[str, str] = {}
    for _, group in patients[~few].groupby("label"):
        dealt |= _fill(group["rows"], shares, dict.fromkeys(shares, 0))
    for name, where in dealt.items():
        filled[where] += patients.at[name, "rows"]
    return dealt | _fill(patients.loc[few, "rows"], shares, filled)


def _fill(rows: pd.Series, shares: dict[str, float], filled: dict[str, int]) -> dict[str, str]:
    """Give each patient in turn to the split that is furthest behind its share (Sainte-Lague's rule).

    The last ones go to splits that would stay empty otherwise.
    """
    dealt, left = {}, len(rows)
    for name, n in rows.items():
        empty = [s for s in shares if filled[s] == 0]
        among = empty if len(empty) >= left else shares
        best = min(among, key=lambda s: (filled[s] + n / 2) / shares[s])
        filled[best] += n
        dealt[name] = best
        left -= 1
    return dealt
