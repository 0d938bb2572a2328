"""The appendix: behind every number its runs, notebook and commit; and what is not run, with its command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby

from tlkit import paths
from tlkit.manuscript.quoting import Note, Quotes
from tlkit.manuscript.results import Saved

SHORT = 12  # runs that are written in full; of more, those that differ in their seed alone share a line


def appendix(quotes: Quotes, pages: Mapping[str, str]) -> str:
    """Return the appendix as Markdown. `pages`: the page of each run, and of each result by kind and title, for links.

    Where all runs of a result stand behind a number, and they are many, its sidecar (or page) is named in their place.
    """
    parts = ["## What is not run"] if quotes.missing else []
    for key, (what, command) in sorted(quotes.missing.items()):
        parts.append(f"[](#at-{key}) {what}: `{command}`")
    parts.append("## The runs behind the numbers")
    parts.append("Each entry names its table or figure, the notebook that made it, the commit, and its runs.")
    for note in sorted(quotes.notes.values(), key=lambda n: (n.saved.study, n.saved.name, n.key)):
        parts.append(f"[](#at-{note.key}) {_entry(note)} {_runs(note, pages)}")
    return "\n\n".join(parts)


def _entry(note: Note) -> str:
    facts = note.saved.facts
    whose = "own runs" if note.saved.own else "reference"
    data = "phantom" if facts.get("phantom") else "real"
    commit = str(facts.get("commit", "unknown"))[:10] + (" with changes" if facts.get("dirty") else "")
    made = f"`{facts.get('notebook')}`, {data} data, scale {facts.get('scale')}, {whose}, commit `{commit}`"
    return f"**{note.label}**: {made}."


def _runs(note: Note, pages: Mapping[str, str]) -> str:
    if not note.runs:
        return "No runs: it is computed from what the paper prints."
    told = f"{len(note.runs)} runs"
    if len(note.runs) <= SHORT:
        return f"{told}: " + ", ".join(_link(rid, rid, pages) for rid in note.runs)
    if len(note.runs) == len(note.saved.runs):
        return f"{told}, listed in {_place(note.saved, pages)}."
    return f"{told}: " + "; ".join(_stems(note.runs, pages))


def _place(saved: Saved, pages: Mapping[str, str]) -> str:
    """Return where the runs of a result are listed: its page, else its sidecar."""
    path = saved.file("json")
    root = paths.paper_root().parent if saved.own else paths.REPO
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
    return _link(f"{saved.kind}/{saved.title}", name, pages)


def _stems(runs: Iterable[str], pages: Mapping[str, str]) -> Iterable[str]:
    for stem, same in groupby(runs, key=_stem):
        yield f"`{stem}` " + " ".join(_link(rid, rid.removeprefix(f"{stem}-"), pages) for rid in same)


def _stem(rid: str) -> str:
    """Return a run's name without its seed and hash."""
    return rid.rsplit("-", 2)[0]


def _link(what: str, text: str, pages: Mapping[str, str]) -> str:
    return f"[`{text}`]({pages[what]})" if what in pages else f"`{text}`"
