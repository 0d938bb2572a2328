import pytest

from tlkit import datasets
from tlkit.config import UnknownNameError
from tlkit.datasets import DATASETS, MissingDataError, layout_of, present, where


@pytest.mark.parametrize("card", DATASETS.values(), ids=DATASETS)
def test_a_card_is_complete(card):
    assert layout_of(card).scan
    known = {"natural", "CT", "MR", "CR", "XA", "RF", "US", "OCT", "fundus", "microscopy", "dermatoscopy"}
    assert set(card.domain.split(", ")) <= known
    assert card.task in {"multiclass", "multilabel", "binary", "regression", "segmentation", "none"}
    assert all((card.licence, card.source, card.citation, card.access, card.counts))
    assert card.folder in card.tree


def test_missing_data_says_what_was_expected_what_is_there_and_the_steps(tmp_path, monkeypatch):
    monkeypatch.setenv("TLKIT_DATA", str(tmp_path))
    (tmp_path / "photos").mkdir()
    with pytest.raises(MissingDataError) as error:
        where(DATASETS["lits"])
    text = str(error.value)
    assert "volume-<n>.nii[.gz]" in text and "no 'lits/'" in text and "photos/" in text
    assert "1. Register" in text and "3. Set TLKIT_DATA" in text and "`python -m tlkit data`" in text


def test_missing_data_without_a_data_folder():
    with pytest.raises(MissingDataError, match="TLKIT_DATA is not set"):
        datasets.prepare("covid-ct", 8)


def test_an_empty_folder_is_not_present(tmp_path, monkeypatch):
    monkeypatch.setenv("TLKIT_DATA", str(tmp_path))
    folder = tmp_path / "lits"
    folder.mkdir()
    (folder / ".DS_Store").touch()
    assert not present(DATASETS["lits"], tmp_path)
    (folder / "volume-0.nii").touch()
    assert where(DATASETS["lits"]) == folder


def test_a_misspelt_name_finds_its_neighbour():
    with pytest.raises(UnknownNameError, match="Did you mean 'covid-ct'"):
        datasets.prepare("covid_ct", 8)


def test_a_data_set_without_phantom_says_which_have_one():
    with pytest.raises(ValueError, match=r"'covid-ct' has no phantom.*radnet"):
        datasets.identity("covid-ct", {"seed": 1})
