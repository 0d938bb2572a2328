from __future__ import annotations

import logging
import sys

import nbformat
import pytest
from nbclient import NotebookClient

from tlkit.progress import follow, is_watched, track


def test_nobody_watching_gets_one_line(caplog, monkeypatch):
    monkeypatch.setenv("TLKIT_UNATTENDED", "1")
    with caplog.at_level(logging.INFO, "tlkit.progress"):
        assert list(track(iter("abc"), 3, "decode", "file")) == ["a", "b", "c"]
    (record,) = caplog.records
    assert record.getMessage().startswith("decode: 3 files in ")


@pytest.mark.parametrize(("unit", "units"), [("file", "files"), ("series", "series")])
def test_units_are_words(caplog, monkeypatch, unit, units):
    monkeypatch.setenv("TLKIT_UNATTENDED", "1")
    with caplog.at_level(logging.INFO, "tlkit.progress"):
        list(track(range(3), 3, "read", unit))
    assert caplog.records[0].getMessage().startswith(f"read: 3 {units} in ")


def test_a_bar_counts_the_units_of_its_items(capsys):
    steps = follow(range(1, 4), 4, "epoch 1/1", "images", each=32, done=1)
    next(steps)
    said = capsys.readouterr().err
    assert "32/128" in said and "images" in said
    assert list(steps) == [2, 3]


def test_a_notebooks_bar_agrees_with_its_text_and_is_gone_when_it_is_saved():
    code = """
import time
from tlkit import progress
show = progress._show
progress._show = lambda widget: globals().update(bar=widget) or show(widget)
steps = progress.follow(range(3), 3, "epoch", "images", each=32)
next(steps), time.sleep(0.2), next(steps)  # drawn ten times a second at most
_, widget, text = bar.children
print(widget.value, widget.max, text.value)
list(steps);
"""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(book, kernel_name="python3").execute()
    widget, said = book.cells[0].outputs
    assert said.text.split()[:2] == ["32.0", "96.0"] and "32/96" in said.text
    assert widget.data == {"text/plain": ""}


def test_nothing_is_said_before_the_end(caplog, monkeypatch):
    monkeypatch.setenv("TLKIT_UNATTENDED", "1")
    with caplog.at_level(logging.INFO, "tlkit.progress"):
        items = track(range(3), 3)
        next(items)
        assert not caplog.records


def test_a_person_sees_a_bar_with_rate_and_time_left(capsys, monkeypatch):
    monkeypatch.delenv("TLKIT_UNATTENDED")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert is_watched()
    assert list(track(range(4), 4, "decode", "file")) == [0, 1, 2, 3]
    shown = capsys.readouterr().err
    assert "decode" in shown and "0/4" in shown and "files" in shown


def test_unattended_wins_over_a_terminal(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert not is_watched()
    monkeypatch.delenv("TLKIT_UNATTENDED")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    assert not is_watched()
    monkeypatch.setitem(sys.modules, "ipykernel", object())
    assert is_watched()
