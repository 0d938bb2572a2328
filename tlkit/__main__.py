"""The commands of `python -m tlkit`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

from tlkit import paths, stopping
from tlkit.advice import ask as of_advice
from tlkit.config import ConfigError, TlkitError
from tlkit.site import paper_commands
from tlkit.workflow import forked

# Commands import what they need themselves: a job of the DAG is often handed on, and needs none of it here.


def main(argv: list[str] | None = None) -> int:
    """Run one command; errors of the project print as one message and give exit status 1."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("papermill").setLevel(logging.WARNING)
    args = parser().parse_args(argv)
    stopping.outlive_warnings()
    try:
        paths.require_checkout()
        return args.do(args) or 0
    except (TlkitError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; started again, it goes on from what is done", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; `do` of what it parses is the function that does the command."""
    main = argparse.ArgumentParser(prog="python -m tlkit", description="Which pretraining should I start from?")
    commands = main.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, do, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(do=do)
        return sub

    def study(sub: argparse.ArgumentParser, several: str = "") -> None:
        sub.add_argument(
            "--study", default="boundaries", help=f"a file in paper/studies{several} (default: boundaries)"
        )
        sub.add_argument("--scale", default="quick", help="smoke, quick, course or paper (default: quick)")
        sub.add_argument("--data", default="", help="phantom or real (default: what the scale says)")

    of_advice.add(command)
    lessons = command("course", make_course, "make the course's copies for students and its solutions, and run both")
    lessons.add_argument("--scale", default="quick", help="quick or smoke (default: quick)")
    lessons.add_argument("--no-run", action="store_true", help="write the copies and run none")
    command("check", check, "show whether this machine has what the project needs")
    data = command("data", show_data, "list, show, get or verify data sets, or make a study's phantoms and stores")
    data.add_argument("action", nargs="?", default="list", choices=["list", "show", "get", "verify", "make"])
    data.add_argument("name", nargs="?", default="", metavar="NAME", help="a data set, for show, get and verify")
    data.add_argument("--size", default="", help="get: mini, small, full, or another one that `show` lists")
    data.add_argument("--to", type=Path, metavar="DIR", help="get, verify: in place of TLKIT_DATA")
    data.add_argument("--dry-run", action="store_true", help="get: count and size, fetch nothing")
    data.add_argument("--from", dest="source", type=Path, metavar="FOLDER", help="get: take the files from there")
    data.add_argument("--yes", action="store_true", help="get: don't ask, and replace another size")
    study(data)
    command("keys", show_keys, "list every key of a study file with what it is for")
    plan = command("plan", show_plan, "list a study's runs as done, missing or failed, with the minutes each needs")
    plan.add_argument("--all", action="store_true", help="one line per run instead of one per group")
    study(plan, ", or several")
    run = command("run", do_run, "do the run of a config file")
    run.add_argument("config", type=Path)
    status = command("status", show_status, "list the runs in the runs folder")
    status.add_argument("--watch", action="store_true", help="show those at work, on any machine, every 5 s")
    status.add_argument("--study", default="", help="those of this study, at every scale")
    status.add_argument("--state", default="", help="those in this state, or several with commas: done, failed ...")
    status.add_argument("--since", default="", help="those that changed since then: 30m, 2h, 3d, 1w, or 2026-01-31")
    lab = command("lab", open_lab, "open JupyterLab with notebooks that are yours to change, in work/")
    lab.add_argument("more", nargs="*", help="arguments of JupyterLab, after --")
    away = command("remove", do_remove, "delete runs, finished or not, and all that started from them")
    away.add_argument("runs", nargs="+", metavar="RUN", help="the id of a run, or the name of a folder of groups")
    book = command("notebook", do_notebook, "execute one notebook with parameters")
    book.add_argument("name")
    book.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    book.add_argument("--out", type=Path, help="the executed copy (default: runs/notebooks/<name>.ipynb)")
    job = command("job", do_job, "do one node of a study's DAG (what the Snakefile calls)")
    job.add_argument("name")
    job.add_argument("--record", action="store_true", help="write a failure down instead of ending with it")
    study(job)
    figures = command("figures", do_figures, "make a study's figures and tables, and all that they need")
    figures.add_argument("--cores", type=int, default=0, help="processes at once (default: all cores)")
    figures.add_argument("--profile", default="", help="slurm, or the folder of a Snakemake profile: jobs go there")
    study(figures, ", or several")
    command(
        "deviations", do_deviations, "write paper/deviations.md: what the paper scale does otherwise than the papers"
    )
    paper_commands.add(command)
    logs = command(
        "published", do_published, "check the published numbers of Jonske et al. 2025 against the authors' logs"
    )
    logs.add_argument("logs", help="the clone of the authors' repository, or its folder of fine-tuning logs")
    logs.add_argument("--out", type=Path, help="where the four .csv files go (default: paper/tables/jonske2025)")
    logs.add_argument(
        "--margin", type=float, default=0.01, help="largest difference that counts as none (default: 0.01)"
    )
    logs.add_argument("--no-train", action="store_true", help="leave the large train.log files unread")
    return main


def _study(args: argparse.Namespace, name: str = ""):
    from tlkit import studies

    return studies.load(name or args.study, args.scale, args.data)


def _studies(args: argparse.Namespace) -> list[str]:
    """Return the names in --study: one study, whatever its name holds, or several with spaces between them."""
    from tlkit.studies import studyfile

    return [args.study] if args.study in studyfile.names() else args.study.split()


def make_course(args: argparse.Namespace) -> None:
    """Make both copies of the lessons and, unless told otherwise, run them."""
    from tlkit.course import making

    making.make(args.scale, not args.no_run)


def check(args: argparse.Namespace) -> int:
    """Print whether this machine has what the project needs; return 1 where something has to be mended."""
    from tlkit import listings
    from tlkit.check import environment_check

    table = environment_check()
    print("\n".join(listings.check_lines(table)))
    return int((table["state"] == "FIX").any())


def open_lab(args: argparse.Namespace) -> int:
    """Open the copies of the notebooks in JupyterLab, and return its exit status."""
    from tlkit import lab

    return lab.main(args.more)


def show_keys(args: argparse.Namespace) -> None:
    """Print the keys of a study file."""
    from tlkit.studies import schema

    print(schema.describe())


def show_data(args: argparse.Namespace) -> int:
    """Do one of `data list|show|get|verify|make`; return 1 where a data set is not whole."""
    from tlkit.sources import commands

    if args.action == "list":
        print(commands.table())
        return 0
    if args.action != "make":
        if not args.name:
            raise ConfigError(f"which data set? `python -m tlkit data {args.action} NAME`; `data` alone lists them.")
        if args.action == "verify":
            text, good = commands.verify(args.name, args.to)
            print(text)
            return int(not good)
        how = {"size": args.size, "to": args.to, "dry": args.dry_run, "source": args.source, "yes": args.yes}
        print(commands.show(args.name) if args.action == "show" else commands.get(args.name, **how))
        return 0
    if args.name:
        raise ConfigError(f"`data make` makes all data of a study: `data make --study {args.name}`?")
    from tlkit.workflow.execution import make_job
    from tlkit.workflow.graph import jobs

    study = _study(args)
    for job in jobs(study):
        if not job.notebook:
            print(make_job(study, job.name)["store"])
    return 0


def show_plan(args: argparse.Namespace) -> None:
    """Print the runs of each study: done, missing, failed, and the minutes they need."""
    from tlkit import listings

    for name in _studies(args):
        print("\n".join(listings.report_plan(_study(args, name), args.all)))


def do_run(args: argparse.Namespace) -> None:
    """Do the run whose config a JSON file holds, and print its folder. Raises ConfigError for other files."""
    from tlkit.launching import end_with_launcher
    from tlkit.training.run import run

    end_with_launcher()
    try:
        config = json.loads(args.config.read_text())
    except ValueError as error:
        raise ConfigError(f"{args.config} is not JSON: {error}. Each run folder holds one as an example.") from error
    print(run(config))


def show_status(args: argparse.Namespace) -> None:
    """Print the runs of the runs folder, once or until Ctrl-C."""
    from tlkit import listings
    from tlkit.workflow import watching

    if args.watch:
        watching.watch()
    else:
        print("\n".join(listings.report_status(args.study, args.state, args.since)))


def do_remove(args: argparse.Namespace) -> None:
    """Remove runs with all that was made from them, and print which those were."""
    from tlkit import runs

    gone: list[str] = []
    for name in args.runs:
        if name not in gone:
            gone += runs.remove(name)
    print(f"removed: {', '.join(gone)}")


def do_notebook(args: argparse.Namespace) -> None:
    """Run a notebook with its parameters as YAML, and print where the executed copy is."""
    from tlkit.workflow.execution import execute
    from tlkit.yamllines import parse

    parameters = {k: parse(v)[0] for k, v in args.parameter}
    out = args.out or paths.runs_root() / "notebooks" / f"{args.name}.ipynb"
    print(execute(args.name, parameters, out))


def do_job(args: argparse.Namespace) -> None:
    """Do one job of a study's DAG, and print how it ended. Raises what failed, unless `--record` was asked for."""
    from tlkit.workflow import records
    from tlkit.workflow.execution import make_job
    from tlkit.workflow.graph import find_job

    study = _study(args)
    try:
        record = make_job(study, args.name)
    except Exception:
        record = records.read(study.folder / find_job(study, args.name).output)
        if not args.record or record["state"] != "failed":
            raise
    print(records.say(record))


def do_figures(args: argparse.Namespace) -> int:
    """Fetch what is missing and agreed to, and bring the studies to their figures; return the exit status."""
    from tlkit.workflow import dag, getting

    getting.fetch_missing(_studies(args), args.scale, args.data)
    return dag.make_figures(_studies(args), args.scale, args.data, args.cores, args.profile)


def do_deviations(args: argparse.Namespace) -> None:
    """Write paper/deviations.md anew, and print its path."""
    from tlkit.published import deviations

    print(deviations.write())


def do_published(args: argparse.Namespace) -> None:
    """Write four tables of published logs, and print the claims beside what the logs say."""
    from tlkit import listings

    print("\n".join(listings.report_published(args.logs, args.out, args.margin, not args.no_train)))


if __name__ == "__main__":
    handed_on = (
        forked.run_command("tlkit.__main__:main", sys.argv[1:]) if sys.argv[1:2] in (["job"], ["notebook"]) else None
    )
    sys.exit(main() if handed_on is None else handed_on)
