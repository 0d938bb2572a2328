from dataclasses import replace

import numpy as np
import pytest
import trees
from PIL import Image

from tlkit.datasets import DATASETS, UnreadableFile
from tlkit.layouts import lits_png

CARD = DATASETS["lits-png"]


def write(root, name, pixels):
    Image.fromarray(np.asarray(pixels, np.uint8)).save(root / name)


def test_one_row_a_slice_and_the_volume_is_the_patient(tmp_path):
    samples, rejects = lits_png.scan(trees.lits_png(tmp_path), CARD)
    assert rejects.empty
    assert samples.groupby("patient").size().to_dict() == {"000": 4, "003": 4, "012": 4}
    row = samples.iloc[6]
    assert row["id"] == "volume-003_0002" and row["frame"] == 2 and row["path"] == "volumes/volume-3_2.png"
    assert row["lesion_path"] == "segmentations/segmentation-3_lesionmask_2.png"


@pytest.mark.parametrize("high", [1, 255])
def test_the_lesion_wins_over_the_liver_whatever_a_mask_writes_for_yes(tmp_path, high):
    write(tmp_path, "volume-7_0.png", [[10, 20, 30, 40]])
    write(tmp_path, "segmentation-7_livermask_0.png", [[0, high, high, 0]])
    write(tmp_path, "segmentation-7_lesionmask_0.png", [[0, 0, high, high]])
    samples, _ = lits_png.scan(tmp_path, CARD)
    (image,), (mask,) = lits_png.decode(tmp_path, samples, CARD)
    assert image.tolist() == [[10, 20, 30, 40]] and image.dtype == np.uint8
    assert mask.tolist() == [[0, 1, 2, 2]] and mask.dtype == np.uint8


def test_colour_pngs_are_read_as_grey(tmp_path):
    trees.lits_png(tmp_path)
    for name in ("volumes/volume-0_0.png", "segmentations/segmentation-0_livermask_0.png"):
        with Image.open(tmp_path / name) as image:
            colour = image.convert("RGB")
        colour.save(tmp_path / name)
    samples, _ = lits_png.scan(tmp_path, CARD)
    (a,), (m,) = lits_png.decode(tmp_path, samples.iloc[[0]], CARD)
    assert a.shape == m.shape == (20, 16) and set(np.unique(m)) == {0, 1, 2}


def test_what_does_not_fit_is_rejected(tmp_path):
    trees.lits_png(tmp_path)
    (tmp_path / "segmentations/segmentation-0_livermask_1.png").unlink()
    (tmp_path / "segmentations/segmentation-3_lesionmask_2.png").unlink()
    (tmp_path / "volumes/volume-12_3.png").unlink()
    trees.picture(tmp_path / "more/volume-0_0.png", mode="L")
    (tmp_path / "lits_df.csv").touch()
    samples, rejects = lits_png.scan(tmp_path, CARD)
    reasons = rejects.set_index("path")["reason"]
    assert len(samples) == 12 - 3 and len(rejects) == 6
    for path, words in (
        ("volumes/volume-0_1.png", "no segmentation-0_livermask_1.png"),
        ("volumes/volume-3_2.png", "no segmentation-3_lesionmask_2.png"),
        ("segmentations/segmentation-12_livermask_3.png", "no volume-12_3.png"),
        ("segmentations/segmentation-12_lesionmask_3.png", "no volume-12_3.png"),
        ("volumes/volume-0_0.png", "is there already: more/volume-0_0.png"),
        ("lits_df.csv", "named neither"),
    ):
        assert words in reasons[path], path


def test_masks_of_another_size_and_cut_masks_are_unreadable(tmp_path):
    trees.lits_png(tmp_path)
    write(tmp_path, "segmentations/segmentation-0_lesionmask_0.png", np.zeros((20, 15)))
    cut = tmp_path / "segmentations/segmentation-0_livermask_1.png"
    cut.write_bytes(cut.read_bytes()[:50])
    samples, _ = lits_png.scan(tmp_path, CARD)
    with pytest.raises(
        UnreadableFile, match=r"sizes of slice \(20, 16\), liver \(20, 16\) and lesion \(20, 15\) differ"
    ):
        lits_png.decode(tmp_path, samples.iloc[[0]], CARD)
    with pytest.raises(UnreadableFile, match=r"segmentation-0_livermask_1\.png: "):
        lits_png.decode(tmp_path, samples.iloc[[1]], CARD)


def test_only_liver_leaves_out_slices_by_a_rule(tmp_path):
    trees.lits_png(tmp_path)
    for part in ("livermask", "lesionmask"):
        write(tmp_path, f"segmentations/segmentation-0_{part}_0.png", np.zeros((20, 16)))
    samples, _ = lits_png.scan(tmp_path, CARD)
    card = replace(CARD, options={**CARD.options, "only_liver": True})
    assert lits_png.decode(tmp_path, samples.iloc[[0]], card) == (["no liver in the slice"], [None])
    assert lits_png.decode(tmp_path, samples.iloc[[1]], card)[1][0].max() == 2
