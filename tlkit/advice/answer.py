"""The answer on disk: answer.json for programs, answer.md for a terminal, answer.html to read and to send on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tlkit.advice import answer_page, arm_tables, contract, prose
from tlkit.files import write_text

Answer = Mapping[str, Any]


def write(folder: Path, answer: Answer) -> list[Path]:
    """Write answer.json, answer.md and answer.html into `folder`, each aside and renamed, and return their paths.

    `answer` has contract.KEYS and what of the others there is. The same answer gives the same bytes. Raises
    contract.AnswerError.
    """
    found = contract.check_answer(answer)
    texts = {
        "json": json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "md": markdown(found),
        "html": answer_page.html(found),
    }
    files = [folder / f"answer.{kind}" for kind in texts]
    for file, text in zip(files, texts.values(), strict=True):
        write_text(file, text)
    return files


def markdown(answer: Answer) -> str:
    """Return the page as Markdown, without its figures; names of the user cannot mark anything up."""
    name = answer.get("name") or "your images"
    warnings = [f"**{w['kind'].replace('_', ' ')}**: {_plain(w['text'])}" for w in answer["warnings"]]
    parts = [
        f"# {_plain(f'Which pretraining should {name} start from?')}",
        _plain(answer_page.describe_task(answer)),
        "**Phantom data: not results on patients.**" if answer.get("phantom") else "",
        f"{answer['confidence'].upper()}: **{_plain(prose.headline(answer))}**",
        "\n".join(_plain(line) for line in prose.reasons(answer)),
        *_section("Warnings", [_list(warnings)]),
        *(part for heading, blocks in answer_page.sections(answer) for part in _section(heading, map(_block, blocks))),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _table(found: arm_tables.Table) -> str:
    lines = [found.columns, ["---", *["---:"] * (len(found.columns) - 1)]]
    for leads, row in zip(found.leads, found.rows, strict=True):
        first, *others = map(_plain, row)
        lines.append([f"**{first}**" if leads else first, *others])
    return f"{_plain(found.caption)}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(text: str) -> str:
    """Return text in one line that Markdown shows as it is."""
    line = " ".join(text.split())
    line = re.sub(r"([\\`*_\[\]|~#$])", r"\\\1", line)
    line = re.sub(r"^([-+=]|\d+(?=[.)]))", lambda m: m[0] + "\\" if m[0].isdigit() else "\\" + m[0], line)
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _section(heading: str, parts: Iterable[str]) -> list[str]:
    there = [part for part in parts if part]
    return [f"## {heading}", *there] if there else []


def _block(found: Any) -> str:
    if isinstance(found, arm_tables.Table):
        return _table(found)
    if isinstance(found, answer_page.Code):
        return _fenced(found.text, found.language)
    if found is None or isinstance(found, tuple):  # a figure
        return ""
    return _list(map(_plain, found)) if isinstance(found, list) else _plain(found)


def _fenced(text: str | None, language: str) -> str:
    """Return text as code, in a fence that is longer than any in it."""
    if not text:
        return ""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
