import logging

import numpy as np
import pandas as pd
import pydicom
import pytest
import seg_objects as made
from hypothesis import given, settings
from hypothesis import strategies as st
from trees import ct_header

from tlkit.archives import dicom_seg, seg_series, segmentations
from tlkit.archives.planes import plane_of
from tlkit.archives.segmentations import Slice
from tlkit.config import ConfigError
from tlkit.datasets.cards import DATASETS, UnreadableFile, own_card
from tlkit.datasets.store import build_store, open_store

SHAPE = (16, 16)


@pytest.fixture
def root(tmp_path):
    """Return the folder of the data, apart from that of the runs."""
    return tmp_path / "data"


def box(top: int, left: int, bottom: int, right: int, shape=SHAPE, value=1) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[top:bottom, left:right] = value
    return mask


def card(**options):
    said = {"segments": {"liver": "^liver$", "lesion": "tumou?r"}, "mask_columns": {"liver_px": 1, "lesion_px": 2}}
    card = own_card("mine", {"layout": "dicom_seg", "folder": "x", "task": "segmentation", "options": said | options})
    return card if card.classes else card.__class__(**{**card.__dict__, "classes": ("background", "liver", "lesion")})


def masks_of(root, said=None, size=16) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the masks of all slices, from the feet up (None: left out), and the rejects."""
    said = said or card()
    samples, rejects = dicom_seg.scan(root, said)
    found = list(dicom_seg.read(root, samples, said, size))
    assert not [error for *_, error in found if error]
    return [masks[0] for _, masks, _ in found], rejects


TWO = {"Liver": {1: box(2, 2, 9, 9), 2: box(3, 3, 8, 8)}, "Tumor_1": {2: box(5, 5, 7, 12)}}


@pytest.mark.parametrize("named", [True, False], ids=["slices named", "not named"])
@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP", "FRACTIONAL"])
def test_frames_lie_on_the_slices_that_they_were_drawn_on(root, kind, named):
    slices = made.ct(root)
    segments = TWO
    if kind == "FRACTIONAL":  # half of the largest value is inside, and less is not
        segments = {n: {k: m * 100 + (m == 0) * 99 for k, m in masks.items()} for n, masks in TWO.items()}
    made.save(made.seg(slices, segments, kind, named), root / "seg.dcm")
    masks, rejects = masks_of(root)
    assert rejects.empty
    assert [set(np.unique(m)) for m in masks] == [{0}, {0, 1}, {0, 1, 2}, {0}]  # frames that are missing are empty
    np.testing.assert_array_equal(masks[1] == 1, box(2, 2, 9, 9))
    np.testing.assert_array_equal(masks[2] == 2, box(5, 5, 7, 12))  # where two overlap, the later class counts


def test_a_store_of_it_has_images_in_hu_and_masks(root):
    slices = made.ct(root, step=-2.0)
    made.save(made.seg(slices, TWO), root / "seg.dcm")
    store = open_store(build_store(card(), root, 16, root.parent))
    assert len(store) == 4 and store.images.dtype == np.int16
    assert store.table["liver_px"].tolist() == [0, 19, 49, 0] and store.table["lesion_px"].tolist() == [0, 14, 0, 0]
    np.testing.assert_array_equal(store.images[3], np.arange(256).reshape(SHAPE))  # slice 0 lies above: HU from 0 on
    written = "".join(store.table.astype(str).to_numpy().ravel())
    assert "P1" not in written and str(slices[0].SOPInstanceUID) not in written


def test_bits_of_frames_that_end_within_a_byte(root):
    slices = made.ct(root)
    for ds in slices:
        ds.Rows = ds.Columns = 15
        ds.PixelData = ds.PixelData[: 15 * 15 * 2]
        made.save(ds, root / "P1" / "s" / f"IM{7 * (ds.InstanceNumber - 1) % 4}")
    odd = {"Liver": {k: box(k, 2, 9, 9, (15, 15)) for k in range(4)}}
    made.save(made.seg(slices, odd), root / "seg.dcm")
    for k, mask in enumerate(masks_of(root, size=15)[0]):
        np.testing.assert_array_equal(mask, odd["Liver"][k])


def test_a_grid_that_is_cut_turned_or_coarser_is_sampled(root):
    slices = made.ct(root)
    where = box(3, 4, 9, 11)
    cut = made.seg(slices, {"Liver": {1: where[2:12, 3:13]}}, named=False, corner=(13, 23))
    turned = made.seg(
        slices, {"Liver": {1: where[::-1, ::-1]}}, named=False, corner=(25, 42.5), turn=(-1, 0, 0, 0, -1, 0)
    )
    fine = made.seg(slices, {"Liver": {1: np.kron(where, np.ones((2, 2)))}}, spacing=(0.75, 0.5), corner=(9.75, 19.625))
    for k, ds in enumerate((cut, turned, fine)):
        part = root / f"data{k}"
        made.ct(part)
        made.save(ds, part / "seg.dcm")
        masks = masks_of(part)[0]
        np.testing.assert_array_equal(masks[1], where, err_msg=f"{k}")
        assert not masks[0].any() and not masks[2].any()


def test_planes_that_lie_further_apart_cover_the_slices_between(root):
    slices = made.ct(root, n=6, step=1.0)
    thick = {"Liver": {0: box(1, 1, 5, 5), 3: box(2, 2, 6, 6)}}
    made.save(made.seg(slices, thick, named=False, between=3.0, heights={0: 1.2, 3: 4.2}), root / "seg.dcm")
    tops = [int(m.any(axis=1).argmax()) if m.any() else -1 for m in masks_of(root)[0]]
    assert tops == [1, 1, 1, 2, 2, 2]


def test_thick_slices_that_overlap_do_not_bleed_into_each_other(root):
    slices = made.ct(root, n=5)
    ds = made.seg(slices, {"Liver": {2: box(1, 1, 5, 5)}}, named=False)
    ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SliceThickness = 4
    made.save(ds, root / "seg.dcm")
    assert [bool(m.any()) for m in masks_of(root)[0]] == [False, False, True, False, False]


def test_of_several_objects_as_many_as_agree_must_mark_a_pixel(root):
    slices = made.ct(root)
    for k in range(3):
        ds = made.seg(slices, {"Liver": {1: box(2, 2 + k, 6, 6 + k)}}, name=f"reader {k}")
        made.save(ds, root / f"seg{k}.dcm")
    for agree, columns in ((1, 6), (2, 4), (3, 2)):
        assert masks_of(root, card(agree=agree))[0][1].sum() == 4 * columns
    chosen = masks_of(root, card(objects="reader 2"))
    assert chosen[0][1].sum() == 16 and (chosen[1]["kind"] == "rule").sum() == 2


def test_mr_is_scaled_by_its_series_and_a_crop_is_cut_around_what_is_labelled(root):
    slices = made.ct(root, modality="MR", RescaleSlope=None, RescaleIntercept=None)
    made.save(made.seg(slices, {"Tumor": {2: box(12, 12, 15, 15)}}), root / "seg.dcm")
    said = card(crop=6)
    samples, _ = dicom_seg.scan(root, said)
    found = list(dicom_seg.read(root, samples, said, 6))
    assert [images[0] for images, *_ in found if isinstance(images[0], str)] == ["nothing labelled in the slice"] * 3
    (image,), (mask,), _ = found[2]
    np.testing.assert_array_equal(mask == 2, box(2, 2, 5, 5, (6, 6)))
    values = np.concatenate([s.pixel_array.ravel() for s in slices])
    expected = np.rint(slices[2].pixel_array[10:16, 10:16] * np.float32(4000 / np.percentile(values, 99.9)))
    np.testing.assert_array_equal(image, expected)


CORNERS = [(1.6, 1.6), (1.6, 8.4), (7.4, 8.4), (7.4, 1.6)]
HOLE = [(3.5, 3.5), (3.5, 5.5), (5.5, 5.5), (5.5, 3.5)]


@pytest.mark.parametrize("named", [True, False], ids=["slices named", "not named"])
def test_contours_fill_the_pixels_whose_centres_they_enclose(root, named):
    slices = made.ct(root)
    ds = made.rtstruct(slices, {"Liver": [(1, CORNERS), (1, HOLE)], "tumour": [(2, HOLE)]}, named)
    made.save(ds, root / "contours.dcm")
    masks = masks_of(root)[0]
    np.testing.assert_array_equal(masks[1], box(2, 2, 8, 9) - box(4, 4, 6, 6))  # one within another is a hole
    np.testing.assert_array_equal(masks[2] == 2, box(4, 4, 6, 6))
    assert not masks[0].any() and not masks[3].any()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 14.9), st.floats(0, 14.9)), min_size=3, max_size=6))
def test_filled_contours_are_those_of_another_library(corners):
    from skimage.draw import polygon2mask

    from tlkit.archives.contours import fill

    ds = ct_header("s", 0, PixelSpacing=[1.5, 1.0])
    points = np.array([(c, 1.5 * r, 0) for r, c in corners])
    ours, theirs = fill(points, plane_of(ds)), polygon2mask(SHAPE, corners)
    near = np.min(
        [
            np.abs(points_to_edge(np.argwhere(ours != theirs), a, b))
            for a, b in zip(corners, corners[1:] + corners[:1], strict=True)
        ],
        axis=0,
    )
    assert (near < 1e-6).all()  # centres that lie on the line itself


def points_to_edge(points: np.ndarray, a, b) -> np.ndarray:
    """Return the distance of points [N,2] from the segment a b."""
    a, b = np.array(a), np.array(b)
    along = b - a
    share = np.clip((points - a) @ along / max(along @ along, 1e-12), 0, 1)
    return np.linalg.norm(points - a - share[:, None] * along, axis=1)


def test_what_cannot_be_used_is_named_with_its_reason(root, caplog):
    slices = made.ct(root)
    other = made.ct(root, "unmarked", patient="P2")
    made.save(made.seg(slices, TWO), root / "a.dcm")
    stray = made.seg(slices, TWO, name="stray")
    stray.ReferencedSeriesSequence[0].SeriesInstanceUID = "1.2.3"
    made.save(stray, root / "b.dcm")
    made.save(made.seg(slices, {"Spleen": TWO["Liver"]}, name="spleen"), root / "c.dcm")
    made.save(ct_header("dose", 0, Modality="RTDOSE"), root / "d.dcm")
    made.save(ct_header("frames", 0, NumberOfFrames=2), root / "e.dcm")
    (root / "note.txt").write_text("hello")
    with caplog.at_level(logging.WARNING):
        samples, rejects = dicom_seg.scan(root, card())
    assert len(samples) == 4 and len(rejects) == len(other) + 5
    reasons = " / ".join(sorted(rejects["reason"].unique()))
    for text in ("no series that is there", "none of its 1 segments", "RTDOSE", "more than one frame", "no DICOM file"):
        assert text in reasons
    assert "Spleen" not in reasons and dicom_seg.names(root)["Spleen"] == 1


def test_a_frame_that_lies_off_its_slice_leaves_its_series_out(root):
    slices = made.ct(root)
    made.save(made.seg(slices, TWO, heights={1: 7.0}), root / "seg.dcm")
    samples, _ = dicom_seg.scan(root, card())
    errors = {error for *_, error in dicom_seg.read(root, samples, card(), 16)}
    assert errors == {"frame 1 names a slice and lies 5.0 mm off it"}


@pytest.mark.parametrize(
    "change, reason",
    [
        (lambda ds: setattr(ds, "PixelData", ds.PixelData[:4]), "end early"),
        (lambda ds: setattr(ds, "SegmentationType", "OTHER"), "type"),
        (
            lambda ds: [g.pop("SegmentIdentificationSequence") for g in ds.PerFrameFunctionalGroupsSequence],
            "no segment",
        ),
        (lambda ds: setattr(ds, "SharedFunctionalGroupsSequence", []), "none of the 3 frames"),
    ],
)
def test_damaged_objects_are_unreadable(root, change, reason):
    slices = made.ct(root)
    ds = made.seg(slices, TWO, named=False)
    change(ds)
    with pytest.raises(UnreadableFile, match=reason):
        list(segmentations.marks(ds, [Slice(s.SOPInstanceUID, plane_of(s)) for s in slices]))


def test_classes_and_segments_of_a_card_are_the_same():
    wrong = card(segments={"lesion": "a", "liver": "b"})
    with pytest.raises(ConfigError, match="expected the classes behind the background: liver, lesion"):
        dicom_seg.reader_of(wrong)
    for found in DATASETS.values():
        if found.layout == "dicom_seg":
            dicom_seg.reader_of(found)


@pytest.mark.parametrize(
    "name, texts, kind",
    [
        ("open-liver", ("Liver", "Liver"), 1),
        ("open-liver", ("Tumor_2", "Neoplasm"), 2),
        ("open-liver", ("Portal vein", "Portal vein"), 1),
        ("open-glioma", ("Non-enhancing tumour core", ""), 1),
        ("open-glioma", ("Edema", ""), 2),
        ("open-glioma", ("Enhancing Lesion", ""), 3),
        ("open-nodules", ("Nodule", "Nodule"), 1),
    ],
)
def test_segments_are_known_by_their_names(name, texts, kind):
    assert seg_series.class_of(texts, dicom_seg.reader_of(DATASETS[name]).patterns) == kind


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_objects_of_highdicom_are_read_as_highdicom_reads_them(root, kind):
    hd = pytest.importorskip("highdicom", reason="highdicom is not installed: pip install '.[test]'")
    from pydicom.sr.codedict import codes

    slices = made.ct(root)
    for ds in slices:
        ds.FrameOfReferenceUID, ds.SliceThickness = "1.2.3.4", 2
        for name in ("PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate"):
            setattr(ds, name, "")
        ds.StudyTime, ds.ReferringPhysicianName = "", ""
        made.save(ds, root / "P1" / "s" / f"IM{7 * (ds.InstanceNumber - 1) % 4}")
    said = [
        hd.seg.SegmentDescription(i, label, codes.SCT.Organ, codes.SCT.Liver, hd.seg.SegmentAlgorithmTypeValues.MANUAL)
        for i, label in enumerate(("Liver", "Tumor"), 1)
    ]
    pixels = np.zeros((4, 16, 16), np.uint8)
    pixels[1] = box(2, 2, 9, 9)
    pixels[2] = np.where(box(5, 5, 7, 12), 2, box(3, 3, 8, 8))
    if kind == "FRACTIONAL":
        pixels = np.stack([pixels == 1, pixels == 2], axis=-1).astype(np.float32)
    made_by = ("", "made up", "1", "1")
    ds = hd.seg.Segmentation(slices, pixels, kind, said, hd.UID(), 1, hd.UID(), 1, *made_by)
    ds.save_as(root / "seg.dcm")
    uids = [s.SOPInstanceUID for s in slices]
    theirs = hd.seg.segread(root / "seg.dcm").get_pixels_by_source_instance(
        uids, combine_segments=True, assert_missing_frames_are_empty=True
    )
    np.testing.assert_array_equal(np.stack(masks_of(root)[0]), theirs)
    assert pydicom.dcmread(root / "seg.dcm").SegmentationType == kind
