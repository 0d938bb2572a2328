"""What a run ran on: packages, machine, device, and the commit of the code."""

from __future__ import annotations

import contextlib
import platform
import shutil
import socket
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tlkit import paths

PACKAGES = ("tlkit", "torch", "torchvision", "timm", "numpy", "pandas", "scipy", "scikit-learn", "pydicom")


def environment(device: str = "cpu") -> dict[str, Any]:
    """Return what the run ran on: packages, Python, machine, device, threads, processes, commit."""
    import torch

    tree = commit()
    gpu = torch.cuda.get_device_name() if device.startswith("cuda") else None
    return {
        "packages": dict(_versions()),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "device": gpu or platform.processor() or platform.machine(),
        "capability": torch.backends.cpu.get_cpu_capability(),  # the instructions, which decide rounding
        "threads": torch.get_num_threads(),
        "processes": torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1,
        "commit": {"id": tree["commit"], "dirty": tree["dirty"]},
    }


@cache
def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def processor(told: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's name as Linux tells it; "" elsewhere, and where it tells none."""
    lines = told.read_text().splitlines() if told.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def commit() -> dict[str, Any]:
    """Return {"commit": hash, "dirty": whether the tree differs from it}; "unknown" and None outside git."""
    if (paths.REPO / ".git").exists() and shutil.which("git"):
        command = ["git", "-C", str(paths.REPO), "status", "--porcelain=v2", "--branch"]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        if told.returncode == 0:
            lines = told.stdout.splitlines()
            head = next(line.removeprefix("# branch.oid ") for line in lines if line.startswith("# branch.oid "))
            return {"commit": head, "dirty": any(not line.startswith("#") for line in lines)}
    return {"commit": "unknown", "dirty": None}
