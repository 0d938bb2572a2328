"""Data of a study that are not here and that a command can fetch: asked for once, before the study is made."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from tlkit import paths
from tlkit.config import TlkitError
from tlkit.datasets.cards import DATASETS, DataCard, present
from tlkit.sources import about, commands, fetch, fetch_plan, size_of, sizes
from tlkit.studies import Study, load

ACCEPT = "ACCEPT"  # environment variable: 1 fetches without asking


def fetch_missing(names: Iterable[str], scale: str, data: str = "") -> None:
    """Fetch what studies need and is not here: what a person agrees to, or all with ACCEPT=1; else say the commands.

    A study that cannot be read says so later; what cannot be fetched is told, and the studies go on without it.
    """
    missing: dict[str, str] = {}
    for name in names:
        try:
            missing |= find_missing(load(name, scale, data))
        except (TlkitError, OSError):
            continue
    if not missing:
        return
    lines = [f"  python -m tlkit data get {name} --size {size}   {_said(name, size)}" for name, size in missing.items()]
    print("\n".join(["These data are not here, and need no login:", *lines, f"They go to {fetch_plan.folder_root()}."]))
    if not _agreed():
        print("Not fetched. Say ACCEPT=1, or fetch them by the commands above; what is here is done without them.")
        return
    for name, size in missing.items():
        try:
            wanted = fetch_plan.ask_sizes(fetch_plan.plan(DATASETS[name], size))
            print(commands.summary(wanted), flush=True)
            fetch.get(wanted, over=True)
        except (TlkitError, OSError) as error:
            print(f"{type(error).__name__}: {error}", flush=True)


def find_missing(study: Study) -> dict[str, str]:
    """Return {data set: size} that a study needs, that is not here or is smaller here, and that can be fetched."""
    if study.phantom:
        return {}
    used = {entry["dataset"] for entry in study.spec["tasks"].values()}
    used |= {name for pretraining in study.pretrainings for name in study.corpora(pretraining)}
    wanted = study.spec.get("fetch", {})
    open_sets = [DATASETS[name] for name in sorted(used) if name in DATASETS and DATASETS[name].fetch]
    asked = {card.name: size_of(card, wanted.get(card.name, "")) for card in open_sets}
    return {name: size for name, size in asked.items() if _is_missing(DATASETS[name], size)}


def _is_missing(card: DataCard, size: str) -> bool:
    if not present(card, paths.data_root()):
        return True
    had = _size_here(card)
    return had in sizes(card) and about(card, had) < about(card, size)


def _size_here(card: DataCard) -> str:
    return commands.read_facts(fetch_plan.folder_of(card)).get("size", "")


def _said(name: str, size: str) -> str:
    card = DATASETS[name]
    smaller = f", in place of size {had}" if (had := _size_here(card)) else ""
    return f"about {commands.megabytes(about(card, size))}, {card.licence}{smaller}"


def _agreed() -> bool:
    if os.environ.get(ACCEPT) == "1":
        return True
    return sys.stdin.isatty() and input("Fetch them now? [y/N] ").strip().lower() in ("y", "yes")
