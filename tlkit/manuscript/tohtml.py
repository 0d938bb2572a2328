"""Markdown as one HTML page, pictures and all, which any browser shows without a network."""

from __future__ import annotations

import base64
import html
import posixpath
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from markdown_it.token import Token

from tlkit.manuscript.totypst import parser

STYLE = Path(__file__).with_name("page.css")
PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>
{style}</style></head>
<body><a class="skip" href="#text">To the text</a>
<main id="text">
{body}</main></body></html>
"""
MARK = re.compile(r'<a href="#at-([^"]+)"></a>')


def page(text: str, pictures: Mapping[str, Path]) -> str:
    """Return Markdown as a page with its style and pictures in it."""
    data = {name: base64.b64encode(path.read_bytes()).decode() for name, path in pictures.items()}
    shown = body(text, {name: f"data:image/webp;base64,{code}" for name, code in data.items()})
    title = next((line.lstrip("# ") for line in text.splitlines() if line.startswith("# ")), "tlkit")
    return PAGE.format(title=html.escape(title), style=STYLE.read_text(encoding="utf-8"), body=shown)


def body(text: str, sources: Mapping[str, str]) -> str:
    """Return Markdown as HTML; `sources` gives the address of each picture."""
    reader = parser()
    tokens = reader.parse(text)
    for token in tokens:
        for part in token.children or []:
            if part.type == "image":
                part.attrs["src"] = sources[str(part.attrs["src"])]
    made = MARK.sub(r'<span id="\1"></span>', reader.renderer.render(tokens, reader.options, {}))
    made = re.sub(r'<p>(<img [^>]*?alt="([^"]*)"[^>]*>)</p>', r"<figure>\1<figcaption>\2</figcaption></figure>", made)
    made = made.replace("<table>", '<div class="wide" tabindex="0" role="region" aria-label="table"><table>')
    return made.replace("</table>", "</table></div>")


def document(path: Path, linked: Mapping[Path, str]) -> str:
    """Return a Markdown file of the repository as HTML, for a page one folder down.

    `linked`: the pages of files, from the root of the site; a link to a file without a page becomes its name.
    """
    reader = parser()
    tokens = reader.parse(path.read_text(encoding="utf-8"))
    for token, inside in pairwise(tokens):
        if token.type == "heading_open":  # the names that code hosts give
            token.attrs["id"] = re.sub(r"[^\w -]", "", inside.content.lower()).replace(" ", "-")
    for token in tokens:
        for part in token.children or []:
            _relink(part, path, linked)
    made = reader.renderer.render(tokens, reader.options, {})
    return made.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>")


def _relink(part: Token, path: Path, linked: Mapping[Path, str]) -> None:
    if part.type == "image":  # its page is among the results
        part.type, part.content, part.attrs = "code_inline", str(part.attrs["src"]), {}
    href = str(part.attrs.get("href", ""))
    if part.type != "link_open" or href.startswith(("http", "#", "doi")):
        return
    file, _, place = href.partition("#")
    target = linked.get(Path(posixpath.normpath(path.parent / file)))
    if target:
        part.attrs["href"] = f"../{target}" + (f"#{place}" if place else "")
    else:
        part.attrs = {"title": f"{file} in the repository"}
