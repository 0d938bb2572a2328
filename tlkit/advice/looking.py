"""A look at images of one's own before anything is trained: what is there, and what would spoil an answer."""

from __future__ import annotations

import json
import math
import time
import warnings as warnings_of
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tlkit.advice import endings, mosaic, prose, reading, shortcuts
from tlkit.config import ConfigError
from tlkit.datasets import copies
from tlkit.datasets.layout import SCANS
from tlkit.datasets.rejects import UnreadableShareError
from tlkit.datasets.store import Store, build_store, open_store
from tlkit.files import write_text
from tlkit.layouts.table import DIFFER

SIZE = 64  # px a side that images are decoded to
MOST_UNREADABLE = 0.5  # share of the files: looking goes on where training would stop
TEST = 0.2  # share of the patients that a test gets where the images come without one
MOST_LINES = 40  # classes that are listed
MOST_NAMED = 5  # classes that are named one by one
FEW = 10  # patients of a class, below which no split of it is worth much
ACCURACY, WIDEST = 0.8, 0.1  # a 95 % interval of such an accuracy is not wider than 10 points
KINDS = (
    "exact_copies", "near_copies", "conflicting_labels", "patients_in_splits", "patients_unknown", "small_class",
    "shortcut", "small_test", "unreadable",
)  # fmt: skip


def look(found: dict[str, Any], size: int = SIZE) -> dict[str, Any]:
    """Return the counts and warnings of a reading's images; also written to look.json, with mosaic.png beside it.

    Keys: name, task, n_images, n_patients (None where nobody knows), classes (images and patients of each), splits,
    left_out (reason: how many files or slices), warnings (kind, one of KINDS, and text), phantom (whether a program
    drew them), store, mosaic, seconds. Deterministic but for the seconds. Raises: as `build_store`.
    """
    start, card = time.perf_counter(), reading.card_of(found)
    root, out = Path(found["folder"]), reading.folder_of(found["name"])
    try:
        with warnings_of.catch_warnings():
            warnings_of.simplefilter("ignore", UserWarning)  # what is left out is told below
            store = open_store(build_store(card, root, size, max_unreadable=MOST_UNREADABLE))
    except UnreadableShareError as error:
        told = str(error).partition("\nMend or remove")[0]
        raise ConfigError(f"{told}\nMend such files, or take them out of the folder, and look again.") from error
    table = _with_splits(store, found)
    _check_classes(store, table, found)
    rejects = pd.read_csv(store.path / "rejects.csv", keep_default_na=False)  # a file may be called NA
    facts = {
        "name": found["name"],
        "task": found["task"],
        "n_images": len(store),
        "n_patients": int(table["patient"].nunique()) if store.patients_named else None,
        "classes": classes(table, found),
        "splits": {k: int(n) for k, n in table["split"].value_counts().items() if k},
        "left_out": count_left_out(rejects),
        "warnings": warnings(store, table, rejects, found),
        "phantom": bool(store.meta["phantom"]),
        "store": store.path.name,
        "mosaic": "mosaic.png",
        "seconds": 0.0,
    }
    mosaic.draw(store, members(table, found), found, out / "mosaic.png")
    facts["seconds"] = round(time.perf_counter() - start, 1)
    write_text(out / "look.json", json.dumps(facts, indent=1, ensure_ascii=False))
    return facts


def _check_classes(store: Store, table: pd.DataFrame, found: dict[str, Any]) -> None:
    """Raise ConfigError where the images that could be read are of one class, or all have one answer."""
    if found["task"] not in ("multiclass", "binary") or table["label"].nunique() > 1:
        return
    only = found["classes"][int(table["label"].iloc[0])]
    raise ConfigError(
        f"All {len(table)} images of {found['folder']} that can be read are of one class ({only}): there is nothing to "
        f"learn. The reason of each other file is in {store.path / 'rejects.csv'}."
    )


def _with_splits(store: Store, found: dict[str, Any]) -> pd.DataFrame:
    return store.table if found["official"] and "split" in store.table else store.table.assign(split="")


def members(table: pd.DataFrame, found: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return which rows have each class or label (of masks: any pixel of it); nothing for a regression."""
    if found["task"] == "regression":
        return {}
    if found["task"] == "segmentation":
        counted = found["options"].get("mask_columns", {})
        return {found["classes"][value]: (table[column] > 0).to_numpy() for column, value in counted.items()}
    if found["task"] == "multilabel":
        return {name: (table[name] == 1).to_numpy() for name in found["classes"]}
    return {name: (table["label"] == i).to_numpy() for i, name in enumerate(found["classes"])}


def classes(table: pd.DataFrame, found: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Return the images and patients of each class."""
    return {
        name: {"images": int(has.sum()), "patients": int(table.loc[has, "patient"].nunique())}
        for name, has in members(table, found).items()
    }


def count_left_out(rejects: pd.DataFrame) -> dict[str, int]:
    """Return how many files or slices were left out, by reason, the most frequent first."""
    return {str(k): int(n) for k, n in rejects.loc[rejects["kind"] != "note", "reason"].value_counts().items()}


def warnings(store: Store, table: pd.DataFrame, rejects: pd.DataFrame, found: dict[str, Any]) -> list[dict[str, str]]:
    """Return what would spoil an answer: `kind` out of KINDS and `text`, in the order of KINDS."""
    told = [
        *_copies(store, table, found),
        *_rows_that_differ(rejects),
        *_patients(store, table),
        *_classes(store, table, found),
        *_shortcuts(store, found),
        *_test(store, table),
        *_unreadable(store, rejects),
    ]
    return sorted(({"kind": kind, "text": text} for kind, text in told), key=lambda w: KINDS.index(w["kind"]))


def _rows_that_differ(rejects: pd.DataFrame) -> list[tuple[str, str]]:
    paths = rejects.loc[rejects["reason"] == DIFFER, "path"]
    if paths.empty:
        return []
    such = f"{len(paths)} images (such as {paths.iloc[0]}) have rows in the table that say different things"
    return [("conflicting_labels", f"{such}: they are left out.")]


def _copies(store: Store, table: pd.DataFrame, found: dict[str, Any]) -> list[tuple[str, str]]:
    told, split = [], table["split"].to_numpy()
    pairs = pd.concat([_equal(store), store.copies().query("distance >= 0")], ignore_index=True)
    a, b, exact = pairs["a"].to_numpy(), pairs["b"].to_numpy(), (pairs["distance"] < 0).to_numpy()
    across = (split[a] != split[b]) & (split[a] != "") & (split[b] != "")
    for kind, which, same in (("exact_copies", exact, "the same pixels"), ("near_copies", ~exact, "the same look")):
        rows = np.flatnonzero(which & across) if (which & across).any() else np.flatnonzero(which)
        if len(rows):
            where = "one in another split" if across[rows].all() else "another one"
            end = "a test would reward memory" if across[rows].all() else "they must stay on one side of a split"
            n, such = len(set(a[rows]) | set(b[rows])), _example(table, a, b, rows)
            told.append((kind, f"{n} of {len(table)} images have {same} as {where}{such}: {end}."))
    if len(rows := np.flatnonzero(_differ(table, a, b, found))):
        n, such = len(set(a[rows]) | set(b[rows])), _example(table, a, b, rows)
        text = f"{n} images have a copy with another label{such}: one is wrong."
        told.append(("conflicting_labels", text))
    return told


def _equal(store: Store) -> pd.DataFrame:
    """Return the pairs of rows with equal pixels, each with the first of them; images of one value have none."""
    pixels, row = store.table["pixels"], pd.Series(np.arange(len(store)))
    first = row.groupby(pixels.to_numpy()).transform("first").to_numpy()
    b = np.flatnonzero((first < row) & (pixels.to_numpy() >= 0))
    return pd.DataFrame({"a": first[b], "b": b, "distance": -1})


def _differ(table: pd.DataFrame, a: np.ndarray, b: np.ndarray, found: dict[str, Any]) -> np.ndarray:
    """Return which pairs of rows have other answers; of masks none."""
    if found["task"] == "segmentation":
        return np.zeros(len(a), bool)
    answers = table[found["classes"] if found["task"] in ("multilabel", "regression") else ["label"]].to_numpy()
    return (answers[a] != answers[b]).any(axis=1)


def _example(table: pd.DataFrame, a: np.ndarray, b: np.ndarray, rows) -> str:
    return f" (such as {table['id'].iat[a[rows[0]]]} and {table['id'].iat[b[rows[0]]]})"


def _patients(store: Store, table: pd.DataFrame) -> list[tuple[str, str]]:
    if not store.patients_named:
        text = f"who is shown is {store.meta['patients']}; images of one patient may stand in training and in test."
        return [("patients_unknown", text)]
    known = table[table["split"] != ""]
    splits = known.groupby("patient")["split"].nunique()
    if not (splits > 1).any():
        return []
    images = int(known["patient"].isin(splits.index[splits > 1]).sum())
    text = f"{(splits > 1).sum()} of {len(splits)} patients, with {images} images, stand in more than one split."
    return [("patients_in_splits", text)]


def _classes(store: Store, table: pd.DataFrame, found: dict[str, Any]) -> list[tuple[str, str]]:
    unit, has = _unit(store), members(table, found)
    small = {name: n["patients"] for name, n in classes(table, found).items() if n["patients"] < FEW}
    told = [f"class '{name}' has {n} {unit}; below {FEW} a test says nothing of it." for name, n in small.items()]
    if len(small) > MOST_NAMED:
        such = ", ".join(f"'{name}' {n}" for name, n in sorted(small.items(), key=lambda item: item[1])[:MOST_NAMED])
        told = [f"{len(small)} of {len(has)} classes have fewer than {FEW} {unit}, such as {such}: a test says nothing "
                "of them."]  # fmt: skip
    train = (table["split"] == "train").to_numpy()
    if train.any():
        told += [
            f"class '{name}' has no image in train."
            for name, here in has.items()
            if here.any() and not (here & train).any()
        ]
    return [("small_class", text) for text in told]


def _unit(store: Store) -> str:
    if store.patients_named:
        return "patients"
    return "scans" if store.meta["patients"] == SCANS else "images"


def _shortcuts(store: Store, found: dict[str, Any]) -> list[tuple[str, str]]:
    owner = store.owners(copies.DISTANCE)["owner"]
    told = []
    for s in shortcuts.find(store, Path(found["folder"]), owner, found["task"], list(found["classes"])):
        what = f"the label '{s['label']}'" if s["label"] else "the label"
        told.append(
            ("shortcut", f"the {s['family']} alone predicts {what}: {s['metric']} {s['score']:.2f}, cross-validated, "
             f"and {s['chance']:.2f} by chance. A network may learn that in place of the patient.")
        )  # fmt: skip
    return told


def _test(store: Store, table: pd.DataFrame) -> list[tuple[str, str]]:
    """Warn of a test of so few patients that a 95 % interval of an accuracy of ACCURACY is wider than WIDEST."""
    owner = store.owners(copies.DISTANCE)["owner"].to_numpy()
    official = (table["split"] == "test").to_numpy()
    seen = owner[table["split"].isin(["train", "val"])]  # who stands there as well tests nothing
    n = len(set(owner[official]) - set(seen)) if official.any() else math.ceil(TEST * len(set(owner)))
    width = 2 * 1.96 * math.sqrt(ACCURACY * (1 - ACCURACY) / max(n, 1))
    if width <= WIDEST:
        return []
    what = "the test part has, besides what training has," if official.any() else f"a test part of {TEST:.0%} has"
    unit = _unit(store)
    points = f"{100 * min(width, 1):.0f} points wide"
    return [("small_test", f"{what} {n} {unit}: the 95 % interval of an accuracy of {ACCURACY:.0%} is {points}.")]


def _unreadable(store: Store, rejects: pd.DataFrame) -> list[tuple[str, str]]:
    bad = rejects[(rejects["kind"] == "unreadable") & (rejects["reason"] != DIFFER)]
    others = [p for p in rejects.loc[rejects["kind"] == "rule", "path"] if endings.ending_of(p) in endings.PICTURES]
    what = f"{'. '.join(endings.say_what_to_do(others))}."
    told = [f"{prose.count(len(others), 'file')} may hold images of a kind that is not read. {what}"]
    if bad.empty:
        return [("unreadable", text) for text in told if others]
    first = "; ".join(f"{path}: {reason}" for path, reason in bad[["path", "reason"]].head(3).itertuples(index=False))
    told = [f"{len(bad)} of {store.meta['files']} files cannot be read ({first}).", *(told if others else [])]
    return [("unreadable", text) for text in told]


def lines(facts: dict[str, Any]) -> list[str]:
    """Return the facts of `look` as lines to be read."""
    patients = "patients unknown" if facts["n_patients"] is None else f"{facts['n_patients']} patients"
    told = [f"{facts['n_images']} images, {patients}" + (", drawn by a program: phantoms" if facts["phantom"] else "")]
    for name, n in list(facts["classes"].items())[:MOST_LINES]:
        of = "" if facts["n_patients"] is None else f", {n['patients']} patients"
        told.append(f"  {name}: {n['images']} images{of}")
    if len(facts["classes"]) > MOST_LINES:
        told.append(f"  and {len(facts['classes']) - MOST_LINES} other classes (look.json)")
    if facts["splits"]:
        told.append("splits: " + ", ".join(f"{k} {n}" for k, n in facts["splits"].items()))
    told += [f"left out: {n} x {reason}" for reason, n in list(facts["left_out"].items())[:8]]
    told += [f"warning, {w['kind']}: {w['text']}" for w in facts["warnings"]]
    return told if facts["warnings"] else [*told, "nothing was found against these images"]
