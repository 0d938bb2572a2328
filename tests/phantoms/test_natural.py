import numpy as np
import pytest

from tlkit.phantoms import natural


def test_kinds_differ_and_share_properties():
    kinds = natural.kinds(natural.MAX_CLASSES)
    assert len({(k.shape, k.texture) for k in kinds}) == len(kinds)
    assert all("phantom" in k.name for k in kinds)
    ten = natural.kinds(10)
    for shared in ("shape", "texture", "hue"):
        assert len({getattr(k, shared) for k in ten}) < 10


@pytest.mark.parametrize("n", [1, natural.MAX_CLASSES + 1])
def test_kinds_out_of_range(n):
    with pytest.raises(ValueError, match=f"2 to {natural.MAX_CLASSES} classes"):
        natural.kinds(n)


@pytest.mark.parametrize("kind", natural.kinds(10), ids=lambda k: k.name)
def test_photograph(kind):
    picture, (x0, y0, x1, y1) = natural.photograph(kind, 64, np.random.default_rng(5))
    again, _ = natural.photograph(kind, 64, np.random.default_rng(5))
    other, _ = natural.photograph(kind, 64, np.random.default_rng(6))
    assert picture.shape == (64, 64, 3) and picture.dtype == np.uint8
    assert 0 <= x0 < x1 < 64 and 0 <= y0 < y1 < 64
    assert np.array_equal(picture, again) and not np.array_equal(picture, other)
    assert picture.std() > 8


def test_colour_matches_hsv():
    assert natural._colour(0.0, 1.0, 1.0).tolist() == [255, 0, 0]
    assert natural._colour(1 / 3, 1.0, 1.0).round().tolist() == [0, 255, 0]
    assert natural._colour(0.5, 0.0, 0.4).tolist() == [102, 102, 102]
