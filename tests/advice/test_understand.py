"""Folders as users have them are understood, said, and kept in data.yaml; two ways to read one are an error."""

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
from tlkit.advice import reading
from tlkit.advice.choices import AmbiguousError
from tlkit.advice.understand import understand
from tlkit.config import ConfigError
from tlkit.datasets.store import build_store, open_store


def stored(found):
    """Return the store of a reading."""
    return open_store(build_store(reading.card_of(found), Path(found["folder"]), 32))


def test_class_folders(folder):
    made.class_folders(folder, ending="jpg")
    found = understand(folder)
    assert (found["layout"], found["task"], found["classes"]) == ("class_folders", "multiclass", ["gesund ü", "krank"])
    assert found["name"] == "Lunge_a_b_u" and found["options"] == {"channels": 1}
    assert len(stored(found)) == 24


def test_class_folders_with_splits_and_folders_of_patients(folder):
    for part in ("train", "test"):
        for kind in ("a", "b"):
            for p in range(4):
                for i in range(3):
                    made.save(folder / part / kind / f"{part}{kind}{p}" / f"{i}.png", hash((part, kind, p, i)) % 2**31)
    with pytest.raises(AmbiguousError, match="16 ids for 48 images") as error:
        understand(folder)
    flags = [flag for flag, _ in error.value.choices]
    assert flags[-1] == "--patient none" and len(flags) == 2
    found = understand(folder, patient=r"^(?:[^/]+/){2}([^/]+)/")
    store = stored(found)
    assert store.table["patient"].nunique() == 16 and set(store.table["split"]) == {"train", "test"}


def test_folders_of_patients_above_those_of_classes_are_two_readings(folder):
    for p in range(5):
        for kind in ("links", "rechts"):
            made.save(folder / f"p{p}" / kind / "x.png", 10 * p + len(kind))
    with pytest.raises(AmbiguousError, match="Folders lie in folders") as error:
        understand(folder)
    assert [flag for flag, _ in error.value.choices] == ["--label folder:1", "--label folder:2"]
    found = understand(folder, label="folder:2", patient="^([^/]+)/")
    assert found["classes"] == ["links", "rechts"] and stored(found).table["patient"].nunique() == 5


@pytest.mark.parametrize("ending", ["csv", "tsv", "xlsx", "parquet", "semicolons"])
def test_a_table_of_any_kind(folder, ending):
    made.listed(
        folder, label=lambda i: "ab"[i % 2], patient=lambda i: f"p{i // 3}", set=lambda i: "train" if i < 18 else "test"
    )
    table = pd.read_csv(folder / "tabelle.csv")
    (folder / "tabelle.csv").unlink()
    if ending == "xlsx":
        table.to_excel(folder / "t.xlsx", index=False)
    elif ending == "parquet":
        table.to_parquet(folder / "t.parquet")
    elif ending == "semicolons":
        table.to_csv(folder / "t.csv", sep=";", index=False, encoding="cp1252")
    else:
        table.to_csv(folder / f"t.{ending}", sep="\t" if ending == "tsv" else ",", index=False)
    found = understand(folder, patient="patient")
    store = stored(found)
    assert found["task"] == "multiclass" and found["classes"] == ["a", "b"] and found["options"]["split"] == "set"
    assert store.table["patient"].nunique() == 8 and store.table["split"].value_counts().to_dict() == {
        "train": 18,
        "test": 6,
    }
    assert store.table["label"].tolist() == [0, 1] * 12


def test_a_table_elsewhere_with_paths_of_another_machine(folder, tmp_path):
    made.listed(folder, label=lambda i: "ab"[i % 2])
    table = pd.read_csv(folder / "tabelle.csv")
    (folder / "tabelle.csv").unlink()
    table["file"] = "D:\\Daten\\images\\" + table["file"]
    table.to_csv(tmp_path / "labels.csv", index=False)
    found = understand(folder, labels=str(tmp_path / "labels.csv"))
    assert len(stored(found)) == 24
    assert not list(folder.rglob("*.yaml"))


def test_columns_of_yes_and_no_are_a_multilabel_task(folder):
    made.listed(folder, edema=lambda i: i % 2, mass=lambda i: int(i % 3 == 0), path=lambda i: int(i % 5 == 0))
    found = understand(folder)
    store = stored(found)
    assert (found["task"], found["classes"]) == ("multilabel", ["edema", "mass", "path (label)"])
    assert store.table["edema"].tolist() == [float(i % 2) for i in range(24)]


def test_columns_of_which_each_row_has_one_are_classes(folder):
    made.listed(folder, **{name: (lambda i, k=k: int(i % 3 == k)) for k, name in enumerate(("MEL", "NV", "BCC"))})
    found = understand(folder)
    assert found["task"] == "multiclass" and stored(found).table["label"].tolist() == [0, 1, 2] * 8
    assert understand(folder, task="multilabel")["task"] == "multilabel"


def test_joined_labels_are_a_multilabel_task(folder):
    made.listed(folder, findings=lambda i: ("Mass", "Edema", "Mass|Edema", "No Finding")[i % 4])
    found = understand(folder)
    assert (found["task"], found["classes"]) == ("multilabel", ["Edema", "Mass", "No Finding"])
    assert stored(found).table["Mass"].sum() == 12


def test_a_column_of_numbers_is_a_regression(folder):
    made.listed(folder, target=lambda i: 0.5 * i)
    found = understand(folder)
    assert found["task"] == "regression" and stored(found).table["target"].tolist() == [0.5 * i for i in range(24)]


def test_grades_and_numbers_can_be_told_apart(folder):
    made.listed(folder, n=40, age=lambda i: i % 15)
    with pytest.raises(AmbiguousError, match="More than one way") as error:
        understand(folder)
    assert [flag for flag, _ in error.value.choices] == [
        "--label age --task multiclass",
        "--label age --task regression",
    ]
    assert understand(folder, task="regression")["classes"] == ["age"]


def test_two_columns_of_answers_are_two_readings(folder):
    made.listed(folder, place=lambda i: "AB"[i % 2], grade=lambda i: i % 4)
    with pytest.raises(AmbiguousError) as error:
        understand(folder)
    assert [flag for flag, _ in error.value.choices] == ["--label place", "--label grade"]
    assert understand(folder, label="grade")["classes"] == ["0", "1", "2", "3"]
    with pytest.raises(AmbiguousError, match="do not fit --task regression --label place"):
        understand(folder, label="place", task="regression")


def test_a_label_that_never_changes_is_one_class_whatever_else_the_table_says(folder):
    made.listed(folder, label=lambda i: "krank", age=lambda i: 20.5 + i)
    with pytest.raises(AmbiguousError, match="'krank' of every image: one class") as error:
        understand(folder)
    assert [flag for flag, _ in error.value.choices] == ["--label age"]
    assert understand(folder, label="age")["task"] == "regression"


@pytest.mark.parametrize("content", [b"", b"\x90\x00\x8f" * 99, b'file,dx\n"a,b\n'])
def test_a_table_that_cannot_be_read_is_an_error_with_the_way_round_it(folder, content):
    made.class_folders(folder, n=3)
    (folder / "t.csv").write_bytes(content)
    with pytest.raises(AmbiguousError, match="--labels none"):
        understand(folder)
    assert understand(folder, labels="none")["layout"] == "class_folders"


@pytest.mark.parametrize("mode", ["colour", "L"])
def test_masks_that_are_none_are_an_error(folder, mode):
    for i in range(3):
        made.save(folder / "images" / f"{i}.png", i)
        made.save(folder / "masks" / f"{i}.png", i, mode=mode)
    with pytest.raises(AmbiguousError, match="The masks hold"):
        understand(folder)


@pytest.mark.parametrize("said", ["{", "{}", '{"labels": {"background": 0, "a": 1}, "channel_names": {"0": "CT"}}'])
def test_a_dataset_json_that_does_not_fit_is_an_error(folder, said):
    (folder / "imagesTr").mkdir()
    (folder / "dataset.json").write_text(said)
    with pytest.raises(AmbiguousError):
        understand(folder)


def test_a_table_and_class_folders_are_two_readings(folder):
    made.class_folders(folder)
    names = [f"{f.parent.name}/{f.name}" for f in sorted(folder.rglob("*.png"))]
    pd.DataFrame({"image": names, "dx": ["x", "y"] * 12}).to_csv(folder / "t.csv", index=False)
    with pytest.raises(AmbiguousError, match="--labels none"):
        understand(folder)
    assert understand(folder, labels="none")["layout"] == "class_folders"
    assert understand(folder, labels="t.csv")["classes"] == ["x", "y"]


def test_a_table_that_names_no_image_is_an_error(folder):
    made.class_folders(folder)
    pd.DataFrame({"image": ["u.png", "v.png"], "dx": ["x", "y"]}).to_csv(folder / "t.csv", index=False)
    with pytest.raises(AmbiguousError, match="is not understood: no column names the images"):
        understand(folder)
    assert understand(folder, labels="none")["layout"] == "class_folders"


@pytest.mark.parametrize("where", ["", "only"])
def test_one_class_is_an_error(folder, where):
    for i in range(6):
        made.save(folder / where / f"{chr(97 + i)}.png", i)
    with pytest.raises(AmbiguousError, match="one class"):
        understand(folder)


def test_a_folder_that_an_archive_has_packed_all_in(folder):
    made.class_folders(folder / "data", parts=("train", "test"))
    found = understand(folder)
    assert found["folder"].endswith("data") and found["classes"] == ["gesund ü", "krank"]
    assert understand(folder) == found


def test_folders_below_a_single_one_are_offered(folder):
    made.class_folders(folder / "all")
    with pytest.raises(AmbiguousError, match="one class") as error:
        understand(folder)
    assert [flag for flag, _ in error.value.choices] == ["--label folder:2"]
    assert stored(understand(folder, label="folder:2")).table["class"].nunique() == 2


def test_a_table_of_patients_beside_class_folders(folder):
    made.class_folders(folder)
    names = [f"{f.parent.name}/{f.name}" for f in sorted(folder.rglob("*.png"))]
    shown = pd.DataFrame({"image": names, "PatientID": [f"p{i // 3}" for i in range(24)]})
    shown.to_csv(folder / "who.csv", index=False, sep=";")
    with pytest.raises(AmbiguousError, match="8 ids for 24 images"):
        understand(folder)
    found = understand(folder, patient="PatientID")
    assert found["layout"] == "class_folders" and stored(found).table["patient"].nunique() == 8


def test_nothing_to_read_is_an_error(folder, tmp_path):
    with pytest.raises(AmbiguousError, match="it is empty"):
        understand(folder)
    with pytest.raises(ConfigError, match="is not there"):
        understand(tmp_path / "nowhere")


def test_flags_that_nothing_hears_are_an_error(folder):
    made.class_folders(folder)
    for flag in ({"split": "set"}, {"label": "dx"}, {"file": "image"}, {"task": "regression"}, {"patient": r"(\d{9})"}):
        with pytest.raises(ConfigError):
            understand(folder, **flag)


def test_patients_are_proposed_with_counts_and_accepted_or_refused(folder):
    for i in range(30):
        made.save(folder / "ab"[i % 2] / f"p{i // 3:02d}_{i % 3}.png", i)
    with pytest.raises(AmbiguousError, match="10 ids for 30 images") as error:
        understand(folder)
    accepted = error.value.choices[0][0].split(" ", 1)[1].strip("'")
    assert stored(understand(folder, patient=accepted)).table["patient"].nunique() == 10
    refused = understand(folder, patient="none")
    assert "patient" not in refused["options"] and not stored(refused).patients_named


def test_the_reading_can_be_edited_and_is_then_read(folder):
    made.class_folders(folder)
    file = reading.folder_of(understand(folder)["name"]) / "data.yaml"
    file.write_text(file.read_text().replace("channels: 1", "channels: 3"))
    assert understand(folder)["options"] == {"channels": 3}
    file.write_text(file.read_text().replace("channels:", "chanels:"))
    with pytest.raises(ConfigError, match=r"options.chanels.*Did you mean 'channels'"):
        understand(folder)
    file.write_text(file.read_text().replace("chanels: 3", "channels: 3"))
    assert understand(folder, split="none")["options"] == {"channels": 1}  # other flags: guessed anew
    assert "channels: 3" in file.with_name("data.old.yaml").read_text()


def test_a_folder_that_changed_behind_its_reading_is_said_and_read_anew_where_asked(folder, capsys):
    table = made.table(folder, dx=lambda i: "ab"[i % 2], patient=lambda i: f"p{i // 2}")
    table.to_csv(folder / "t.csv", index=False)
    found = understand(folder, patient="patient")
    assert understand(folder) == found == understand(folder, patient="patient")
    table.assign(dx=["c", *table["dx"][1:]]).to_csv(folder / "t.csv", index=False)
    kept = understand(folder)
    assert kept["classes"] == ["a", "b"] and "its table has changed" in kept["said"][-1]
    assert kept["said"][:-1] == found["said"]
    assert "table has changed" not in (reading.folder_of(found["name"]) / "data.yaml").read_text(encoding="utf-8")
    made.save(folder / "images" / "new.png", 99)
    assert "25 files then, 26 now" in understand(folder)["said"][-1]
    table.rename(columns={"dx": "finding"}).to_csv(folder / "t.csv", index=False)
    assert main(["advise", str(folder), "--look"]) == 1
    assert f"advise {shlex.quote(str(folder))} --reading new --look" in capsys.readouterr().err
    again = understand(folder, reading="new")
    assert again["options"]["label"] == "finding" and again["asked"]["patient"] == "patient"
    assert understand(folder) == again


def test_a_name_belongs_to_one_folder(folder, tmp_path):
    made.class_folders(folder)
    made.class_folders(tmp_path / "other")
    understand(folder, name="mine")
    with pytest.raises(ConfigError, match="--name"):
        understand(tmp_path / "other", name="mine")


@pytest.mark.parametrize(
    ("mode", "ending", "channels", "dtype"),
    [("L", "png", 1, 2), ("I;16", "png", 1, 2), ("I;16", "tif", 1, 2), ("L", "tiff", 1, 2), ("RGB", "png", 1, 2),
     ("colour", "png", 3, 3), ("RGBA", "png", 1, 2), ("P", "png", 1, 2), ("colour", "jpg", 3, 3), ("LA", "png", 1, 2)],
)  # fmt: skip
def test_pictures_of_every_mode(folder, mode, ending, channels, dtype):
    made.class_folders(folder, n=4, mode=mode, ending=ending)
    found = understand(folder)
    images = stored(found).images
    assert found["options"].get("channels", 3) == channels and images.ndim == dtype + 1
    assert images.max() > 200  # deep greys are read by the range that they use
    if mode == "I;16":
        assert found["options"]["range"] == [0, 4095]


def test_images_and_masks(folder):
    for part in ("train", "test"):
        for i in range(8):
            made.save(folder / part / "images" / f"f{i:02d}.png", i + 100 * len(part))
            mask = np.zeros((40, 40), np.uint8)
            mask[5:20, 5 : 10 + i] = 255
            (folder / part / "masks").mkdir(exist_ok=True)
            Image.fromarray(mask).save(folder / part / "masks" / f"f{i:02d}_mask.png")
    found = understand(folder)
    store = stored(found)
    assert found["classes"] == ["background", "foreground"] and found["options"]["values"] == [0, 255]
    assert set(np.unique(store.masks)) == {0, 1} and len(store) == 16 and set(store.table["split"]) == {"train", "test"}


def write_nifti(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, np.diag([1.0, 1.0, 2.0, 1.0])), path)


def volumes(root, names, channels=0, classes=3):
    rng = np.random.default_rng(0)
    for image, mask in names:
        shape = (24, 20, 5, channels) if channels else (24, 20, 5)
        write_nifti(root / image, rng.normal(100, 50, shape).astype(np.float32))
        labels = np.zeros((24, 20, 5), np.uint8)
        for k in range(1, classes):
            labels[4 * k : 4 * k + 4, 3:9, 1:4] = k
        write_nifti(root / mask, labels)


def test_nnunet(folder):
    names = [(f"imagesTr/c_{i:03d}_000{c}.nii.gz", f"labelsTr/c_{i:03d}.nii.gz") for i in range(3) for c in (1, 0)]
    volumes(folder, names, classes=4)
    labels = {"background": 0, "liver": 1, "tumour": 2, "vessel": 3}
    said = {"channel_names": {"0": "CT", "1": "PET"}, "labels": labels, "numTraining": 3, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(said))
    found = understand(folder)
    store = stored(found)
    assert found["classes"] == ["background", "liver", "tumour", "vessel"] and len(store) == 15
    assert set(np.unique(store.masks)) == {0, 1, 2, 3} and found["options"]["window"] == [40, 400]
    assert store.table["patient"].nunique() == 3


def test_nnunet_with_values_that_are_not_named_and_ignored_ones(folder):
    volumes(folder, [(f"imagesTr/c_{i}_0000.nii.gz", f"labelsTr/c_{i}.nii.gz") for i in range(3)], classes=4)
    said = {"channel_names": {"0": "MRI"}, "labels": {"background": 0, "a": 1, "b": 2}, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(said))
    with pytest.raises(AmbiguousError, match="hold the values 3, which `labels`"):
        understand(folder)
    said["labels"]["ignore"] = 3
    (folder / "dataset.json").write_text(json.dumps(said))
    with pytest.raises(AmbiguousError, match="nobody has labelled them") as error:
        understand(folder)
    assert [flag for flag, _ in error.value.choices] == ["--label ignore=none", "--label ignore=background"]
    found = understand(folder, label="ignore=background")
    assert found["classes"] == ["background", "a", "b"] and set(np.unique(stored(found).masks)) == {0, 1, 2}
    whole, found = len(stored(found)), understand(folder, label="ignore=none")
    store = stored(found)  # without the slices that hold the value
    assert 0 < len(store) < whole and not store.masks[:].any()


def test_two_data_sets_of_nnunet_are_a_choice(folder):
    for name in ("Dataset001_A", "Dataset002_B"):
        (folder / name / "imagesTr").mkdir(parents=True)
        (folder / name / "dataset.json").write_text("{}")
    with pytest.raises(AmbiguousError, match="holds 2 data sets") as error:
        understand(folder)
    assert [shlex.split(choice)[0] for choice, _ in error.value.choices] == [
        str(folder / name) for name in ("Dataset001_A", "Dataset002_B")
    ]


def test_nnunet_in_a_format_that_is_not_read(folder):
    for name in ("imagesTr/c_0000.mha", "labelsTr/c.mha"):
        (folder / name).parent.mkdir()
        (folder / name).write_bytes(b"x")
    said = {"channel_names": {"0": "MRI"}, "labels": {"background": 0, "a": 1}, "file_ending": ".mha"}
    (folder / "dataset.json").write_text(json.dumps(said))
    with pytest.raises(AmbiguousError, match=r"convert volumes to \.nii\.gz"):
        understand(folder)


def test_nnunet_of_pictures_with_a_test_part(folder):
    for part in ("Tr", "Ts"):
        for i in range(4):
            made.save(folder / f"images{part}" / f"s{i}_0000.png", i + 50 * len(part))
            mask = np.zeros((40, 40), np.uint8)
            mask[: 5 + i, :9] = 1
            (folder / f"labels{part}").mkdir(exist_ok=True)
            Image.fromarray(mask).save(folder / f"labels{part}" / f"s{i}.png")
    said = {"channel_names": {"0": "grey"}, "labels": {"background": 0, "cell": 1}, "file_ending": ".png"}
    (folder / "dataset.json").write_text(json.dumps(said))
    store = stored(understand(folder))
    assert store.table["split"].value_counts().to_dict() == {"train": 4, "test": 4} and store.masks.max() == 1


def test_the_decathlon(folder):
    volumes(folder, [(f"imagesTr/p_{i}.nii.gz", f"labelsTr/p_{i}.nii.gz") for i in range(3)], channels=2)
    said = {"modality": {"0": "T2", "1": "ADC"}, "labels": {"0": "background", "1": "PZ", "2": "TZ"}}
    (folder / "dataset.json").write_text(json.dumps(said))
    found = understand(folder)
    store = stored(found)
    assert found["classes"] == ["background", "PZ", "TZ"] and found["options"]["channel"] == 0
    assert len(store) == 15 and store.images.dtype == np.uint8 and set(np.unique(store.masks)) == {0, 1, 2}


def test_volumes_beside_their_masks(folder):
    volumes(
        folder, [(f"p{i}/{kind}.nii.gz", f"p{i}/gold_standard.nii.gz") for i in range(3) for kind in ("T1", "FLAIR")]
    )
    with pytest.raises(AmbiguousError, match="several volumes") as error:
        understand(folder)
    assert [flag for flag, _ in error.value.choices] == ["--file FLAIR", "--file T1"]
    found = understand(folder, file="fl", patient="^([^/]+)/")
    assert len(stored(found)) == 15 and found["classes"] == ["background", "value 1", "value 2"]


def medmnist(file, labels=1, colour=False):
    rng = np.random.default_rng(0)
    shape = (28, 28, 3) if colour else (28, 28)
    arrays = {}
    for part, n in (("train", 12), ("val", 6), ("test", 6)):
        arrays[f"{part}_images"] = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
        arrays[f"{part}_labels"] = np.stack([np.arange(n) // (k + 1) % 2 for k in range(labels)], axis=1).astype(
            np.uint8
        )
    np.savez(file, **arrays)
    return arrays


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("alone", [False, True])
def test_medmnist(folder, colour, alone):
    arrays = medmnist(folder / "mnist ü.npz", colour=colour)
    found = understand(folder / "mnist ü.npz" if alone else folder)
    store = stored(found)
    assert (found["task"], found["classes"]) == ("multiclass", ["class 0", "class 1"])
    assert store.table["split"].value_counts().to_dict() == {"train": 12, "val": 6, "test": 6}
    assert store.table["label"].tolist()[:12] == arrays["train_labels"][:, 0].tolist()
    assert abs(store.images[12].mean() - arrays["val_images"][0].mean()) < 2


def test_medmnist_of_several_labels(folder):
    medmnist(folder / "chest.npz", labels=3)
    found = understand(folder)
    assert found["task"] == "multilabel" and len(stored(found)) == 24
    medmnist(folder / "other.npz")
    with pytest.raises(AmbiguousError, match=r"2 \.npz files"):
        understand(folder, task="multilabel")
