"""One process at a time, by the system's locks and, where there are none, by leases that are renewed."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import threading
import time

import pytest
from filelock import Timeout

from tlkit import files, locks, pulse
from tlkit.config import UnknownNameError
from tlkit.locks import Lock

ELSEWHERE = json.dumps({"host": "another machine", "pid": 1, "born": 0.0})


@pytest.fixture
def no_flock(monkeypatch):
    """A file system that has no locks of its own."""

    def fail(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", fail)


@pytest.fixture(params=["flock", "lease", "no flock"])
def kind(request, monkeypatch):
    if request.param == "no flock":
        request.getfixturevalue("no_flock")
    else:
        monkeypatch.setenv(locks.SETTING, request.param)
    return request.param


@pytest.fixture
def soon(monkeypatch):
    """Leases are renewed often, and stale soon."""
    monkeypatch.setattr(pulse, "BEAT", 0.01)
    monkeypatch.setattr(locks, "STALE", 0.3)


def test_one_holds_it_and_the_next_one_gets_it(tmp_path, kind):
    path = tmp_path / "a b'ü.lock"
    assert not Lock(path).is_held()
    with Lock(path):
        assert Lock(path).is_held() and Lock(path).lease.exists() == (kind != "flock")
        with pytest.raises(Timeout):
            Lock(path).acquire(timeout=0)
    assert not Lock(path).is_held() and not Lock(path).lease.exists()
    with Lock(path).acquire(timeout=0):
        assert Lock(path).is_held()


def test_a_waiting_one_gets_it_when_it_is_free(tmp_path, kind):
    order, first = [], Lock(tmp_path / "lock").acquire()
    thread = threading.Thread(target=lambda: Lock(tmp_path / "lock").acquire().release() or order.append("second"))
    thread.start()
    time.sleep(0.1)
    order.append("first")
    first.release()
    thread.join(10)
    assert order == ["first", "second"]


def test_leases_are_heeded_by_those_that_write_none(tmp_path, monkeypatch):
    monkeypatch.setenv(locks.SETTING, "lease")
    held = Lock(tmp_path / "lock").acquire()
    held._flock.release()  # as on another machine, whose locks are not seen here
    monkeypatch.delenv(locks.SETTING)
    with pytest.raises(Timeout):
        Lock(tmp_path / "lock").acquire(timeout=0)
    held.release()
    Lock(tmp_path / "lock").acquire(timeout=0).release()


@pytest.mark.parametrize(
    "told",
    [{"pid": 2**22 + 1, "born": 1.0}, {"pid": os.getpid(), "born": 1.0}, {}],
    ids=["gone", "another of its number", "untold"],
)
def test_the_lease_of_a_dead_process_of_this_machine_is_free_at_once(tmp_path, no_flock, told):
    lock = Lock(tmp_path / "lock")
    lock.lease.write_text(json.dumps(told | {"host": pulse.me()["host"]}))
    assert not lock.is_held()
    with lock.acquire(timeout=0):
        assert Lock(tmp_path / "lock").is_held()


@pytest.mark.parametrize("text", [ELSEWHERE, ""], ids=["elsewhere", "being written"])
def test_a_lease_of_another_machine_is_waited_for_until_it_is_stale(tmp_path, kind, soon, text):
    lock = Lock(tmp_path / "lock")
    lock.lease.write_text(text)
    assert lock.is_held()
    start = time.monotonic()
    with lock.acquire(timeout=0):  # nobody renews it
        assert time.monotonic() - start > 0.2 and not lock.lost
    assert not lock.lease.exists()


def test_a_lease_that_is_renewed_is_somebody_s(tmp_path, no_flock, soon):
    lock = Lock(tmp_path / "lock")
    lock.lease.write_text(ELSEWHERE)
    other = pulse.Pulse(lambda: os.utime(lock.lease))
    with pytest.raises(Timeout):
        lock.acquire(timeout=0)
    other.stop()


def test_the_holder_renews_its_lease_and_notices_when_it_is_lost(tmp_path, no_flock, soon):
    lock = Lock(tmp_path / "lock").acquire()
    time.sleep(0.5)
    assert Lock(tmp_path / "lock").is_held() and not lock.lost
    lock.lease.write_text(ELSEWHERE)
    time.sleep(0.1)
    assert lock.lost
    lock.release()
    assert lock.lease.read_text() == ELSEWHERE, "that of the other one stays"


def test_of_many_that_take_over_a_stale_lease_one_gets_it(tmp_path, no_flock, soon):
    Lock(tmp_path / "lock").lease.write_text(ELSEWHERE)
    os.utime(Lock(tmp_path / "lock").lease, (0, 0))
    held, most, both = [], [], threading.Barrier(4)

    def take():
        both.wait()
        with Lock(tmp_path / "lock"):
            held.append(1)
            most.append(len(held))
            time.sleep(0.01)
            held.pop()

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]


def test_the_setting_has_two_values(tmp_path, monkeypatch):
    monkeypatch.setenv(locks.SETTING, "leases")
    with pytest.raises(UnknownNameError, match=r"unknown TLKIT_LOCKS 'leases'. Did you mean 'lease'"):
        Lock(tmp_path / "lock").acquire()


def test_other_errors_of_a_file_system_stay_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError):
        Lock(tmp_path / "gone" / "lock").acquire(timeout=0)


# --- builders ---


def test_two_builders_that_no_lock_keeps_apart_do_not_meet(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_mine", lambda: f"{pulse.me()['host']}-{os.getppid()}")
    with files.building(tmp_path / "store") as part:
        (part / "a").write_text("first")
        monkeypatch.setattr(files, "Lock", lambda path: Lock(path.with_name("another")))
        monkeypatch.setattr(files, "_mine", lambda: "far-1")
        with files.building(tmp_path / "store") as other:
            assert other != part and part.exists()
            (other / "a").write_text("second")
    assert (tmp_path / "store" / "a").read_text() == "second"
    assert not list(tmp_path.glob(".*.part"))


def test_what_a_killed_builder_left_goes_and_what_others_build_stays(tmp_path):
    host = pulse.me()["host"]
    names = {"dead": f"{host}-{2**22 + 1}", "alive": f"{host}-{os.getppid()}", "far": "far-7", "old": "far-8"}
    for name in names.values():
        (tmp_path / f".store.{name}.part").mkdir()
    os.utime(tmp_path / f".store.{names['old']}.part", (0, 0))
    with files.building(tmp_path / "store"):
        left = {path.name for path in tmp_path.glob(".store.*.part")}
    assert left == {f".store.{names[n]}.part" for n in ("alive", "far")} | {f".store.{host}-{os.getpid()}.part"}
