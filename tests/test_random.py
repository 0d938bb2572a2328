import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tlkit.random import MULTIPLIERS, _mix, keyed_uniform

INT64 = st.integers(-(2**63), 2**63 - 1)


def splitmix64(z: int) -> int:
    """The finaliser in Python's whole numbers, from the published algorithm."""
    a, b = (m % 2**64 for m in MULTIPLIERS)
    z = ((z ^ (z >> 30)) * a) % 2**64
    z = ((z ^ (z >> 27)) * b) % 2**64
    return z ^ (z >> 31)


def test_known_sequence():
    # the first outputs of splitmix64 with seed 1234567 (Vigna's reference implementation)
    counter = 1234567 + torch.arange(1, 4) * (0x9E3779B97F4A7C15 - 2**64)
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [z % 2**64 for z in _mix(counter).tolist()] == expected


@given(INT64)
def test_mix_is_splitmix64(z):
    assert _mix(torch.tensor(z)).item() % 2**64 == splitmix64(z % 2**64)


def test_range_type_and_shape():
    u = keyed_uniform(0, 0, torch.arange(1000), 7)
    assert u.shape == (1000, 7) and u.dtype == torch.float32
    assert u.min() >= 0 and u.max() < 1


@pytest.mark.parametrize("seed", [0, 1, -5])
def test_uniform_in_every_column(seed):
    u = keyed_uniform(seed, 3, torch.arange(5000), 8).numpy()
    assert min(stats.kstest(column, "uniform").pvalue for column in u.T) > 1e-4


def test_columns_streams_seeds_epochs_and_neighbours_are_independent():
    index = torch.arange(5000)
    keys = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)]
    u = torch.cat([keyed_uniform(s, e, index, 3, stream=t) for s, e, t in keys], dim=1).numpy()
    u = np.concatenate([u[:-1], u[1:]], axis=1)  # a sample beside the next one
    correlation = np.corrcoef(u.T) - np.eye(u.shape[1])
    assert np.abs(correlation).max() < 5 / np.sqrt(len(u))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=20), st.integers(0, 99), st.integers(0, 99))
def test_a_draw_depends_on_its_key_alone(index, seed, epoch):
    together = keyed_uniform(seed, epoch, torch.tensor(index), 5)
    alone = torch.cat([keyed_uniform(seed, epoch, torch.tensor([i]), 5) for i in index])
    assert torch.equal(together, alone)
    assert torch.equal(together[:, :2], keyed_uniform(seed, epoch, torch.tensor(index, dtype=torch.int32), 2))


def test_pinned_values():
    # a change here changes every run that was made before
    u = keyed_uniform(42, 1, torch.tensor([0, 7]), 2, stream=1)
    assert (u * 2**24).long().tolist() == [[5717196, 2830310], [9790569, 14224501]]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: run the tests on a machine with CUDA")
def test_same_bits_on_the_gpu():
    index = torch.arange(1000)
    assert torch.equal(keyed_uniform(1, 2, index, 9), keyed_uniform(1, 2, index, 9, device="cuda").cpu())


def test_refuses_floats_and_wrong_shapes():
    with pytest.raises(ValueError, match="whole numbers"):
        keyed_uniform(0, 0, torch.rand(3), 2)
    with pytest.raises(ValueError, match=r"\[2, 2\]"):
        keyed_uniform(0, 0, torch.zeros(2, 2, dtype=torch.int64), 2)
