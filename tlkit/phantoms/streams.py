"""The random streams of all phantoms."""

from __future__ import annotations

import numpy as np

PHANTOM_VERSION = 2  # a part of every stream and of the identity of phantom data


def stream(seed: int, kind: str, index: int) -> np.random.Generator:
    """Return the generator of the `index`-th thing of a kind: the same for the same seed and PHANTOM_VERSION."""
    return np.random.default_rng([seed, PHANTOM_VERSION, *kind.encode(), index])
