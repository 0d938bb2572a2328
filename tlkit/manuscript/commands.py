"""The commands of the paper; each imports what it needs when it is called."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from tlkit import paths

Adding = Callable[[str, Callable, str], argparse.ArgumentParser]
WHICH = "own or reference (default: a study's own where there are any, else those of paper/reference)"


def add(command: Adding) -> None:
    """Add the commands to a parser."""
    paper = command("paper", do_paper, "set the paper as PDF and HTML in paper/build")
    paper.add_argument("--results", default="", metavar="WHICH", help=WHICH)


def _results(args: argparse.Namespace):
    from tlkit.config import lookup
    from tlkit.manuscript.results import Results

    return Results(args.results and lookup(args.results, {"own": "own", "reference": "reference"}, "kind of results"))


def do_paper(args: argparse.Namespace) -> None:
    from tlkit.manuscript import build

    for path in build.build(_results(args), paths.paper_root() / "build"):
        print(path)
