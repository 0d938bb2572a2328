"""The sentences with which notebooks close: what the runs show, made from the values at hand, whatever they are.

Each function returns sentences; `tell` shows them. None of them says more than the corrected tests do.
"""

from tlkit.figures.closings.comparing import (
    say_ahead,
    say_claims,
    say_gains,
    say_gaps,
    say_leaders,
    say_outcomes,
    say_pairs,
    say_ratings,
)
from tlkit.figures.closings.learning import (
    say_epochs,
    say_hard,
    say_lost,
    say_reuse,
    say_right,
    say_settled,
    say_slices,
    say_statistics,
)
from tlkit.figures.closings.told import say_data, tell
from tlkit.figures.closings.training import (
    say_above_chance,
    say_archive,
    say_best,
    say_copying,
    say_far,
    say_first,
    say_fusion,
    say_redundancy,
    say_sets,
    say_splits,
)

__all__ = [
    "say_above_chance",
    "say_ahead",
    "say_archive",
    "say_best",
    "say_claims",
    "say_copying",
    "say_data",
    "say_epochs",
    "say_far",
    "say_first",
    "say_fusion",
    "say_gains",
    "say_gaps",
    "say_hard",
    "say_leaders",
    "say_lost",
    "say_outcomes",
    "say_pairs",
    "say_ratings",
    "say_redundancy",
    "say_reuse",
    "say_right",
    "say_sets",
    "say_settled",
    "say_slices",
    "say_splits",
    "say_statistics",
    "tell",
]
