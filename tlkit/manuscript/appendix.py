"""The appendix: behind every number its runs, notebook and commit; and what is not run, with its command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby

from tlkit.config import file_name
from tlkit.manuscript.quoting import Note, Quotes

SHORT = 8  # runs that are written in full; of more, those that differ in their seed alone share a line


def appendix(quotes: Quotes, pages: Mapping[str, str]) -> str:
    """Return the appendix as Markdown. `pages`: the folder of the page of each run that has one, for links."""
    parts = ["## What is not run"] if quotes.missing else []
    for key, (what, command) in sorted(quotes.missing.items()):
        parts.append(f"[](#at-{key}) {what}: `{command}`")
    parts.append("## The runs behind the numbers")
    parts.append("Each entry names its table or figure, the notebook that made it, the commit, and its runs.")
    named: dict[tuple[str, ...], str] = {}
    for note in sorted(quotes.notes.values(), key=lambda n: (n.saved.study, n.saved.name, n.key)):
        same = named.get(tuple(note.runs))
        parts.append(f"[](#at-{note.key}) {_entry(note)} " + (_as(same, note) if same else _list(note.runs, pages)))
        if len(note.runs) > SHORT:
            named.setdefault(tuple(note.runs), note.key)
    return "\n\n".join(parts)


def _entry(note: Note) -> str:
    facts = note.saved.facts
    whose = "own runs" if note.saved.own else "reference"
    data = "phantom" if facts.get("phantom") else "real"
    commit = str(facts.get("commit", "unknown"))[:10] + (" with changes" if facts.get("dirty") else "")
    made = f"`{facts.get('notebook')}`, {data} data, scale {facts.get('scale')}, {whose}, commit `{commit}`"
    return f"**{note.label}**: {made}."


def _as(key: str, note: Note) -> str:
    return f"{len(note.runs)} runs, [the same as here](#{key})."


def _list(runs: Iterable[str], pages: Mapping[str, str]) -> str:
    runs = list(runs)
    if not runs:
        return "No runs: it is computed from what the paper prints."
    if len(runs) <= SHORT:
        return f"{len(runs)} runs: " + ", ".join(_link(rid, rid, pages) for rid in runs)
    told = []
    for stem, same in groupby(runs, key=_stem):
        told.append(f"`{stem}` " + " ".join(_link(rid, rid.removeprefix(f"{stem}-"), pages) for rid in same))
    return f"{len(runs)} runs: " + "; ".join(told)


def _stem(rid: str) -> str:
    """Return a run's name without its seed and hash."""
    return rid.rsplit("-", 2)[0]


def _link(rid: str, text: str, pages: Mapping[str, str]) -> str:
    return f"[`{text}`]({pages[rid]}{file_name(rid, 200)}.html)" if rid in pages else f"`{text}`"
