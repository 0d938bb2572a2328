"""Executed notebooks of a study that ran at smoke scale: where they are, and what must not be in them.

Each of the two studies has a test file of its own, so that two processes do them at the same time, one core each.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from dag_calls import FIGURES

SMOKE = (*FIGURES, "--scale", "smoke", "--cores", "1")
MOST_BYTES, MOST_LINES = 5_000_000, 100  # of a notebook, and of what a cell prints


def copies(root: Path, study: str) -> dict[str, list[Path]]:
    """Return the executed copies of each notebook that the jobs of a study ran."""
    found: dict[str, list[Path]] = {}
    for path in sorted((root / "runs" / "studies" / study / "smoke").glob("*.ipynb")):
        found.setdefault(Path(nbformat.read(path, 4).metadata.papermill.input_path).stem, []).append(path)
    return found


def check_copy(path: Path) -> None:
    """Raise AssertionError where a cell did not run, shows an error, a warning, pages of text or a mute picture."""
    assert path.stat().st_size < MOST_BYTES, path.name
    for cell in (c for c in nbformat.read(path, 4).cells if c.cell_type == "code" and c.source.strip()):
        assert cell.execution_count, (path.name, cell.id)
        outputs = cell.outputs
        assert not [o for o in outputs if o.output_type == "error"], (path.name, cell.id)
        texts = [o.get("text", "") or o.get("data", {}).get("text/plain", "") for o in outputs]
        assert sum(len(t.splitlines()) for t in texts) <= MOST_LINES, (path.name, cell.id)
        pages = "".join(str(o.get("data", {}).get("text/html", "")) for o in outputs)
        assert all(re.search(r"alt=.\w", tag) for tag in re.findall(r"<img [^>]*>", pages)), (path.name, cell.id)
        pictures = [o for o in outputs if "image/png" in o.get("data", {})]
        assert all(o.metadata.get("image/png", {}).get("alt") for o in pictures), (path.name, cell.id, "alt text")
        said = "".join(o.text for o in outputs if o.output_type == "stream" and o.name == "stderr")
        assert "Warning" not in said, (path.name, cell.id, said)
