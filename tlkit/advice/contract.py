"""What an answer holds: the keys of `answer.json`, checked, and made of a decision and the cheap evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from tlkit.advice import looking
from tlkit.advice.hints import HINTS
from tlkit.config import TlkitError

KEYS = (
    "task", "metric", "n_images", "n_patients", "classes", "start_from", "confidence", "arms", "warnings", "seconds",
)  # fmt: skip
# Besides, where there are any: name, why, n_test_patients, splits, seeds, phantom, budget (seconds), agreement (rows of
# deciding.agreement), frozen_of (images, patients: of how many the frozen features are), curve (arm, images, value,
# low, high), dropped (arm: reason), missing (name, size, licence, source), reading (what was understood of the folder),
# study (text), study_file, weights_file, loading (text).
ARM = (
    "arm", "title", "rate", "runs", "value", "low", "high", "difference", "difference_low", "difference_high", "best",
    "shared", "of_patients", "decided_by", "probe", "knn", "few_shot", "few_shot_sd", "logme", "h_score", "nleep",
    "minutes", "mb", "load", "dropped",
)  # fmt: skip
FEW = {"few_shot": "mean", "few_shot_sd": "sd"}  # over draws of the few images
WORDS = ("clear", "likely", "open")
KINDS = (*looking.KINDS, "undertrained")


class AnswerError(TlkitError, ValueError):
    """An answer that lacks what a reader needs."""


def check_answer(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer as plain values: NaN and infinity are None, arrays are lists, every arm has all of ARM.

    Raises AnswerError for missing keys, a confidence out of WORDS, a warning out of KINDS or without text, arms without
    a name or with one name, and a `start_from` that is no arm.
    """
    found = make_plain(answer)
    if missing := [key for key in KEYS if key not in found]:
        raise AnswerError(f"an answer needs the keys {', '.join(missing)}; found {', '.join(found)}.")
    if found["confidence"] not in WORDS:
        raise AnswerError(f"confidence is one of {', '.join(WORDS)}, found {found['confidence']!r}.")
    for warning in found["warnings"]:
        if warning.get("kind") not in KINDS or not warning.get("text"):
            raise AnswerError(f"a warning has a text and a kind out of {', '.join(KINDS)}, found {warning!r}.")
    names = [arm.get("arm") for arm in found["arms"]]
    if not all(names) or len(set(names)) < len(names):
        raise AnswerError(f"every arm has a name of its own, found {names}.")
    if found["start_from"] is not None and found["start_from"] not in names:
        raise AnswerError(f"start_from is {found['start_from']!r}, which is no arm: {', '.join(names)}.")
    if found["start_from"] is None and found["confidence"] != "open":
        raise AnswerError(f"an answer without start_from is open, found {found['confidence']}.")
    found["arms"] = [dict.fromkeys(ARM) | arm for arm in found["arms"]]
    return found


def arms(
    decision: Mapping[str, Any] | None,
    evidence: Mapping[str, Mapping[str, Any]],
    facts: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """Return the arms of an answer: those of `deciding.decide` in its order, then the others by their probe's order.

    `evidence` is what `scores.evidence` gives of each arm, `facts` more of each: title, minutes, mb, load, dropped.
    """
    tuned = {row["arm"]: row for row in (decision or {}).get("arms", ())}
    facts = facts or {}
    kept = ("probe", "knn", "logme", "h_score", "nleep")
    out = []
    for arm in [*tuned, *(a for a in {**evidence, **facts} if a not in tuned)]:
        cheap = evidence.get(arm, {})
        few = cheap.get("few_shot") or {}
        row = {name: cheap.get(name) for name in kept}
        row |= {key: {str(n): s[of] for n, s in few.items()} or None for key, of in FEW.items()}
        out.append({"arm": arm} | row | tuned.get(arm, {}) | facts.get(arm, {}))
    return out


def score_table(evidence: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return the cheap scores as `deciding.agreement` reads them: a row an arm, few images as few_shot_N."""
    rows = {}
    for arm, cheap in evidence.items():
        few = {f"few_shot_{n}": shot["mean"] for n, shot in cheap.get("few_shot", {}).items()}
        rows[arm] = {name: cheap.get(name, np.nan) for name in ("probe", "knn")} | few
        rows[arm] |= {name: cheap.get(name, np.nan) for name in HINTS}
    return pd.DataFrame.from_dict(rows, orient="index", dtype=float)


def make_plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, Mapping):
        return {str(k): make_plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return make_plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [make_plain(v) for v in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value if value is None else str(value)
