import numpy as np
import pandas as pd
import pytest

from tlkit.datasets import notes


def test_classes_of_few_images():
    samples = pd.DataFrame({"class": ["a"] * 5 + ["c"] * 4 + ["b"]})
    assert notes.note_classes(samples) == [
        ("class b", "only 1 image of this class, too few to be split and tested", "note"),
        ("class c", "only 4 images of this class, too few to be split and tested", "note"),
    ]
    assert notes.note_classes(pd.DataFrame({"label": [1, 2]})) == []


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((60, 1200), "1200 x 60 px"),
        ((1200, 60, 3), "60 x 1200 px"),
        ((10, 100), ""),
        ((9, 100), "100 x 9"),
        ((8, 8), ""),
    ],
)
def test_elongated_images(shape, told):
    note = notes.note_shape(np.zeros(shape, np.uint8))
    assert told in note and bool(note) == bool(told)
