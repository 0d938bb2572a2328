from dataclasses import replace

import pytest

from tlkit.archives import export, multimodal
from tlkit.config import ConfigError
from tlkit.datasets import DATASETS, card_of
from tlkit.datasets.options import find_changed


def test_the_modalities_of_an_archive_are_its_classes():
    card = card_of("radiologynet", {"modalities": ["CT", "PT"]})
    assert card.options["modalities"] == card.classes == ("CT", "PT")
    assert card_of("radiologynet").classes == multimodal.MODALITIES == DATASETS["radiologynet"].classes


def test_options_of_the_export_reach_it():
    card = card_of("radiologynet", {"polarity": "published", "percentiles": [1, 99]})
    assert multimodal.export_rules(card) == export.Rules(polarity="published", percentiles=(1, 99))
    assert multimodal.export_rules(replace(card, options={})) == export.Rules()


def test_an_option_as_the_card_has_it_changes_nothing():
    own = {"modalities": list(multimodal.MODALITIES), "polarity": "photometric", "percentiles": None}
    assert find_changed("radiologynet", own) == {}
    assert find_changed("brain-tumor-mri", {"range": [0, 4095], "channels": 1}) == {"range": [0, 4095]}


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("radiologynet", {"modalities": ["CT", "XX"]}, "unknown modality 'XX'"),
        ("radiologynet", {"modalities": ["CT", "CT"]}, "each entry once"),
        ("radiologynet", {"modalities": []}, "one entry or more"),
        ("radiologynet", {"polarity": "bright"}, "unknown polarity"),
        ("radiologynet", {"percentiles": [99, 1]}, "lower value first"),
        ("radiologynet", {"percentiles": [0, 101]}, "101"),
        ("radnet", {"derived": "yes"}, "true or false"),
        ("covid-ct", {"range": [5, 5]}, "a higher one"),
        ("covid-ct", {"range": [5]}, "a list of 2 numbers"),
        ("radnet", {"range": [0, 1]}, "nothing reads this key"),
    ],
)
def test_options_that_cannot_be_are_told(name, options, words):
    with pytest.raises(ConfigError, match=words):
        card_of(name, options)
