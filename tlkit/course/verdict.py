"""What a student sees of an exercise: right, or what is wrong with the answer, in one line and without a traceback."""

from __future__ import annotations

import html
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tlkit.config import ConfigError

RIGHT, WRONG = "#1b7837", "#b2182b"


@dataclass(frozen=True)
class Verdict:
    """Whether the answer to an exercise is right, and what to know or to do next."""

    exercise: str
    right: bool
    text: str

    def __repr__(self) -> str:
        return f"{'✓ right' if self.right else '✗ not yet'}, exercise {self.exercise}: {self.text}"

    def _repr_html_(self) -> str:
        colour = RIGHT if self.right else WRONG
        style = f"border-left: 6px solid {colour}; padding: 6px 12px; max-width: 60em"
        return f'<div style="{style}">{html.escape(repr(self))}</div>'


def check(exercise: str, answer: Callable[..., Any]) -> Verdict:
    """Return the verdict on the function that answers an exercise, such as "3.1".

    The checks are the functions `exercise_N` of `tlkit.course.lessonNN`: plain assertions, whose messages say which
    misunderstanding the answer shows. An error of the answer itself is raised as it is. Raises ConfigError for an
    exercise that does not exist, and for what is no function.
    """
    checked = find_check(exercise)
    if not callable(answer):
        raise ConfigError(f"exercise {exercise} is a function; give its name, found {type(answer).__name__}")
    try:
        checked(answer)
    except NotImplementedError as error:
        return Verdict(exercise, False, f"still blank. {error}")
    except AssertionError as error:
        return Verdict(exercise, False, str(error))
    return Verdict(exercise, True, " ".join((checked.__doc__ or "").split()))


def find_check(exercise: str) -> Callable[[Callable[..., Any]], None]:
    """Return the function that checks an exercise. Raises ConfigError for one that does not exist."""
    lesson, _, number = exercise.partition(".")
    try:
        module = importlib.import_module(f"tlkit.course.lesson{int(lesson):02}")
        return getattr(module, f"exercise_{number}")
    except (ValueError, ModuleNotFoundError, AttributeError):
        raise ConfigError(f"there is no exercise '{exercise}'; expected lesson and number, such as 3.1") from None


def guessed(guess: float | None, found: float, unit: str = "") -> None:
    """Print a guess that was written down before a cell ran beside what came out."""
    told = f"{found:.3g}{unit}"
    if guess is None:
        print(f"It is {told}. You wrote down no guess: to be surprised you need one, so write the next one down.")
    else:
        print(f"You guessed {guess:.3g}{unit}; it is {told}.")
