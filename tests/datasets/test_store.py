import errno
import itertools
import json
import logging
import os
import pickle
import shutil
import threading
from collections import namedtuple
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import trees
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_folders import damaged

from tlkit import files
from tlkit.datasets import DATASETS, content_hash, decoding, identity, layout_of, prepare, shards, store
from tlkit.datasets.arrays import resize
from tlkit.datasets.rejects import StoreError, UnreadableShareError
from tlkit.datasets.splits import assign, check_disjoint
from tlkit.datasets.store import build_store, open_store
from tlkit.files import DiskSpaceError
from tlkit.layouts import folders
from tlkit.npyfiles import NpyWriter

CARD = replace(DATASETS["brain-tumor-mri"], name="toy", classes=())
pytestmark = pytest.mark.filterwarnings("ignore:toy. .* unreadable files")


@pytest.mark.parametrize("card", DATASETS.values(), ids=DATASETS)
def test_every_card_goes_from_files_to_a_store(card, tmp_path):
    root = trees.for_card(card, tmp_path / "data")
    samples, rejects = layout_of(card).scan(root, card)
    assert {"id", "path", "frame", "patient", "split"} <= set(samples)
    order = samples["frame"] if card.layout == "npz" else samples["id"]  # that of the arrays
    assert (
        samples["id"].is_unique and order.is_monotonic_increasing and (rejects.empty or card.name == "open-chest")
    )  # X-rays of more
    assert not samples["path"].str.startswith("/").any() and set(samples["split"]) <= {
        "train",
        "val",
        "test",
        "",
    }
    opened = open_store(build_store(card, root, 8))
    images, masks = opened.take(np.arange(len(opened)))
    assert len(images) == len(opened) == len(samples) and tuple(images.shape[1:3]) == (8, 8)
    deep = card.layout in ("ct_series", "lits", "luna16", "brats", "open_ms", "dicom_seg")
    assert images.dtype == (torch.int16 if deep else torch.uint8)
    assert (masks is not None) == (card.task == "segmentation")
    if card.task == "regression":
        assert opened.table[[card.options["target"], *card.options["inputs"]]].notna().all(axis=None)
    elif masks is None:
        names = [*opened.meta["classes"], *card.options.get("also", ())]
        assert opened.table["label"].between(0, len(names) - 1).all()
    else:
        assert masks.dtype == torch.uint8
        for column, value in card.options["mask_columns"].items():
            assert (opened.table[column].to_numpy() == (masks == value).sum((1, 2)).numpy()).all()
    check_disjoint(assign(opened.table), opened.table["patient"])


def test_a_store_holds_the_decoded_values_in_the_order_of_its_table(tmp_path):
    trees.class_folders(tmp_path / "data", n=3)
    opened = open_store(build_store(CARD, tmp_path / "data", 16))
    assert opened.path.name.startswith("toy-16px-") and opened.meta["classes"] == ["a", "b"]
    for i, row in opened.table.iterrows():
        (image,), _ = folders.decode(tmp_path / "data", pd.DataFrame([row]), CARD)
        assert (opened.images[i] == resize(image, 16)).all()
    order = np.array([5, 0, 1, 2, 11, 5])
    assert (opened.take(order)[0].numpy() == opened.images[order]).all()
    assert len(opened.take(np.array([], dtype=int))[0]) == 0


def test_take_refuses_rows_that_are_not_there_and_survives_pickling(tmp_path):
    trees.class_folders(tmp_path / "data", n=1)
    opened = open_store(build_store(CARD, tmp_path / "data", 4))
    for wrong in ([-1], [4]):
        with pytest.raises(IndexError, match="of a store of 4 images"):
            opened.take(np.array(wrong))
    before = opened.take(np.arange(4))[0]
    assert (pickle.loads(pickle.dumps(opened)).take(np.arange(4))[0] == before).all()


def test_building_again_does_nothing_and_one_worker_gives_the_same_bytes(tmp_path, monkeypatch):
    trees.class_folders(tmp_path / "data")
    path = build_store(CARD, tmp_path / "data", 8, workers=4)
    alone = build_store(CARD, tmp_path / "data", 8, out_root=tmp_path / "other", workers=1)
    assert alone.name == path.name
    for name in os.listdir(path):
        assert (path / name).read_bytes() == (alone / name).read_bytes()
    monkeypatch.setattr(store, "_build", None)
    assert build_store(CARD, tmp_path / "data", 8) == path


def test_the_name_changes_with_content_size_and_options_but_not_with_the_place(tmp_path):
    root = trees.class_folders(tmp_path / "data")
    names = [build_store(CARD, root, 8).name]
    names.append(build_store(CARD, root, 9).name)
    names.append(build_store(replace(CARD, options={"channels": 3}), root, 8).name)
    shutil.copytree(root, tmp_path / "moved")
    assert build_store(CARD, tmp_path / "moved", 8).name == names[0]
    trees.picture(root / "Training/a/a_0.jpg", seed=99, mode="L")
    names.append(build_store(CARD, root, 8).name)
    (root / "Training/a/a_1.jpg").rename(root / "Training/b/a_1.jpg")
    names.append(build_store(CARD, root, 8).name)
    assert len(set(names)) == len(names)


def test_an_unchanged_tree_is_not_read_again(tmp_path, monkeypatch):
    root = trees.class_folders(tmp_path / "data")
    monkeypatch.setattr("tlkit.datasets.content.SETTLED", 0)
    first = content_hash(root)
    monkeypatch.setattr("tlkit.datasets.content._sha256", lambda file: pytest.fail(f"{file} was read"))
    assert content_hash(root) == first


def test_files_of_equal_size_and_date_that_change_places_are_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr("tlkit.datasets.content.SETTLED", 0)
    (tmp_path / "data").mkdir()
    a, b = (tmp_path / "data" / name for name in "ab")
    seen = set()
    for first, second in ((b"1", b"2"), (b"2", b"1")):  # as when an archive is unpacked anew
        a.unlink(missing_ok=True)
        b.unlink(missing_ok=True)
        for file, text in ((a, first), (b, second)):
            file.write_bytes(text)
            os.utime(file, (1_000_000_000, 1_000_000_000))
        seen.add(content_hash(tmp_path / "data"))
    assert len(seen) == 2


def test_the_cache_of_digests_names_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tlkit.datasets.content.SETTLED", 0)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "Musterfrau_Erika.jpg").write_bytes(b"1")
    content_hash(tmp_path / "data", tmp_path / "cache.parquet")
    kept = pd.read_parquet(tmp_path / "cache.parquet")
    assert len(kept) == 1 and "Muster" not in kept.to_csv()


def test_damaged_files_go_to_rejects_with_their_reason(tmp_path):
    trees.class_folders(tmp_path / "data", classes=("a",), parts=("train",), n=6)
    reasons = damaged(tmp_path / "data/train/a")
    (tmp_path / "data/train/a/list.csv").touch()
    with pytest.warns(UserWarning, match="toy: 6 unreadable files and 1 files or slices left out by a rule"):
        opened = open_store(build_store(CARD, tmp_path / "data", 8, max_unreadable=0.5))
    assert len(opened) == 7  # six and whole.jpg
    rejects = pd.read_csv(opened.path / "rejects.csv").set_index("path")
    for name, words in reasons.items():
        assert words in rejects.at[f"train/a/{name}", "reason"]
        assert rejects.at[f"train/a/{name}", "kind"] == "unreadable"
    assert rejects.at["train/a/list.csv", "kind"] == "rule" and len(rejects) == 7


def test_classes_of_few_images_and_elongated_images_are_told_and_stored(tmp_path):
    trees.class_folders(tmp_path / "data", classes=("a", "b"), parts=("train",), n=6)
    for k in range(4):
        (tmp_path / f"data/train/b/b_{k}.jpg").unlink()
    trees.picture(tmp_path / "data/train/a/long.png", size=(60, 1200), mode="L")
    opened = open_store(build_store(CARD, tmp_path / "data", 8))
    rejects = pd.read_csv(opened.path / "rejects.csv")
    assert len(opened) == 9 and opened.meta["left_out"] == opened.meta["unreadable"] == 0
    assert rejects.values.tolist() == [
        ["class b", "only 2 images of this class, too few to be split and tested", "note"],
        ["train/a/long.png", "very elongated: 1200 x 60 px are squashed to a square", "note"],
    ]


def test_too_many_unreadable_files_stop_the_build_and_leave_nothing(tmp_path):
    trees.class_folders(tmp_path / "data", n=1)
    (tmp_path / "data/Training/a/bad.jpg").touch()
    with pytest.raises(UnreadableShareError, match=r"(?s)1 of 5 files.*bad.jpg: .*max_unreadable"):
        build_store(CARD, tmp_path / "data", 8, out_root=tmp_path / "out")
    assert not [p for p in (tmp_path / "out").iterdir() if p.is_dir()]
    build_store(CARD, tmp_path / "data", 8, out_root=tmp_path / "out", max_unreadable=0.2)
    with pytest.raises(UnreadableShareError):  # a store that someone else allowed is not taken in silence
        build_store(CARD, tmp_path / "data", 8, out_root=tmp_path / "out")


def test_slices_left_out_by_a_rule_are_listed_and_do_not_count_as_unreadable(tmp_path):
    card = replace(DATASETS["lits"], name="toy", options=DATASETS["lits"].options | {"only_liver": True})
    opened = open_store(build_store(card, trees.lits(tmp_path / "data"), 8))
    rejects = pd.read_csv(opened.path / "rejects.csv")
    assert len(opened) == 9 and opened.table["frame"].tolist() == [1, 2, 3] * 3
    assert len(rejects) == 9 and rejects["reason"].iloc[0] == "no liver in the slice (slice 0)"
    assert opened.meta["unreadable"] == 0 and opened.meta["left_out"] == 9


def test_a_tree_without_any_image_is_an_error_that_shows_the_tree(tmp_path):
    (tmp_path / "data/train/a").mkdir(parents=True)
    (tmp_path / "data/train/a/readme.txt").touch()
    with pytest.raises(StoreError, match=r"(?s)no image to store.*readme.txt.*Training/"):
        build_store(CARD, tmp_path / "data", 8)


def test_a_disk_that_is_too_small_is_told_before(tmp_path, monkeypatch):
    trees.class_folders(tmp_path / "data")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 100))
    with pytest.raises(DiskSpaceError, match=r"the store needs about 0 MB.*TLKIT_RUNS"):
        build_store(CARD, tmp_path / "data", 8, out_root=tmp_path / "out")
    assert not [p for p in (tmp_path / "out").iterdir() if p.is_dir()]


def test_a_disk_that_fills_up_leaves_nothing_that_looks_finished(tmp_path, monkeypatch):
    trees.class_folders(tmp_path / "data")
    append = NpyWriter.append

    def full(self, array):
        if self.n == 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(self, array)

    monkeypatch.setattr(NpyWriter, "append", full)
    with pytest.raises(StoreError, match="nothing was kept"):
        build_store(CARD, tmp_path / "data", 8, out_root=tmp_path / "out")
    assert not [p for p in (tmp_path / "out").iterdir() if p.is_dir()]
    monkeypatch.setattr(NpyWriter, "append", append)
    assert len(open_store(build_store(CARD, tmp_path / "data", 8, out_root=tmp_path / "out"))) == 16


def test_two_that_build_the_same_store_take_turns(tmp_path, monkeypatch, caplog):
    trees.class_folders(tmp_path / "data")
    started, build, calls = threading.Event(), store._build, []
    waiting = threading.Event()
    monkeypatch.setattr(files.log, "warning", lambda *a: (logging.getLogger("t").warning(*a), waiting.set()))

    def slow(*args):
        calls.append(args)
        started.set()
        assert waiting.wait(60)
        build(*args)

    monkeypatch.setattr(store, "_build", slow)
    paths = []
    first = threading.Thread(target=lambda: paths.append(build_store(CARD, tmp_path / "data", 8)))
    first.start()
    assert started.wait(60)
    paths.append(build_store(CARD, tmp_path / "data", 8))
    first.join()
    assert paths[0] == paths[1] and len(calls) == 1
    assert "another process builds toy-8px-" in caplog.text


def test_open_store_tells_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="no finished store"):
        open_store(tmp_path)


def test_phantom_data_are_called_phantom_everywhere(tmp_path):
    trees.class_folders(tmp_path / "data")
    (tmp_path / "data/phantom.json").write_text(json.dumps({"seed": 3}))
    opened = open_store(build_store(CARD, tmp_path / "data", 8))
    assert opened.path.name.startswith("toy-phantom-8px-")
    assert opened.meta["phantom"] == {"seed": 3} and opened.meta["title"].startswith("Phantom of ")
    assert opened.meta["left_out"] == 0


def test_prepare_and_identity_of_real_files(tmp_path, monkeypatch):
    monkeypatch.setenv("TLKIT_DATA", str(tmp_path))
    trees.for_card(DATASETS["covid-ct"], tmp_path / "covid-ct")
    assert open_store(prepare("covid-ct", 8)).meta["title"].startswith("COVID-CT")
    assert identity("covid-ct") == {"name": "covid-ct", "content": content_hash(tmp_path / "covid-ct")}


def test_prepare_and_identity_of_a_phantom():
    from tlkit.phantoms import write

    phantom = {"seed": 1, "classes": 2, "train": 2, "val": 2, "pixels": 32}
    opened = open_store(prepare("imagenet", 8, phantom=phantom))
    assert opened.table["split"].value_counts().to_dict() == {"train": 4, "val": 2, "test": 2}
    assert identity("imagenet", phantom)["phantom"]["version"] == write.PHANTOM_VERSION
    assert identity("imagenet", phantom) != identity("imagenet", phantom | {"seed": 2})


def test_resize_averages_when_shrinking_and_keeps_labels_whole():
    image = np.array([[0, 100], [200, 101]], np.int16).repeat(4, 0).repeat(4, 1)
    assert resize(image, 2).tolist() == [[0, 100], [200, 101]]
    assert resize(image, 1).tolist() == [[100]] and resize(image, 1).dtype == np.int16  # 100.25 rounded
    assert resize(np.full((4, 4), -1024, np.int16), 7).tolist() == [[-1024] * 7] * 7
    mask = np.random.default_rng(0).choice([0, 2], (37, 53)).astype(np.uint8)
    assert set(np.unique(resize(mask, 16, nearest=True))) == {0, 2}


WIDE = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.uint8)


@pytest.mark.parametrize(
    ("fit", "size", "values"),
    [
        ("squash", 2, [[2, 4], [6, 8]]),  # 1.5 rounds to 2, as OpenCV rounds
        ("pad", 4, [[0] * 4, [1, 2, 3, 4], [5, 6, 7, 8], [0] * 4]),
        ("crop", 2, [[2, 3], [6, 7]]),
    ],
)
def test_an_image_that_is_not_square_is_squashed_padded_or_cropped(fit, size, values):
    assert resize(WIDE, size, fit=fit).tolist() == values
    assert resize(WIDE.T, size, fit=fit).tolist() == np.array(values).T.tolist()
    colour = resize(np.stack([WIDE] * 3, axis=-1), size, fit=fit)
    assert colour.shape == (size, size, 3) and colour[..., 1].tolist() == values
    assert resize(np.arange(4, dtype=np.uint8).reshape(2, 2), 2, fit=fit).tolist() == [[0, 1], [2, 3]]


def test_what_is_padded_is_black():
    hounsfield = np.array([[-1000, 40]], np.int16)
    assert resize(hounsfield, 2, fit="pad").tolist() == [[-1000, 40], [-1000, -1000]]
    assert resize(np.array([[7, 9, 8]], np.uint8), 3, fit="pad").tolist() == [[0, 0, 0], [7, 9, 8], [0, 0, 0]]
    assert resize(np.ones((3, 1), np.uint8), 3, nearest=True, fit="pad").sum(0).tolist() == [0, 3, 0]


def test_a_store_keeps_the_aspect_where_its_options_say_so(data):
    phantom = {"seed": 1, "images": 6, "pixels": 32}
    squashed = prepare("covid-radiography", 16, phantom)
    assert squashed == prepare("covid-radiography", 16, phantom, {"fit": "squash"})
    assert squashed != prepare("covid-radiography", 16, phantom, {"fit": "pad"})
    root = data / "files"
    trees.picture(root / "a" / "wide.png", size=(20, 40))
    trees.picture(root / "b" / "wide.png", size=(20, 40))
    card = replace(CARD, options={**CARD.options, "fit": "pad"})
    image, _ = open_store(build_store(card, root, 16, out_root=data)).images
    assert not image[:4].any() and not image[12:].any() and image[4:12].any(axis=1).all()


def test_images_of_another_kind_do_not_fit(tmp_path):
    trees.picture(tmp_path / "x.png")
    writer = NpyWriter(tmp_path / "x.npy", np.zeros((2, 2), np.uint8))
    writer.append(np.ones((2, 2), np.uint8))
    with pytest.raises(ValueError, match="one store holds one kind"):
        writer.append(np.zeros((2, 2, 3), np.uint8))
    writer.finish()
    assert np.load(tmp_path / "x.npy").tolist() == [[[1, 1], [1, 1]]]
    assert Image.open(tmp_path / "x.png").size == (16, 20)


# --- shards ---


@pytest.fixture
def small_shards(monkeypatch):
    """Shards of three rows, and the number of times that each file is decoded."""
    decoded, real = [], decoding._read_file
    monkeypatch.setattr(shards, "ROWS", 3)
    monkeypatch.setattr(decoding, "_read_file", lambda *args: decoded.extend(args[-1]["path"].unique()) or real(*args))
    return decoded


def bytes_of(path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


@pytest.mark.parametrize("layout", ["one file an image", "volumes with masks"])
def test_a_store_by_shards_is_the_store_at_one_go(tmp_path, monkeypatch, layout):
    card, root = CARD, tmp_path / "data"
    if layout == "volumes with masks":
        card = replace(DATASETS["lits"], name="toy", options=DATASETS["lits"].options | {"only_liver": True})
        trees.lits(root)
    else:
        trees.class_folders(root)
        damaged(root / "Training/a")
    whole = build_store(card, root, 8, out_root=tmp_path / "whole", max_unreadable=1)
    monkeypatch.setattr(shards, "ROWS", 3)
    assert bytes_of(build_store(card, root, 8, out_root=tmp_path / "out", max_unreadable=1)) == bytes_of(whole)
    assert [p.name for p in (tmp_path / "out").iterdir() if p.is_dir()] == [whole.name], "no shard is left"


def test_what_a_killed_builder_had_decoded_is_not_decoded_again(tmp_path, monkeypatch, small_shards):
    trees.class_folders(tmp_path / "data")
    whole = build_store(CARD, tmp_path / "data", 8, out_root=tmp_path / "whole", workers=1)
    every, append, count = sorted(small_shards), NpyWriter.append, itertools.count()

    def killed(self, array):
        if next(count) == 7:
            raise KeyboardInterrupt
        append(self, array)

    small_shards.clear()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(NpyWriter, "append", killed)
        build_store(CARD, tmp_path / "data", 8, out_root=tmp_path / "out", workers=1)
    small_shards.clear()
    assert bytes_of(build_store(CARD, tmp_path / "data", 8, out_root=tmp_path / "out", workers=1)) == bytes_of(whole)
    assert len(every) == 16 and sorted(small_shards) == sorted(every)[6:], "two shards of three were there"


@pytest.mark.parametrize("rows", [3, 50_000])
@pytest.mark.parametrize("where", ["join_rows", "near_pairs", "note_copies"])
def test_a_builder_killed_when_all_is_decoded_leaves_whole_shards(tmp_path, monkeypatch, small_shards, where, rows):
    monkeypatch.setattr(shards, "ROWS", rows)
    trees.class_folders(tmp_path / "data")
    whole = build_store(CARD, tmp_path / "data", 8, out_root=tmp_path / "whole", workers=1)
    module = shards if where == "join_rows" else store.copies
    real = getattr(module, where)

    def killed(*args, **options):
        real(*args, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, where, killed)
        build_store(CARD, tmp_path / "data", 8, out_root=tmp_path / "out", workers=1)
    small_shards.clear()
    assert bytes_of(build_store(CARD, tmp_path / "data", 8, out_root=tmp_path / "out", workers=1)) == bytes_of(whole)
    assert small_shards == []
    assert [p.name for p in (tmp_path / "out").iterdir() if p.is_dir()] == [whole.name], "no shard is left"


def test_several_processes_share_the_shards(tmp_path, small_shards):
    root = trees.class_folders(tmp_path / "data")
    for i in (1, 0, 2):
        small_shards.clear()
        build_store(CARD, root, 8, out_root=tmp_path, share=(i, 3))
        assert 3 <= len(small_shards) <= 6
    small_shards.clear()
    store = open_store(build_store(CARD, root, 8, out_root=tmp_path))
    assert small_shards == [] and len(store) == 16


def test_a_full_disk_keeps_whole_shards(tmp_path, monkeypatch, small_shards):
    trees.class_folders(tmp_path / "data")
    append, count = NpyWriter.append, itertools.count()

    def full(self, array):
        if next(count) == 7:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(self, array)

    with monkeypatch.context() as patch, pytest.raises(StoreError, match="of whole shards all"):
        patch.setattr(NpyWriter, "append", full)
        build_store(CARD, tmp_path / "data", 8, out_root=tmp_path / "out", workers=1)
    small_shards.clear()
    build_store(CARD, tmp_path / "data", 8, out_root=tmp_path / "out", workers=1)
    assert len(small_shards) == 10


@given(st.lists(st.integers(1, 9), max_size=12))
@settings(max_examples=50, deadline=None)
def test_shards_hold_every_row_once_and_cut_no_file(rows):
    samples = pd.DataFrame({"path": np.repeat([f"f{i}" for i in range(len(rows))], rows)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "ROWS", 5)
        found = shards.cut(samples)
    assert np.concatenate([part.index for part in found]).tolist() == list(range(len(samples)))
    names = [set(part["path"]) for part in found]
    assert sum(map(len, names)) == len(rows) and len(found) >= 1
