"""One process or many: the device of each, its precision, and what the processes of a run share."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch
from torch import nn

from tlkit.config import ConfigError
from tlkit.models import batch_norms
from tlkit.training.compute import check_devices


def pick_device() -> torch.device:
    """Return the accelerator of this process, or the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return torch.device("cpu")


@contextlib.contextmanager
def process_group() -> Iterator[tuple[int, int]]:
    """Join the processes that torchrun started, if any; yield (rank, world size)."""
    world = int(os.environ.get("WORLD_SIZE", 1))
    if world == 1 or torch.distributed.is_initialized():
        yield rank(), world_size()
        return
    check_devices(int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
    device = pick_device()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield rank(), world_size()
    finally:
        torch.distributed.destroy_process_group()


def rank() -> int:
    """Return the number of this process among those of its run, 0 where it is alone."""
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0


def world_size() -> int:
    """Return how many processes do this run."""
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Return the context of a recipe's precision; raise ConfigError where the device does not compute in it."""
    slow = precision == "bfloat16" and device.type == "cuda"
    if slow and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ConfigError(
            f"recipe.precision is bfloat16, which {torch.cuda.get_device_name(device)} does not compute in. Set "
            "float16 or float32 in the study's recipe (such runs get ids of their own)."
        )
    dtype = getattr(torch, precision)
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)


def distribute(model: nn.Module, device: torch.device, sync_batchnorm: bool) -> nn.Module:
    """Return `model` so that its gradients are averaged over the processes.

    `sync_batchnorm`: BatchNorm sees the whole batch instead of each process's part, which only GPUs can.
    Raises: ConfigError on the CPU.
    """
    if world_size() == 1:
        return model
    if sync_batchnorm and batch_norms(model):
        if device.type != "cuda":
            raise ConfigError(
                "recipe.sync_batchnorm is true, but torch shares BatchNorm statistics between GPUs only. Set it to "
                "false in the recipe (each process then has those of its part of the batch), or `gpus: 1` in the study."
            )
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    return nn.parallel.DistributedDataParallel(model, device_ids=[device.index] if device.type == "cuda" else None)


def take_from_first(values: list[int]) -> list[int]:
    """Return the values that the first process (rank 0) has; all must ask for as many at the same point."""
    if world_size() == 1:
        return values
    box = torch.tensor(values, dtype=torch.int64, device=pick_device())
    torch.distributed.broadcast(box, 0)
    return box.tolist()


def share_buffers(model: nn.Module) -> None:
    """Give all processes the BatchNorm statistics of rank 0, whose weights are the ones that are kept."""
    if world_size() > 1:
        for buffer in model.buffers():
            torch.distributed.broadcast(buffer, 0)


def average(losses: torch.Tensor) -> torch.Tensor:
    """Return the mean over the processes, so that all of them see a bad loss, and stop, at the same step."""
    if world_size() == 1:
        return losses
    losses = losses.clone()
    torch.distributed.all_reduce(losses)
    return losses / world_size()


def add_up(value: float) -> float:
    """Return the sum of what each process has; all must ask for it at the same point."""
    box = torch.tensor(value, dtype=torch.float64, device=pick_device())
    if world_size() > 1:
        torch.distributed.all_reduce(box)
    return float(box)


def barrier() -> None:
    """Wait for the other processes."""
    if world_size() > 1:
        torch.distributed.barrier()
