"""What a run costs before any like it was measured: images by hand from the papers, work by torchvision's own count."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trees
from torchvision.models import get_model_weights

from tlkit import studies
from tlkit.__main__ import main
from tlkit.datasets import DATASETS, identity
from tlkit.training.data import chosen_rows, open_data
from tlkit.workflow import prices
from tlkit.workflow.minutes import count_passes, plan_minutes

SPLIT = {"val": 0.125, "test": 0.125, "seed": 0}


def images(name: str, **more) -> float:
    return prices.Counter().images({"name": name, "size": 32, "split": SPLIT} | more)


@pytest.mark.parametrize(
    ("name", "more", "published"),
    [
        ("grazpedwri", {"balance": True}, 3_708),  # 2 x 2,473 of 20,327 images
        ("covid-radiography", {"balance": True}, 5_424),  # 2 x 3,616
        ("covid-radiography", {}, 0.75 * (3_616 + 10_192)),
        ("brain-tumor-mri", {"split": SPLIT | {"val": 0.25}}, 4_282),  # of 5,712; the test part is official
        ("rsna-bone-age", {}, 12_611),  # all parts are official
        ("rsna-bone-age", {"split": SPLIT | {"official": False}}, 0.75 * 14_236),
        ("imagenet", {"split": SPLIT | {"official": False}}, 0.75 * (1_281_167 + 50_000)),
        ("chestxray", {"split": SPLIT | {"val": 0.1}}, 77_871),  # of 86,524
        ("imagenet", {"classes": {"every": 10}}, 128_117),
        ("brats", {"images": 19_650}, 19_650),
        ("radiologynet", {"where": {"modality": "CT"}}, 0.75 * 0.5373 * 1_902_414),
        ("radiologynet", {"where": {"modality": "MR"}}, 0.75 * 0.4627 * 1_902_414),  # at most: all that are not CT
    ],
)
def test_images_of_data_that_are_not_there_are_the_published_ones(name, more, published):
    assert images(name, **more) == pytest.approx(published, rel=1e-3)


def test_patients_that_are_drawn_by_number_are_a_share_of_the_images(monkeypatch):
    card = replace(DATASETS["brats"], counts={"patients": 369, "images": 36_900})
    monkeypatch.setitem(DATASETS, "brats", card)
    assert images("brats", split={"val": 30, "test": 30, "seed": 0}) == pytest.approx(30_900)


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("luna16", {}, "the card of luna16 does not count its images"),
        ("radiologynet", {"phantom": {"seed": 1}}, "how many images the phantom of radiologynet has"),
    ],
)
def test_what_nobody_counts_is_said(name, more, words):
    with pytest.raises(prices.UnpricedError, match=words):
        images(name, **more)


def test_a_phantom_that_nobody_counts_is_written(tmp_path):
    facts = identity("covid-radiography", {"seed": 1, "images": 12, "pixels": 32})
    assert images("covid-radiography", split={"val": 0, "test": 0, "seed": 0}, phantom=facts["phantom"]) == 12


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A data set of one's own, of which the card knows no number: two classes of 6 and 3 training images."""
    root = tmp_path / "files"
    folders = ["Training/a"] * 6 + ["Training/b"] * 3 + ["Testing/a"] * 2 + ["Testing/b"] * 2
    for seed, folder in enumerate(folders):
        trees.picture(root / "own" / folder / f"{seed}.png", seed, mode="L")
    monkeypatch.setenv("TLKIT_DATA", str(root))
    card = replace(DATASETS["brain-tumor-mri"], name="own", folder="own", classes=(), counts={})
    monkeypatch.setitem(DATASETS, "own", card)


@pytest.mark.parametrize("more", [{}, {"balance": True}, {"classes": 1}, {"where": {"class": "b"}}])
@pytest.mark.parametrize("val", [0, 0.3])
def test_images_that_are_there_are_counted_as_a_run_takes_them(own, data, more, val):
    entry = {**identity("own"), "size": 8, "split": {"val": val, "test": 0, "seed": 0}, **more}
    _, table = open_data(entry)
    counted = prices.Counter().images(entry)
    assert counted == len(chosen_rows(entry, table, "train"))
    assert counted == {"{}": 9, "{'classes': 1}": 6, "{'where': {'class': 'b'}}": 3}.get(str(more), counted) or val


@pytest.mark.parametrize("name", ["resnet50", "densenet121", "mobilenet_v3_small"])
def test_the_work_of_a_network_is_what_torchvision_counts(name):
    published = get_model_weights(name).DEFAULT.meta["_ops"]  # 10^9 multiply-adds
    assert prices.work(f"torchvision/{name}", 224) == pytest.approx(2e9 * published, rel=0.05)


def test_work_grows_with_pixels_and_by_a_decoder():
    small, large = (prices.work("resnet10", size) for size in (32, 64))
    assert large == pytest.approx(4 * small, rel=0.01) and prices.work("resnet10", 64, "unet") > 1.2 * large
    config = {"kind": "pretrain", "backbone": "resnet10", "data": {"size": 64}, "recipe": {"decoder": "unet"}}
    assert prices.relative_work(config, "resnet10", 32) == pytest.approx(4, rel=0.01)
    cut = {**config, "recipe": {"decoder": "unet", "crop": 32}}
    assert prices.relative_work(cut, "resnet10", 32) == 1
    assert prices.relative_work(cut, "torchvision/resnet50", 224) == 1 / prices.FASTEST
    with pytest.raises(prices.UnpricedError, match=r"inception_v3 takes no image of 32 px: .* at least 75"):
        prices.work("torchvision/inception_v3", 32)


def test_an_epoch_of_a_given_length_is_no_matter_of_images_or_fractions():
    recipe = {"epochs": 200}
    config = {"kind": "finetune", "fraction": 0.5, "images_per_epoch": 300_000, "recipe": recipe, "data": {}}
    assert count_passes(config) == 60_000_000
    views = {"kind": "pretrain", "images_per_epoch": 10, "recipe": recipe, "data": {}}
    assert count_passes(views) == 4_000, "two of an image"


@pytest.mark.parametrize(("name", "runs"), [("boundaries", 490), ("radiologynet", 1369)])
def test_every_run_at_the_paper_scale_has_a_price(name, runs):
    plan = plan_minutes(studies.load(name, "paper"))
    assert len(plan) == runs and plan["minutes"].gt(0).all() and set(plan["unpriced"]) == {""}
    if name == "boundaries":  # published: 8.7 hours on eight A100
        hours = plan[plan["kind"] == "pretrain"].set_index("pretraining")["minutes"] / 60
        assert hours["imagenet"] == pytest.approx(8.7, rel=0.02)


def test_runs_without_a_price_are_said_with_the_reason(capsys, monkeypatch):
    before = studies.load("boundaries", "smoke")
    spec = {**before.spec, "images_per_second": {"pretrain": 300}}
    monkeypatch.setattr(studies, "load", lambda *_: studies.Study("boundaries", "smoke", spec))
    assert main(["plan", "--scale", "smoke"]) == 0
    out, n = capsys.readouterr().out, len(before.finetune())
    assert f"Not in this sum: {n} runs, since the study file has no `images_per_second` of finetune." in out
