"""One process or many: the device of each, its precision, and what the processes of a run share."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch
from torch import nn


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
    device = pick_device()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield rank(), world_size()
    finally:
        torch.distributed.destroy_process_group()


def rank() -> int:
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0


def world_size() -> int:
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Return the mixed-precision context: "auto" is bfloat16 (else float16) on a GPU, float32 on the CPU."""
    if precision == "auto":
        half = "bfloat16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "float16"
        precision = half if device.type == "cuda" else "float32"
    dtype = getattr(torch, precision)
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)


def distributed(model: nn.Module, device: torch.device) -> nn.Module:
    """Return `model` so that its gradients are averaged over the processes; on GPUs BatchNorm sees the whole batch."""
    if world_size() == 1:
        return model
    if device.type == "cuda":
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    return nn.parallel.DistributedDataParallel(model, device_ids=[device.index] if device.type == "cuda" else None)


def share_buffers(model: nn.Module) -> None:
    """Give all processes the BatchNorm statistics of rank 0, whose weights are the ones that are kept."""
    if world_size() > 1:
        for buffer in model.buffers():
            torch.distributed.broadcast(buffer, 0)


def averaged(losses: torch.Tensor) -> torch.Tensor:
    """Return the mean over the processes, so that all of them see a bad loss, and stop, at the same step."""
    if world_size() == 1:
        return losses
    losses = losses.clone()
    torch.distributed.all_reduce(losses)
    return losses / world_size()


def barrier() -> None:
    """Wait for the other processes."""
    if world_size() > 1:
        torch.distributed.barrier()
