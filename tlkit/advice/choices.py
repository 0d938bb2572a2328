"""Errors of a reader's own images, in the reader's words: what was seen, and the flag for each way to read it."""

from __future__ import annotations

from collections.abc import Sequence

from tlkit.config import ConfigError

Choice = tuple[str, str]  # the flag, and what it means


class AmbiguousError(ConfigError):
    """More than one way to read what is there, or none: the message shows the `choices`, each with its flag."""

    def __init__(self, text: str, choices: Sequence[Choice] = ()):
        self.choices = tuple(choices)
        width = max((len(flag) for flag, _ in choices), default=0)
        super().__init__("\n".join([text, *(f"  {flag:<{width}}  {meaning}" for flag, meaning in choices)]))


def quoted(text: str) -> str:
    """Return a text as a shell takes it in one piece."""
    from shlex import quote

    return quote(text)


def few(names: Sequence[object], most: int = 5) -> str:
    """Return the first names in a row, and how many there are where there are more."""
    shown = ", ".join(map(str, names[:most]))
    return f"{shown} ... ({len(names)})" if len(names) > most else shown
