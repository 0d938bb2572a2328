"""`where` walks from a figure, table or number to runs, data and commit, and back."""

from __future__ import annotations

import pytest
from tiny_study import runs_of

from tlkit import __main__, paths
from tlkit.manuscript.provenance import NotFoundError, Provenance
from tlkit.manuscript.results import Results


def walk(what: str) -> str:
    return "\n".join(Provenance(Results()).walk(what))


def test_from_a_figure_to_its_runs_data_and_commit(tiny):
    for asked in ("tiny/fig2", str(tiny / "paper" / "figures" / "tiny" / "quick" / "fig2.png"), "fig2"):
        told = walk(asked)
        assert all(rid in told for rid in runs_of(tiny)) and "30_fig2_task_dependency" in told
        assert "imagenet (phantom" in told and "c0ffee" in told and "figure tiny/fig2" in told


def test_from_a_number_to_its_cell_and_runs(tiny):
    row = Results().find("tables", "tiny", "fig2_summary").frame.set_index("pretraining").loc["photos"]
    told = walk(f"{row['mean']:.4f}")
    assert "mean = " in told and "tiny/fig2_summary" in told
    assert all((rid in told) for rid in runs_of(tiny) if "-photos-" in rid)


def test_the_way_back_from_run_data_and_commit(tiny):
    rid = runs_of(tiny)[0]
    for asked in (rid, str(paths.runs_root() / rid / "metrics.json")):
        assert "figure tiny/fig2" in walk(asked) and "imagenet" in walk(asked)
    start = next(p.name for p in paths.runs_root().glob("pretrain-*"))
    assert walk(start).count("then      run finetune-") == 2
    assert "tiny/fig2" in walk("imagenet") and "5 runs" in walk("imagenet") and "5 runs here" in walk("c0ffee0")


def test_what_nobody_knows_is_told(tiny, capsys):
    for asked in ("tiny/fig22", "0.123456789", "nothing"):
        with pytest.raises(NotFoundError):
            walk(asked)
        assert __main__.main(["where", asked]) == 1
    assert __main__.main(["where", "tiny/fig2"]) == 0 and "NotFoundError" in capsys.readouterr().err
