from __future__ import annotations

import logging
import sys

from tlkit.progress import is_watched, track


def test_nobody_watching_gets_one_line(caplog, monkeypatch):
    monkeypatch.setenv("TLKIT_UNATTENDED", "1")
    with caplog.at_level(logging.INFO, "tlkit.progress"):
        assert list(track(iter("abc"), 3, "decode", "file")) == ["a", "b", "c"]
    (record,) = caplog.records
    assert record.getMessage().startswith("decode: 3 files in ")


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
