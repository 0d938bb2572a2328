"""Studies: the runs of `paper/studies/<name>.yaml` at one scale, what is left of them, and their results."""

from tlkit.studies.running import RunsFailedError, run_all
from tlkit.studies.shown import Shown
from tlkit.studies.study import Study, load

__all__ = ["RunsFailedError", "Shown", "Study", "load", "run_all"]
