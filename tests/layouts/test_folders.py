import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import trees
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tlkit.datasets import DATASETS, UnreadableFile
from tlkit.layouts import folders

CARD = replace(DATASETS["brain-tumor-mri"], classes=())


def one(root, path):
    return folders.decode(root, pd.DataFrame({"path": [path]}), replace(CARD, options={}))[0][0]


def test_splits_classes_and_labels_come_from_the_folders(tmp_path):
    trees.class_folders(tmp_path, parts=("TRAIN", "Validation", "testing"))
    samples, rejects = folders.scan(tmp_path, CARD)
    assert samples.groupby(["split", "label"]).size().to_dict() == {
        (s, k): 4 for s in ("train", "val", "test") for k in (0, 1)
    }
    assert samples["id"].is_monotonic_increasing and samples["id"].is_unique and rejects.empty
    assert folders.classes(tmp_path, CARD) == ("a", "b")


def test_class_folders_without_split_folders(tmp_path):
    trees.class_folders(tmp_path, parts=("",))
    assert set(folders.scan(tmp_path, CARD)[0]["split"]) == {""}


def test_the_card_may_rename_a_split(tmp_path):
    trees.class_folders(tmp_path, parts=("train", "val"))
    samples, _ = folders.scan(tmp_path, replace(CARD, options={"splits": {"val": "test"}}))
    assert set(samples["split"]) == {"train", "test"}


def test_folders_that_the_card_does_not_know_are_an_error(tmp_path):
    trees.class_folders(tmp_path, classes=("a", "c"))
    with pytest.raises(ValueError, match="missing: b; unknown: c"):
        folders.scan(tmp_path, replace(CARD, classes=("a", "b")))


def test_nothing_is_left_out_in_silence(tmp_path):
    trees.class_folders(tmp_path)
    (tmp_path / "Training/a/.hidden.jpg").touch()
    (tmp_path / "Training/a/Thumbs.db").touch()
    trees.picture(tmp_path / "Training/lost.png")
    trees.picture(tmp_path / "extra/a/x.png")
    samples, rejects = folders.scan(tmp_path, CARD)
    assert len(samples) == 16
    assert dict(zip(rejects["path"], rejects["reason"], strict=True)) == {
        "Training/a/Thumbs.db": "'.db' is no image extension",
        "Training/lost.png": "class of the file is unknown (found: None)",
        "extra/": "folder is no split",
    }
    assert set(rejects["kind"]) == {"rule"}


@pytest.mark.parametrize("flat", [True, False])
def test_imagenet_labels_follow_the_mapping_and_val_is_halved(tmp_path, flat):
    trees.imagenet(tmp_path, flat=flat)
    samples, rejects = folders.scan(tmp_path, DATASETS["imagenet"])
    assert rejects.empty
    assert folders.classes(tmp_path, DATASETS["imagenet"]) == ("n01530575", "n01440764")
    assert samples.groupby(["split", "label"]).size().to_dict() == {
        ("train", 0): 3, ("train", 1): 3, ("val", 0): 2, ("val", 1): 2, ("test", 0): 2, ("test", 1): 2,
    }  # fmt: skip
    label = samples.set_index(samples["path"].str.rsplit("/").str[-1])["label"]
    assert label["ILSVRC2012_val_00000004.JPEG"] == 0 and label["ILSVRC2012_val_00000005.JPEG"] == 1


def test_both_layouts_of_val_are_halved_alike(tmp_path):
    halves = []
    for flat in (True, False):
        samples, _ = folders.scan(trees.imagenet(tmp_path / str(flat), val=9, flat=flat), DATASETS["imagenet"])
        samples = samples[samples["split"] != "train"]
        halves.append(dict(zip(samples["path"].str.rsplit("/").str[-1], samples["split"], strict=True)))
    assert halves[0] == halves[1] and sorted(halves[0].values()).count("test") == 9


def test_the_official_val_gives_25_of_each_class_to_both_halves():
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(1000), 50))
    ids = [f"val/ILSVRC2012_val_{k:08d}.JPEG" for k in range(1, 50_001)]
    half = folders.halve(pd.DataFrame({"id": ids, "split": "val", "label": labels}), "val")
    counts = pd.crosstab(labels, half)
    assert (counts == 25).all(axis=None) and counts.shape == (1000, 2)
    tenth = labels % 10 == 0  # ImageNet-100
    assert half[tenth].value_counts().to_dict() == {"val": 2500, "test": 2500}


def test_the_tree_of_the_kaggle_archive(tmp_path):
    trees.imagenet(tmp_path)
    inner = tmp_path / folders.KAGGLE
    inner.mkdir(parents=True)
    (tmp_path / "train").rename(inner / "train")
    (tmp_path / "val").rename(inner / "val")
    samples, rejects = folders.scan(tmp_path, DATASETS["imagenet"])
    assert len(samples) == 14 and rejects.empty


def test_decode_gives_the_pixels_of_the_file(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    assert (one(tmp_path, "x.png") == pixels).all()
    Image.fromarray(pixels[..., 0]).save(tmp_path / "grey.png")
    grey, _ = folders.decode(tmp_path, pd.DataFrame({"path": ["grey.png"]}), CARD)
    assert grey[0].shape == (5, 7) and (grey[0] == pixels[..., 0]).all()
    assert (one(tmp_path, "grey.png") == pixels[..., :1]).all()


def test_decode_turns_by_exif_and_converts_palettes_and_cmyk(tmp_path):
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[0, :, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    assert (one(tmp_path, "turned.png") == np.rot90(pixels, -1)).all()
    Image.fromarray(pixels).convert("P").save(tmp_path / "palette.png")
    assert (one(tmp_path, "palette.png") == pixels).all()
    Image.fromarray(np.full((8, 8, 3), 255, np.uint8)).convert("CMYK").save(tmp_path / "cmyk.jpg")
    assert one(tmp_path, "cmyk.jpg").min() > 250


def damaged(root):
    """Write one file of each kind of damage; return {name: words of the reason}."""
    whole = trees.picture(root / "whole.jpg", size=(64, 64)).read_bytes()
    (root / "empty.jpg").touch()
    (root / "text.jpg").write_text("this was never an image")
    (root / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "noise.png").write_bytes(np.random.default_rng(0).bytes(500))
    Image.fromarray(np.full((4, 4), 0.5, np.float32)).save(root / "deep.tif")
    frames = [Image.fromarray(np.full((4, 4), v, np.uint8)) for v in (0, 255)]
    frames[0].save(root / "film.gif", save_all=True, append_images=frames[1:])
    return {
        "empty.jpg": "cannot identify", "text.jpg": "cannot identify", "cut.jpg": "truncated",
        "noise.png": "cannot identify", "deep.tif": "more than 8 bits, not unsigned 16", "film.gif": "2 frames",
    }  # fmt: skip


DEEP = np.array([[0, 128, 129, 4095], [16448, 32896, 65407, 65535]], np.uint16)


@pytest.mark.parametrize("name", ["x.png", "x.tif"])
def test_16_bits_are_read_with_a_range_that_is_said(tmp_path, name):
    Image.fromarray(DEEP).save(tmp_path / name)
    with pytest.warns(UserWarning, match="16 bits are read with 0 as black and 65535 as white.*`range"):
        image = one(tmp_path, name)
    assert image.dtype == np.uint8 and image.shape == (2, 4, 3)
    assert image[..., 0].tolist() == [[0, 0, 1, 16], [64, 128, 255, 255]] and (image[..., 0] == image[..., 2]).all()


@pytest.mark.parametrize(
    ("kind", "ends", "expected"),
    [
        (np.uint16, (0, 4095), [[0, 8, 8, 255], [255, 255, 255, 255]]),
        (np.int32, (0, 65535), [[0, 0, 1, 16], [64, 128, 255, 255]]),
        (np.float32, (128, 4095), [[0, 0, 0, 255], [255, 255, 255, 255]]),
    ],
)
def test_the_card_says_which_values_are_black_and_white(tmp_path, kind, ends, expected):
    Image.fromarray(DEEP.astype(kind)).save(tmp_path / "x.tif")
    card = replace(CARD, options={"channels": 1, "range": ends})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = folders.decode(tmp_path, pd.DataFrame({"path": ["x.tif"]}), card)[0][0]
    assert image.tolist() == expected


def test_floats_that_are_no_numbers_are_unreadable(tmp_path):
    Image.fromarray(np.array([[0, np.nan]], np.float32)).save(tmp_path / "x.tif")
    with pytest.raises(UnreadableFile, match="not finite"):
        folders.decode(tmp_path, pd.DataFrame({"path": ["x.tif"]}), replace(CARD, options={"range": (0, 1)}))


@settings(deadline=None)
@given(st.integers(0, 65535), st.integers(0, 65534), st.integers(1, 65535))
def test_a_range_keeps_the_order_and_its_ends(value, low, width):
    image = folders.to_bytes(np.array([[low, value, low + width]]), (low, low + width))
    assert image[0, 0] == 0 and image[0, 2] == 255
    assert image[0, 1] == round(min(max((value - low) / width, 0), 1) * 255) or width > 2**15


def test_damaged_files_give_their_reason_without_this_machines_path(tmp_path):
    for name, words in damaged(tmp_path).items():
        with pytest.raises(UnreadableFile, match=words) as error:
            one(tmp_path, name)
        assert str(tmp_path) not in str(error.value)
