from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from tlkit.datasets import DATASETS
from tlkit.layouts import folders
from tlkit.phantoms import anatomy, brain, brain_tumor, write
from tlkit.phantoms.brain import Matter

CARD = DATASETS["brain-tumor-mri"]
PARTS = {"Training": 24, "Testing": 16}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    sizes = {"train": PARTS["Training"], "test": PARTS["Testing"], "pixels": 48}
    return write.make(CARD.phantom, tmp_path_factory.mktemp("phantoms"), 5, **sizes)


def test_the_reader_of_the_real_set_reads_it(made):
    samples, rejects = folders.scan(made, CARD)
    assert list(rejects["path"]) in ([], ["phantom.json"])
    counts = samples.groupby(["split", "class"], observed=True).size()
    assert counts["train"].tolist() == [24] * 4 and counts["test"].tolist() == [16] * 4
    assert (samples["class"].astype(str) == np.array(CARD.classes)[samples["label"]]).all()
    names = {Path(p).name for p in samples["path"]}
    assert {"Tr-gl_0010.jpg", "Tr-me_0033.jpg", "Te-no_0010.jpg", "Te-pi_0025.jpg"} <= names
    images, masks = folders.decode(made, samples.iloc[:1], CARD)
    assert masks == [None] and images[0].shape == (48, 48) and images[0].dtype == np.uint8
    assert {Image.open(made / p).mode for p in samples["path"]} == {"L"}


def test_a_longer_set_begins_like_a_shorter_one_and_no_image_comes_twice(made, tmp_path):
    short = write.make(CARD.phantom, tmp_path, 5, train=1, test=1, pixels=48)
    for file in short.rglob("*.jpg"):
        assert file.read_bytes() == (made / file.relative_to(short)).read_bytes()
    every = [p.read_bytes() for p in made.rglob("*.jpg")]
    assert len(set(every)) == len(every) == 4 * 40


def contents(kind: str, seed: int, plane: str) -> tuple[np.ndarray, brain.Brain, float]:
    """Return the coordinates (x, y, z in mm, of the standard body) of the mass's voxels, the brain, and the width."""
    rng = np.random.default_rng(seed)
    body = anatomy.random_body(rng)
    place, masses = brain_tumor.KINDS[kind](body, rng)
    view, slab = brain_tumor._slab(body, place, plane, 48, rng)
    found = brain.sample(body, view, rng, masses, slab)
    at = np.argwhere(np.isin(found.scene.labels(), brain_tumor.SEEN)) + [part.start or 0 for part in slab]
    x, y = (((at[:, k] + 0.5) / 48 - 0.5) * view.fov + view.centre[2 - k] for k in (2, 1))
    z = view.z[at[:, 0]] * anatomy.STANDARD_HEIGHT / body.height
    return np.stack([x / body.width, y / body.width, z], 1), found, body.width


@pytest.mark.parametrize("plane", list(brain_tumor.PLANES))
def test_tumours_lie_where_their_kind_lies(plane):
    for seed in range(4):
        assert len(contents("glioma", seed, plane)[0])
        assert not len(contents("notumor", seed, plane)[0])
        x, y, z = np.median(contents("pituitary", seed, plane)[0], axis=0)
        assert abs(x) < 12 and -38 < y < -6 and 1596 < z < 1628  # in the midline, at the base


def test_meningiomas_touch_the_skull_or_the_falx_and_lie_outside_of_the_brain():
    for seed in range(12):
        at, found, _ = contents("meningioma", seed, "axial")
        inside = np.isin(found.scene.labels(), brain_tumor.SEEN)
        border = ndimage.binary_dilation(inside, iterations=2) & (found.room < 0.5)
        assert border.any() or np.abs(at[:, 0]).min() < 12
        around = ndimage.binary_dilation(inside) & ~inside & (found.room > 0.5)
        assert np.isin(found.scene.labels()[around], [Matter.GREY, Matter.WHITE]).mean() < 0.6  # fluid between


def test_a_slab_holds_what_the_whole_holds_there():
    body = anatomy.random_body(np.random.default_rng(1))
    view = brain.view(body, 12, 40, 240.0, np.random.default_rng(2))
    scene = anatomy.sample(body, view)
    slab = (slice(None), slice(10, 17), slice(3, None))
    values = np.arange(len(anatomy.Tissue), dtype=np.float32)
    part = anatomy.sample(body, view, slab)
    assert np.array_equal(part.render(values), scene.render(values)[slab])
    assert np.array_equal(part.labels(), scene.labels()[slab])
    assert np.array_equal(part.fine, scene.fine[slab])


def blobs(image: np.ndarray) -> list[float]:
    """Return, for three sizes, how strong the brightest and the darkest blob inside a head are and where they lie."""
    grey = image / 255
    head = ndimage.binary_fill_holes(ndimage.binary_closing(grey > 0.12))
    inner = ndimage.binary_erosion(head, iterations=4)
    level, centre, out = np.median(grey[inner]), ndimage.center_of_mass(head), []
    for sigma in (1.1, 1.9, 3.0):
        change = (ndimage.gaussian_filter(grey, sigma) - ndimage.gaussian_filter(grey, 1.6 * sigma)) / level
        for found in (np.where(inner, change, -9), np.where(inner, -change, -9)):
            row, column = np.unravel_index(found.argmax(), found.shape)
            out += [found.max(), row - centre[0], abs(column - centre[1])]
    return [*out, *np.percentile(grey[inner] / level, [5, 75, 95, 99])]


def accuracy(made: Path, features) -> float:
    """Return the accuracy on Testing of a random forest fitted on features of Training."""
    from sklearn.ensemble import RandomForestClassifier

    x, y = {}, {}
    for part in PARTS:
        files = sorted((made / part).rglob("*.jpg"))
        x[part] = np.array([features(np.asarray(Image.open(f), float)) for f in files])
        y[part] = [f.parent.name for f in files]
    model = RandomForestClassifier(200, random_state=0).fit(x["Training"], y["Training"])
    return float(model.score(x["Testing"], y["Testing"]))


def test_the_tumour_tells_the_class_and_the_border_does_not(made):
    rim = np.pad(np.zeros((40, 40), bool), 4, constant_values=True)
    by_tumour = accuracy(made, blobs)
    by_border = accuracy(made, lambda image: [*image[rim], image.mean(), image.std()])
    assert by_tumour > 0.45 and by_border < by_tumour - 0.05
