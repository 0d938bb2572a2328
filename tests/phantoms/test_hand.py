from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import cross_val_predict

from tlkit.layouts import boneage as layout
from tlkit.phantoms import children, hand, write, xray
from tlkit.phantoms.handbones import CARPALS, GIRLS, GROWN, Hand, Piece, bones, lose_bone, random_hand

HAND = Hand(age=120.0, scale=1.0, cortex=1.0, spongy=0.4, fat=0.0, spread=1.0, timing=np.zeros(40))
SHOT = hand.Shot(
    xray.Exposure("PA", 1e9, 200.0, 1e8, 0.0, 0.0, 0.0, (0.0, 0.0), 1.0, 0.0), roll=0.0, right=False, marker=""
)


def picture(age: float, male: bool, seed: int, pixels: int = 64) -> np.ndarray:
    rng = np.random.default_rng(seed)
    child = random_hand(rng, age, male)
    return hand.image(child, hand.whole_hand(rng, child), pixels, rng)


def balls(age: float) -> int:
    return sum(piece.radii[0] == 0 for piece in bones(replace(HAND, age=age)))


def test_carpal_bones_appear_one_by_one_and_stay():
    seen = [balls(age) for age in range(0, 240, 6)]
    assert seen[0] == 0 and seen[-1] == len(CARPALS) == 8 and seen == sorted(seen)
    assert {balls(a) for a in (20, 40, 55, 110)} == {2, 3, 4, 7}  # capitate, hamate; then those of 30, 42, 66 to 70


def test_a_grown_hand_is_19_long_bones_two_of_the_forearm_and_8_carpals_all_closed():
    grown = bones(replace(HAND, age=GROWN))
    assert len(grown) == 19 + 2 + 8 and all(piece.opacity == 1 for piece in grown)
    assert len(bones(replace(HAND, age=0.0))) == 21  # shafts alone
    assert len(bones(replace(HAND, age=150.0))) == 2 * 21 + 8  # each with its epiphysis


def gap(age: float) -> float:
    """Return the mm between the radius and its epiphysis."""
    pieces = [p for p in bones(replace(HAND, age=age)) if p.radii[0] and p.start[1] < 5 and abs(p.start[0] - 5) < 1]
    shaft, cap = sorted(pieces, key=lambda p: p.start[1])
    return float(min(cap.start[1], cap.end[1]) - shaft.start[1])


def test_growth_plates_narrow_with_age():
    gaps = [gap(age) for age in (60, 100, 140, 180)]
    assert gaps == sorted(gaps, reverse=True) and gaps[0] > 1.4 * gaps[-1] > 0


def test_a_girl_looks_like_an_older_boy():
    girl, boy = (random_hand(np.random.default_rng(3), 100, male) for male in (False, True))
    assert girl.age == pytest.approx(100 * GIRLS) and boy.age == 100
    assert girl.cortex == boy.cortex and len(bones(girl)) >= len(bones(boy))


def film(child: Hand = HAND, shot: hand.Shot = SHOT, pixels: int = 200) -> hand.Film:
    return hand.Film(child, shot, pixels)


def test_points_fall_where_the_pose_puts_them():
    x = film().place([(0, 0, 0), (10, 20, 0), (0, 0, 30)])
    assert x == pytest.approx(np.array([[100, 100], [110, 80], [100, 100]]))
    right = film(shot=replace(SHOT, right=True)).place([(10, 20, 0)])
    assert right == pytest.approx(np.array([[90, 80]]))
    side = film(shot=replace(SHOT, roll=np.pi / 2)).place([(10, 20, 30)])
    assert side == pytest.approx(np.array([[130, 80]]))
    half = film(replace(HAND, scale=0.5)).place([(10, 20, 0)])
    assert half == pytest.approx(np.array([[105, 90]]))


def rod(monkeypatch, child: Hand, wall: float = 2.0) -> np.ndarray:
    """Return the bone in mm of one straight piece, 60 mm long and 10 mm wide, in pixels of 1 mm."""
    piece = Piece(np.array((0.5, -30.0, 0)), np.array((0.5, 30.0, 0)), (5.0, 5.0, 5.0), wall)
    monkeypatch.setattr(hand, "bones", lambda _: [piece])
    return hand.bone(film(child), np.random.default_rng(0))


def test_a_tube_has_the_thickness_of_its_walls_and_what_is_inside(monkeypatch):
    hollow = rod(monkeypatch, replace(HAND, spongy=0.0))
    assert hollow[100, 100] == pytest.approx(4.0, abs=0.01)  # both walls
    assert hollow[100, 104] == pytest.approx(2 * 3.0, abs=0.01)  # 4 mm off the middle: only wall, 2 sqrt(25 - 16)
    assert hollow[100, 106] == 0 and hollow[60, 100] == 0 and hollow[140, 100] == 0
    solid = rod(monkeypatch, replace(HAND, cortex=10.0))
    assert solid[100, 100] == pytest.approx(10.0, abs=0.01)
    assert rod(monkeypatch, replace(HAND, scale=0.5))[100].max() == pytest.approx(
        rod(monkeypatch, HAND)[100].max() / 2, rel=0.1
    )


def test_osteopenia_takes_bone_and_nothing_else():
    rng = np.random.default_rng(0)
    ill = lose_bone(HAND, rng)
    assert replace(ill, cortex=1.0, spongy=0.4) == HAND
    well, lost = (hand.bone(film(h), np.random.default_rng(1)) for h in (HAND, ill))
    assert 0.4 < lost.sum() / well.sum() < 0.7 and ((well > 0) == (lost > 0)).mean() > 0.999
    assert (hand.soft(film(HAND)) == hand.soft(film(ill))).all()


@settings(max_examples=12, deadline=None)
@given(st.floats(0, 228), st.booleans(), st.integers(0, 2**32 - 1), st.sampled_from([1, 2]), st.booleans())
def test_every_picture_is_finite_bright_on_black_and_repeatable(age, male, seed, projection, cast):
    def take():
        rng = np.random.default_rng(seed)
        child = random_hand(rng, age, male)
        return hand.image(child, hand.wrist(rng, child, "R", projection), 32, rng, cast=cast)

    image = take()
    assert image.dtype == np.float32 and image.shape == (32, 32) and image.min() >= 0 and image.max() <= 1
    assert image.std() > 0.05 and (image == take()).all()


@pytest.fixture(scope="module")
def hands():
    """Return small pictures [N,24*24], ages (months) and sex of 230 phantom hands."""
    rng = np.random.default_rng(0)
    ages = np.array([children.draw_age(rng) for _ in range(230)])
    small = [cv2.resize(picture(a, k % 2 == 0, k, 48), (24, 24), interpolation=cv2.INTER_AREA).ravel()
             for k, a in enumerate(ages)]  # fmt: skip
    return np.array(small), ages, np.arange(230) % 2 == 0


def test_bone_age_can_be_learned_and_sex_helps(hands):
    images, ages, male = hands
    guesses = [cross_val_predict(Ridge(1), np.c_[images, s * male], ages, cv=10) for s in (0, 5)]
    r2 = [r2_score(ages, guess) for guess in guesses]
    assert r2[0] > 0.6 and r2[1] > r2[0] + 0.01, r2


def test_osteopenia_can_be_learned_whatever_the_exposure(tmp_path):
    root = write.make("grazpedwri", tmp_path, 1, patients=80, pixels=48, osteopenia=0.5)
    table = np.genfromtxt(root / "dataset.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
    features = []
    for stem in table["filestem"]:
        pixels = cv2.imread(str(next(root.glob(f"*/{stem}.png"))), cv2.IMREAD_UNCHANGED)
        assert pixels.dtype == np.uint16
        image = np.clip(pixels / np.percentile(pixels, 99.9), 0, 1).astype(np.float32)
        edges = [np.abs(image - cv2.GaussianBlur(image, (0, 0), s)).mean() for s in (1, 2, 4)]
        features.append([*np.histogram(image, 12, (0, 1))[0] / image.size, *edges])
    ill, patient = table["osteopenia"] == 1, table["patient_id"]
    fit, test = patient <= 55, patient > 55
    scores = Ridge(0.01).fit(np.array(features)[fit], ill[fit]).predict(np.array(features)[test])
    assert roc_auc_score(ill[test], scores) > 0.7


def test_half_of_the_hands_are_girls_and_a_longer_set_begins_like_a_shorter_one(tmp_path):
    short, longer = (write.make("rsna-bone-age", tmp_path, 5, train=n, val=2, test=2, pixels=32) for n in (4, 6))
    tables = [(root / "boneage-training-dataset.csv").read_text().splitlines() for root in (short, longer)]
    assert tables[0] == tables[1][:5] and tables[0][0] == "id,boneage,male"
    assert sum(line.endswith("True") for line in tables[1]) == 3
    for name in sorted(p.name for p in (short / "boneage-training-dataset").iterdir()):
        pair = [(root / "boneage-training-dataset" / name).read_bytes() for root in (short, longer)]
        assert pair[0] == pair[1]
    numbers = [{n(k) for k in range(500)} for *_, n in children.PARTS.values()]
    assert not numbers[0] & numbers[1] and all(layout.part_of(t) == part for part, (t, *_) in children.PARTS.items())


def test_studies_of_a_patient_share_the_wrist_and_names_say_what_the_table_says(tmp_path):
    root = write.make("grazpedwri", tmp_path, 2, patients=12, pixels=32, osteopenia=1.0)
    lines = [line.split(",") for line in (root / "dataset.csv").read_text().splitlines()]
    assert lines[0] == children.HEADER.split(",") and {len(line) for line in lines} == {17}
    rows = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    for row in rows:
        name = f"{int(row['patient_id']):04d}_{int(row['timehash']):010d}_{int(row['study_number']):02d}_WRI-"
        assert row["filestem"].startswith(name + row["laterality"] + row["projection"] + "_" + row["gender"])
    assert {p.stem for p in root.glob("images_part*/*.png")} == {row["filestem"] for row in rows}
    for patient in {row["patient_id"] for row in rows}:
        own = [row for row in rows if row["patient_id"] == patient]
        assert len({(r["gender"], r["age"], r["laterality"]) for r in own}) == 1
        assert "1" in {r["osteopenia"] for r in own}


TINY = {
    "rsna-bone-age": {"train": 3, "val": 2, "test": 2, "pixels": 32},
    "grazpedwri": {"patients": 3, "pixels": 32},
}


@pytest.mark.parametrize("name", TINY)
def test_the_estimate_of_the_size_is_an_upper_bound(name, tmp_path):
    root = write.make(name, tmp_path, 7, **TINY[name])
    size = sum(p.stat().st_size for p in root.rglob("*") if p.is_file())
    assert size < write.expected_bytes(name, **TINY[name]) < 50 * size


def test_a_cast_adds_plaster_around_the_forearm_alone():
    rng = np.random.default_rng(0)
    shell = hand._plaster(film(shot=replace(SHOT, exposure=replace(SHOT.exposure, fov=420.0))), rng)
    assert shell[150:, 60:140].mean() > 3 and (shell[:20] == 0).all()  # mm; the finger tips are above
