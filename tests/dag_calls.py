"""Calls of the project's commands in processes of their own, with folders of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FIGURES = (sys.executable, "-m", "tlkit", "figures")
WAIT = 900  # seconds until a stuck command fails the test


def environment(root: Path) -> dict[str, str]:
    own = {"TLKIT_RUNS": str(root / "runs"), "TLKIT_PAPER": str(root / "paper"), "TLKIT_UNATTENDED": "1"}
    return {**os.environ, "TLKIT_DATA": ""} | own


def call(root: Path, *command: str, env: dict[str, str] | None = None) -> str:
    """Run a command of the project to its end and return what it said."""
    done = subprocess.run(
        command,
        env=env or environment(root),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=WAIT,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
