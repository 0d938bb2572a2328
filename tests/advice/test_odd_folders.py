"""Folders that public data sets, spreadsheets and systems leave behind: read as meant, or an error with the flag."""

from __future__ import annotations

from pathlib import Path

import folders_of_users as made
import pandas as pd
import pytest

from tlkit.advice import labels, reading
from tlkit.advice.choices import AmbiguousError
from tlkit.advice.looking import look
from tlkit.advice.seen import Seen
from tlkit.advice.understand import understand
from tlkit.datasets.layout import layout_of
from tlkit.layouts.folders import split_of


def samples(found):
    card = reading.card_of(found)
    return layout_of(card).scan(Path(found["folder"]), card)[0]


def ab(i: int) -> str:
    return "ab"[i % 2]


def choices(folder, words: str, **asked) -> list[str]:
    with pytest.raises(AmbiguousError, match=words) as error:
        understand(folder, **asked)
    return [flag for flag, _ in error.value.choices]


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [("entrainement", "validation", "test"), ("entrenamiento", "validacion", "prueba"), ("训练集", "验证集", "测试集"),
     ("Trainingsdaten", "Validierungsdaten", "Testdaten"), ("addestramento", "convalida", "prova"),
     ("treino", "validac\u0327a\u0303o", "teste")],
)  # fmt: skip
def test_splits_in_other_languages(train, val, test):
    assert list(map(split_of, (train, val, test))) == ["train", "val", "test"]


def test_a_folder_beside_parts_without_one_to_train_on_may_be_that(folder):
    made.class_folders(folder, n=4, parts=("early", "test"))
    flags = choices(folder, "early, with 8 images, is not")
    assert flags == [f"--split early={part}" for part in ("train", "val", "test", "none")]
    assert set(samples(understand(folder, split="early=train"))["split"]) == {"train", "test"}


def test_parts_are_no_classes_and_what_lies_beside_is_said(folder):
    for part in ("train", "val"):
        for i in range(4):
            made.save(folder / "images" / part / f"{part}{i}.jpg", i)
            (folder / "labels" / part).mkdir(parents=True, exist_ok=True)
            (folder / "labels" / part / f"{part}{i}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    assert not any("folder" in flag for flag in choices(folder, "boxes as of YOLO are not read"))


def test_tables_in_the_folders_of_their_parts(folder):
    for part, n in (("train", 8), ("test", 4)):
        for i in range(n):
            made.save(folder / part / f"{made.word(i)}.png", i + 100 * n)
        names = [f"{made.word(i)}.png" for i in range(n)]
        rows = pd.DataFrame({"file_name": names, "label": [ab(i) for i in range(n)]})
        rows.to_csv(folder / part / "metadata.csv", index=False)
    assert samples(understand(folder))["split"].value_counts().to_dict() == {"train": 8, "test": 4}


def test_the_folder_that_was_named_does_not_say_what_its_tables_are():
    seen = Seen(Path("/x/test"), {}, ["a.png"])
    assert labels.part_of(seen.root / "labels.csv", seen.root) == ""


def test_tables_beside_folders_of_patients_are_offered_with_these(folder):
    rows = [(f"{p}/patient{i:02d}/study{1 + i % 2}/view.jpg", p, i) for p in ("train", "valid") for i in range(6)]
    for at, (path, _, _) in enumerate(rows):
        made.save(folder / "small" / path, at)
    for part in ("train", "valid"):  # of the second, one label never changes
        mine = [(path, i) for path, p, i in rows if p == part]
        table = pd.DataFrame({"Path": [f"small/{path}" for path, _ in mine], "edema": [i % 2 for _, i in mine]})
        table["mass"] = [int(i % 3 == 0 and part == "train") for _, i in mine]
        table.to_csv(folder / "small" / f"{part}.csv", index=False)
    *_, last = choices(folder, "More than one way to know")
    assert last.count(".csv") == 2
    found = understand(folder, labels="small/train.csv,small/valid.csv", patient="none")  # as seen from the folder
    assert found["classes"] == ["edema", "mass"] and len(samples(found)) == 12


def test_a_table_that_was_named_gets_its_patients_from_another(folder):
    rows = made.table(folder, **{name: lambda i, k=k: float(i % 3 == k) for k, name in enumerate(("MEL", "NV", "BCC"))})
    rows.to_csv(folder / "truth.csv", index=False)
    people = pd.DataFrame(
        {"file": rows["file"], "lesion_id": [f"L{i // 2}" for i in range(24)], "sex": ["m", "f"] * 12}
    )
    people.to_csv(folder / "metadata.csv", index=False)
    assert choices(folder, "Who is shown", labels="truth.csv") == ["--patient lesion_id", "--patient none"]
    found = understand(folder, labels="truth.csv", patient="lesion_id")
    assert found["classes"] == ["MEL", "NV", "BCC"] and samples(found)["patient"].nunique() == 12
    assert not any("other letters" in line for line in found["said"])  # 0.0 and 1.0 are no spellings


def test_a_title_above_the_names_of_columns(folder):
    with pd.ExcelWriter(folder / "t.xlsx") as book:
        made.table(folder, dx=ab).to_excel(book, index=False, startrow=2)
        book.sheets["Sheet1"]["A1"] = "Study of 2024"
    choices(folder, "names no columns: it says Study of 2024, nothing")


def test_a_row_without_a_file_is_left_out(folder):
    rows = made.table(folder, dx=ab)
    pd.concat([rows, pd.DataFrame({"file": ["", "NA"], "dx": ["a", "b"]})]).to_csv(folder / "t.csv", index=False)
    assert look(understand(folder))["n_images"] == 24


def test_a_column_that_numbers_the_rows_is_no_answer(folder):
    rows = made.table(folder, n=40, grade=lambda i: "low" if i % 3 else "high")
    rows.to_csv(folder / "t.csv", index=True)
    assert understand(folder)["classes"] == ["high", "low"]


def test_rows_of_folders_by_their_paths_and_such_without_a_header(folder):
    studies = [f"x/train/p{made.word(i)}/study1_{'pos' if i % 2 else 'neg'}/" for i in range(8)]
    for i, study in enumerate(studies):
        for k in range(2):
            made.save(folder / study.removeprefix("x/") / f"image{k}.png", 2 * i + k)
    rows = pd.DataFrame({"study": studies, "label": [i % 2 for i in range(8)]})
    rows.to_csv(folder / "studies.csv", index=False, header=False)
    choices(folder, "names no columns", labels="studies.csv")
    rows.to_csv(folder / "studies.csv", index=False)
    found = understand(folder, labels="studies.csv", patient="none")
    assert samples(found)["label"].value_counts().to_dict() == {0: 8, 1: 8}


def test_an_encoding_that_is_not_known_says_what_to_do(folder):
    made.table(folder, 正常=ab)
    (folder / "t.csv").write_bytes("ファイル,診断\nax.png,正常\n".encode("shift_jis"))
    choices(folder, "save it as UTF-8")


@pytest.mark.parametrize(
    ("images", "masks"), [("set/{}/x{}.png", "set/{}/x{}_mask.png"), ("{}/images/x{}.png", "{}/masks/x{}.png")]
)
def test_masks_in_folders_that_may_be_classes(folder, images, masks):
    for at, name in enumerate(("benign", "malignant")):
        for i in range(5):
            made.save(folder / images.format(name, i), 10 * at + i)
            made.mask(folder / masks.format(name, i), width=5 + i)
    assert choices(folder, "benign, malignant") == ["--task segmentation", "--task multiclass"]
    assert understand(folder, task="segmentation")["classes"] == ["background", "foreground"]
    asked = {"label": "folder:2"} if images.startswith("set") else {}
    found = understand(folder, task="multiclass", **asked)
    assert found["classes"] == ["benign", "malignant"] and len(samples(found)) == 10


def test_what_macos_adds_beside_a_single_folder_is_no_class(folder):
    made.class_folders(folder / "data", n=4)
    (folder / "__MACOSX" / "data" / "krank").mkdir(parents=True)
    (folder / "__MACOSX" / "data" / "krank" / "._a0x.png").write_bytes(b"x")
    assert choices(folder, "Nothing says") == ["--label folder:2"]
    assert len(samples(understand(folder, label="folder:2"))) == 8


def test_endings_of_drawings_and_of_lines_of_json(folder):
    (folder / "a.svg").write_text("<svg/>")
    (folder / "a.jsonl").write_text("{}")
    choices(folder, "Of .svg: save them as PNG or JPEG. Of .jsonl: of tables CSV")
