import pytest
import trees
from hypothesis import given
from hypothesis import strategies as st

from tlkit.archives import ct_series, dicom, multimodal, regions
from tlkit.datasets.cards import DATASETS
from tlkit.datasets.options import card_of


@pytest.mark.parametrize(
    "tag, series, study, name",
    [
        ("THORAX", "Head", "", "thorax"),  # the tag decides where it says something
        ("BLADDER", "", "", "pelvis/hip"),
        ("UTERUS", "", "", "pelvis/hip"),
        ("ESOPHAGUS", "", "", "thorax"),
        ("THYROID", "", "", "head/neck"),
        ("", "LUNG 1.25 MM", "", "thorax"),
        ("", "C_SPINE 1mm", "CT CHEST", "spine"),
        ("", "5mm STANDARD", "CT_ABD_AND_PELVIS_W_IV", "abdomen"),
        ("", "2.0", "CT KNEE LEFT", "extremities"),
        ("", "CT HEAD W/O", "", "head/neck"),
        ("", "Pelvis  5.0  B31f", "", "pelvis/hip"),
        ("", "CTAC", "", "other"),
        ("", "PET WB", "PET IMAGE W/CT, SKULL TO THIGH", "other"),
        ("WHOLEBODY", "", "", "other"),
        ("", "Schädel nativ", "", "other"),
        ("", "", "", "other"),
    ],
)
def test_regions_by_tag_then_by_descriptions(tag, series, study, name):
    assert regions.REGIONS[regions.region(tag, series, study)] == name


@given(st.text(max_size=30), st.text(max_size=30))
def test_where_radnets_rule_says_a_region_nothing_else_does(tag, text):
    found = dicom.body_part(tag)
    assert 0 <= regions.region(tag, text, text) <= regions.OTHER
    assert found == regions.OTHER or regions.region(tag, text, text) == found


def test_regions_are_the_classes_of_both_cards():
    assert DATASETS["radnet"].classes == DATASETS["open-radnet"].classes == regions.REGIONS
    assert len(regions.REGIONS) == len(dicom.KEYWORDS) + 1


def test_series_without_a_tag_are_labelled_by_their_descriptions(tmp_path):
    root = tmp_path / "data"
    for k in range(3):
        ds = trees.ct_header("s", k, part="", SeriesDescription="Thorax Mustermann", StudyDescription="CT CHEST")
        (root / "a").mkdir(parents=True, exist_ok=True)
        ds.save_as(root / "a" / f"{k}", enforce_file_format=True)
    found = {}
    for source in ("tag", "described"):
        samples, _ = ct_series.scan(root, card_of("open-radnet", {"labels_from": source, "min_slices": 2}))
        found[source] = set(samples["label"])
        assert "Mustermann" not in samples.astype(str).to_csv() and "CHEST" not in samples.astype(str).to_csv()
    assert found == {"tag": {regions.OTHER}, "described": {regions.REGIONS.index("thorax")}}


def test_descriptions_stand_for_reports_where_there_are_none(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    for n, modality in enumerate(("MR", "DX", "US")):
        for k in range(2):
            said = {"StudyDescription": f"study {modality}", "SeriesDescription": f"series {k}"} if n else {}
            more = {"BurnedInAnnotation": "NO", "StudyInstanceUID": f"1.2.{n}"}
            ds = trees.radiology(modality, k, f"P{n}", **said, **more)
            ds.save_as(root / f"{n}{k}", enforce_file_format=True)
    card = DATASETS["open-radiologynet"]
    texts = multimodal.reports(root, card)
    assert sorted(texts) == ["", "series 0\nseries 1\nstudy DX", "series 0\nseries 1\nstudy US"]
    assert texts.attrs["missing"] == 1 and texts.index.name == "exam"
    assert set(texts.index) == set(multimodal.scan(root, card)[0]["exam"])
