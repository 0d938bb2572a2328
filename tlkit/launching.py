"""Starting the processes of a run, which torchrun joins, and ending with who started them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from tlkit import paths, stopping

LAUNCHER = "TLKIT_LAUNCHER"  # the process that called `launch`
RESTARTS = 2  # of the processes of a run, where one was lost


def end_with_launcher() -> None:
    """In a process that `launch` started: end when torchrun, or who called `launch`, is gone, even if it was killed."""
    if LAUNCHER not in os.environ:
        return
    import psutil

    above = [psutil.Process(pid) for pid in (os.getppid(), int(os.environ[LAUNCHER])) if psutil.pid_exists(pid)]

    def is_alive(process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        return False

    def watch() -> None:
        while len(above) == 2 and all(map(is_alive, above)):
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def launch(config_file: Path, processes: int) -> int:
    """Do the run of a config file by as many processes, joined by torchrun, and return their exit status.

    Raises: stopping.Stopped where this process is asked to end, after theirs.
    """
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes),
        "-m", "tlkit", "run", str(config_file),
    ]  # fmt: skip
    path = os.pathsep.join(filter(None, (str(paths.REPO), os.environ.get("PYTHONPATH"))))  # this very tlkit
    env = {**os.environ, "PYTHONPATH": path, LAUNCHER: str(os.getpid())}
    stopping.outlive_warnings()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=env)
    try:
        with stopping.listening(lambda number: stopping.pass_on(number, child.pid)) as asked:
            status = child.wait()
        if status:
            asked.kept()
        return status
    except BaseException:
        child.terminate()  # torchrun passes it on to its processes
        child.wait()
        raise
