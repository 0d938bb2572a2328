"""The command `advise`; it imports what it needs when it is called."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path


def add(command: Callable[[str, Callable, str], argparse.ArgumentParser]) -> None:
    """Add the command to a parser."""
    own = command("advise", do_advise, "understand a folder of your own images, and look at them")
    own.add_argument("folder", metavar="FOLDER", help="a folder of images, or a MedMNIST .npz file")
    own.add_argument("--labels", default="", metavar="FILE", help="the table that names the images; none: no table")
    own.add_argument("--label", default="", metavar="COLUMN", help="the column of answers, or several with commas")
    own.add_argument("--file", default="", metavar="COLUMN", help="the column that names the images")
    own.add_argument("--task", default="", help="multiclass, multilabel, regression or segmentation")
    own.add_argument("--patient", default="", metavar="PATTERN|COLUMN|none", help="who is shown")
    own.add_argument("--split", default="", metavar="COLUMN|none", help="the column that says train, val or test")
    own.add_argument("--reading", default="", choices=["", "new"], help="new: guess anew, in place of data.yaml")
    own.add_argument("--burnt-in", default="", choices=["", "accept"], help="accept DICOM images with text burnt in")
    own.add_argument("--name", default="", help="what the images are called in results (default: the folder's name)")
    own.add_argument("--look", action="store_true", help="count, draw and warn; train nothing")
    own.add_argument("--weights", nargs="*", type=Path, default=[], metavar="FILE", help="weights of yours to try, too")
    own.add_argument("--backbone", default="", metavar="NAME", help="the network of these weights; else it is guessed")
    own.add_argument("--prefix", default="", help="how the tensors' names begin, of several encoders in one file")
    own.add_argument("--partial", action="store_true", help="take weights that fill only a part; the rest is random")
    own.add_argument("--metric", default="", help="what decides, such as auc (default: the task's own)")
    own.add_argument("--budget", default="30m", help="time for all of it, such as 10m or 2h (default: 30m)")


def do_advise(args: argparse.Namespace) -> None:
    """Print how the folder is read, and what is seen in it or which pretraining to start from."""
    begun = time.monotonic()  # before what takes seconds to load
    from tlkit.advice import advise as whole
    from tlkit.advice import looking, reading, understand
    from tlkit.advice.choices import AmbiguousError, add_commands
    from tlkit.config import ConfigError

    if not args.folder:
        raise ConfigError("which images? Say `make advise FOLDER=...`, or `python -m tlkit advise FOLDER`.")
    budget = whole.seconds_of(args.budget)
    asked = {flag: getattr(args, flag) for flag in understand.FLAGS}
    try:
        found = understand.understand(args.folder, args.name, **asked)
    except AmbiguousError as error:
        more = ["--look"] if args.look else []
        raise ConfigError(add_commands(error, args.folder, asked | {"name": args.name}, more)) from error
    print("\n".join([f"{found['folder']}: {found['task']}", *(f"  {line}" for line in found["said"])]))
    print(f"  this reading can be edited: {reading.folder_of(found['name']) / 'data.yaml'}")
    if args.look:
        red, plain = ("\033[31m", "\033[0m") if sys.stdout.isatty() else ("", "")
        for line in looking.lines(looking.look(found)):
            print(f"{red}{line}{plain}" if line.startswith("warning") else line)
        print(f"look.json and mosaic.png are in {reading.folder_of(found['name'])}")
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a kill ends it as Ctrl-C does
    try:
        how = {"network": args.backbone, "prefix": args.prefix, "partial": args.partial, "begun": begun}
        told = whole.advise(found, budget, args.weights, args.metric, **how)
    except KeyboardInterrupt:
        print(f"\nthis goes on from what is done: {shlex.join(['python', '-m', 'tlkit', *sys.argv[1:]])}")
        raise
    print(f"\n{told['said']}\nThe page: {reading.folder_of(found['name']) / 'answer.html'}")
