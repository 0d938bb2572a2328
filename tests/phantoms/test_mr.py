import numpy as np
import pytest

from tlkit.phantoms import anatomy, brain, mr
from tlkit.phantoms.brain import Matter


@pytest.fixture(scope="module")
def made():
    """One enhancing tumour, imaged four times; all from one seed."""
    for seed in range(20):
        body, rng = anatomy.random_body(np.random.default_rng(seed)), np.random.default_rng(seed + 100)
        found = brain.sample(body, brain.view(body, 24, 80, 240.0, rng), rng)
        if (found.labels == 4).sum() > 60 and (found.labels == 1).sum() > 60:
            values = mr.tissues(rng)
            return found, {name: mr.image(found, values, name, rng).astype(float) for name in mr.SEQUENCES}
    raise AssertionError("no enhancing tumour in 20 patients")


def test_spin_echo_and_inversion_recovery_by_hand():
    echo = mr.Sequence(tr=1000 * np.log(2), te=100 * np.log(4))  # T1 1000: half recovered; T2 100: a quarter left
    assert mr.signal(np.array(1000.0), np.array(100.0), np.array(0.8), echo) == pytest.approx(0.8 * 0.5 * 0.25)
    null = mr.Sequence(tr=1e9, te=0, ti=1000 * np.log(2))
    assert mr.signal(np.array(1000.0), np.array(100.0), np.array(1.0), null) == pytest.approx(0, abs=1e-12)


def test_contrasts_are_those_of_the_sequences():
    values = mr.tissues(np.random.default_rng(0), spread=0)
    level = {
        name: dict(zip(Matter, mr.signal(values[:, 3 * s.contrast], values[:, 1], values[:, 2], s), strict=True))
        for name, s in mr.SEQUENCES.items()
    }
    t1, t1ce, t2, flair = (level[k] for k in ("t1", "t1ce", "t2", "flair"))
    assert t1[Matter.WHITE] > t1[Matter.GREY] > t1[Matter.NECROSIS] > t1[Matter.CSF]
    assert t2[Matter.CSF] > t2[Matter.OEDEMA] > t2[Matter.GREY] > t2[Matter.WHITE]
    assert flair[Matter.CSF] < 0.1 * flair[Matter.WHITE] and flair[Matter.OEDEMA] > 1.3 * flair[Matter.GREY]
    assert t1ce[Matter.ENHANCING] > 1.5 * t1ce[Matter.WHITE] and t1[Matter.ENHANCING] < t1[Matter.WHITE]


def test_the_volumes_show_rim_oedema_and_dark_fluid(made):
    found, volumes = made
    inside = found.mask & (found.labels == 0)
    normal = {name: np.median(v[inside]) for name, v in volumes.items()}
    rim, oedema = found.labels == 4, found.labels == 2
    assert np.median(volumes["t1ce"][rim]) / normal["t1ce"] > 1.25 > np.median(volumes["t1"][rim]) / normal["t1"]
    assert np.median(volumes["flair"][oedema]) / normal["flair"] > 1.15
    fluid = found.mask & (found.scene.labels() == Matter.CSF)
    assert np.median(volumes["t2"][fluid]) > normal["t2"] and np.median(volumes["flair"][fluid]) < normal["flair"]


def test_outside_the_brain_is_0_and_inside_is_not(made):
    found, volumes = made
    assert set(np.unique(found.labels)) == {0, 1, 2, 4} and not found.labels[~found.mask].any()
    for volume in volumes.values():
        assert (volume[~found.mask] == 0).all() and (volume[found.mask] >= 1).all()
        assert volume.std() > 10


@pytest.mark.parametrize(("pixels", "slices"), [(24, 6), (33, 9)])
def test_small_sizes_have_a_tumour_too(pixels, slices):
    for seed in range(6):
        body, rng = anatomy.random_body(np.random.default_rng(seed)), np.random.default_rng(seed)
        found = brain.sample(body, brain.view(body, slices, pixels, 240.0, rng), rng)
        assert found.labels.any() and found.mask.shape == (slices, pixels, pixels)


def test_the_seed_decides_all():
    def once(seed):
        body, rng = anatomy.random_body(np.random.default_rng(seed)), np.random.default_rng(seed)
        found = brain.sample(body, brain.view(body, 8, 32, 240.0, rng), rng)
        return found.labels, mr.image(found, mr.tissues(rng), "flair", rng)

    (a, b), (c, d), (_, other) = once(1), once(1), once(2)
    assert (a == c).all() and (b == d).all() and (b != other).any()
