"""From logs to tables: the paper's numbers where the authors' logs are there, else the shape of the tables."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tlkit.figures import convergence, evaluation
from tlkit.phantoms.logs import write as write_logs
from tlkit.published import authorlogs, claims
from tlkit.published.jonske2025 import FIGURES

SPEC = Path(os.environ.get("TLKIT_TIMES") or "nowhere")  # the authors' times, CC BY-NC: not in the repository


@pytest.fixture(scope="module")
def phantom(tmp_path_factory) -> authorlogs.Logs:
    root = tmp_path_factory.mktemp("logs")
    write_logs(root, seed=0)
    return authorlogs.read(root, train=False)


@pytest.fixture(scope="module")
def tables(phantom) -> dict[str, pd.DataFrame]:
    return evaluation.tables(phantom, FIGURES)


@pytest.fixture(scope="module")
def published_pairs(jonske_logs) -> pd.DataFrame:
    return evaluation.tables(jonske_logs, FIGURES)["contrasts"].astype({"task": str})


def test_the_tables_have_the_promised_columns_and_names(tables):
    assert [*tables] == ["results", "contrasts", "convergence"]
    promised = """experiment task metric a b n_a n_b mean_a mean_b delta_pct p_published p_sound ci_low ci_high
        hedges_g p_holm equivalent mdd"""
    assert set(promised.split()) <= set(tables["contrasts"])
    names = {
        "scratch",
        "imagenet",
        "radnet",
        "radnet12m",
        "radnet_lb",
        "radnet_ub",
        "mixed_sequential",
        "mixed_together",
    }
    assert set(tables["contrasts"]["a"]) == set(tables["results"]["pretraining"]) == names
    assert set(tables["results"]["metric"]) == {"accuracy", "auc", "dice_1", "dice_2", "dice_3"}
    assert set(tables["convergence"]["experiment"]) == {"E1", "E2", "E4", "E6", "E8"}


def test_both_directions_of_every_pair_are_there(tables):
    key = ["experiment", "task", "metric"]
    pairs = tables["contrasts"]
    there = set(pairs[[*key, "a", "b"]].itertuples(index=False, name=None))
    assert there == set(pairs[[*key, "b", "a"]].itertuples(index=False, name=None)) and len(there) == len(pairs)


def test_correction_is_within_a_figure(phantom, tables):
    results, pairs = evaluation.results(phantom, FIGURES), tables["contrasts"]
    alone = evaluation.contrasts(results[results["figure"] == "fig3"], phantom.size_adjustment(), phantom.names())
    found = pairs.loc[pairs["figure"] == "fig3", "p_holm"].to_numpy()
    np.testing.assert_array_equal(found, alone["p_holm"].to_numpy())
    assert (pairs["p_holm"] >= pairs["p_sound"]).all()


def test_cells_hold_both_standard_deviations(phantom):
    cells = evaluation.cells(evaluation.results(phantom, FIGURES))
    assert (cells["n"] == 4).all()
    np.testing.assert_allclose(cells["sd_population"], cells["sd"] * np.sqrt(3 / 4))


def test_without_both_corpora_nothing_is_estimated(phantom):
    class Part:
        def headline(self):
            found = phantom.headline()
            return found[found["pretraining"] != "radnet12m"]

        def size_adjustment(self):
            return None

    found = evaluation.results(Part(), FIGURES)
    assert not found["pretraining"].str.startswith("radnet_").any()
    assert evaluation.contrasts(found, None, phantom.names())["p_sound"].notna().all()


def test_a_source_without_results_says_what_helps():
    from tlkit.config import ConfigError
    from tlkit.studies import load

    with pytest.raises(ConfigError, match="make figures"):
        evaluation.results(load("boundaries", "smoke"), FIGURES)


# --- the authors' logs ---


def test_every_quoted_number_of_experiments_1_and_2_agrees_to_the_printed_digit(published_pairs):
    checked = claims.check(claims.read_quoted(), published_pairs)
    there = checked[checked["experiment"].isin(["E1", "E4"])]
    assert len(there) == 8 and (there["agrees"] == "yes").all()
    key = {c: there[c].tolist() for c in ("delta_ours", "p_ours")}
    assert key["delta_ours"] == ["0.44", "2.07", "0.44", "0.79", "2.07", "42.92", "0.30", "0.53"]
    assert key["p_ours"] == ["0.541", "0.025", "0.541", "0.231", "0.025", "<0.001", "0.320", "0.119"]


def test_the_sound_p_values_of_the_fact_sheet(published_pairs):
    pairs = published_pairs
    pairs = pairs[(pairs["a"] == "radnet_ub") & (pairs["b"] == "imagenet")].set_index(["experiment", "task", "metric"])
    expected = {("E1", "I1k", "accuracy"): 0.022, ("E1", "R", "accuracy"): 0.469, ("E1", "LiTS", "dice_1"): 0.266}
    expected |= {("E4", "LiTS", "dice_1"): 0.007, ("E1", "BraTS", "dice_1"): 0.026}
    for panel, p in expected.items():
        assert round(pairs.loc[panel, "p_sound"], 3) == p
    assert pairs.loc[("E4", "R", "accuracy"), "p_sound"] < 0.001


@pytest.mark.skipif(not SPEC.is_file(), reason="TLKIT_TIMES names no file of the authors' times to convergence")
def test_times_to_convergence_of_every_run_equal_the_authors(jonske_logs):
    names = {"Scratch": "scratch", "I1k": "imagenet", "R": "radnet", "RF": "radnet12m"}
    line = re.compile(r"- (E[14]) (\w+) (\w+?)(?:_lineval)? (?:d1|auc|acc) \[(.*)\] ([\d.]+)")
    listed = [m.groups() for m in map(line.fullmatch, SPEC.read_text().splitlines()) if m]
    times = convergence.times(jonske_logs.history()).astype({"task": str})
    means = convergence.summary(times).set_index(["experiment", "pretraining", "task"])["ttc_published"]
    assert len(listed) == len(means) == 35
    for experiment, pretraining, task, runs, mean in listed:
        key = {"experiment": experiment, "task": task, "pretraining": names[pretraining], "rule": "published"}
        cell = times[(times[list(key)] == pd.Series(key)).all(axis=1)]
        base_first = sorted(zip(cell["run"], cell["epoch"], strict=True))
        assert [epoch for _, epoch in base_first] == [int(v) for v in runs.split(",")]
        assert means[experiment, names[pretraining], task] == pytest.approx(float(mean))


def test_the_whole_tumour_is_class_2_in_every_run(jonske_logs):
    from tlkit.published import discrepancies

    results = jonske_logs.results
    found = discrepancies.complement_of_background(results[results["task"] == "BraTS"])
    by_run = found.pivot(index="run", columns="class", values="mismatch")
    assert len(by_run) == 28
    assert (by_run[2] < 0.01).all() and (by_run[[1, 3]] > 0.03).all(axis=None)


def test_phantom_logs_hold_the_planted_discrepancies(tmp_path):
    from tlkit.published import discrepancies

    write_logs(tmp_path, seed=3)
    logs = authorlogs.read(tmp_path)
    shares = discrepancies.images_per_epoch(logs.training).set_index("task")
    parts = shares[shares["nominal"] < 1]
    off = parts[(parts["share"] / parts["nominal"] - 1).abs() > 0.2]
    assert set(off.index) == {"CX8M", "CX8S"}
    real = evaluation.results(logs, FIGURES)
    single = discrepancies.leave_one_out(real[~real["pretraining"].isin(["radnet_lb", "radnet_ub"])])
    assert set(single.loc[single["collapsed"], "task"].astype(str)) == {"LiTS", "LiTSS"}
    accuracy = real[real["metric"] == "accuracy"].groupby(["task", "pretraining"], observed=True)["value"].mean()
    for name in ("scratch", "imagenet", "radnet", "radnet12m"):
        assert accuracy["RXS", name] < accuracy["RXXS", name] < accuracy["RS", name]
    assert isinstance(logs.missing(), pd.DataFrame)
