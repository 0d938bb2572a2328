"""The commands of the paper and its pages; each imports what it needs when it is called."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from tlkit import paths

Adding = Callable[[str, Callable, str], argparse.ArgumentParser]
WHICH = "own or reference (default: a study's own where there are any, else those of paper/reference)"


def add(command: Adding) -> None:
    """Add the commands to a parser."""
    paper = command("paper", do_paper, "set the paper as PDF and HTML in paper/build")
    site = command("site", do_site, "make static pages of paper, notebooks, runs and data sets in paper/site")
    where = command(
        "where", do_where, "say where a figure, table, number, run or data set comes from, and what uses it"
    )
    where.add_argument("what", metavar="FILE|NUMBER", help="or the id of a run, a data set or its hash, a commit")
    for sub in (paper, site, where):
        sub.add_argument("--results", default="", metavar="WHICH", help=WHICH)


def _results(args: argparse.Namespace):
    from tlkit.config import lookup
    from tlkit.manuscript.results import Results

    return Results(args.results and lookup(args.results, {"own": "own", "reference": "reference"}, "kind of results"))


def do_paper(args: argparse.Namespace) -> None:
    from tlkit.manuscript import build

    for path in build.build(_results(args), paths.paper_root() / "build"):
        print(path)


def do_site(args: argparse.Namespace) -> None:
    from tlkit.site import build

    print(build.build(_results(args), paths.paper_root() / "site"))


def do_where(args: argparse.Namespace) -> None:
    from tlkit.manuscript.provenance import Provenance

    for line in Provenance(_results(args)).walk(args.what):
        print(line)
