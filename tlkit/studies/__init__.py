"""Studies: the runs of `paper/studies/<name>.yaml` at one scale, what is left of them, and their results."""

from tlkit.studies.study import RunsFailedError, Shown, Study, load, run_all

__all__ = ["RunsFailedError", "Shown", "Study", "load", "run_all"]
