"""Folders as strangers bring them: each is read as meant, or is one error that says what to do."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import folders_of_users as made
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tlkit.__main__ import main
from tlkit.advice import endings, reading
from tlkit.advice.choices import AmbiguousError
from tlkit.advice.looking import look
from tlkit.advice.understand import understand
from tlkit.config import ConfigError
from tlkit.datasets.store import build_store, open_store
from tlkit.layouts.folders import split_of


def stored(found):
    return open_store(build_store(reading.card_of(found), Path(found["folder"]), 32))


def ab(i: int) -> str:
    return "ab"[i % 2]


@pytest.mark.parametrize(
    ("name", "part"),
    [("Training Set", "train"), ("test_set", "test"), ("ValidationData", "val"), ("dev", "val"), ("hold-out", "test"),
     ("images_train", "train"), ("trainset", "train"), ("strain", ""), ("untrained", ""), ("data", ""), ("", "")],
)  # fmt: skip
def test_names_of_splits(name, part):
    assert split_of(name) == part


@pytest.mark.parametrize("parts", [("train", "dev", "holdout"), ("Training Set", "Validation Set", "Test Set")])
def test_splits_by_other_names(folder, parts):
    made.class_folders(folder, n=4, parts=parts)
    store = stored(understand(folder))
    assert store.table["split"].value_counts().to_dict() == {"train": 8, "val": 8, "test": 8}


def test_splits_inside_of_classes(folder):
    for kind in ("a", "b"):
        for part in ("train", "test"):
            for i in range(4):
                made.save(folder / kind / part / f"{made.word(i)}.png", i + 10 * len(part) + 100 * ord(kind))
    found = understand(folder)
    assert found["classes"] == ["a", "b"] and found["options"]["split_folders"]
    assert stored(found).table["split"].value_counts().to_dict() == {"train": 8, "test": 8}


def test_a_folder_beside_splits_is_asked_for_and_can_be_a_part_or_left_out(folder):
    made.class_folders(folder, n=4, parts=("train", "eval"))
    with pytest.raises(AmbiguousError, match="eval, with 8 images, is not") as error:
        understand(folder)
    assert [flag for flag, _ in error.value.choices] == [f"--split eval={p}" for p in ("val", "test", "none")]
    assert set(stored(understand(folder, split="eval=test")).table["split"]) == {"train", "test"}
    assert len(stored(understand(folder, split="eval=none"))) == 8
    with pytest.raises(AmbiguousError, match="expected FOLDER=train"):
        understand(folder, split="nowhere=test")


def test_classes_in_other_letters_are_one(folder):
    made.class_folders(folder, n=4, parts=("train",), classes=("Normal", "Tumour"))
    made.class_folders(folder, n=3, parts=("test",), classes=("normal", "tumour"))
    found = understand(folder)
    assert found["classes"] == ["Normal", "Tumour"] and any("other letters" in line for line in found["said"])
    assert stored(found).table["label"].value_counts().to_dict() == {0: 7, 1: 7}


def test_what_systems_add_is_no_data(folder):
    made.class_folders(folder, n=4)
    for name in ("@eaDir", ".ipynb_checkpoints", "__MACOSX", "lost+found"):
        made.save(folder / name / "a.png", 3)
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "krank/Thumbs.db", "krank/._a0x.png", "~$labels.xlsx"):
        (folder / name).write_bytes(b"x")
    found = understand(folder)
    left = look(found, 32)["left_out"]
    assert found["classes"] == ["gesund ü", "krank"]
    assert left == {"'.db' is no image extension": 2, "'.ini' is no image extension": 1}, "told, as any other file"


def test_an_archive_packed_twice_with_what_macos_adds(folder):
    made.class_folders(folder / "archive" / "xray" / "xray", n=4, parts=("train", "test"))
    (folder / "archive" / "__MACOSX" / "train" / "krank").mkdir(parents=True)
    (folder / "archive" / "__MACOSX" / "train" / "krank" / "a.png").write_bytes(b"no image")
    found = understand(folder)
    assert found["folder"].endswith("xray/xray") and len(stored(found)) == 16


def test_what_macos_adds_is_no_class_and_a_link_to_above_no_folder(folder):
    made.class_folders(folder, n=4)
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "a.png").write_bytes(b"no image")
    (folder / "krank" / "again").symlink_to(folder)
    found = understand(folder)
    assert found["classes"] == ["gesund \u00fc", "krank"] and len(stored(found)) == 8


@pytest.mark.parametrize(
    ("ending", "words"),
    [(".zip", "unpack"), (".heic", "PNG or JPEG"), (".svs", "tiles"), (".mp4", "frames"), (".nii.gz", "slices"),
     (".mha", "nii.gz"), (".xls", "XLSX"), (".json", "masks"), ("", "an ending")],
)  # fmt: skip
def test_files_that_are_not_read_say_what_to_do(folder, ending, words):
    for kind in "ab":
        (folder / kind).mkdir()
        (folder / kind / f"x{ending}").write_bytes(b"something")
    with pytest.raises(AmbiguousError) as error:
        understand(folder)
    assert words in str(error.value) and (ending or "no ending") in str(error.value)


def test_pictures_that_are_not_read_beside_others_are_a_warning(folder):
    made.class_folders(folder)
    (folder / "krank" / "more.heic").write_bytes(b"x")
    assert any("HEIC".lower() in w["text"] for w in look(understand(folder))["warnings"] if w["kind"] == "unreadable")


def test_a_class_of_which_nothing_can_be_read_is_an_error(folder):
    made.class_folders(folder, classes=("a",), n=12)
    (folder / "b").mkdir()
    for i in range(6):
        (folder / "b" / f"{i}.png").write_bytes(b"")
    with pytest.raises(ConfigError, match="one class"):
        look(understand(folder))


def test_reasons_are_counted_and_not_named_by_their_file(folder):
    made.class_folders(folder, n=3)
    for i in range(8):
        (folder / "krank" / f"z{i}.png").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"8 x krank/z0\.png.*damaged") as error:
        look(understand(folder))
    assert "study file" not in str(error.value)


def test_many_small_classes_are_one_warning_and_one_without_training_another(folder):
    made.class_folders(folder, n=1, classes=[f"c{i}" for i in range(9)], parts=("train",))
    made.class_folders(folder, n=1, classes=["new"], parts=("test",))
    told = [w["text"] for w in look(understand(folder))["warnings"] if w["kind"] == "small_class"]
    assert len(told) == 2 and told[0].startswith("10 of 10 classes") and "'new' has no image in train" in told[1]


def test_each_choice_is_a_whole_command(folder, capsys):
    made.listed(folder, label=ab, patient=lambda i: f"p{i // 3}")
    assert main(["advise", str(folder), "--look", "--label", "label", "--name", "mine"]) == 1
    lines = capsys.readouterr().err.splitlines()
    commands = [shlex.split(line) for line in lines if line.startswith("    python")]
    assert len(commands) == 2 and commands[0][3:5] == ["advise", str(folder)]
    assert shlex.join(commands[0][5:]) == "--label label --patient patient --name mine --look"
    assert main(commands[0][3:]) == 0


@pytest.mark.parametrize(
    ("said", "task", "classes"),
    [
        (lambda i: f"{i},{i % 9 + 1}5", "regression", ["found"]),
        (lambda i: ["20-30", "30-40", "40+"][i % 3], "multiclass", ["20-30", "30-40", "40+"]),
        (lambda i: ["NA", "a", "b"][i % 3], "multiclass", ["a", "b"]),
        (lambda i: ["[]", "['Mass', 'Edema']", "['Mass']"][i % 3], "multilabel", ["Edema", "Mass"]),
        (lambda i: ["", "Mass; Edema", "Mass", "Edema;"][i % 4], "multilabel", ["Edema", "Mass"]),
    ],
)
def test_answers_in_a_column(folder, said, task, classes):
    made.table(folder, found=said).to_csv(folder / "t.csv", index=False, sep="|")
    found = understand(folder)
    assert (found["task"], found["classes"]) == (task, classes)
    assert len(stored(found)) >= 16


def test_grades_say_that_they_may_be_numbers_and_empty_rows_that_they_are_left_out(folder):
    made.table(folder, n=40, grade=lambda i: "" if i == 0 else i % 5).to_csv(folder / "t.csv", index=False)
    found = understand(folder)
    assert "--task regression reads 'grade' as a number" in found["said"]
    assert any(line.startswith("1 rows say nothing") for line in found["said"])


def test_names_with_a_comma_in_all_of_them_are_two_readings(folder):
    made.table(folder, dx=lambda i: f"Carcinoma, {['ductal', 'lobular'][i % 2]}").to_csv(folder / "t.csv", index=False)
    with pytest.raises(AmbiguousError) as error:
        understand(folder)
    assert [flag for flag, _ in error.value.choices] == [f"--label dx --task {t}" for t in ("multiclass", "multilabel")]


def test_two_columns_of_which_each_row_has_one_are_classes_and_others_beside_such_are_asked_for(folder):
    columns = {"benign": lambda i: int(i % 2 == 0), "malignant": lambda i: int(i % 2 == 1)}
    made.table(folder, **columns).to_csv(folder / "t.csv", index=False)
    assert understand(folder)["task"] == "multiclass"
    one_of = {name: (lambda i, k=k: int(i % 3 == k)) for k, name in enumerate("xyz")}
    made.table(folder, **one_of, female=lambda i: int(i % 4 == 0)).to_csv(folder / "t.csv", index=False)
    with pytest.raises(AmbiguousError) as error:
        understand(folder, name="other")
    assert [flag for flag, _ in error.value.choices] == ["--label x,y,z,female", "--label x,y,z"]


@pytest.mark.parametrize(
    "name",
    [
        lambda file: str(int(file[1:5])),
        lambda file: file.replace(".png", ".dcm"),
        lambda file: f"http://x/y/{file}?z=1",
    ],
)
def test_names_of_files_that_differ_a_little(folder, name):
    table = made.table(folder, label=ab)
    for i, file in enumerate(table["file"]):
        (folder / "images" / file).rename(folder / "images" / f"{i:05d}.png")
    table["file"] = [name(f"{i:05d}.png") for i in range(24)]
    table.to_csv(folder / "t.csv", index=False)
    assert len(stored(understand(folder))) == 24


def test_a_table_without_a_header_is_an_error(folder):
    made.table(folder, label=ab).to_csv(folder / "t.csv", index=False, header=False)
    with pytest.raises(AmbiguousError, match="names no columns"):
        understand(folder)


def test_patients_in_another_table_and_the_lock_of_an_open_one(folder):
    table = made.table(folder, label=ab)
    table.to_csv(folder / "labels.csv", index=False)
    table.drop(columns="label").assign(Fallnummer=[i // 3 for i in range(24)]).to_csv(folder / "who.csv", index=False)
    (folder / "~$labels.xlsx").write_bytes(b"lock")
    with pytest.raises(AmbiguousError, match="8 ids for 24 images"):
        understand(folder)
    assert stored(understand(folder, patient="Fallnummer")).table["patient"].nunique() == 8


def test_splits_of_a_column_and_a_fold_that_is_none(folder):
    parts = lambda i: ["Training", "dev", "holdout"][i // 8]  # noqa: E731
    made.table(folder, label=ab, split=parts, fold=lambda i: i % 5).to_csv(folder / "t.csv", index=False)
    found = understand(folder)
    assert any(line.startswith("column 'fold' is not read as parts") for line in found["said"])
    assert stored(found).table["split"].value_counts().to_dict() == {"train": 8, "val": 8, "test": 8}


@pytest.mark.parametrize(
    ("images", "masks"),
    [("Task1_Input/{}.png", "Task1_GroundTruth/{}_segmentation.png"), ("JPEGImages/{}.jpg", "SegmentationClass/{}.png"),
     ("data/{}.png", "data/{}_mask.png"), ("images/img_{}.png", "masks/mask_{}.png"),
     ("imagesTr/{}_0000.png", "labelsTr/{}.png"), ("scans/{}_image.tif", "scans/{}_seg.tif")],
)  # fmt: skip
def test_masks_by_other_names(folder, images, masks):
    made.masked(folder, images, masks)
    found = understand(folder)
    store = stored(found)
    assert found["task"] == "segmentation" and len(store) == 8 and set(np.unique(store.masks)) == {0, 1}


def test_masks_beside_images_in_folders_of_classes_are_two_readings(folder):
    for kind in ("benign", "malignant"):
        made.masked(folder / kind, f"{kind} {{}}.png", f"{kind} {{}}_mask.png")
    with pytest.raises(AmbiguousError) as error:
        understand(folder)
    assert [flag for flag, _ in error.value.choices] == ["--task segmentation", "--task multiclass"]
    assert len(stored(understand(folder, task="segmentation"))) == 16
    found = understand(folder, task="multiclass")
    assert found["classes"] == ["benign", "malignant"] and len(stored(found)) == 16


def drive(root):
    """Write a tree as that of DRIVE: images, masks by hand, and masks of the field of view."""
    for part in ("training", "test"):
        for i in range(4):
            made.save(root / part / "images" / f"{21 + i}_{part}.tif", i + len(part), mode="colour")
            made.mask(root / part / "1st_manual" / f"{21 + i}_manual1.gif", width=4 + i)
            made.mask(root / part / "mask" / f"{21 + i}_{part}_mask.gif", width=12)
    return root


def test_several_folders_of_masks_are_a_choice(folder):
    drive(folder)
    with pytest.raises(AmbiguousError, match="More than one folder may hold the masks") as error:
        understand(folder)
    assert [flag for flag, _ in error.value.choices] == ["--label 1st_manual", "--label mask"]
    found = understand(folder, label="1st_manual", patient="none")
    table = stored(found).table
    assert table["split"].value_counts().to_dict() == {"train": 4, "test": 4}
    assert found["classes"] == ["background", "foreground"] and "1st_manual" in found["said"][0]
    with pytest.raises(AmbiguousError, match="--label mask"):
        understand(folder, label="2nd_manual")


def test_masks_of_two_people_beside_their_images_are_a_choice(folder):
    for i in range(6):
        made.save(folder / f"Image_{i:02d}L.png", i)
        for end in ("1stHO", "2ndHO"):
            made.mask(folder / f"Image_{i:02d}L_{end}.png", width=4 + i)
    with pytest.raises(AmbiguousError, match="6 masks of 2 values") as error:
        understand(folder)
    assert "--label _1stHO" in [flag for flag, _ in error.value.choices]
    found = understand(folder, label="_1stHO", patient="none")
    assert found["task"] == "segmentation" and len(stored(found)) == 6


def test_masks_saved_as_jpeg_are_read_by_a_threshold(folder):
    made.masked(folder, masks="masks/{}.png")
    for file in list((folder / "masks").iterdir()):
        Image.open(file).convert("RGB").resize((80, 80)).save(file.with_suffix(".jpg"), quality=60)
        file.unlink()
    for file in (folder / "images").iterdir():
        Image.open(file).resize((80, 80)).save(file)
    found = understand(folder)
    store = stored(found)
    assert found["options"]["threshold"] == 127 and found["classes"] == ["background", "foreground"]
    assert 0 < (store.masks == 1).mean() < 0.3 and len(store) == 8


def test_masks_in_colours(folder):
    made.masked(folder, values=(0, 1, 2), mode="RGB")
    made.mask(folder / "masks" / f"{made.word(0)}.png", values=(0,))  # nothing but black
    found = understand(folder)
    store = stored(found)
    assert found["classes"] == ["background", "colour #00ff00", "colour #ff0000"]
    assert len(store) == 8 and set(np.unique(store.masks)) == {0, 1, 2}


def test_volumes_beside_their_masks_by_the_ends_of_their_names(folder):
    for i in range(3):
        for kind in ("flair", "t1", "seg"):
            values = np.random.default_rng(i).normal(100, 50, (12, 10, 4)).astype(np.float32)
            values = (values > 120).astype(np.uint8) if kind == "seg" else values
            path = folder / f"B_{i}" / f"B_{i}_{kind}.nii.gz"
            path.parent.mkdir(exist_ok=True)
            nib.save(nib.Nifti1Image(values, np.eye(4)), path)
    with pytest.raises(AmbiguousError, match="Several images") as error:
        understand(folder)
    assert [flag for flag, _ in error.value.choices] == ["--file flair", "--file t1"]
    assert len(stored(understand(folder, file="t1"))) == 12


def test_the_older_nnunet_names_its_channels_as_the_newer(folder):
    made.masked(folder, "imagesTr/{}_0000.png", "labelsTr/{}.png", values=(0, 1))
    said = {"modality": {"0": "CT"}, "labels": {"0": "background", "1": "liver"}, "numTraining": 8}
    (folder / "dataset.json").write_text(json.dumps(said))
    assert len(stored(understand(folder))) == 8


@pytest.mark.parametrize(("labels", "flag"), [(np.arange(12) % 4, "regression"), (np.linspace(0, 9, 12), "")])
def test_medmnist_of_numbers(folder, labels, flag):
    images = np.stack([made.scene(i, 28) for i in range(12)])
    np.savez(folder / "retina.npz", **{f"{p}_{k}": v for p in ("train", "test") for k, v in
                                       (("images", images), ("labels", labels[:, None]))})  # fmt: skip
    found = understand(folder, task=flag)
    assert found["task"] == "regression" and np.allclose(stored(found).table["number"][:12], labels)


def npz(file, images=None, labels=None, names=None, n=12):
    """Write a file with two parts, in which `names` are others than MedMNIST's."""
    grey = np.stack([made.scene(i, 16) for i in range(n)])
    arrays = {}
    for part in ("train", "test"):
        arrays[f"{part}_images"] = images(grey) if images else grey
        arrays[f"{part}_labels"] = labels(n) if labels else np.arange(n)[:, None] % 2
    np.savez(file, **{(names or {}).get(k, k): v for k, v in arrays.items()})


@pytest.mark.parametrize(
    ("images", "channels"),
    [(lambda g: g[..., None], 1), (lambda g: np.stack([g] * 4, -1), 3), (lambda g: np.stack([g] * 3, 1), 3),
     (lambda g: g.astype(np.uint16) * 16, 1), (lambda g: (g / 255).astype(np.float32), 1)],
)  # fmt: skip
def test_npz_of_other_images(folder, images, channels):
    npz(folder / "m.npz", images)
    store = stored(understand(folder))
    assert len(store) == 24 and store.images.ndim == (4 if channels == 3 else 3)
    assert abs(float(np.asarray(store.images[3]).mean()) - made.scene(3, 16).mean()) < 6


@pytest.mark.parametrize(
    ("labels", "task", "classes"),
    [(lambda n: np.eye(3, dtype=int)[np.arange(n) % 3], "multiclass", ["class 0", "class 1", "class 2"]),
     (lambda n: np.array(["low", "high"])[np.arange(n) % 2], "multiclass", ["high", "low"]),
     (lambda n: np.arange(n) % 2 * 2 - 1, "multiclass", ["class -1", "class 1"]),
     (lambda n: np.arange(n) % 2 * 7, "multiclass", ["class 0", "class 7"]),
     (lambda n: (np.arange(n)[:, None] + np.arange(3)) % 2, "multilabel", ["class 0", "class 1", "class 2"])],
)  # fmt: skip
def test_npz_of_other_labels(folder, labels, task, classes):
    npz(folder / "m.npz", labels=labels)
    found = understand(folder)
    table = stored(found).table
    assert (found["task"], found["classes"], len(table)) == (task, classes, 24)
    if task == "multiclass":
        assert table["class"].nunique() == len(classes)


def test_npz_by_other_names_and_of_one_part(folder):
    npz(
        folder / "m.npz",
        names={f"{p}_{k}": f"{v}_{p}" for p in ("train", "test") for k, v in (("images", "x"), ("labels", "y"))},
    )
    assert stored(understand(folder)).table["split"].value_counts().to_dict() == {"train": 12, "test": 12}
    np.savez(folder / "m.npz", X=np.stack([made.scene(i, 16) for i in range(12)]), y=np.arange(12) % 2)
    found = understand(folder, task="multiclass")
    assert not found["official"] and len(stored(found)) == 12
    np.savez(folder / "m.npz", X=np.stack([made.scene(i, 16) for i in range(12)]), y=np.zeros(12))
    with pytest.raises(AmbiguousError, match="one class"):
        understand(folder, patient="none")
    np.savez(folder / "m.npz", X=np.zeros((3, 8, 8), np.uint8), y=np.array([{}, {}, {}], dtype=object))
    with pytest.raises(ConfigError, match="expected numbers or texts"):
        understand(folder, task="multilabel")


@pytest.mark.parametrize(("name", "words"), [("t.csv", "--labels"), ("x.zip", "unpack"), ("a.png", "is a file")])
def test_a_file_in_place_of_a_folder(folder, name, words):
    (folder / name).write_bytes(b"x")
    with pytest.raises(AmbiguousError, match=words):
        understand(folder / name)


def test_medmnist_of_volumes_is_refused_in_words(folder):
    cubes = np.zeros((4, 8, 8, 8), np.uint8)
    np.savez(folder / "organ3d.npz", train_images=cubes, train_labels=np.arange(4)[:, None] % 2)
    with pytest.raises(ConfigError, match="volumes of 8 x 8 x 8"):
        understand(folder)


def test_every_ending_that_is_not_read_has_one_advice():
    known = [ending for group in endings.UNREAD.values() for ending in group]
    assert len(known) == len(set(known)) and pd.Series(known[:-1]).str.startswith(".").all()
