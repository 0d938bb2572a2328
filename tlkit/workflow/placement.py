"""Where the jobs of a DAG are done: on this machine, or by a Snakemake profile elsewhere."""

from __future__ import annotations

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
    try:
        said = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{folder / 'config.yaml'} is no YAML: {error}") from error
    if not isinstance(said, dict):
        raise ConfigError(f"{folder / 'config.yaml'}: expected Snakemake's options with their values, found {said!r}.")
    executor = str(said.get("executor", "local"))
    plugin = f"snakemake_executor_plugin_{executor.replace('-', '_')}"
    if executor != "local" and not find_spec(plugin):
        raise ConfigError(
            f"profile '{name}' needs Snakemake's executor '{executor}', which is not installed. Install it: "
            f"python -m pip install {plugin.replace('_', '-')}"
        )
    return folder.resolve()


def resources(kind: str, gpus: int, minutes: float, said: dict[str, Any]) -> dict[str, int]:
    """Return what a job asks a cluster for: gpu, mem_mb, runtime (minutes).

    Args: minutes: what its runs are thought to take on this machine; said: the study's `resources` of this kind.
    """
    runtime = {"runtime": max(LEAST, round(SPARE * minutes))}
    return {"gpu": gpus} | runtime | GIVEN[kind] | said
