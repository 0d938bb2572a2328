"""One DICOM file: what it is by its header, and its pixels in HU.

Reasons and errors name elements and never their values, which might be names of persons.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from tlkit.archives.headers import DICOMDIR, quiet, read_dataset
from tlkit.archives.pixels import check_pixels, frame_count, holder, not_grey, number, padding, stored_values
from tlkit.datasets import bounds
from tlkit.datasets.arrays import resize
from tlkit.datasets.cards import UnreadableFile

MODALITIES = {  # defined terms, the only ones that a reason names: other text may be a name of a person
    "AR", "AU", "BDUS", "BI", "BMD", "CD", "CR", "CT", "CTPROTOCOL", "DD", "DG", "DOC", "DX", "ECG", "EEG",
    "EMG", "EOG", "EPS", "ES", "FID", "GM", "HC", "HD", "IO", "IVOCT", "IVUS", "KER", "KO", "LEN", "LS", "MG",
    "MR", "M3D", "NM", "OAM", "OCT", "OP", "OPM", "OPT", "OPTBSV", "OPTENF", "OPV", "OSS", "OT", "PA", "PLAN",
    "PR", "PT", "PX", "REG", "RESP", "RF", "RG", "RTDOSE", "RTIMAGE", "RTINTENT", "RTPLAN", "RTRAD", "RTRECORD",
    "RTSEGANN", "RTSTRUCT", "RWV", "SEG", "SM", "SMR", "SR", "SRF", "ST", "STAIN", "TEXTUREMAP", "TG", "US",
    "VA", "XA", "XC",
}  # fmt: skip
CT_IMAGES = ("", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1")  # not named; CT; enhanced CT
AXIAL = ["DERIVED", "PRIMARY", "AXIAL"]  # ImageType of a slice that was changed after the scan, and is still one
AIR, BODY = -1024, -300  # HU: outside of the scanner's circle; the least that counts as body
COVERAGE_PX = 128  # coverage is counted on every n-th pixel, at least so many a side

# Jonske et al. 2025, label rule: substrings of BodyPartExamined, German and English, first match wins.
KEYWORDS: tuple[tuple[str, ...], ...] = (
    ("head", "neck", "kopf", "hals", "schaedel", "schädel", "skull", "brain", "hirn", "face", "gesicht",
     "sinus", "nnh", "orbit", "jaw", "kiefer", "mandib", "maxil", "felsenbein", "temporal", "caroti"),
    ("thorax", "thora", "chest", "brust", "lung", "heart", "herz", "card", "mediast", "breast", "rippe"),
    ("abdo", "bauch", "liver", "leber", "kidney", "niere", "pancrea", "pankrea", "colon", "kolon", "darm",
     "magen", "stomach", "milz", "spleen"),
    ("extrem", "arm", "hand", "shoulder", "schulter", "elbow", "ellenbogen", "ellbogen", "wrist", "finger",
     "humerus", "leg", "bein", "knee", "knie", "femur", "schenkel", "tibia", "foot", "fuss", "ankle",
     "sprunggelenk", "calcaneus", "zehe"),
    ("pelvis", "becken", "hip", "hüfte", "huefte", "hufte"),
    ("spine", "wirbel", "hws", "bws", "lws", "spinal", "sacrum"),
)  # fmt: skip


def body_part(tag: str | None) -> int:
    """Return the class 0 ... 6 of a BodyPartExamined text; 6 ("other") for empty or unknown ones."""
    text = str(tag or "").casefold()
    return next((i for i, words in enumerate(KEYWORDS) if any(w in text for w in words)), len(KEYWORDS))


def keyword(tag: str | None) -> str:
    """Return the keyword that decided `body_part`; "" for the class "other"."""
    text = str(tag or "").casefold()
    return next((w for words in KEYWORDS for w in words if w in text), "")


def not_a_slice(head: dict[str, str], derived: bool = False) -> str:
    """Return why a file is no slice of a CT series; "" for one that is.

    Other modalities have no HU, so no option admits them here. `derived` admits slices that were changed after the
    scan, packed with loss for instance, and are still axial; no reformats.
    """
    if head["MediaStorageSOPClassUID"] == DICOMDIR:
        return "DICOMDIR, an index file"
    if head["Modality"] != "CT":
        return f"modality {known_modality(head)}, not CT, and so without HU"
    kind = head["ImageType"].split("\\")
    if "LOCALIZER" in kind:
        return "localizer"
    if head["SOPClassUID"] not in CT_IMAGES:
        return "secondary capture, or another object that is no CT image"
    if burnt_in(head):
        return "text is burnt into the image"
    if (kind[0] == "DERIVED" or kind[1:2] == ["SECONDARY"]) and not (derived and kind[:3] == AXIAL):
        return "derived image, no slice as the scanner reconstructed it"
    frames = head["NumberOfFrames"]
    if frames not in ("", "0", "1"):
        return "more than one frame in a file; only one slice per file is read"
    return ""


def known_modality(head: dict[str, str]) -> str:
    """Return the modality of a header where it is a defined term, else "unknown"."""
    return head["Modality"] if head["Modality"] in MODALITIES else "unknown"


def burnt_in(head: dict[str, str]) -> bool:
    """Tell whether a header says that text, and so perhaps a name, is burnt into the pixels."""
    return head["BurnedInAnnotation"].upper() == "YES"


def decode(file: Path, min_coverage: float = 0.25, size: int | None = None) -> np.ndarray | str:
    """Return the slice in HU, int16 [H,W] or [size,size]; padding outside of the scanner is air (-1024).

    In place of an image stands the reason (str) where it is not grey, all pixels are equal, or the body covers less
    than `min_coverage` of the scanner's circle. Raises UnreadableFile where pixels are missing, damaged, not finite, or
    without a rescale to HU.
    """
    with bounds.reading(damaged), quiet():
        ds = read_dataset(file)
        check_pixels(ds)
        if frame_count(ds) > 1:
            raise UnreadableFile(f"{frame_count(ds)} frames; expected one grey slice")
        if reason := not_grey(ds):
            return reason
        stored = stored_values(ds)
        if stored.ndim != 2:
            raise UnreadableFile(f"pixels of shape {stored.shape}; expected one grey slice")
        low, high = stored.min(), stored.max()
        if low == high:
            return "all pixels have the same value"
        values, shift = _hu(ds, stored, low, high)
        share = coverage(values, BODY - shift)
        if share < min_coverage:
            return f"the body covers {share:.0%} of the slice; at least {min_coverage:.0%} is wanted"
        image = resize(values, size) if size else values
        return np.add(image, shift % 65536, dtype=np.uint16, casting="unsafe").view(np.int16) if shift else image


def decode_block(files: list[Path], size: int, min_coverage: float) -> list[np.ndarray | str | UnreadableFile]:
    """Return what `decode` gives for each file, errors as values."""
    found: list[np.ndarray | str | UnreadableFile] = []
    for file in files:
        try:
            found.append(decode(file, min_coverage, size))
        except UnreadableFile as error:
            found.append(UnreadableFile(str(error)))  # without the frames that hold the file's arrays
    return found


def coverage(image: np.ndarray, body: float = BODY) -> float:
    """Return the share (0 to 1) of the scanner's circle that a slice [H,W] in HU shows as body.

    The circle is the ellipse that touches the image's edges; body is above `body` (-300 HU), with what it encloses
    (lungs, bowel gas) filled. Counted on every n-th pixel, so that 128 to 255 a side are left of a larger slice.
    The paper gives the threshold of 25 % but not the definition: this one is ours.
    """
    import cv2

    step = max(1, min(image.shape) // COVERAGE_PX)
    image = image[::step, ::step]
    circle = _circle(image.shape)
    shown = np.zeros((circle.shape[0] + 2, circle.shape[1] + 2), np.uint8)  # a border for the flood to go round
    np.logical_and(image > body, circle, out=shown[1:-1, 1:-1].view(bool))
    cv2.floodFill(shown, None, (0, 0), 2)  # what the outside reaches is not enclosed
    return np.count_nonzero((shown[1:-1, 1:-1] != 2) & circle) / np.count_nonzero(circle)


@lru_cache(maxsize=8)
def _circle(shape: tuple[int, int]) -> np.ndarray:
    y, x = (np.linspace(-1, 1, n) for n in shape)
    return y[:, None] ** 2 + x[None, :] ** 2 <= 1


def _hu(ds, stored: np.ndarray, low: float, high: float) -> tuple[np.ndarray, int]:
    """Return (values [H,W], shift): HU are values + shift, and int16 holds them; `low` and `high` are stored extremes.

    Most scanners store whole HU and a whole intercept: those stay as they are, to be added after resizing, when
    fewer are left. Other values are rescaled here, cut where int16 ends, and the shift is 0.
    """
    from pydicom.pixels import apply_modality_lut

    outside, rescale = padding(ds, stored), holder(ds, "RescaleSlope")
    if "ModalityLUTSequence" in ds:
        hu = _rounded(apply_modality_lut(stored, ds).astype(np.float32))
    elif "RescaleSlope" not in rescale or "RescaleIntercept" not in rescale:
        raise UnreadableFile("no RescaleSlope and RescaleIntercept: the values are no HU")
    else:
        slope, intercept = number(rescale, "RescaleSlope"), number(rescale, "RescaleIntercept")
        if slope == 0:
            raise UnreadableFile("rescale slope 0: the values are no HU")
        whole = stored.dtype.kind in "iu" and slope == 1 and intercept.is_integer()
        if whole and not outside.any() and -32768 <= low + intercept <= high + intercept < 32768:
            return stored, int(intercept)
        hu = _rounded(stored.astype(np.float32) * np.float32(slope) + np.float32(intercept))
    hu[outside] = AIR
    return hu, 0


def _rounded(hu: np.ndarray) -> np.ndarray:
    if not np.isfinite(hu).all():
        raise UnreadableFile("pixels that are not finite numbers")
    return np.clip(np.rint(hu), -32768, 32767).astype(np.int16)


def damaged(error: BaseException) -> str:
    """Return the reason for a file whose pixels cannot be read: the kind of an error, and nothing of its text."""
    return f"{bounds.name_error(error)}: the pixels, or what the header says of them, are damaged"
