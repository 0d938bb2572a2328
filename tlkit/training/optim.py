"""Optimisers and learning rates."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tlkit.config import ConfigError, lookup


class LARS(torch.optim.Optimizer):
    """SGD with momentum, each tensor's gradient scaled to `trust` times the weight's norm (You et al. 2017).

    g = grad + weight_decay w;  v = momentum v + lr trust |w|/|g| g;  w = w - v.
    exclude=True (clean, as in SimCLR): one-dimensional tensors (BatchNorm, biases) get plain momentum without
    decay, and a zero norm means ratio 1. exclude=False (published, jonske2025 1.1): every tensor is scaled
    and decayed, and a zero norm means no step, so biases that start at 0 never move.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust: float = 0.001,
        exclude: bool = True,
    ):
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "trust": trust,
            "exclude": exclude,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """Take one step, after calling `closure`, where given, for the loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            plain = [p for p in params if group["exclude"] and p.ndim <= 1]
            scaled = [p for p in params if not group["exclude"] or p.ndim > 1]
            if plain:
                self._move(plain, [p.grad for p in plain], group)
            if scaled:
                grads = torch._foreach_add([p.grad for p in scaled], scaled, alpha=group["weight_decay"])
                torch._foreach_mul_(grads, self._ratios(scaled, grads, group))
                self._move(scaled, grads, group)
        return loss

    @staticmethod
    def _ratios(params: list[Tensor], grads: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
        w = torch.stack(torch._foreach_norm(params))
        g = torch.stack(torch._foreach_norm(grads))
        ratio = torch.where((w > 0) & (g > 0), group["trust"] * w / g, float(group["exclude"]))
        return list(ratio.unbind())

    def _move(self, params: list[Tensor], grads: list[Tensor], group: dict[str, Any]) -> None:
        for p in params:
            if "momentum" not in self.state[p]:
                self.state[p]["momentum"] = torch.zeros_like(p)
        velocity = [self.state[p]["momentum"] for p in params]
        torch._foreach_mul_(velocity, group["momentum"])
        torch._foreach_add_(velocity, grads, alpha=group["lr"])
        torch._foreach_sub_(params, velocity)


def _adamw(params: list[nn.Parameter], lr: float, weight_decay: float, momentum: float, exclude: bool):
    groups = _groups(params, weight_decay, exclude)
    return torch.optim.AdamW(groups, lr=lr, betas=(momentum, 0.999), fused=_fusible(params))


def _adam(params: list[nn.Parameter], lr: float, weight_decay: float, momentum: float, exclude: bool):
    groups = _groups(params, weight_decay, exclude)  # the decay is added to the gradient: L2, not AdamW's
    return torch.optim.Adam(groups, lr=lr, betas=(momentum, 0.999), fused=_fusible(params))


def _sgd(params: list[nn.Parameter], lr: float, weight_decay: float, momentum: float, exclude: bool):
    groups = _groups(params, weight_decay, exclude)
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, fused=_fusible(params))


def _lars(params: list[nn.Parameter], lr: float, weight_decay: float, momentum: float, exclude: bool):
    return LARS(params, lr=lr, momentum=momentum, weight_decay=weight_decay, exclude=exclude)


OPTIMIZERS = {"adamw": _adamw, "adam": _adam, "sgd": _sgd, "lars": _lars}


def build_optimizer(
    model: nn.Module | Iterable[nn.Parameter],
    name: str,
    lr: float,
    weight_decay: float = 0.0,
    momentum: float = 0.9,
    exclude: bool = True,
) -> torch.optim.Optimizer:
    """Return the optimiser `name` ("adamw", "adam", "sgd", "lars") over the parameters that learn.

    `momentum` is AdamW's beta 1. exclude=True: no weight decay, and under LARS no scaling, on one-dimensional
    parameters; False decays all (published). Raises ConfigError where nothing is left to learn.
    """
    params = [p for p in (model.parameters() if isinstance(model, nn.Module) else model) if p.requires_grad]
    if not params:
        raise ConfigError("no parameter requires a gradient: everything is frozen, so there is nothing to train.")
    return lookup(name, OPTIMIZERS, "optimizer")(params, lr, weight_decay, momentum, exclude)


def _groups(params: list[nn.Parameter], weight_decay: float, exclude: bool) -> list[dict[str, Any]]:
    decayed = [p for p in params if p.ndim > 1 or not exclude]
    plain = [p for p in params if p.ndim <= 1 and exclude]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return [g for g in groups if g["params"]]


def _fusible(params: list[nn.Parameter]) -> bool:
    return all(p.device.type in ("cpu", "cuda", "mps") and p.is_floating_point() for p in params)


def _cosine(step: int, steps: int, per_epoch: int, decay: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * min(step, steps) / max(1, steps)))


def _cosine_epoch(step: int, steps: int, per_epoch: int, decay: float) -> float:
    return _cosine(step // per_epoch * per_epoch, steps, per_epoch, decay)


SCHEDULES = {
    "constant": lambda step, steps, per_epoch, decay: 1.0,
    "cosine": _cosine,
    "cosine_epoch": _cosine_epoch,
    "exponential": lambda step, steps, per_epoch, decay: decay ** (step // per_epoch),
    "plateau": lambda step, steps, per_epoch, decay: 1.0,  # the loop lowers the peak: see plateau_factor
}
PLATEAU, PLATEAU_FACTOR = 3, 0.1  # epochs without a better value, and what the rate is then multiplied by


def plateau_factor(values: Sequence[float]) -> float:
    """Return what the "plateau" schedule has made of the rate after these validation values (higher is better).

    Times 0.1 whenever more than three epochs brought no better value (radiologynet2025 2.0), replayed from the history
    so that there is nothing to resume.
    """
    factor, best, bad = 1.0, -math.inf, 0
    for value in values:
        best, bad = (value, 0) if value > best else (best, bad + 1)
        if bad > PLATEAU:
            factor, bad = factor * PLATEAU_FACTOR, 0
    return factor


def learning_rate(
    step: int,
    steps: int,
    peak: float,
    schedule: str = "cosine",
    warmup: int = 0,
    steps_per_epoch: int = 1,
    decay: float = 0.97,
) -> float:
    """Return the learning rate of step `step` (from 0) of `steps`; a pure function, so nothing to resume.

    Linear over `warmup` steps up to `peak`, then "constant", "cosine" (to 0 at `steps`), "cosine_epoch"
    (cosine in stairs of one epoch; published pretraining, jonske2025 1.1), "exponential" (times `decay`
    an epoch; published fine-tuning, jonske2025 2.1) or "plateau" (constant; the caller lowers `peak` by
    `plateau_factor`).
    """
    shape = lookup(schedule, SCHEDULES, "schedule")
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * shape(step - warmup, steps - warmup, steps_per_epoch, decay)
