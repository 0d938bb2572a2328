from __future__ import annotations

import json
import logging
from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit import rating
from tlkit.config import ConfigError
from tlkit.figures import rating_bars, ratings
from tlkit.names import Names
from tlkit.rating import Item, RatingError

NAMES = ("imagenet", "radiologynet", "scratch")


def frame(table: dict[str, list[list[int]]], names=NAMES) -> pd.DataFrame:
    """Return ratings from {rater: [items x pretrainings]}."""
    rows = [
        {"rater": r, "item": f"{i:03d}", "id": f"x{i}", "task": "T", "letter": letter, "pretraining": p, "rating": v}
        for r, given in table.items()
        for i, row in enumerate(given, 1)
        for letter, p, v in zip("abc", names, row, strict=False)
    ]
    return pd.DataFrame(rows).assign(remark="", seconds=1.0)


@pytest.fixture
def folder(tmp_path):
    maps = {name: np.zeros((4, 4)) for name in NAMES}
    items = [Item(f"x{n}", np.zeros((4, 4), np.uint8), maps, "T") for n in range(3)]
    return rating.create(tmp_path / "s", items, seed=1)


def rate(folder, rater: str, upto: int = 3) -> rating.Session:
    session = rating.Session(folder, rater)
    for item, letter in product(session.items[:upto], session.letters):
        session.answer(item, letter, "abc".index(letter) + 1, f"{item}{letter}", 2.0)
    return session


def test_reading_joins_answers_and_key(folder):
    rate(folder, "ben")
    rate(folder, "anna").answer("002", "a", 5, "corrected")
    found = ratings.read(folder)
    assert list(found.columns) == ratings.COLUMNS and len(found) == 18 and found["rating"].dtype.kind == "i"
    key = json.loads((folder / "key.json").read_text())["items"]
    for row in found.itertuples():
        assert row.pretraining == key[row.item]["letters"][row.letter] and row.id == key[row.item]["id"]
        corrected = (row.rater, row.item, row.letter) == ("anna", "002", "a")
        assert row.rating == (5 if corrected else "abc".index(row.letter) + 1)
        assert row.remark == ("corrected" if corrected else row.item + row.letter)


def test_reading_before_the_end_would_end_the_blinding(folder):
    with pytest.raises(RatingError, match="nobody has rated"):
        ratings.read(folder)
    rate(folder, "anna")
    rate(folder, "ben", upto=1).answer("002", "a", None, "a remark is no rating")
    with pytest.raises(RatingError, match=r"ben 3 of 9\. Finish them"):
        ratings.read(folder)
    assert ratings.read(folder, partial=True)["rater"].value_counts().to_dict() == {"anna": 9, "ben": 3}


def test_phantom_raters_do_not_mix_with_people(folder):
    rate(folder, "anna")
    rating.simulate(folder, "phantom-1", 0)
    with pytest.raises(RatingError, match="mixes phantom raters with people: anna, phantom-1"):
        ratings.read(folder)


def test_a_torn_line_is_left_out_and_named(folder, caplog):
    session = rate(folder, "anna")
    with session.file.open("ab") as file:
        file.write(b"003,c,5,torn")
    with caplog.at_level(logging.WARNING):
        assert len(ratings.read(folder)) == 9
    assert "anna.csv ends in a torn line" in caplog.text
    assert session.file.read_bytes().endswith(b"torn"), "reading changes nothing"


def test_a_lost_or_foreign_key(folder):
    rate(folder, "anna")
    key = json.loads((folder / "key.json").read_text())
    key["items"].pop("003")
    (folder / "key.json").write_text(json.dumps(key))
    with pytest.raises(RatingError, match="another session"):
        ratings.read(folder)
    (folder / "key.json").unlink()
    with pytest.raises(RatingError, match="put back the key"):
        ratings.read(folder)


def test_kappa_by_hand():
    """Two items, ratings 1 2 3 and 1 2 5 against 1 2 4 and 1 3 5.

    Squared differences: 0 0 1 0 1 0, mean 1/3. Of unrelated raters: mean x^2 = 44/6, mean y^2 = 56/6, means 14/6 and
    16/6, so 100/6 - 2 * 224/36 = 38/9 ... kappa = 1 - (1/3) / (38/9) = 35/38.
    """
    found = ratings.agreement(frame({"anna": [[1, 2, 3], [1, 2, 5]], "ben": [[1, 2, 4], [1, 3, 5]]}))
    (row,) = found.to_dict("records")
    assert (row["rater_a"], row["rater_b"], row["n"], row["items"]) == ("anna", "ben", 6, 2)
    assert row["kappa"] == pytest.approx(35 / 38)
    assert row["same"] == pytest.approx(4 / 6) and row["within_1"] == 1
    # Draws of two items: the first twice, the second twice, or one of each.
    first = ratings.kappa(np.array([3, 6, 7, 14, 21, 17.0]))
    second = ratings.kappa(np.array([3, 8, 9, 30, 35, 32.0]))
    assert row["ci_low"] == pytest.approx(min(first, second)) and row["ci_high"] == pytest.approx(max(first, second))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=2, max_size=30))
def test_kappa_is_that_of_scikit_learn(given_pairs):
    from sklearn.metrics import cohen_kappa_score

    x, y = np.array(given_pairs, float).T
    ours = ratings.kappa(np.array([len(x), x.sum(), y.sum(), (x * x).sum(), (y * y).sum(), (x * y).sum()]))
    if np.ptp(x) == np.ptp(y) == 0 and x[0] == y[0]:
        assert np.isnan(ours)
    else:
        assert ours == pytest.approx(cohen_kappa_score(x, y, labels=[1, 2, 3, 4, 5], weights="quadratic"), abs=1e-9)


def test_agreement_is_of_every_two_raters_on_what_both_rated():
    table = {"c": [[1, 2, 3]] * 3, "a": [[1, 2, 3]] * 3, "b": [[3, 2, 1]] * 2}
    found = ratings.agreement(frame(table)).set_index(["rater_a", "rater_b"])
    assert found["n"].to_dict() == {("a", "b"): 6, ("a", "c"): 9, ("b", "c"): 6}
    assert found["kappa"].to_list() == pytest.approx([-1, 1, -1])
    assert ratings.agreement(frame({"a": [[1, 2, 3]]})).empty
    assert found.equals(ratings.agreement(frame(table)).set_index(["rater_a", "rater_b"])), "the seed decides"


def test_raters_who_give_one_rating_to_all_have_no_kappa():
    (row,) = ratings.agreement(frame({"a": [[3, 3, 3]] * 4, "b": [[3, 3, 3]] * 4})).to_dict("records")
    assert np.isnan([row["kappa"], row["ci_low"], row["ci_high"]]).all() and row["same"] == 1


def test_friedman_by_hand():
    """Ranks 1 2 3 in three images and 1 3 2 in one: sums 4, 9, 11, so chi2 = 12/(4*3*4) * 218 - 3*4*4 = 6.5."""
    (row,) = ratings.friedman(frame({"a": [[1, 2, 3], [2, 3, 4], [1, 3, 5], [1, 3, 2]]})).to_dict("records")
    assert (row["items"], row["raters"], row["pretrainings"]) == (4, 1, 3)
    assert row["chi2"] == pytest.approx(6.5) and row["p"] == pytest.approx(np.exp(-6.5 / 2))
    assert row["kendall_w"] == pytest.approx(6.5 / 8)


def test_friedman_pairs_by_image_and_averages_raters():
    hard_and_easy = [[1, 1, 2], [4, 4, 5], [2, 2, 3]] * 4
    assert ratings.friedman(frame({"a": hard_and_easy}))["p"][0] < 0.001
    opposed = {"a": [[1, 2, 3]] * 5, "b": [[3, 2, 1]] * 5}
    assert np.isnan(ratings.friedman(frame(opposed))["p"][0]), "no image tells pretrainings apart"
    assert np.isnan(ratings.friedman(frame({"a": [[1, 2]] * 5}, NAMES[:2]))["p"][0]), "two are for the pairs"


def test_pairs_by_hand():
    """imagenet - radiologynet is -1 in five of six images and +2 in one: signed ranks -3 five times and +6."""
    table = [[1, 2, 1], [2, 3, 2], [3, 4, 3], [1, 2, 1], [2, 3, 2], [5, 3, 5]]
    found = ratings.pairs(frame({"a": table})).set_index(["a", "b"])
    row = found.loc["imagenet", "radiologynet"]
    assert row["difference"] == pytest.approx(-0.5) and row["n"] == 6
    assert row["rank_biserial"] == pytest.approx((6 - 15) / 21)
    # All 64 signs of the ranks 3 3 3 3 3 6 are equally likely: how many have a sum at least as far from 0 as -9?
    sums = [np.dot(signs, [3, 3, 3, 3, 3, 6]) for signs in product((-1, 1), repeat=6)]
    assert row["p"] == pytest.approx(np.mean(np.abs(sums) >= 9))
    same = found.loc["imagenet", "scratch"]
    assert same["p"] == 1 and same["difference"] == same["rank_biserial"] == same["ci_low"] == same["ci_high"] == 0
    assert found["p_holm"].to_list() == pytest.approx([min(1, 3 * row["p"]), 1, min(1, 3 * row["p"])])
    assert row["ci_low"] <= row["difference"] <= row["ci_high"]


@pytest.mark.parametrize("n", [6, 12, 20])
def test_the_signed_rank_test_is_exact_with_and_without_ties(n):
    from scipy.stats import PermutationMethod, wilcoxon

    rng = np.random.default_rng(n)
    untied, tied = rng.normal(0.3, 1, n), rng.integers(-2, 4, n) / 2
    found = ratings._signed_rank(untied)
    assert found["p"] == pytest.approx(wilcoxon(untied, method="exact").pvalue)
    assert found["p_normal"] == pytest.approx(wilcoxon(untied, method="asymptotic").pvalue)
    assert found["p_normal"] < found["p_continuity"]
    every = wilcoxon(tied[tied != 0], method=PermutationMethod(n_resamples=20_000, rng=np.random.default_rng(0)))
    assert ratings._signed_rank(tied)["p"] == pytest.approx(every.pvalue, abs=0.012)


def test_the_order_of_pairs():
    (a, b), *_ = ratings.pairs(frame({"a": [[1, 2, 3]] * 3}), order=["scratch", "imagenet", "radiologynet"])[
        ["a", "b"]
    ].to_numpy()
    assert (a, b) == ("scratch", "imagenet")


def test_images_that_a_rater_left_half_done_drop_out():
    full = frame({"a": [[1, 2, 3], [5, 5, 5]], "b": [[3, 2, 1], [1, 1, 1]]})
    half = full.drop(full.query("rater == 'b' and item == '002' and letter == 'c'").index)
    means = ratings.item_means(half)
    assert means.to_numpy().tolist() == [[2, 2, 2], [5, 5, 5]]
    with pytest.raises(ConfigError, match="found 0 images"):
        ratings.item_means(full[full["letter"] == "a"].assign(pretraining=["scratch", "imagenet"] * 2))


def test_tests_of_all_tasks_and_of_each():
    table = frame({"a": [[1, 2, 3]] * 4})
    assert ratings.by_task(table, ratings.friedman)["task"].to_list() == ["all"]
    two = table.assign(task=np.where(table["item"] < "003", "T", "U"))
    assert ratings.by_task(two, ratings.friedman)[["task", "items"]].to_numpy().tolist() == [
        ["all", 4],
        ["T", 2],
        ["U", 2],
    ]


def simulated(raters: int, items: int = 30, effect: float = 1.0) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 1, (items, 1))
    strict = np.linspace(-1, 1, raters)
    return frame(
        {
            f"r{k}": 3 + np.array([0, effect, 0]) + shared + strict[k] + rng.normal(0, 0.5, (items, 3))
            for k in range(raters)
        }
    )


def test_a_mixed_model_finds_what_was_planted():
    """Balanced data: the estimates are differences of means, and the variances those that made the data."""
    data = simulated(5)
    found = ratings.fit_mixed(data, reference="scratch")
    means = data.groupby("pretraining")["rating"].mean()
    effects = found.effects.set_index("pretraining")
    assert found.note == "Images and raters are random." and set(effects["reference"]) == {"scratch"}
    for name in ("imagenet", "radiologynet"):
        row = effects.loc[name]
        assert row["estimate"] == pytest.approx(means[name] - means["scratch"], abs=1e-6)
        assert row["ci_low"] < {"imagenet": 0, "radiologynet": 1}[name] < row["ci_high"]
    assert effects.loc["radiologynet", "p"] < 0.001 < effects.loc["imagenet", "p"]
    assert found.variances["rest"] == pytest.approx(0.25, rel=0.2)
    assert found.variances["image"] == pytest.approx(1, rel=0.4)
    assert found.variances["rater"] == pytest.approx(np.linspace(-1, 1, 5).var(ddof=1), rel=0.2)


def test_a_mixed_model_says_what_it_could_not_do():
    one = ratings.fit_mixed(simulated(1), "scratch")
    assert one.note.startswith("One rater") and set(one.variances) == {"image", "rest"} and len(one.effects) == 2
    nothing = ratings.fit_mixed(frame({"a": [[3, 3, 3]] * 5, "b": [[3, 3, 3]] * 5}))
    assert nothing.effects.empty and nothing.variances == {} and "read the rank tests" in nothing.note


def test_raters_are_fixed_where_random_ones_do_not_converge(monkeypatch):
    fit = ratings._fit
    monkeypatch.setattr(
        ratings, "_fit", lambda data, formula, random: None if "rater" in random else fit(data, formula, random)
    )
    found = ratings.fit_mixed(simulated(2), "scratch")
    assert "raters are fixed" in found.note and len(found.effects) == 2 and set(found.variances) == {"image", "rest"}


def texts(fig) -> str:
    from matplotlib import text

    return "\n".join(t.get_text() for t in fig.findobj(text.Text))


def test_the_figure_shows_shares_means_and_n():
    table = {"anna": [[1, 2, 5], [1, 4, 5], [2, 4, 5], [1, 4, 5]], "ben": [[3, 3, 3]] * 4}
    fig = rating_bars.draw(frame(table), phantom=True)
    top, bottom = fig.axes
    assert (top.get_title("left"), bottom.get_title("left")) == ("anna, T", "ben, T")
    width = {bar.get_gid(): bar.get_width() for bar in top.patches}
    assert width["imagenet 1"] == 75 and width["imagenet 2"] == 25 and width["imagenet 5"] == 0
    for name in NAMES:
        assert sum(width[f"{name} {k}"] for k in range(1, 6)) == pytest.approx(100)
    shown = texts(fig)
    for words in ("1.25  (n = 4)", "5.00  (n = 4)", "3.50  (n = 4)", "3.00  (n = 4)", "only relevant", "phantom data"):
        assert words in shown
    assert "blinded raters" in shown and "phantom rater" not in shown


def test_phantom_raters_are_called_so():
    table = {"phantom-1": [[1, 2, 5]] * 4, "phantom-2": [[3, 3, 3]] * 4}
    fig = rating_bars.draw(frame(table), phantom=True, planted="+0.6 points for A")
    assert [ax.get_title("left") for ax in fig.axes] == ["phantom rater 1, T", "phantom rater 2, T"]
    assert "made up by a program with +0.6 points for A" in texts(fig) and "blinded" not in texts(fig)


def test_the_figure_has_a_column_a_task_and_says_what_it_needs():
    data = frame({"anna": [[1, 2, 3]] * 4})
    two = data.assign(task=np.where(data["item"] < "003", "T", "U"))
    fig = rating_bars.draw(two, names=Names({"U": "Second task"}))
    assert [ax.get_title("left") for ax in fig.axes] == ["anna, T", "anna, Second task"]
    with pytest.raises(ValueError, match="44_rate_heatmaps"):
        rating_bars.draw(data.iloc[:0])


def test_letters_do_not_decide_a_test():
    """The same ratings under other letters give the same tests: what counts is the pretraining."""
    data = frame({"a": [[1, 2, 3], [2, 2, 4], [1, 3, 3], [5, 4, 5]]})
    for order in permutations("abc"):
        other = data.assign(letter=data["letter"].map(dict(zip("abc", order, strict=True))))
        assert ratings.pairs(other).equals(ratings.pairs(data)) and ratings.friedman(other).equals(
            ratings.friedman(data)
        )
