"""What a run is computed with: its threads, and its processes, which are started here where they are several."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import torch

from tlkit.config import ConfigError, TlkitError

PARTS = ("threads", "processes")


class ProcessesError(TlkitError, RuntimeError):
    """The processes or devices that a run is for are not there, or one of them failed."""


def check(compute: Any) -> None:
    """Raise ConfigError unless a config's `compute` is {"threads": 1 or more, "processes": 1 or more}."""
    if not isinstance(compute, dict) or set(compute) != set(PARTS):
        raise ConfigError(f"config.compute: expected the numbers of {' and '.join(PARTS)}, found {compute!r}")
    for part, number in compute.items():
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise ConfigError(f"config.compute.{part}: expected a whole number from 1, found {number!r}")


@contextlib.contextmanager
def limit_threads(threads: int) -> Iterator[None]:
    """Compute with so many threads (torch, BLAS, OpenMP, OpenCV), and put back what was set when the block ends.

    Sums that threads share are rounded by how many they are, so a run sets their number itself: neither the cores of
    the machine nor OMP_NUM_THREADS decide its bits. On a GPU cuDNN takes algorithms that add up in one order.
    """
    import cv2
    import scipy.linalg  # noqa: F401  its BLAS is loaded now, so that it is limited too
    from threadpoolctl import threadpool_limits

    torch_threads, cv2_threads = torch.get_num_threads(), cv2.getNumThreads()
    cudnn, in_order = torch.backends.cudnn, torch.backends.cudnn.deterministic
    try:
        with threadpool_limits(threads):
            torch.set_num_threads(threads)
            cv2.setNumThreads(threads)
            cudnn.deterministic = True
            yield
    finally:
        cudnn.deterministic = in_order
        torch.set_num_threads(torch_threads)
        cv2.setNumThreads(cv2_threads)


def started_by_torchrun() -> bool:
    """Tell whether this process is one of several that torchrun (or a group of its caller's) joins."""
    return torch.distributed.is_initialized() or int(os.environ.get("WORLD_SIZE", 1)) > 1


def check_world(processes: int, world: int) -> None:
    """Raise ProcessesError where the processes at work are not as many as the run is for."""
    if world != processes:
        raise ProcessesError(
            f"this run is for {processes} processes (config.compute.processes, the study's key `gpus`), found {world} "
            f"at work: it would be another run. Start {processes} (torchrun --nproc-per-node {processes} -m tlkit run "
            "CONFIG), or one alone, which starts them itself."
        )


def check_devices(processes: int) -> None:
    """Raise ProcessesError where this machine has GPUs, but fewer than the processes that it is to run."""
    if torch.cuda.is_available() and torch.cuda.device_count() < processes:
        raise ProcessesError(
            f"a run by {processes} processes needs a GPU for each; found {torch.cuda.device_count()}. Set `gpus` in "
            "the study file to what is there (its runs then get ids of their own), or take a machine that has them."
        )
