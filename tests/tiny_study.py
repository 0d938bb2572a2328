"""A tiny study with four finished runs, one table and one figure of them, as `make figures` would leave it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from tlkit import runs, studies
from tlkit.report import saving
from tlkit.stats import differences

STUDY = """\
common:
  title: A tiny study
  data: phantom
  backbone: resnet10
  size: 32
  seeds: [1, 2]
  split: {val: 0.1, test: 0.2, seed: 0}
  phantoms:
    imagenet: {seed: 1, train: 8, val: 8, pixels: 32}
  pretrainings:
    scratch: {title: Random weights}
    photos: {title: Photographs, dataset: imagenet, images: 16, recipe: {base: simclr, epochs: 1, batch: 8}}
  tasks:
    kinds: {title: Kinds of things, dataset: imagenet, images: 16, recipe: {base: finetune, epochs: 2, batch: 8}}
  experiments:
    E1: {title: fine-tuning, mode: finetune}
  figures:
    30_fig2_task_dependency: {experiments: [E1]}
scales:
  quick: {}
"""
HOST, HOME = "grandmas-laptop", "/data/doctor who/secret"
PATIENT = "Doe^Jane"


def write_run(config: dict, rng: np.random.Generator) -> str:
    """Leave a run as training does, with a host, a home and patients in it."""
    with runs.claim(config) as run:
        if run is None:
            return runs.run_id(config)
        runs.write_json(run.folder / "environment.json", ENVIRONMENT)
        runs.write_json(run.folder / "inputs.json", {"weights": {}, "groups": {}})
        pd.DataFrame({"epoch": [0, 1], "loss": rng.random(2), "accuracy": rng.random(2)}).to_csv(
            run.folder / "history.csv", index=False
        )
        (run.folder / "model.safetensors").write_bytes(rng.bytes(64))
        metrics = {"best_epoch": 1, "last_epoch": 2, "images": 16}
        if config["kind"] == "finetune":
            target, output = rng.integers(0, 2, 12), rng.random((12, 2))
            kept = {
                "id": [f"{PATIENT}/{i}.png" for i in range(12)],
                "patient": [f"{PATIENT}{i // 2}" for i in range(12)],
            }
            pd.DataFrame({**kept, "target": target, "output": list(output)}).to_parquet(
                run.folder / "predictions_test.parquet"
            )
            metrics["accuracy"] = float((output.argmax(1) == target).mean())
        runs.finish(run, metrics, seconds=1.5)
    return runs.run_id(config)


ENVIRONMENT = {
    "host": HOST, "platform": "Linux-6", "device": "x86_64", "python": "3.11.7", "packages": {"torch": "2.14.1"},
    "commit": {"id": "c0ffee" + "0" * 34, "dirty": False}, "folder": HOME, "threads": 1, "processes": 1,
}  # fmt: skip


def save_results(study: studies.Study) -> None:
    """Save the figure and tables of the study as a notebook does."""
    import matplotlib.pyplot as plt

    found = study.results().query("metric == 'accuracy'")
    about = {"study": study.name, "notebook": "30_fig2_task_dependency", "scale": study.scale, "phantom": study.phantom}
    about |= {"runs": found["run"].unique()}
    cells = differences.summarise(found)
    saving.save_table(cells, name="fig2_summary", caption="Means.", **about)
    saving.save_table(differences.pairwise(found), name="fig2", caption="Pairs.", **about)
    fig, ax = plt.subplots(figsize=(2, 1))
    ax.plot(found["value"], "o")
    saving.save_figure(fig, name="fig2", caption="Every run.", **about)
    plt.close(fig)


def runs_of(root: Path) -> list[str]:
    return json.loads((root / "paper" / "tables" / "tiny" / "quick" / "fig2.json").read_text())["runs"]
