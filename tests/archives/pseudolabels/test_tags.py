"""Messy header strings become numbers in [0, 1], and what is dropped has a reason."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit.archives.pseudolabels import tags
from tlkit.config import ConfigError

N = 40


def frame(**columns) -> pd.DataFrame:
    return pd.DataFrame(columns, index=[f"f{i}" for i in range(N)])


def test_arrays_of_all_spellings_become_numbered_columns():
    spelt = ["0.5\\0.7", "[0.5, 0.8]", "0.4,0.7", "(0.5 , 0.9)"] * 10
    found = tags.clean(frame(PixelSpacing=spelt))
    assert list(found.numbers) == ["PixelSpacing_0", "PixelSpacing_1"] and found.categories.empty
    assert found.numbers.iloc[:4].to_numpy().tolist() == [[0.5, 0.7], [0.5, 0.8], [0.4, 0.7], [0.5, 0.9]]


def test_what_is_dropped_says_why():
    few = ["1"] * 7 + [""] * 32 + ["2"]  # exactly 20 % are filled
    found = tags.clean(
        frame(
            Modality=["CT", "MR"] * 20,
            Constant=["5"] * N,
            Empty=[""] * N,
            Few=["1", *[""] * 38, "2"],
            Enough=few,
            Names=[f"A{i}" for i in range(N)],
        )
        .loc[lambda t: t.index]
        .assign(Kind=["a", "b"] * 20)
    )
    assert found.dropped == {
        "Modality": "what the groups are judged by",
        "Constant": "1 distinct value",
        "Empty": "filled in 0% of the rows, at least 20% are needed",
        "Few": "filled in 5% of the rows, at least 20% are needed",
    }
    assert list(found.numbers) == ["Enough"]
    assert list(found.categories) == ["Names", "Kind"]  # 40 categories are allowed


def test_more_than_50_categories_are_too_many():
    words = pd.DataFrame({"fifty": [f"A{i % 50}" for i in range(102)], "more": [f"A{i % 51}" for i in range(102)]})
    found = tags.clean(words)
    assert list(found.categories) == ["fifty"]
    assert found.dropped == {"more": "51 categories, at most 50 are used"}


def test_one_word_among_numbers_is_missing_and_counted():
    found = tags.clean(frame(KVP=["120", "80"] * 19 + ["auto", "inf"], Mixed=["120", "high"] * 20))
    assert found.numbers["KVP"].isna().sum() == 2 and found.lost == {"KVP": 2}
    assert list(found.categories) == ["Mixed"]


def test_numbers_filled_in_follow_the_other_columns():
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, 300)
    table = pd.DataFrame({"a": x, "b": 10 * x, "c": rng.uniform(0, 1, 300)})
    gone = np.arange(300) % 10 == 0
    cleaned = tags.Cleaned(table.mask(np.outer(gone, [False, True, False])), pd.DataFrame(index=table.index), {}, {})
    filled = tags.impute(cleaned)
    assert filled.min() == 0 and filled.max() == 1 and filled.shape == (300, 3)
    assert np.abs(filled[gone, 1] - x[gone]).mean() < 0.05  # the mean of the column would be 0.25 off


def test_a_gap_outside_of_the_draw_is_filled_by_the_mean():
    """No forest was learned for a column that lacks nothing in the rows that were drawn to learn from."""
    rng = np.random.default_rng(0)
    rng.integers(2**31)  # the forests' seed is drawn first
    rows = rng.choice(40, 20, replace=False)
    numbers = pd.DataFrame({"a": np.arange(40.0), "b": np.where(np.isin(np.arange(40), rows), 1.0, 5.0)})
    lost = next(i for i in range(40) if i not in rows)
    numbers.loc[lost, "a"] = np.nan
    cleaned = tags.Cleaned(numbers, pd.DataFrame(index=numbers.index), {}, {})
    assert tags.impute(cleaned, seed=0, fit_on=20)[lost, 0] == pytest.approx(rows.mean() / 39, abs=0.03)


def test_categories_are_one_hot_and_zeros_where_missing():
    cleaned = tags.clean(frame(Kind=["a", "b", "a", ""] * 10))
    assert tags.impute(cleaned)[:4].tolist() == [[1, 0], [0, 1], [1, 0], [0, 0]]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(["", "1", "2.5", "CT", "[1, 2]", "3\\4", "nan", "1e400"]), min_size=8, max_size=12))
def test_any_strings_give_finite_values_between_0_and_1(strings):
    try:
        values = tags.impute(
            tags.clean(
                pd.DataFrame({"x": strings, "y": ["a", "b"] * (len(strings) // 2) + ["a"] * (len(strings) % 2)})
            ),
            trees=2,
            rounds=1,
        )
    except ConfigError:
        pytest.fail("column y is always usable")
    assert np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1


def test_no_usable_column_names_the_reasons():
    with pytest.raises(ConfigError, match="Constant: 1 distinct value"):
        tags.impute(tags.clean(frame(Constant=["5"] * N)))


def test_codes_tell_kinds_of_headers_apart():
    kinds = np.arange(120) % 3
    noise = np.random.default_rng(0).uniform(0, 0.1, (120, 6))
    values = (np.repeat(np.eye(3)[kinds], 2, axis=1) * 0.9 + noise).astype(np.float32)
    val = np.arange(120) % 10 == 0
    codes = tags.embed(values, val, epochs=15, seed=1)
    assert codes.shape == (120, 3) and codes.dtype == np.float32
    between = np.linalg.norm(codes[:, None] - codes[None], axis=-1)
    same = kinds[:, None] == kinds[None]
    assert between[same].mean() < 0.3 * between[~same].mean()
    assert (codes == tags.embed(values, val, epochs=15, seed=1)).all()
    assert (codes != tags.embed(values, val, epochs=15, seed=2)).any()
