"""What an encoder says of images: the features that lessons compare, cluster and probe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import nn

    from tlkit.datasets.store import Store
    from tlkit.training.recipe import Recipe

CHUNK = 64  # images in the network at once


def encode(encoder: nn.Module, store: Store, rows: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Return the pooled features float32 [N,D] of rows of a store, as the encoder sees them in evaluation.

    The encoder is left in evaluation mode.
    """
    import torch

    from tlkit.training.supervised import plain_view

    encoder.eval()
    with torch.no_grad():
        parts = [
            encoder(plain_view(store.take(rows[i : i + CHUNK])[0], recipe)).numpy() for i in range(0, len(rows), CHUNK)
        ]
    return np.concatenate(parts)
