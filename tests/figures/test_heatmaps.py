"""Pages of heat maps: every image once, overlays in the order of the pretrainings, wrong classes marked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlkit.figures import heatmaps
from tlkit.figures.gradcam import Heatmaps


def made(images: int = 3) -> Heatmaps:
    rng, arms = np.random.default_rng(0), ("radiologynet", "imagenet", "scratch")
    maps = {p: rng.random((images, 16, 16)).astype(np.float32) for p in arms}
    maps["scratch"][1] = 0
    rows = [
        {
            "item": i, "id": f"folder/image_{i:030d}.png", "patient": "p", "true": "glioma", "pretraining": p, "run": p,
            "predicted": "notumor" if (i, p) == (0, "imagenet") else "glioma", "probability": 0.75,
            "right": (i, p) != (0, "imagenet"), "layer": "layer4", "cells": "7 x 7", "empty": (i, p) == (1, "scratch"),
        }
        for i in range(images)
        for p in arms
    ]  # fmt: skip
    return Heatmaps(pd.DataFrame(rows), rng.random((images, 16, 16)), maps)


@given(st.integers(1, 60), st.integers(1, 9))
def test_pages_hold_every_image_once(images, count):
    pages = heatmaps.pages(max(images, count), count)
    assert [i for page in pages for i in page] == list(range(max(images, count))) and len(pages) == count
    assert max(map(len, pages)) - min(map(len, pages)) <= 1


def test_twenty_images_are_three_pages_and_too_few_an_error():
    assert [len(p) for p in heatmaps.pages(20)] == [7, 7, 6]
    with pytest.raises(ValueError, match="2 images cannot fill 3 pages"):
        heatmaps.pages(2)


def test_the_page_shows_image_and_overlays_in_order():
    figure = heatmaps.draw(made(), range(1, 3), "Title", {"radiologynet": "RadiologyNET"}, phantom=True)
    texts = [t.get_text() for ax in figure.axes for t in ax.texts]
    assert [t for t in texts if t != "no map"] == ["image", "RadiologyNET", "imagenet", "scratch"]
    assert texts.count("no map") == 1 and len(figure.axes) == 2 * 4 + 1
    assert [len(ax.images) for ax in figure.axes[:8]] == [1] * 8
    assert [t.get_text() for t in figure.texts if t.get_gid() == "phantom"] == ["phantom data"]


def test_the_image_stays_where_nothing_is_hot():
    image, heat = np.full((2, 2), 0.5), np.array([[0.0, 1.0], [0.0, 0.0]])
    found = heatmaps.blend(image, heat)
    assert found.shape == (2, 2, 3) and (found[heat == 0] == 0.5).all()
    hottest = (0.988362, 0.998364, 0.644924)  # of inferno
    assert found[0, 1] == pytest.approx(0.35 * 0.5 + 0.65 * np.array(hottest), abs=1e-3)
    assert (heatmaps.blend(image[..., None].repeat(3, -1), heat) == found).all()


def test_a_wrong_class_is_crossed():
    titles = [ax.get_title() for ax in heatmaps.draw(made(), range(1)).axes[:4]]
    assert titles == ["true: glioma", "glioma, 0.75", "✗ notumor, 0.75", "glioma, 0.75"]


def test_the_layer_is_said_once():
    assert heatmaps.layers(made().frame) == "layer4 (7 x 7 cells)"
