"""A study under other names: its file, and its finished runs copied, so that its figures can be drawn again."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import yaml

from tlkit import files, paths, runfolder, runs, yamllines
from tlkit.studies import Study, load
from tlkit.workflow import graph

NEW = "renamed"
Names = dict[str, dict[str, str]]  # part of a study -> old name -> new name
DEALT = "fig9"  # phantom ratings: heat maps are dealt to letters by the sorted names of the arms


def new_names(text: dict[str, Any]) -> Names:
    """Return other names for the pretrainings, tasks and experiments of a study, in the opposite order of letters."""
    found: Names = {}
    for part, more, letter in (("pretrainings", "estimates", "p"), ("tasks", "", "t"), ("experiments", "", "e")):
        scales = [text["common"], *text["scales"].values()]
        old = {name for values in scales for key in (part, more) for name in values.get(key) or {}}
        found[part] = {name: f"{letter}{99 - place}" for place, name in enumerate(sorted(old))}
    return found


def write(source: Path, folder: Path) -> Names:
    """Write a study file under other names as `NEW` into a folder, beside the old one; return the names."""
    text, _ = yamllines.parse(source.read_bytes())
    names = new_names(text)
    scales = {scale: _values(values, names) for scale, values in text["scales"].items()}
    new = {"common": _values(text["common"], names), "scales": scales}
    shutil.copy(source, folder / source.name)
    (folder / f"{NEW}.yaml").write_text(yaml.safe_dump(new, sort_keys=False, allow_unicode=True))
    return names


def _values(values: dict[str, Any], names: Names) -> dict[str, Any]:
    """Return what a scale says, with other names; what is no name of the study stays."""

    def renamed(*parts: str) -> Callable[[Any], Any]:
        table = {old: new for part in parts for old, new in names[part].items()}

        def change(value: Any) -> Any:
            if isinstance(value, dict):
                return {table.get(k, k): v for k, v in value.items()}
            return [table.get(v, v) for v in value] if isinstance(value, list) else table.get(value, value)

        return change

    def changed(entry: Any, **changes: Callable[[Any], Any]) -> Any:
        if not isinstance(entry, dict):
            return entry
        return {k: changes[k](v) if k in changes and v is not None else v for k, v in entry.items()}

    def each(**changes: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda entries: {name: changed(entry, **changes) for name, entry in entries.items()}

    arm, task, way = renamed("pretrainings"), renamed("tasks"), renamed("experiments")

    def arms(value: Any) -> Any:  # a list, or a list for each task
        return {task(k): v and arm(v) for k, v in value.items()} if isinstance(value, dict) else arm(value)

    figure = each(
        experiments=way,
        whole=way,
        frozen=way,
        tasks=task,
        captions=task,
        pretrainings=arm,
        arm=arm,
        domains=arm,
        planted=arm,
        compared=lambda pairs: {question: arm(pair) for question, pair in pairs.items()},
        published=lambda values: {task(name): arm(of) for name, of in values.items()},
        files=renamed("experiments", "tasks"),
    )
    pretraining, of_task = each(of=arm, after=arm, corpora=arm), each(of=task)
    experiment = each(tasks=task, pretrainings=arms, recipes=task, pretraining_recipes=arm, rates_of=way)
    estimate = each(between=arm)
    return changed(
        values,
        pretrainings=lambda entries: arm(pretraining(entries)),
        tasks=lambda entries: task(of_task(entries)),
        experiments=lambda entries: way(experiment(entries)),
        figures=figure,
        colours=arm,
        estimates=lambda entries: arm(estimate(entries)),
    )


def ids(old: Study, new: Study) -> dict[str, str]:
    """Return the old id of each run of the renamed study."""
    with old.without_data(), new.without_data():
        pairs = zip(old.configs(), new.configs(), strict=True)
        return {runs.run_id(after): runs.run_id(before) for before, after in pairs}


def copy_runs(old: Study, new: Study, source: Path, target: Path) -> None:
    """Copy the finished runs of a study (links where files stay as they are) as those of the renamed one."""
    (target / "data").symlink_to(source / "data")
    configs = {runs.run_id(config): config for config in new.configs()}
    for mine, before in ids(old, new).items():
        where = shutil.copytree(source / before, target / mine, copy_function=os.link)
        status = runfolder.read_status(where)
        runs.write_json(where / "config.json", configs[mine])
        config = where / "config.json"
        status["files"]["config.json"] = [config.stat().st_size, files.sha256(config)]
        runfolder.write_status(where, status)


def draw(study: Study, monkeypatch) -> None:
    """Run the cells of the notebooks of the study's figures that show runs, here and with no picture but the SVG."""
    import IPython.display

    from tlkit import report
    from tlkit.report import saving

    monkeypatch.setattr(IPython.display, "display", lambda *shown, **how: None)
    monkeypatch.setattr(report, "show", lambda *shown: None)
    monkeypatch.setattr(saving, "KINDS", {"svg": saving.KINDS["svg"]})
    for job in (job for job in graph.jobs(study) if job.is_figure and job.makes):
        scope: dict[str, Any] = {}
        for cell in nbformat.read(graph.notebooks()[job.notebook], 4).cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, f"{job.notebook} {cell.id}", "exec"), scope)
                scope |= job.parameters if "parameters" in cell.metadata.get("tags", []) else {}


def texts(figure: Path) -> list[str]:
    """Return the words of a figure in the order in which they are drawn."""
    return re.findall(r"<!-- (.*?) -->", figure.read_text(encoding="utf-8"))


def table(file: Path, back: dict[str, str]) -> list[list[str]]:
    """Return head and sorted rows of a table as text, by the old names."""
    frame = pd.read_csv(file, dtype=str, keep_default_na=False).replace(back)
    return [[back.get(name, name) for name in frame.columns], *sorted(frame.to_numpy().tolist())]


def compare(old: Path, new: Path, name: str, back: dict[str, str]) -> None:
    """Raise AssertionError unless two folders `paper` hold the same figures and tables of a study and of its copy.

    Args: name: of the study in `old`; back: new name, or id of a run -> the old one.
    """
    for kind, ending in (("figures", "svg"), ("tables", "csv")):
        folders = (new / kind / NEW / "smoke", old / kind / name / "smoke")
        mine, theirs = ({p.stem: p for p in folder.glob(f"*.{ending}")} for folder in folders)
        assert mine and set(mine) <= set(theirs), kind
        for stem, file in mine.items():
            sides = [runs.read_json(path.with_suffix(".json")) for path in (file, theirs[stem])]
            assert {back[rid] for rid in sides[0]["runs"]} == set(sides[1]["runs"]), (kind, stem)
            if not stem.startswith(DEALT):
                assert sides[0]["caption"] == sides[1]["caption"], (kind, stem)
                if kind == "figures":
                    assert texts(file) == texts(theirs[stem]), stem
                else:
                    assert table(file, back) == table(theirs[stem], {}), stem


def check(name: str, finished: Path, root: Path, monkeypatch) -> None:
    """Draw the figures of a finished study under other names, and compare them with those under the old ones.

    Args: finished: folder with `runs` and `paper` of the study at smoke; root: an empty folder for the copy.
    """
    studies, target = root / "studies", root / "runs"
    studies.mkdir()
    target.mkdir()
    names = write(paths.STUDIES / f"{name}.yaml", studies)
    monkeypatch.setattr(paths, "STUDIES", studies)
    old, new = load(name, "smoke"), load(NEW, "smoke")
    copy_runs(old, new, finished / "runs", target)
    monkeypatch.setenv("TLKIT_RUNS", str(target))
    new = load(NEW, "smoke")  # its folder lies below the runs
    monkeypatch.setenv("TLKIT_PAPER", str(root / "paper"))
    draw(new, monkeypatch)
    back = {mine: before for part in names.values() for before, mine in part.items()} | ids(old, new)
    compare(finished / "paper", root / "paper", name, back)
