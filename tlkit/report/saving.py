"""Figure and table files, each with a sidecar that names the runs, the notebook and the commit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tlkit import __version__, paths
from tlkit.doubts import MARK
from tlkit.files import replacing, write_text
from tlkit.machine import commit
from tlkit.report.alt import SAVED, describe
from tlkit.report.lettering import add_footer
from tlkit.report.style import lean_fonts, mark_phantom, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = {  # of file, and how each is written: without its date
    "svg": {"metadata": {"Date": None}},
    "pdf": {"metadata": {"CreationDate": None}},
    "png": {"pil_kwargs": {"compress_level": 3}},  # half of the time of 6, to a file of 1.05 times
}


def save_figure(
    fig: Figure,
    study: str,
    name: str,
    *,
    runs: Iterable[str],
    notebook: str,
    caption: str,
    scale: str,
    phantom: bool,
    note: str = "",
    networks: str = "",
) -> list[Path]:
    """Write figures/<study>/<scale>/<name>.{svg,pdf,png} and the sidecar .json, and return their paths.

    The same figure gives the same bytes. The sidecar names the runs and the commit, and holds an alternative text; a
    phantom figure is marked as one (`mark_phantom`) and its caption says so, after `note`: what of its runs is
    missing. The `networks` that ran stand on the figure. Each file is written aside and renamed.
    """
    if phantom:
        mark_phantom(fig)
    add_footer(fig, networks and f"Networks: {networks}.")
    add_footer(fig, f"{MARK}: pretraining in doubt, as the caption says." if MARK in note else "")
    caption = _full_caption(caption, networks, note, scale, phantom)
    if fig.get_layout_engine() is not None:  # laid out once, not anew for each kind of file
        fig.get_layout_engine().execute(fig)
        fig.set_layout_engine(None)  # not "none": with its placeholder savefig draws twice
    base = paths.paper_root() / "figures" / study / scale / name
    with style("svg.hashsalt", "savefig.dpi", "pdf.fonttype"), lean_fonts():
        for kind, how in KINDS.items():
            with replacing(_file(base, kind)) as temp:
                fig.savefig(temp, format=kind, **how)
    SAVED[fig] = _file(base, "png")
    sidecar = _save_sidecar(base, runs, notebook, caption, scale, phantom, alt=describe(fig, caption))
    return [*(_file(base, kind) for kind in KINDS), sidecar]


def save_table(
    frame: pd.DataFrame,
    study: str,
    name: str,
    *,
    runs: Iterable[str],
    notebook: str,
    caption: str,
    scale: str,
    phantom: bool,
    note: str = "",
    networks: str = "",
    floats: str | Mapping[str, str] = ".4g",
) -> list[Path]:
    """Write tables/<study>/<scale>/<name>.csv (full precision), .md (for reading) and the sidecar .json.

    `floats` is the format of all float columns of the .md, or of each by name (others ".4g"); NaN is shown
    as "–". A named index becomes columns. The caption stands above the .md table.
    """
    if any(level is not None for level in frame.index.names):
        frame = frame.reset_index()
    caption = _full_caption(caption, networks, note, scale, phantom)
    base = paths.paper_root() / "tables" / study / scale / name
    write_csv(frame, _file(base, "csv"))
    formats = floats if isinstance(floats, Mapping) else dict.fromkeys(frame.columns, floats)
    shown = frame.astype(object)
    for column in frame.select_dtypes("float"):
        spec = formats.get(column, ".4g")
        shown[column] = [format(v, spec) if np.isfinite(v) else "–" for v in frame[column]]
    aligned = ["right" if pd.api.types.is_numeric_dtype(t) else "left" for t in frame.dtypes]
    # Ids such as "12e45678" would be read as numbers.
    table = shown.to_markdown(index=False, disable_numparse=True, colalign=aligned)
    write_text(_file(base, "md"), f"{caption}\n\n{table}\n")
    sidecar = _save_sidecar(base, runs, notebook, caption, scale, phantom)
    return [_file(base, "csv"), _file(base, "md"), sidecar]


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame in full precision, aside and renamed; the folder is made where it is missing."""
    with replacing(path) as temp:
        frame.to_csv(temp, index=False, lineterminator="\n")


def _save_sidecar(
    base: Path, runs: Iterable[str], notebook: str, caption: str, scale: str, phantom: bool, **more: str
) -> Path:
    content = {
        "caption": caption,
        **more,
        "phantom": phantom,
        "scale": scale,
        "notebook": notebook,
        "runs": sorted(set(runs)),
        **commit(),
        "tlkit": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_text(_file(base, "json"), json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return _file(base, "json")


def _full_caption(caption: str, networks: str, note: str, scale: str, phantom: bool) -> str:
    said = f"Phantom data (scale {scale}): not results on patients." if phantom else ""
    trained = networks and f"Networks: {networks}."
    return " ".join(filter(None, [caption, trained, note, said]))


def _file(base: Path, kind: str) -> Path:
    return base.with_name(f"{base.name}.{kind}")
