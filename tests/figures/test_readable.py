"""Tables of a notebook have names, not codes, and fit a screen."""

from __future__ import annotations

import pandas as pd
from looks import PAPER

from tlkit import studies
from tlkit.figures.finished import shorten
from tlkit.figures.readable import readable, tell_config

UID = "1.3.6.1.4.1.14519.5.2.1.6279.6001.100225287222365663678666836860"


def test_codes_become_names_and_p_values_words():
    table = pd.DataFrame({"task": ["R"], "pretraining": ["scratch"], "metric": ["dice_1"], "p_holm": [0.00001]})
    table = table.assign(mean=0.123456, lr=0.0001, p_sound=0.04567)
    names = PAPER | {"R": "Body part", "R/dice_1": "Dice, liver"}
    (row,) = readable(table.set_index("task"), names).to_dict("records")
    assert (row["task"], row["pretraining"], row["metric"]) == ("Body part", "random weights", "Dice, liver")
    assert (row["p (Holm)"], row["p_sound"], row["mean"], row["learning rate"]) == ("<0.001", "0.046", 0.123, "0.0001")
    assert table["pretraining"].tolist() == ["scratch"], "what was given stays as it is"


def test_long_ids_are_cut():
    assert len(shorten(f"{UID}_00_0004")) <= 24 and shorten(f"{UID}_00_0004").endswith("36860_00_0004")
    assert shorten("volume-000_0018") == "volume-000_0018"
    assert readable(pd.DataFrame({"id": [UID]}), {})["id"].str.len().max() <= 24


def test_a_config_is_a_dozen_lines():
    config = studies.load("boundaries", "quick").pretrain("radnet")
    shown = tell_config(config)
    assert len(shown) <= 16 and {"network", "data", "pixels", "seed", "run"} <= set(shown.index)
    assert shown["value"].str.len().max() < 80
