"""One small study on three simulated processors: which numbers differ, and do the conclusions?

`python -m benchmarks.processors` runs `boundaries` at smoke on each, in folders of its own, and writes
paper/reference/processors.md. A phantom result. oneDNN and ATen take fewer instructions than the machine has where
these variables say so; what the machine lacks cannot be simulated.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from tlkit import paths, runs
from tlkit.files import sha256, write_text
from tlkit.studies import load

SETTINGS = {  # name: ONEDNN_MAX_CPU_ISA, ATEN_CPU_CAPABILITY
    "as found": {},
    "AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
    "SSE4.1": {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"},
}
CELL = ["experiment", "task", "metric", "pretraining"]


def run_study(setting: dict[str, str], root: Path) -> None:
    own = {"TLKIT_RUNS": str(root / "runs"), "TLKIT_PAPER": str(root / "paper"), "TLKIT_UNATTENDED": "1"}
    command = [sys.executable, "-m", "tlkit", "figures", "--study", "boundaries", "--scale", "smoke"]
    subprocess.run(command, cwd=paths.REPO, env=os.environ | own | setting, check=True)


def read_study(root: Path) -> tuple[pd.DataFrame, dict[str, str], int]:
    """Return mean, sd and n by cell (estimated arms left out), the hash of each run's weights, and how many pairs
    differ after Holm's correction."""
    tables = root / "paper" / "tables" / "boundaries"
    summary = pd.read_csv(tables / "fig2_summary.csv")
    study, weights = load("boundaries", "smoke"), {}
    summary = summary[~summary["pretraining"].isin(study.spec["estimates"])].set_index(CELL)[["mean", "sd", "n"]]
    for config in study.configs():
        rid = runs.run_id(config)
        weights[rid] = sha256(root / "runs" / rid / "model.safetensors")
    return summary, weights, int((pd.read_csv(tables / "fig2.csv")["p_holm"] < 0.05).sum())


def main() -> None:
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for i, (name, setting) in enumerate(SETTINGS.items()):
            run_study(setting, Path(folder, str(i)))
            found[name] = read_study(Path(folder, str(i)))
    text = describe(found)
    write_text(paths.REPO / "paper" / "reference" / "processors.md", text)
    print(text)


def describe(found: dict[str, tuple[pd.DataFrame, dict[str, str], int]]) -> str:
    """Return the page about what `read_study` found by processor, the first of them the machine's own."""
    summary, first, _ = next(iter(found.values()))
    table = pd.DataFrame({name: values["mean"] for name, (values, _, _) in found.items()})
    apart, sd = table.max(axis=1) - table.min(axis=1), summary["sd"]
    table = table.assign(**{"largest difference": apart, "sd of the seeds, as found": sd})
    lines = [
        f"{name}: {sum(first[rid] == digest for rid, digest in weights.items())} of {len(first)} runs with the weights "
        f"of the first, {pairs} pairs (both directions) with p < 0.05 after Holm's correction."
        for name, (_, weights, pairs) in found.items()
    ]
    lines.append(
        f"How far apart: the mean of a cell (n = {summary['n'].min()} runs) differs by "
        f"{apart.median():.3f} in the median and by {apart.max():.3f} at most; its seeds have a standard deviation of "
        f"{sd.median():.3f} in the median, which the difference exceeds in {(apart > sd).sum()} of {len(table)} cells."
    )
    text = "# One study on three processors\n\n`boundaries` at smoke, phantom data, made by `python -m benchmarks."
    text += "processors`. Mean of the runs by processor.\n\n" + "\n".join(f"- {line}" for line in lines)
    return f"{text}\n\n{table.reset_index().round(4).to_markdown(index=False)}\n"


if __name__ == "__main__":
    main()
