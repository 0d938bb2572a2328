"""What a notebook shows on the way: images as the network sees them, and how training went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tlkit.names import NAMES
from tlkit.report.style import PAPER_WIDTH, colours, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def image_grid(images: Sequence, titles: Sequence[str] = (), masks: Sequence | None = None, columns: int = 8) -> Figure:
    """Draw images ([3,H,W], or uint8/int16 as stored) in rows of `columns`, with their titles.

    Colours are values in [0,1]; where normalised ones lie outside, those of all images are brought into it together.
    `masks` ([H,W], 0 = background) of the first images are drawn as outlines: class 1 blue, class 2 orange.
    """
    import matplotlib.pyplot as plt

    rows = int(np.ceil(len(images) / columns))
    shown = [np.asarray(image) for image in images]
    seen = [image for image in shown if image.dtype.kind == "f"]
    low, high = min([0, *(i.min() for i in seen)]), max([1, *(i.max() for i in seen)])
    with style():
        size = PAPER_WIDTH / columns
        fig, axes = plt.subplots(
            rows, columns, figsize=(PAPER_WIDTH, rows * (size + 0.16)), squeeze=False, layout="constrained"
        )
        for ax in axes.ravel():
            ax.set_axis_off()
        for i, (ax, image) in enumerate(zip(axes.ravel(), shown, strict=False)):
            if image.dtype.kind == "f":
                image = (image.transpose(1, 2, 0) - low) / (high - low)
            ax.imshow(image, cmap="gray", interpolation="nearest")
            if masks is not None and i < len(masks):
                for label, colour in ((1, "#56b4e9"), (2, "#e69f00")):
                    if (np.asarray(masks[i]) == label).any():
                        ax.contour(np.asarray(masks[i]) == label, [0.5], colors=colour, linewidths=0.8)
            if i < len(titles):
                ax.set_title(titles[i], size=6, pad=2)
        plt.close(fig)  # a notebook would show it a second time at the end of the cell
    return fig


def curves(histories: Mapping[str, pd.DataFrame], values: Sequence[str] = ("loss",), title: str = "") -> Figure:
    """Draw training values by epoch: one panel per value, one line per run (`histories`: its label -> its epochs).

    A value that a run lacks is left out of its panel.
    """
    import matplotlib.pyplot as plt

    palette = colours(histories)
    with style():
        size = (PAPER_WIDTH * min(1, 0.4 * len(values)), 2.2)
        fig, axes = plt.subplots(1, len(values), figsize=size, squeeze=False, layout="constrained")
        for ax, value in zip(axes[0], values, strict=True):
            for label, history in histories.items():
                if value in history:
                    look = {"color": palette[label], "label": label}
                    ax.plot(history["epoch"] + 1, history[value], marker="o", ms=2.5, **look)
            ax.set_xlabel("epoch")
            ax.xaxis.get_major_locator().set_params(integer=True)
            ax.set_ylabel(NAMES.get(value, value))
        axes[0][-1].legend(frameon=False)
        fig.suptitle(title)
        plt.close(fig)
    return fig
