"""What every page has: head, navigation, style; and small parts of HTML."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

NAVIGATION = {
    "index.html": "Start", "paper.html": "Paper", "results.html": "Figures and tables", "runs.html": "Runs",
    "compare.html": "Compare two runs", "notebooks.html": "Notebooks", "data.html": "Data sets",
}  # fmt: skip
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} - tlkit</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="{up}style.css">{scripts}</head>
<body><a class="skip" href="#text">To the text</a>
<header><nav aria-label="Pages"><ul>{links}</ul></nav></header>
<main id="text"{wide}>
{body}
</main></body></html>
"""


def page(title: str, body: str, here: str, scripts: Iterable[str] = (), wide: bool = False) -> str:
    """Return a page. `here`: its address from the root of the site; `scripts`: those of scripts from there."""
    up = "../" * here.count("/")
    section = here if here in NAVIGATION else f"{here.split('/')[0]}.html"
    links = "".join(
        f'<li><a href="{up}{address}"{" aria-current=page" if address == section else ""}>{name}</a></li>'
        for address, name in NAVIGATION.items()
    )
    loaded = "".join(f'<script defer src="{up}{script}"></script>' for script in scripts)
    look = ' class="full"' if wide else ""
    return PAGE.format(title=html.escape(title), up=up, scripts=loaded, links=links, wide=look, body=body)


def text(value: Any) -> str:
    """Return a value as HTML, escaped."""
    return html.escape(str(value))


def code(value: Any) -> str:
    """Return a value as code in HTML, escaped."""
    return f"<code>{text(value)}</code>"


def link(address: str, name: Any) -> str:
    """Return a link to an address of the site, with its name; both escaped."""
    return f'<a href="{html.escape(address)}">{text(name)}</a>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "", more: str = "") -> str:
    """Return a table whose cells are HTML already; the first cell of a row is its heading.

    End tags that HTML lets one leave out are left out: a site has many cells.
    """
    top = "".join(f"<th scope=col>{text(name)}" for name in head)
    body = "".join(f"<tr><th scope=row>{row[0]}{''.join(f'<td>{cell}' for cell in row[1:])}\n" for row in rows)
    said = f"<caption>{text(caption)}</caption>" if caption else ""
    head_row = f"<thead><tr>{top}</thead>" if head else ""
    return f'<div class="wide"><table{more}>{said}{head_row}<tbody>{body}</tbody></table></div>'


def facts(values: Mapping[str, Any]) -> str:
    """Return a table of names and values."""
    return table((), [(text(name), text(value)) for name, value in values.items()])


def make_list(items: Iterable[str], none: str) -> str:
    """Return a list of HTML items, or what to say where there is none."""
    items = list(items)
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>" if items else f"<p>{text(none)}</p>"


def flatten(value: Any, name: str = "") -> dict[str, Any]:
    """Return a nested value as one level, names joined by dots."""
    if isinstance(value, Mapping):
        found = {}
        for key, inner in value.items():
            found |= flatten(inner, f"{name}.{key}" if name else str(key))
        return found
    if isinstance(value, list) and any(isinstance(v, Mapping) for v in value):
        return flatten(dict(enumerate(value)), name)
    return {name: ", ".join(map(str, value)) if isinstance(value, list) else value}
