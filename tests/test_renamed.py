"""A copied study under other names has the same runs and figures. That they are drawn alike: test_figures*.py."""

from __future__ import annotations

import pytest
import renamed

from tlkit import paths, yamllines
from tlkit.studies import load, studyfile
from tlkit.workflow import graph

OF_RUNS = ("experiments", "tasks", "pretrainings", "seeds")  # read by `Study.shown_configs`


@pytest.mark.parametrize(
    ("name", "scale"),
    [("boundaries", "smoke"), ("boundaries", "course"), ("radiologynet", "smoke"), ("radiologynet", "paper")],
)
def test_a_renamed_study_has_the_same_runs_and_figures(name, scale, tmp_path, monkeypatch):
    renamed.write(paths.STUDIES / f"{name}.yaml", tmp_path)
    monkeypatch.setattr(paths, "STUDIES", tmp_path)
    old, new = load(name, scale), load(renamed.NEW, scale)
    back = renamed.ids(old, new)
    assert len(back) == len(set(back.values())) and not set(back) & set(back.values())
    pairs = zip(graph.jobs(old), graph.jobs(new), strict=True)
    for before, after in [(a, b) for a, b in pairs if a.is_figure]:
        assert before.notebook == after.notebook and set(before.makes) == {back[rid] for rid in after.makes}
    assert list(old.names().colours.values()) == list(new.names().colours.values())
    assert [(c.dataset, c.title) for c in old.challenges()] == [(c.dataset, c.title) for c in new.challenges()]
    assert list(old.modalities().values()) == list(new.modalities().values())
    titles = [[study.names()[arm] for arm in study.pretrainings] for study in (old, new)]
    assert titles[0] == titles[1]


@pytest.mark.parametrize("name", studyfile.names())
def test_what_a_figure_is_told_its_notebook_reads(name):
    text, _ = yamllines.parse((paths.STUDIES / f"{name}.yaml").read_bytes())
    for notebook, said in text["common"]["figures"].items():
        source = (paths.NOTEBOOKS / f"{notebook}.ipynb").read_text(encoding="utf-8")
        unread = [key for key in said if key not in OF_RUNS and f"asked.{key}" not in source]
        assert not unread, (notebook, unread)
