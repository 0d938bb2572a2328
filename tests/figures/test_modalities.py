"""Fig. 5: one verdict a task and rate, counted as the paper counts, which its own numbers do not agree on."""

from __future__ import annotations

import grid_frames
import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind

from tlkit.config import ConfigError
from tlkit.figures import modalities, rank_tables
from tlkit.published import ranks


def rows(multi: list[float], single: list[float], task: str = "BTMR_ResNet50", lr: float = 1e-3) -> pd.DataFrame:
    metric = "mae" if task.startswith("PBA") else "f1_macro"
    sides = (("radiologynet", multi), ("radiologynet_mr", single))
    found = [(task, metric, lr, name, seed, v) for name, values in sides for seed, v in enumerate(values)]
    return pd.DataFrame(found, columns=["task", "metric", "lr", "pretraining", "seed", "value"])


def compare(found: pd.DataFrame) -> pd.DataFrame:
    return modalities.compare(found, grid_frames.MODALITIES)


def test_one_comparison_by_hand():
    (row,) = compare(rows([3, 5, 7], [1, 2, 3])).to_dict("records")
    assert (row["modality"], row["difference"], row["n_multi"], row["n_single"]) == ("mr", 3, 3, 3)
    assert row["p_student"] == pytest.approx(ttest_ind([3, 5, 7], [1, 2, 3]).pvalue) == row["p_holm"]
    assert row["cliffs_delta"] == pytest.approx(8 / 9)  # of nine pairs eight wins, one tie
    assert row["ci_low"] < 3 < row["ci_high"]


@pytest.mark.parametrize(("task", "verdict"), [("BTMR_ResNet50", "multi better"), ("PBA_InceptionV3", "single better")])
def test_a_higher_error_is_worse(task, verdict):
    found = compare(rows([10, 10.1, 10.2], [1, 1.1, 1.2], task))
    assert found[["published", "corrected"]].to_numpy().tolist() == [[verdict, verdict]]


def test_the_correction_counts_all_tests():
    parts = [rows([0.5, 0.6, 0.7], [0.2, 0.3, 0.43], lr=lr) for lr in (1e-5, 1e-4, 1e-3)]
    found = compare(pd.concat(parts))
    assert found["lr"].tolist() == [1e-5, 1e-4, 1e-3]
    assert found["p_holm"].tolist() == pytest.approx([min(1, 3 * p) for p in found["p_student"]])
    assert set(found["published"]) == {"multi better"} and set(found["corrected"]) == {"no difference"}


def test_a_side_that_has_no_run_stays_and_is_not_tested():
    whole = rows([0.5, 0.6, 0.7], [0.2, 0.3, 0.4])
    lone = rows([0.5, 0.6, 0.7], [], lr=1e-2)
    found = compare(pd.concat([whole, lone])).set_index("lr")
    assert found.loc[1e-2, "published"] == found.loc[1e-2, "corrected"] == "not tested"
    assert found.loc[1e-2, "modality"] == "mr"
    assert found.loc[1e-3, "p_holm"] == found.loc[1e-3, "p_student"]
    assert modalities.counts(found).loc["ours, Student's p as published", "not tested"] == 1


def test_the_pretraining_on_all_modalities_may_have_any_name():
    own = rows([4, 4, 5], [1, 2, 3]).replace({"radiologynet": "radiologynet_all"})
    found = compare(pd.concat([own, rows([3, 5, 7], [1, 2, 3], task="COVID_ResNet18")]))
    assert found["difference"].tolist() == pytest.approx([13 / 3 - 2, 3])


def test_no_spread_is_no_evidence():
    (row,) = compare(rows([0.5, 0.5], [0.4, 0.4])).to_dict("records")
    assert np.isnan(row["p_student"]) and row["published"] == "not tested"


def test_the_study_makes_27_comparisons_in_its_order():
    results = grid_frames.results()
    found = compare(rank_tables.statistics(results[results["experiment"] == "single_modality"]))
    assert len(found) == 27
    tasks = [t for t in grid_frames.TASKS if t in grid_frames.SINGLE]
    assert found["task"].tolist() == [t for t in tasks for _ in range(3)]
    assert found["modality"].value_counts().to_dict() == {"cr": 18, "mr": 6, "ct": 3}
    assert found["p_holm"].tolist() == pytest.approx(ranks.holm(found["p_student"]).tolist())
    counted = modalities.counts(found)
    assert (counted["tests"] == 27).all()
    ours = modalities.count_by_modality(found).xs("ours", level="source")
    first = counted.loc["ours, Student's p as published", list(modalities.VERDICTS)]
    assert ours.sum().tolist() == first.tolist()


def test_the_papers_two_counts_differ_and_the_second_is_the_sum_by_modality():
    counted = modalities.PAPER
    assert counted["paper, its sum"] == (13, 4, 10, 0) != counted["paper, by modality"]
    sums = tuple(map(sum, zip(*modalities.PAPER_BY_MODALITY.values(), strict=True)))
    assert sums == counted["paper, by modality"]
    assert {sum(c) for c in counted.values()} == {27}


def test_other_pretrainings_and_no_runs_are_errors():
    with pytest.raises(ConfigError, match="python -m tlkit plan"):
        compare(rows([], []))
    with pytest.raises(ConfigError, match="found imagenet of BTMR_ResNet50"):
        compare(rows([1, 2], [3, 4]).replace({"radiologynet_mr": "imagenet"}))
    with pytest.raises(ConfigError, match="found radiologynet, radiologynet_all of"):
        compare(rows([1, 2], [3, 4]).replace({"radiologynet_mr": "radiologynet_all"}))
