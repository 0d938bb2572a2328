"""Tables and configs as a notebook shows them: names in place of codes, p-values in words, what fits a screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from tlkit import runs
from tlkit.figures.finished import shorten
from tlkit.names import Names
from tlkit.report.lettering import metric_name, p_text

CODES = ("experiment", "task", "pretraining", "arm", "a", "b", "mode", "domain", "reference")
IDS = ("id", "run", "series", "patient", "exam", "path", "file")
UNITS = {"lr": "learning rate", "n": "n", "sd": "sd (n - 1)", "std": "sd (n - 1)", "size": "n", "p_holm": "p (Holm)"}
MOST_ROWS = 80  # of a table on a screen; files have all of them
RECIPE = ("epochs", "batch", "optimizer", "lr", "schedule", "warmup", "monitor", "patience", "freeze", "bn")


class Table(pd.DataFrame):
    """A frame that a notebook shows whole: no name is cut, and rows are not numbered."""

    @property
    def _constructor(self) -> type[Table]:
        return Table

    def _repr_html_(self) -> str:
        with pd.option_context("display.max_colwidth", None):
            numbered = not isinstance(self.index, pd.RangeIndex) and self.index.nlevels > 1
            return self.to_html(index=numbered, max_rows=MOST_ROWS, na_rep="–", border=0, notebook=True)

    def __repr__(self) -> str:
        return self.to_string(index=False, max_rows=20, max_cols=8, max_colwidth=40, line_width=200)


def readable(table: pd.DataFrame, names: Mapping[str, str], digits: int = 3) -> Table:
    """Return a table with display names in place of codes, p-values as "<0.001" or "0.042", and numbers rounded.

    A named index becomes columns. Metrics are named after their task's classes; long ids are cut.
    """
    table, names = table.copy(), Names(names)
    if any(level is not None for level in table.index.names):
        table = table.reset_index()
    if "metric" in table:
        tasks = table["task"] if "task" in table else [""] * len(table)
        told = zip(tasks, table["metric"].fillna(""), strict=True)
        table["metric"] = [metric_name(str(task), str(metric), names) for task, metric in told]
    for column in table:
        if column in CODES:
            table[column] = [names[value] for value in table[column]]
        elif column in IDS:
            table[column] = table[column].map(shorten)
        elif (column == "p" or str(column).startswith("p_")) and pd.api.types.is_float_dtype(table[column]):
            table[column] = table[column].map(p_text)
        elif column == "lr":
            table[column] = table[column].map("{:g}".format)
    return Table(table.round(digits).rename(columns=UNITS).reset_index(drop=True))


def tell_config(config: Mapping[str, Any]) -> pd.DataFrame:
    """Return what decides a run, a row each; `config.json` in its folder has every value."""
    data, recipe = runs.corpora(dict(config)), config["recipe"]
    facts = {
        "network": config["backbone"],
        "data": " and ".join(entry["name"] for entry in data),
        "images": ", ".join(str(entry["images"]) for entry in data if entry.get("images"))
        or "all of the training part",
        "pixels": data[0]["size"],
        **{key: recipe[key] for key in RECIPE if recipe.get(key) not in (None, "", 0)},
        "seed": config["seed"],
        "run": runs.run_id(dict(config)),
    }
    return pd.DataFrame({"value": {key: str(value) for key, value in facts.items()}}).rename_axis("what")
