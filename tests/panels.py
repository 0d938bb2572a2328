"""Results as `Study.results` gives them, written as {(experiment, task, metric): {pretraining: values by seed}}."""

from __future__ import annotations

import pandas as pd


def tidy(panels: dict[tuple[str, str, str], dict[str, tuple[float, ...]]]) -> pd.DataFrame:
    rows = [
        (*panel, name, seed, value)
        for panel, groups in panels.items()
        for name, values in groups.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["experiment", "task", "metric", "pretraining", "seed", "value"])
