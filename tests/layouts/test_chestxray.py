import numpy as np
import pandas as pd
import pytest
import trees
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tlkit.config import ConfigError
from tlkit.datasets import DATASETS, UnreadableFile, splits
from tlkit.datasets.rejects import UnreadableShareError
from tlkit.datasets.store import build_store, open_store
from tlkit.layouts import chestxray

CARD = DATASETS["chestxray"]


def scanned(root):
    samples, rejects = chestxray.scan(root, CARD)
    return samples, rejects.set_index("path")


def add(root, line: str, image: bool = True, listed: str = "train_val_list.txt") -> None:
    """Add a row to the CSV, its image, and its line to a list."""
    name = line.split(",")[0]
    csv = root / "Data_Entry_2017.csv"
    csv.write_text(csv.read_text() + line + "\n")
    if image:
        trees.picture(root / "images_001/images" / name, mode="L")
    if listed:
        (root / listed).write_text((root / listed).read_text() + name + "\n")


def test_findings_patients_and_official_split(tmp_path):
    samples, rejects = scanned(trees.chestxray(tmp_path))
    assert rejects.empty
    samples = samples.set_index("id")
    assert samples["path"].iloc[0] == "images_002/images/00000001_000.png"
    assert samples["patient"].tolist() == ["1", "1", "2", "3", "4", "5", "5", "6"]
    assert samples["split"].tolist() == ["train"] * 5 + ["test"] * 3
    names = [*CARD.classes, "No Finding"]
    assert len(names) == 15 and samples[names].dtypes.eq("bool").all()
    held = {i: [n for n in names if row[n]] for i, row in samples.iterrows()}
    assert held["00000003_000.png"] == ["Hernia", "Infiltration", "Mass"]
    assert held["00000001_001.png"] == ["Cardiomegaly", "Effusion"] and held["00000005_001.png"] == ["No Finding"]
    assert samples.at["00000003_000.png", "label"] == CARD.classes.index("Hernia")  # one image each: the first
    assert samples.at["00000002_000.png", "label"] == 14


def test_the_label_for_draws_is_the_rarest(tmp_path):
    samples, _ = scanned(trees.chestxray(tmp_path, [*trees.CHESTXRAY, ("00000004_001.png", "Effusion|Hernia", 4)]))
    labels = samples.set_index("id")["label"]
    assert labels["00000004_001.png"] == CARD.classes.index("Hernia")  # two images, of effusions there are three
    assert labels["00000003_000.png"] == CARD.classes.index("Infiltration")


def test_one_folder_for_all_images_and_the_csv_of_2020(tmp_path):
    root = trees.chestxray(tmp_path, csv="Data_Entry_2017_v2020.csv")
    (root / "images_001/images").rename(root / "images")
    samples, _ = scanned(root)
    assert len(samples) == 8 and samples["path"].str.startswith("images/").sum() == 3
    trees.chestxray(root / "x", csv="Data_Entry_2017.csv")
    (root / "x/Data_Entry_2017.csv").rename(root / "Data_Entry_2017.csv")
    (root / "Data_Entry_2017.csv").write_text("old\n")
    _, rejects = chestxray.scan(root, CARD)
    reason = rejects.set_index("path").at["Data_Entry_2017.csv", "reason"]
    assert reason == "Data_Entry_2017_v2020.csv is read in its place"


BAD = {  # row of the CSV -> words and kind of the reason
    "00000007_000.png,Mass|Tumour,0,7": ("unknown label in: Mass|Tumour", "unreadable"),
    "00000007_001.png,No Finding|Mass,0,7": ("exclude each other", "unreadable"),
    "00000007_002.png,,0,7": ("no label", "unreadable"),
    "00000007_003.png,Mass,0,": ("no patient", "unreadable"),
    "00000007_004.png,Mass": ("no patient", "unreadable"),
    "00000005_009.png,Mass,0,5": ("patient 5 stands in both official lists", "rule"),
}


def test_rows_that_cannot_be_used_are_named_and_nothing_else_is_lost(tmp_path):
    root = trees.chestxray(tmp_path)
    for line in BAD:
        add(root, line)
    add(root, "00000008_000.png,Mass,0,8", listed="")
    add(root, "00000008_001.png,Mass,0,8", image=False)
    add(root, "00000008_002.png,Mass,0,8")
    add(root, "00000008_002.png,Nodule,0,8", image=False, listed="")
    add(root, "00000008_003.png,Nodule,0,8", image=False, listed="test_list.txt")
    (root / "test_list.txt").write_text((root / "test_list.txt").read_text() + "00000009_000.png\n")
    trees.picture(root / "images_001/images/00000099_000.png", mode="L")
    trees.picture(root / "images_002/images/00000002_000.png", mode="L")
    trees.picture(root / "again/00000002_000.png", mode="L")
    (root / "README_CHESTXRAY.pdf").touch()
    samples, rejects = scanned(root)
    assert samples["id"].tolist() == [name for name, *_ in trees.CHESTXRAY]
    expected = {f"images_001/images/{line.split(',')[0]}": why for line, why in BAD.items()} | {
        "images_001/images/00000008_000.png": ("in neither official list", "rule"),
        "00000008_001.png": ("no image for this row of the CSV", "unreadable"),
        "images_001/images/00000008_002.png": ("rows of the CSV that differ", "unreadable"),
        "00000008_003.png": ("no image for this row", "unreadable"),
        "00000009_000.png": ("no image for this line of test_list.txt", "unreadable"),
        "images_001/images/00000099_000.png": ("the CSV does not know the image", "rule"),
        "images_002/images/00000002_000.png": ("is there already: again/00000002_000.png", "rule"),
        "images_001/images/00000002_000.png": ("is there already: again/00000002_000.png", "rule"),
        "README_CHESTXRAY.pdf": ("'.pdf' is no PNG image", "rule"),
    }
    assert set(rejects.index) == set(expected) and rejects.index.is_unique
    for path, (words, kind) in expected.items():
        assert words in rejects.at[path, "reason"] and rejects.at[path, "kind"] == kind, path


def test_equal_rows_and_an_image_in_both_lists_are_notes(tmp_path):
    root = trees.chestxray(tmp_path)
    add(root, "00000002_000.png,No Finding,0,2,58,M,PA,2682,2749,0.143,0.143,", image=False, listed="test_list.txt")
    samples, rejects = scanned(root)
    assert len(samples) == 8 and samples.set_index("id").at["00000002_000.png", "split"] == "test"
    assert rejects["reason"].to_dict() == {
        "00000002_000.png": "equal rows of the CSV, read once",
        "images_001/images/00000002_000.png": "stands in both official lists; used for the test",
    }
    assert set(rejects["kind"]) == {"note"}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("Data_Entry_2017.csv", None, "lacks Data_Entry_2017.csv"),
        ("Data_Entry_2017.csv", b"", "is no table of comma-separated values"),
        ("Data_Entry_2017.csv", bytes(range(256)) * 4, "is no table|lacks the columns"),
        ("Data_Entry_2017.csv", b"Image Index,Patient ID\nx.png,1\n", "lacks the columns Finding Labels; found Image"),
        ("Data_Entry_2017.csv", b"Image Index;Finding Labels;Patient ID\nx.png;Mass;1\n", "comma-separated"),
        ("test_list.txt", None, "lacks test_list.txt"),
        ("train_val_list.txt", None, "lacks train_val_list.txt"),
    ],
)
def test_csv_and_lists_that_cannot_be_read_are_errors(tmp_path, name, content, words):
    root = trees.chestxray(tmp_path)
    (root / name).unlink() if content is None else (root / name).write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        chestxray.scan(root, CARD)


def test_four_channels_are_read_as_grey_and_noted_16_bits_by_a_range_and_cut_files_are_unreadable(tmp_path):
    root = trees.chestxray(tmp_path / "data")
    folder = root / "images_001/images"
    grey = np.asarray(Image.open(folder / "00000002_000.png"))
    Image.fromarray(np.dstack([grey] * 3 + [np.full_like(grey, 7)])).save(folder / "00000002_000.png")
    deep = np.asarray(Image.open(folder / "00000004_000.png"))
    Image.fromarray(deep.astype(np.uint16) * 257).save(folder / "00000004_000.png")
    other = root / "images_002/images/00000003_000.png"
    other.write_bytes(other.read_bytes()[:100])
    samples, rejects = scanned(root)
    assert len(samples) == 8
    assert rejects["reason"].to_dict() == {
        "images_001/images/00000002_000.png": "mode RGBA: colours and transparency dropped"
    }
    (image,), masks = chestxray.LAYOUT.decode(root, samples[samples["id"] == "00000002_000.png"], CARD)
    assert (image == grey).all() and image.dtype == np.uint8 and masks == [None]
    with pytest.warns(UserWarning, match="16 bits are read with 0 as black and 65535 as white"):
        (image,), _ = chestxray.LAYOUT.decode(root, samples[samples["id"] == "00000004_000.png"], CARD)
    assert (image == deep).all()
    with pytest.raises(UnreadableFile, match=r"truncated|OSError"):
        chestxray.LAYOUT.decode(root, samples[samples["id"] == "00000003_000.png"], CARD)
    with pytest.raises(UnreadableShareError, match=r"1 of 8 files"):
        build_store(CARD, root, 8)
    with pytest.warns(UserWarning, match="1 unreadable files and 0 files or slices left out"):
        opened = open_store(build_store(CARD, root, 8, max_unreadable=0.3))
    assert len(opened) == 7
    assert sorted(pd.read_csv(opened.path / "rejects.csv")["kind"]) == ["note", "unreadable"]


def tables(patients: list[int], labels: list[int], tests: list[bool]) -> pd.DataFrame:
    """Return the table of patients with so many images, one label each, some of them in the official test list."""
    rows = [
        (f"{p:04d}_{k}", f"{p}", "test" if test else "train", label)
        for p, (n, label, test) in enumerate(zip(patients, labels, tests, strict=True))
        for k in range(n)
    ]
    return pd.DataFrame(rows, columns=["id", "patient", "split", "label"])


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(4, 40), st.floats(0.05, 0.4), st.integers(0, 10**6))
def test_train_and_val_share_no_patient_and_by_image_only_the_test_is_apart(data, n, val, seed):
    draw = lambda strategy: data.draw(st.lists(strategy, min_size=n, max_size=n))  # noqa: E731
    sizes, labels, tests = draw(st.integers(1, 8)), draw(st.integers(0, 14)), draw(st.booleans())
    tests[:3] = [True, False, False]
    table = tables(sizes, labels, tests)
    clean = splits.assign(table, val, 0.2, seed)
    splits.check_disjoint(clean, table["patient"])
    published = splits.assign(table, val, 0.2, seed, by="image")
    for split in (clean, published):
        assert ((split == "test") == (table["split"] == "test")).all()
        assert {"train", "val"} <= set(split) or len(table[table["split"] == "train"]) < 2
    splits.check_disjoint(published.replace("val", "train"), table["patient"])
    part = table[clean == "train"]
    kept = part[part["id"].isin(splits.fraction(part, 0.3, seed))]
    assert not set(kept["patient"]) & set(table.loc[clean != "train", "patient"])


def test_by_image_is_nearly_exact_and_puts_patients_on_both_sides():
    table = tables([10] * 100, [k % 3 for k in range(100)], [k < 20 for k in range(100)])
    split = splits.assign(table, val=0.1, test=0.2, seed=1, by="image")
    assert split.value_counts().to_dict() == {"train": 720, "val": 80, "test": 200}
    with pytest.raises(splits.LeakageError):
        splits.check_disjoint(split, table["patient"])
    assert (split != splits.assign(table, val=0.1, seed=2, by="image")).any()
    with pytest.raises(ValueError, match=r"unit of a split 'images'. Did you mean 'image'"):
        splits.assign(table, by="images")
