"""A small archive with images, headers and reports, read by a layout of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tlkit.datasets.layout import Layout

PARTS = {"HEAD": "Schaedel Kopf glava", "CHEST": "Thorax Lunge toraks", "KNEE": "Knie Gelenk koljeno"}
MODALITIES = {"CT": ("120", ""), "MR": ("", "1.5"), "CR": ("70", "")}


def write(root: Path, patients: int = 24) -> Path:
    """Write an archive: each patient has one exam of two files, the second of two frames; every sixth no report."""
    rng = np.random.default_rng(0)
    rows, reports, pictures = [], {}, {}
    for p in range(patients):
        part, modality = list(PARTS)[p % 3], list(MODALITIES)[p // 3 % 3]
        kvp, field = MODALITIES[modality]
        reports[f"e{p}"] = "" if p % 6 == 5 else f"Patientin Musterfrau: {PARTS[part]} ohne Befund {p % 4}"
        for f in range(2):
            path = f"{p:03d}_{f}"
            told = {"KVP": kvp, "MagneticFieldStrength": field, "Rows": f"[{64 + p % 5}, {p % 3}]", "Words": part[:2]}
            told |= {"Modality": modality, "BodyPartExamined": part}
            rows.append({"path": path, "patient": f"p{p // 2}", "exam": f"e{p}", **told})
            for frame in range(1 + f):
                picture = np.zeros((16, 16), np.uint8)
                picture[: 4 + 4 * (p % 3)] = 80 + 60 * (p // 3 % 3)
                pictures[f"{path}-{frame}"] = (picture + rng.integers(0, 30, picture.shape)).tolist()
    root.mkdir(parents=True)
    (root / "headers.json").write_text(json.dumps(rows))
    (root / "reports.json").write_text(json.dumps(reports))
    (root / "images.json").write_text(json.dumps(pictures))
    return root


def _read(root: Path, name: str) -> Any:
    return json.loads((Path(root) / f"{name}.json").read_text())


def scan(root, card):
    table = pd.DataFrame(_read(root, "headers"))
    table["frames"] = [list(range(1 + int(p.endswith("_1")))) for p in table["path"]]
    table = table.explode("frames", ignore_index=True).rename(columns={"frames": "frame"})
    table = table.assign(window=0, split="", modality=table["Modality"], body_part=table["BodyPartExamined"])
    table["id"] = table["path"] + "-" + table["frame"].astype(str)
    table["label"] = table["modality"].map(list(MODALITIES).index)
    columns = ["id", "path", "frame", "window", "patient", "exam", "split", "label", "modality", "body_part"]
    return table[columns], pd.DataFrame(columns=["path", "reason", "kind"])


def decode(root, rows, card):
    pictures = _read(root, "images")
    return [np.array(pictures[i], np.uint8) for i in rows["id"]], [None] * len(rows)


def tags(root, card):
    return pd.DataFrame(_read(root, "headers")).set_index("path").drop(columns=["patient", "exam"])


def reports(root, card):
    return pd.Series(_read(root, "reports"))


LAYOUT = Layout(classes=lambda root, card: tuple(MODALITIES), scan=scan, decode=decode, tags=tags, reports=reports)


@pytest.fixture
def archive(tmp_path, monkeypatch) -> Path:
    """Give the project a data set "archive" of the layout above, and return its files' folder."""
    from tlkit import plugins
    from tlkit.datasets import DATASETS, DataCard

    card = DataCard(
        "archive", "An archive", "CT", "multiclass", "tests", "archive", "none", "", "", ("write it",), "archive/"
    )
    monkeypatch.setitem(DATASETS, "archive", card)
    monkeypatch.setitem(plugins.LAYOUTS, "tests", LAYOUT)
    monkeypatch.setenv("TLKIT_DATA", str(tmp_path / "data"))
    return write(tmp_path / "data" / "archive")
