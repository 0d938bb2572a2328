"""What `python -m tlkit data` prints and does about where data sets come from."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from pathlib import Path

from tlkit import paths
from tlkit.config import lookup
from tlkit.datasets.cards import DATASETS, DataCard, place, present
from tlkit.models import weight_cards
from tlkit.models.weight_list import WEIGHTS
from tlkit.sources import about, fetch, fetch_plan, receipt, size_of, sizes, take

WIDTH = 100


def table() -> str:
    """Return the tables of all data sets and published weights, at most WIDTH columns wide."""
    sets = [("name", "what", "size to fetch", "licence", "present")]
    sets += [(c.name, f"{c.domain} {c.task}", _sizes(c), c.licence, _present(c)) for c in DATASETS.values()]
    known = paths.data_root()
    told = [
        f"Looked for in {known or fetch_plan.folder_root()}{'' if known else ' (TLKIT_DATA is not set)'}.",
        "`data show NAME` has tree, steps, licence and citation; `data get NAME` brings what is not here.",
    ]
    weights = [("published weights", "MB", "licence", "present")]
    for w in WEIGHTS.values():
        there = "yes" if weight_cards.present(w) else "no"
        weights.append((w.name, str(weight_cards.megabytes(w)), w.licence, there))
    last = "Looked for in TLKIT_WEIGHTS; tlkit/models/cards has the source and the steps of each."
    return "\n".join([*_columns(sets, (17, 24, 19, 0, 7)), "", *told, "", *_columns(weights, (37, 4, 0, 7)), "", last])


def _columns(rows: list[tuple[str, ...]], widths: tuple[int, ...]) -> list[str]:
    """Return rows as lines; the column of width 0 takes what the others leave of WIDTH, and texts are cut to fit."""
    rest = WIDTH - sum(widths) - 2 * (len(widths) - 1)
    lines = ("  ".join(_cut(text, width or rest) for text, width in zip(row, widths, strict=True)) for row in rows)
    return [line.rstrip() for line in lines]


def _cut(text: str, width: int) -> str:
    return (text if len(text) <= width else text[: width - 1] + "…").ljust(width)


def _sizes(card: DataCard) -> str:
    if not card.fetch:
        return "by hand"
    first = size_of(card)
    return megabytes(about(card, first)) + (f" to {megabytes(most)}" if (most := _most(card)) else "")


def _most(card: DataCard) -> int:
    """Return the bytes of the largest size, 0 where there is one size only."""
    largest = max(about(card, name) for name in sizes(card))
    return largest if largest > about(card, size_of(card)) else 0


def _present(card: DataCard) -> str:
    if not present(card, paths.data_root()):
        return "no"
    folder = place(card, paths.data_root())
    return (read_facts(folder).get("size") if folder else "") or "yes"


def read_facts(folder: Path) -> dict:
    """Return what the receipt of a folder says, besides its files; nothing without one that can be read."""
    try:
        return json.loads((folder / receipt.FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def megabytes(count: int) -> str:
    """Return a number of bytes as people say it."""
    if count < 0:
        return "unknown"
    for unit, many in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= many:
            return f"{count / many:,.3g} {unit}"
    return f"{count / 1e3:,.1f} kB"


def show(name: str) -> str:
    """Return all that a card says, with the steps to get the data set."""
    card = lookup(name, DATASETS, "data set")
    lines = [f"{card.name}: {card.title}", f"{card.domain}, {card.task}. {_counts(card)}".rstrip(), ""]
    lines += [f"Licence: {card.licence}", f"Source: {card.source}", f"Cite: {card.citation}", ""]
    lines = [_filled(line) for line in lines] + [f"Expected, below the folder of data sets:\n{card.tree}"]
    folder = place(card, paths.data_root())
    there = folder if present(card, paths.data_root()) else None
    facts = read_facts(there) if there else {}
    of = f" (size {facts['size']}, fetched on {facts['date']})" if facts.get("size") else ""
    lines += [f"Present: {f'{there}{of}' if there else 'no'}", "", "To get it:"]
    if not card.fetch:
        told = fetch_plan.steps(card).rpartition("\nThe tree that is read")[0].splitlines()
        return "\n".join([*lines, *(_filled(step, "     ") for step in told)])
    ways = {f"--size {size}": megabytes(about(card, size)) + _same(card, size) for size in sizes(card)}
    ways["--from FOLDER"] = "what was fetched elsewhere, checked"
    width = max(map(len, ways))
    lines += [f"  python -m tlkit data get {card.name} {way.ljust(width)}   {what}" for way, what in ways.items()]
    by_hand = [step for step in card.access if not step.startswith("python -m tlkit data get")]
    return "\n".join([*lines, *(_filled(f"  {step}", "  ") for step in by_hand)])


def _filled(text: str, indent: str = "") -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _same(card: DataCard, size: str) -> str:
    return "" if size_of(card, size) == size else f" (is {size_of(card, size)})"


def _counts(card: DataCard) -> str:
    return ", ".join(f"{n:,} {what}" for what, n in card.counts.items())


def get(name: str, size: str, to: Path | None, dry: bool, source: Path | None, yes: bool) -> str:
    """Fetch a data set, or take it from a folder, and return what was done. Asks where a person sits there."""
    card = lookup(name, DATASETS, "data set")
    if source and not card.fetch:
        return _done(card, take.take_tree(card, source, to), to)
    if source and not size and card.fetch["kind"] == "http":
        size = take.size_in(card, source)
    planned = fetch_plan.plan(card, size, to)
    if source:
        return _done(card, take.take(planned, source, yes), to)
    planned = fetch_plan.ask_sizes(planned)
    print(summary(planned))
    if dry:
        return "Nothing was fetched (--dry-run)."
    if not yes and not ask_agreement("Fetch it?"):
        return "Nothing was fetched."
    return _done(card, fetch.get(planned, yes), to)


def summary(planned: fetch_plan.Plan) -> str:
    """Return what a plan fetches: how much, under which licences, whereto, and how much room is there."""
    rows, folder = planned.rows, planned.folder
    by_licence = rows.groupby("licence")["files"].sum()
    licences = "; ".join(f"{licence} ({_files(n)})" for licence, n in by_licence.items())
    above = next(p for p in (folder.parent, *folder.parent.parents) if p.is_dir())
    much = ("" if (rows["bytes"] >= 0).all() else "about ") + megabytes(planned.bytes)
    return (
        f"{planned.card.name}, size {planned.size}: {_files(rows['files'].sum())}, {much}\n"
        f"  licence  {licences}\n"
        f"  source   {planned.card.source}{f', version {planned.version}' if planned.version else ''}\n"
        f"  into     {folder} ({megabytes(shutil.disk_usage(above).free)} free)"
    )


def _files(count: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'}"


def ask_agreement(question: str) -> bool:
    """Ask a person; a script that runs the command has decided."""
    return not sys.stdin.isatty() or input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def _done(card: DataCard, folder: Path, to: Path | None) -> str:
    found = receipt.read(folder)
    told = f"{folder}: whole"
    told += f", {_files(len(found[1]))}, {megabytes(int(found[1]['bytes'].sum()))}." if found else "."
    told += f" Whom to cite: {folder / receipt.CITE}" if (folder / receipt.CITE).is_file() else ""
    root = folder_above(card, folder)
    return told if root == paths.data_root() else f"{told}\nTo use it: export TLKIT_DATA={root}"


def folder_above(card: DataCard, folder: Path) -> Path:
    """Return the folder of data sets in which a card's folder lies."""
    return folder.parents[len(Path(card.folder).parts) - 1]


def verify(name: str, to: Path | None) -> tuple[str, bool]:
    """Return what is wrong with the files of a data set by its receipt, and whether nothing is."""
    card = lookup(name, DATASETS, "data set")
    wrong, folder = fetch.verify(card, to), fetch_plan.folder_of(card, to)
    facts = read_facts(folder)
    changed = _changed(card, facts)
    if wrong.empty:
        return f"{folder}: as its receipt says.{changed}", True
    lines = [f"  {row.path}: {row.reason}" for row in wrong.head(20).itertuples()]
    again = (
        f"`python -m tlkit data get {name} --size {facts['size']}` fetches" if facts.get("size") else "`--from` brings"
    )
    more = [f"  ... {len(wrong):,} in all"] if len(wrong) > 20 else []
    return "\n".join(
        [f"{folder} is not as its receipt says:", *lines, *more, f"{again} what is missing or changed."]
    ), False


def _changed(card: DataCard, facts: dict) -> str:
    """Return what is to be said where the list of a size is another one than when it was fetched."""
    if not card.fetch or facts.get("size") not in sizes(card):
        return ""
    now = fetch_plan.plan(card, facts["size"])
    if now.hash == facts["list"]:
        return ""
    versions = f" ({facts['version']} then, {now.version} now)" if now.version != facts["version"] else ""
    return f"\nIts list has changed since{versions}: `data get {card.name} --size {facts['size']}` fetches what is new."
