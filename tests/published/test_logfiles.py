from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit.published.logfiles import LogFileError, columns

KNOWN = {"epoch": "epoch", "acc": "accuracy", "accuracy": "accuracy", "avg_loss": "loss"}
GOOD = "epoch,acc,avg_loss\n0,0.25,1.5\n1,0.5,8.5e-05\n"


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Return a function that reads a text or bytes as a log; epoch and accuracy are needed."""
    path = tmp_path_factory.mktemp("log") / "x.log"

    def read(text: str | bytes):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return columns(path, KNOWN, ("epoch", "accuracy"))

    return read


@pytest.mark.parametrize("text", [GOOD, GOOD.replace("\n", "\r\n")])
def test_values_come_under_their_known_names(read, text):
    table, notes = read(text)
    assert {k: v.tolist() for k, v in table.items()} == {
        "epoch": [0, 1],
        "accuracy": [0.25, 0.5],
        "loss": [1.5, 8.5e-05],
    }
    assert notes == []


def test_order_of_the_columns_does_not_matter(read):
    table, _ = read("avg_loss,epoch,accuracy\n1.5,0,0.25\n")
    assert (table["epoch"][0], table["accuracy"][0], table["loss"][0]) == (0, 0.25, 1.5)


def test_no_rows_are_empty_columns(read):
    assert read("epoch,acc\n")[0]["accuracy"].shape == (0,)


def test_unknown_column_is_left_out_with_a_note(read):
    table, notes = read("epoch,seconds,acc\n0,about 3,0.25\n1,,0.5\n")
    assert table["accuracy"].tolist() == [0.25, 0.5] and set(table) == {"epoch", "accuracy"}
    assert notes == ["unknown column 'seconds' left out"]


def test_value_that_is_not_finite_is_left_out_with_a_note(read):
    table, notes = read("epoch,acc,avg_loss\n0,0.25,nan\n1,0.5,-inf\n2,0.5,2.0\n")
    assert np.isnan(table["loss"]).tolist() == [True, True, False]
    assert notes == ["loss: 2 values that are not finite left out"]


REFUSED = {
    "empty": (b"", "empty"),
    "no line end": (GOOD[:-1], "does not end"),
    "not ASCII": (GOOD.replace("5", "５", 1), "not ASCII"),
    "two of one name": (GOOD.replace("avg_loss", "acc"), "two columns"),
    "two of one meaning": (GOOD.replace("avg_loss", "accuracy"), "two columns"),
    "two unknown of one name": ("epoch,acc,x,x\n", "two columns"),
    "needed column": (GOOD.replace("acc", "abc"), "no column for accuracy"),
    "no header": (GOOD.partition("\n")[2], "no column for epoch, accuracy"),
    "too few fields": (GOOD.replace("0.5,", ""), "line 3: 2 fields, expected 3"),
    "too many fields": (GOOD.replace("0.5,", "0.5,0.5,"), "line 3: 4 fields, expected 3"),
    "blank line": (GOOD + "\n", "line 4: 1 fields"),
    "mixed line ends": (GOOD.replace("1.5\n", "1.5\r\n"), "line 2, avg_loss"),
    "letter": (GOOD.replace("0.25", "0.2x"), "line 2, acc: '0.2x', expected a decimal"),
    "needed nan": (GOOD.replace("0.25", "nan"), "line 2, acc: 'nan'"),
    "needed overflow": (GOOD.replace("0.25", "9" * 400 + ".0"), "too large"),
    "negative": (GOOD.replace("1.5", "-1.5"), "expected a decimal of 0 or more"),
    "broken epoch": (GOOD.replace("\n1,", "\n1.0,"), "line 3, epoch: '1.0', expected a whole number"),
    "long": ("x" * 100_000 + "\n", "no column"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_damaged_files_are_refused_with_their_reason(read, case):
    text, reason = REFUSED[case]
    with pytest.raises(LogFileError, match=reason) as error:
        read(text)
    assert len(str(error.value)) < 500


# float() or another parser takes all of these; Python writes none of them.
@pytest.mark.parametrize(
    "field",
    ["1_0.5", " 0.5", "0.5 ", ".5", "5.", "05.1", "+0.5", "5", "0.5e-05", "1.5e5", "1e5", "0x1.0p0", "1d-05", ""],
)
def test_only_numbers_as_python_writes_them(read, field):
    with pytest.raises(LogFileError, match="line 2, acc"):
        read(f"epoch,acc\n0,{field}\n")


@settings(deadline=None)  # other work on the machine is no fault
@given(st.lists(st.just(0.0) | st.floats(1e-99, 1e16, exclude_max=True), min_size=1))
def test_numbers_that_python_writes_are_read_to_the_bit(read, values):
    text = "epoch,acc\n" + "".join(f"{k},{v!r}\n" for k, v in enumerate(values))
    table, _ = read(text)
    assert table["accuracy"].tolist() == values and table["epoch"].tolist() == list(range(len(values)))


@settings(deadline=None)  # other work on the machine is no fault
@given(st.binary(max_size=60) | st.text("0123456789.e-,\n\rnaif_ ", max_size=60).map(str.encode))
def test_any_bytes_give_a_table_or_a_reason(read, rest):
    try:
        table, _ = read(b"epoch,acc\n" + rest)
    except LogFileError as error:
        assert str(error)
    else:
        lines = rest.replace(b"\r\n", b"\n").decode().split("\n")[:-1]
        assert [[float(f) for f in line.split(",")] for line in lines] == np.transpose(list(table.values())).tolist()
