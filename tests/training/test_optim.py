from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tlkit.config import UnknownNameError
from tlkit.models import backbone, classifier
from tlkit.training.optim import LARS, OPTIMIZERS, build_optimizer, learning_rate, plateau_factor


def parameter(values, grad) -> nn.Parameter:
    p = nn.Parameter(torch.tensor(values, dtype=torch.float64))
    p.grad = torch.tensor(grad, dtype=torch.float64)
    return p


def test_lars_by_hand_clean():
    weight, bias = parameter([[3.0, 4.0]], [[0.0, 1.0]]), parameter([2.0], [0.5])
    optimizer = LARS([weight, bias], lr=2.0, momentum=0.9, weight_decay=0.5, trust=0.1)
    optimizer.step()
    # g = (0,1) + 0.5 (3,4) = (1.5,3); ratio = 0.1 * 5 / sqrt(11.25); the bias: 2 - 2 * 0.5
    ratio = 0.1 * 5 / math.sqrt(11.25)
    first = [2 * ratio * 1.5, 2 * ratio * 3]
    assert weight.tolist()[0] == pytest.approx([3 - first[0], 4 - first[1]])
    assert bias.tolist() == pytest.approx([1.0])
    weight.grad.zero_()
    bias.grad.zero_()
    now = weight.detach().clone()
    optimizer.param_groups[0]["lr"] = 1.0  # velocity keeps the learning rate it was made with
    optimizer.step()
    g = 0.5 * now
    second = 0.9 * torch.tensor([first], dtype=torch.float64) + 0.1 * now.norm() / g.norm() * g
    assert torch.allclose(weight, now - second)
    assert bias.tolist() == pytest.approx([1.0 - 0.9])


def test_lars_by_hand_published():  # jonske2025 1.1
    weight, bias = parameter([[3.0, 4.0]], [[0.0, 1.0]]), parameter([2.0], [0.5])
    zero = parameter([0.0], [0.7])
    LARS([weight, bias, zero], lr=2.0, weight_decay=0.5, trust=0.1, exclude=False).step()
    ratio = 0.1 * 5 / math.sqrt(11.25)
    assert weight.tolist()[0] == pytest.approx([3 - 2 * ratio * 1.5, 4 - 2 * ratio * 3])
    assert bias.tolist() == pytest.approx([2 - 2 * 0.1 * 2 / 1.5 * 1.5])
    assert zero.tolist() == [0.0]


@pytest.mark.parametrize("exclude", [True, False])
def test_lars_zero_norms_stay_finite(exclude):
    new, still = parameter([[0.0, 0.0]], [[1.0, 2.0]]), parameter([[1.0, 2.0]], [[0.0, 0.0]])
    LARS([new, still], lr=0.5, exclude=exclude).step()
    assert new.tolist() == [[-0.5, -1.0] if exclude else [0.0, 0.0]]
    assert still.tolist() == [[1.0, 2.0]]


def test_under_published_lars_batchnorm_biases_never_move():  # jonske2025 0.6
    model = classifier(backbone("resnet10", seed=0), 2, bias=False, seed=0)
    before = {k: p.detach().clone() for k, p in model.named_parameters()}
    optimizer = build_optimizer(model, "lars", lr=1.0, exclude=False)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.rand(4, 3, 32, 32)).square().sum().backward()
        optimizer.step()
    still = {k for k, p in model.named_parameters() if torch.equal(p, before[k])}
    assert still == {k for k in before if k.endswith("bias")}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_resuming_gives_the_same_bits(name, tmp_path):
    def step(model, optimizer, k):
        model(torch.full((3, 4), 0.1 * k + 0.1)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    model = nn.Linear(4, 2)
    optimizer = build_optimizer(model, name, lr=0.1, weight_decay=0.01)
    step(model, optimizer, 0)
    torch.save((model.state_dict(), optimizer.state_dict()), tmp_path / "c.pt")
    step(model, optimizer, 1)
    again = nn.Linear(4, 2)
    resumed = build_optimizer(again, name, lr=0.5)
    for target, state in zip((again, resumed), torch.load(tmp_path / "c.pt", weights_only=True), strict=True):
        target.load_state_dict(state)
    step(again, resumed, 1)
    assert torch.equal(model.weight, again.weight) and torch.equal(model.bias, again.bias)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("exclude", [True, False])
def test_decay_shrinks_what_it_should(name, exclude):
    model = nn.Linear(3, 3)
    nn.init.ones_(model.weight)
    nn.init.ones_(model.bias)
    optimizer = build_optimizer(model, name, lr=0.1, weight_decay=0.5, exclude=exclude)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    assert (model.weight < 1).all() and bool((model.bias < 1).all()) != exclude


def test_only_what_learns_is_optimised():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    groups = build_optimizer(model, "adamw", 1e-3).param_groups
    assert {id(p) for g in groups for p in g["params"]} == {id(p) for p in model[1].parameters()}
    with pytest.raises(ValueError, match="everything is frozen"):
        build_optimizer(model.requires_grad_(False), "sgd", 1e-3)
    with pytest.raises(UnknownNameError, match="adamw"):
        build_optimizer(nn.Linear(1, 1), "adamww", 1e-3)


def test_learning_rates_by_hand():
    assert [learning_rate(s, 4, 1.0, "constant") for s in range(4)] == [1.0] * 4
    assert [learning_rate(s, 4, 2.0) for s in (0, 2, 4, 9)] == pytest.approx([2.0, 1.0, 0.0, 0.0])
    assert [learning_rate(s, 6, 1.0, warmup=2) for s in range(4)] == pytest.approx(
        [0.5, 1.0, 1.0, 0.5 + math.sqrt(0.125)]
    )
    stairs = [learning_rate(s, 9, 5e-4, "exponential", steps_per_epoch=3, decay=0.97) for s in (0, 2, 3, 8)]
    assert stairs == pytest.approx([5e-4, 5e-4, 5e-4 * 0.97, 5e-4 * 0.97**2])
    with pytest.raises(UnknownNameError, match="cosine"):
        learning_rate(0, 1, 1.0, "cosin")


def test_cosine_epoch_is_torchs_scheduler_stepped_once_an_epoch():  # jonske2025 1.1
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=4.8)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
    for epoch in range(10):
        for step in range(3):
            ours = learning_rate(3 * epoch + step, 30, 4.8, "cosine_epoch", steps_per_epoch=3)
            assert ours == pytest.approx(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()


@given(
    steps=st.integers(1, 200),
    warmup=st.integers(0, 20),
    schedule=st.sampled_from(["constant", "cosine", "cosine_epoch", "exponential"]),
    per_epoch=st.integers(1, 10),
)
@settings(max_examples=40, deadline=None)
def test_rates_rise_to_the_peak_and_never_rise_again(steps, warmup, schedule, per_epoch):
    rates = [learning_rate(s, warmup + steps, 3.0, schedule, warmup, per_epoch) for s in range(warmup + steps)]
    assert all(0 < r <= 3.0 + 1e-12 for r in rates) and max(rates) == pytest.approx(3.0)
    assert rates[:warmup] == sorted(rates[:warmup]) and rates[warmup:] == sorted(rates[warmup:], reverse=True)


def test_adam_adds_the_decay_to_the_gradient_and_adamw_does_not():
    def step(name: str) -> float:
        weight = parameter([[2.0]], [[0.0]])
        build_optimizer([weight], name, lr=0.1, weight_decay=0.5).step()
        return weight.item()

    assert step("adam") == pytest.approx(2 - 0.1)  # gradient 1 from the decay alone, made 1 by Adam's scaling
    assert step("adamw") == pytest.approx(2 * (1 - 0.1 * 0.5))


def test_plateau_by_hand():
    assert plateau_factor([]) == 1.0
    assert plateau_factor([1, 2, 2, 2, 2]) == 1.0  # three epochs without gain are allowed
    assert plateau_factor([1, 2, 2, 2, 2, 2]) == pytest.approx(0.1)
    assert plateau_factor([5, *8 * [1]]) == pytest.approx(0.01)
    assert plateau_factor([1, 1, 1, 1, 2, 1, 1, 1]) == 1.0  # a gain starts the count anew


@given(st.lists(st.integers(-3, 3), max_size=30))
def test_plateau_is_torchs(values):
    optimizer = torch.optim.SGD([parameter([1.0], [0.0])], lr=1.0)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, mode="max", factor=0.1, patience=3, threshold=0, threshold_mode="abs"
    )
    for value in values:
        schedule.step(float(value))
    assert plateau_factor(values) == pytest.approx(optimizer.param_groups[0]["lr"])
