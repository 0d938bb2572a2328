"""Groups of a whole archive: cached, repeatable, without a word of a report, and labels for every stored image."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sealed import seal

from tlkit import paths, runs
from tlkit.archives import pseudolabels
from tlkit.archives.pseudolabels import artefact
from tlkit.config import ConfigError, NotAvailableError, UnknownNameError
from tlkit.datasets import DATASETS, prepare
from tlkit.datasets.store import open_store
from tlkit.models import backbone, save_weights
from tlkit.training.recipes import recipe

SECRET = "Musterfrau"  # stands in every report of the fixture `archive`

SMALL = {"k": 9, "tag_epochs": 8, "image_epochs": 2, "image_pixels": 16, "image_size": 8, "floor": 2, "limit": 0.7}


def make(**changes):
    return pseudolabels.make("archive", 16, **{**SMALL, **changes})


def test_the_artefact_holds_every_image_group_and_score(archive):
    folder = make(also=[3])
    assert folder.parent == paths.groups_root() and folder.name.startswith("archive-")
    assert sorted(f.name for f in folder.iterdir()) == ["groups.json", "groups.parquet", "scores.csv", "summary.csv"]
    table, summary = pd.read_parquet(folder / "groups.parquet"), pd.read_csv(folder / "summary.csv")
    store = open_store(prepare("archive", 16))
    assert table["id"].tolist() == store.table["id"].tolist()
    assert list(table) == artefact.COLUMNS
    assert table.groupby("path")["group"].nunique().eq(1).all()  # all frames of a file share a label
    assert summary["size"].sum() == 48 and summary["images"].sum() == len(table) == 72
    assert table["group"].value_counts().sort_index().tolist() == summary["images"].tolist()
    assert set(table.loc[table["kept"], "label"]) == set(range(summary["kept"].sum()))
    assert (table.loc[~table["kept"], "label"] == -1).all()
    scores = pd.read_csv(folder / "scores.csv")
    assert set(scores["source"]) == {"text", "tags", "images", "fusion"} and set(scores["k"]) == {3, 9}
    facts = json.loads((folder / "groups.json").read_text())
    assert (facts["files"], facts["images"], facts["exams"], facts["exams_without_report"]) == (48, 72, 24, 4)
    assert facts["kept"] == summary["kept"].sum() and facts["settings"]["k"] == 9
    assert facts["tags_dropped"]["Modality"] == "what the groups are judged by"


def test_groups_that_changed_on_the_disk_are_not_used(archive):
    folder = make()
    table, path = open_store(prepare("archive", 16)).table, folder / "groups.parquet"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    for changed, reason in ((bytes(data), "its bytes changed"), (b"", "its bytes changed"), (None, "missing")):
        path.write_bytes(changed) if changed is not None else path.unlink()
        with pytest.raises(runs.RunDamagedError, match=rf"groups.parquet is damaged .{reason}.*remove {folder.name}`"):
            pseudolabels.labels(table, folder)
    assert runs.remove(folder.name) == [folder.name]
    assert pseudolabels.labels(table, make()).notna().all()


def test_threads_are_a_setting_and_not_those_of_the_caller(archive):
    assert pseudolabels.settings().threads == 1 and make(threads=2) != make()


def test_no_word_of_a_report_is_written(archive):
    folder = make()
    assert SECRET in (archive / "reports.json").read_text()
    for file in [*folder.iterdir(), *paths.groups_root().glob(".*")]:
        assert SECRET.encode() not in file.read_bytes() and b"Befund" not in file.read_bytes()
    words = pd.read_parquet(folder / "groups.parquet").select_dtypes(include=["object", "string"]).stack()
    assert not words.str.contains(SECRET).any()


def test_equal_settings_are_not_computed_again_and_others_are(archive, monkeypatch):
    folder = make()
    before = (folder / "groups.parquet").stat().st_mtime_ns
    assert make() == folder and (folder / "groups.parquet").stat().st_mtime_ns == before
    assert make(k=8) != folder
    first = (folder / "groups.parquet").read_bytes(), (folder / "scores.csv").read_bytes()
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    assert make() == folder
    assert ((folder / "groups.parquet").read_bytes(), (folder / "scores.csv").read_bytes()) == first


def test_an_interrupted_one_leaves_nothing_that_counts(archive, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(artefact.clustering, "compare", stop)
        make()
    assert [f for f in paths.groups_root().iterdir() if f.is_dir()] == []
    assert (make() / "groups.json").is_file()


def test_labels_go_by_id_in_any_order(archive):
    folder = make()
    table = open_store(prepare("archive", 16)).table
    found = pseudolabels.labels(table, folder)
    expected = pd.read_parquet(folder / "groups.parquet")["label"]
    assert found.tolist() == expected.tolist() and found.dtype == np.int64
    part = table.iloc[[5, 3, 40]]
    assert pseudolabels.labels(part, folder).tolist() == expected.iloc[[5, 3, 40]].tolist()
    with pytest.raises(ConfigError, match="1 of 3 images have no group"):
        pseudolabels.labels(part.assign(id=["x", *part["id"][1:]]), folder)


def test_a_source_can_be_left_out(archive):
    folder = make(sources=["tags"])
    assert set(pd.read_csv(folder / "scores.csv")["source"]) == {"tags"}
    assert "exams" not in json.loads((folder / "groups.json").read_text())


def test_parts_of_the_body_are_found(archive):
    table = pd.read_parquet(make(k=4, sources=["text"], limit=1.0) / "groups.parquet")
    # Three parts, and a fourth group of the exams without a report.
    written = table[table["exam"].map(lambda e: int(e[1:]) % 6 != 5)]
    assert pd.crosstab(written["group"], written["body_part"]).gt(0).sum().tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"groups": 9}, "unknown parameter of pseudo-labels 'groups'"),
        ({"method": "kmean"}, "Did you mean 'kmeans'"),
        ({"images": "simcl"}, "Did you mean 'simclr'"),
        ({"rule": "treshold"}, "Did you mean 'threshold'"),
        ({"sources": ["text", "pixels"]}, "unknown source 'pixels'"),
    ],
)
def test_a_wrong_parameter_stops_before_any_work(changes, words):
    with pytest.raises(UnknownNameError, match=words):
        make(**changes)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"sources": []}, "sources: expected one or more of text, tags, images"),
        ({"sources": ["text", "text"]}, "sources: expected one or more of text, tags, images"),
        ({"limit": 50}, "limit: expected 0 to 1, found 50"),
        ({"encoder": "pretrain-x"}, "goes with images 'simclr', found 'autoencoder'"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        make(**changes)


def test_the_encoder_of_a_run_is_used(archive):
    encoder, folder = backbone("resnet10", seed=3), runs.folder("pretrain-x")
    folder.mkdir(parents=True)
    save_weights(encoder, folder / "model.safetensors")
    config = {"kind": "pretrain", "backbone": "resnet10", "seed": 1, "recipe": recipe("simclr").to_dict()}
    runs.write_json(folder / "config.json", config)
    seal("pretrain-x")
    made = make(images="simclr", encoder="pretrain-x", sources=["images"])
    assert json.loads((made / "groups.json").read_text())["dimensions"] == {"images": 256}


def test_whole_patients_are_held_out_and_images_of_a_file_are_averaged(archive, monkeypatch):
    seen = {}

    def number(store, held_out, *rest):
        seen["held_out"] = store.table.loc[held_out, "patient"], store.table.loc[~held_out, "patient"]
        return np.stack([store.table["frame"] * 4.0, np.ones(len(store))], axis=1)

    monkeypatch.setitem(artefact.images.EXTRACTORS, "autoencoder", number)
    store = open_store(prepare("archive", 16))
    chosen = pseudolabels.settings(**SMALL, sources=["images"])
    files, blocks, facts = artefact.embed(store, archive, DATASETS["archive"], chosen)
    out, rest = seen["held_out"]
    assert len(out) and not set(out) & set(rest)
    expected = [2.0 if path.endswith("_1") else 0.0 for path in files["path"]]  # frames 0 and 1, or frame 0
    assert blocks["images"][:, 0].tolist() == expected and facts == {"files": 48, "images": 72}


def test_the_phantom_hospital_goes_the_whole_way():
    phantom = {"seed": 2, "patients": 8, "pixels": 32}
    folder = pseudolabels.make("radiologynet", 16, phantom, **SMALL)
    assert folder.name.startswith("radiologynet-phantom-")
    store = open_store(prepare("radiologynet", 16, phantom=phantom))
    table = pd.read_parquet(folder / "groups.parquet")
    assert table["id"].tolist() == store.table["id"].tolist() and table["group"].nunique() == 9
    root = artefact.files_of("radiologynet", phantom)
    reports = pd.read_csv(root / "reports.csv", encoding_errors="replace").fillna("")
    for file in folder.iterdir():
        found = file.read_bytes()
        assert not [t for t in [*reports["text"], *reports["exam"]] if t and t[:25].encode() in found], file.name
    scores = pd.read_csv(folder / "scores.csv").set_index(["source", "target"])["homogeneity"]
    assert scores["tags", "modality"] > 0.8 > scores["text", "modality"]  # headers know the scanner


def test_a_data_set_without_reports_is_no_archive():
    with pytest.raises(ConfigError, match="'lits' has neither headers nor reports"):
        pseudolabels.make("lits", 16)


def test_no_group_that_stays_is_not_available_and_leaves_nothing(archive):
    with pytest.raises(NotAvailableError, match=r"^archive: none of 9 groups is kept \(rule threshold, limit 0.7"):
        make(floor=49)
    assert [f for f in paths.groups_root().iterdir() if f.is_dir()] == []


def test_more_groups_than_files_say_both_numbers(archive):
    with pytest.raises(ConfigError, match="49 groups asked for, 48 distinct samples"):
        make(k=49)
