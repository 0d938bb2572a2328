from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import trees
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from tlkit.config import ConfigError
from tlkit.datasets import DATASETS, UnreadableFile, splits
from tlkit.datasets.store import build_store, open_store
from tlkit.layouts import grazped
from tlkit.phantoms import write
from tlkit.phantoms.children import HEADER

CARD = DATASETS["grazpedwri"]
ROWS = [  # file stem, patient, cast, osteopenia
    ("0001_0000000001_01_WRI-L1_M014", "1", "", ""),
    ("0001_0000000001_01_WRI-L2_M014", "1", "", ""),
    ("0001_0000000009_02_WRI-L1_M014", "1", "1", "1"),
    ("0002_0000000003_01_WRI-R1_F009", "2", "1", ""),
    ("0003_0000000004_01_WRI-R1_F012", "3", "", "1"),
]


def deep(path: Path, seed: int = 0, top: int = 4000) -> Path:
    """Write one 16-bit picture of noise from 100 to `top`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(100, top, (20, 16)).astype(np.uint16)
    Image.fromarray(pixels).save(path)
    return path


def line(stem: str, patient: str, cast: str, ill: str) -> str:
    return f"{stem},{patient},1,5,M,14.1,L,1,1,23r-M/2.1,{cast},,{ill},,,0.144,Siemens"


def tree(root: Path, rows=ROWS, more: tuple[str, ...] = (), folders=("images_part1", "images_part2")) -> Path:
    for k, (stem, *_) in enumerate(rows):
        deep(root / folders[k % len(folders)] / f"{stem}.png", k)
    (root / "dataset.csv").write_text("\n".join([HEADER, *(line(*row) for row in rows), *more]) + "\n")
    return root


def scanned(root: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    samples, rejects = grazped.scan(root, CARD)
    return samples.set_index("id"), rejects.set_index("path")


@pytest.mark.parametrize("folders", [("images_part1", "images_part2"), ("Images",)])
def test_labels_patients_and_the_cast(tmp_path, folders):
    samples, rejects = scanned(tree(tmp_path, folders=folders))
    assert rejects.empty and grazped.LAYOUT.classes(tmp_path, CARD) == ("no osteopenia", "osteopenia")
    samples = samples.loc[[stem for stem, *_ in ROWS]]
    assert samples["label"].tolist() == [0, 0, 1, 0, 1]
    assert samples["class"].tolist() == [CARD.classes[k] for k in (0, 0, 1, 0, 1)]
    assert samples["patient"].tolist() == ["1", "1", "1", "2", "3"] and set(samples["split"]) == {""}
    assert samples["cast"].tolist() == [0, 0, 1, 1, 0] and set(samples["age"]) == {14.1}
    split = splits.assign(samples.reset_index(), 0.34, 0.33, seed=1)
    splits.check_disjoint(split, samples["patient"])


@pytest.mark.parametrize(
    ("word", "label"), [("1", 1), ("1.0", 1), ("TRUE", 1), ("yes", 1), ("", 0), ("0", 0), ("0.0", 0), ("False", 0)]
)
def test_words_and_numbers_for_osteopenia(tmp_path, word, label):
    samples, _ = scanned(tree(tmp_path, [("a", "7", "", word)]))
    assert samples["label"].tolist() == [label]


def test_rows_that_cannot_be_used_are_named_and_nothing_else_is_lost(tmp_path):
    bad = [("0007_a", "7", "", "perhaps"), ("0008_a", "", "", "1"), ("0009_a", "9", "", "1")]
    more = (
        line("0009_a", "9", "", ""),
        line(*ROWS[0]),
        line("0010_a", "10", "", ""),
        line("", "11", "", ""),
    )
    root = tree(tmp_path, [*ROWS, *bad], more, folders=("images_part1",))
    deep(root / "images_part2/0011_a.png")
    deep(root / "images_part2/0007_a.png")
    for name in ("a.txt", "b.txt", "c.xml"):
        (root / "images_part2" / name).touch()
    samples, rejects = scanned(root)
    assert sorted(samples.index) == sorted(stem for stem, *_ in ROWS)
    rejects = rejects.set_index("reason", append=True)["kind"].reset_index("path")
    assert rejects["path"].to_dict() == {
        "osteopenia is neither yes nor no: 'perhaps'": "images_part1/0007_a.png",
        "no patient_id": "images_part1/0008_a.png",
        "rows of dataset.csv that differ": "images_part1/0009_a.png",
        "equal rows of dataset.csv, read once": ROWS[0][0],
        "no image for this row of dataset.csv": "0010_a",
        "a row of dataset.csv without a file stem": "",
        "dataset.csv does not know the image": "images_part2/0011_a.png",
        "0007_a.png is there already: images_part1/0007_a.png": "images_part2/0007_a.png",
        "2 files '.txt' are not read": "images_part2",
        "1 files '.xml' are not read": "images_part2",
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "expected one dataset.csv.*found no dataset.csv"),
        (
            "filestem;patient_id;osteopenia\n",
            "lacks the columns filestem, patient_id, osteopenia; known ones found: no",
        ),
        ("filestem,osteopenia\nx,1\n", "lacks the columns patient_id; known ones found: filestem, osteopenia"),
        ("", "is no table that can be read"),
    ],
)
def test_a_csv_that_cannot_be_used_is_an_error(tmp_path, content, words):
    root = tree(tmp_path)
    (root / "dataset.csv").unlink() if content is None else (root / "dataset.csv").write_text(content)
    with pytest.raises(ConfigError, match=words):
        grazped.scan(root, CARD)


def test_two_tables_are_an_error(tmp_path):
    root = tree(tmp_path)
    (root / "images_part1/Dataset.csv").write_text(HEADER + "\n")
    with pytest.raises(ConfigError, match=r"found 2: dataset\.csv, images_part1/Dataset\.csv"):
        grazped.scan(root, CARD)


def test_a_table_without_cast_and_age_leaves_them_unknown(tmp_path):
    deep(tmp_path / "Images/a.png")
    (tmp_path / "dataset.csv").write_text("filestem,patient_id,osteopenia\na.png,1.0,\n")
    samples, _ = scanned(tmp_path)
    assert samples.at["a", "patient"] == "1" and samples.loc["a", ["age", "cast"]].isna().all()


def test_16_bits_are_scaled_by_the_percentiles_of_the_image_and_8_stay(tmp_path):
    pixels = np.arange(1001, dtype=np.uint16)
    assert grazped.to_bytes(pixels, (10, 90))[[0, 100, 500, 900, 1000]].tolist() == [0, 0, 128, 255, 255]
    same = grazped.to_bytes(pixels * 16, (10, 90))
    assert (same == grazped.to_bytes(pixels, (10, 90))).all()  # 12 bits in 16 or all of them: the same picture
    assert grazped.to_bytes(np.full(9, 7, np.uint16), (10, 90)) == "all pixels are equal"
    dot = np.zeros(1001, np.uint16)
    dot[5] = 300
    assert grazped.to_bytes(dot, (0.1, 99.9)).max() == 255 and grazped.to_bytes(dot, (0.1, 99.9)).sum() == 255
    root = tree(tmp_path)
    samples, _ = grazped.scan(root, CARD)
    (image,), masks = grazped.decode(root, samples.iloc[:1], CARD)
    assert image.dtype == np.uint8 and image.shape == (20, 16) and image.max() == 255 and masks == [None]
    trees.picture(root / samples["path"].iloc[1], 3, mode="L")
    (plain,), _ = grazped.decode(root, samples.iloc[1:2], CARD)
    assert (plain == np.asarray(Image.open(root / samples["path"].iloc[1]))).all()


@settings(deadline=None)
@given(arrays(np.uint16, (4, 5), elements=st.integers(0, 2**16 - 1)))
def test_scaling_keeps_the_order_of_the_grey_values(pixels):
    image = grazped.to_bytes(pixels, (5, 95))
    if isinstance(image, str):
        assert (pixels == pixels[0, 0]).all()
    else:
        order = np.argsort(pixels, axis=None, kind="stable")
        assert (np.diff(image.ravel()[order].astype(int)) >= 0).all() and image.min() == 0 and image.max() == 255


def test_cut_files_are_unreadable_and_empty_pictures_left_out(tmp_path):
    root = tree(tmp_path)
    samples, _ = grazped.scan(root, CARD)
    first, second = (root / p for p in samples["path"][:2])
    first.write_bytes(first.read_bytes()[:100])
    Image.fromarray(np.full((8, 8), 900, np.uint16)).save(second)
    with pytest.raises(UnreadableFile, match=r"truncated|OSError") as error:
        grazped.decode(root, samples.iloc[:1], CARD)
    assert str(root) not in str(error.value)
    with pytest.warns(UserWarning, match="1 unreadable files and 1 files or slices left out"):
        store = open_store(build_store(CARD, root, 8, tmp_path / "stores", max_unreadable=0.3))
    assert len(store) == 3


def test_the_phantom_is_read_like_the_real_set(tmp_path):
    root = write.make("grazpedwri", tmp_path, 1, patients=8, pixels=32, osteopenia=0.5)
    samples, rejects = scanned(root)
    assert rejects.empty and samples["patient"].nunique() == 8 and set(samples["label"]) == {0, 1}
    assert samples["cast"].isin([0, 1]).all() and samples["age"].between(1.5, 18.9).all()
    store = open_store(build_store(CARD, root, 16, tmp_path / "stores"))
    assert store.images.dtype == np.uint8 and store.images.shape == (len(samples), 16, 16)
    assert store.meta["classes"] == list(CARD.classes) and (np.asarray(store.images).max((1, 2)) > 150).all()
