"""Fine-tuned runs as `tlkit.advice.resampling` reads them, with known effects."""

from __future__ import annotations

import numpy as np
import pandas as pd


def made(effects, seeds=3, splits=1, patients=60, noise=0.1, luck=0.02, seed=0, each=1.0):
    """Return runs with a score a patient: the arm's effect, what the patient adds for all and for this arm, and luck.

    `luck` is the sd of a run's mean, `noise` that of a patient's score in one arm, `each` scales what all arms share.
    """
    rng = np.random.default_rng(seed)
    names = [f"p{i}" for i in range(patients)]
    hard = each * rng.normal(size=patients)
    own = {arm: rng.normal(0, noise, patients) for arm in effects}
    rows = []
    for split in range(splits):
        for number in range(seeds):
            for arm, effect in effects.items():
                score = effect + hard + own[arm] + rng.normal(0, luck)
                kept = pd.DataFrame({"patient": names, "score": score})
                rows.append({"arm": arm, "rate": 0.1, "seed": number, "split": split, "predictions": kept})
    return pd.DataFrame(rows)
