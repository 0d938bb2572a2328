import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit.config import ConfigError
from tlkit.layouts import entries

NAMES = {"number": ("id", "Case ID"), "age": ("Bone Age (months)",), "extra": ("extra",)}


def frame(*rows: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["key", "value"])


def test_headers_match_whatever_their_case_and_signs_and_values_are_stripped_text(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("\ufeffCASE_ID, bone age  months ,other\n 007 , 1.50\n8,,x\n", encoding="utf-8")
    table = entries.read_table(file, NAMES)
    assert table.to_dict("list") == {"number": ["007", "8"], "age": ["1.50", ""]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no table that can be read: EmptyDataError"),
        (b'id,x\n"1,2\n', "is no table that can be read"),
        (b"\xff\xfe\x00\xd8" * 9, "is in an encoding that is not known here: save it as UTF-8"),
        (b"id;age\n1,2\n", "is no table that can be read: its rows are longer than its first line, 'id;age'"),
        (b"id,Case ID\n1,2\n", r"more than one column for number: id, Case ID"),
    ],
)
def test_what_is_no_table_is_an_error(tmp_path, content, words):
    file = tmp_path / "a.csv"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        entries.read_table(file, NAMES)


def test_an_excel_sheet_is_read_or_says_what_helps(tmp_path, monkeypatch):
    sheet = pd.DataFrame({"Case ID": ["4360"], "Bone Age (months)": [" 12.5"]})
    monkeypatch.setattr(pd, "read_excel", lambda *_, **__: sheet)
    assert entries.read_table(tmp_path / "a.XLSX", NAMES).to_dict("list") == {"number": ["4360"], "age": ["12.5"]}

    def missing(*_, **__):
        raise ImportError("openpyxl")

    monkeypatch.setattr(pd, "read_excel", missing)
    with pytest.raises(ConfigError, match=r"a\.xlsx is an Excel sheet: save it as CSV beside it"):
        entries.read_table(tmp_path / "a.xlsx", NAMES)


def test_equal_rows_are_read_once_and_unequal_ones_are_odd():
    table, equal = entries.keep_once(
        frame(("a", "1"), ("b", "1"), ("a", "1"), ("c", "1"), ("c", "2"), ("c", "2")), ["key"]
    )
    assert table["key"].tolist() == ["a", "b", "c"] and table["odd"].tolist() == [False, False, True]
    assert equal["key"].tolist() == ["a"]  # c has equal rows too, but is odd


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("12")), max_size=8))
def test_a_key_is_odd_exactly_where_its_rows_differ(rows):
    table, equal = entries.keep_once(frame(*rows), ["key"])
    values = {key: [v for k, v in rows if k == key] for key, _ in rows}
    assert dict(zip(table["key"], table["odd"], strict=True)) == {k: len(set(v)) > 1 for k, v in values.items()}
    assert sorted(equal["key"]) == sorted(k for k, v in values.items() if len(v) > 1 and len(set(v)) == 1)


def test_words_and_numbers_for_yes_and_no():
    found = entries.truth(pd.Series(["True", "TRUE", "t", "1", "1.0", "Yes", "False", "0", "N", "", "2", "maybe"]))
    assert found.tolist()[:9] == [1.0] * 6 + [0.0] * 3 and np.isnan(found[9:]).all()


def test_the_first_reason_counts_and_nobody_is_lost():
    table = pd.DataFrame({"path": ["a", "b", "c", "d"], "n": [1, 2, 3, 4]})
    checks = [
        (table["n"] == 2, "two", "rule"),
        (table["n"] < 4, "small " + table["n"].astype(str), "unreadable"),
    ]
    kept, rejects = entries.refuse(table, checks)
    assert kept["path"].tolist() == ["d"]
    assert rejects == [("b", "two", "rule"), ("a", "small 1", "unreadable"), ("c", "small 3", "unreadable")]
