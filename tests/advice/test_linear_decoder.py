"""A linear decoder on frozen maps: maps that tell the mask reach it, maps that tell nothing do not."""

import numpy as np
import pytest

from tlkit.advice import linear_decoder
from tlkit.advice.targets import ScoreError
from tlkit.training.tasks import task

SIDE, CELLS = 32, 8


@pytest.fixture
def masks():
    """24 masks of a square of class 1 anywhere, and in half of them one of class 2."""
    rng, found = np.random.default_rng(0), np.zeros((24, SIDE, SIDE), np.uint8)
    for i, mask in enumerate(found):
        top, left = rng.integers(0, SIDE - 12, 2)
        mask[top : top + 12, left : left + 12] = 1
        if i % 2:
            top, left = rng.integers(0, SIDE - 8, 2)
            mask[top : top + 8, left : left + 8] = 2
    return found


JOB = task("segmentation", ("background", "organ", "lesion"))
PATIENTS = [f"p{i // 2}" for i in range(24)]


def test_maps_that_hold_the_mask_beat_maps_of_noise_and_a_constant_answer(masks):
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(24, 6, CELLS, CELLS)).astype(np.float16)
    telling = noise.copy()
    telling[:, :2] = linear_decoder.class_shares(masks, 3, CELLS)[:, 1:]
    good, bad = (linear_decoder.score_maps(m, masks, JOB, "dice_mean", PATIENTS)["probe"] for m in (telling, noise))
    always = linear_decoder.score_constant(CELLS, masks, JOB, "dice_mean", PATIENTS)["probe"]
    assert good > 0.7 > 0.45 > max(bad, always) > 0.05
    assert linear_decoder.score_maps(telling, masks, JOB, "dice_mean", PATIENTS)["probe"] == good


def test_grey_values_alone_tell_a_bright_organ(masks):
    images = (60 + 120 * (masks == 1) - 50 * (masks == 2)).astype(np.uint8)
    for shown in (images, np.repeat(images[..., None], 3, axis=3)):
        maps = linear_decoder.intensity_maps(shown, CELLS)
        assert maps.shape == (24, 8, CELLS, CELLS) and np.isfinite(maps).all()
        assert linear_decoder.score_maps(maps, masks, JOB, "dice_mean", PATIENTS)["probe"] > 0.7


def test_a_constant_answer_is_right_where_all_masks_are_alike():
    masks = np.zeros((6, SIDE, SIDE), np.uint8)
    masks[:, 8:24, 8:24] = 1
    found = linear_decoder.score_constant(
        CELLS, masks, task("segmentation", ("no", "yes")), "dice_mean", list("abcdef")
    )
    assert found["probe"] > 0.9


def test_masks_without_any_class_give_a_value_and_one_patient_an_error(masks):
    empty, maps = np.zeros_like(masks), np.ones((24, 2, CELLS, CELLS), np.float16)
    assert linear_decoder.score_maps(maps, empty, JOB, "dice_mean", PATIENTS)["probe"] == 0
    rare = empty.copy()
    rare[0, :3, :3] = 2  # a class of one image
    assert 0 <= linear_decoder.score_maps(maps, rare, JOB, "dice_mean", PATIENTS)["probe"] <= 1
    with pytest.raises(ScoreError, match="two or more patients"):
        linear_decoder.score_maps(maps, masks, JOB, "dice_mean", ["p"] * 24)
