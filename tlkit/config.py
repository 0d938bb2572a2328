"""Names, hashes and parameters: the small rules that every config follows."""

from __future__ import annotations

import ast
import difflib
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")


class TlkitError(Exception):
    """Base of the project's errors: each says what was expected, what was found, and what helps."""

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in place of a traceback: the message alone. `%debug` still finds the place."""
        return [f"{type(self).__name__}: {self}"]


class UnknownNameError(TlkitError, ValueError):
    """A name that is in no table; the message lists the allowed ones and the nearest."""


class ConfigError(TlkitError, ValueError):
    """A config, or the data that it names, asks for something that cannot be done."""


class NotAvailableError(TlkitError, RuntimeError):
    """What was asked for cannot be made from these data: no failure. The first line of its message stands alone."""


class UnreadParameterError(TlkitError, ValueError):
    """A parameter was set but nothing read it, so the run would not be what its config says."""


def is_own(told: str, base: type = TlkitError) -> bool:
    """Tell whether "Name: message" is of an error of the project: what another try would end with, too."""
    return told.partition(":")[0] == base.__name__ or any(is_own(told, kind) for kind in base.__subclasses__())


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the closest allowed name, or an empty string."""
    names, wanted = {str(a).casefold(): str(a) for a in allowed}, str(name).casefold()
    match = difflib.get_close_matches(wanted, names, n=1, cutoff=0.5)
    match = match or [n for n in names if wanted and n.startswith(wanted)]
    return f" Did you mean '{names[match[0]]}'?" if match else ""


def lookup(name: str, table: Mapping[str, T], what: str) -> T:
    """Return `table[name]`; raise UnknownNameError naming the allowed entries and the nearest one."""
    if name in table:
        return table[name]
    raise UnknownNameError(f"unknown {what} '{name}'.{nearest(name, table)} Allowed: {', '.join(map(str, table))}.")


def canonical(obj: Any) -> str:
    """Return JSON with sorted keys and no spaces: equal configs give equal text."""
    return json.dumps(obj, sort_keys=True, separators=(",", ":"), allow_nan=False)


def file_name(text: str, longest: int = 80) -> str:
    """Return `text` as part of a file name that no shell, and no file system, reads otherwise."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_.=-]+", "_", plain)[:longest]


def short_hash(obj: Any) -> str:
    """Return the first 8 hex digits of the SHA-256 of the canonical JSON of `obj`."""
    return hashlib.sha256(canonical(obj).encode()).hexdigest()[:8]


def freeze(value: Any) -> Any:
    """Return a value of a file as a card holds it: tuples in place of lists."""
    if isinstance(value, dict):
        return {k: freeze(v) for k, v in value.items()}
    return tuple(map(freeze, value)) if isinstance(value, list) else value


def merge(base: Any, over: Any) -> Any:
    """Return `base` with `over` laid on it: dicts key by key, everything else replaced; None removes a key."""
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    merged = {
        k: merge(base[k], over[k]) if k in base and k in over else over.get(k, base.get(k)) for k in {**base, **over}
    }
    return {k: v for k, v in merged.items() if not (k in over and over[k] is None)}


class Parameters:
    """A notebook's parameters, each of which must be read before the `with` block ends.

    Built from `globals()` behind the parameters cell: what that cell set, or papermill's cell below it. In a plain
    namespace without a history of cells, every public lower-case name that holds a plain value is a parameter.
    Raises UnreadParameterError at the end of the block for names that nobody read (a misspelt name, a
    setting without effect), before the run costs anything.

    Example: `with Parameters(globals()) as p: jobs = studies.load(p.study, p.scale)`
    """

    PLAIN = (str, int, float, bool, list, dict, tuple, type(None))

    def __init__(self, namespace: Mapping[str, Any]):
        chosen = _declared(namespace.get("In", [])) or set(namespace) - {"In", "Out"}
        self._values = {
            k: v
            for k, v in namespace.items()
            if k in chosen and not k.startswith("_") and not k.isupper() and isinstance(v, self.PLAIN)
        }
        self._read: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        self._read.add(name)
        return lookup(name, self._values, "parameter")

    def __enter__(self) -> Parameters:
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        unread = sorted(set(self._values) - self._read)
        if kind is None and unread:
            hints = "".join(nearest(n, self._read) for n in unread)
            raise UnreadParameterError(
                f"parameters that nothing reads: {', '.join(unread)}.{hints} This notebook reads: "
                f"{', '.join(sorted(self._read))}."
            )


def _declared(cells: list[str]) -> set[str]:
    """Return the names that the parameters cell (in all its versions) and papermill's injected cell set.

    The parameters cell is the first that holds nothing but names set to literals; run again later, changed or not,
    it shares names with its first version, which a reader's own scratch cells do not.
    """
    sets = [(cell, names) for cell in cells if (names := _literals(cell))]
    first = sets[0][1] if sets else set()
    ours = (names for cell, names in sets if names & first or cell.startswith("# Parameters"))
    return set().union(*ours)


def _literals(cell: str) -> set[str]:
    """Return the names that a cell of literals sets; nothing for any other cell."""
    names = set()
    try:
        for statement in ast.parse(cell).body:
            ast.literal_eval(statement.value)
            names |= {target.id for target in statement.targets}
    except (SyntaxError, ValueError, AttributeError):
        return set()
    return names
