"""The figures of an answer, as data URIs with a text for those who cannot see them."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tlkit.advice.prose import interval, metric, number, title
from tlkit.names import COLOURS, GREY, sign
from tlkit.report.style import MM, STYLE, mark_phantom

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Answer = Mapping[str, Any]
LEADER, OTHER = "#0072b2", "#595959"
APART = 1.02  # factor between the places of two arms on an axis of images
LEAST = 0.2  # of a metric between 0 and 1
LONGEST = 40  # letters of a name beside an axis
LOOK = STYLE | {
    "font.size": 8,
    "axes.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.labelsize": 7,
    "text.parse_math": False,
}


def arms(answer: Answer) -> tuple[str, str] | None:
    """Return (data URI, alt text) of the arms' fine-tuned means, intervals and probes; None without either."""
    rows = [a for a in answer["arms"] if a["value"] is not None or a["probe"] is not None]
    if not rows:
        return None
    fig, ax = _axes(16 + 7 * len(rows))
    for y, arm in enumerate(rows):
        colour = LEADER if arm["arm"] == answer["start_from"] else OTHER
        if arm["low"] is not None:
            ax.plot([arm["low"], arm["high"]], [y, y], color=colour, lw=1.6, solid_capstyle="butt")
        if arm["value"] is not None:
            ax.plot(arm["value"], y, "o", color=colour, ms=5, label="fine-tuned, 95 % interval")
        if arm["probe"] is not None:
            ax.plot(arm["probe"], y, "D", mfc="white", mec=colour, ms=4, label="linear probe, frozen")
    ax.set_yticks(range(len(rows)), [_short(title(answer, a["arm"])) for a in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlabel(metric(answer))
    _widen(ax.xaxis, answer)
    ax.grid(axis="x", lw=0.4, color="0.9")
    ax.set_axisbelow(True)
    handles = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    look = {"frameon": False, "fontsize": 8, "loc": "outside upper left", "ncols": 2}  # right: phantom
    fig.legend(handles.values(), handles.keys(), **look)
    told = [f"{title(answer, a['arm'])}: {_said(a)}" for a in rows]
    return _uri(fig, answer), f"{metric(answer)} of each arm. {'; '.join(told)}."


def curve(answer: Answer) -> tuple[str, str] | None:
    """Return (data URI, alt text) of the learning curve; None where there is none."""
    rows = [row for row in answer.get("curve") or () if row.get("value") is not None]
    if not rows:
        return None
    fig, ax = _axes(62)
    told, arms = [], list(dict.fromkeys(row["arm"] for row in rows))
    for i, arm in enumerate(arms):
        part = sorted((row for row in rows if row["arm"] == arm), key=lambda row: row["images"])
        colour = LEADER if arm == answer["start_from"] else [GREY, *COLOURS][i % (len(COLOURS) + 1)]
        places = [row["images"] * APART ** (i - (len(arms) - 1) / 2) for row in part]  # no interval hides another
        ax.plot(places, [r["value"] for r in part], "o-", color=colour, ms=4, label=_short(title(answer, arm)))
        for x, row in zip(places, part, strict=True):
            if row.get("low") is not None:
                ax.plot([x, x], [row["low"], row["high"]], color=colour, lw=1)
        values = ", ".join(f"{number(r['value'])} with {r['images']:,} images" for r in part)
        told.append(f"{title(answer, arm)}: {values}")
    _name_lines(fig, ax)
    images = sorted({row["images"] for row in rows})
    ax.set_xscale("log")
    ax.set_xticks(images, [f"{n:,}" for n in images])
    ax.minorticks_off()
    ax.set_xlabel("images that train")
    ax.set_ylabel(metric(answer))
    _widen(ax.yaxis, answer)
    return _uri(fig, answer), f"{metric(answer)} by the number of images that train. {'; '.join(told)}."


def _name_lines(fig: Any, ax: Any) -> None:
    """Name the lines beside them, the highest first."""
    named = zip(*ax.get_legend_handles_labels(), strict=True)
    lines = sorted(named, key=lambda pair: -pair[0].get_ydata()[-1])
    fig.legend(*zip(*lines, strict=True), frameon=False, fontsize=8, loc="outside right center")


def _widen(axis: Any, answer: Answer) -> None:
    """Let an axis of a share be LEAST wide or wider, so that a small difference does not look like a large one."""
    low, high = axis.get_view_interval()
    missing = LEAST - (high - low)
    if sign(answer["metric"]) > 0 and missing > 0:
        axis.axes.set(**{f"{axis.axis_name}lim": (low - missing / 2, high + missing / 2)})


def _axes(height: float) -> tuple[Any, Any]:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(LOOK):
        fig = Figure(figsize=(165 * MM, height * MM), layout="constrained")
        return fig, fig.subplots()


def _uri(fig: Figure, answer: Answer) -> str:
    """Return the figure as a data URI of an SVG, whose letters are shapes; the same figure gives the same bytes."""
    import warnings

    import matplotlib as mpl

    file = io.BytesIO()
    with mpl.rc_context(LOOK), warnings.catch_warnings():
        # A name in a script that DejaVu lacks is boxes here; the table beside has it in letters.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        if answer.get("phantom"):
            mark_phantom(fig)
        fig.savefig(file, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(file.getvalue()).decode()}"


def _said(arm: Mapping[str, Any]) -> str:
    parts = []
    if arm["value"] is not None:
        parts.append(f"fine-tuned {number(arm['value'])} ({interval(arm['low'], arm['high'])})")
    if arm["probe"] is not None:
        parts.append(f"linear probe {number(arm['probe'])}")
    return ", ".join(parts)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
