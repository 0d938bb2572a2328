"""Notebooks as pages: as executed, with code folded, links between them, and no script."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import posixpath
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlkit import files, paths, runfolder
from tlkit.config import file_name
from tlkit.site.page import code, link, make_list, page, text

# Code without colours: these would take more room than all else.
FOLDED = """{%- extends 'basic/index.html.j2' -%}
{%- block input_group -%}<details><summary>Code</summary>{{ super() }}</details>{%- endblock -%}
{%- block input -%}<pre><code>{{ cell.source | escape }}</code></pre>{%- endblock -%}
{%- block data_javascript -%}<p>(a script, not shown here)</p>{%- endblock -%}
{%- block data_widget_view -%}<p>(a widget: open the notebook to use it)</p>{%- endblock -%}"""
SCRIPT = re.compile(r"<(script|style)\b.*?</\1\s*>|<link\b[^>]*>", re.DOTALL | re.IGNORECASE)
PICTURE = re.compile(r'src="data:image/(png|jpeg|svg\+xml|gif);base64,([^"]+)"')
HREF = re.compile(r'href="([^"#:]+?)(#[^"]*)?"')
LONG_LINE = 100_000  # characters of one output; more are cut


@dataclass(frozen=True)
class Book:
    """A notebook: its name in notebooks/, where its page lies, the file, and how it was made (nothing: not run)."""

    name: str
    address: str
    path: Path
    made: str


def find() -> list[Book]:
    """Return all notebooks: executed copies of jobs and by hand, those of the reference results, and those not run."""
    found = [*_of_studies()]
    for root, made in ((paths.runs_root() / "notebooks", "by hand"), (REFERENCE, "for the reference results")):
        found += [Book(p.stem, _address(made, p.stem), p, f"executed {made}") for p in sorted(root.glob("*.ipynb"))]
    done = {book.name for book in found}
    sources = sorted(paths.NOTEBOOKS.rglob("*.ipynb"))
    sources = [p for p in sources if ".ipynb_checkpoints" not in p.parts]
    return found + [Book(p.stem, _address(p.stem), p, "") for p in sources if p.stem not in done]


REFERENCE = paths.REPO / "paper" / "reference" / "notebooks"


def _of_studies():
    for record in sorted((paths.runs_root() / "studies").glob("*/*/*.json")):
        path = record.with_suffix(".ipynb")
        if path.is_file():
            study, scale = path.parts[-3:-1]
            name = _source(json.loads(path.read_bytes())) or path.stem
            yield Book(name, _address(study, scale, path.stem), path, f"executed for {study} at {scale}")


def _source(content: dict[str, Any]) -> str:
    """Return which notebook an executed copy is of, as papermill notes it."""
    return Path(str(content.get("metadata", {}).get("papermill", {}).get("input_path") or "")).stem


def _address(*parts: str) -> str:
    return file_name("-".join(parts).replace(" ", "_"), 150) + ".html"


def of_runs(books: list[Book]) -> dict[str, str]:
    """Return the address of the executed notebook of each run: the run's copy is the same file, or has its bytes."""
    known = {_digest(book.path): book.address for book in books if book.made}
    found = {}
    for where in runfolder.folders():
        path = where / "notebook.ipynb"
        if path.is_file() and (address := known.get(_digest(path))):
            found[runfolder.id_of(where)] = address
    return found


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(out: Path, books: list[Book], documents: dict[Path, str]) -> None:
    """Write a page for each notebook, its pictures beside it, and their index.

    `documents`: other pages of the site by the file of the repository that they show, for links to it.
    """
    from nbconvert.exporters import HTMLExporter

    exporter = HTMLExporter(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True)
    exporter.raw_template = FOLDED
    first = {book.name: book.address for book in reversed(books)}
    linked = {paths.NOTEBOOKS / f"{name}.ipynb": f"notebooks/{address}" for name, address in first.items()} | documents
    linked |= {book.path: f"notebooks/{book.address}" for book in books}  # executed copies of the reference results
    for book in books:
        content = json.loads(book.path.read_bytes())
        files.write_text(out / "notebooks" / book.address, _page(out, exporter, book, content, linked))
    rows = [f"{link(f'notebooks/{b.address}', _title(b))} <small>{text(b.name)}, {_made(b)}</small>" for b in books]
    said = "As executed, code folded. What is marked as not run shows its text alone."
    body = f"<h1>Notebooks</h1><p>{said}</p>{make_list(rows, 'None.')}"
    files.write_text(out / "notebooks.html", page("Notebooks", body, "notebooks.html"))


def _page(out: Path, exporter: Any, book: Book, content: dict[str, Any], linked: dict[Path, str]) -> str:
    import nbformat

    notebook = nbformat.reads(json.dumps(content), as_version=4)
    for cell in notebook.cells:
        cell.get("metadata", {}).pop("widgets", None)
        for output in cell.get("outputs", []):
            _tame(output)
    notebook.metadata.pop("widgets", None)
    with _quiet():
        body, _ = exporter.from_notebook_node(notebook)
    body = SCRIPT.sub("", body)
    body = re.sub(r' class="(?:cell|text_cell|inner_cell|input|prompt)[^"]*"', "", body)  # nothing asks for these
    body = PICTURE.sub(lambda found: _put_picture(out, found), body)
    body = HREF.sub(lambda found: _relinked(found, linked), body)
    body = re.sub(r"<img (?![^>]*\balt=)", '<img alt="figure of the cell above" ', body)
    body = body.replace("<a ", '<a rel="noreferrer" ').replace('class="anchor-link"', 'class="anchor-link" hidden')
    command = f"python -m tlkit notebook {book.name}"
    not_run = (
        f"This notebook was <strong>not run</strong>. <code>make figures</code> runs those of a study, {code(command)} "
    )
    told = f'<p class="warn">{not_run}this one; then <code>make site</code>.</p>'
    told = f"<p>{text(book.made)}</p>" if book.made else told
    return page(_title(book), f"{told}{body}", f"notebooks/{book.address}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep nbconvert from telling of each picture without a text: `_page` gives it one."""
    logger = logging.getLogger("traitlets")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _made(book: Book) -> str:
    return text(book.made or "not run")


def _tame(output: dict[str, Any]) -> None:
    """Keep of an output what a page can show: of many forms the pictures and tables, no scripts or widgets."""
    data = output.get("data", {})
    if "text/plain" in data and len(data) > 1:
        for kind in [k for k in data if "javascript" in k or "widget" in k or "vnd." in k]:
            del data[kind]
    for holder, key in ((output, "text"), (data, "text/plain")):
        if len(told := "".join(holder.get(key, ""))) > LONG_LINE:
            holder[key] = told[:LONG_LINE] + "\n(cut)"


def _put_picture(out: Path, found: re.Match) -> str:
    """Write a picture of a notebook once, beside its page, and return its address."""
    kind, data = found[1].split("+")[0], base64.b64decode(found[2])
    name = f"{hashlib.sha256(data).hexdigest()[:16]}.{kind}"
    if not (target := out / "notebooks" / "pictures" / name).exists():
        files.write_bytes(target, data)
    return f'src="pictures/{name}"'


def _relinked(found: re.Match, linked: dict[Path, str]) -> str:
    """Return a link to a file of the repository as one to its page; to a file without one as none."""
    target = Path(posixpath.normpath(paths.NOTEBOOKS / found[1]))
    if target in linked:
        return f'href="../{linked[target]}{found[2] or ""}"'
    return f'title="{text(found[1])} in the repository"'


def _title(book: Book) -> str:
    """Return the first heading of a notebook."""
    for cell in json.loads(book.path.read_bytes()).get("cells", []):
        if heading := re.match(r"#+ (.+)", "".join(cell.get("source", ""))):
            return heading[1].strip()
    return book.name
