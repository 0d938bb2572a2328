from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import trees
from PIL import Image

from tlkit.config import ConfigError
from tlkit.datasets import DATASETS, UnreadableFile, splits
from tlkit.datasets.store import build_store, open_store
from tlkit.layouts import boneage
from tlkit.phantoms import write

CARD = DATASETS["rsna-bone-age"]
OFFICIAL = {  # table: header, folder of its images, rows
    "boneage-training-dataset.csv": (
        "id,boneage,male",
        "boneage-training-dataset",
        ["1377,180,False", "1378,12,FALSE", "1379,94,True", "1380,120,TRUE"],
    ),
    "Bone Age Validation Set/Validation Dataset.csv": (
        "Image ID,male,Bone Age (months)",
        "Bone Age Validation Set/boneage-validation-dataset-1",
        ["1386,True,168", "1392,FALSE,30"],
    ),
    "Bone Age Test Set/Bone age ground truth.csv": (
        "Case ID,Sex,Ground truth bone age (months)",
        "Bone Age Test Set/Test Set Images",
        ["4360,M,168.93", "1377,F,45.5"],  # a number of the training part: another child
    ),
}
RENAMED = {
    "TrainingSet/train.csv": ("id,boneage,male", "TrainingSet/Images", ["1,180,0", "2,12,1", "3,13,1.0"]),
    "ValidationSet/Valid.csv": ("ID,BoneAge,Male", "ValidationSet/Images", ["1,50,m", "2,51,Female"]),
    "TestSet/Test.csv": ("male,id,boneage", "TestSet/Images", ["true,1,70", "false,2,71"]),
}


def tree(root: Path, tables: dict = OFFICIAL) -> Path:
    """Write the tables and an image for each of their rows."""
    for table, (header, folder, rows) in tables.items():
        (root / table).parent.mkdir(parents=True, exist_ok=True)
        (root / table).write_text("\n".join([header, *rows]) + "\n")
        column = [name.lower() in ("id", "image id", "case id") for name in header.split(",")].index(True)
        for k, row in enumerate(rows):
            trees.picture(root / folder / f"{row.split(',')[column]}.png", k, mode="L")
    return root


def changed(table: str, rows: list[str]) -> dict:
    header, folder, old = OFFICIAL[table]
    return OFFICIAL | {table: (header, folder, [*old, *rows])}


def scanned(root: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    samples, rejects = boneage.scan(root, CARD)
    return samples.set_index("id"), rejects.set_index("path")


def test_the_official_tree_has_three_ways_to_name_a_column_and_to_say_boy(tmp_path):
    samples, rejects = scanned(tree(tmp_path))
    assert rejects.empty and boneage.LAYOUT.classes(tmp_path, CARD) == ()
    assert samples["male"].to_dict() == {
        "train/1377": 0, "train/1378": 0, "train/1379": 1, "train/1380": 1,
        "val/1386": 1, "val/1392": 0, "test/4360": 1, "test/1377": 0,
    }  # fmt: skip
    assert samples.loc["test/4360"].to_dict() == {
        "path": "Bone Age Test Set/Test Set Images/4360.png",
        "frame": 0,
        "patient": "test/4360",
        "split": "test",
        "label": 14,
        "boneage": 168.93,
        "male": 1.0,
    }
    assert samples["boneage"].dtype == samples["male"].dtype == float
    assert samples.at["test/1377", "path"] != samples.at["train/1377", "path"]
    splits.check_disjoint(samples["split"], samples["patient"])


def test_the_renamed_tree_and_numbers_for_sex(tmp_path):
    samples, rejects = scanned(tree(tmp_path, RENAMED))
    assert rejects.empty
    assert samples["male"].to_dict() == {
        "train/1": 0, "train/2": 1, "train/3": 1, "val/1": 1, "val/2": 0, "test/1": 1, "test/2": 0,
    }  # fmt: skip
    assert samples["label"].to_dict()["train/2"] == 1 and samples.at["train/3", "boneage"] == 13


BAD = {  # row of the training table -> words and kind of the reason
    "2001,200,other": ("no known word for the sex: 'other'", "unreadable"),
    "2002,200,": ("no known word for the sex: ''", "unreadable"),
    "2003,,True": ("bone age outside 0 to 240 months: ''", "rule"),
    "2004,240.5,True": ("bone age outside 0 to 240 months: '240.5'", "rule"),
    "2005,-1,True": ("bone age outside 0 to 240 months: '-1'", "rule"),
    "2006,nan,True": ("bone age outside 0 to 240 months: 'nan'", "rule"),
    "2007,inf,True": ("bone age outside", "rule"),
    "2008,old,True": ("bone age outside", "rule"),
}
TRAINING = "boneage-training-dataset.csv"


def test_rows_that_cannot_be_used_are_named_and_nothing_else_is_lost(tmp_path):
    root = tree(tmp_path, changed(TRAINING, [*BAD, "2009,50,True", "2010,60,True", "1380,120,TRUE"]))
    table = root / TRAINING
    table.write_text(table.read_text() + "2010,61,True\n2011,5,True\n,5,True\n")  # differs; no image; no number
    trees.picture(root / "boneage-training-dataset/3000.png", mode="L")
    trees.picture(root / "boneage-training-dataset/more/1377.png", mode="L")
    trees.picture(root / "elsewhere/1.png", mode="L")
    (root / "Bone Age Test Set/readme.pdf").touch()
    samples, rejects = scanned(root)
    assert [i for i in samples.index if i.startswith("train")] == [
        "train/1377", "train/1378", "train/1379", "train/1380", "train/2009",
    ]  # fmt: skip
    folder = "boneage-training-dataset/"
    expected = {f"{folder}{line.split(',')[0]}.png": why for line, why in BAD.items()} | {
        f"{folder}2010.png": ("rows of the table that differ", "unreadable"),
        "train/2011": ("no image for this row", "unreadable"),
        "train/": ("a row without the number of its image", "unreadable"),
        "train/1380": ("equal rows of the table, read once", "note"),
        f"{folder}3000.png": ("no row for the image in the table of its part", "rule"),
        f"{folder}more/1377.png": ("1377 of this part is there already: boneage-training-dataset/1377.png", "rule"),
        "elsewhere/1.png": ("neither file nor folders say train, validation or test", "rule"),
        "Bone Age Test Set/readme.pdf": ("'.pdf' is neither a PNG image nor a table", "rule"),
    }
    assert set(rejects.index) == set(expected) and rejects.index.is_unique
    for path, (words, kind) in expected.items():
        assert words in rejects.at[path, "reason"] and rejects.at[path, "kind"] == kind, path


def test_a_number_under_sex_says_nothing(tmp_path):
    test = "Bone Age Test Set/Bone age ground truth.csv"
    _, rejects = scanned(tree(tmp_path, changed(test, ["4400,1,50"])))
    assert "no known word for the sex: '1'" in rejects.at["Bone Age Test Set/Test Set Images/4400.png", "reason"]


@pytest.mark.parametrize("word", ["True", "FALSE", "1", "M"])
def test_a_constant_sex_is_an_error(tmp_path, word):
    rows = [f"{k},{10 * k},{word}" for k in range(1, 5)]
    with pytest.raises(ConfigError, match=r"sex is constant: all 4 images of 'train' have male = [01]"):
        boneage.scan(tree(tmp_path, OFFICIAL | {TRAINING: ("id,boneage,male", "boneage-training-dataset", rows)}), CARD)


def test_a_few_test_images_of_one_sex_are_not_an_error_many_are(tmp_path):
    path = "Bone Age Test Set/Bone age ground truth.csv"
    for n, fails in ((7, False), (8, True)):
        table = {path: (*OFFICIAL[path][:2], [f"{4400 + k},F,{60 + k}" for k in range(n)])}
        root = tree(tmp_path / str(n), OFFICIAL | table)
        if fails:
            with pytest.raises(ConfigError, match="all 8 images of 'test'"):
                boneage.scan(root, CARD)
        else:
            assert (boneage.scan(root, CARD)[0]["split"] == "test").sum() == n


def test_missing_parts_and_tables_without_ages_are_notes(tmp_path):
    root = tree(tmp_path, {TRAINING: OFFICIAL[TRAINING]})
    (root / "boneage-test-dataset.csv").write_text("Case ID,Sex\n4360,M\n")
    trees.picture(root / "boneage-test-dataset/4360.png", mode="L")
    samples, rejects = scanned(root)
    assert set(samples["split"]) == {"train"}
    assert rejects["reason"].to_dict() == {
        "boneage-test-dataset.csv": "table not used: lacks boneage",
        "boneage-test-dataset/4360.png": "no row for the image in the table of its part",
        "test": "no table of this part: its images are drawn from the training part",
        "val": "no table of this part: its images are drawn from the training part",
    }


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (None, "Found: no table at all"),
        ("id,boneage", r"columns are id or Image ID.*boneage-training-dataset\.csv: table not used: lacks male or sex"),
        ("id,boneage,male", r"boneage-training-dataset\.csv: table not used: lacks rows"),
        ("id;boneage;male", "lacks number, boneage, male or sex"),
    ],
)
def test_without_a_training_table_nothing_works(tmp_path, header, words):
    root = tree(tmp_path, {TRAINING: OFFICIAL[TRAINING]})
    if header is None:
        (root / TRAINING).unlink()
    else:
        (root / TRAINING).write_text(header + "\n")
    with pytest.raises(ConfigError, match=words):
        boneage.scan(root, CARD)


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("boneage-training-dataset/boneage-training-dataset/1.png", "train"),
        ("Bone Age Test Set/boneage-training-dataset/1.png", "train"),
        ("TestSet/Images/1.png", "test"),
        ("val/1.png", "val"),
        ("values/latest/1.png", ""),
        ("Bone age ground truth.xlsx", "test"),
    ],
)
def test_the_last_telling_name_says_the_part(path, part):
    assert boneage.part_of(path) == part


def test_images_are_read_as_grey_16_bits_by_a_range_and_half_a_file_is_unreadable(tmp_path):
    root = tree(tmp_path)
    samples, _ = boneage.scan(root, CARD)
    (image,), masks = boneage.LAYOUT.decode(root, samples.iloc[:1], CARD)
    assert image.dtype == np.uint8 and image.shape == (20, 16) and masks == [None]
    Image.fromarray(np.full((8, 8), 900, np.uint16)).save(root / samples["path"].iloc[1])
    (root / samples["path"].iloc[2]).write_bytes((root / samples["path"].iloc[2]).read_bytes()[:90])
    deep = replace(CARD, options=CARD.options | {"range": (0, 1000)})
    (image,), _ = boneage.LAYOUT.decode(root, samples.iloc[1:2], deep)
    assert image.tolist() == [[230] * 8] * 8  # 229.5 goes to the even number
    with pytest.raises(UnreadableFile):
        boneage.LAYOUT.decode(root, samples.iloc[2:3], CARD)


def test_the_phantom_is_read_like_the_real_set(tmp_path):
    root = write.make("rsna-bone-age", tmp_path, 1, train=10, val=4, test=4, pixels=32)
    samples, rejects = scanned(root)
    assert rejects.empty and samples["split"].value_counts().to_dict() == {"train": 10, "val": 4, "test": 4}
    assert samples.groupby("split")["male"].mean().eq(0.5).all() and samples["boneage"].between(1, 228).all()
    store = open_store(build_store(CARD, root, 16, tmp_path / "stores"))
    assert store.images.shape == (18, 16, 16) and {"boneage", "male"} <= set(store.table)
    shorter = replace(CARD, options=CARD.options | {"ages": (0.0, 60.0)})
    kept, left = boneage.scan(root, shorter)
    assert (kept["boneage"] <= 60).all() and len(kept) + len(left) == 18
