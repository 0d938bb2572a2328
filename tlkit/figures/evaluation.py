"""From results to the tables of a study: the same way for the authors' published logs and for our own runs.

A source is a `published.Logs` or a `studies.Study`: both have headline(), history(), size_adjustment().
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pandas as pd

from tlkit.config import ConfigError
from tlkit.names import in_order
from tlkit.stats import adjusted, convergence, differences

if TYPE_CHECKING:
    from tlkit.published.authorlogs import Logs
    from tlkit.studies import Study

# Tests that stand in one figure of the paper are corrected together.
FIGURES = {"E1": "fig2", "E4": "fig2", "E2": "fig3", "E6": "mixed", "E8": "mixed"}
FIGURES |= {"E1_equal_steps": "equal_steps", "E4_equal_steps": "equal_steps"}
PANEL = ("figure", *differences.PANEL)


def results(source: Logs | Study, experiments: Iterable[str] = ()) -> pd.DataFrame:
    """Return `source.headline()` with its figure and, where both RadNet corpora are there, the pseudo-runs.

    The pseudo-runs (radnet_lb, radnet_ub) are the published way to set RadNet against ImageNet at equal size:
    `adjusted.published_runs`. The column figure is by FIGURES, fig2 for other experiments. With
    `experiments`, only their rows. Raises ConfigError where there is no result.
    """
    found, adjustment = source.headline(), source.size_adjustment()
    number = found["experiment"].map(FIGURES).fillna("fig2")
    found = found.assign(figure=pd.Categorical(number, list(dict.fromkeys(FIGURES.values())), ordered=True))
    if experiments := list(experiments):
        found = found[found["experiment"].isin(experiments)].reset_index(drop=True)
    if found.empty:
        of = f" of {', '.join(experiments)}" if experiments else ""
        raise ConfigError(
            f"{source.name} has no results{of} yet. Of a study, `python -m tlkit plan` "
            "lists the missing runs and `make figures` makes them; of published logs, `python -m tlkit published` "
            "says why none could be used."
        )
    return found if adjustment is None else adjusted.published_runs(found, adjustment)


def cells(results: pd.DataFrame) -> pd.DataFrame:
    """Return mean, sd (ddof=1), sd_population (ddof=0) and n of each cell: PANEL and pretraining."""
    by = (*PANEL, "pretraining")
    population = differences.summarise(results, by, ddof=0)["sd"]
    table = differences.summarise(results, by)
    table.insert(table.columns.get_loc("n"), "sd_population", population)
    return table


def contrasts(results: pd.DataFrame, adjustment: adjusted.SizeAdjustment | None, margin: float = 0.01) -> pd.DataFrame:
    """Return `differences.pairwise` of the results, with Holm's correction within each figure.

    Args: margin: the largest difference that counts as none, in points of the metric (0.01 = one point of a
    hundred).
    """
    order = in_order(results["pretraining"])
    mixtures = {} if adjustment is None else adjustment.mixtures()
    return differences.pairwise(results, PANEL, order, mixtures, margin, family=("figure",))


def tables(source: Logs | Study, margin: float = 0.01) -> dict[str, pd.DataFrame]:
    """Return the tables results, contrasts and convergence of a source, by name."""
    found = results(source)
    return {
        "results": cells(found),
        "contrasts": contrasts(found, source.size_adjustment(), margin),
        "convergence": convergence.summary(convergence.times(source.history())),
    }
