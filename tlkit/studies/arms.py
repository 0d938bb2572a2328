"""The arms of a study: pretrainings as it describes them, and how many pretraining runs stand behind each.

The pretraining runs of an arm differ by their seed alone. Downstream runs that start from one of them share its luck:
to say that one arm is better than another, the pretraining run is the unit (`figures.nested`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from tlkit.config import canonical
from tlkit.names import Names


def find_arms(pretrainings: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the arm of each pretraining of a study but random weights: itself, or the one that it repeats.

    One with a `seed` of its own that is like an earlier one in all else but its title repeats it; so does what goes on
    (`after`) from a repeat. Published weights are an arm, too.
    """
    found: dict[str, str] = {}
    first: dict[str, str] = {}
    for name, entry in pretrainings.items():
        what = {k: v for k, v in entry.items() if k not in ("title", "of", "seed")}
        if not what:
            continue
        start = entry.get("after")
        if start:
            what["after"] = found[start]
        arm = first.setdefault(canonical(what), name)
        found[name] = arm if "seed" in entry or (start and found[start] != start) else name
    return found


def say_arms(results: pd.DataFrame, arms: Mapping[str, str], names: Mapping[str, str] | None = None) -> str:
    """Return what a caption has to say of the pretraining runs behind `results` (a column pretraining).

    `arms`: the arm of each pretraining run, published weights among them; without any of them there is nothing to say.
    """
    there = [name for name in dict.fromkeys(results["pretraining"]) if name in arms]
    counts = pd.Series([arms[name] for name in there], dtype=object).value_counts(sort=False)
    if counts.empty:
        return ""
    if counts.max() == 1:
        return (
            "One pretraining run an arm: the spread is that of the downstream runs alone, so a difference between arms "
            "may be one between two pretraining runs."
        )
    shown = Names(names or {})
    told = ", ".join(f"{shown[arm]} {count}" for arm, count in counts.items())
    text = f"Pretraining runs an arm: {told}; arms are compared by tests that take each as one value."
    return text + (" An arm with one cannot be tested so." if counts.min() == 1 else "")
