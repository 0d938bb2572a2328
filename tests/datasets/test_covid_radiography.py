import numpy as np
import pytest
import trees
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from tlkit.config import ConfigError
from tlkit.datasets import DATASETS
from tlkit.datasets.splits import assign, check_disjoint
from tlkit.datasets.store import build_store, open_store
from tlkit.layouts import folders
from tlkit.phantoms import anatomy, chests, write
from tlkit.phantoms.tubes import Builder

CARD = DATASETS["covid-radiography"]


def tree(root, sick=3, healthy=5):
    """Write the tree of the archive: both classes, the two others, lung masks and tables."""
    for kind, n in {"COVID": sick, "Normal": healthy, "Lung_Opacity": 2, "Viral Pneumonia": 2}.items():
        for k in range(1, n + 1):
            trees.picture(root / kind / "images" / f"{kind}-{k}.png", k, mode="L")
            trees.picture(root / kind / "masks" / f"{kind}-{k}.png", k, mode="RGB")
        (root / f"{kind}.metadata.xlsx").touch()
    (root / "README.md.txt").touch()
    return root


def test_two_folders_are_read_and_their_neighbours_are_known(tmp_path):
    samples, rejects = folders.scan(tree(tmp_path), CARD)
    assert rejects.empty and folders.classes(tmp_path, CARD) == ("Normal", "COVID")
    assert samples.groupby(["class", "label"], observed=True).size().to_dict() == {("COVID", 1): 3, ("Normal", 0): 5}
    assert samples["path"].iloc[0] == "COVID/images/COVID-1.png" and set(samples["split"]) == {""}
    assert (samples["patient"] == samples["id"]).all()
    split = assign(samples, val=0.25, test=0.25)
    check_disjoint(split, samples["patient"])


def test_what_the_card_does_not_name_is_told(tmp_path):
    tree(tmp_path)
    (tmp_path / "notes.txt").touch()
    (tmp_path / "COVID/images/Thumbs.db").touch()
    trees.picture(tmp_path / "loose.png")
    _, rejects = folders.scan(tmp_path, CARD)
    assert rejects["path"].tolist() == ["COVID/images/Thumbs.db", "loose.png", "notes.txt"]


def test_a_missing_class_and_the_outer_folder_left_in_place_are_errors(tmp_path):
    tree(tmp_path / "COVID-19_Radiography_Dataset")
    with pytest.raises(ConfigError, match="missing: COVID, Normal; unknown: COVID-19_Radiography_Dataset"):
        folders.scan(tmp_path, CARD)
    (tmp_path / "COVID-19_Radiography_Dataset/Normal").rename(tmp_path / "Normal")
    with pytest.raises(ConfigError, match="missing: COVID;"):
        folders.scan(tmp_path, CARD)


def test_coloured_files_are_read_as_grey(tmp_path):
    tree(tmp_path)
    Image.new("RGB", (9, 9), (255, 0, 0)).save(tmp_path / "COVID/images/COVID-1.png")
    samples, _ = folders.scan(tmp_path, CARD)
    assert folders.decode(tmp_path, samples.iloc[:1], CARD)[0][0].tolist() == [[76] * 9] * 9  # luminance of red


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    return write.make("covid", tmp_path_factory.mktemp("phantoms"), 3, images=120, pixels=32)


def test_the_phantom_has_the_layout_and_the_imbalance_of_the_archive(phantom, tmp_path):
    opened = open_store(build_store(CARD, phantom, 32, tmp_path / "stores"))
    counts = opened.table["class"].value_counts()
    assert counts.to_dict() == {"Normal": 89, "COVID": 31} and opened.meta["left_out"] == 0
    assert counts["Normal"] / counts["COVID"] == pytest.approx(10_192 / 3_616, rel=0.03)
    assert opened.meta["title"].startswith("Phantom of") and opened.meta["task"] == "binary"
    size = sum(p.stat().st_size for p in phantom.rglob("*.png"))
    assert size < write.expected_bytes("covid", images=120, pixels=32)


def test_the_phantoms_disease_can_be_learnt_from_its_pictures(phantom, tmp_path):
    opened = open_store(build_store(CARD, phantom, 24, tmp_path / "stores"))
    pixels = opened.images.reshape(len(opened), -1) / 255.0
    sick, test = opened.table["label"].to_numpy(), np.arange(len(opened)) % 2 == 1
    model = LogisticRegression(C=0.05, max_iter=500).fit(pixels[~test], sick[~test])
    assert roc_auc_score(sick[test], model.decision_function(pixels[test])) > 0.7


def test_opacities_lie_in_the_outer_half_of_both_lungs():
    for seed in range(5):
        body = anatomy.random_body(np.random.default_rng(seed), lesion_share=0.0)
        lungs = {s: t for s in (-1, 1) for t in body.tubes if t.space == f"lung{s}"}
        builder = Builder(np.random.default_rng(seed))
        chests._covid(builder, lungs)
        for side in (-1, 1):
            patches = [t for t in builder.tubes if t.within == f"lung{side}"]
            assert len(patches) >= 2 and all(side * t.x[0] > 75 for t in patches)  # the lung's middle lies at 72 mm
        planted = chests.plant(body, ("COVID",), [seed], {"COVID": chests._covid})
        clean = chests.plant(body, (), [seed], {"COVID": chests._covid})
        assert len(planted.tubes) == len(clean.tubes) + len(builder.tubes)
