import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit.datasets import DATASETS
from tlkit.phantoms import anatomy, chests, xray
from tlkit.phantoms.anatomy import Tissue

PLAIN = xray.Exposure("PA", 1800.0, 380.0, 1e6, 0.0, 0.0, 0.0, (0.0, 0.0), 1.0, 0.0)
FAR = dataclasses.replace(PLAIN, distance=1e9)


def standing(seed: int = 0) -> anatomy.Body:
    rng = np.random.default_rng(seed)
    return xray.breathe_in(anatomy.random_body(rng, 0.0), rng, 35)


def integral(body: anatomy.Body, exposure: xray.Exposure = PLAIN, pixels: int = 48) -> np.ndarray:
    values = xray.attenuation(np.random.default_rng(0))
    return xray.project(xray.sample(body, exposure, pixels).render(values), exposure)


def test_a_far_source_adds_up_the_attenuation_along_the_rows_head_up():
    volume = np.zeros((4, 4, 4), np.float32)
    volume[0, :2, 1], volume[3, 2, 3] = 0.01, 0.02
    expected = np.zeros((4, 4))
    expected[3, 1], expected[0, 3] = 2 * 0.01 * 95, 0.02 * 95  # pixels of 380 / 4 mm; the lowest slice is at the bottom
    assert xray.project(volume, FAR) == pytest.approx(expected, abs=1e-5)


def test_what_is_far_from_the_detector_is_larger():
    front, back = np.zeros((2, 41, 41, 41), np.float32)
    for volume, y in ((front, 5), (back, 35)):
        volume[10:31, y, 10:31] = 0.01
        volume[20, 5] = volume[20, 35] = np.maximum(volume[20, y], 1e-6)  # so that both touch the detector
    near = dataclasses.replace(PLAIN, distance=900.0)
    sizes = {
        (name, view): (xray.project(v, dataclasses.replace(near, view=view)) > 0.04).sum()
        for name, v in (("front", front), ("back", back))
        for view in ("PA", "AP")
    }
    assert sizes["back", "PA"] > 1.3 * sizes["front", "PA"] and sizes["front", "AP"] > 1.3 * sizes["back", "AP"]


def test_detector_without_scatter_and_heel_reads_the_integral():
    truth = np.full((40, 40), 1.5, np.float32)
    read = xray.expose(truth, PLAIN, np.random.default_rng(0))
    assert read.mean() == pytest.approx(1.5, abs=1e-3) and 0 < read.std() < 0.01
    hazy = xray.expose(truth, dataclasses.replace(PLAIN, scatter=1.0), np.random.default_rng(0))
    assert hazy.mean() == pytest.approx(1.5 - np.log(2), abs=0.01)
    heel = xray.expose(truth, dataclasses.replace(PLAIN, heel=0.4), np.random.default_rng(0))
    assert heel[0].mean() > heel[-1].mean() + 0.3
    few = xray.expose(truth, dataclasses.replace(PLAIN, photons=100), np.random.default_rng(0))
    assert few.std() > 10 * read.std()


@pytest.mark.parametrize("seed", range(3))
def test_lungs_are_dark_the_middle_and_the_liver_bright_and_the_heart_is_on_the_right_of_the_picture(seed):
    picture = xray.image(standing(seed), PLAIN, 64, np.random.default_rng(seed)).astype(float)
    assert picture.dtype == float and picture[:6, :4].mean() < 30  # beside the neck is air
    middle, lungs, liver = picture[28:36, 30:34], picture[24:34, [16, 17, 18, 45, 46, 47]], picture[56:60, 18:26]
    assert middle.mean() > lungs.mean() + 60 and liver.mean() > lungs.mean() + 60
    low = picture[34:42]
    assert low[:, 36:44].mean() > low[:, 20:28].mean() + 10


@pytest.mark.parametrize("finding", chests.FINDINGS)
def test_every_finding_can_be_seen(finding):
    changes = []
    for seed in range(4):
        body = standing(seed)
        with_it, without = (integral(chests.plant(body, f, [seed])) for f in ((finding,), ()))
        changes.append(np.abs(with_it - without).max())
    assert np.median(changes) > 0.1, changes  # a tenth of the photons and more


def test_air_takes_away_and_water_adds():
    body = standing()
    plain = integral(chests.plant(body, (), [1]))
    for finding, sign in (("Emphysema", -1), ("Pneumothorax", -1), ("Effusion", 1), ("Consolidation", 1), ("Mass", 1)):
        change = integral(chests.plant(body, (finding,), [1])) - plain
        assert np.sign(change.sum()) == sign, finding


def test_cardiomegaly_is_a_wider_heart():
    body = standing()
    row = slice(26, 34)
    widths = [
        (integral(chests.plant(body, f, [1]))[row] > integral(body)[row, :24].mean() + 1).sum(1).mean()
        for f in ((), ("Cardiomegaly",))
    ]
    assert widths[1] > widths[0] + 1.5  # pixels of 8 mm


def test_a_body_has_the_planted_findings_alone():
    sick = next(
        b for b in (anatomy.random_body(np.random.default_rng(s)) for s in range(99)) if "effusion" in b.pathology
    )
    fluid = lambda b: [t for t in b.tubes if t.tissue == Tissue.FLUID and t.within.startswith("lung")]  # noqa: E731
    assert fluid(sick) and not fluid(chests.plant(sick, (), [0]))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_findings_are_known_and_repeatable(seed):
    drawn = chests.draw_findings(np.random.default_rng(seed))
    assert drawn == chests.draw_findings(np.random.default_rng(seed))
    assert set(drawn) <= set(chests.FINDINGS) == set(DATASETS["chestxray"].classes)
    assert set(chests.COMPANIONS) | {c for v in chests.COMPANIONS.values() for c in v} <= set(chests.FINDINGS)


def test_findings_come_together_as_in_clinics_and_two_in_five_are_healthy():
    drawn = [set(chests.draw_findings(np.random.default_rng(s))) for s in range(3000)]
    assert np.mean([not d for d in drawn]) == pytest.approx(chests.HEALTHY, abs=0.03)
    share = lambda some: np.mean(["Effusion" in d for d in some])  # noqa: E731
    assert share([d for d in drawn if "Edema" in d]) > 1.5 * share([d for d in drawn if d and "Edema" not in d])
