"""Does this machine have what the project needs? One line per thing, with the command that mends it."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from pathlib import Path

import pandas as pd

from tlkit import paths

MODULES = (
    "torch", "torchvision", "timm", "jupyterlab", "papermill", "snakemake", "scipy", "statsmodels", "sklearn",
    "seaborn", "pandas", "pyarrow", "pydicom", "nibabel", "cv2", "PIL", "safetensors", "ipywidgets",
)  # fmt: skip
CPU_TORCH = "https://download.pytorch.org/whl/cpu"  # the index of torch without CUDA


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def environment_check(minimum_gb: float = 2.0) -> pd.DataFrame:
    """Return one row per requirement: what, found, state ("ok", "none" for an option, "FIX"), and what mends it.

    Covers Python, the packages and their size, the accelerator, cores, free disk below the runs folder, and TLKIT_DATA.
    """
    rows = [
        (
            "Python",
            sys.version.split()[0],
            "ok" if sys.version_info >= (3, 11) else "FIX",
            "install Python 3.11 or newer",
        )
    ]
    for name in MODULES:
        try:
            found = getattr(importlib.import_module(name), "__version__", "found")
            rows.append((name, str(found), "ok", ""))
        except ImportError as error:
            rows.append((name, str(error), "FIX", "make setup"))
    rows += [
        _accelerator(),
        ("CPU cores", str(cores()), "ok", ""),
        _disk(minimum_gb),
        _environment(),
        _data(),
    ]
    table = pd.DataFrame(rows, columns=["what", "found", "state", "mend"])
    return table.assign(mend=table["mend"].where(table["state"] == "FIX", ""))


def _accelerator() -> tuple[str, str, str, str]:
    import torch

    if torch.cuda.is_available():
        return "GPU", torch.cuda.get_device_name(), "ok", ""
    return "GPU", "none: smoke, quick and course run on the CPU", "none", ""


def _disk(minimum_gb: float) -> tuple[str, str, str, str]:
    root = paths.runs_root()
    there = next(p for p in (root, *root.parents) if p.exists())
    free = shutil.disk_usage(there).free / 1e9
    state = "ok" if free >= minimum_gb else "FIX"
    return (
        "free disk",
        f"{free:.0f} GB below {root.name}/",
        state,
        f"free {minimum_gb:.0f} GB, or set TLKIT_RUNS to another disk",
    )


def _environment() -> tuple[str, str, str, str]:
    """Return how large the virtual environment is: with torch for CUDA some 7 GB, which a CPU has no use for."""
    import torch

    if sys.prefix == sys.base_prefix:
        return "environment", "not a virtual one", "none", "make setup"
    files = (Path(folder, name) for folder, _, names in os.walk(sys.prefix) for name in names)
    size = sum(path.lstat().st_size for path in files) / 1e9
    unused = ", much of it for CUDA" if torch.version.cuda and not torch.cuda.is_available() else ""
    smaller = f"; without: rm -r .venv; make setup TORCH_INDEX={CPU_TORCH}" if unused else ""
    return "environment", f"{size:.1f} GB in {Path(sys.prefix).name}{unused}{smaller}", "ok", ""


def _data() -> tuple[str, str, str, str]:
    from tlkit.datasets.cards import DATASETS, present

    root = paths.data_root()
    if root is None:
        return (
            "real data",
            "TLKIT_DATA is not set: phantoms only",
            "none",
            "export TLKIT_DATA=<your data folder>",
        )
    if not root.is_dir():
        return "real data", f"TLKIT_DATA={root} is no folder", "FIX", "export TLKIT_DATA=<your data folder>"
    found = [n for n, card in DATASETS.items() if present(card, root)]
    return (
        "real data",
        ", ".join(found) or "none of the known data sets",
        "ok" if found else "none",
        "python -m tlkit data",
    )
