"""Fine-tuned runs as `tlkit.advice.resampling` reads them, with known effects."""

from __future__ import annotations

from tlkit.advice.calibration import simulate_runs as made

__all__ = ["made"]
