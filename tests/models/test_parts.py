from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tlkit.models.parts import batch_norms, eval_mode, fit, initial_weights


def test_a_seed_decides_the_weights_and_touches_nothing_else():
    def made(seed: int | None) -> torch.Tensor:
        with initial_weights(seed):
            return nn.Linear(4, 4).weight.detach()

    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    assert torch.equal(made(1), made(1)) and not torch.equal(made(1), made(2))
    assert torch.equal(torch.rand(3), expected)
    assert not torch.equal(made(None), made(None))  # without a seed the global generator goes on


def test_each_part_gets_its_own_mode_back():
    net = nn.Sequential(nn.BatchNorm1d(2), nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2)))
    net[1].eval()
    with pytest.raises(KeyError), eval_mode(net):
        assert not any(m.training for m in net.modules())
        raise KeyError
    assert [m.training for m in net.modules()] == [True, True, False, False, False]
    assert batch_norms(net) == [net[0], net[1][1]]


@settings(max_examples=30, deadline=None)
@given(st.tuples(*[st.integers(1, 9)] * 4))
def test_a_map_is_cut_or_its_edge_goes_on(sizes):
    h, w, height, width = sizes
    x = torch.arange(h * w, dtype=torch.float32).view(1, 1, h, w)
    found = fit(x, torch.empty(1, 3, height, width))
    rows, columns = (torch.arange(n).clamp(max=m - 1) for n, m in ((height, h), (width, w)))
    assert torch.equal(found, x[..., rows[:, None], columns])
