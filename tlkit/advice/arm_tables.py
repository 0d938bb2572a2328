"""The tables of an answer's arms, and what was not tried: cells of text, for HTML and Markdown alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tlkit.advice.hints import HINTS
from tlkit.advice.prose import SCORES, count, metric, number, say_between, title

Answer = Mapping[str, Any]
Arm = Mapping[str, Any]


class Table(NamedTuple):
    """A table of text; `leads` tells for each row whether it is the leading arm's."""

    caption: str
    columns: list[str]
    rows: list[list[str]]
    leads: list[bool]


def tabulate_arms(answer: Answer) -> list[Table]:
    """Return what fine-tuning gave and what frozen features did, a row an arm; columns without a value are left out."""
    shots = sorted({n for arm in answer["arms"] for n in arm["few_shot"] or ()}, key=int)
    tuned = {
        "fine-tuned": lambda a: number(a["value"]),
        "95 % interval": lambda a: _held(a, ""),
        "behind the leader": lambda a: number(a["difference"]),
        "95 % interval of that": lambda a: _held(a, "difference_"),
        "runs": lambda a: "–" if a["runs"] is None else str(a["runs"]),
        "rate": lambda a: "–" if a["rate"] is None else f"{a['rate']:g}",
        "minutes": lambda a: number(a["minutes"], 1),
        "MB": lambda a: number(a["mb"], 1),
    }
    frozen = {SCORES[name]: lambda a, name=name: number(a[name]) for name in ("probe", "knn")}
    frozen |= {f"{n} a class": lambda a, n=n: _few(a, n) for n in shots}
    frozen |= {SCORES[name]: lambda a, name=name: number(a[name]) for name in HINTS}
    name = metric(answer)
    captions = (
        f"Fine-tuned: {name} of the test patients.",
        _frozen(answer),
    )
    ran = [a for a in answer["arms"] if a["runs"] is not None]
    parts = ((ran, captions[0], tuned), (answer["arms"], captions[1], frozen))
    found = [_filled(answer, *part) for part in parts]
    return [table for table in found if len(table.columns) > 1]


def _frozen(answer: Answer) -> str:
    """Return of how many images frozen features are, and what their columns say."""
    of = answer.get("frozen_of")
    many = f" of {count(of['images'], 'image')} of {_owners(answer, of['patients'])}" if of else ""
    if answer["task"] == "segmentation":
        told = (
            f"{metric(answer)} of a linear decoder on frozen maps. k-NN, few images a class and hints are for labels of"
        )
        return f"Frozen features{many}: {told} whole images: of masks there is none."
    told = f"{metric(answer)} of the linear probe, k-NN and few images a class (± sd); hints have own scales."
    return f"Frozen features{many}: {told}"


def _owners(answer: Answer, patients: int) -> str:
    return count(None if answer["n_patients"] is None else patients, "patient")


def _filled(answer: Answer, of: Sequence[Arm], caption: str, cells: Mapping[str, Callable[[Arm], str]]) -> Table:
    full = [[title(answer, arm["arm"]), *(cell(arm) for cell in cells.values())] for arm in of]
    used = [i for i in range(len(cells) + 1) if i == 0 or any(row[i] != "–" for row in full)]
    columns = ["arm", *cells]
    leads = [arm["arm"] == answer["start_from"] for arm in of]
    return Table(caption, [columns[i] for i in used], [[row[i] for i in used] for row in full], leads)


def list_missing(answer: Answer) -> list[str]:
    """Return a line for each arm whose weights are not there: name, size, licence, source."""
    return [
        ", ".join(str(part) for part in (row["name"], *(row.get(k) for k in ("size", "licence", "source"))) if part)
        for row in answer.get("missing") or ()
    ]


def list_dropped(answer: Answer) -> list[str]:
    """Return a line for each arm that got no runs, or no more, with the reason."""
    found = [a for a in answer["arms"] if a["dropped"]]
    words = ["is left out" if a["runs"] is None else "got no more runs" for a in found]
    return [f"{title(answer, a['arm'])} {word}: {a['dropped']}." for a, word in zip(found, words, strict=True)]


def _few(arm: Arm, shots: str) -> str:
    """Return the mean over draws of so many images a class, and their standard deviation."""
    mean, sd = ((arm[key] or {}).get(shots) for key in ("few_shot", "few_shot_sd"))
    return number(mean) if sd is None else f"{number(mean)} ± {number(sd)}"


def list_loaded(answer: Answer) -> list[str]:
    """Return a line for each arm whose weights were read from a file: what of them was taken."""
    return [f"{title(answer, a['arm'])}, weights loaded: {a['load']}." for a in answer["arms"] if a["load"]]


def _held(arm: Mapping[str, Any], what: str) -> str:
    low, high = arm[f"{what}low"], arm[f"{what}high"]
    return "–" if low is None else say_between(low, high)
