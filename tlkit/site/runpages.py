"""A page a run, the index of runs, and what the comparison of two runs reads."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tlkit import files, runfolder, runs
from tlkit.config import file_name, short_hash
from tlkit.manuscript.provenance import Facts, Provenance
from tlkit.site.page import flatten, link, make_list, page, table, text
from tlkit.training.tasks import base_kind

INDEX = ("kind", "mode", "task", "pretraining", "fraction", "seed", "backbone")  # of a run, in the index


def address(rid: str) -> str:
    """Return the file name of a run's page, without its ending: that of the run."""
    return file_name(rid, 200)


def write(out: Path, known: Provenance, books: dict[str, str]) -> list[str]:
    """Write the pages of all finished runs, their index and the page of comparison; return the runs.

    `books`: the address of the executed notebook of each run that has one.
    """
    there = known.here()
    index, recipes = [], {}
    for rid in there:
        facts = known.facts(rid)
        data = read(rid, facts)
        recipe = {key: data["config"].pop(key) for key in [*data["config"]] if key.startswith("recipe.")}
        recipes[data.setdefault("recipe", short_hash(recipe))] = recipe  # which many runs share
        script = f"window.RUNS=window.RUNS||{{}};RUNS[{json.dumps(rid)}]={_compact(data)};\n"
        files.write_text(out / "runs" / "data" / f"{address(rid)}.js", script)
        files.write_text(out / "runs" / f"{address(rid)}.html", _page(rid, facts, data, known, books.get(rid, "")))
        index.append([rid, *(_shown(facts.config.get(key)) for key in INDEX), _headline(data), _minutes(facts)])
    files.write_text(out / "runs" / "data" / "recipes.js", f"window.RECIPES={_compact(recipes)};\n")
    files.write_text(out / "runs.html", _index(index))
    files.write_text(out / "compare.html", _compare(there))
    return there


def read(rid: str, facts: Facts) -> dict[str, Any]:
    """Return what the pages show of a run: flat config, metrics, epochs, and a score for each test image.

    scores: per mille, by image; what they are stands in `score`, `better` is 1 where more is better. images: a short
    hash of the ids of the test images, by which two runs are known to have the same; patients: a number for each.
    """
    found: dict[str, Any] = {"config": flatten(facts.config), "epochs": {}}
    found["metrics"] = {name: _rounded(value) for name, value in runs.read_metrics(rid).items()}
    if (runs.folder(rid) / "history.csv").exists():
        epochs = runs.history(rid).select_dtypes("number").drop(columns=["seconds", "cpu_seconds"], errors="ignore")
        found["epochs"] = {name: [_rounded(float(v)) for v in epochs[name]] for name in epochs}
    path = runfolder.folder(rid) / "predictions_test.parquet"
    if path.exists():
        kept = pd.read_parquet(runs.check_file(rid, path.name)).sort_values("id")
        name, better, values = score(kept, facts.config.get("task_kind", "multiclass"))
        found |= {"score": name, "better": better, "scores": [round(1000 * float(v)) for v in values]}
        found["images"] = short_hash([str(i) for i in kept["id"]])
        found["patients"] = pd.factorize(kept["patient"])[0].tolist()
    return found


def score(kept: pd.DataFrame, kind: str) -> tuple[str, int, np.ndarray]:
    """Return for the predictions of a run what is scored in each image, whether more is better (1, -1), and it [n]."""
    kind = base_kind(kind)
    output, target = (np.stack(kept[side].to_numpy()) for side in ("output", "target"))
    if kind == "segmentation":
        both = output[:, 1:] + target[:, 1:]
        overlap = 2 * np.stack(kept["overlap"].to_numpy())[:, 1:]
        dice = np.divide(overlap, both, out=np.full(both.shape, np.nan), where=both > 0)
        empty = np.isnan(dice).all(axis=1)
        dice[empty] = 1  # nothing there, and nothing found
        return "mean Dice of the image", 1, np.nanmean(dice, axis=1)
    if kind == "regression":
        return "absolute error", -1, np.abs(output.reshape(len(kept)) - target.reshape(len(kept)))
    if kind == "multiclass":
        return "right (1) or wrong (0)", 1, (output.argmax(axis=1) == target).astype(float)
    right = (output.reshape(len(kept), -1) > 0.5) == (target.reshape(len(kept), -1) > 0.5)
    return "share of labels that are right", 1, right.mean(axis=1)


def _page(rid: str, facts: Facts, data: dict[str, Any], known: Provenance, book: str) -> str:
    environment = facts.environment
    start = link(f"{address(facts.start)}.html", facts.start) if facts.start in known.here() else text(facts.start)
    used = [
        link(f"../results/{s.kind}-{s.study}-{s.name}.html", f"{s.kind[:-1]} {s.title}")
        for s in known.used_by.get(rid, [])
    ]
    origin = [("data", "; ".join(f"{link(f'../data/{file_name(n)}.html', n)} {text(c)}" for n, c in facts.data))]
    origin += [("starts from", start or "random weights"), ("commit", text(facts.commit))]
    origin += [("notebook", link(f"../notebooks/{book}", "as executed") if book else "none: started by a command")]
    origin += [("finished", text(facts.status.get("updated", ""))), ("seconds", text(facts.status.get("seconds", "")))]
    machine = {k: environment.get(k) for k in ("device", "capability", "platform", "python", "threads", "processes")}
    machine |= environment.get("packages", {})
    body = [
        f"<h1>{text(rid)}</h1>",
        f"<p>{text(_headline(data))} {link(f'../compare.html?a={rid}', 'Compare with another run')}</p>",
        "<h2>Where it comes from</h2>",
        table((), origin),
        "<h2>What uses it</h2>",
        make_list(used, "No figure or table."),
        f'<div id="run" data-run="{text(rid)}" data-file="{text(address(rid))}"></div>',
        "<noscript><p class=warn>Results, curves and config are drawn by JavaScript, from the file beside this page.",
        "</noscript><h2>Environment</h2><p>",
        text(", ".join(f"{k} {v}" for k, v in machine.items() if v not in (None, ""))),
    ]
    return page(rid, "\n".join(body), f"runs/{address(rid)}.html", ["runs/data/recipes.js", "site.js"])


def _index(rows: list[list[Any]]) -> str:
    head = ["run", *INDEX, "result", "minutes"]
    cells = [[link(f"runs/{address(row[0])}.html", row[0]), *map(text, row[1:])] for row in rows]
    body = (
        "<h1>Runs</h1><p>The finished runs, one a line. A heading sorts; the field keeps the lines that have all of "
        "its words; two ticked runs can be compared.</p>"
        '<p><label for="filter">Filter</label> <input id="filter" type="search" autocomplete="off"> '
        '<span id="count" role="status" aria-live="polite"></span> '
        '<button id="compare" type="button" disabled>Compare the two ticked runs</button></p>'
        "<noscript><p>Without JavaScript this table neither filters nor sorts; all links work.</p></noscript>"
    )
    if not rows:
        body += '<p class="warn">No finished runs are here. <code>make figures</code> makes them.</p>'
    return page("Runs", body + table(head, cells, more=' id="runs"'), "runs.html", ["site.js"], wide=True)


def _compare(there: Iterable[str]) -> str:
    options = "".join(f"<option>{text(rid)}" for rid in there)  # a run's files have its name
    choose = "".join(
        f'<p><label for="{side}">Run {side}</label> <select id="{side}"><option value="">choose a run</option>{options}'
        "</select></p>"
        for side in "ab"
    )
    body = (
        f"<h1>Compare two runs</h1>{choose}<noscript><p class=warn>The comparison needs JavaScript.</p></noscript>"
        '<div id="comparison" role="region" aria-live="polite" aria-label="comparison"></div>'
    )
    return page("Compare two runs", body, "compare.html", ["runs/data/recipes.js", "site.js"])


def _headline(data: dict[str, Any]) -> str:
    for name in ("accuracy", "auc", "dice_mean", "mae", "skill", "loss"):
        if data["metrics"].get(name) is not None:
            return f"{name} {data['metrics'][name]:.4g}"
    return ""


def _minutes(facts: Facts) -> str:
    seconds = facts.status.get("seconds")
    return f"{seconds / 60:.2f}" if isinstance(seconds, int | float) else ""


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _rounded(value: Any) -> Any:
    """Return a number of four digits; None for what is none."""
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else None
    return value


def _compact(data: Any) -> str:
    """Return JSON that a script may hold: no tag in it ends the script, no line end breaks it."""
    told = json.dumps(data, separators=(",", ":"), ensure_ascii=True)
    return told.replace("<", "\\u003c")
