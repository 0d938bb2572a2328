"""A JupyterLab server for tests in a real browser."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")  # Debian, Ubuntu, the machines of GitHub
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
PATIENCE = 120  # seconds for one thing to happen, on a machine that is busy with other work
NO_NEWS = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
IDLE = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"

needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason=f"none of {', '.join(BROWSERS)} is installed (apt-get install chromium)"
)


class Lab:
    """A JupyterLab server with settings of its own, and the folder that it shows."""

    def __init__(self, root: Path, **environment: str):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"http://127.0.0.1:{free.getsockname()[1]}"
        self.root, self.token = root, secrets.token_hex(16)
        own = {f"JUPYTER_{k}_DIR": str(root / ".jupyter" / k) for k in ("CONFIG", "DATA", "RUNTIME")}
        (root / ".jupyter/CONFIG/labconfig").mkdir(parents=True)
        (root / ".jupyter/CONFIG/labconfig/page_config.json").write_text(json.dumps(NO_NEWS))
        settings = {
            "ServerApp.port": self.address.rpartition(":")[2],
            "ServerApp.port_retries": 0,
            "ServerApp.root_dir": root,
            "IdentityProvider.token": self.token,
            "LabApp.expose_app_in_browser": True,
        }
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
        self.log = (root / "server.log").open("wb")
        self.server = subprocess.Popen(
            [*command, *(f"--{k}={v}" for k, v in settings.items())],
            cwd=root,
            env=os.environ | own | {"IPYTHONDIR": str(root / ".ipython"), "OMP_NUM_THREADS": "1"} | environment,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    def url(self, path: str) -> str:
        return f"{self.address}/{path}?token={self.token}"

    def ready(self) -> bool:
        assert self.server.poll() is None, (self.root / "server.log").read_text()
        try:
            return urllib.request.urlopen(self.url("api"), timeout=5).status == 200
        except (OSError, urllib.error.URLError):
            return False

    def stop(self) -> None:
        self.server.terminate()
        try:
            self.server.wait(30)
        finally:
            if self.server.poll() is None:
                os.killpg(self.server.pid, signal.SIGKILL)
            self.log.close()


def until(done: Callable[[], Any], what: str) -> Any:
    """Return what `done` returns as soon as it is true."""
    end = time.monotonic() + PATIENCE
    while not (found := done()):
        assert time.monotonic() < end, f"still waiting for {what}"
        time.sleep(0.05)
    return found
