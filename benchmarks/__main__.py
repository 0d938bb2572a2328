"""`python -m benchmarks [name ...]`: time the project against what one would use instead; one table.

A benchmark is a module of this package with `run() -> list[dict]`: rows of name, unit, ours, other, ratio
(ours / other) and limit (">= 6.0": the ratio should be at least 6; "": only for the record). Nothing fails
here: timings of a shared machine are for reading.
"""

from __future__ import annotations

import argparse
import importlib
import operator
import os
import platform
from pathlib import Path

import pandas as pd
import torch

from tlkit.config import lookup

NAMES = ("augment", "store", "step", "cka", "dicom", "published", "features", "sources")
COMPARE = {"<=": operator.le, ">=": operator.ge}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Time the project against its rivals.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(NAMES)} (default: all)")
    chosen = [lookup(n, dict.fromkeys(NAMES, n), "benchmark") for n in parser.parse_args(argv).names or NAMES]
    rows = [row for n in chosen for row in importlib.import_module(f"benchmarks.{n}").run()]
    print(table(rows).to_markdown(index=False, disable_numparse=True))
    print(f"\n{machine()}")


def table(rows: list[dict]) -> pd.DataFrame:
    """Return the rows as text: name, ours, other, ratio, limit, met."""
    return pd.DataFrame(
        {
            "name": row["name"],
            "ours": f"{_number(row['ours'])} {row['unit']}",
            "other": f"{_number(row['other'])} {row['unit']}" if row["other"] is not None else "",
            "ratio": "" if row["ratio"] is None else f"{row['ratio']:.2f}",
            "limit": row["limit"],
            "met": met(row["ratio"], row["limit"]) or row.get("note", ""),
        }
        for row in rows
    )


def met(ratio: float | None, limit: str) -> str:
    """Return "yes" or "no", or nothing where there is no ratio or no limit."""
    if ratio is None or not limit:
        return ""
    sign, value = limit.split()
    return "yes" if COMPARE[sign](ratio, float(value)) else "no"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def machine() -> str:
    """Return the facts that the numbers depend on, as one line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{cores} cores, {_cpu()}, torch {torch.__version__}, Python {platform.python_version()}, {platform.system()}"
    )


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((s.split(":")[1].strip() for s in lines if s.startswith("model name")), platform.processor() or "?")


if __name__ == "__main__":
    main()
