"""A look warns of what would spoil an answer, each kind where it is and not where it is not."""

from __future__ import annotations

import json
import shutil

import folders_of_users as made
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tlkit.__main__ import main
from tlkit.advice import looking, reading, shortcuts
from tlkit.advice.looking import look
from tlkit.advice.understand import understand


def kinds(found) -> dict[str, str]:
    return {w["kind"]: w["text"] for w in look(found)["warnings"]}


def test_a_clean_folder_has_no_warnings_but_for_its_size(folder, capsys):
    made.class_folders(folder, n=20)
    assert main(["advise", str(folder), "--look"]) == 0
    shown = capsys.readouterr().out
    out = reading.folder_of("Lunge_a_b_u")
    said = json.loads((out / "look.json").read_text())
    assert {w["kind"] for w in said["warnings"]} == {"patients_unknown", "small_test"}
    assert said["n_images"] == 40 and said["n_patients"] is None and said["classes"]["krank"]["images"] == 20
    assert Image.open(out / "mosaic.png").width > 500
    assert "krank: 20 images" in shown and "warning, small_test" in shown


def test_copies_across_splits(folder):
    made.class_folders(folder, parts=("train", "test"))
    first = sorted((folder / "train" / "krank").iterdir())
    for file in first[:3]:
        shutil.copy(file, folder / "test" / "krank" / f"copy {file.name}")
    fainter = np.asarray(Image.open(first[4])) // 2 + 60
    Image.fromarray(fainter).save(folder / "test" / "krank" / "fainter.png")
    told = kinds(understand(folder))
    assert told["exact_copies"].startswith("6 of 52 images") and "another split" in told["exact_copies"]
    assert told["near_copies"].startswith("2 of 52 images") and "another split" in told["near_copies"]
    assert "conflicting_labels" not in told


def test_copies_with_two_labels(folder):
    made.class_folders(folder)
    shutil.copy(next((folder / "krank").iterdir()), folder / "gesund ü" / "same.png")
    told = kinds(understand(folder))
    assert told["conflicting_labels"].startswith("2 images") and told["exact_copies"].startswith("2 of 25 images")


def test_copies_with_two_labels_of_one_patient(folder):
    made.listed(folder, label=lambda i: "ab"[i % 2], patient=lambda i: f"p{i // 2}")
    shutil.copy(folder / "images" / "bild ä000.png", folder / "images" / "bild ä001.png")
    assert "conflicting_labels" in kinds(understand(folder, patient="patient"))


@pytest.mark.parametrize("apart", [True, False])
def test_patients_in_two_splits(folder, apart):
    patient = (lambda i: f"p{i // 2}") if apart else (lambda i: f"p{i % 12}")
    part = lambda i: "train" if i < 16 else "test"  # noqa: E731
    made.listed(folder, label=lambda i: "ab"[i % 2], patient=patient, split=part)
    told = kinds(understand(folder, patient="patient"))
    assert ("patients_in_splits" in told) != apart and "patients_unknown" not in told
    assert "patients_in_splits" not in kinds(understand(folder, patient="patient", split="none"))


def test_classes_of_few_patients(folder):
    made.listed(folder, n=40, label=lambda i: "ab"[i % 20 == 0], patient=lambda i: f"p{i // 2}")
    told = kinds(understand(folder, patient="patient"))
    assert told["small_class"] == "class 'b' has 2 patients; below 10 a test says nothing of it."


def test_files_that_cannot_be_read(folder):
    made.class_folders(folder)
    (folder / "krank" / "zz.png").write_bytes(b"no image")
    told = look(understand(folder))
    assert next(w for w in told["warnings"] if w["kind"] == "unreadable")["text"].startswith("1 of 25 files")
    assert told["n_images"] == 24


def save_with(folder, kind: str, label: int, i: int) -> None:
    image = Image.fromarray(made.scene(100 * label + i))
    if kind == "image size":
        image = image.resize((40 + 8 * label, 40))
    if kind == "grey range":
        image = Image.fromarray((np.asarray(image) * (1 - 0.3 * label)).astype(np.uint8))
    ending = "jpg" if kind == "file format" and label else "png"
    (folder / "ab"[label]).mkdir(exist_ok=True)
    image.save(folder / "ab"[label] / f"{chr(97 + i)}.{ending}")


@pytest.mark.parametrize("kind", ["file format", "image size", "grey range"])
def test_a_fact_of_the_files_that_predicts_the_label(folder, kind):
    for label in (0, 1):
        for i in range(20):
            save_with(folder, kind, label, i)
    told = [w["text"] for w in look(understand(folder))["warnings"] if w["kind"] == "shortcut"]
    assert any(text.startswith(f"the {kind} alone predicts the label: balanced accuracy 1.00") for text in told)


def test_a_number_that_the_size_tells(folder):
    made.listed(folder, n=40, target=lambda i: 1.5 * i)
    for i, file in enumerate(sorted((folder / "images").iterdir())):
        Image.open(file).resize((40 + i, 40)).save(file)
    told = kinds(understand(folder))
    assert "the image size alone predicts the label 'target': R2" in told["shortcut"]


def test_chance_is_no_shortcut():
    """Of 20 draws of facts that say nothing, next to none is told."""
    rng = np.random.default_rng(0)
    told = 0
    for _ in range(20):
        values, label = rng.normal(size=(60, 2)), rng.integers(0, 3, 60)
        told += shortcuts.predict(values, label, np.arange(60), "multiclass")[0] >= shortcuts.SKILL
    assert told <= 1


@pytest.mark.parametrize(("n", "warned"), [(60, True), (700, False)])
def test_a_test_part_is_small_where_its_interval_is_wider_than_ten_points(n, warned):
    class Fake:
        patients_named = True

        def owners(self, near):
            return pd.DataFrame({"owner": [f"p{i}" for i in range(2 * n)]})

    table = pd.DataFrame({"split": ["train"] * n + ["test"] * n})
    assert bool(looking._test(Fake(), table)) == warned


def test_labels_numbers_and_masks_are_looked_at(folder):
    made.listed(folder, edema=lambda i: i % 2, mass=lambda i: int(i % 3 == 0))
    told = look(understand(folder))
    assert told["classes"]["mass"] == {"images": 8, "patients": 8}
    mask = np.zeros((40, 40), np.uint8)
    for i in range(6):
        made.save(folder / "x" / "images" / f"{i}.png", 300 + i)
        (folder / "x" / "masks").mkdir(exist_ok=True)
        mask[i, 3 : 4 + i] = 1
        Image.fromarray(mask).save(folder / "x" / "masks" / f"{i}.png")
    told = look(understand(folder / "x"))
    assert told["task"] == "segmentation" and told["classes"] == {"foreground": {"images": 6, "patients": 6}}


def test_nothing_is_written_beside_the_images(folder):
    made.class_folders(folder)
    before = {f: f.stat().st_mtime_ns for f in folder.rglob("*")}
    look(understand(folder))
    assert {f: f.stat().st_mtime_ns for f in folder.rglob("*")} == before
