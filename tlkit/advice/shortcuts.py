"""Facts of files that alone predict the label: a network would find them first, and learn nothing of the patient."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tlkit.advice import pictures
from tlkit.datasets.store import Store
from tlkit.layouts.folders import EXTENSIONS

FOLDS, DEPTH, LEAF = 5, 3, 3
SKILL, SIGMAS = 0.2, 3.0  # of the way from chance to always right, and standard errors of chance, that make a warning
FEWEST = 4  # patients of a class, below which nothing is cross-validated


def facts(store: Store, root: Path) -> dict[str, pd.DataFrame]:
    """Return what is known of the file of each row of a store: by family, numbers [N,F]; all of one value are left out.

    "file format" (ending, format, mode), "image size" (width, height, their ratio), "grey range" (least and largest
    value of the stored image).
    """
    images = store.images
    flat = [np.asarray(images[i : i + 512]).reshape(len(images[i : i + 512]), -1) for i in range(0, len(images), 512)]
    ends = [np.concatenate([f(block, axis=1) for block in flat]) for f in (np.min, np.max)]
    families = {"grey range": pd.DataFrame({"least": ends[0], "largest": ends[1]})}
    paths = store.table["path"]
    if paths.map(lambda path: Path(path).suffix.lower() in EXTENSIONS).all() and (root / paths.iloc[0]).is_file():
        rows = [pictures.header(root, path) or {} for path in paths]
        heads = pd.DataFrame(rows, columns=["format", "mode", "width", "height"])
        ending = paths.map(lambda path: Path(path).suffix).rename("ending").reset_index(drop=True)
        families["file format"] = pd.get_dummies(pd.concat([heads[["format", "mode"]], ending], axis=1)).astype(float)
        size = heads[["width", "height"]].fillna(0).astype(float)
        families["image size"] = size.assign(ratio=size["width"] / size["height"].clip(lower=1))
    return {name: values for name, values in families.items() if (values.nunique() > 1).any()}


def find(store: Store, root: Path, owner: pd.Series, task: str, classes: list[str]) -> list[dict]:
    """Return a dict for each family of `facts` that predicts the answer better than chance, cross-validated by owner.

    Keys: family, label (of several labels the one that is predicted best), score, chance, metric (balanced accuracy, or
    R2 of a regression). A decision tree of depth 3; deterministic.
    """
    table, told = store.table, []
    if task == "segmentation":
        return told
    targets = {name: table[name].to_numpy() for name in classes} if task in ("multilabel", "regression") else {}
    targets = targets or {"": table["label"].to_numpy()}
    for family, values in facts(store, root).items():
        scored = [(predict(values.to_numpy(float), y, owner.to_numpy(), task), name) for name, y in targets.items()]
        best = max((s, name) for s, name in scored)
        (skill, score, chance), name = best
        if skill >= SKILL:
            metric = "R2" if task == "regression" else "balanced accuracy"
            told.append({"family": family, "label": name, "score": score, "chance": chance, "metric": metric})
    return told


def predict(values: np.ndarray, answer: np.ndarray, owner: np.ndarray, task: str) -> tuple[float, float, float]:
    """Return (skill, score, chance) of a tree, cross-validated; a skill of 0 where it is within the error of chance."""
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    if task == "regression":
        folds = min(FOLDS, len(set(owner)))
        if folds < 2 or len(set(owner)) < 2 * FOLDS or answer.std() == 0:
            return 0.0, 0.0, 0.0
        tree = DecisionTreeRegressor(max_depth=DEPTH, min_samples_leaf=LEAF, random_state=0)
        guess = cross_val_predict(tree, values, answer, groups=owner, cv=GroupKFold(folds))
        score = float(1 - ((guess - answer) ** 2).sum() / ((answer - answer.mean()) ** 2).sum())
        return max(0.0, score), score, 0.0
    sizes = pd.Series(owner).groupby(answer).nunique()
    known = sizes.index[sizes >= FEWEST]
    kept = np.isin(answer, known)
    if len(known) < 2:
        return 0.0, 0.0, 0.0
    answer, values, owner, sizes = answer[kept], values[kept], owner[kept], sizes[known]
    tree = DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=LEAF, class_weight="balanced", random_state=0)
    cv = StratifiedGroupKFold(min(FOLDS, int(sizes.min())))
    guess = cross_val_predict(tree, values, answer, groups=owner, cv=cv)
    chance = 1 / len(known)
    score = float(np.mean([(guess[answer == k] == k).mean() for k in known]))
    error = np.sqrt((chance * (1 - chance) / sizes).sum()) / len(known)
    return (0.0 if score < chance + SIGMAS * error else (score - chance) / (1 - chance)), score, chance
