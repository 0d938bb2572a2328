"""No figure of ours changes what a reader has set: checked around every test of this folder."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def the_readers_matplotlib():
    """Raise AssertionError where a test leaves other rcParams, another backend, or a figure open."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    plt.switch_backend("agg")
    plt.ion()
    before = dict(mpl.rcParams)
    yield
    after = dict(mpl.rcParams)
    left = plt.get_fignums()
    plt.close("all")
    plt.ioff()
    assert {k for k in after if after[k] != before[k]} <= {"backend_fallback"}  # that tests themselves choose "agg"
    assert not left, "a figure that is left open is shown twice"
