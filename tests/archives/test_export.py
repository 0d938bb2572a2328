import numpy as np
import pytest
import trees
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from tlkit.archives.export import Rules, export, export_block, square, why_dropped, window, windows
from tlkit.datasets.cards import UnreadableFile

RAMP = np.arange(256).reshape(16, 16)


def save(root, ds, name="x"):
    ds.save_as(root / name, enforce_file_format=True)
    return root / name


def images(root, ds, wanted=((0, 0),), size=None):
    return export(save(root, ds), list(wanted), size)


def test_the_window_by_hand():
    values = np.array([-1e6, -60, -59.9, 40, 139.9, 140, 140.1, 1e6])
    assert window(values, 40, 200).tolist() == [0, 0, 0, 127, 254, 255, 255, 255]  # cut, as the study does, not rounded
    assert window(np.array([0.0, 64, 255, 256]), 128, 256).tolist() == [0, 63, 254, 255]


@given(st.floats(-3000, 3000), st.floats(0.5, 5000), st.lists(st.floats(-5000, 5000), min_size=2, max_size=20))
def test_a_window_never_turns_the_order_of_values(centre, width, values):
    image = window(np.sort(np.array(values)), centre, width)
    assert (np.diff(image.astype(int)) >= 0).all()


@pytest.mark.parametrize(
    ("centres", "widths", "expected"),
    [
        ("40", "400", [(40.0, 400.0)]),
        ("40\\-500", "400\\1500", [(40.0, 400.0), (-500.0, 1500.0)]),
        ("", "400", "no window"),
        ("40", "", "no window"),
        ("40\\-500", "400", "no list of pairs"),
        ("soft", "400", "no list of pairs"),
        ("nan", "400", "no list of pairs"),
        ("40\\600", "400\\0", [(40.0, 400.0)]),
        ("600\\40", "0\\400", [(40.0, 400.0)]),
        ("40\\nan", "400\\100", [(40.0, 400.0)]),
        ("1\\2", "0\\-3", "without width"),
        ("40", "0", "without width"),
        ("40", "-5", "without width"),
    ],
)
def test_windows_of_a_header(centres, widths, expected):
    found = windows(centres, widths)
    assert expected in found if isinstance(expected, str) else found == expected


def test_images_of_every_kind_have_values_by_hand(tmp_path):
    plain = (RAMP * 255 / 256).astype(int)
    (mr,) = images(tmp_path, trees.radiology("MR"))
    assert mr.dtype == np.uint8 and (mr == plain).all()
    tags = {"RescaleSlope": 2, "RescaleIntercept": -100, "WindowCenter": [156, 100], "WindowWidth": [512, 128]}
    first, second = images(tmp_path, trees.radiology("CT", **tags), [(0, 0), (0, 1)])
    assert (first == plain).all()
    assert (second == np.clip((RAMP * 2 - 100 - 36) / 128 * 255, 0, 255).astype(int)).all()


@pytest.mark.parametrize(
    ("modality", "kind", "shape", "inverted", "published"),
    [
        ("CR", "MONOCHROME2", "INVERSE", False, True),
        ("CR", "MONOCHROME2", None, False, True),
        ("CR", "MONOCHROME2", "IDENTITY", False, False),
        ("CR", "MONOCHROME1", "IDENTITY", True, False),
        ("CR", "MONOCHROME1", None, True, True),
        ("DX", "MONOCHROME1", "INVERSE", True, False),
        ("RF", "MONOCHROME2", "INVERSE", False, False),
        ("MR", "MONOCHROME2", None, False, False),
    ],
)
@pytest.mark.parametrize("polarity", ["photometric", "published"])
def test_low_values_are_bright_by_the_standard_or_by_the_published_rule(
    tmp_path, modality, kind, shape, inverted, published, polarity
):
    tags = {"PresentationLUTShape": shape} if shape else {}
    file = save(tmp_path, trees.radiology(modality, PhotometricInterpretation=kind, **tags))
    (image,) = export(file, [(0, 0)], rules=Rules(polarity=polarity))
    inverted = published if polarity == "published" else inverted
    plain = (RAMP * 255 / 256).astype(int)
    assert (image == (255 - plain if inverted else plain)).all()


def with_frames(values=None, shared=False, **top):
    """Return an MR of 2 frames whose windows stand in functional groups."""
    ds = trees.radiology("MR", frames=2, WindowCenter=None, WindowWidth=None, **top)
    groups = []
    for centre, intercept in ((128, 0), (64, 10)):
        voi, value, group = Dataset(), Dataset(), Dataset()
        voi.WindowCenter, voi.WindowWidth = centre, 2 * centre
        value.RescaleSlope, value.RescaleIntercept = 1, intercept
        group.FrameVOILUTSequence, group.PixelValueTransformationSequence = [voi], [value]
        groups.append(group)
    ds.add_new("SharedFunctionalGroupsSequence" if shared else "PerFrameFunctionalGroupsSequence", "SQ", groups)
    return ds


def test_frames_of_an_mr_have_windows_and_rescales_of_their_own(tmp_path):
    one, two = images(tmp_path, with_frames(), [(0, 0), (1, 0)])
    assert (one == (RAMP * 255 / 256).astype(int)).all()
    assert (two == np.clip((RAMP + 10) / 128 * 255, 0, 255).astype(int)).all()
    shared = images(tmp_path, with_frames(shared=True), [(0, 0), (1, 0)])
    assert (shared[0] == one).all() and (shared[1] == one).all()
    bare = trees.radiology("MR", frames=2, WindowCenter=None, WindowWidth=None)
    assert images(tmp_path, bare, [(1, 0)]) == ["no window in the header"]


def test_an_enhanced_file_of_one_frame_has_its_window_in_functional_groups(tmp_path):
    ds = with_frames(shared=True)
    ds.NumberOfFrames, ds.PixelData = 1, ds.PixelData[: len(ds.PixelData) // 2]
    assert (images(tmp_path, ds)[0] == (RAMP * 255 / 256).astype(int)).all()


def test_without_a_window_the_percentiles_of_the_frame_are_one_where_the_card_says_so(tmp_path):
    file = save(tmp_path, trees.radiology("MR", WindowCenter=None, WindowWidth=None))
    assert export(file, [(0, 0)]) == ["no window in the header"]
    (image,) = export(file, [(0, 0)], rules=Rules(percentiles=(0, 100)))
    assert (image == RAMP).all()  # 0 to 255: as they are
    own = save(tmp_path, trees.radiology("MR"), "own")
    assert (export(own, [(0, 0)], rules=Rules(percentiles=(0, 100)))[0] == export(own, [(0, 0)])[0]).all()
    flat = trees.radiology("MR", WindowCenter=None, WindowWidth=None, PixelData=b"\1\0" * 256)
    assert "all values are the same" in export(save(tmp_path, flat), [(0, 0)], rules=Rules(percentiles=(1, 99)))[0]


def test_padding_is_black_whatever_the_polarity_and_no_part_of_the_percentiles(tmp_path):
    stored = RAMP.astype(np.uint16)
    stored[0] = 65000
    tags = {"PixelData": stored.tobytes(), "PixelPaddingValue": 65000, "WindowCenter": None, "WindowWidth": None}
    for kind in ("MONOCHROME1", "MONOCHROME2"):
        file = save(tmp_path, trees.radiology("CR", PhotometricInterpretation=kind, **tags))
        (image,) = export(file, [(0, 0)], rules=Rules(percentiles=(0, 100)))
        shown = (stored[1:] - np.float32(16)) / 239 * 255  # 16 to 255 are left
        assert not image[0].any()
        assert np.abs(image[1:] - (255 - shown if kind == "MONOCHROME1" else shown)).max() <= 1


def test_what_shows_too_little_is_dropped_with_its_reason():
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert why_dropped(ramp) == ""
    assert "strip" in why_dropped(np.tile(np.arange(256, dtype=np.uint8), (25, 1)))  # 25 of 256: under a tenth
    assert why_dropped(np.tile(np.arange(256, dtype=np.uint8), (26, 1))) == ""
    assert "too dark: the brightest level is 63" in why_dropped(ramp // 4)
    levels = np.zeros((16, 16), np.uint8)
    levels.flat[:25] = np.arange(200, 225)  # with 0 26 of 256 levels: more than a tenth
    assert why_dropped(levels) == "" and "too flat" in why_dropped(levels, 0.2)
    levels.flat[24] = 0
    assert "too flat: 10% of the grey levels" in why_dropped(levels)


def test_an_angiography_with_frames_has_to_show_more(tmp_path):
    few = (np.arange(256) // 6 * 6).astype(np.uint16).tobytes()  # 43 levels: 17 %
    (single,) = images(tmp_path, trees.radiology("XA", PixelData=few))
    assert isinstance(single, np.ndarray)
    kept, dropped = images(tmp_path, trees.radiology("XA", frames=2, PixelData=few * 2), [(0, 0), (1, 0)])
    assert "too flat" in kept and "too flat" in dropped
    assert isinstance(images(tmp_path, trees.radiology("MR", frames=2, PixelData=few * 2))[0], np.ndarray)


def test_the_shorter_side_gets_zeros_and_the_picture_keeps_its_shape(tmp_path):
    padded = square(np.full((2, 5), 7, np.uint8))
    assert padded.tolist() == [[0] * 5, [7] * 5, [7] * 5, [0] * 5, [0] * 5]
    assert square(np.full((4, 1), 7, np.uint8)).tolist() == [[0, 7, 0, 0]] * 4
    ds = trees.radiology("MR", Rows=8, Columns=32)
    (image,) = images(tmp_path, ds, size=16)
    assert image.shape == (16, 16) and not image[:6].any() and not image[10:].any() and image[6:10].any()


def test_bad_files_say_why(tmp_path):
    colour = trees.radiology("XA", SamplesPerPixel=3, PhotometricInterpretation="RGB")
    assert images(tmp_path, colour) == ["colours, no grey image"]
    palette = trees.radiology("XA", PhotometricInterpretation="PALETTE COLOR")
    assert images(tmp_path, palette) == ["indices into a palette of colours, no grey values"]
    good = save(tmp_path, trees.radiology("MR"), "good")
    short = save(tmp_path, trees.radiology("MR", PixelData=b"\0" * 100), "short")
    none = save(tmp_path, trees.radiology("MR", PixelData=None), "none")
    for file in (short, none, tmp_path / "gone"):
        with pytest.raises(UnreadableFile):
            export(file, [(0, 0)])
    with pytest.raises(UnreadableFile, match="1 frames; the header says at least 3"):
        export(good, [(2, 0)])
    with pytest.raises(UnreadableFile, match="not finite"):
        images(tmp_path, trees.radiology("MR", RescaleSlope="1e38", RescaleIntercept="1e38"), size=8)
    found = export_block([good, short], [[(0, 0)], [(0, 0)]], 8)
    assert found[0][0].shape == (8, 8) and isinstance(found[1], UnreadableFile)
    flat = trees.radiology("MR", RescaleSlope=0, RescaleIntercept=200)
    assert "too flat" in images(tmp_path, flat)[0]
