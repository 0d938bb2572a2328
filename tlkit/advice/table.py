"""The table of an answer's arms, and what was not tried: cells of text, for HTML and Markdown alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tlkit.advice.prose import SCORES, between, metric, number, title

Answer = Mapping[str, Any]


def arms(answer: Answer) -> tuple[list[str], list[tuple[bool, list[str]]]]:
    """Return the columns and, for each arm, (whether it leads, its cells); columns that no arm fills are left out."""
    shots = sorted({n for arm in answer["arms"] for n in arm["few_shot"] or ()}, key=int)
    cells = {
        "arm": lambda a: title(answer, a["arm"]),
        "fine-tuned": lambda a: number(a["value"]),
        "95 % interval": lambda a: "–" if a["low"] is None else between(a["low"], a["high"]),
        "behind the leader": lambda a: number(a["difference"]),
        "interval of that": lambda a: "–" if a["difference_low"] is None else _both(a),
        "runs": lambda a: "–" if a["runs"] is None else str(a["runs"]),
        "rate": lambda a: "–" if a["rate"] is None else f"{a['rate']:g}",
        **{SCORES[name]: lambda a, name=name: number(a[name]) for name in ("probe", "knn")},
        **{f"{n} a class": lambda a, n=n: number((a["few_shot"] or {}).get(n)) for n in shots},
        **{SCORES[name]: lambda a, name=name: number(a[name]) for name in ("logme", "h_score", "nleep")},
        "minutes": lambda a: number(a["minutes"], 1),
        "MB": lambda a: number(a["mb"], 1),
        "weights loaded": lambda a: a["load"] or "–",
        "dropped": lambda a: a["dropped"] or "–",
    }
    full = [(arm["arm"] == answer["start_from"], [str(cell(arm)) for cell in cells.values()]) for arm in answer["arms"]]
    used = [i for i in range(len(cells)) if i == 0 or any(row[i] != "–" for _, row in full)]
    return [list(cells)[i] for i in used], [(leads, [row[i] for i in used]) for leads, row in full]


def note(answer: Answer) -> str:
    """Return what the numbers of the table are."""
    first = metric(answer)
    return (
        f"{first[0].upper()}{first[1:]} of fine-tuned runs, linear probe, k-NN and few images a class; "
        "LogME, H-score and NLEEP have scales of their own and are hints."
    )


def missing(answer: Answer) -> list[str]:
    """Return a line for each arm whose weights are not there: name, size, licence, source."""
    return [
        ", ".join(str(part) for part in (row["name"], *(row.get(k) for k in ("size", "licence", "source"))) if part)
        for row in answer.get("missing") or ()
    ]


def _both(arm: Mapping[str, Any]) -> str:
    return between(arm["difference_low"], arm["difference_high"])
