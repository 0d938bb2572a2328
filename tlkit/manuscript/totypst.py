"""Markdown as Typst: the same parsed text that becomes HTML, for the PDF."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

HEAD = Path(__file__).with_name("head.typ")
LONG = 28  # characters of a cell; longer ones are broken into lines
NUMBER = re.compile(r"([+−<]?[\d.,–]+%?( ± .*)?|not run)?$")
WRAPPED = {  # tokens: what stands before and after their content; ";" ends code, or what follows may be read as such
    "paragraph": ("", "\n\n"), "strong": ("#strong[", "];"), "em": ("#emph[", "];"), "blockquote": ("#said[", "]\n"),
    "bullet_list": ("#list(", ")\n"), "ordered_list": ("#enum(", ")\n"), "list_item": ("[", "],"),
}  # fmt: skip


def parser() -> MarkdownIt:
    """Return the one reader of the paper's Markdown: tables, no raw HTML."""
    return MarkdownIt("commonmark", {"html": False}).enable("table")


def escape(text: str) -> str:
    """Return text in which Typst reads no markup."""
    return re.sub(r"([\\#$*_`<>@\[\]~=+/\-'\"])", r"\\\1", text)


def render(text: str, picture: Callable[[str], str]) -> str:
    """Return Markdown as a Typst document. `picture` gives for the name of a figure the path of its picture."""
    return HEAD.read_text(encoding="utf-8") + _blocks(parser().parse(text), picture)


def _blocks(tokens: Sequence[Token], picture: Callable[[str], str]) -> str:
    out: list[str] = []
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            out.append("=" * (int(token.tag[1]) - 1 or 1) + " " if token.tag != "h1" else "#title[")
        elif token.type == "heading_close":
            out.append("]\n\n" if token.tag == "h1" else "\n\n")
        elif token.type == "inline":
            out.append(_inline(token.children or [], picture))
        elif token.type in ("fence", "code_block"):
            out.append(f"#raw(block: true, {_string(token.content.rstrip())})\n\n")
        elif token.type == "hr":
            out.append("#line(length: 100%, stroke: 0.4pt)\n")
        elif token.type == "table_open":
            out.append(_table_head(tokens[place:]))
        elif token.type == "table_close":
            out.append("))\n\n")
        elif token.type in ("th_open", "td_open"):
            out.append("[")
        elif token.type in ("th_close", "td_close"):
            out.append("],")
        elif token.type in ("thead_open", "thead_close"):
            out.append("table.header(" if token.type == "thead_open" else "),")
        elif token.type.startswith("paragraph_") and _is_entry(tokens, place):
            out.append("#entry[" if token.type == "paragraph_open" else "]\n\n")
        else:
            out.append(_wrap(token))
    return "".join(out)


def _is_entry(tokens: Sequence[Token], place: int) -> bool:
    """Tell whether a paragraph is one of the appendix: it begins with the name of its place."""
    inside = tokens[place + 1] if tokens[place].type == "paragraph_open" else tokens[place - 1]
    parts = inside.children or []
    return bool(parts) and str(parts[0].attrs.get("href", "")).startswith("#at-")


def _wrap(token: Token) -> str:
    name, _, end = token.type.rpartition("_")
    before, after = WRAPPED.get(name, ("", ""))
    return before if end == "open" else after


def _table_head(tokens: Sequence[Token]) -> str:
    """Return the begin of a table: columns of long texts share what the others leave, numbers stand right."""
    body = tokens[: next(i for i, t in enumerate(tokens) if t.type == "table_close")]
    first = sum(t.type == "th_open" for t in body)
    texts = [_plain(t) for before, t in pairwise(body) if before.type in ("th_open", "td_open")]
    columns = [texts[i::first] for i in range(first)]
    longest = [max(map(len, column)) for column in columns]
    widths = ", ".join(f"{min(n, LONG * 3)}fr" if n > LONG else "auto" for n in longest)
    sides = ", ".join("right" if all(NUMBER.match(cell) for cell in column[1:]) else "left" for column in columns)
    return f"#wide({first}, table(columns: ({widths},), align: ({sides},), "


def _plain(token: Token) -> str:
    return "".join(part.content for part in token.children or [])


def _inline(tokens: Sequence[Token], picture: Callable[[str], str]) -> str:
    out = []
    for token in tokens:
        if token.type == "text":
            out.append(escape(token.content))
        elif token.type in ("softbreak", "hardbreak"):
            out.append("\n" if token.type == "softbreak" else " \\\n")
        elif token.type == "code_inline":
            out.append(f"#raw({_string(token.content)});")
        elif token.type == "link_open":
            out.append(_link(str(token.attrs["href"])))
        elif token.type == "link_close":
            out.append("];")
        elif token.type == "image":
            caption = _inline(token.children or [], picture)
            out.append(f"#picture({_string(picture(str(token.attrs['src'])))}, {_string(token.content)}, [{caption}])")
        else:
            out.append(_wrap(token))
    return "".join(out)


def _link(href: str) -> str:
    if href.startswith("#at-"):
        return f"#place({_string(href[4:])})["
    if href.startswith("#"):
        return f"#inner({_string(href[1:])})["
    return f"#link({_string(href)})["


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
