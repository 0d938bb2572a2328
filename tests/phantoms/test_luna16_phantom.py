import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from tlkit.datasets import DATASETS
from tlkit.layouts import luna16
from tlkit.phantoms import anatomy, write
from tlkit.phantoms import nodules as phantom
from tlkit.phantoms.anatomy import Tissue

CARD = DATASETS["luna16"]
TINY = {"series": 9, "pixels": 96, "slices": (14, 16)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write.make("luna16", tmp_path_factory.mktemp("phantoms"), 5, **TINY)


def nodules(root):
    """Yield (HU of the whole volume, voxel indices, distance of each to the centre in mm, diameter) by ITK alone."""
    for row in pd.read_csv(root / "annotations.csv").itertuples():
        image = sitk.ReadImage(str(next(root.glob(f"subset*/{row.seriesuid}.mhd"))))
        hu = sitk.GetArrayFromImage(image)
        index = np.argwhere(np.ones(hu.shape, bool))[:, ::-1]
        centre = image.TransformPhysicalPointToContinuousIndex((row.coordX, row.coordY, row.coordZ))
        away = np.linalg.norm((index - centre) * image.GetSpacing(), axis=1).reshape(hu.shape)
        yield hu, away, row.diameter_mm


def test_nodules_are_where_the_annotations_say_and_as_large(made):
    sizes = []
    for hu, away, diameter in nodules(made):
        radius = diameter / 2
        core = hu[away < min(0.6 * radius, radius - 0.5)]
        assert np.median(core if len(core) else hu[away == away.min()]) > -300  # solid
        shell = hu[(away > radius + 1.5) & (away < radius + 3)]
        assert np.percentile(shell, 30) < -600  # around it is lung, though vessels and the wall may touch it
        sizes.append(diameter)
    assert len(sizes) >= 6 and min(sizes) >= phantom.SMALL and max(sizes) <= phantom.LARGE


def test_the_reader_cuts_out_every_annotated_nodule(made):
    samples, rejects = luna16.scan(made, CARD)
    wanted = pd.read_csv(made / "annotations.csv")
    cut = samples[["patient", "nodule"]].drop_duplicates()
    assert len(cut) == len(wanted) and set(cut["patient"]) == set(wanted["seriesuid"])
    without = TINY["series"] - wanted["seriesuid"].nunique()
    assert without >= 1 and rejects["reason"].tolist() == ["no nodule to cut out"] * without
    for _, rows in samples.groupby("path"):
        images, masks = luna16.decode(made, rows, CARD)
        assert all(i.shape == (96, 96) and i.dtype == np.int16 for i in images if not isinstance(i, str))
        assert sum(m is not None and m.any() for m in masks) >= len(rows) - 1


def test_some_series_are_stored_backwards_and_all_are_called_phantom(made):
    headers = [p.read_text() for p in sorted(made.rglob("*.mhd"))]
    assert len(headers) == TINY["series"] and all("PHANTOM" in h and "MET_SHORT" in h for h in headers)
    backwards = ["-1" in h.split("TransformMatrix = ")[1].splitlines()[0] for h in headers]
    assert any(backwards) and not all(backwards)
    size = sum(p.stat().st_size for p in made.rglob("*") if p.is_file())
    assert size < 1.05 * write.expected_bytes("luna16", **TINY)


def test_a_longer_data_set_begins_like_a_shorter_one(made, tmp_path):
    phantom.write(tmp_path, 5, series=2, pixels=96, slices=(14, 16))
    for file in tmp_path.rglob("*.mhd"):
        inside = made / file.relative_to(tmp_path)
        assert inside.read_bytes() == file.read_bytes()
        assert inside.with_suffix(".raw").read_bytes() == file.with_suffix(".raw").read_bytes()


def test_a_ball_has_its_volume_and_a_rod_its_length():
    view = anatomy.View(np.arange(40.0), (5.0, -3.0), 40.0, 40)
    ball = phantom.rod(view, np.array([[5.0, -3, 20], [5, -3, 20]]), (8.0, 8.0), Tissue.MUSCLE)
    assert ball.alpha.sum() == pytest.approx(4 / 3 * np.pi * 8**3, rel=0.02)  # voxels of 1 mm
    rod = phantom.rod(view, np.array([[-5.0, -3, 20], [15, -3, 20]]), (3.0, 3.0), Tissue.BLOOD)
    assert rod.alpha.sum() == pytest.approx(20 * np.pi * 9 + 4 / 3 * np.pi * 27, rel=0.03)
    where = np.argwhere(rod.alpha > 0.5) + [s.start for s in rod.box]
    x = phantom.axes(view)[0][where[:, 2]]
    assert x.min() == pytest.approx(-8, abs=1) and x.max() == pytest.approx(18, abs=1)
