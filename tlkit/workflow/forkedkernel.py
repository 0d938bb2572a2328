"""A Jupyter kernel that is forked from the server of `tlkit.workflow.forked` instead of started anew."""

from __future__ import annotations

import os
from multiprocessing.connection import Connection
from typing import Any

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from tlkit.workflow import forked

INLINE = "module://matplotlib_inline.backend_inline"


class ForkedKernel(LocalProvisioner):
    """Jupyter's local kernel in a forked process. pyproject.toml gives it the name `forked.PROVISIONER`."""

    async def launch_kernel(self, cmd: list[str], **how: Any) -> dict[str, Any]:
        self.cwd = str(how.get("cwd") or os.getcwd())
        self.pid, connection = forked.start(_start_kernel, cmd[cmd.index("-f") :], self.cwd, how["env"])
        self.process = _Popen(self.pid, connection)
        return self.connection_info


class _Popen:
    """What Jupyter uses of subprocess.Popen, for a fork of the server."""

    stdin = stdout = stderr = returncode = None

    def __init__(self, pid: int, connection: Connection):
        self.pid, self._connection = pid, connection

    def poll(self) -> int | None:
        return self.wait() if self.returncode is None and self._connection.poll() else self.returncode

    def wait(self) -> int:
        if self.returncode is None:
            try:
                self.returncode = self._connection.recv()
            except EOFError:  # the server is gone, and the kernel with it
                self.returncode = 1
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


def _start_kernel(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    import matplotlib
    from ipykernel.kernelapp import launch_new_instance

    os.chdir(folder)
    os.environ.clear()
    os.environ.update({"MPLBACKEND": INLINE, **environment})
    matplotlib.rcParams["backend"] = os.environ["MPLBACKEND"]  # it was imported before there was a kernel
    launch_new_instance(argv=arguments)
