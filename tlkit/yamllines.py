"""YAML 1.2 (core schema) as plain values, with the line of every key and entry.

Numbers are `3`, `0o17`, `0x1f`, `1e-3`, `.5`; `true`, `false` and `null` are what they say; all else is text, such as
`no`, `on`, `1:30`, `2024-01-31`, `1_000`.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any

import yaml

from tlkit.config import ConfigError

Path = tuple[str | int, ...]
MOST = 100_000  # values of a file, aliases expanded; a study has about 1,000
BITS = 63  # of a whole number
TAG = "tag:yaml.org,2002:"
SCALARS = (  # tag, pattern, first characters; the first that fits
    ("null", r"~|null|Null|NULL|", [*"~nN", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", [*"-+0123456789"]),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        [*"-+.0123456789"],
    ),
    ("merge", r"<<", ["<"]),
)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list] = {}  # noqa: RUF012  PyYAML's are those of YAML 1.1


for _tag, _pattern, _first in SCALARS:
    _Loader.add_implicit_resolver(TAG + _tag, re.compile(f"^(?:{_pattern})$"), _first)


class YamlError(ConfigError):
    """Text that is no YAML, or none of plain values; `line` counts from 1."""

    def __init__(self, line: int, text: str):
        super().__init__(text)
        self.line = line


def parse(data: bytes | str) -> tuple[Any, dict[Path, int]]:
    """Return (value, lines): what the YAML says, and the line of each key and list entry by its path.

    Anchors, aliases and `<<` are followed; keys keep the order of PyYAML. Raises YamlError for what is no YAML, no
    UTF-8 or more than one document, for a key that stands twice or is no text, and for values that are not plain,
    finite and of a bounded size.
    """
    text = _decoded(data) if isinstance(data, bytes) else data
    node, lines = _composed(text), {}
    return (None if node is None else _Values(lines).value(node, ())), lines


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise YamlError(line, f"expected UTF-8, found the byte {data[error.start]:#04x}; save it as UTF-8.") from None


@lru_cache(8)  # a process loads its study again and again; `_Values` only reads the nodes
def _composed(text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise YamlError(*_told(error)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlError(line, f"expected text, found the control character {ord(text[error.position]):#04x}.") from None
    except RecursionError:
        raise YamlError(1, "brackets or indents are nested too deeply to be read.") from None
    except (ValueError, OverflowError):  # PyYAML asks chr() for "\UFFFFFFFF"
        line = text.count("\n", 0, max(text.find("\\U"), 0)) + 1
        raise YamlError(line, "a \\U escape that stands for no character.") from None


def _told(error: yaml.MarkedYAMLError) -> tuple[int, str]:
    """Return the line of a syntax error and what to do about it."""
    problem, mark = str(error.problem), error.problem_mark or error.context_mark
    if "expected ':'" in problem and error.context_mark:  # noticed behind the line that lacks it
        return error.context_mark.line + 1, "expected `key: value`, found no colon with a space behind it."
    line = mark.line + 1 if mark else 1
    if "'\\t'" in problem:
        return line, "found a tab; indent with spaces."
    if "mapping values are not allowed" in problem:
        return line, "found a colon where none can be: quote text that holds one, or mend the indent."
    context = f" ({error.context})" if error.context else ""
    return (
        line,
        f"not YAML: {problem}{context}. See brackets, quotes and indents up to this line.",
    )


class _Values:
    """Makes plain values of nodes and notes their lines."""

    def __init__(self, lines: dict[Path, int]):
        self.lines, self.open, self.count = lines, set(), 0

    def value(self, node: yaml.Node, path: Path) -> Any:
        line = node.start_mark.line + 1
        self.count += 1
        if self.count > MOST:
            raise YamlError(line, f"more than {MOST:,} values; aliases that multiply?")
        if id(node) in self.open:
            raise YamlError(line, "an alias inside its own anchor; expected one that ends before it is used.")
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node, line)
        make, tag = (self._mapping, "map") if isinstance(node, yaml.MappingNode) else (self._sequence, "seq")
        if node.tag != TAG + tag:
            raise YamlError(line, f"the tag {_short(node.tag)} is not known here; take it out.")
        self.open.add(id(node))
        found = make(node, path)
        self.open.discard(id(node))
        return found

    def _sequence(self, node: yaml.SequenceNode, path: Path) -> list[Any]:
        found = []
        for i, entry in enumerate(node.value):
            self.lines[*path, i] = entry.start_mark.line + 1
            found.append(self.value(entry, (*path, i)))
        return found

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key_node, entry in node.value:
            if key_node.tag == TAG + "merge":
                merged |= self._merged(entry, path)
        for key_node, entry in node.value:
            if key_node.tag == TAG + "merge":
                continue
            line, key = key_node.start_mark.line + 1, self.value(key_node, path)
            if not isinstance(key, str):
                raise YamlError(line, f"expected a name as key, found {show_value(key)}; quotes make text of it.")
            if key in own:
                raise YamlError(line, f"the key '{key}' stands twice, first in line {self.lines[*path, key]}.")
            self.lines[*path, key] = line
            own[key] = self.value(entry, (*path, key))
        return merged | own

    def _merged(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        """Return what `<<` brings; of several mappings the first has the last word."""
        found: dict[str, Any] = {}
        for part in reversed(node.value) if isinstance(node, yaml.SequenceNode) else [node]:
            values = self.value(part, path)
            if not isinstance(values, dict):
                raise YamlError(
                    part.start_mark.line + 1, f"expected keys and values behind <<, found {show_value(values)}."
                )
            found |= values
        return found


def _scalar(node: yaml.ScalarNode, line: int) -> Any:
    tag, text = node.tag.removeprefix(TAG), node.value
    fits = {name: re.fullmatch(pattern, text) for name, pattern, _ in SCALARS}
    if tag in ("str", "!", "merge"):
        try:  # JSON writes the two halves of some characters apart
            return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise YamlError(line, "half a character (a surrogate) in the text.") from None
    if tag not in fits or not (fits[tag] or (tag == "float" and fits["int"])):
        raise YamlError(line, f"the tag {_short(node.tag)} does not go with {show_value(text)}; take it out.")
    if tag == "null":
        return None
    if tag == "bool":
        return text.lower() == "true"
    if tag == "float":
        number = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        if not math.isfinite(number):
            raise YamlError(line, f"expected a finite number, found {text}.")
        return number
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    if len(text) > BITS or int(text, base).bit_length() > BITS:
        raise YamlError(line, f"expected a whole number of at most {BITS} bits, found {text[:40]}.")
    return int(text, base)


def _short(tag: str) -> str:
    return tag.replace(TAG, "!!")


def show_value(value: Any, most: int = 60) -> str:
    """Return a value as a message shows it: text in quotes, null as "nothing", long ones cut."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{_cut(value, most)}'"
    if isinstance(value, dict):
        return f"keys and values ({_cut(', '.join(map(str, value)), most)})" if value else "{}"
    if isinstance(value, list):
        return f"[{_cut(', '.join(map(str, value)), most)}]"
    return str(value)


def _cut(text: str, most: int) -> str:
    kept = "".join(c if c.isprintable() else "?" for c in text[:most])
    return kept + ("..." if len(text) > most else "")
