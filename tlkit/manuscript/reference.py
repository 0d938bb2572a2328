"""`reference`: figures, tables and executed notebooks of a study kept small in paper/reference, of one clean commit."""

from __future__ import annotations

import base64
import io
import json
import platform
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tlkit import check, files, machine, paths
from tlkit.config import TlkitError
from tlkit.manuscript import results, scrub, thumbnails
from tlkit.manuscript.results import PUBLISHED, Results, Saved

WIDTH = 1200  # pixels of a kept figure
# widths and formats of a notebook's pictures, tried in turn
TRIES = ((900, "png"), (700, "png"), (700, "jpeg"), (500, "jpeg"), (350, "jpeg"), (280, "jpeg"))
MOST = 300_000  # bytes of an executed copy
PICTURE = re.compile(r'<img alt="([^"]*)"[^>]*src="data:image/png;base64,([^"]+)"')  # as `report.show` leaves it


class NotKeptError(TlkitError, ValueError):
    """Results that are no reference: none, of several commits or a changed tree, or without their runs."""


def keep(study: str, scale: str = "", machine: str = "") -> list[Path]:
    """Replace what `paper/reference` has of a study (or of a published paper) by one's own results; return all files.

    `scale`: "" for the largest that there are results of. Figures become pictures of 256 colours. `machine`: what is
    written into each sidecar; by default this processor. Raises: NotKeptError before anything is replaced.
    """
    own = Results("own", scale)
    kept = own.saved(study)
    _require_clean(own, study, kept)
    books = {str(saved.facts["notebook"]): _executed(saved) for saved in kept}
    copies = {name: slim(json.loads(path.read_bytes())) for name, path in books.items()}
    for kind in results.KINDS:
        shutil.rmtree(results.REFERENCE / kind / study, ignore_errors=True)
    written = [path for saved in kept for path in _copy(saved, machine or processor())]
    for name, text in copies.items():
        written.append(results.REFERENCE / "notebooks" / f"{name}{'' if _default(name, study) else f'-{study}'}.ipynb")
        files.write_text(written[-1], text)
    return written


def _require_clean(own: Results, study: str, kept: list[Saved]) -> None:
    if not kept:
        raise NotKeptError(f"there are no results of yours of {study} {own.scale}. `{own.command(study)}` makes them.")
    commits = {str(saved.facts.get("commit")) for saved in kept}
    if len(commits) > 1 or "unknown" in commits or any(saved.facts.get("dirty") is not False for saved in kept):
        raise NotKeptError(
            f"the results of {study} are not of one clean commit, but of {', '.join(sorted(commits))}"
            f"{' with changes' if any(saved.facts.get('dirty') for saved in kept) else ''}. Commit, delete the folders "
            f"of {study} in paper/figures and paper/tables, and make them again."
        )
    for saved in kept:
        if gone := own.gone(saved):
            raise NotKeptError(f"{saved.title}: {len(gone)} of its runs are not there, such as {gone[0]}.")


def processor() -> str:
    """Return the name of this machine's processor, and how many of its cores this process may use."""
    name = machine.processor() or platform.processor() or platform.machine()
    return f"{name}, {check.cores()} cores"


def _copy(saved: Saved, machine: str) -> list[Path]:
    base = results.REFERENCE / saved.kind / saved.study / saved.name
    found = []
    for kind in ("csv", "md") if saved.kind == "tables" else ("png",):
        found.append(base.with_name(f"{base.name}.{kind}"))
        content = saved.file(kind).read_bytes()
        files.write_bytes(found[-1], content if kind != "png" else shrink_picture(content, WIDTH))
    found.append(base.with_name(f"{base.name}.json"))
    files.write_text(found[-1], json.dumps({**saved.facts, "machine": machine}, indent=1, ensure_ascii=False) + "\n")
    return found


def shrink_picture(content: bytes, width: int, kind: str = "png") -> bytes:
    """Return a picture at most so many pixels wide: a PNG in 256 colours, or a JPEG."""
    from PIL import Image

    small = thumbnails.narrow(io.BytesIO(content), width)
    held = io.BytesIO()
    if kind == "png":
        small = small.quantize(256, dither=Image.Dither.NONE)
    small.save(held, format=kind, optimize=True, quality=60)
    return held.getvalue()


def _default(name: str, study: str) -> bool:
    """Tell whether a notebook shows this study where nobody chooses another one."""
    from tlkit.workflow.graph import read_parameters

    return study in PUBLISHED or read_parameters(name).get("study") == study


def _executed(saved: Saved) -> Path:
    """Return the newest executed copy of the notebook of a result. Raises: NotKeptError where there is none."""
    name, folder = str(saved.facts["notebook"]), paths.runs_root() / "studies" / saved.study / str(saved.facts["scale"])
    found = [*folder.glob(f"figure-{name}-*.ipynb")]
    found = [p for p in found if p.suffixes == [".ipynb"]] or [paths.runs_root() / "notebooks" / f"{name}.ipynb"]
    newest = max(found, key=lambda p: p.stat().st_mtime if p.is_file() else 0)
    if not newest.is_file():
        raise NotKeptError(f"{newest} is not there. `python -m tlkit notebook {name}` makes it.")
    return newest


def slim(notebook: dict[str, Any]) -> str:
    """Return an executed notebook as text of at most MOST bytes: small pictures, no HTML, no name of a machine.

    Raises: NotKeptError where it is larger even so.
    """
    words = scrub.private_words()
    for look in TRIES:
        cells = [_slim_cell(cell, look, words) for cell in notebook["cells"]]
        meta = {k: v for k, v in notebook["metadata"].items() if k in ("kernelspec", "language_info")}
        made = {**notebook, "cells": cells, "metadata": meta}
        text = json.dumps(made, indent=1, ensure_ascii=False) + "\n"
        if len(text.encode()) <= MOST:
            return text
    raise NotKeptError(f"an executed notebook has {len(text.encode()):,} bytes, and pictures are not all of them.")


def _slim_cell(cell: Mapping[str, Any], look: tuple[int, str], words: list[str]) -> dict[str, Any]:
    kept = {key: value for key, value in cell.items() if key != "outputs"} | {"metadata": {}}
    if "outputs" in cell:
        kept["outputs"] = [_slim_output(output, look, words) for output in cell["outputs"]]
    return kept


def _slim_output(output: Mapping[str, Any], look: tuple[int, str], words: list[str]) -> dict[str, Any]:
    """Return an output with its picture, small, and its text; of HTML, which code hosts cut, what stands for it."""
    kept = dict(output)
    if "text" in kept:
        kept["text"] = scrub.text("".join(kept["text"]), words)
    if "data" in kept:
        data = {kind: "".join(value) if isinstance(value, list) else value for kind, value in kept["data"].items()}
        found = PICTURE.search(data.pop("text/html", "") if "text/plain" in data else "")
        picture = found[2] if found else data.get("image/png")
        shown = {k: scrub.text(v, words) for k, v in data.items() if k in ("text/plain", "text/markdown", "text/html")}
        if picture:
            shown[f"image/{look[1]}"] = base64.b64encode(shrink_picture(base64.b64decode(picture), *look)).decode()
        kept["data"], kept["metadata"] = shown, {f"image/{look[1]}": {"alt": found[1]}} if found else {}
    return kept
