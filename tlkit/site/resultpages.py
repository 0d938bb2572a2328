"""A page a figure and table: picture or rows, caption, notebook, commit, and the runs behind it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tlkit import files
from tlkit.config import file_name
from tlkit.manuscript.provenance import Provenance
from tlkit.manuscript.results import Saved
from tlkit.manuscript.thumbnails import shrink
from tlkit.site.page import code, link, make_list, page, table, text
from tlkit.site.runpages import address

ROWS = 25  # of a table on its page; the file has all


def place(saved: Saved) -> str:
    """Return the address of a result's page in the site."""
    return f"results/{saved.kind}-{saved.study}-{saved.name}.html"


def picture(saved: Saved) -> str:
    """Return the file name of a figure's picture."""
    return file_name(f"{saved.study}-{saved.name}", 150) + ".webp"


def write(out: Path, known: Provenance, there: Iterable[str], books: dict[str, str]) -> None:
    """Write a page for each figure and table, and their index. `books`: addresses of notebooks by name."""
    there = set(there)
    for saved in known.saved:
        files.write_text(out / place(saved), _page(out, saved, known, there, books))
    body = ["<h1>Figures and tables</h1>"]
    for study in dict.fromkeys(saved.study for saved in known.saved):
        of = [saved for saved in known.saved if saved.study == study]
        whose = "your own runs" if of[0].own else "reference results"
        body.append(f"<h2>{text(study)}</h2><p>{whose}, {'phantom' if of[0].facts.get('phantom') else 'real'} data</p>")
        body.append(make_list([f"{link(place(s), s.name)} ({s.kind[:-1]}): {text(_first(s))}" for s in of], "None."))
    files.write_text(out / "results.html", page("Figures and tables", "".join(body), "results.html"))


def _first(saved: Saved) -> str:
    return str(saved.facts.get("caption", "")).partition(". ")[0][:160]


def _page(out: Path, saved: Saved, known: Provenance, there: set[str], books: dict[str, str]) -> str:
    facts, gone = saved.facts, known.results.gone(saved)
    book = str(facts.get("notebook"))
    origin = [("made by", link(f"../notebooks/{books[book]}", book) if book in books else text(book))]
    origin += [("commit", text(facts.get("commit")) + (" with changes" if facts.get("dirty") else ""))]
    origin += [("machine", text(facts["machine"]))] if "machine" in facts else []
    origin += [("date", text(facts.get("date"))), ("scale", text(facts.get("scale")))]
    origin += [("data", "phantom: no results on patients" if facts.get("phantom") else "real")]
    body = [
        f"<h1>{text(saved.kind[:-1].capitalize())} {text(saved.title)}</h1>",
        f"<p>{text(facts.get('caption', ''))}</p>",
    ]
    if gone:
        command = known.results.command(saved.study, saved.name)
        lost = f"<strong>not run</strong>: {len(gone)} of its runs are not there. {code(command)}"
        body.append(f'<p class="warn">{lost}</p>')
    else:
        body.append(_shown(out, saved))
    others = [s for s in known.saved if s.study == saved.study and s.facts.get("notebook") == book and s != saved]
    body.append(f"<h2>Where it comes from</h2>{table((), origin)}")
    body.append("<h2>From the same notebook</h2>")
    body.append(make_list([link(f"../{place(s)}", f"{s.kind[:-1]} {s.name}") for s in others], "Nothing else."))
    body.append(f"<h2>Its {len(saved.runs)} runs</h2>{_runs(saved, known, there)}")
    return page(saved.title, "".join(body), place(saved))


def _runs(saved: Saved, known: Provenance, there: set[str]) -> str:
    """Return the list of runs, or a link to the first page that has the same ones: long lists come often."""
    first = next(s for s in known.saved if s.runs == saved.runs)
    if first != saved and saved.runs:
        return f"<p>The same as those of {link(f'../{place(first)}', f'{first.kind[:-1]} {first.title}')}.</p>"
    runs = [link(f"../runs/{address(rid)}.html", rid) if rid in there else text(rid) for rid in saved.runs]
    return make_list(runs, "None: it is computed from what a paper prints.")


def _shown(out: Path, saved: Saved) -> str:
    if saved.kind == "figures":
        name = picture(saved)
        shrink(saved.file("png"), out / "results" / "pictures" / name)
        return f'<figure><img src="pictures/{name}" alt="{text(saved.facts.get("caption", ""))}"></figure>'
    frame = saved.frame
    rows = [[text(_cell(value)) for value in row] for row in frame.head(ROWS).itertuples(index=False)]
    cut = f"The first {ROWS} of {len(frame)} rows." if len(frame) > ROWS else ""
    return table(list(map(str, frame.columns)), rows, cut)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "–" if value != value else f"{value:.4g}"
    return str(value)
