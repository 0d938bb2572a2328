"""The studies on open data: whatever they need can be fetched, in sizes that there are."""

from __future__ import annotations

import pytest

from tlkit import studies, yamllines
from tlkit.datasets import DATASETS
from tlkit.paths import STUDIES
from tlkit.sources import about, sizes
from tlkit.workflow import getting, prices

NAMES = ("open_boundaries", "open_radiologynet")
BY_HAND = {"imagenet"}  # of the published size


@pytest.mark.parametrize("name", NAMES)
def test_every_size_that_a_scale_names_is_there_and_all_data_can_be_fetched(name):
    scales = yamllines.parse((STUDIES / f"{name}.yaml").read_bytes())[0]["scales"]
    assert {"smoke", "mini", "quick", "course", "paper"} == set(scales)
    for scale in scales:
        study = studies.load(name, scale, "real")
        used = {e["dataset"] for e in study.spec["tasks"].values()}
        used |= {d for p in study.pretrainings for d in study.corpora(p)}
        wanted = study.spec.get("fetch", {})
        assert wanted.keys() <= used and all(size in sizes(DATASETS[d]) for d, size in wanted.items()), scale
        assert {d for d in used if not DATASETS[d].fetch} <= (BY_HAND if scale == "paper" else set())
        assert set(getting.find_missing(study)) == used - BY_HAND
        assert all("NC" not in DATASETS[d].licence for d in used)


def test_mini_is_what_a_laptop_can_hold():
    asked = {}
    for name in NAMES:
        asked |= getting.find_missing(studies.load(name, "mini"))
    assert sum(about(DATASETS[d], size) for d, size in asked.items()) < 3e9
    assert getting.find_missing(studies.load("open_boundaries", "smoke")) == {}  # phantoms


def test_a_modality_that_nobody_counted_is_not_priced():
    data = {"name": "open-radiologynet", "size": 32, "split": {"val": 0.1, "test": 0.1, "seed": 0}}
    with pytest.raises(prices.UnpricedError, match="does not count its images"):
        prices.Counter().images(data | {"where": {"modality": "CT"}})
