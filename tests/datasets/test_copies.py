"""Copies of an image: found by pixels and by look, and never on two sides of a split, whatever the layout."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import trees
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tlkit import paths
from tlkit.config import ConfigError
from tlkit.datasets import DATASETS, copies, identity, splits
from tlkit.datasets.store import open_store
from tlkit.phantoms import write
from tlkit.training.data import describe_test as facts_of
from tlkit.training.data import open_data

NONE = pd.DataFrame({"a": [], "b": [], "distance": []}, dtype=int)


def scene(seed: int, side: int = 64) -> np.ndarray:
    """Return an image uint8 [side,side] whose waves weaken as they shorten, as in photographs and scans."""
    number = np.arange(24)
    waves = np.random.default_rng(seed).normal(size=(24, 24)) / (1 + np.hypot(number[:, None], number))
    at = np.pi * number[:, None] * (np.arange(side) + 0.5) / side
    image = np.cos(at).T @ waves @ np.cos(at)
    return np.uint8((image - image.min()) / np.ptp(image) * 255)


def bits(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.bitwise_count(copies.look(a) ^ copies.look(b)).sum())


def saved_again(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def test_an_image_saved_again_shrunk_or_brighter_looks_the_same_and_another_does_not():
    for seed in range(20):
        image = scene(seed)
        half = np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BOX))
        colour = np.repeat(image[..., None], 3, axis=2)
        assert bits(image, saved_again(image, 90)) <= copies.DISTANCE
        assert bits(image, half) <= copies.DISTANCE
        assert bits(image, image // 2 + 60) <= copies.DISTANCE
        assert bits(image, image.astype(np.int16) - 1024) == bits(image, colour) == 0
        assert bits(image, scene(seed + 100)) > copies.FARTHEST


def test_the_look_is_that_of_a_cosine_transform():
    """Referee: scipy's transform of Pillow's 32 x 32 px. Bits near the median may differ by its rounding."""
    from scipy.fft import dctn

    for seed in range(5):
        image = np.random.default_rng(seed).integers(0, 256, (64, 64), dtype=np.uint8)
        small = image.reshape(32, 2, 32, 2).mean(axis=(1, 3))
        spectrum = dctn(small)[:16, :16].ravel()
        want = np.packbits(spectrum > np.median(spectrum[1:]))
        assert np.bitwise_count(copies.look(image) ^ want).sum() <= 4


@pytest.mark.parametrize("size", [5, 31, 32, 40, 64, 224, 512, 1024])
def test_the_look_is_computed_in_whole_numbers_below_2_to_the_53(size):
    """So that no processor rounds it another way."""
    weights = copies._cosines(size)
    assert (weights == np.rint(weights)).all()
    sums = int(np.abs(weights).sum(axis=1).max())
    assert 2**17 * sums < 2**53 and 2**copies.WIDEST * sums < 2**53  # 16 bits, less their least value; the second sum


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 40), st.integers(0, 24))
def test_near_pairs_are_those_of_all_pairs_of_other_patients(seed, n, farthest):
    rng = np.random.default_rng(seed)
    looks = rng.integers(0, 256, (3, 32), dtype=np.uint8)[rng.integers(0, 3, n)]
    looks ^= np.packbits(rng.random((n, 256)) < 0.04, axis=1)
    looks[rng.random(n) < 0.1] = 0
    patient = rng.integers(0, n, n)
    want = {
        (a, b, d)
        for a in range(n)
        for b in range(a + 1, n)
        if patient[a] != patient[b] and looks[a].any() and looks[b].any()
        if (d := int(np.bitwise_count(looks[a] ^ looks[b]).sum())) <= farthest
    }
    assert set(copies.near_pairs(looks, patient, farthest).itertuples(index=False, name=None)) == want


def table(pixels: list[int], patients: list[str], **columns) -> pd.DataFrame:
    ids = [f"i{n}" for n in range(len(pixels))]
    return pd.DataFrame({"id": ids, "path": ids, "patient": patients, "pixels": pixels, "split": "", **columns})


def test_owners_by_hand():
    """Equal pixels and near pairs join patients, one by way of the other; blank images (negative) only unnamed ones."""
    t = table([5, 5, 7, -1, -1, 8], ["d", "b", "c", "e", "f", "d"])
    near = pd.DataFrame({"a": [2], "b": [5], "distance": [3]})
    found = copies.owners(t, near, named=True)
    assert found["owner"].tolist() == ["b", "b", "b", "e", "f", "b"]
    assert found["copy"].tolist() == ["i0", "i0", "i2", "i3", "i4", "i2"]
    assert copies.owners(t, near, named=False)["owner"].tolist() == ["b", "b", "b", "e", "e", "b"]
    assert copies.owners(t, NONE, named=True)["owner"].tolist() == ["b", "b", "c", "e", "f", "b"]


def test_notes_and_counts_by_hand():
    t = table([5, 5, 7, 8], ["a", "b", "c", "d"], label=[0, 1, 1, 1]).assign(split=["train", "test", "train", "test"])
    near = pd.DataFrame({"a": [2], "b": [3], "distance": [9]})
    assert copies.note_copies(t, near, True) == [
        ("i1", "a copy: the same pixels as i0 in train, with another label", "note"),
        ("i3", "a copy: looks like (9 of 256 bits differ) i2 in train", "note"),
    ]
    assert copies.count(t, near, True) == {"equal": 2, "look_same": 2, "with_two_labels": 2}
    told = copies.say_copies({"equal": 2, "look_same": 2, "with_two_labels": 2}, 4)
    assert told.startswith("of 4 images 2 have a copy with equal pixels, 2 one that looks the same; 2 have")
    assert copies.say_copies({"equal": 0, "look_same": 0, "with_two_labels": 0}, 4) == ""


def test_near_is_a_number_of_bits():
    with pytest.raises(ConfigError, match=r"near is a number of bits from 0 to 24, .*; got 25"):
        copies.keep_near(NONE, 25)
    assert copies.keep_near(None, 16).empty and copies.keep_near(NONE.assign(a=[], b=[]), None).empty


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(["patient", "image"]), st.booleans())
def test_no_equal_pair_across_splits(data, by, named):
    """The property, on tables: whatever is fixed, drawn or known of patients."""
    n = data.draw(st.integers(12, 40))
    draw = lambda values: data.draw(st.lists(values, min_size=n, max_size=n))  # noqa: E731
    pixels = draw(st.integers(-2, 25))
    patient = [f"p{k}" for k in draw(st.integers(0, 15))] if named else [f"i{k}" for k in range(n)]
    fixed = pd.Series(patient).map(dict(zip(sorted(set(patient)), draw(st.sampled_from(["train", "test", ""])))))  # noqa: B905
    t = table(pixels, patient, label=draw(st.integers(0, 1)))
    t = t.assign(split=fixed.fillna("").to_numpy())
    t = t.assign(**copies.owners(t, NONE, named))
    split = splits.assign(t, seed=3, by=by)
    kept = t[(split != "") & ((t["pixels"] >= 0) | (not named))]
    assert kept.groupby("pixels")["id"].agg(lambda ids: split[ids.index].nunique()).max() <= 1
    left = t[split == ""]
    assert set(left["split"]) <= {"test"}, "nothing but test images that have a copy before them is left out"
    unit = "copy" if by == "image" else "owner"
    assert set(left[unit]) <= set(t.loc[split.isin(["train", "val"]), unit])
    assert (splits.assign(t, seed=3, by=by, copies="keep") != "").all()


# data set: (parameters of its phantom, pattern of its images)
PLANTED = {
    "brain-tumor-mri": ({"train": 8, "test": 4, "pixels": 48}, "**/*.jpg"),
    "imagenet": ({"train": 4, "val": 4, "pixels": 40}, "**/*.JPEG"),
    "chestxray": ({"patients": 24, "pixels": 40}, "**/*.png"),
    "rsna-bone-age": ({"train": 40, "val": 12, "test": 12, "pixels": 48}, "**/*.png"),
    "grazpedwri": ({"patients": 20, "pixels": 48}, "**/*.png"),
    "lits": ({"volumes": 8, "pixels": 32, "slices": [6, 6]}, "**/volume-*.nii*"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_no_pixel_equal_pair_across_the_splits_of_any_layout(name, tmp_path, monkeypatch):
    """Every eighth file of the phantom becomes a copy of another, far from it in the tree, and one of its neighbour."""
    parameters, pattern = PLANTED[name]
    card = DATASETS[name]
    made = write.make(card.phantom, paths.phantom_root(), seed=1, **parameters)
    root = tmp_path / "data" / card.folder
    shutil.copytree(made, root, symlinks=False)
    (root / "phantom.json").unlink()
    files = sorted(root.glob(pattern))
    for a, b in [(n, -1 - 2 * n) for n in range(2, 2 + len(files) // 8)] + [(0, 1)]:
        shutil.copyfile(files[a], files[b])
        if name == "lits":  # the mask goes with its volume
            shutil.copyfile(*(files[k].with_name(files[k].name.replace("volume", "segmentation")) for k in (a, b)))
    monkeypatch.setenv("TLKIT_DATA", str(tmp_path / "data"))
    data = {**identity(name), "size": 32, "split": {"val": 0.2, "test": 0.2, "seed": 0}}
    store, found = open_data(data)
    used = found[(found["split"] != "") & (found["pixels"] >= 0)]
    assert used.groupby("pixels")["split"].nunique().max() == 1
    assert used["pixels"].duplicated().any(), "copies inside of one split stay"
    assert set(used["split"]) == {"train", "val", "test"}
    assert facts_of(data, store, found)["test_copies"] == 0
    assert store.meta["copies"]["equal"] > 0
    notes = pd.read_csv(store.path / "rejects.csv").query("kind == 'note'")
    assert notes["reason"].str.contains("a copy: the same pixels as").sum() > 0


def leaky(root: Path) -> Path:
    """Class folders whose test part holds one copy of a training image and one that was saved again."""
    for k in range(8):
        for part, shift in (("Training", 0), ("Testing", 50)):
            for c, name in enumerate("ab"):
                path = root / part / name / f"{k}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(scene(1000 * c + shift + k)).save(path)
    shutil.copyfile(root / "Training/a/0.png", root / "Testing/a/0.png")
    Image.fromarray(saved_again(scene(1001), 90)).save(root / "Testing/a/1.png")  # of Training/b/1.png: another label
    return root


@pytest.fixture
def leaked(tmp_path, monkeypatch):
    from dataclasses import replace

    monkeypatch.setenv("TLKIT_DATA", str(tmp_path / "data"))
    card = replace(DATASETS["covid-ct"], name="leaky", folder="leaky", classes=("a", "b"))
    monkeypatch.setitem(DATASETS, "leaky", card)
    leaky(tmp_path / "data/leaky")
    return lambda **split: {
        **identity("leaky"), "size": 64, "split": {"val": 0.25, "test": 0.2, "seed": 0, **split},
    }  # fmt: skip


def test_test_copies_are_left_out_by_default_kept_as_published_and_told(leaked, caplog):
    store, found = open_data(leaked())
    out = found[found["split"] == ""]
    assert sorted(out["id"]) == ["Testing/a/0.png", "Testing/a/1.png"] and set(out["official"]) == {"test"}
    facts = facts_of(leaked(), store, found)
    assert facts | {"test_patients": 0} == {
        "test_images": 14, "test_patients": 0, "test_copies": 0, "test_left_out": 2, "val_left_out": 0,
    }  # fmt: skip
    assert np.isnan(facts["test_patients"]), "nobody knows them"
    assert copies.say_of_test(facts) == "2 of 16 test images are left out as copies of images in training or validation"
    assert store.meta["copies"] == {"equal": 2, "look_same": 2, "with_two_labels": 2}
    assert "of 32 images 2 have a copy with equal pixels, 2 one that looks the same" in caplog.text
    _, kept = open_data(leaked(copies="keep"))
    assert (kept["split"] != "").all()
    facts = facts_of(leaked(copies="keep"), store, kept)
    assert (facts["test_copies"], facts["test_left_out"]) == (2, 0)
    assert copies.say_of_test(facts) == "2 of 16 test images have a copy in training or validation"
    _, equal = open_data(leaked(near=None))
    assert equal.loc[equal["split"] == "", "id"].tolist() == ["Testing/a/0.png"]
    assert copies.say_of_test(facts | {"test_copies": 0}) == ""


def test_copies_are_one_patient_in_a_split_that_is_drawn(leaked):
    _, found = open_data(leaked(official=False))
    assert (found["split"] != "").all() and set(found["split"]) == {"train", "val", "test"}
    for pair in (["Training/a/0.png", "Testing/a/0.png"], ["Training/b/1.png", "Testing/a/1.png"]):
        both = found[found["id"].isin(pair)]
        assert both["split"].nunique() == both["patient"].nunique() == 1


def test_more_images_than_are_compared_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(copies, "MOST", 3)
    from tlkit.datasets.store import build_store

    store = open_store(
        build_store(DATASETS["covid-ct"], trees.class_folders(tmp_path / "x", DATASETS["covid-ct"].classes), 16)
    )
    rejects = pd.read_csv(store.path / "rejects.csv")
    assert rejects["reason"].tolist() == ["over 3 images: only equal ones were sought among them"]
    assert store.owners(16)["owner"].tolist() == store.table["patient"].tolist()
