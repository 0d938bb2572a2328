import dataclasses

import numpy as np
import pytest

from tlkit.phantoms import anatomy, ct
from tlkit.phantoms.anatomy import Tissue


def abdomen(seed: int = 0):
    rng = np.random.default_rng(seed)
    body = anatomy.random_body(rng)
    return anatomy.sample(body, anatomy.View(np.linspace(1150, 1250, 5), (0, 0), 400, 64))


def protocol(**changes) -> ct.Protocol:
    plain = ct.Protocol(ct.SCANNERS[0], "none", 5.0, False, 120, False, False, 0.0)
    return dataclasses.replace(plain, **changes)


def test_hu_of_tissues():
    scene, labels = abdomen(), abdomen().labels()
    hu = ct.image(scene, protocol(), np.random.default_rng(1))
    assert hu.dtype == np.int16
    assert hu.min() >= -1024 and hu.max() <= 3071
    assert abs(hu[labels == Tissue.AIR].mean() + 1000) < 40
    assert -130 < np.median(hu[labels == Tissue.FAT]) < -40
    assert 20 < np.median(hu[labels == Tissue.LIVER]) < 95
    assert np.median(hu[labels == Tissue.CORTICAL]) > 300


def test_contrast_medium_brightens_vessels():
    rng = np.random.default_rng
    scene = abdomen()
    blood = scene.labels() == Tissue.BLOOD
    plain, arterial = (ct.image(scene, protocol(phase=p), rng(1))[blood].mean() for p in ("none", "arterial"))
    assert arterial > plain + 80


def test_noise_grows_with_its_setting():
    scene = abdomen()
    clean, low, high = (
        ct.image(scene, protocol(noise=n), np.random.default_rng(1)).astype(int) for n in (0.0, 5.0, 30.0)
    )
    liver = scene.labels() == Tissue.LIVER
    assert (high - clean)[liver].std() == pytest.approx(6 * (low - clean)[liver].std(), rel=0.05)


def test_padding_fills_only_outside_the_circle():
    hu = ct.image(abdomen(), protocol(scanner=ct.SCANNERS[1], circle=True), np.random.default_rng(1))
    assert (hu[:, 0, 0] == -2000).all()
    assert hu[:, 16:48, 16:48].min() >= -1024


def test_table_lies_behind_the_patient():
    scene = abdomen()
    pair = [ct.image(scene, protocol(table=t, noise=0.0), np.random.default_rng(1)) for t in (False, True)]
    rows = np.nonzero((pair[1].astype(int) - pair[0] > 200).any((0, 2)))[0]
    assert len(rows) and rows.min() > 32


def test_random_protocol_is_seeded_and_varied():
    draw = [ct.random_protocol(np.random.default_rng(s), "abdomen") for s in range(30)]
    assert draw == [ct.random_protocol(np.random.default_rng(s), "abdomen") for s in range(30)]
    assert {p.phase for p in draw} == set(ct.PHASES)
    assert len({p.scanner.maker for p in draw}) == len(ct.SCANNERS)
