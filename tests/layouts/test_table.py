"""Layout "table": what a name in a table means among files, and which rows cannot be used."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

import pandas as pd
import pytest
import trees
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit.config import ConfigError
from tlkit.datasets import DATASETS
from tlkit.layouts import table

CARD = replace(
    DATASETS["brain-tumor-mri"], layout="table", classes=("a", "b"),
    options={"table": "t.csv", "file": "file", "label": "dx"},
)  # fmt: skip
PART = st.text("abcö_1", min_size=1, max_size=4)


@settings(deadline=None)
@given(st.lists(st.lists(PART, min_size=1, max_size=3).map("/".join), min_size=1, unique=True), st.data())
def test_a_path_means_its_file_however_it_is_written(stems, data):
    paths = [f"{stem}.png" for stem in stems]
    path = data.draw(st.sampled_from(paths))
    for name in (path, path.upper(), unicodedata.normalize("NFD", path), path.replace("/", chr(92)), f"./{path}"):
        assert table.find_listed(pd.Series([name]), paths).tolist() == [path]


def test_a_name_of_two_files_means_none():
    paths = ["a/1.png", "b/1.png", "b/2.jpg"]
    names = pd.Series(["1.png", "1", "b/1", "2", "x/b/2.jpg", "3", ""])
    assert table.find_listed(names, paths).tolist() == ["", "", "b/1.png", "b/2.jpg", "b/2.jpg", "", ""]
    paths = ["1.png", "1/1.png", "2.png", "2.jpg"]  # a whole path is no end of another; two endings leave a name open
    assert table.find_listed(pd.Series(["1.png", "1", "1/1", "2", "2.jpg"]), paths).tolist() == [
        "1.png", "1.png", "1/1.png", "", "2.jpg",
    ]  # fmt: skip


def test_nothing_is_left_out_in_silence(tmp_path):
    for i in range(6):
        trees.picture(tmp_path / f"{i}.png", i)
    rows = ["file,dx", "0.png,a", "0.png,a", "1.png,b", "2.png,a", "2.png,b", "3.png,", "4.png,c", "9.png,a"]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    (tmp_path / "notes.md").write_text("x")
    samples, rejects = table.scan(tmp_path, CARD)
    assert samples[["path", "label"]].to_numpy().tolist() == [["0.png", 0], ["1.png", 1]]
    assert dict(zip(rejects["path"], rejects["reason"], strict=True)) == {
        "2.png": "rows of the table that differ",
        "3.png": "no label in the table",
        "4.png": "no class: 'c'",
        "5.png": "no row of the table names the image",
        "9.png": "the table names it, and there is no such file, or several",
        "notes.md": "no image",
    }


def test_a_column_that_is_not_there_and_a_changed_table_are_errors(tmp_path):
    trees.picture(tmp_path / "0.png")
    (tmp_path / "t.csv").write_text("file,dy\n0.png,a\n")
    with pytest.raises(ConfigError, match=r"no column 'dx'. Did you mean 'dy'"):
        table.scan(tmp_path, CARD)
    (tmp_path / "t.csv").write_text("file,dx\n0.png,a\n")
    with pytest.raises(ConfigError, match="was changed"):
        table.scan(tmp_path, replace(CARD, options={**CARD.options, "table_sha256": "0" * 64}))
    with pytest.raises(ConfigError, match="is missing"):
        table.scan(tmp_path, replace(CARD, options={**CARD.options, "table": "u.csv"}))
