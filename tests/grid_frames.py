"""Frames of results and epochs like those of the RadiologyNET study, made up: 12 tasks, 3 arms, 5 seeds, 3 rates."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd

TASKS = ("LUNA_UNet", "LUNA_ResNet50", "LUNA_VGG16", "LUNA_EfficientNetB4", "PBA_EfficientNetB3", "PBA_InceptionV3")
TASKS += ("GRAZ_DenseNet121", "GRAZ_ResNet34", "COVID_MobileNetV3Large", "COVID_ResNet18")
TASKS += ("BTMR_MobileNetV3Small", "BTMR_ResNet50")
ARMS = {"scratch": -0.06, "imagenet": 0.0, "radiologynet": 0.01}
RATES = {1e-5: -0.05, 1e-4: 0.0, 1e-3: -0.02}
SEEDS = (42, 1, 2, 3, 4)
SINGLE = {"LUNA_ResNet50": "ct", "BTMR_MobileNetV3Small": "mr", "BTMR_ResNet50": "mr"}
SINGLE |= {task: "cr" for task in TASKS[4:10]}
MODALITIES = {"radiologynet": "", "radiologynet_all": ""} | {f"radiologynet_{m}": m for m in ("ct", "mr", "cr")}
KINDS = {"LUNA": ("dice_1", "iou_1"), "PBA": ("mae", "rmse", "mse", "r2")}
CLASSES = ("accuracy", "f1_macro", "precision_macro", "recall_macro", "auc")
MONITORS = {t: {"LUNA": ("dice_mean", 1), "PBA": ("mae", -1)}.get(t.split("_")[0], ("accuracy", 1)) for t in TASKS}


def _metrics(task: str, quality: float, rng: np.random.Generator) -> dict[str, float]:
    """Return made-up metrics; `quality` 0 is a good run, -0.1 a poor one."""
    values = {}
    for part in ("", "val_"):
        noise = rng.normal(0, 0.01)
        for name in KINDS.get(task.split("_")[0], CLASSES):
            error = name in ("mae", "rmse", "mse")
            values[part + name] = 10 - 60 * (quality + noise) if error else 0.9 + quality + noise
        if task.startswith("LUNA"):
            values[f"{part}dice_mean"] = values[f"{part}dice_1"]
    best = int(20 - 100 * quality + rng.integers(0, 5))
    return values | {"best_epoch": best, "last_epoch": best + 10, "energy_kwh": 0.001 * best}


def results(seed: int = 0, tasks=TASKS, rates=tuple(RATES), seeds=SEEDS) -> pd.DataFrame:
    """Return the experiments main, single_modality and less_data as `Study.results()` would."""
    plan = [("main", t, a, 1.0, lr) for t, a, lr in product(tasks, ARMS, rates)]
    plan += [
        ("single_modality", t, a, 1.0, lr)
        for t in tasks
        if t in SINGLE
        for a, lr in product(("radiologynet", f"radiologynet_{SINGLE[t]}"), rates)
    ]
    less = [t for t in ("GRAZ_DenseNet121", "BTMR_MobileNetV3Small") if t in tasks]
    plan += [("less_data", t, a, f, 1e-4) for t, a, f in product(less, ARMS, (0.05, 0.25, 0.5))]
    rows = []
    for (experiment, task, arm, fraction, lr), run_seed in product(plan, seeds):
        # A run that two experiments share has one id, and one outcome.
        run = f"finetune-{task}-{arm}-{fraction}-{lr}-{run_seed}"
        rng = np.random.default_rng([seed, *run.encode()])
        quality = ARMS.get(arm, -0.01) + RATES[lr] - 0.1 * (1 - fraction)
        head = {"study": "radiologynet", "experiment": experiment, "run": run, "kind": "finetune", "mode": "finetune"}
        head |= {"task": task, "pretraining": arm, "fraction": fraction, "seed": run_seed, "backbone": "resnet10"}
        head["lr"] = lr
        rows += [head | {"metric": k, "value": v} for k, v in _metrics(task, quality, rng).items()]
    return pd.DataFrame(rows)


def history(found: pd.DataFrame, epochs: int = 12) -> pd.DataFrame:
    """Return the epochs of the runs of `results`, as `Study.history()` would; they learn up to their value."""
    keys = ["experiment", "run", "mode", "task", "pretraining", "fraction", "seed", "lr"]
    wide = found.pivot(index=keys, columns="metric", values="value").reset_index()
    parts = []
    for epoch in range(epochs):
        learnt = 1 - 0.7 ** (epoch + 1)
        now = wide[keys].assign(epoch=epoch, loss=2 - learnt, samples=100 * (epoch + 1))
        for name in ("accuracy", "f1_macro", "mae", "dice_mean"):
            if f"val_{name}" in wide:
                start = 60 if name == "mae" else 0.3
                now[name] = start + (wide[f"val_{name}"] - start) * learnt
        parts.append(now)
    return pd.concat(parts, ignore_index=True).rename_axis(columns=None)
