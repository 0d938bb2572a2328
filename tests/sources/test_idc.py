"""The rule over the index of the Imaging Data Commons, the lists that are kept, and the way from a list to files."""

from __future__ import annotations

import gzip
import runpy
from dataclasses import replace

import made_index
import pandas as pd
import pytest
from made_index import SEG, series

from tlkit import paths
from tlkit.config import UnknownNameError
from tlkit.datasets.cards import DATASETS
from tlkit.sources import SourceError, files, idc, idc_index, idc_lists, idc_rule, open_radnet

CARDS = {name: card for name, card in DATASETS.items() if card.fetch.get("kind") == "idc"}
KEPT = pd.read_csv(idc.COUNTS, dtype={"card": str, "size": str, "index": str, "sha256": str})
LISTED = sorted(idc.LISTS.glob("*.csv.gz"))
installed = pytest.mark.skipif(
    idc_index.find_installed() != KEPT["index"].iloc[0],
    reason=f"the index of version {KEPT['index'].iloc[0]} is not installed: pip install '.[open]'",
)


@pytest.fixture
def index(tmp_path, monkeypatch):
    """Return a function that puts rows in the place of the index, and a card with a rule over them."""
    monkeypatch.setattr(idc, "LISTS", tmp_path / "none")
    monkeypatch.setattr(idc_index, "find_installed", lambda: "1")

    def make(rows: list[dict], **fetch):
        folder = made_index.write(tmp_path / "index", rows)
        monkeypatch.setattr(idc_index, "folder", lambda: folder)
        said = {"kind": "idc", "index": "1", "series": {"ct": {"modality": "CT", "files": (30, 1000)}}, **fetch}
        return replace(CARDS["open-radnet"], name="toy", fetch=said)

    return make


def chosen(card, size="full") -> list[int]:
    return [int(uid.rpartition(".")[2]) for uid in idc_rule.choose(card, size)["series"]]


def test_licences_phantoms_animals_and_short_series_are_left_out(index):
    rows = [
        series(0),
        series(1, license_short_name="CC BY-NC 4.0"),
        series(2, license_short_name="National Library of Medicine"),
        series(3, collection_id="mice"),
        series(4, collection_id="blocks"),
        series(5, instanceCount=29),
        series(6, instanceCount=1001),
        series(7, PhotometricInterpretation="RGB"),
        series(8, Modality="MR"),
        series(9, analysis_result_id="denoised"),
        series(10, license_short_name="CC BY 3.0"),
    ]
    assert chosen(index(rows)) == [0, 10]


def test_what_a_card_leaves_out_by_words_makers_and_collections(index):
    rows = [
        series(0),
        series(1, SeriesDescription="CHEST_COR"),
        series(2, SeriesDescription="Coronary CTA"),
        series(3, Manufacturer="Riverain Technologies"),
        series(4, collection_id="livers"),
        series(5, sop_class_name=made_index.RAW),
        series(6, SeriesDescription=None),
        series(7, SeriesDescription="SCOUT 2"),
    ]
    without = CARDS["open-radnet"].fetch["without"] | {"collections": {"livers": "for a test"}}
    kinds = {"ct": {"modality": "CT", "sop_class": made_index.CT}}
    assert chosen(index(rows, without=without, series=kinds)) == [0, 2, 6]


def test_few_series_are_the_smallest_of_each_group_one_a_patient(index):
    rows = [series(n, PatientID=f"P{n // 12}") for n in range(36)]
    rows.append(series(36, collection_id="livers", BodyPartExamined="CHEST"))
    card = index(rows, group="region", sizes={"mini": {"each": 2, "beside": 1, "at_most": 60}})
    found = idc_rule.choose(card, "mini")
    assert not found.duplicated(["patient", "group", "collection"]).any()
    assert found.groupby("group").size().to_dict() == dict.fromkeys(
        ("abdomen", "extremities", "head/neck", "pelvis/hip", "spine", "thorax"), 2
    )
    assert chosen(card, "mini")[:6] == [0, 1, 2, 3, 4, 5]
    assert 36 not in chosen(card, "mini")  # 66 slices are over `at_most`


def test_many_slices_are_capped_and_hold_the_smaller_size(index):
    rows = [series(n, PatientID=f"P{n // 2}", BodyPartExamined="CHEST") for n in range(200)]
    rows += [series(n, collection_id="livers", BodyPartExamined="ABDOMEN") for n in range(200, 240)]
    rows += [series(n, BodyPartExamined="LEG", PatientID=f"P{n}") for n in range(240, 243)]
    said = {"small": {"slices": 4000, "collection": 0.7, "region": 0.6}}
    said["large"] = {"slices": 12000, "collection": 0.7, "region": 0.6}
    card = index(rows, group="region", sizes=said)
    small, large = (idc_rule.choose(card, size) for size in said)
    assert set(small["series"]) <= set(large["series"]) and len(small) < len(large)
    for table, size in ((small, "small"), (large, "large")):
        slices = said[size]["slices"]
        assert 0.85 * slices < table["files"].sum() <= slices
        for column, share in (("collection", 0.7), ("group", 0.6)):
            assert (table.groupby(column)["files"].sum() <= share * slices).all()
        assert (table["group"] == "extremities").sum() == 3  # all of what is rare
    assert small["patient"].is_unique  # a second series of a patient comes after one of each
    shuffled = index(rows[::-1], group="region", sizes=said)
    assert idc.digest(idc_rule.choose(shuffled, "small")) == idc.digest(small)


def test_patients_come_with_one_whole_study(index):
    rows = [series(n, PatientID=f"P{n % 4}", StudyInstanceUID=f"s{n}") for n in range(8)]
    rows += [
        series(10 + n, Modality="SEG", sop_class_name=SEG, PatientID=f"P{n % 4}", StudyInstanceUID=f"s{n}")
        | {"instanceCount": 1, "PhotometricInterpretation": None}
        for n in (0, 1, 4, 5, 6)
    ]
    kinds = {"ct": {"modality": "CT"}, "masks": {"modality": "SEG"}}
    sizes = {"mini": {"patients": 2}, "full": {}}
    card = index(rows, series=kinds, together=True, sizes=sizes)
    assert chosen(card, "mini") == [0, 1, 10, 11] and len(chosen(card, "full")) == 10


def test_another_version_of_the_index_is_refused(index, monkeypatch):
    card = index([series(0)])
    monkeypatch.setattr(idc_index, "find_installed", lambda: "2")
    with pytest.raises(SourceError, match=r"stated for version 1 of the index, and 2 is installed(?s:.)*==1"):
        idc_rule.choose(card, "full")


def test_without_the_index_small_sizes_have_their_lists_and_others_say_what_to_install(monkeypatch):
    monkeypatch.setattr(idc_index, "find_spec", lambda name: None)
    monkeypatch.setattr(idc_index, "find_installed", lambda: "")
    assert len(files(DATASETS["open-radnet"], "mini")) == 48
    with pytest.raises(SourceError, match=r"idc-index-data, 80 MB\): pip install '\.\[open\]'"):
        files(DATASETS["open-radnet"], "1.28M")


def test_a_list_that_was_changed_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(idc, "LISTS", tmp_path)
    text = gzip.decompress((idc.COUNTS.parent / "open-radnet-mini.csv.gz").read_bytes())
    (tmp_path / "open-radnet-mini.csv.gz").write_bytes(gzip.compress(text.replace(b",30,", b",31,", 1)))
    with pytest.raises(SourceError, match=r"open-radnet-mini\.csv\.gz has the hash"):
        files(DATASETS["open-radnet"], "mini")


@pytest.mark.parametrize("file", LISTED, ids=lambda file: file.name)
def test_kept_lists_are_those_of_the_hashes_and_all_cc_by(file):
    name, _, size = file.name.removesuffix(".csv.gz").rpartition("-")
    table, kept = idc.series(DATASETS[name], size), KEPT.set_index(["card", "size"]).loc[(name, size)]
    assert idc_lists.count(DATASETS[name], size, table) == {"card": name, "size": size, **kept.to_dict()}
    assert set(table["licence"]) <= {"CC BY 3.0", "CC BY 4.0"}
    assert set(table["doi"].str.lower()) <= set(pd.read_csv(idc.CITATIONS)["doi"])
    assert idc_lists.pack(table) == file.read_bytes()
    rows = files(DATASETS[name], size)
    assert (
        rows["bytes"].sum() == kept["bytes"]
        and rows["url"].str.fullmatch(r"s3://idc-open-data[a-z-]*/[0-9a-f-]{36}/").all()
    )


def test_each_size_of_a_card_has_its_counts():
    wanted = [(card.name, size, card.fetch["about"][size]) for card, size in idc_lists.all_sizes()]
    assert wanted == list(KEPT[["card", "size", "bytes"]].itertuples(index=False, name=None))
    for name, rows in KEPT.groupby("card"):
        last = rows.iloc[-1]
        counts = dict(DATASETS[name].counts)
        images = counts.pop("images", None)
        assert counts == {k: last[k] for k in ("series", "files", "patients")}
        assert images in (None, last["files"] - last["patients"]), "all but a file of masks a patient are slices"


def test_a_size_has_a_text_to_cite():
    text = idc.attribution(DATASETS["open-radnet"], "mini")
    collections = set(idc.series(DATASETS["open-radnet"], "mini")["collection"])
    assert "CC BY" in text and all(name in text for name in collections)
    with pytest.raises(UnknownNameError):
        files(DATASETS["open-radnet"], "huge")


def test_citations_are_plain_text(index):
    index([series(0)])
    table = idc_index.read_citations()
    assert table.loc["10.1/lungs", "citation"] == "Me & you. Lungs (2026)."
    assert table.loc["10.1/masks", "title"] == "Masks"


@pytest.fixture(scope="module")
def whole():
    """The CT series of the real index, read once for all tests, as `idc_index.read_series` gives them."""
    with pytest.MonkeyPatch.context() as patch:
        table = idc_index.read_series(("CT",))
        patch.setattr(idc_index, "read_series", lambda modalities, collections: table)
        candidates = idc_rule.candidates(DATASETS["open-radnet"])
        patch.setattr(idc_rule, "candidates", lambda card, size="": candidates)
        lists = {size: idc_rule.choose(DATASETS["open-radnet"], size) for size in ("mini", "small", "1.28M", "12M")}
    return table, candidates, lists


@installed
def test_open_radnet_is_the_same_to_the_hash_from_the_index(whole):
    found = [idc_lists.count(DATASETS["open-radnet"], size, table) for size, table in whole[2].items()]
    expected = KEPT[KEPT["card"] == "open-radnet"].to_dict("records")
    assert found == expected


@installed
def test_every_chosen_series_is_cc_by_by_the_index(whole):
    table, candidates, lists = whole
    licence = table.set_index("series")["licence"].astype(str)
    for found in (candidates, *lists.values()):
        assert set(licence[found["series"]]) == {"CC BY 3.0", "CC BY 4.0"}
        assert not found["series"].duplicated().any()


@installed
def test_the_page_of_open_radnet_is_what_the_index_gives(whole):
    written = (idc.LISTS.parent / "open_radnet.md").read_text(encoding="utf-8")
    assert open_radnet.page(whole[2], KEPT, *whole[:2]) == written


@installed
def test_the_twins_are_the_same_to_the_hash_from_the_index():
    for name in ("open-liver", "open-glioma"):
        table = idc_rule.choose(DATASETS[name], "full")
        assert idc.digest(table) == idc.counts()[name, "full"]


@installed
def test_choosing_from_the_whole_index_takes_less_than_2_gb():
    """In a process of its own; how long it takes is measured by `python -m benchmarks sources`."""
    found = runpy.run_path(str(paths.REPO / "benchmarks" / "sources.py"))["choose"]()
    assert found["series"] == KEPT.set_index(["card", "size"])["series"]["open-radnet", "12M"] and found["GB"] < 2


def test_a_folder_that_is_fetched_has_lists_that_pip_brings():
    import tomllib

    packed = tomllib.loads((paths.REPO / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["tlkit"]
    assert {"sources/lists/*", "sources/*.md"} <= set(packed)
