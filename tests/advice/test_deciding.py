"""Which arm leads and how sure that is: by hand, over simulated repetitions, and for tables that cannot be compared."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t, weightedtau
from simulated_runs import made

from tlkit.advice import deciding, resampling
from tlkit.advice.measures import Measure
from tlkit.advice.resampling import RunsError, Spread
from tlkit.training.tasks import task


def confidences(effects, count=40, **how):
    found = [deciding.decide(made(effects, seed=s, **how), "auc", draws=100) for s in range(count)]
    return pd.Series([d["confidence"] for d in found]), [d["leader"] for d in found]


# The rule


def test_a_large_lead_is_clear_and_both_are_told_with_the_interval():
    found = deciding.decide(made({"scratch": 0.0, "imagenet": 0.5, "own": 0.1}), "auc")
    assert (found["leader"], found["rate"], found["confidence"]) == ("imagenet", 0.1, "clear")
    assert [row["arm"] for row in found["arms"]] == ["imagenet", "own", "scratch"]
    first, own, scratch = found["arms"]
    assert "difference" not in first and first["low"] < first["value"] < first["high"] and first["best"] == 1
    assert 0 < own["difference_low"] < own["difference"] < own["difference_high"]
    assert own["difference"] == pytest.approx(first["value"] - own["value"])
    assert scratch["shared"] == 3 and scratch["decided_by"] == {"what": "nothing"}
    assert (found["patients"], found["splits"], found["seeds"]) == (60, 1, 3)


def test_of_a_loss_the_smallest_leads():
    found = deciding.decide(made({"a": 0.5, "b": 0.0}), "mae")
    assert found["leader"] == "b" and found["arms"][1]["difference"] > 0.3


@pytest.mark.parametrize("how", [{"seeds": 3}, {"seeds": 2, "splits": 3}, {"seeds": 1, "splits": 5, "patients": 25}])
def test_without_a_difference_clear_is_rare(how):
    """The rule says fewer than 5 of 100; 40 repetitions say at most 3, and `likely` or `clear` at most a quarter."""
    said, _ = confidences({"a": 0.0, "b": 0.0, "c": 0.0}, **how)
    assert (said == "clear").sum() <= 3
    assert (said != "open").sum() <= 10


def test_a_large_difference_is_mostly_found_and_then_right():
    said, leaders = confidences({"a": 0.0, "b": 0.2, "c": 0.05})
    assert (said == "clear").sum() >= 20 and set(np.array(leaders)[said == "clear"]) == {"b"}


def test_runs_count_no_more_than_their_patients():
    """Endless seeds cannot tell whether other patients would agree."""
    few, many = (deciding.decide(made({"a": 0.0, "b": 0.03}, seeds=s, noise=0.3, luck=0.01), "auc") for s in (3, 30))
    widths = [d["arms"][1]["difference_high"] - d["arms"][1]["difference_low"] for d in (few, many)]
    assert widths[1] > 0.5 * widths[0] and many["arms"][1]["of_patients"] > 0.9
    assert many["confidence"] == "open"


def test_one_run_an_arm_is_open_and_so_is_one_arm():
    found = deciding.decide(made({"a": 0.0, "b": 5.0}, seeds=1), "auc")
    assert found["confidence"] == "open" and found["leader"] == "b" and "fewer than 2 runs" in found["why"]
    assert found["arms"][1]["decided_by"] == {"what": "runs", "runs": 2}
    assert np.isnan(found["arms"][1]["difference_low"])
    assert deciding.decide(made({"a": 0.0}), "auc")["confidence"] == "open"


def test_reasons_name_the_arms_as_they_are_shown():
    runs, names = made({"a": 0.0, "b": 5.0}, seeds=1), {"a": "random weights"}
    assert deciding.decide(runs, "auc", names=names)["why"].startswith("random weights: fewer than 2 runs")
    out = deciding.find_dropped(made({"a": 0.0, "b": 1.0}), "auc", names={"b": "ImageNet"})
    assert "behind ImageNet over 3 runs" in out["a"]


def test_few_patients_are_never_clear():
    found = deciding.decide(made({"a": 0.0, "b": 5.0}, patients=12), "auc")
    assert found["confidence"] == "likely" and "12 test patients" in found["why"]
    assert found["arms"][1]["decided_by"] == {"what": "patients", "patients": 8}


def test_arms_that_are_the_same_are_open_and_the_first_named_leads():
    runs = made({"b": 0.0}, luck=0.0)
    found = deciding.decide(pd.concat([runs, runs.assign(arm="a")]), "auc")
    assert (found["leader"], found["confidence"]) == ("b", "open")
    assert found["arms"][1]["difference_low"] == found["arms"][1]["difference_high"] == 0
    assert [row["best"] for row in found["arms"]] == [0.5, 0.5]


def test_the_decision_is_a_matter_of_the_seed_and_not_of_the_order_of_the_rows():
    runs = made({"a": 0.0, "b": 0.05}, splits=2)
    assert deciding.decide(runs, "auc", seed=4) == deciding.decide(runs.copy(), "auc", seed=4)
    assert deciding.decide(runs, "auc", seed=4) == deciding.decide(runs.iloc[::-1], "auc", seed=4)
    assert deciding.decide(runs, "auc", seed=4) != deciding.decide(runs, "auc", seed=5)


def test_an_arm_with_fewer_runs_is_compared_over_those_that_it_has():
    runs = made({"a": 0.0, "b": 0.3, "c": 0.2}, luck=0.0, noise=0.01)
    lucky = runs["seed"] == 2  # a seed that is good for all that have it
    runs["predictions"] = [
        p.assign(score=p["score"] + 1.0 * g) for p, g in zip(runs["predictions"], lucky, strict=True)
    ]
    found = deciding.decide(runs[~((runs["arm"] == "c") & lucky)], "auc")
    assert found["leader"] == "b" and found["arms"][1]["arm"] == "c"
    assert found["arms"][1]["shared"] == 2 and found["arms"][1]["difference"] == pytest.approx(0.1, abs=0.01)


def test_an_arm_with_one_lucky_run_does_not_lead():
    runs = made({"a": 0.0, "b": 0.3})
    found = deciding.decide(runs[(runs["arm"] == "a") | (runs["seed"] == 0)], "auc")
    assert found["leader"] == "a" and found["confidence"] == "open"


# Intervals


def spread_of(runs, draws=4000):
    found = resampling.resample(runs, draws=draws)
    return resampling.spread(found, found.values[0], found.draws[:, 0]), found.values[0]


def test_the_interval_over_seeds_is_that_of_a_t_test_where_patients_are_alike():
    """All patients are one another's copies, so that all that varies is the runs' luck."""
    got, values = spread_of(made({"a": 0.0}, seeds=6, noise=0.0, each=0.0, luck=1.0))
    assert got.mean == pytest.approx(values.mean()) and got.of_patients == pytest.approx(0, abs=1e-12)
    half = t.ppf(0.975, 5) * values.std(ddof=1) / 6**0.5
    assert got.interval() == pytest.approx((values.mean() - half, values.mean() + half))


def test_the_interval_over_patients_is_that_of_their_mean_where_runs_are_alike():
    runs = made({"a": 0.0}, seeds=2, luck=0.0)
    got, _ = spread_of(runs)
    score = runs["predictions"].iloc[0]["score"]
    assert got.of_patients == pytest.approx(score.var(ddof=0) / 60, rel=0.05) and got.of_runs == pytest.approx(0)
    half = t.ppf(0.975, 59) * score.std() / 60**0.5
    assert got.interval() == pytest.approx((score.mean() - half, score.mean() + half), rel=0.05)


def test_draws_of_seeds_and_splits_vary_as_their_mean_does():
    """One less than there are is drawn: drawing three of three would make their mean vary by a third too little."""
    runs = made({"a": 0.0}, seeds=3, noise=0.0, each=0.0, luck=1.0)
    found = resampling.resample(runs, draws=20_000)
    means = (found.counts * found.draws[:, 0]).sum(axis=1) / found.counts.sum(axis=1)
    assert means.var() == pytest.approx(found.values[0].var(ddof=1) / 3, rel=0.05)


@pytest.mark.parametrize("splits, units", [(1, 4), (2, 8), (3, 3)])
def test_splits_that_disagree_count_as_few(splits, units):
    """Four seeds in each split are no four answers to what another split would have given."""
    runs = made({"a": 0.0}, seeds=4, splits=splits, noise=0.0, each=0.0, luck=0.001)
    pairs = zip(runs["predictions"], runs["split"], strict=True)
    got, _ = spread_of(runs.assign(predictions=[p.assign(score=p["score"] + s) for p, s in pairs]))
    assert got.units == units and got.runs == 4 * splits
    assert got.of_runs == pytest.approx(np.arange(splits).var(ddof=1) / splits if splits > 1 else 0, abs=1e-3)


def test_copies_of_a_patients_images_make_no_interval_narrower():
    runs = made({"a": 0.0, "b": 0.1}, patients=30)
    doubled = runs.assign(predictions=[pd.concat([p, p]) for p in runs["predictions"]])
    one, two = (deciding.decide(r, "auc")["arms"][1] for r in (runs, doubled))
    assert two["difference_low"] == pytest.approx(one["difference_low"])


@pytest.mark.parametrize("kind", ["multiclass", "binary", "regression"])
def test_scores_of_rows_give_the_metric_of_the_task(kind):
    rng = np.random.default_rng(0)
    output = {
        "multiclass": list(rng.dirichlet(np.ones(3), 40)),
        "binary": rng.random(40),
        "regression": rng.normal(size=40),
    }
    target = rng.normal(size=40) if kind == "regression" else rng.integers(0, 3 if kind == "multiclass" else 2, 40)
    kept = pd.DataFrame({"patient": np.arange(40) // 2, "target": target, "output": output[kind]})
    job = task(kind, tuple("abc") if kind == "multiclass" else ("a", "b") if kind == "binary" else ("years",))
    for metric in ("mae", "mse") if kind == "regression" else ("accuracy", "log_loss"):
        scored = resampling.row_scores(kept, kind, metric)
        assert resampling.mean_score(scored) == pytest.approx(job.metrics(kept)[metric])
        rows = pd.DataFrame([{"arm": "a", "rate": 1, "seed": 0, "split": 0, "predictions": kept}])
        whole = resampling.resample(rows, lambda part, m=metric: job.metrics(part, full=False)[m], draws=5)
        quick = resampling.resample(rows.assign(predictions=[scored]), draws=5)
        assert np.allclose(whole.draws, quick.draws)
    assert "score" not in resampling.row_scores(kept, kind, "auc")


def test_an_auc_is_computed_anew_from_the_rows_of_the_patients_that_are_drawn():
    rng = np.random.default_rng(0)
    job, rows = task("binary", ("a", "b")), []
    target = np.arange(60) % 2
    for arm, shift in {"good": 2.0, "bad": 0.0}.items():
        for seed in (0, 1, 2):
            output = 1 / (1 + np.exp(-shift * target - rng.normal(size=60)))
            kept = pd.DataFrame({"patient": np.arange(60), "target": target, "output": output})
            rows.append({"arm": arm, "rate": 0.1, "seed": seed, "split": 0, "predictions": kept})
    found = deciding.decide(pd.DataFrame(rows), "auc", lambda part: job.metrics(part)["auc"], draws=60)
    assert found["leader"] == "good" and found["confidence"] == "clear"
    assert 0.8 < found["arms"][0]["value"] < 1 and 0.3 < found["arms"][1]["value"] < 0.7


# Dropping, and what more would decide


def test_arms_far_behind_are_dropped_and_others_stay():
    runs = made({"a": 0.0, "b": 1.0, "c": 0.97, "random": 0.0})
    found = deciding.find_dropped(runs, "auc", keep=("random",))
    assert list(found) == ["a"] and "behind b over 3 runs" in found["a"]
    assert deciding.find_dropped(made({"a": 0.0, "b": 1.0}, seeds=1), "auc") == {}


@pytest.mark.parametrize(
    "mean, of_patients, of_runs, what",
    [
        (1.0, 0.005, 0.005, {"what": "nothing"}),
        (0.1, 0.0001, 0.01, "runs"),
        (0.1, 0.01, 0.0001, "patients"),
        (0.001, 0.01, 0.0001, {"what": "neither"}),
        (0.0, 0.005, 0.005, {"what": "neither"}),
        (0.0, 0.0, 0.0, {"what": "neither"}),
        (-0.1, 0.0001, 0.01, {"what": "neither"}),
    ],
)
def test_what_more_would_decide(mean, of_patients, of_runs, what):
    lead = Spread(mean, of_patients, of_runs, patients=100, units=5, runs=5)
    found = deciding.estimate_more_runs(lead, 100)
    assert what in (found, found["what"])
    if found["what"] == "runs":  # so many, and not one less
        n = 5 + found["runs"]
        assert lead._replace(of_runs=of_runs * 5 / n).interval()[0] >= 0
        assert lead._replace(of_runs=of_runs * 5 / (n - 1)).interval()[0] < 0
    if found["what"] == "patients":
        more = 1 + found["patients"] / 100
        assert lead._replace(of_patients=of_patients / more, of_runs=0).interval()[0] == pytest.approx(0, abs=1e-3)


# Cheap scores against fine-tuning


def test_scores_that_rank_as_fine_tuning_does_and_one_that_turns_it_around():
    runs = made({"a": 0.0, "b": 1.0, "c": 2.0, "d": 3.0})
    scores = pd.DataFrame({"logme": [1, 2, 3, 4], "probe": [4, 3, 2, 1], "knn": [1, 2, 4, 3]}, index=list("abcd"))
    found = deciding.agreement(scores.assign(nleep=1.0), runs, "auc").set_index("score")
    assert found.loc["logme", "tau"] == pytest.approx(1) and found.loc["probe", "tau"] == pytest.approx(-1)
    assert found.loc["knn", "tau"] == pytest.approx(weightedtau([1, 2, 4, 3], [1, 2, 3, 4]).statistic)
    assert found.loc["logme", "chance"] == pytest.approx(1 / 24) and found.loc["probe", "chance"] == 1
    assert found.loc["logme", ["low", "high"]].tolist() == pytest.approx([1, 1]) and np.isnan(found.loc["nleep", "tau"])


def test_in_a_loss_probes_are_better_where_lower_and_hints_where_higher():
    runs = made({"a": 0.0, "b": 1.0, "c": 2.0})
    scores = pd.DataFrame({"logme": [3, 2, 1], "probe": [0.1, 0.2, 0.3]}, index=list("abc"))
    assert deciding.agreement(scores, runs, "mae")["tau"].tolist() == pytest.approx([1, 1])


def test_arms_that_fine_tuning_cannot_tell_apart_have_a_wide_correlation():
    runs = made(dict.fromkeys("abcde", 0.0), luck=0.1)
    scores = pd.DataFrame({"logme": [1.0, 2, 3, 4, np.nan], "probe": [0.1, 0.2, np.nan, np.nan, np.nan]}, list("abcde"))
    found = deciding.agreement(scores, runs, "auc")
    assert found["arms"].tolist() == [4, 2] and found["high"][0] - found["low"][0] > 0.8
    pd.testing.assert_frame_equal(found, deciding.agreement(scores, runs, "auc"))


# Bad input


def test_tables_that_cannot_be_compared_say_why():
    runs = made({"a": 0.0, "b": 1.0})
    with pytest.raises(RunsError, match="no finished run"):
        deciding.decide(runs.iloc[:0], "auc")
    with pytest.raises(RunsError, match="needs the columns seed; found arm, rate, split, predictions"):
        deciding.decide(runs.drop(columns="seed"), "auc")
    with pytest.raises(RunsError, match="'a' has runs at 2 rates"):
        deciding.decide(runs.assign(rate=[0.1, 0.1, 0.2, 0.1, 0.1, 0.1]), "auc")
    with pytest.raises(RunsError, match="two runs of split 0 and seed 0"):
        deciding.decide(pd.concat([runs, runs.head(1)]), "auc")
    runs.at[0, "predictions"] = runs.at[0, "predictions"].head(5)
    with pytest.raises(RunsError, match="different patients"):
        deciding.decide(runs, "auc")


def test_a_round_that_the_time_cut_short_does_not_make_its_first_arm_the_leader():
    runs = made({"scratch": 0.0, "imagenet": 5.0, "own": 1.0}, seeds=4)
    cut = runs[(runs["seed"] < 3) | (runs["arm"] == "scratch")]
    found = deciding.decide(cut, "auc")
    assert found["leader"] == "imagenet" and found["confidence"] == "clear"
    once = deciding.decide(runs[(runs["seed"] < 1) | ((runs["arm"] == "scratch") & (runs["seed"] < 2))], "auc")
    assert (once["leader"], once["confidence"]) == ("imagenet", "open")


KINDS = {
    "multiclass": ("accuracy", lambda rng, n: {"target": rng.integers(0, 2, n), "output": list(rng.random((n, 3)))}),
    "binary": ("f1_macro", lambda rng, n: {"target": np.zeros(n, int), "output": rng.random(n)}),
    "multilabel": (
        "auc",
        lambda rng, n: {"target": list(np.tile([0, 1, 0], (n, 1))), "output": list(rng.random((n, 3)))},
    ),
    "regression": ("mae", lambda rng, n: {"target": rng.normal(size=n), "output": rng.normal(size=n)}),
    "segmentation": (
        "dice_mean",
        lambda rng, n: {c: list(np.tile([9, 3, 0], (n, 1))) for c in ("target", "output", "overlap")},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("patients", "splits"), [(1, 1), (2, 2), (9, 3)])
def test_whatever_the_test_part_lacks_there_is_an_answer(kind, patients, splits):
    """A class that no test image has, a metric that is nowhere defined, one patient, arms that are all the same."""
    metric, kept = KINDS[kind]
    classes = {"binary": ("a", "b"), "regression": ("age",)}.get(kind, ("a", "b", "c"))
    job = task(kind, classes)
    rows = []
    for arm in ("scratch", "theirs", "same"):
        for split in range(splits):
            rng = np.random.default_rng([split, arm == "scratch"])  # two arms say the same
            said = pd.DataFrame({"patient": [f"p{split}-{i}" for i in range(patients)], **kept(rng, patients)})
            rows.append((arm, 0.1, split, split, resampling.row_scores(said, kind, metric)))
    runs, measure = pd.DataFrame(rows, columns=resampling.COLUMNS), Measure(job, metric)
    found = deciding.decide(runs, metric, measure, draws=20)
    assert found["confidence"] == "open" and found["leader"] in ("scratch", "theirs", "same")
    assert len(found["arms"]) == 3 and all(row["decided_by"]["what"] for row in found["arms"][1:])
    assert set(deciding.find_dropped(runs, metric, measure)) <= {"scratch", "theirs", "same"}
    scores = pd.DataFrame({"probe": [0.1, np.nan, 0.2], "knn": np.nan}, index=["scratch", "theirs", "same"])
    assert len(deciding.agreement(scores, runs, metric, measure, draws=20)) == 2
