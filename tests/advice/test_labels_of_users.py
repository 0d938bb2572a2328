"""Tables as strangers write them, several of them, and classes that stand in the names of files."""

from __future__ import annotations

from pathlib import Path

import folders_of_users as made
import pandas as pd
import pytest

from tlkit.advice import labels, reading
from tlkit.advice.choices import AmbiguousError
from tlkit.advice.understand import understand
from tlkit.datasets.layout import layout_of
from tlkit.layouts.entries import read_text
from tlkit.layouts.table import as_class, find_listed, group_paths


def samples(found):
    card = reading.card_of(found)
    return layout_of(card).scan(Path(found["folder"]), card)[0]


def ab(i: int) -> str:
    return "ab"[i % 2]


@pytest.mark.parametrize(
    ("name", "part"),
    [("train", "train"), ("labels_test", "test"), ("TrainingSet", "train"), ("val_labels", "val"), ("df-dev-2", "val"),
     ("train_test_split", ""), ("labels", ""), ("stage_2_train_labels", "train")],
)  # fmt: skip
def test_the_split_that_the_name_of_a_table_says(name, part):
    assert labels.part_of(Path(f"{name}.csv")) == part


@pytest.mark.parametrize("alike", [True, False])
def test_tables_called_like_splits_are_one_reading(folder, alike):
    for part, n in (("train", 8), ("val", 4), ("test", 4)):
        for i in range(n):  # of equal names in folders of the splits, or of other names in one folder
            made.save(folder / (part if alike else "images") / f"{'' if alike else part}{made.word(i)}.png", n * 10 + i)
        names = [f"{'' if alike else part}{made.word(i)}.png" for i in range(n)]
        table = pd.DataFrame({"image": names, "dx": [ab(i) for i in range(n)]})
        table.to_csv(folder / f"{part}_labels.csv", index=False)
    found = understand(folder)
    assert samples(found)["split"].value_counts().to_dict() == {"train": 8, "val": 4, "test": 4}
    assert any("by the tables, train, val, test" in line for line in found["said"])
    assert set(samples(understand(folder, split="none"))["split"]) == {"train", "val", "test"}  # kept, and not used
    assert not understand(folder, split="none")["official"]
    assert len(samples(understand(folder, labels="train_labels.csv"))) == 8
    assert len(samples(understand(folder, labels="train_labels.csv, test_labels.csv"))) == 12


def test_a_table_of_the_test_without_answers_is_said_to_be_unread(folder):
    made.table(folder, 24, dx=ab).iloc[:16].to_csv(folder / "train.csv", index=False)
    made.table(folder, 24).iloc[16:].to_csv(folder / "test.csv", index=False)
    found = understand(folder)
    assert len(samples(found)) == 16 and any("not read: test.csv" in line for line in found["said"])


def test_tables_that_are_no_splits_are_two_readings(folder):
    made.table(folder, dx=ab).to_csv(folder / "one.csv", index=False)
    made.table(folder, dx=lambda i: "xy"[i // 12]).to_csv(folder / "two.csv", index=False)
    with pytest.raises(AmbiguousError, match=r"two\.csv"):
        understand(folder)


@pytest.mark.parametrize("where", ["p{}/{}.png", "p{}_{}.png"])
def test_a_row_of_a_patient_is_of_all_his_images(folder, where):
    for i in range(24):
        made.save(folder / "images" / where.format(i // 3, i % 3), i)
    shown = pd.DataFrame({"Pseudonym": [f"P{i}" for i in range(8)], "Befund": ["gesund", "krank"] * 4})
    shown.to_csv(folder / "befunde.csv", index=False, sep=";")
    found = understand(folder, labels="befunde.csv", patient="Pseudonym")
    table = samples(found)
    assert found["classes"] == ["gesund", "krank"] and len(table) == 24 and table["patient"].nunique() == 8
    assert table["class"].value_counts().to_dict() == {"gesund": 12, "krank": 12}


def test_names_that_begin_alike_are_not_one_patient():
    paths = ["p1_0.png", "p10_0.png", "p1/x.png"]
    assert group_paths(pd.Series(["P1", "p10", "p", ""]), paths).tolist() == [
        ["p1_0.png", "p1/x.png"],
        ["p10_0.png"],
        "",
        "",
    ]
    assert find_listed(pd.Series(["7.0", "12.0"]), ["0007.png", "12.jpg"]).tolist() == ["0007.png", "12.jpg"]


@pytest.mark.parametrize(
    ("said", "classes"),
    [(lambda i: ["1.0", "0.0", "1"][i % 3], ["0", "1"]), (lambda i: ["Normal", "NORMAL ", "tumour"][i % 3], None),
     (lambda i: [1.0, 0.0, None][i % 3], ["0", "1"]), (lambda i: ["a  b", "a b", "c"][i % 3], ["a b", "c"])],
)  # fmt: skip
def test_spellings_of_one_class_are_one(folder, said, classes):
    made.table(folder, label=said).to_csv(folder / "t.csv", index=False)
    found = understand(folder)
    table = samples(found)
    assert found["classes"] == classes or [as_class(c) for c in found["classes"]] == ["normal", "tumour"]
    assert len(table) == 24 - sum(said(i) is None for i in range(24)) and table["label"].nunique() == 2


def test_two_columns_that_name_the_same_classes_are_one_way(folder):
    made.table(folder, class_id=lambda i: i % 3, finding=lambda i: ["cyst", "nodule", "none seen"][i % 3]).to_csv(
        folder / "t.csv", index=False
    )
    found = understand(folder)
    assert found["classes"] == ["cyst", "nodule", "none seen"]
    assert any("'class_id' says the same" in line for line in found["said"])


def test_dates_are_no_classes_and_a_split_is_known_by_what_it_says(folder):
    made.table(
        folder,
        seen=lambda i: f"0{1 + i % 3}.05.2020",
        result=ab,
        use=lambda i: ["Training", "Validierung", "Test"][i % 3],
    ).to_csv(folder / "t.csv", index=False)
    found = understand(folder)
    assert found["options"]["label"] == "result" and found["options"]["split"] == "use"


@pytest.mark.parametrize(
    ("first", "second", "no"),
    [(["x", ""], ["", "x", "x"], [""]), ([-1, 1], [1, 1, -1], ["-1"]), (["ja", "nein"], ["nein", "ja", "ja"], []),
     ([-1.0, 1.0, 0.0, ""], ["", 1.0, 0.0], ["", "-1.0"]), ([1, 0], [1, 1, 0], [])],
)  # fmt: skip
def test_what_says_no(folder, first, second, no):
    table = made.table(folder, one=lambda i: first[i % len(first)], two=lambda i: second[i % len(second)])
    table.to_csv(folder / "t.csv", index=False)
    found = understand(folder)
    assert found["task"] == "multilabel" and found["classes"] == ["one", "two"]
    assert found["options"].get("no", []) == no and len(samples(found)) == 24
    yes = sum(str(first[i % len(first)]) in ("x", "1", "1.0", "ja") for i in range(24))
    assert samples(found)["one"].sum() == yes


@pytest.mark.parametrize("code", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("sign", [",", ";", "\t", "|", " "])
def test_encodings_and_separators(tmp_path, code, sign):
    text = pd.DataFrame({"Bild": ["ä.png", "b.png"], "Befund": ["Fuß", "Körper"]}).to_csv(sep=sign, index=False)
    (tmp_path / "t.csv").write_bytes(text.encode(code))
    assert read_text(tmp_path / "t.csv").to_dict("list") == {"Bild": ["ä.png", "b.png"], "Befund": ["Fuß", "Körper"]}


def test_tables_that_are_not_understood_say_what_to_change(folder):
    table = made.table(folder, dx=ab)
    with pd.ExcelWriter(folder / "t.xlsx") as book:
        pd.DataFrame({"Info": ["hello"]}).to_excel(book, sheet_name="Info", index=False)
        table.to_excel(book, sheet_name="Data", index=False)
    with pytest.raises(AmbiguousError, match="Of its sheets Info, Data the first is read"):
        understand(folder)
    (folder / "t.xlsx").unlink()
    (folder / "t.csv").write_text("file,dx\n")
    with pytest.raises(AmbiguousError, match="no rows"):
        understand(folder)
    (folder / "t.csv").write_text(table.assign(more="z").to_csv(index=False).replace("file,dx,more", "file,dx,dx"))
    with pytest.raises(AmbiguousError, match="more than one column 'dx'"):
        understand(folder)
    for file in list((folder / "images").iterdir()):
        file.with_suffix(".jpg").write_bytes(file.read_bytes())
    table.assign(file=table["file"].str[:-4]).to_csv(folder / "t.csv", index=False)
    with pytest.raises(AmbiguousError, match="with other endings: write the ending"):
        understand(folder)


def test_classes_in_the_names_of_files_are_offered(folder):
    for i in range(12):
        made.save(folder / "images" / f"{'CAT' if i < 6 else 'dog'}_{i:03d}.png", i)
    with pytest.raises(AmbiguousError, match="cat 6, dog 6") as error:
        understand(folder)
    assert [flag for flag, _ in error.value.choices] == ["--label name:1"]
    found = understand(folder, label="name:1")
    assert found["classes"] == ["CAT", "dog"] and samples(found)["class"].value_counts().to_dict() == {
        "CAT": 6,
        "dog": 6,
    }
    for wrong in ("name:2", "name:7", "name:x"):
        with pytest.raises(AmbiguousError, match="--label name:"):
            understand(folder, label=wrong)


def test_folders_that_lie_deep_are_named_in_place_of_the_one_above(folder):
    for i in range(8):
        made.save(folder / "data" / "v1" / ab(i) / f"{made.word(i)}.png", i)
    with pytest.raises(AmbiguousError) as error:
        understand(folder)
    ((choice, _),) = error.value.choices
    assert choice == f"'{folder}/data/v1'".replace("b'ü", "b'\"'\"'ü")
    assert understand(folder / "data" / "v1")["classes"] == ["a", "b"]
