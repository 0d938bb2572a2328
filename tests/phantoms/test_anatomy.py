import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit.phantoms import anatomy
from tlkit.phantoms.anatomy import REGIONS, Tissue


def scene(region: str, seed: int = 0, slices: int = 8, pixels: int = 48, **options):
    rng = np.random.default_rng(seed)
    body = anatomy.random_body(rng, **options)
    return body, anatomy.sample(body, anatomy.random_view(body, region, slices, pixels, rng))


# What must be there, and what must not, in any scan of a region.
EXPECTED = {
    "head": ({Tissue.CORTICAL}, {Tissue.LIVER, Tissue.LUNG, Tissue.KIDNEY}),
    "thorax": ({Tissue.LUNG, Tissue.CORTICAL, Tissue.FAT}, {Tissue.BRAIN}),
    "abdomen": ({Tissue.LIVER, Tissue.KIDNEY, Tissue.BOWEL}, {Tissue.BRAIN}),
    "pelvis": ({Tissue.CORTICAL, Tissue.MARROW, Tissue.FLUID}, {Tissue.BRAIN, Tissue.LUNG}),
    "spine": ({Tissue.CORTICAL, Tissue.CSF}, {Tissue.BRAIN}),
    "extremities": ({Tissue.MUSCLE, Tissue.CORTICAL}, {Tissue.BRAIN, Tissue.LUNG, Tissue.LIVER}),
    "liver": ({Tissue.LIVER, Tissue.SPLEEN}, {Tissue.BRAIN}),
}


@pytest.mark.parametrize("region", EXPECTED)
def test_region_holds_its_organs_and_not_those_of_others(region):
    for seed in range(3):
        found = set(np.unique(scene(region, seed, slices=16)[1].labels()))
        there, absent = EXPECTED[region]
        assert there <= found
        assert not absent & found


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(REGIONS)))
def test_layers_are_shares_and_seed_decides(seed, region):
    body, first = scene(region, seed, slices=4, pixels=24)
    again = scene(region, seed, slices=4, pixels=24)[1]
    assert 18 <= body.age <= 92
    assert body.sex in ("F", "M")
    assert all(layer.alpha.min() >= 0 and layer.alpha.max() <= 1 for layer in first.layers)
    assert np.array_equal(first.labels(), again.labels())
    values = np.linspace(-1000, 1000, len(Tissue))
    picture = first.render(values)
    assert picture.dtype == np.float32
    rounding = 1000 * len(first.layers) * np.finfo(np.float32).eps  # each layer is blended over the others
    assert picture.min() >= -1000 - rounding and picture.max() <= 1000 + rounding


def test_render_mixes_by_share():
    alpha = np.full((1, 1, 1), 0.25, np.float32)
    box = (slice(0, 1), slice(0, 1), slice(0, 1))
    blank = np.zeros((1, 1, 2), np.float32)
    view = anatomy.View(np.zeros(1), (0, 0), 10, 2)
    layer = anatomy.Layer(Tissue.FAT, box, alpha, opacity=0.5)
    values = np.zeros(len(Tissue))
    values[Tissue.FAT] = 80
    assert anatomy.Scene(view, (layer,), blank, blank).render(values).tolist() == [[[10, 0]]]


def test_series_is_one_volume():
    """Neighbouring slices 2 mm apart share most of their tissue; slices 100 mm apart do not."""
    body = anatomy.random_body(np.random.default_rng(3))
    labels = anatomy.sample(body, anatomy.View(np.array([1200.0, 1202.0, 1300.0]), (0, 0), 400, 64)).labels()
    inside = labels[0] > 0
    assert (labels[0] == labels[1])[inside].mean() > 0.85
    assert (labels[0] == labels[2])[inside].mean() < 0.75


def test_a_lesion_replaces_liver_only():
    """The same patient without the lesions has liver wherever a lesion is."""
    import dataclasses

    scenes = (scene("liver", seed, 16, lesion_share=1.0) for seed in range(20))
    body, ill = next(pair for pair in scenes if (pair[1].labels() == Tissue.LESION).any())
    well = dataclasses.replace(body, tubes=tuple(t for t in body.tubes if t.tissue != Tissue.LESION))
    before = anatomy.sample(well, ill.view).labels()
    lesion = ill.labels() == Tissue.LESION
    assert set(np.unique(before[lesion])) <= {Tissue.LIVER, Tissue.LIVER_VESSEL}


def test_liver_lies_on_the_patients_right():
    labels = scene("liver", 1, 16)[1].labels()
    columns = np.nonzero(labels == Tissue.LIVER)[2]
    assert columns.mean() < labels.shape[2] / 2 - 2  # right of the patient is left in the image
