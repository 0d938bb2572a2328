from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

import pytest

from tlkit.workflow import devices


@pytest.fixture
def gpus(monkeypatch, tmp_path):
    """A function that puts so many GPUs into the machine, with locks of its own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(devices, "EVERY", 0.01)
    monkeypatch.delenv(devices.VISIBLE, raising=False)
    return lambda n: monkeypatch.setattr(devices, "count", lambda: n)


def seen() -> str | None:
    return os.environ.get(devices.VISIBLE)


def test_jobs_of_a_machine_have_gpus_of_their_own(gpus):
    gpus(4)
    with devices.lend_gpus(1):
        assert seen() == "0"
        os.environ.pop(devices.VISIBLE)  # another job, whose process has an environment of its own
        with devices.lend_gpus(2):
            assert seen() == "1,2"
        os.environ[devices.VISIBLE] = "0"
    assert seen() is None
    with devices.lend_gpus(4):
        assert seen() == "0,1,2,3"


def test_a_job_waits_until_as_many_are_free(gpus):
    gpus(2)
    order, started = [], threading.Event()

    def other():
        started.set()
        with devices.lend_gpus(2):
            order.append("other")

    with devices.lend_gpus(1):
        os.environ.pop(devices.VISIBLE)
        thread = threading.Thread(target=other)
        thread.start()
        started.wait()
        thread.join(0.2)
        order.append("first")
        os.environ[devices.VISIBLE] = "0"
    thread.join(10)
    assert order == ["first", "other"]


def test_of_the_gpus_that_somebody_has_chosen(gpus, monkeypatch):
    gpus(2)
    monkeypatch.setenv(devices.VISIBLE, "5,GPU-8f/a")
    with devices.lend_gpus(2):
        assert seen() == "5,GPU-8f/a"
    with devices.lend_gpus(3):  # too few: the run says so
        assert seen() == "5,GPU-8f/a"
    assert seen() == "5,GPU-8f/a"


def test_without_gpus_or_need_nothing_is_changed(gpus):
    for there, wanted in ((0, 8), (2, 0)):
        gpus(there)
        with devices.lend_gpus(wanted):
            assert seen() is None
    assert not list(Path(tempfile.gettempdir()).iterdir())
