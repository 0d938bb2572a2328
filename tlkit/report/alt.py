"""What stands for a figure where it can't be seen: an alternative text, beside every picture that a notebook shows."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST = 1000  # characters: screen readers read it at one go
SAVED: WeakKeyDictionary[Figure, Path] = WeakKeyDictionary()  # its PNG in the paper, which `show` need not draw again


def describe(fig: Figure, caption: str = "") -> str:
    """Return the alternative text of a figure: its caption, its panels with what their axes measure, its legends."""
    panels = [text for ax in fig.axes if (text := _panel(ax))]
    legends = [*fig.legends, *(found for ax in fig.axes if (found := ax.get_legend()))]
    marks = dict.fromkeys(text.get_text() for legend in legends for text in legend.get_texts())
    parts = [caption, f"Panels: {'; '.join(dict.fromkeys(panels))}." if panels else ""]
    parts.append(f"Legend: {', '.join(marks)}." if marks else "")
    said = " ".join(" ".join(parts).split()) or fig.get_suptitle() or "Figure without a caption."
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 1]}…"


def _panel(ax) -> str:
    title = next(filter(None, (ax.get_title(loc) for loc in ("center", "left", "right"))), "")
    measured = " over ".join(filter(None, [ax.get_ylabel(), ax.get_xlabel()]))
    return f"{title} ({measured})" if title and measured else title or measured


def show(fig: Figure, caption: str = "") -> None:
    """Show a figure in a notebook with its caption below it and its alternative text (`describe`).

    One that is saved is shown as it was when it was saved.
    """
    from IPython.display import display
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    file, saved = io.BytesIO(), SAVED.get(fig)
    if saved and saved.is_file():
        picture = Image.open(saved).convert("RGB").reduce(2)  # of print to that of a screen
    else:
        canvas = FigureCanvasAgg(fig)
        canvas.draw()  # once: `savefig` draws twice what has a layout
        picture = Image.frombytes("RGBA", canvas.get_width_height(), canvas.buffer_rgba()).convert("RGB")
    picture.quantize(256).save(file, format="png")  # notebooks stay small
    alt, data = describe(fig, caption), base64.b64encode(file.getvalue()).decode()
    below = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    seen = f'<img alt="{html.escape(alt)}" style="max-width: 100%" src="data:image/png;base64,{data}">'
    # JupyterLab reads the alternative text of HTML alone
    display({"text/html": f"<figure>{seen}{below}</figure>", "text/plain": alt}, raw=True)
