"""The learning rate is chosen by validation alone, and what is missing is named."""

from __future__ import annotations

import grid_frames
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit.config import ConfigError, UnknownNameError
from tlkit.figures import rates

MONITOR = {"PBA_InceptionV3": ("mae", -1), "GRAZ_ResNet34": ("accuracy", 1)}


def runs(task: str = "GRAZ_ResNet34", arm: str = "scratch", **values: dict[float, list[float]]) -> pd.DataFrame:
    """Return results of one arm: the validation values of each rate in order of the seed, test values all 0.5."""
    metric, rows = MONITOR[task][0], []
    for lr, found in values["rates"].items():
        for seed, value in enumerate(found):
            head = {"experiment": "main", "task": task, "pretraining": arm, "fraction": 1.0, "seed": seed, "lr": lr}
            head |= {"run": f"{task}-{arm}-{lr}-{seed}", "backbone": "resnet10"}
            rows += [head | {"metric": f"val_{metric}", "value": value}, head | {"metric": metric, "value": 0.5}]
    return pd.DataFrame(rows)


def picked(choice: pd.DataFrame) -> list[float]:
    return choice.loc[choice["chosen"], "lr"].tolist()


def test_the_best_mean_on_validation_wins_and_only_its_runs_stay():
    found, choice = rates.choose_rates(runs(rates={1e-3: [0.9, 0.7], 1e-4: [0.8, 0.85], 1e-5: [0.6, 0.6]}), MONITOR)
    assert picked(choice) == [1e-4]
    assert set(found["lr"]) == {1e-4} and len(found) == 4
    row = choice[choice["lr"] == 1e-3].iloc[0]
    assert (row["mean"], row["n"], row["note"]) == (pytest.approx(0.8), 2, "")
    assert row["sd"] == pytest.approx(0.1 * np.sqrt(2))


def test_the_test_set_has_no_say():
    results = runs(rates={1e-3: [0.9, 0.9], 1e-4: [0.8, 0.8]})
    flattered = results.assign(
        value=results["value"].where((results["metric"] != "accuracy") | (results["lr"] != 1e-4), 1)
    )
    assert picked(rates.choose_rates(flattered, MONITOR)[1]) == [1e-3]


def test_a_low_error_is_a_good_one():
    results = runs("PBA_InceptionV3", rates={1e-3: [12, 14], 1e-4: [9, 11]})
    assert picked(rates.choose_rates(results, MONITOR)[1]) == [1e-4]


@settings(max_examples=40, deadline=None)
@given(values=st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.7]), min_size=2, max_size=6), seed=st.integers(0, 10))
def test_equal_means_go_to_the_smaller_rate_in_any_order_of_the_seeds(values, seed):
    shuffled = np.random.default_rng(seed).permutation(values).tolist()  # sums differ by an ulp
    results = runs(rates={1e-3: values, 1e-4: shuffled, 1e-5: [0.0] * len(values)})
    assert picked(rates.choose_rates(results.sample(frac=1, random_state=seed), MONITOR)[1]) == [1e-4]


@pytest.mark.parametrize("lost", [np.nan, np.inf, None])
def test_a_rate_that_diverges_cannot_win_by_its_other_runs_and_is_named(lost):
    results = runs(rates={1e-2: [0.99, lost], 1e-4: [0.8, 0.8]})
    _, choice = rates.choose_rates(results, MONITOR)
    assert picked(choice) == [1e-4]
    row = choice[choice["lr"] == 1e-2].iloc[0]
    assert (row["n"], row["note"]) == (1, "missing or diverged: seeds 1")


def test_a_rate_without_any_run_is_named_where_another_arm_has_it():
    both = pd.concat([runs(rates={1e-2: [0.9], 1e-4: [0.8]}), runs(arm="imagenet", rates={1e-4: [0.7]})])
    _, choice = rates.choose_rates(both, MONITOR)
    row = choice.query("pretraining == 'imagenet' and lr == 0.01").iloc[0]
    assert (row["n"], row["note"], bool(row["chosen"])) == (0, "no finished run", False)
    assert len(picked(choice)) == 2


def test_less_data_may_take_the_rates_that_all_data_chose():
    whole = pd.concat([runs(rates={1e-3: [0.9], 1e-4: [0.8]}), runs(arm="imagenet", rates={1e-3: [0.6], 1e-4: [0.7]})])
    less = pd.concat([runs(rates={1e-3: [0.3], 1e-4: [0.5]}), runs(arm="imagenet", rates={1e-3: [0.5], 1e-4: [0.4]})])
    less = less.assign(experiment="less", run="less-" + less["run"], fraction=0.05)
    both, sources = pd.concat([whole, less]), {"less": "main"}

    def found(sources: dict[str, str]) -> dict[str, float]:
        return rates.choose_rates_by(both, MONITOR, sources)[0].groupby("pretraining")["lr"].first().to_dict()

    assert found(sources) == {"scratch": 1e-3, "imagenet": 1e-4}, "what `main` chose"
    assert found({"less": "less"}) == {"scratch": 1e-4, "imagenet": 1e-3}, "its own choice"
    assert set(rates.choose_rates_by(both, MONITOR, sources)[0]["experiment"]) == {"less"}
    both = both[(both["experiment"] != "less") | (both["lr"] != 1e-4)]
    with pytest.raises(
        ConfigError, match=r"less takes the learning rates that main chose, .* GRAZ_ResNet34 from imagenet"
    ):
        rates.choose_rates_by(both, MONITOR, sources)


def test_every_cell_of_the_study_gets_one_rate_and_keeps_every_metric():
    results = grid_frames.results()
    found, choice = rates.choose_rates(results, grid_frames.MONITORS)
    cells = results.drop_duplicates(rates.CELL)
    assert len(cells) == choice["chosen"].sum() == 12 * 3 + 9 * 2 + 2 * 9
    kept = found.groupby(rates.CELL)["seed"].nunique()
    assert (kept == 5).all()
    assert list(found) == list(results)


def test_epochs_are_those_of_the_chosen_runs_in_their_experiments():
    results = grid_frames.results(tasks=("BTMR_ResNet50",), seeds=(1, 2))
    found, _ = rates.choose_rates(results, grid_frames.MONITORS)
    epochs = rates.keep_runs(grid_frames.history(results, epochs=3), found)
    assert set(epochs["lr"]) == {1e-4}
    shared = epochs[epochs["pretraining"] == "radiologynet"].groupby("experiment")["run"].nunique()
    assert shared.to_dict() == {"main": 2, "single_modality": 2}


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda r: r.iloc[:0], ConfigError, "python -m tlkit plan"),
        (lambda r: r.drop(columns="lr"), ConfigError, r"need the columns \['lr'\]"),
        (lambda r: r[r["metric"] == "accuracy"], ConfigError, "2 runs of GRAZ_ResNet34 have no val_accuracy"),
        (lambda r: r.assign(value=np.nan), ConfigError, "has a finite val_accuracy"),
        (lambda r: r.assign(task="GRAZ_ResNet35"), UnknownNameError, "Did you mean 'GRAZ_ResNet34'"),
    ],
)
def test_what_does_not_fit_is_said(change, error, words):
    with pytest.raises(error, match=words):
        rates.choose_rates(change(runs(rates={1e-3: [0.9, 0.7]})), MONITOR)


def test_a_sign_is_one_or_minus_one():
    with pytest.raises(ConfigError, match="sign 0"):
        rates.choose_rates(runs(rates={1e-3: [0.9]}), {"GRAZ_ResNet34": ("accuracy", 0)})


@pytest.mark.parametrize(
    ("best", "edge"), [(1e-2, "largest"), (1e-3, ""), (1e-4, "smallest")], ids=["largest", "inside", "smallest"]
)
def test_a_choice_at_the_edge_of_the_grid_is_told(best, edge):
    results = runs(rates={lr: [0.9 if lr == best else 0.5] for lr in (1e-2, 1e-3, 1e-4)})
    _, choice = rates.choose_rates(results, MONITOR)
    assert choice.set_index("lr")["edge"].to_dict() == {1e-2: "", 1e-3: "", 1e-4: ""} | {best: edge}
    said = rates.say_edges(choice, {"scratch": "random weights", "GRAZ_ResNet34": "GRAZ, R34"})
    assert (f"random weights on GRAZ, R34 ({edge}, {best:g})" in said) == bool(edge)
    assert said.startswith("1 of 1 chosen learning rates are" if edge else "No chosen learning rate is")


def test_a_rate_next_to_one_that_diverged_is_not_at_the_edge():
    _, choice = rates.choose_rates(runs(rates={1e-2: [np.nan], 1e-3: [0.9], 1e-4: [0.5]}), MONITOR)
    assert picked(choice) == [1e-3] and (choice["edge"] == "").all()


def test_one_rate_is_no_grid():
    _, choice = rates.choose_rates(runs(rates={1e-3: [0.9, 0.7]}), MONITOR)
    assert (choice["edge"] == "").all() and rates.say_edges(choice) == (
        "One learning rate was run for each task, so none was chosen."
    )


def test_many_edges_are_counted():
    results = grid_frames.results(rates=(1e-4, 1e-3), seeds=(1, 2))
    _, choice = rates.choose_rates(results[results["experiment"] == "main"], grid_frames.MONITORS)
    said = rates.say_edges(choice)
    assert said.startswith("36 of 36 chosen learning rates") and said.endswith("may lie beyond.")
