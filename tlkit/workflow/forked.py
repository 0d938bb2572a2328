"""A server of forked processes: jobs and kernels that start in a tenth of a second instead of ten.

A job of the DAG is a process that imports papermill, and a kernel that imports torch: some nine seconds before the
first cell, fifty times a study. Here one process imports all of that once, and is forked for each job and each kernel
(multiprocessing's forkserver). `python -m tlkit figures` starts it on Linux; elsewhere, and on a cluster, jobs start as
ordinary processes and give the same numbers.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Client, Connection, Listener, wait
from pkgutil import resolve_name
from typing import Any

ADDRESS, KEY, PID = "TLKIT_FORK_ADDRESS", "TLKIT_FORK_KEY", "TLKIT_FORK_PID"
# Starting a process makes multiprocessing read the exit status of those that ended. Two threads that read one at once
# would find 255 in place of it.
ONE_AT_A_TIME = threading.Lock()
PROVISIONER = "tlkit-forked"  # its name in pyproject.toml
PRELOAD = [
    "IPython.core.completerlib", "ipykernel.kernelapp", "ipykernel.debugger", "papermill", "torch", "torchvision",
    "timm", "cv2", "scipy.stats", "sklearn.cluster", "sklearn.metrics", "statsmodels.stats.api", "matplotlib.pyplot",
    "matplotlib.backends.backend_pdf", "matplotlib.backends.backend_svg", "fontTools.subset", "seaborn",
    "pyarrow.dataset", "pyarrow.parquet", "tabulate", "codecarbon", "codecarbon.external.geography", "pydicom",
    "nibabel", "tlkit.__main__", "tlkit.workflow.execution", "tlkit.studies", "tlkit.training.run", "tlkit.report",
    "tlkit.phantoms.write", "tlkit.archives.ct_series", "tlkit.figures.closings",
]  # fmt: skip


@contextlib.contextmanager
def server(environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """Run the server while the block lasts; yield the environment of those that hand work to it (`start`).

    Elsewhere than on Linux, and where `environment` sets TLKIT_FORK=0, the environment comes back as it is. When this
    process ends, however it ends, the server and all that it forked end with it.
    """
    if sys.platform != "linux" or environment.get("TLKIT_FORK") == "0":
        yield environment
        return
    address = f"tlkit-{os.getpid()}-{secrets.token_hex(4)}"
    own = {**environment, ADDRESS: address, KEY: secrets.token_hex(), "JUPYTER_DEFAULT_PROVISIONER_NAME": PROVISIONER}
    reader, writer = os.pipe()
    command = [sys.executable, "-c", f"from tlkit.workflow.forked import serve; serve({writer})"]
    process = subprocess.Popen(command, env=own, stdin=subprocess.PIPE, start_new_session=True, pass_fds=[writer])
    os.close(writer)
    try:
        with open(reader, "rb") as ready:  # a call that comes before the server listens would fail
            ready.read()
        yield {**own, PID: str(process.pid)}
    finally:
        process.stdin.close()
        process.wait()


def cpu_seconds(environment: dict[str, str]) -> float:
    """Return the CPU time of all that the server of this environment forked and that has ended; 0 without one."""
    if PID not in environment:
        return 0.0
    import psutil

    return sum(sum(child.cpu_times()[:4]) for child in psutil.Process(int(environment[PID])).children())


def serve(ready: int) -> None:
    """Fork a process for each call that `start` brings, until standard input closes; then kill all of them.

    `ready`: a file descriptor, closed as soon as calls are taken.
    """
    threading.Thread(target=_end_with_input, daemon=True).start()
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    with Listener(f"\0{os.environ[ADDRESS]}", "AF_UNIX", backlog=64, authkey=os.environ[KEY].encode()) as listener:
        os.close(ready)
        context.Process(target=int).start()  # imports while Snakemake reads its file
        while True:
            with contextlib.suppress(OSError, EOFError):  # a client that was killed while it called
                threading.Thread(target=_answer, args=(context, listener.accept()), daemon=True).start()


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGKILL)


def _answer(context: Any, connection: Connection) -> None:
    with connection, contextlib.suppress(EOFError, OSError):
        target, arguments = connection.recv()
        process = context.Process(target=_call, args=(target, arguments))
        with ONE_AT_A_TIME:
            process.start()
        connection.send(process.pid)
        if connection in wait([process.sentinel, connection]):  # who asked for it is gone
            process.kill()
        wait([process.sentinel])
        with ONE_AT_A_TIME:
            process.join()
        connection.send(process.exitcode)


def _call(target: Callable, arguments: tuple) -> None:
    def watch() -> None:
        wait([parent_process().sentinel])  # the server is gone, even if it was killed
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    gc.freeze()  # statsmodels' `multipletests` collects garbage on each call: not through all that was imported
    target(*arguments)


def start(target: Callable, *arguments: Any) -> tuple[int, Connection]:
    """Call a function of the project in a fork of the server; return its pid, and what will bring its exit status.

    The fork is killed when the connection closes, and so when the process that holds it ends. Raises OSError, EOFError
    where the server is gone.
    """
    connection = Client(f"\0{os.environ[ADDRESS]}", "AF_UNIX", authkey=os.environ[KEY].encode())
    connection.send((target, arguments))
    return connection.recv(), connection


def run_command(main: str, arguments: list[str]) -> int | None:
    """Call `main` ("module:function") in a fork and return its exit status; None where this process has no server.

    Where it had one that is gone, so is the call that wanted the command: 1.
    """
    if ADDRESS not in os.environ:
        return None
    try:
        _, connection = start(_run, main, arguments)
        return connection.recv()
    except (OSError, EOFError):
        return 1


def _run(main: str, arguments: list[str]) -> None:
    status = resolve_name(main)(arguments)
    atexit._run_exitfuncs()  # multiprocessing leaves them out in a fork, and would wait for what they are to end
    sys.exit(status)
