"""Options of the layouts of one's own images: each can be said in data.yaml, and nothing else can."""

from __future__ import annotations

import pytest
import yaml

from tlkit.advice import reading
from tlkit.config import ConfigError
from tlkit.datasets.layout import layout

LAYOUTS = ("table", "pairs", "npz", "dicom_table", "class_folders")
SAID = {
    "table": "t.csv", "table_sha256": "0" * 64, "file": "image", "label": "dx", "separator": "|", "none": ["normal"],
    "columns": ["a", "b"], "number": "age", "target": "age", "split": "set", "split_folders": True, "channels": 1,
    "patient": {"pattern": "p([0-9]+)"}, "range": [0.0, 4095.0], "pairs": [["images", "masks", ""]],
    "image_end": "_0000", "mask_end": "_mask",
    "image_start": "img", "mask_start": "mask", "channel": 0, "values": [0, 255], "mask_columns": {"px_1": 1},
    "only_labelled": True,
    "window": [40.0, 400.0], "percentiles": [1.0, 99.0], "polarity": "photometric", "level": 2, "beside": ["x/*"],
    "splits": {"early": "train"}, "tables": {"train.csv": "train"}, "no": [""], "word": 1, "threshold": 127,
    "as_background": [2], "unlabelled": [3],
    "burnt_in": True,
}  # fmt: skip
OWN = {"table": {"names": "groups"}, "dicom_table": {"names": "patients"}}  # said in other words elsewhere
READING = {"name": "own", "folder": "/x", "task": "multiclass", "classes": ["a", "b"]}


def written(kind: str, options: dict) -> dict:
    file = reading.folder_of("own") / "data.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump({**READING, "layout": kind, "options": options}))
    return reading.read("own")


@pytest.mark.parametrize("kind", LAYOUTS)
def test_every_option_can_be_said(kind):
    said = SAID | OWN.get(kind, {})
    options = {name: said[name] for name in layout(kind).options}
    assert written(kind, options)["options"] == options
    for name in options:
        with pytest.raises(ConfigError, match=f"options.{name}"):
            written(kind, {name: {"no": ["such", 1.5]}})


def test_other_layouts_tasks_and_keys_are_errors():
    for change in ({"layout": "tabel"}, {"task": "multi"}, {"classes": "a"}, {"colour": 1}):
        file = reading.folder_of("own") / "data.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump({**READING, "layout": "table", "options": {}, **change}))
        with pytest.raises(ConfigError):
            reading.read("own")
