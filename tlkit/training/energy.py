"""The energy that a run took, estimated by codecarbon from the load of processor, memory and GPU."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from tlkit import machine
from tlkit.training.processes import add_up, pick_device, world_size


@contextlib.contextmanager
def measure_energy() -> Iterator[dict[str, float]]:
    """Yield a dict that gets `energy_kwh`, and the number of `gpus`, when the block ends; nothing goes to the network.

    Of several processes it is the sum: each measures itself and its own GPU. Where the machine has no power meter,
    codecarbon takes the processor's typical power times its load, so compare runs of one machine. Country and carbon
    are left out: they say where a run was, not what it cost.
    """
    from codecarbon import OfflineEmissionsTracker

    for name in ("codecarbon", "apscheduler"):
        logging.getLogger(name).setLevel(logging.ERROR)
    _name_processor()
    tracker = OfflineEmissionsTracker(
        country_iso_code="DEU",  # one must be named; the energy does not depend on it
        output_methods=[],
        log_level="critical",
        tracking_mode="process",
        allow_multiple_runs=True,
        measure_power_secs=15,
        **_own_gpu(),
    )
    found: dict[str, float] = {}
    tracker.start()
    try:
        yield found
    finally:
        tracker.stop()
    found["energy_kwh"] = add_up(float(tracker.final_emissions_data.energy_consumed))
    found["gpus"] = world_size() * (pick_device().type == "cuda")


def _own_gpu() -> dict[str, str]:
    """Return what lets codecarbon measure the GPU of this process alone; all are seen by each process."""
    device, visible = pick_device(), os.environ.get("CUDA_VISIBLE_DEVICES")
    if device.type != "cuda":
        return {}
    return {"gpu_ids": visible.split(",")[device.index] if visible else str(device.index)}


def _name_processor(told: Path = Path("/proc/cpuinfo")) -> None:
    """Let codecarbon take the processor's name from Linux: it would also measure its clock, for 1 s."""
    from codecarbon.core import cpu

    if name := machine.processor(told):
        cpu.detect_cpu_model = lambda: name
