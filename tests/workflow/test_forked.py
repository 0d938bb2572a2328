"""Commands and kernels in forked processes, and that nothing outlives the process that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe, get_context
from threading import Thread

import psutil
import pytest

from tlkit.workflow import forked

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere jobs start as ordinary processes")
TOP = """
import os, subprocess, sys, time
from tlkit.workflow import forked
with forked.server(dict(os.environ)) as environment:
    print(environment[forked.PID], flush=True)
    command = [sys.executable, "-m", "tlkit", "job", *sys.argv[1:]]
    print(subprocess.run(command, env=environment).returncode, flush=True)
    print(forked.cpu_seconds(environment), flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def top(tmp_path_factory):
    """A process that starts the server and hands it one job, the data step of a phantom: Popen, its server's pid."""
    root = tmp_path_factory.mktemp("forked")
    own = {"TLKIT_RUNS": str(root / "runs"), "TLKIT_PAPER": str(root / "paper"), "TLKIT_UNATTENDED": "1"}
    command = [sys.executable, "-c", TOP, "data-brain-tumor-mri", "--study", "radiologynet", "--scale", "smoke"]
    with subprocess.Popen(command, env=os.environ | own, stdout=subprocess.PIPE, text=True) as process:
        yield process, int(process.stdout.readline())
        process.kill()


def ended(*pids: int, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while any(map(psutil.pid_exists, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(psutil.pid_exists, pids))


def test_a_job_is_done_by_a_fork_and_nothing_is_left_when_the_top_is_killed(top):
    process, server = top
    assert process.stdout.readline().startswith("done          data-brain-tumor-mri")
    assert process.stdout.readline() == "0\n"
    assert float(process.stdout.readline()) > 0.5
    forks = [child.pid for child in psutil.Process(server).children(recursive=True)]
    assert forks, "the server of forks waits for the next job"
    os.kill(process.pid, signal.SIGKILL)
    assert ended(server, *forks)


def test_a_command_whose_server_is_gone_fails(monkeypatch):
    monkeypatch.setenv(forked.ADDRESS, "tlkit-nobody")
    monkeypatch.setenv(forked.KEY, "x")
    assert forked.run_command("tlkit.__main__:main", ["job", "data-lits"]) == 1


def test_forks_that_start_and_end_at_once_all_give_their_exit_status():
    context = get_context("forkserver")

    def leave(status: int) -> int:
        ours, server = Pipe()
        Thread(target=forked._answer, args=(context, server)).start()
        with ours:
            ours.send((sys.exit, (status,)))
            ours.recv()
            return ours.recv()

    asked = [3 + k % 100 for k in range(200)]
    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(leave, asked)] == asked
