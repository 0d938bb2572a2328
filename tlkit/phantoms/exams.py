"""What one visit to a radiology department gives, by modality: the body part, and series of stored pixels with tags.

Each function takes a body, the size in pixels and a generator, and returns (part, [series]); a series is a list of
files, a file is (stored pixels [H,W] or [F,H,W], tags that belong to them).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tlkit.phantoms import anatomy, brain, ct, mr, radiograph, xray
from tlkit.phantoms.anatomy import Body

File = tuple[np.ndarray, dict[str, Any]]
Exam = tuple[str, list[list[File]]]
CT_PARTS = {"thorax": 0.3, "abdomen": 0.25, "head": 0.22, "pelvis": 0.09, "spine": 0.08, "extremities": 0.06}
MR_PARTS = {"brain": 0.35, "spine": 0.27, "extremities": 0.15, "abdomen": 0.13, "pelvis": 0.1}
CR_PARTS = {  # region of the radiograph, its body part, and its share
    "chest": ("thorax", 0.42), "knee": ("knee", 0.12), "hand": ("hand", 0.1), "foot": ("foot", 0.1),
    "pelvis": ("pelvis", 0.09), "arm": ("arm", 0.07), "spine": ("lspine", 0.06), "head": ("head", 0.04),
}  # fmt: skip
XA_PARTS = {"thorax": "heart", "head": "head", "abdomen": "abdomen", "leg": "leg"}
RF_PARTS = {"thorax": "oesophagus", "abdomen": "stomach", "pelvis": "colon"}
WINDOWS = {"head": (35, 80), "neck": (60, 350), "thorax": (50, 400)}  # of soft tissue in HU; of others (40, 400)
LUNG, BONE = (-500, 1500), (450, 1500)


def ct_exam(body: Body, pixels: int, rng: np.random.Generator) -> Exam:
    """One series of 5 to 9 slices, signed or not as scanners do; a third of the series has a second window."""
    view = anatomy.random_view(body, _drawn(CT_PARTS, rng), int(rng.integers(5, 10)), pixels, rng)
    part = _part(body, view)
    protocol = ct.random_protocol(rng, "spine" if part.endswith("spine") else part)
    hu = ct.image(anatomy.sample(body, view), protocol, rng)
    scanner = protocol.scanner
    kind = np.int16 if scanner.signed else np.uint16
    pairs = [BONE if protocol.sharp else WINDOWS.get(part, (40, 400))]
    if rng.random() < 0.33:
        pairs.append(LUNG if part == "thorax" else BONE if pairs[0] != BONE else (40, 400))
    tags = {
        "RescaleIntercept": str(scanner.intercept), "RescaleSlope": "1", "KVP": str(protocol.kvp),
        "ConvolutionKernel": scanner.kernels[int(protocol.sharp)], "Manufacturer": scanner.maker,
        "ManufacturerModelName": scanner.model, "SliceThickness": f"{abs(view.z[1] - view.z[0]):.2f}",
        "PatientPosition": "HFS", "PixelSpacing": [f"{view.fov / pixels:.4f}"] * 2,
        "WindowCenter": [str(c) for c, _ in pairs], "WindowWidth": [str(w) for _, w in pairs],
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    }  # fmt: skip
    least = np.iinfo(kind).min
    stored = np.maximum(hu.astype(np.int32) - scanner.intercept, least).astype(kind)
    return part, [[(plane, tags) for plane in stored]]


def mr_exam(body: Body, pixels: int, rng: np.random.Generator) -> Exam:
    """One or two sequences of 5 to 7 slices; one sequence in seven is one file with a window for each frame."""
    region, slices = _drawn(MR_PARTS, rng), int(rng.integers(5, 8))
    whole = region == "brain"
    if whole:
        view = brain.view(body, slices + 3, pixels, rng.uniform(215, 250), rng)
        inside, values = brain.sample(body, view, rng), mr.tissues(rng)
    else:
        view = anatomy.random_view(body, region, slices, pixels, rng)
    scene, columns = mr.sample_body(body, view, sagittal=region == "spine")
    field, series = str(rng.choice(["1.5", "3"])), []
    for name in rng.permutation(["t1", "t2"])[: rng.integers(1, 3)]:
        sequence = mr.SEQUENCES[name]
        volume = mr.image_body(scene, columns, sequence, rng)
        if whole:
            volume = _with_brain(volume, inside, mr.image(inside, values, str(name), rng))[1:-2]
        tags = {
            "MagneticFieldStrength": field, "RepetitionTime": f"{sequence.tr:.0f}", "EchoTime": f"{sequence.te:.0f}",
            "FlipAngle": "90", "ScanningSequence": "SE", "SequenceVariant": "SK", "MRAcquisitionType": "2D",
            "SliceThickness": f"{rng.uniform(3, 6):.1f}", "PatientPosition": "HFS",
            "PixelSpacing": [f"{view.fov / pixels:.4f}"] * 2, "ImageType": ["ORIGINAL", "PRIMARY", "M", "SE"],
        }  # fmt: skip
        top = max(float(np.percentile(volume, 99.5)), 8.0)
        tags |= {"WindowCenter": f"{0.45 * top:.0f}", "WindowWidth": f"{0.9 * top:.0f}"}
        several = rng.random() < 1 / 7
        series.append([(volume.astype(np.uint16), tags)] if several else [(p.astype(np.uint16), tags) for p in volume])
    return ("head" if whole else _part(body, view)), series


def cr_exam(body: Body, pixels: int, rng: np.random.Generator) -> Exam:
    """One or two radiographs of 12 bits. Most plates store bone dark and say so (INVERSE) or say nothing."""
    name = _drawn({k: share for k, (_, share) in CR_PARTS.items()}, rng)
    files: list[File] = []
    for _ in range(int(rng.integers(1, 3))):
        if name == "chest":
            view = "PA" if rng.random() < 0.6 else "AP"
            picture = xray.image(xray.breathe_in(body, rng, 35), xray.random_exposure(rng, view), pixels, rng)
        else:
            view, picture = str(rng.choice(["AP", "PA"])), radiograph.plain(body, name, pixels, rng)
        cut = int(rng.choice([0, 0, pixels // 10]))
        stored = picture[:, cut : pixels - cut].astype(np.uint16) * 16
        shape = str(rng.choice(["INVERSE", "IDENTITY", ""], p=[0.6, 0.25, 0.15]))
        tags = {
            "KVP": f"{rng.uniform(50, 125):.0f}", "ViewPosition": view, "BitsStored": 12, "HighBit": 11,
            "PixelSpacing": ["0.2", "0.2"], "WindowCenter": "2047", "WindowWidth": "4095",
            "ImageType": ["ORIGINAL", "PRIMARY"], "Manufacturer": str(rng.choice(["PHANTOM-F", "PHANTOM-A"])),
        }  # fmt: skip
        if shape != "IDENTITY":
            stored, tags["PhotometricInterpretation"] = 4095 - stored, "MONOCHROME1"
        if shape:
            tags["PresentationLUTShape"] = shape
        files.append((stored, tags))
    return CR_PARTS[name][0], [files]


def xa_exam(body: Body, pixels: int, rng: np.random.Generator) -> Exam:
    """One or two runs of 6 to 9 frames of 8 bits, with or without the background; one run in four has two windows."""
    name = str(rng.choice(list(XA_PARTS)))
    files: list[File] = []
    for _ in range(int(rng.integers(1, 3))):
        frames = radiograph.angiogram(body, name, pixels, int(rng.integers(6, 10)), bool(rng.random() < 0.4), rng)
        pairs = [("128", "256"), ("150", "180")][: 2 if rng.random() < 0.25 else 1]
        tags = {"KVP": f"{rng.uniform(65, 90):.0f}", "ImageType": ["ORIGINAL", "PRIMARY", "SINGLE PLANE"]}
        tags |= {"WindowCenter": [c for c, _ in pairs], "WindowWidth": [w for _, w in pairs]}
        files.append((frames, tags))
    return XA_PARTS[name], [files]


def rf_exam(body: Body, pixels: int, rng: np.random.Generator) -> Exam:
    """One to four single pictures of 8 bits."""
    name = str(rng.choice(list(RF_PARTS)))
    tags = {
        "KVP": f"{rng.uniform(65, 100):.0f}", "WindowCenter": "128", "WindowWidth": "255",
        "ImageType": ["ORIGINAL", "PRIMARY", "SINGLE PLANE"],
    }  # fmt: skip
    count = int(rng.integers(1, 5))
    return RF_PARTS[name], [[(radiograph.fluoroscopy(body, name, pixels, rng), tags) for _ in range(count)]]


EXAMS: dict[str, Callable[..., Exam]] = {"MR": mr_exam, "CT": ct_exam, "CR": cr_exam, "XA": xa_exam, "RF": rf_exam}


def _drawn(shares: dict[str, float], rng: np.random.Generator) -> str:
    weights = np.array(list(shares.values()))
    return str(rng.choice(list(shares), p=weights / weights.sum()))


def _part(body: Body, view: anatomy.View) -> str:
    """Return the body part of a drawn view; spines by the height of their middle."""
    if view.name != "spine":
        return view.name
    middle = view.z.mean() * anatomy.STANDARD_HEIGHT / body.height
    return "cspine" if middle > 1440 else "tspine" if middle > 1240 else "lspine"


def _with_brain(head: np.ndarray, made: brain.Brain, detail: np.ndarray) -> np.ndarray:
    """Return the head [Z, P, P] with the brain in detail, at the brightness of the one that it had."""
    mask = made.mask
    gain = np.median(head[mask]) / max(np.median(detail[mask]), 1) if mask.any() else 1.0
    return np.where(mask, np.clip(np.rint(detail * gain), 0, 32767), head).astype(np.int16)
