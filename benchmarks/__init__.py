"""Timings and memory of the project against what one would use instead; see `python -m benchmarks`."""

from __future__ import annotations


def as_rows(*found: tuple[str, str, float, float, str]) -> list[dict]:
    """Return the rows of a benchmark from (name, unit, ours, other, limit), with ratio = ours / other."""
    return [
        {"name": name, "unit": unit, "ours": ours, "other": other, "ratio": ours / other, "limit": limit}
        for name, unit, ours, other, limit in found
    ]
