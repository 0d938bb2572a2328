"""The commands of the paper and its pages; each imports what it needs when it is called."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

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
    kept = command("reference", do_reference, "keep studies' results and notebooks, made small, in paper/reference")
    kept.add_argument("studies", nargs="+", metavar="STUDY", help="or a published paper, such as jonske2025")
    kept.add_argument("--scale", default="", help="of the results (default: the largest that is there)")
    kept.add_argument("--machine", default="", metavar="TEXT", help="what they ran on (default: this processor)")
    packed = command("pack", do_pack, "put a study's finished runs into one file, without images and identifiers")
    packed.add_argument("study", metavar="STUDY")
    packed.add_argument("--scale", default="quick", help="smoke, quick, course or paper (default: quick)")
    packed.add_argument("--data", default="", help="phantom or real (default: what the scale says)")
    packed.add_argument("--weights", action="store_true", help="with the weights of the models; they may remember")
    packed.add_argument("--crate", action="store_true", help="pack nothing: describe the runs folder as an RO-Crate")
    packed.add_argument("--out", type=Path, help="the file (default: STUDY-SCALE.pack.zip)")
    unpacked = command("unpack", do_unpack, "put the runs of a pack beside yours, after checking every byte")
    unpacked.add_argument("file", type=Path)
    for sub in (paper, site, where):
        sub.add_argument("--results", default="", metavar="WHICH", help=WHICH)


def _results(args: argparse.Namespace):
    from tlkit.config import lookup
    from tlkit.manuscript.results import Results

    return Results(args.results and lookup(args.results, {"own": "own", "reference": "reference"}, "kind of results"))


def do_paper(args: argparse.Namespace) -> None:
    """Set the paper, and print the paths of PDF and HTML."""
    from tlkit.manuscript import build

    for path in build.build(_results(args), paths.paper_root() / "build"):
        print(path)


def do_site(args: argparse.Namespace) -> None:
    """Write the site, and print the path of its first page."""
    from tlkit.site import website

    print(website.build(_results(args), paths.paper_root() / "site"))


def do_where(args: argparse.Namespace) -> None:
    """Print where a file, run, data set, commit or number comes from."""
    from tlkit.manuscript.provenance import Provenance

    for line in Provenance(_results(args)).walk(args.what):
        print(line)


def do_reference(args: argparse.Namespace) -> None:
    """Keep the results of studies as reference ones, and print how large they are."""
    from tlkit.manuscript import reference

    for study in args.studies:
        kept = reference.keep(study, args.scale, args.machine)
        size = sum(path.stat().st_size for path in kept)
        print(f"{study}: {len(kept)} files, {size / 1e6:.1f} MB, in {reference.results.REFERENCE}")


def do_pack(args: argparse.Namespace) -> None:
    """Pack a study's results with their runs into one file, or describe them in place; print which file."""
    from tlkit import studies
    from tlkit.manuscript import pack

    study = studies.load(args.study, args.scale, args.data)
    if args.crate:
        print(pack.describe(study))
        return
    path = pack.pack(study, args.out or Path(f"{args.study}-{args.scale}.pack.zip"), args.weights)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB. `python -m tlkit unpack {path.name}` puts its runs in place.")


def do_unpack(args: argparse.Namespace) -> None:
    """Put the runs and results of a pack in place, and print what was new."""
    from tlkit.manuscript.unpacking import unpack

    found = unpack(args.file)
    print(f"{len(found['added'])} runs were added to {paths.runs_root()}, {len(found['there'])} were there already.")
    for folder in found["results"]:
        print(f"tables or figures are in {folder}")
