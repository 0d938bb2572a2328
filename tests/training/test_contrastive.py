from __future__ import annotations

import math
from itertools import product

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit.training.contrastive import ProjectionHead, nt_xent, nt_xent_range


def views(n: int, d: int = 6, seed: int = 0, dtype=torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    z = torch.randn(2, n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return z[0].clone().requires_grad_(), z[1].clone().requires_grad_()


def written_out(z1: torch.Tensor, z2: torch.Tensor, temperature: float) -> torch.Tensor:
    """NT-Xent as the paper writes it, term by term."""
    z, n = torch.cat([z1, z2]), len(z1)

    def similarity(i: int, j: int) -> torch.Tensor:
        return (z[i] @ z[j]) / (z[i].norm() * z[j].norm()) / temperature

    terms = []
    for i in range(2 * n):
        others = sum(similarity(i, k).exp() for k in range(2 * n) if k != i)
        terms.append(-(similarity(i, (i + n) % (2 * n)).exp() / others).log())
    return sum(terms) / (2 * n)


@given(n=st.integers(1, 5), seed=st.integers(0, 99), temperature=st.sampled_from([0.1, 0.5, 1.0]))
@settings(max_examples=15, deadline=None)
def test_value_and_gradient_are_the_papers(n, seed, temperature):
    ours, reference = views(n, seed=seed), views(n, seed=seed)
    loss, expected = nt_xent(*ours, temperature), written_out(*reference, temperature)
    loss.backward()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-12)
    assert all(torch.allclose(a.grad, b.grad, atol=1e-12) for a, b in zip(ours, reference, strict=True))


@given(groups=st.integers(1, 3), size=st.integers(2, 4), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_groups_are_the_mean_of_separate_losses(groups, size, seed):  # jonske2025 1.1
    z1, z2 = views(groups * size, seed=seed)
    parts = [nt_xent(a, b) for a, b in zip(z1.split(size), z2.split(size), strict=True)]
    assert nt_xent(z1, z2, group=size).item() == pytest.approx(torch.stack(parts).mean().item())


def test_start_and_floor():
    start, floor = nt_xent_range(512)
    assert (start, floor) == pytest.approx((math.log(1023), 4.937), abs=5e-4)  # jonske2025 1.1
    same = torch.ones(8, 3)
    assert nt_xent(same, same).item() == pytest.approx(nt_xent_range(8)[0], rel=1e-6)
    apart = torch.eye(8)
    assert nt_xent(apart, apart).item() == pytest.approx(nt_xent_range(8)[1], rel=1e-6)


def test_scale_and_order_of_the_views_do_not_matter():
    z1, z2 = views(4)
    assert nt_xent(5 * z1, z2).item() == pytest.approx(nt_xent(z1, z2).item())
    assert nt_xent(z2, z1).item() == pytest.approx(nt_xent(z1, z2).item())


def test_half_precision_and_autocast_are_safe():
    z1, z2 = (z.detach().float() for z in views(6))
    exact = nt_xent(z1, z2)
    with torch.autocast("cpu", torch.bfloat16):
        inside = nt_xent(z1, z2)
    assert inside.dtype == torch.float32 and torch.equal(inside, exact)
    half = nt_xent(z1.bfloat16() * 1e4, z2.bfloat16() * 1e4)
    assert half.dtype == torch.float32 and half.item() == pytest.approx(exact.item(), abs=0.01)


def test_shapes_that_do_not_fit():
    z1, z2 = views(6)
    with pytest.raises(ValueError, match="one shape"):
        nt_xent(z1, z2[:5])
    with pytest.raises(ValueError, match="groups of 4"):
        nt_xent(z1, z2, group=4)


def test_heads():
    clean, published = ProjectionHead(8, 8, 4), ProjectionHead(8, 8, 4, published=True)
    assert [type(m).__name__ for m in clean] == ["Linear", "BatchNorm1d", "ReLU", "Linear"]
    assert [type(m).__name__ for m in published] == ["Linear", "ReLU", "Linear", "Sigmoid", "Linear"]
    assert all(p.ndim == 2 for p in published.parameters())  # no bias anywhere
    assert clean(torch.rand(3, 8)).shape == published(torch.rand(3, 8)).shape == (3, 4)


def _rank(rank: int, folder: str) -> None:
    """Compute this rank's half of the batch with shared weights, and average gradients as DDP does."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    for group in (0, 2):
        weight = torch.load(f"{folder}/weight.pt", weights_only=True).requires_grad_()
        z1, z2 = (z.detach().chunk(2)[rank] for z in views(4))
        loss = nt_xent(z1 @ weight, z2 @ weight, group=group)
        loss.backward()
        dist.all_reduce(weight.grad)
        torch.save((loss.detach(), weight.grad / 2), f"{folder}/{group}-{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_give_the_gradient_of_one(tmp_path):
    start = torch.randn(6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.save(start, tmp_path / "weight.pt")
    mp.spawn(_rank, (str(tmp_path),), nprocs=2)
    z1, z2 = (z.detach() for z in views(4))
    for group, rank in product((0, 2), (0, 1)):
        weight = start.clone().requires_grad_()
        loss = nt_xent(z1 @ weight, z2 @ weight, group=group)
        loss.backward()
        found, gradient = torch.load(tmp_path / f"{group}-{rank}.pt", weights_only=True)
        assert torch.allclose(found, loss) and torch.allclose(gradient, weight.grad)


@given(n=st.integers(2, 8), seed=st.integers(0, 99), temperature=st.sampled_from([0.1, 0.5]))
@settings(max_examples=15, deadline=None)
def test_value_and_gradient_are_those_of_pytorch_metric_learning(n, seed, temperature):
    from pytorch_metric_learning.losses import NTXentLoss

    ours, theirs = views(n, seed=seed), views(n, seed=seed)
    loss = nt_xent(*ours, temperature)
    other = NTXentLoss(temperature=temperature)(torch.cat(theirs), torch.arange(n).repeat(2))
    loss.backward()
    other.backward()
    assert loss.item() == pytest.approx(other.item(), abs=1e-9)
    assert all(torch.allclose(a.grad, b.grad, atol=1e-9) for a, b in zip(ours, theirs, strict=True))
