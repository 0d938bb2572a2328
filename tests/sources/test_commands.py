"""`python -m tlkit data`: what it prints and does."""

from __future__ import annotations

import io
import shutil
import sys
import textwrap

import pytest
import trees

from tlkit import paths
from tlkit.__main__ import main
from tlkit.datasets import DATASETS, prepare
from tlkit.models.weight_list import WEIGHTS
from tlkit.sources import about, commands, fetch, fetch_plan, files, sizes
from tlkit.workflow import getting

FILE = "/zenodo.org/records/10519652/files/breastmnist_64.npz"


@pytest.fixture
def breast(site, tmp_path, monkeypatch):
    """BreastMNIST at 64 px on the server, as small as can be, with its own MD5 in the card."""
    card = DATASETS["breastmnist"]
    trees.npz(tmp_path / "made", card, 8, 4)
    site.files[FILE] = (tmp_path / "made" / "breastmnist.npz").read_bytes()
    sizes = {**card.fetch["sizes"], "64": {"breastmnist_64.npz": site.md5(FILE)}}
    monkeypatch.setitem(card.fetch, "sizes", sizes)
    monkeypatch.setenv("TLKIT_DATA", str(tmp_path / "my data"))
    return card


def said(capsys, *argv: str, status: int = 0) -> str:
    assert main(list(argv)) == status
    out = capsys.readouterr()
    return out.err if status and not out.out else out.out


def test_the_table_fits_100_columns_and_has_every_card(capsys):
    out = said(capsys, "data")
    assert all(len(line) <= 100 for line in out.splitlines() if not line.startswith("Looked for in "))
    weights = out.partition("\npublished weights")[2].splitlines()[1:-2]
    assert [line.split()[0] for line in weights] == list(WEIGHTS)
    assert [line.split()[0] for line in weights if line.endswith(" yes")] == ["imagenet/tf_efficientnet_lite0"]
    assert next(line for line in weights if line.startswith("radiologynet/vgg16 ")).split()[1] == "1299"
    assert {line.split()[0] for line in out.splitlines()[1:] if line[:1].islower()} >= set(DATASETS)
    organ = next(line for line in out.splitlines() if line.startswith("organcmnist"))
    assert organ.split()[1:] == ["CT", "multiclass", "96.6", "MB", "to", "1.18", "GB", "CC", "BY", "4.0", "no"]


@pytest.mark.parametrize("card", DATASETS.values(), ids=DATASETS)
def test_every_card_is_shown_with_licence_citation_tree_and_steps(card):
    text = commands.show(card.name)
    assert all(len(line) <= 100 or " " not in line.strip() for line in text.replace(card.tree, "").splitlines())
    one_line = " ".join(text.split())
    parts = (card.licence, card.citation, card.source, card.tree, *card.access[1:], "To get it:")
    assert all(" ".join(part.split()) in one_line for part in parts)
    assert all(f"--size {size}" in text for size in (sizes(card) if card.fetch else ()))
    assert card.fetch or "--from FOLDER" in text


@pytest.mark.parametrize("name", [n for n, c in DATASETS.items() if c.fetch.get("kind") in ("http", "git")])
def test_lists_of_cards_are_whole_and_need_no_network(name, monkeypatch):
    monkeypatch.setenv("TLKIT_ENDPOINT_HTTP", "http://127.0.0.1:9")
    card = DATASETS[name]
    for size in sizes(card):
        rows = files(card, size)
        assert len(rows) and about(card, size) > 0 and rows["url"].str.startswith("https://").all()
        assert card.fetch["kind"] == "git" or rows["md5"].str.fullmatch("[0-9a-f]{32}").all()


def test_the_cards_of_medmnist_are_those_of_the_package():
    names = [n for n, c in DATASETS.items() if "10519652" in c.source]
    assert len(names) == 12 and sum(len(sizes(DATASETS[n])) for n in names) == 12 * 7
    assert {px for n in names for px in sizes(DATASETS[n])} == {"mini", "small", "full", "28", "64", "128", "224"}
    counts = [DATASETS[n].counts for n in names]
    assert all(c["images"] == c["train"] + c["val"] + c["test"] for c in counts)
    assert sum(c["images"] for c in counts) == 707_962  # of INFO in medmnist 3.0.2


def test_get_counts_first_then_fetches_and_a_store_is_made(breast, site, capsys, tmp_path):
    out = said(capsys, "data", "get", "breastmnist", "--dry-run")
    assert f"1 file, {len(site.files[FILE]) / 1e3:,.1f} kB" in out and "CC BY 4.0" in out and "dry-run" in out
    assert not (tmp_path / "my data" / "breastmnist").exists()
    out = said(capsys, "data", "get", "breastmnist")
    assert "whole, 1 file" in out and "Whom to cite" in out
    assert "fetched on" in said(capsys, "data", "show", "breastmnist")
    assert next(line for line in said(capsys, "data").splitlines() if line.startswith("breastmnist")).endswith(" 64")
    assert "as its receipt says" in said(capsys, "data", "verify", "breastmnist")
    assert (prepare("breastmnist", 8) / "store.json").is_file()
    (tmp_path / "my data" / "breastmnist" / "breastmnist_64.npz").write_bytes(b"")
    out = said(capsys, "data", "verify", "breastmnist", status=1)
    assert "0 bytes, expected" in out and "data get breastmnist --size 64" in out


def test_get_to_another_place_says_how_to_use_it(breast, capsys, tmp_path):
    out = said(capsys, "data", "get", "breastmnist", "--size", "mini", "--to", str(tmp_path / "b"))
    assert f"export TLKIT_DATA={tmp_path / 'b'}" in out and (tmp_path / "b" / "breastmnist").is_dir()


def test_a_file_that_was_brought_says_which_size_it_is(breast, capsys, tmp_path, site):
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "breastmnist_64.npz").write_bytes(site.files[FILE])
    out = said(capsys, "data", "get", "breastmnist", "--from", str(tmp_path / "downloads"))
    assert "whole, 1 file" in out and not site.asked
    breast.fetch["sizes"]["64"] = {"breastmnist_64.npz": "0" * 32}
    assert "Its list has changed since: " in said(capsys, "data", "verify", "breastmnist")


def test_get_without_a_folder_of_data_makes_one_in_the_repository(breast, capsys, tmp_path, monkeypatch):
    monkeypatch.delenv("TLKIT_DATA")
    monkeypatch.setattr(paths, "DATA", tmp_path / "repository" / "data")
    assert paths.data_root() is None
    assert "export" not in said(capsys, "data", "get", "breastmnist")
    assert paths.data_root() == tmp_path / "repository" / "data"
    assert commands._present(breast) == "64"


def test_a_person_is_asked(breast, site, capsys, monkeypatch):
    class Person(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Person("n\n"))
    assert "Nothing was fetched." in said(capsys, "data", "get", "breastmnist")
    monkeypatch.setattr(sys, "stdin", Person("yes\n"))
    assert "whole" in said(capsys, "data", "get", "breastmnist")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["get", "organcmnst"], "Did you mean 'organ"),
        (["get", "breastmnist", "--size", "29"], "Allowed: mini, small, full, 28, 64, 128, 224"),
        (["get", "lits"], "1. Register"),
        (["get"], "which data set?"),
        (["verify", "lits"], "lits is not there: `python -m tlkit data show lits`"),
        (["make", "lits"], "data make --study lits"),
        (["get", "lits", "--from", "/nowhere at all"], "no such folder"),
    ],
)
def test_what_cannot_be_done_is_told(capsys, argv, words, tmp_path, monkeypatch):
    monkeypatch.setenv("TLKIT_DATA", str(tmp_path))
    text = said(capsys, "data", *argv, status=1)
    assert words in text and "Traceback" not in text


# --- a study's data ---


def study(tmp_path, monkeypatch, size: str = "64"):
    (tmp_path / "studies").mkdir(exist_ok=True)
    text = """
        common:
          data: real
          backbone: resnet10
          size: 32
          seeds: [1]
          split: {val: 0.1, test: 0.1, seed: 0}
          fetch: {breastmnist: "SIZE"}
          pretrainings: {scratch: {title: Scratch}}
          tasks: {B: {title: Breast, dataset: breastmnist, recipe: {base: finetune, epochs: 1}}}
          experiments: {main: {title: all, mode: finetune}}
        scales: {quick: {}}
    """
    (tmp_path / "studies" / "breast.yaml").write_text(textwrap.dedent(text).replace("SIZE", size))
    monkeypatch.setattr(paths, "STUDIES", tmp_path / "studies")


def test_a_study_offers_to_fetch_its_data_once(breast, site, capsys, tmp_path, monkeypatch):
    study(tmp_path, monkeypatch)
    monkeypatch.delenv("ACCEPT", raising=False)
    getting.fetch_missing(["breast", "no such study"], "quick")
    out = capsys.readouterr().out
    assert "python -m tlkit data get breastmnist --size 64" in out and "ACCEPT=1" in out and not site.asked
    monkeypatch.setenv("ACCEPT", "1")
    getting.fetch_missing(["breast"], "quick")
    assert fetch.verify(breast).empty
    capsys.readouterr()
    getting.fetch_missing(["breast"], "quick")
    assert capsys.readouterr().out == ""
    study(tmp_path, monkeypatch, size="full")  # more than is here
    monkeypatch.delenv("ACCEPT")
    getting.fetch_missing(["breast"], "quick")
    assert "in place of size 64" in capsys.readouterr().out


def test_a_study_goes_on_where_nothing_can_be_fetched(breast, capsys, tmp_path, monkeypatch):
    study(tmp_path, monkeypatch)
    monkeypatch.setenv("ACCEPT", "1")
    monkeypatch.setenv("TLKIT_ENDPOINT_HTTP", "http://127.0.0.1:9")
    getting.fetch_missing(["breast"], "quick")
    assert "OfflineError" in capsys.readouterr().out
    assert fetch_plan.folder_of(breast).with_name("breastmnist.part").is_dir()
    shutil.rmtree(tmp_path / "my data")
