"""A part of each study on open data at smoke, from phantoms through its runs to a figure, in this process."""

from __future__ import annotations

import json
from typing import Any

import matplotlib.pyplot as plt
import pytest
import yaml

from tlkit import paths, runs, studies

PARTS = {  # notebook and its figure; tasks and experiment that are left
    "open_boundaries": ("30_fig2_task_dependency", "fig2", ("R", "OrganC"), "finetune"),
    "open_radiologynet": ("42_fig5_single_modality", "fig5", ("OrganC",), "single_modality"),
}


def cut(name: str, notebook: str, tasks: tuple[str, ...], experiment: str) -> dict[str, Any]:
    """Return the file of a study with one notebook, one experiment, few tasks and one seed at smoke."""
    said = yaml.safe_load((paths.STUDIES / f"{name}.yaml").read_text(encoding="utf-8"))
    smoke = said["scales"]["smoke"] | {"seeds": [1]}
    for part in (said["common"], smoke):
        part["tasks"] = {task: part["tasks"][task] for task in tasks}
        part["experiments"] = {key: e for key, e in part["experiments"].items() if key == experiment}
    colours, arms = said["common"]["colours"], said["common"]["pretrainings"]
    said["common"]["colours"] = {name: colours[name] for name in arms.keys() & colours.keys()}
    said["common"]["figures"] = {notebook: {"experiments": [experiment]}}
    return said | {"scales": {"smoke": smoke}}


@pytest.mark.parametrize("name", PARTS)
def test_a_study_on_open_data_ends_in_its_figure(name, tmp_path, monkeypatch, capsys):
    notebook, figure, *part = PARTS[name]
    text = yaml.safe_dump(cut(name, notebook, *part), sort_keys=False)
    (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(paths, "STUDIES", tmp_path)
    cells = json.loads((paths.NOTEBOOKS / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = {"__name__": notebook}
    for code in ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"):
        exec(compile(code, notebook, "exec"), names)
        if "make_missing =" in code:  # the cell of parameters
            names |= {"study": name, "scale": "smoke", "make_missing": True}
    plt.close("all")
    study = studies.load(name, "smoke")
    assert set(study.plan()["state"]) == {"done"} and study.phantom
    saved = runs.read_json(paths.paper_root() / "figures" / name / "smoke" / f"{figure}.json")
    assert saved["phantom"] and len(saved["runs"]) == sum(c["kind"] == "finetune" for c in study.configs())
