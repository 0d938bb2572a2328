"""Where the jobs of a DAG are done: on this machine, or by a Snakemake profile elsewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from tlkit.config import ConfigError, lookup

SHIPPED = {folder.name: folder for folder in sorted((Path(__file__).parent / "profiles").iterdir())}
LEAST = 30  # minutes that a job is given at least
SPARE = 3  # times the minutes that its runs are thought to take
GIVEN = {  # to a job of each kind, where the study says nothing else: memory in MB; minutes where no run tells
    "data": {"mem_mb": 8000, "runtime": 240},
    "pretrain": {"mem_mb": 16000},
    "finetune": {"mem_mb": 16000},
    "figure": {"mem_mb": 8000, "runtime": 60},
}


def find_profile(name: str) -> Path:
    """Return the folder of a profile: one of SHIPPED, or a folder of the site's own with a config.yaml.

    Raises: ConfigError where there is none, its file can't be read, or its executor is not installed.
    """
    folder = Path(name)
    if not (folder / "config.yaml").is_file():
        folder = lookup(name, SHIPPED, "profile, or folder with a config.yaml,")
    executor = read_profile(folder).get("executor", "local")
    plugin = f"snakemake_executor_plugin_{executor.replace('-', '_')}"
    if executor != "local" and not find_spec(plugin):
        raise ConfigError(
            f"profile '{name}' needs Snakemake's executor '{executor}', which is not installed. Install it: "
            f"python -m pip install {plugin.replace('_', '-')}"
        )
    return folder.resolve()


def read_profile(folder: Path) -> dict[str, Any]:
    """Return what a profile says, its `executor` as text. Raises: ConfigError."""
    file = folder / "config.yaml"
    try:
        said = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is no YAML: {error}") from error
    if not isinstance(said, dict):
        raise ConfigError(f"{file}: expected Snakemake's options with their values, found {said!r}.")
    return said | {"executor": str(said.get("executor", "local"))}


def check_gpus(profile: Path, asked: Mapping[str, int]) -> None:
    """Raise ConfigError where kinds of jobs ask for more GPUs of a node than SLURM's partition has.

    Nothing is known, and nothing is said, of other executors, and where the executor chooses among partitions.
    """
    said = read_profile(profile)
    if said["executor"] != "slurm" or said.get("slurm-partition-config") or not shutil.which("sinfo"):
        return
    told = subprocess.run(["sinfo", "-h", "-o", "%P|%G"], capture_output=True, text=True, check=False)
    if told.returncode:
        raise ConfigError(f"SLURM does not answer: {told.stderr.strip()}. Jobs go there by the profile {profile}.")
    partition = _partition(said.get("default-resources", {}))
    there = most_gpus(told.stdout.splitlines(), partition)
    for kind, gpus in asked.items():
        if there is not None and gpus > there:
            raise ConfigError(
                f"{kind} jobs ask for {gpus} GPUs of a node (`gpus` in the study), but no node of SLURM's partition "
                f"{partition or 'by default'} has more than {there}. Set `gpus` in the study to what a node has (its "
                f"runs get ids of their own); `resources: {{{kind}: {{gpu: 0}}}}` there to train without; or another "
                f"`slurm_partition` under `default-resources` in {profile / 'config.yaml'}."
            )


def _partition(given: Any) -> str:
    """Return the partition that a profile's default resources name (a mapping, or a list of "name=value")."""
    pairs = given.items() if isinstance(given, dict) else (str(entry).split("=", 1) for entry in given)
    return str(dict(pairs).get("slurm_partition", "")).strip("\"' ")


def most_gpus(lines: Iterable[str], partition: str) -> int | None:
    """Return the GPUs of the largest node of a partition ("": the default one); None for one that is not there.

    `lines` are "partition|gres", such as "gpu*|gpu:a100:4(S:0-1)" or "cpu|(null)".
    """
    rows = [line.split("|", 1) for line in lines if "|" in line]
    ours = [gres for name, gres in rows if (name.rstrip("*") == partition if partition else name.endswith("*"))]
    counts = [sum(int(n) for n in re.findall(r"\bgpu(?::[\w.-]+)?:(\d+)", gres)) for gres in ours]
    return max(counts, default=None)


def resources(kind: str, gpus: int, minutes: float, said: dict[str, Any]) -> dict[str, int]:
    """Return what a job asks a cluster for: gpu, mem_mb, runtime (minutes).

    Args: minutes: what its runs are thought to take on this machine; said: the study's `resources` of this kind.
    """
    runtime = {"runtime": max(LEAST, round(SPARE * minutes))}
    return {"gpu": gpus} | runtime | GIVEN[kind] | said
