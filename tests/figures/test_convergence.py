"""Hand-computed times to convergence, mean curves, and the published values where the logs are there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlkit.figures import convergence

RISING = [0.1, 0.3, 0.5, 0.7, 0.79, 0.799, *[0.8] * 10]


def history(values, task="R", seed=1, pretraining="scratch", metric="accuracy") -> pd.DataFrame:
    head = {"experiment": "E1", "task": task, "pretraining": pretraining, "seed": seed, "run": f"{pretraining}-{seed}"}
    return pd.DataFrame({**head, "epoch": range(len(values)), metric: values})


def test_settling_epoch_is_the_first_within_half_a_percent_of_the_last_ten():
    assert convergence.settling_epoch(RISING) == (5, True)  # 0.799 is 0.125 % below 0.8, 0.79 is 1.25 %
    assert convergence.settling_epoch(RISING, tolerance=0.02) == (4, True)


def test_settling_epoch_says_100_where_none_settles_up_to_five_before_the_end():
    doubling = [2.0**k for k in range(20)]
    assert convergence.settling_epoch(doubling) == (100, False)
    late = [0.0] * 12 + [1.0] * 5  # the mean of the last ten is 0.5
    assert convergence.settling_epoch(late) == (100, False)


def test_only_the_epochs_up_to_n_minus_five_count():
    values = [0.1] * 15 + [0.2] * 5  # mean of the last ten: 0.15
    values[15] = 0.15
    reference = np.mean(values[-10:])
    values[15] = reference  # index 15 = 20 - 5, the last that counts
    assert convergence.settling_epoch(values, tolerance=0.02) == (15, True)
    values[15], values[16] = values[16], reference  # one later
    assert convergence.settling_epoch(values, tolerance=0.02) == (100, False)


def test_patience_epoch_counts_ten_epochs_after_the_last_gain():
    values = [0.5, 0.6, 0.7, *[0.7] * 20]
    assert convergence.patience_epoch(values) == (12, True)
    assert convergence.patience_epoch(values, patience=3) == (5, True)


def test_small_steps_add_up_to_a_gain_on_the_best_that_counted():
    creeping = [1.0, 1.002, 1.004, 1.006, *[1.006] * 12]  # 0.6 % above the first at epoch 3
    assert convergence.patience_epoch(creeping) == (13, True)


def test_a_run_that_ends_before_its_patience_is_a_lower_bound():
    assert convergence.patience_epoch([0.5, 0.6, 0.7]) == (3, False)


@given(st.lists(st.floats(0.1, 1), min_size=12, max_size=60), st.floats(0.5, 2))
def test_both_rules_are_relative(values, scale):
    values = np.round(values, 2)
    assert convergence.patience_epoch(values)[0] <= len(values)
    for rule in convergence.RULES.values():
        epoch, reached = rule(values)
        assert (epoch < len(values)) == reached
        if scale in (0.5, 1, 2):  # exact in binary
            assert rule(values * scale) == (epoch, reached)


def test_times_follow_the_epoch_column_and_choose_the_metric_by_task():
    table = pd.concat([history(RISING, "R"), history(RISING, "CX8", metric="auc").sample(frac=1, random_state=0)])
    times = convergence.times(table)
    assert set(zip(times["task"], times["metric"], strict=True)) == {("R", "accuracy"), ("CX8", "auc")}
    assert (times.loc[times["rule"] == "published", "epoch"] == 5).all()
    assert list(times.columns[-4:]) == ["rule", "epoch", "reached", "epochs"] and times["epochs"].eq(len(RISING)).all()


def test_a_task_without_a_known_metric_is_an_error():
    with pytest.raises(ValueError, match="no value to follow for R"):
        convergence.times(history(RISING, metric="loss"))


def test_summary_counts_the_unsettled_as_the_rule_writes_them():
    table = pd.concat([history(RISING, seed=1), history([2.0**k for k in range(16)], seed=2)])
    (row,) = convergence.summary(convergence.times(table)).to_dict("records")
    assert (row["n"], row["ttc_published"], row["reached_published"]) == (2, 52.5, 1)
    assert row["ttc_published_sd"] == pytest.approx(np.std([5, 100], ddof=1))
    assert (row["ttc_patience"], row["reached_patience"]) == ((15 + 16) / 2, 1)  # the last gain is 0.799 at epoch 5


def test_mean_curves_average_row_by_row_and_keep_what_all_runs_have():
    a = pd.DataFrame({"run": "a", "samples": [10, 20, 30], "loss": [3.0, 2.0, 1.0]})
    b = pd.DataFrame({"run": "b", "samples": [10, 20], "loss": [1.0, 1.0]})
    losses = pd.concat([a, b]).assign(experiment="E1", task="R", pretraining="scratch")
    curves = convergence.mean_curves(losses)
    assert curves["n"].tolist() == [2, 2]
    assert curves["samples"].tolist() == [10, 20]
    assert curves["loss"].tolist() == [2.0, 1.5]


def test_relative_divides_each_curve_by_its_own_largest_loss():
    curves = pd.DataFrame(
        {"experiment": "E1", "task": "R", "pretraining": ["a", "a", "b", "b"], "loss": [2.0, 1.0, 8.0, 2.0]}
    )
    assert convergence.make_relative(curves)["loss_relative"].tolist() == [1.0, 0.5, 1.0, 0.25]
