"""paper/deviations.md says what is so: held values are held, and what to write makes a deviation as published."""

from __future__ import annotations

import pytest
import yaml

from tlkit import paths, studies
from tlkit.config import ConfigError
from tlkit.published import deviations
from tlkit.yamllines import parse

NAMES = sorted(path.stem for path in paths.DEVIATIONS.glob("*.yaml"))
CHOICES = [
    (n, r) for n in NAMES for r in deviations.read_published(n)["deviations"] if not isinstance(r["choose"], str)
]
ELSEWHERE = ("normalisation of the input",)  # is chosen for arms, not for tasks


def test_both_studies_are_there_and_the_text_is_up_to_date():
    assert NAMES == ["boundaries", "radiologynet"]
    assert (paths.REPO / "paper" / "deviations.md").read_text() == deviations.text(), "python -m tlkit deviations"


@pytest.fixture
def changed(tmp_path, monkeypatch):
    """Return a function that lays changes over the paper scale of a study, and returns what that then says."""

    def change(name: str, changes: dict) -> dict:
        text = parse((paths.STUDIES / f"{name}.yaml").read_bytes())[0]
        text["scales"]["paper"] = _over(text["scales"]["paper"], changes)
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(text, sort_keys=False))
        monkeypatch.setattr(paths, "STUDIES", tmp_path)
        return studies.load(name, "paper").spec

    return change


def _over(base: dict, over: dict) -> dict:
    """Lay `over` on `base`, and keep the entries that remove something (null)."""
    both = {
        k: _over(base[k], v) if isinstance(v, dict) and isinstance(base.get(k), dict) else v for k, v in over.items()
    }
    return {**base, **both}


@pytest.mark.parametrize(("name", "row"), CHOICES, ids=[row["what"] for _, row in CHOICES])
def test_what_to_write_makes_it_as_published(changed, name, row):
    there = deviations.places(changed(name, row["choose"]))
    if "where" in row and row["what"] not in ELSEWHERE:
        assert deviations.values(there, row["where"], name) == [row["published"]]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tasks": {"R": {"recipe": {"lr": 0.02}}}}, r"boundaries, tasks/R/recipe/lr: published 0.01, here `0.02`"),
        ({"splits": {"brats": {"val": 0.1, "test": 0.1}}}, "splits/brats/val: published 30, here `0.1`"),
        (
            {"tasks": {"LiTS": {"options": {"fit": "pad"}}}},
            r"tasks/\*/options/fit: published \"squash\", here `squash` or",
        ),
        ({"tasks": {"CX8M": {"fraction": 1}, "CX8S": {"fraction": 1}}}, "'ChestX-ray8, 50 and 10 %' is no deviation"),
        (
            {"tasks": {"LiTSS": None}, "experiments": {"E2": {"tasks": ["LiTSM"]}}},
            "boundaries at the paper scale has no place tasks/LiTSS/fraction_by",
        ),
    ],
)
def test_what_is_not_said_is_an_error(changed, changes, words):
    changed("boundaries", changes)
    with pytest.raises(ConfigError, match=words):
        deviations.table("boundaries")
