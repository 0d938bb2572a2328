"""From results to the tables of a study: the same way for the authors' published logs and for our own runs.

A source is a `published.Logs` or a `studies.Study`: both have headline(), history(), size_adjustment(), names().
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from tlkit.config import ConfigError
from tlkit.figures import convergence
from tlkit.names import Names, in_order
from tlkit.published import adjusted
from tlkit.stats import differences

if TYPE_CHECKING:
    from tlkit.published.authorlogs import Logs
    from tlkit.studies import Shown, Study

PANEL = ("figure", *differences.PANEL)


def results(source: Logs | Study, figures: Mapping[str, Iterable[str]], shown: Shown | None = None) -> pd.DataFrame:
    """Return `source.headline()` of the experiments of some figures, with the pseudo-runs of what is estimated.

    Args: figures: figure -> its experiments; tests that stand in one figure are corrected together (column figure);
    shown: of a study, the runs to be taken alone.
    The pseudo-runs are the published way to set a corpus of scans against one of photographs at equal size:
    `adjusted.add_pseudo_runs`. Raises ConfigError where there is no result.
    """
    found, adjustment = source.headline(), source.size_adjustment()
    figure_of = {experiment: figure for figure, experiments in figures.items() for experiment in experiments}
    found = found if shown is None else shown.rows(found)
    found = found[found["experiment"].isin(figure_of)]
    if found.empty:
        raise ConfigError(
            f"{source.name} has no results of {', '.join(figure_of)} yet. Of a study, `python -m tlkit plan` "
            "lists the missing runs and `make figures` makes them; of published logs, `python -m tlkit published` "
            "says why none could be used."
        )
    of = pd.Categorical(found["experiment"].map(figure_of), [*figures], ordered=True)
    found = found.assign(figure=of).sort_values("figure", kind="stable", ignore_index=True)
    return found if adjustment is None else adjusted.add_pseudo_runs(found, adjustment)


def cells(results: pd.DataFrame) -> pd.DataFrame:
    """Return mean, sd (ddof=1), sd_population (ddof=0) and n of each cell: PANEL and pretraining."""
    by = (*PANEL, "pretraining")
    population = differences.summarise(results, by, ddof=0)["sd"]
    table = differences.summarise(results, by)
    table.insert(table.columns.get_loc("n"), "sd_population", population)
    return table


def contrasts(
    results: pd.DataFrame, adjustment: adjusted.SizeAdjustment | None, names: Names, margin: float = 0.01
) -> pd.DataFrame:
    """Return `differences.pairwise` of the results, with Holm's correction within each figure.

    Args: names: have the order of the pretrainings; margin: the largest difference that counts as none, in points of
    the metric (0.01 = one point of a hundred).
    """
    order = in_order(results["pretraining"], names)
    mixtures = {} if adjustment is None else adjustment.mixtures()
    return differences.pairwise(results, PANEL, order, mixtures, margin, family=("figure",))


def tables(source: Logs | Study, figures: Mapping[str, Iterable[str]], margin: float = 0.01) -> dict[str, pd.DataFrame]:
    """Return the tables results, contrasts and convergence of a source, by name; `figures` as in `results`."""
    found = results(source, figures)
    return {
        "results": cells(found),
        "contrasts": contrasts(found, source.size_adjustment(), source.names(), margin),
        "convergence": convergence.summary(convergence.times(source.history())),
    }
