"""The course: lessons with exercises that check themselves, each made from one source."""

from tlkit.course.verdict import Verdict, check, guessed

__all__ = ["Verdict", "check", "guessed"]
