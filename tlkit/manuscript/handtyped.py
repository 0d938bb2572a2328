"""Numbers typed by hand into the text: there may be none, but the names and constants of a list."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from jinja2 import Environment, TemplateSyntaxError, nodes

from tlkit.config import TlkitError

WORDS = (
    "zero|three|four|five|six|seven|eight|nine|ten|eleven|twelve|[a-z]+teen|twenty|thirty|forty|fifty|sixty|seventy|"
    "eighty|ninety|hundreds?|thousands?|millions?|dozens?|half|halves|quarters?|thirds?|twice|thrice"
)
SPELLED = re.compile(rf"\b(?:{WORDS})\b", re.IGNORECASE)
# What names a place and is no result: where a link leads, a DOI, the number of an item of a list.
TARGET = re.compile(
    r"\]\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*\)|<https?://[^>\s]+>|\bdoi:10\.\d{4,}/[^\s\]]+|^ *\d+\. ", re.M
)


class HandTypedError(TlkitError, ValueError):
    """The text holds numbers that no result stands behind; the message lists them with their lines."""


def read_allowed(path: Path) -> list[str]:
    """Return the phrases of an allow-list: one a line, what stands after two spaces and # is its reason."""
    lines = (line.partition("  #")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return sorted({line for line in lines if line and not line.startswith("#")}, key=len, reverse=True)


def check(source: str, allowed: list[str], placeholders: Collection[str], name: str) -> None:
    """Raise HandTypedError for numbers in a text that stand in none of the `allowed` phrases.

    What calls of the `placeholders` give (`{{ mean(...) }}`) is no text; an expression that only repeats what was typed
    into it is. Numbers are digits of any script, fractions, powers, and number words from three on.
    """
    found = sorted(set(find(source, allowed, placeholders)))
    if found:
        listed = "\n".join(f"  {name}:{line}: {text}" for line, text in found)
        raise HandTypedError(
            f"{len(found)} numbers were typed by hand, but every number of the text comes from a result:\n{listed}\n"
            "Put a placeholder there that reads it from a table (paper/manuscript/README.md lists them), or, where it "
            "is a name or a constant of a paper, a line into paper/manuscript/allowed.txt."
        )


def find(source: str, allowed: list[str], placeholders: Collection[str]) -> Iterator[tuple[int, str]]:
    """Yield (line, the words around) of each number typed by hand. Raises: HandTypedError for no template."""
    try:
        tree = Environment().parse(source)
    except TemplateSyntaxError as error:
        raise HandTypedError(f"line {error.lineno}: {error.message}. A placeholder is {{{{ name(...) }}}}.") from error
    yield from _typed_in_expressions(tree, placeholders)
    blank = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", _blanked, source, flags=re.DOTALL)
    for number, line in enumerate(TARGET.sub(_blanked, _without(blank, allowed)).splitlines(), 1):
        for start, end in _numbers(line):
            yield number, source.splitlines()[number - 1][max(0, start - 30) : end + 30].strip()


def _without(text: str, allowed: list[str]) -> str:
    """Return the text with spaces in place of the allowed phrases, where they stand as words of their own."""
    for phrase in allowed:
        spaced = r"\s+".join(map(re.escape, phrase.split()))
        text = re.sub(rf"(?<![\w.,+−-]){spaced}(?![\w%]|[.,]\d)", _blanked, text)
    return text


def _blanked(found: re.Match) -> str:
    return re.sub(r"\S", " ", found.group())  # line breaks stay


def _numbers(line: str) -> Iterator[tuple[int, int]]:
    start = None
    for place, character in enumerate(f"{line} "):
        if character.isnumeric():
            start = place if start is None else start
        elif start is not None:
            yield start, place
            start = None
    yield from (found.span() for found in SPELLED.finditer(line))


def _typed_in_expressions(tree: nodes.Template, placeholders: Collection[str]) -> Iterator[tuple[int, str]]:
    """Yield the constants with a number that a template may show without asking a result for anything."""

    def walk(node: nodes.Node, asked: bool) -> Iterator[tuple[int, str]]:
        if isinstance(node, nodes.Const) and not asked and any(c.isnumeric() for c in str(node.value)):
            yield node.lineno, f"{{{{ {node.value} }}}}"
        asks = isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in placeholders
        for child in node.iter_child_nodes():
            yield from walk(child, asked or asks)

    yield from walk(tree, False)
