"""Errors of a reader's own images, in the reader's words: what was seen, and the flag for each way to read it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from tlkit.config import ConfigError

Choice = tuple[str, str]  # the flag, and what it means


class AmbiguousError(ConfigError):
    """More than one way to read what is there, or none: the message shows the `choices`, each with its flag."""

    def __init__(self, text: str, choices: Sequence[Choice] = ()):
        self.text, self.choices = text, tuple(choices)
        width = max((len(flag) for flag, _ in choices), default=0)
        super().__init__("\n".join([text, *(f"  {flag:<{width}}  {meaning}" for flag, meaning in choices)]))


def add_commands(error: AmbiguousError, folder: str, asked: Mapping[str, str], more: Sequence[str] = ()) -> str:
    """Return the text of an error with the whole command for each choice: what was `asked`, and the choice's flags.

    A choice without a flag is another folder.
    """
    told = [error.text]
    for choice, meaning in error.choices:
        words, flags = shlex.split(choice), dict(asked)
        other = "" if words[0].startswith("--") else words.pop(0)
        flags |= dict(zip([w.removeprefix("--").replace("-", "_") for w in words[::2]], words[1::2], strict=True))
        said = [part for flag, value in flags.items() if value for part in (f"--{flag.replace('_', '-')}", value)]
        command = shlex.join(["python", "-m", "tlkit", "advise", other or folder, *said, *more])
        told += [f"  {choice}: {meaning}" if meaning else f"  {choice}", f"    {command}"]
    return "\n".join(told)


def name_few(names: Sequence[object], most: int = 5) -> str:
    """Return the first names in a row, and how many there are where there are more."""
    shown = ", ".join(map(str, names[:most]))
    return f"{shown} ... ({len(names)})" if len(names) > most else shown
