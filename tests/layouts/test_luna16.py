import zlib
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit.config import ConfigError, UnknownNameError
from tlkit.datasets import DATASETS, UnreadableFile
from tlkit.datasets.splits import assign, check_disjoint
from tlkit.datasets.store import build_store, open_store
from tlkit.layouts import luna16, metaimage

OFFICIAL = DATASETS["luna16"]
CARD = replace(OFFICIAL, options={**OFFICIAL.options, "crop": 8})
SPACING, ORIGIN = np.array((2.0, 2.0, 4.0)), np.array((-20.0, 10.0, -300.0))
HEADER = "seriesuid,coordX,coordY,coordZ,diameter_mm"


def card(**options):
    return replace(CARD, options={**CARD.options, **options})


def millimetres(col, row, k):
    return ORIGIN + SPACING * (col, row, k)


def lung(nodule=(8, 6, 3), shape=(20, 16, 7), radius=5.0):
    """Return int16 HU [columns, rows, slices]: noisy air and one ball of water of `radius` mm."""
    hu = np.random.default_rng(0).integers(-900, -800, shape).astype(np.int16)
    index = np.stack(np.indices(shape), -1)
    hu[(((index - nodule) * SPACING) ** 2).sum(-1) <= radius**2] = 0
    return hu


def series(root, uid="1.2.3", hu=None, flips=(False, False, False), subset=0, **options):
    """Write one scan as subset<n>/<uid>.mhd; flips store an axis backwards and say so in the header."""
    hu = lung() if hu is None else hu
    folder = root / f"subset{subset}"
    folder.mkdir(parents=True, exist_ok=True)
    picture = sitk.GetImageFromArray(np.flip(hu, np.flatnonzero(flips)).T)
    picture.SetSpacing(SPACING.tolist())
    picture.SetOrigin((ORIGIN + np.where(flips, SPACING * (np.array(hu.shape) - 1), 0)).tolist())
    picture.SetDirection(np.diag(np.where(flips, -1.0, 1.0)).ravel().tolist())
    sitk.WriteImage(picture, str(folder / f"{uid}.mhd"), **options)
    return folder / f"{uid}.mhd"


def annotate(root, *rows, header=HEADER):
    """Write annotations.csv; a row is text, or (uid, voxel, diameter in mm)."""
    texts = [r if isinstance(r, str) else ",".join(map(str, (r[0], *millimetres(*r[1]), r[2]))) for r in rows]
    (root / "annotations.csv").write_text("\n".join([header, *texts]) + "\n")


def tree(root, shape=(20, 16, 7)):
    """Write three series of `shape` (columns, rows, slices) with one nodule of 10 mm each."""
    for k in range(3):
        series(root, f"1.2.{k}", lung(shape=shape), subset=k)
    annotate(root, *((f"1.2.{k}", (8, 6, 3), 10.0) for k in range(3)))
    return root


def one(root, wanted=CARD):
    samples, rejects = luna16.scan(root, wanted)
    return samples, rejects.set_index("path")["reason"].to_dict(), luna16.decode(root, samples, wanted)


def test_a_row_is_a_nodule_on_a_slice_that_it_touches(tmp_path):
    samples, rejects, (images, masks) = one(tree(tmp_path))
    assert not rejects and samples["frame"].tolist() == [2, 3, 4] * 3  # 10 mm at 4 mm a slice, centre on slice 3
    assert samples["id"].iloc[4] == "1.2.1_00_0003" and samples["path"].iloc[4] == "subset1/1.2.1.mhd"
    assert set(samples["patient"]) == {"1.2.0", "1.2.1", "1.2.2"} and set(samples["split"]) == {""}
    assert all(i.shape == m.shape == (8, 8) and i.dtype == np.int16 and m.dtype == np.uint8
               for i, m in zip(images, masks, strict=True))  # fmt: skip
    # the crop starts at row 6 - 4 and column 8 - 4; the mask is the ball, whose voxels have 0 HU, and nothing else
    assert (images[1] == lung()[4:12, 2:10, 3].T).all() and (masks[1] == (images[1] == 0)).all()
    assert [int(m.sum()) for m in masks[:3]] == [9, 21, 9]  # (2 i)^2 + (2 j)^2 <= 25 - 16, 25: counted by hand


@settings(max_examples=8, deadline=None)
@given(st.tuples(st.booleans(), st.booleans(), st.booleans()), st.booleans())
def test_flipped_and_compressed_files_give_the_same_crops(tmp_path_factory, flips, compressed):
    plain, turned = (tmp_path_factory.mktemp(n) for n in ("plain", "turned"))
    for root, options in ((plain, {}), (turned, {"flips": flips, "useCompression": compressed})):
        series(root, **options)
        annotate(root, ("1.2.3", (8, 6, 3), 10.0), ("1.2.3", (15, 10, 5), 6.0))
    a, b = one(plain), one(turned)
    assert a[0].equals(b[0]) and a[1] == b[1] == {}
    for x, y in zip(a[2][0] + a[2][1], b[2][0] + b[2][1], strict=True):
        assert np.array_equal(x, y)


def test_a_sagittal_file_is_turned_to_axial(tmp_path):
    file = series(tmp_path)
    annotate(tmp_path, ("1.2.3", (8, 6, 3), 10.0))
    before = one(tmp_path)
    sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(str(file)), "PIR"), str(file))
    assert metaimage.read_grid(file).turn.tolist() != metaimage.read_grid(series(tmp_path / "new")).turn.tolist()
    after = one(tmp_path)
    assert all(np.array_equal(x, y) for x, y in zip(before[2][0], after[2][0], strict=True))


def test_crops_are_shifted_to_stay_inside_and_hold_the_neighbours(tmp_path):
    series(tmp_path, hu=np.maximum(lung((1, 15, 3)), lung((4, 12, 3), radius=2.0)))
    annotate(tmp_path, ("1.2.3", (1, 15, 3), 10.0), ("1.2.3", (4, 12, 3), 4.0))
    samples, _, (images, masks) = one(tmp_path)
    assert all(i.shape == (8, 8) for i in images)
    corner, middle = (masks[i] for i in samples.index[samples["frame"] == 3])
    assert corner[15 - 8, 1] == corner[12 - 8, 4] == 1  # rows 8 to 15, columns 0 to 7: the last eight, the first eight
    assert (middle == corner).all()  # the second crop would begin in row 8 and column 0 without any shift


def test_whole_slices_stand_once_however_many_nodules_they_have(tmp_path):
    series(tmp_path)
    annotate(tmp_path, ("1.2.3", (8, 6, 3), 10.0), ("1.2.3", (8, 6, 4), 10.0))
    samples, _, (images, masks) = one(tmp_path, card(crop=None))
    assert samples["frame"].tolist() == [2, 3, 4, 5] and set(samples) == {"id", "path", "frame", "patient", "split"}
    assert {i.shape for i in images if not isinstance(i, str)} == {(16, 20)}
    assert images[3] == "nothing of a nodule above -700 HU" and masks[3] is None  # there the ball holds air alone


def test_the_published_box_grows_until_one_of_two_opposite_voxels_is_air():
    hu = np.full((20, 16, 11), -900, np.int16)
    hu[8 - 3 : 8 + 5, 6, 5] = 0  # along x: 3 to the one side, 4 to the other; the pair 4 away has air in it
    hu[8, 6 - 2 : 6 + 2, 5] = 0  # along y the pair 2 away has air in it already
    hu[8, 6, :] = 0  # along z there is no air: up to the end of the volume
    grid = metaimage.Grid(hu.shape, np.diag([*SPACING, 1.0]), np.zeros((3, 2)))
    nodule = luna16.Nodule("u", 0, "", np.array((8, 6, 5)) * SPACING + 0.4, 3.0)
    box, inside = luna16._box(nodule, grid, hu)
    assert box == (slice(4, 13), slice(4, 9), slice(0, 11)) and inside.all() and inside.shape == (9, 5, 11)
    edge = nodule._replace(centre=np.array((0, 15, 5)) * SPACING)  # no two opposite voxels: two each way, cut off
    assert luna16._box(edge, grid, hu)[0][:2] == (slice(0, 3), slice(13, 16))


def test_box_and_ball_differ_where_the_annotation_is_smaller_than_the_nodule(tmp_path):
    series(tmp_path)
    annotate(tmp_path, ("1.2.3", (8, 6, 3), 5.0))
    sizes = {}
    for kind in ("ball", "box"):
        samples, _, (_, masks) = one(tmp_path, card(mask=kind))
        middle = masks[samples["frame"].tolist().index(3)]
        sizes[kind] = (len(samples), int(middle.sum()))
    # the ball of 2.5 mm: a voxel and its four neighbours; the box reaches 3 voxels of 2 mm and 2 slices, less the air
    assert sizes == {"ball": (1, 5), "box": (5, 21)}


def test_the_published_split_makes_every_tenth_series_val(tmp_path):
    for k in range(12):
        series(tmp_path, f"1.{k:02d}", subset=k % 10)
    annotate(tmp_path, *((f"1.{k:02d}", (8, 6, 3), 10.0) for k in range(12) if k != 3))
    samples, _ = luna16.scan(tmp_path, card(split="published"))
    split = samples.groupby("patient")["split"].first()
    assert split[split == "val"].index.tolist() == ["1.00", "1.10"] and set(split) == {"train", "val"}
    drawn, _ = luna16.scan(tmp_path, CARD)
    split = assign(drawn)
    check_disjoint(split, drawn["patient"])
    assert set(split) == {"train", "val", "test"}


def test_what_lies_beside_is_known_and_what_is_unknown_is_told(tmp_path):
    tree(tmp_path)
    for name in ("candidates_V2.csv", "sampleSubmission.csv", "seg-lungs-LUNA16/1.2.0.mhd", "evaluationScript/x.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert luna16.scan(tmp_path, CARD)[1].empty
    (tmp_path / "notes.txt").touch()
    (tmp_path / "subset0/1.9.raw").touch()
    series(tmp_path, "1.2.0", subset=4)
    assert one(tmp_path)[1] == {
        "notes.txt": "neither annotations.csv nor subset<n>/<uid>.mhd, .raw, .zraw",
        "subset0/1.9.raw": "no 1.9.mhd beside it",
        "subset4/1.2.0.mhd": "the series is there already: subset0/1.2.0.mhd",
    }


def damage(root):
    """Write one series of each kind of damage; return {uid: words of the reason}."""
    raw = series(root, "1.1").with_suffix(".raw")
    raw.write_bytes(raw.read_bytes()[:100])
    series(root, "1.2").with_suffix(".raw").unlink()
    packed = series(root, "1.3", useCompression=True).with_suffix(".zraw")
    packed.write_bytes(packed.read_bytes()[:50])
    series(root, "1.4").write_text("this was never a header")
    series(root, "1.5", lung().astype(np.float32))
    series(root, "1.6", lung()[:6])
    for uid, old, new in (
        ("1.7", "TransformMatrix = 1 0 0 0 1 0", "TransformMatrix = 1 0 0 1 1 0"),
        ("1.8", "1.8.raw", "../subset0/1.8.raw"),
    ):
        header = series(root, uid)
        header.write_text(header.read_text().replace(old, new))
    return {
        "1.1": "1.1.raw has 100 bytes; its header says 4,480",
        "1.2": "no file '1.2.raw' beside it",
        "1.3": "1.3.zraw has 50 bytes",
        "1.4": "cannot read the header",
        "1.5": "3 dimensions of 32-bit float; expected 3 of 16-bit signed integer",
        "1.6": "slices of 16 x 6 px are smaller than the crop of 8 px",
        "1.7": "right angles",
        "1.8": "no file '../subset0/1.8.raw' beside it",
    }


@pytest.mark.filterwarnings("ignore:luna16. .* unreadable files")
def test_damaged_series_give_their_reason_without_this_machines_path(tmp_path):
    root = tmp_path / "luna16"
    wanted = damage(root)
    series(root, "1.0")
    annotate(root, *((f"1.{k}", (4, 6, 3), 10.0) for k in range(9)))
    _, told, _ = one(root)
    assert set(told) == {f"subset0/{uid}.mhd" for uid in wanted}
    for uid, words in wanted.items():
        assert words in told[f"subset0/{uid}.mhd"] and str(tmp_path) not in told[f"subset0/{uid}.mhd"]
    opened = open_store(build_store(CARD, root, 8, max_unreadable=1.0))
    assert set(opened.table["patient"]) == {"1.0"} and opened.meta["unreadable"] == 8


@pytest.mark.parametrize(
    ("pack", "words"),
    [
        (lambda voxels, n: bytes(n), "1.2.3.zraw does not unpack"),
        (lambda voxels, n: zlib.compress(voxels[:-2]), "unpacks to 4,478 bytes; its header says 4,480"),
    ],
)
def test_voxels_that_do_not_unpack_are_unreadable(tmp_path, pack, words):
    file = series(tmp_path, useCompression=True)  # ITK alone would print a line and return what memory holds
    annotate(tmp_path, ("1.2.3", (8, 6, 3), 10.0))
    raw = file.with_suffix(".zraw")
    size = raw.stat().st_size
    raw.write_bytes(pack(zlib.decompress(raw.read_bytes()), size))
    file.write_text(
        file.read_text().replace(f"CompressedDataSize = {size}", f"CompressedDataSize = {raw.stat().st_size}")
    )
    samples, _ = luna16.scan(tmp_path, CARD)
    with pytest.raises(UnreadableFile, match=words):
        luna16.decode(tmp_path, samples, CARD)


def test_annotations_that_cannot_be_used_are_told_by_their_line(tmp_path):
    series(tmp_path)
    series(tmp_path, "1.2.4")
    good = "1.2.3,-4,22,-288,10"
    annotate(
        tmp_path, good, good, "1.2.3,-4,22,-288,12", "1.2.3,-4,22,-3000,10", "9.9,0,0,0,5", ",0,0,0,5",
        "1.2.3,nan,22,-288,10", "1.2.3,x,22,-288,10", "1.2.3,-4,22,inf,10", "1.2.3,-4,22,-284,0", "1.2.3,1,2",
        "1.2.3,-3,23,-290,0.1",
    )  # fmt: skip
    samples, told, _ = one(tmp_path)
    assert set(samples["nodule"]) == {0} and len(samples) == 3
    numbers = "a coordinate or diameter that is no finite number"
    assert told == {
        "annotations.csv:3": "this place is annotated in an earlier line",
        "annotations.csv:4": "this place is annotated in an earlier line",
        "annotations.csv:5": "column 8, row 6, slice -675 lies outside the volume of (20, 16, 7)",
        "annotations.csv:6": "no series 9.9 in subset<n>/",
        "annotations.csv:7": "no seriesuid",
        "annotations.csv:8": numbers,
        "annotations.csv:9": numbers,
        "annotations.csv:10": numbers,
        "annotations.csv:11": "diameter 0 mm; expected more than 0",
        "annotations.csv:12": numbers,
        "annotations.csv:13": "0.1 mm are so small that they hold no voxel",
        "subset0/1.2.4.mhd": "no nodule to cut out",
    }


def test_a_table_of_no_use_says_what_was_expected(tmp_path):
    series(tmp_path)
    with pytest.raises(ConfigError, match="lacks annotations"):
        luna16.scan(tmp_path, CARD)
    annotate(tmp_path, "1.2.3,1,2,3", header="seriesuid,coordX,coordY,coordZ")
    with pytest.raises(ConfigError, match="lacks diameter_mm; expected the columns seriesuid, coordX"):
        luna16.scan(tmp_path, CARD)
    (tmp_path / "annotations.csv").write_text("")
    with pytest.raises(ConfigError, match="no table"):
        luna16.scan(tmp_path, CARD)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"mask": "balls"}, UnknownNameError, "Did you mean 'ball'"),
        ({"split": "publishd"}, UnknownNameError, "Did you mean 'published'"),
        ({"crop": 0}, ConfigError, "None for whole slices; found 0"),
        ({"crop": "96"}, ConfigError, "found '96'"),
    ],
)
def test_misspelt_options_are_told(tmp_path, options, error, words):
    with pytest.raises(error, match=words):
        luna16.scan(tree(tmp_path), card(**options))


def test_a_store_holds_hu_and_counts_the_nodules_pixels(tmp_path):
    opened = open_store(build_store(CARD, tree(tmp_path / "luna16"), 8))
    assert opened.images.dtype == np.int16 and opened.images.min() < -800 and len(opened) == 9
    assert opened.table["nodule_px"].tolist() == [9, 21, 9] * 3
    assert opened.meta["classes"] == ["background", "nodule"] and opened.meta["left_out"] == 0


def test_each_volume_is_read_once_for_all_its_rows(tmp_path, monkeypatch):
    reads = []
    whole = luna16.read_volume
    monkeypatch.setattr(luna16, "read_volume", lambda path, grid: (reads.append(path.name), whole(path, grid))[1])
    build_store(CARD, tree(tmp_path / "luna16"), 8)
    assert sorted(reads) == ["1.2.0.mhd", "1.2.1.mhd", "1.2.2.mhd"]
