"""SimCLR's loss and projection head."""

from __future__ import annotations

import math

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn


def nt_xent(z1: Tensor, z2: Tensor, temperature: float = 0.5, group: int = 0) -> Tensor:
    """Return SimCLR's loss of two views [N,D], the mean over all 2N (NT-Xent, Chen et al. 2020).

    Rows i of z1 and z2 are the positive pair, the other 2N-2 views the negatives. group > 0: negatives only
    among `group` consecutive pairs (512: the published loss of one GPU, jonske2025 1.1). Under
    torch.distributed the N pairs are those of all ranks, equally many on each, and gradients flow through the
    gathering so that DDP's mean is the gradient of the one global loss. Float32 or wider under any autocast.
    """
    logits, target = contrastive_logits(z1, z2, temperature, group)
    return F.cross_entropy(logits, target)


def contrastive_logits(z1: Tensor, z2: Tensor, temperature: float, group: int = 0) -> tuple[Tensor, Tensor]:
    """Return cosine similarity / temperature [2N, 2 group], -inf to itself, and each row's positive."""
    if z1.shape != z2.shape or z1.ndim != 2:
        raise ValueError(f"expected two views of one shape [N,D], found {list(z1.shape)} and {list(z2.shape)}")
    with torch.autocast(z1.device.type, enabled=False):
        views = torch.stack([_gather(z1), _gather(z2)])
        views = F.normalize(views if views.dtype == torch.float64 else views.float(), dim=-1)
        n, size = views.shape[1], group or views.shape[1]
        if n % size:
            raise ValueError(f"{n} pairs do not divide into groups of {size}")
        z = views.unflatten(1, (-1, size)).transpose(0, 1).flatten(1, 2)  # [groups, 2 size, D]
        logits = z @ z.transpose(1, 2) / temperature
    itself = torch.eye(2 * size, dtype=torch.bool, device=z.device)
    logits = logits.masked_fill(itself, -math.inf).flatten(0, 1)
    positive = torch.arange(2 * size, device=z.device).roll(size)
    return logits, positive.repeat(n // size)


def _gather(z: Tensor) -> Tensor:
    """Return the rows of all ranks, in rank order."""
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return z
    world, z = dist.get_world_size(), z.contiguous()
    rows = [torch.empty_like(z) for _ in range(world)]
    dist.all_gather(rows, z.detach())
    # Every rank computes the whole loss, so the gradient of its own rows is complete without a second
    # exchange; times `world`, because DDP will divide by it.
    rows[dist.get_rank()] = z + (world - 1) * (z - z.detach())
    return torch.cat(rows)


def nt_xent_range(n: int, temperature: float = 0.5) -> tuple[float, float]:
    """Return the loss of n pairs with all similarities equal, and with positives at 1 and negatives at 0.

    The first is where training starts, ln(2n-1); near the second the task is used up (jonske2025 1.1).
    """
    return math.log(2 * n - 1), math.log1p((2 * n - 2) * math.exp(-1 / temperature))


class ProjectionHead(nn.Sequential):
    """Features [B,inputs] -> embeddings [B,outputs]; used in pretraining only.

    Clean: Linear, BatchNorm, ReLU, Linear (Chen 2020). published=True: three linear layers without bias, with
    ReLU after the first and a sigmoid after the second (jonske2025 1.1).
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, published: bool = False):
        if published:
            first, second = nn.Linear(inputs, hidden, bias=False), nn.Linear(hidden, hidden, bias=False)
            layers = [
                first,
                nn.ReLU(inplace=True),
                second,
                nn.Sigmoid(),
                nn.Linear(hidden, outputs, bias=False),
            ]
        else:
            first = nn.Linear(inputs, hidden, bias=False)  # BatchNorm has the bias
            layers = [first, nn.BatchNorm1d(hidden), nn.ReLU(inplace=True), nn.Linear(hidden, outputs)]
        super().__init__(*layers)
