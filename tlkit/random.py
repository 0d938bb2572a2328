"""Keyed random numbers: a draw depends on what it is for, never on when or where it is made."""

from __future__ import annotations

import torch

GOLDEN = 0x9E3779B97F4A7C15 - 2**64  # splitmix64's constants as signed 64-bit integers
MULTIPLIERS = (0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)


def _shift(z: torch.Tensor, bits: int) -> torch.Tensor:
    return (z >> bits) & ((1 << (64 - bits)) - 1)  # torch's >> keeps the sign; splitmix64 wants zeros


def _mix(z: torch.Tensor) -> torch.Tensor:
    """Apply the finaliser of splitmix64 (Steele, Lea and Flood 2014); int64 products wrap as they should."""
    z = (z ^ _shift(z, 30)) * MULTIPLIERS[0]
    z = (z ^ _shift(z, 27)) * MULTIPLIERS[1]
    return z ^ _shift(z, 31)


def keyed_uniform(
    seed: int,
    epoch: int,
    index: torch.Tensor,
    n: int,
    stream: int = 0,
    device: torch.device | str | None = None,
) -> torch.Tensor:
    """Return float32 draws in [0, 1), shape [B, n], for the sample indices `index` ([B], whole numbers).

    A draw is a hash of (seed, epoch, stream, index, column): the same bits on every device, in every batch
    and process. It keeps no state. `device` is where the draws are made (default: where `index` lies).
    Source: splitmix64 as a counter-based generator; the upper 24 of 64 bits become the float.
    """
    index = torch.as_tensor(index)
    if index.ndim != 1 or index.dtype.is_floating_point:
        raise ValueError(f"index: expected whole numbers [B], found {index.dtype} {list(index.shape)}")
    key = torch.tensor(GOLDEN)
    for part in (seed, epoch, stream):
        key = _mix(key ^ part) + GOLDEN
    index = index.to(device or index.device, torch.int64)
    state = _mix(_mix(index + GOLDEN) ^ key.item())
    counter = torch.arange(1, n + 1, device=index.device) * GOLDEN
    bits = _mix(state[:, None] + counter)
    return _shift(bits, 40).to(torch.float32) * 2.0**-24


def random_state(device: torch.device) -> torch.Tensor:
    """Return the state of torch's generator on a device, uint8 on the CPU."""
    return torch.get_rng_state() if device.type == "cpu" else torch.cuda.get_rng_state(device)


def set_random_state(device: torch.device, state: torch.Tensor) -> None:
    """Put torch's generator on a device back into a state."""
    if device.type == "cpu":
        torch.set_rng_state(state)
    else:
        torch.cuda.set_rng_state(state, device)
