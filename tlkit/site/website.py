"""`make site`: all pages, made aside and put in place at once; they work from disk, without server or network."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

from tlkit import files, paths
from tlkit.manuscript import build as manuscript
from tlkit.manuscript import tohtml
from tlkit.manuscript.provenance import Provenance
from tlkit.manuscript.results import Results
from tlkit.site import books, datapages, resultpages, runpages
from tlkit.site.page import link, page, text

HERE = Path(__file__).parent
DOCUMENTS = {  # pages of the repository that notebooks and each other lead to
    "paper/reference/README.md": "Reference results",
    "paper/reference/processors.md": "Three processors",
    "paper/claims/README.md": "The published numbers, checked",
    "paper/deviations.md": "Deviations",
    "paper/studies/README.md": "Study files",
    "runs/README.md": "Run folders",
    "notebooks/README.md": "Notebooks, a map",
    "paper/specs/jonske2025.md": "Facts about Jonske et al.",
    "paper/specs/radiologynet2025.md": "Facts about RadiologyNET",
}


def build(results: Results, out: Path) -> Path:
    """Write the site to `out`, which is replaced whole, and return its first page.

    Raises: as `manuscript.build` does.
    """
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    known = Provenance(results)
    notebooks = books.find()
    by_run = books.of_runs(notebooks)
    there = runpages.write(part, known, by_run)
    first = {book.name: book.address for book in reversed(notebooks)}
    resultpages.write(part, known, there, first)
    datapages.write(part, _used(known, there))
    documents = {
        paths.REPO / name: f"documents/{_stem(name)}.html" for name in DOCUMENTS if (paths.REPO / name).is_file()
    }
    books.write(part, notebooks, documents)
    _documents(part, documents, first)
    _paper(part, known, there)
    style = tohtml.STYLE.read_text(encoding="utf-8") + (HERE / "site.css").read_text(encoding="utf-8")
    files.write_text(part / "style.css", style)
    shutil.copy(HERE / "site.js", part / "site.js")
    files.write_text(part / "index.html", _start(known, there, notebooks))
    shutil.rmtree(out, ignore_errors=True)
    part.replace(out)
    return out / "index.html"


def _used(known: Provenance, there: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for rid in there:
        for name, _ in known.facts(rid).data:
            found.setdefault(name, []).append(rid)
    return found


def _stem(name: str) -> str:
    return name.removesuffix(".md").replace("/", "-")


def _documents(part: Path, documents: dict[Path, str], first: dict[str, str]) -> None:
    """Write the documents of the repository as pages; links between them stay, others are named."""
    linked = documents | {paths.NOTEBOOKS / f"{name}.ipynb": f"notebooks/{address}" for name, address in first.items()}
    for path, address in documents.items():
        body = tohtml.document(path, linked)
        files.write_text(part / address, page(DOCUMENTS[path.relative_to(paths.REPO).as_posix()], body, address))


def _paper(part: Path, known: Provenance, there: list[str]) -> None:
    """Write the paper as a page whose runs and results lead to theirs, and as PDF."""
    import tempfile

    results, pages = known.results, {rid: f"runs/{runpages.address(rid)}.html" for rid in there}
    pages |= {f"{saved.kind}/{saved.title}": resultpages.place(saved) for saved in known.saved}
    paper = manuscript.Paper(results, pages=pages)
    found = {name: results.find("figures", *name.split("/")) for name in paper.figures()}
    sources = {name: f"results/pictures/{resultpages.picture(saved)}" for name, saved in found.items()}
    body = tohtml.body(paper.text, sources)
    files.write_text(part / "paper.html", page("Paper", f'<p><a href="paper.pdf">As PDF</a></p>{body}', "paper.html"))
    with tempfile.TemporaryDirectory() as folder:
        pdf, _ = manuscript.build(results, Path(folder), tagged=False)  # the page beside it is the one to hear
        shutil.copy(pdf, part / "paper.pdf")


def _start(known: Provenance, there: list[str], notebooks: list[books.Book]) -> str:
    made = Counter(bool(book.made) for book in notebooks)
    studies = len({saved.study for saved in known.saved})
    body = [
        "<h1>tlkit: which pretraining should I start from?</h1>",
        "<p>Pages of this checkout, made by <code>make site</code>: the paper, the notebooks as executed, every run, "
        "every figure and table with the runs behind it, and the data sets. They need no server, no network.</p><ul>",
        f"<li>{link('paper.html', 'The paper')} (and as {link('paper.pdf', 'PDF')})</li>",
        f"<li>{link('results.html', f'{len(known.saved)} figures and tables')} of {studies} studies</li>",
        f"<li>{link('runs.html', f'{len(there)} finished runs')}, and {link('compare.html', 'any two compared')}</li>",
        f"<li>{link('notebooks.html', f'{made[True]} executed notebooks')}, and {made[False]} that were not run</li>",
        f"<li>{link('data.html', 'The data sets')}</li></ul><h2>Documents of the repository</h2><ul>",
    ]
    shown = [(n, t) for n, t in DOCUMENTS.items() if (paths.REPO / n).is_file()]
    body += [f"<li>{link(f'documents/{_stem(name)}.html', title)}</li>" for name, title in shown] + ["</ul>"]
    if not there:
        body.append(f'<p class="warn">{text("No finished runs are here: the results are the reference ones.")}</p>')
    return page("Start", "\n".join(body), "index.html")
