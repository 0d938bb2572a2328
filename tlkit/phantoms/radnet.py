"""Phantom CT archive: series of random bodies in DICOM, labelled by BodyPartExamined."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from tlkit.phantoms import anatomy, ct
from tlkit.phantoms.streams import PHANTOM_VERSION, stream
from tlkit.progress import track

SHARES = {
    "thorax": 0.38, "abdomen": 0.2, "head": 0.15, "pelvis": 0.09, "spine": 0.08, "extremities": 0.07, "other": 0.03,
}  # fmt: skip
# What technicians type into BodyPartExamined, by the name of the scan range.
KEYWORDS: dict[str, tuple[str, ...]] = {
    "head": ("HEAD", "Schaedel", "SCHAEDEL", "head", "Kopf"), "neck": ("NECK", "Hals", "NECK"),
    "thorax": ("THORAX", "CHEST", "Thorax", "chest"),
    "abdomen": ("ABDOMEN", "Abdomen", "ABDOMEN", "abdomen"), "knee": ("KNEE", "Knie"), "leg": ("LEG", "Bein", "LEG"),
    "foot": ("FOOT", "Fuss"), "arm": ("ARM", "Arm", "ARM"), "pelvis": ("PELVIS", "Becken", "BECKEN", "HIP", "pelvis"),
    "spine": ("SPINE", "LWS", "Wirbelsaeule", "spine", "LSPINE"), "wholebody": ("WHOLEBODY", "Ganzkoerper", ""),
}  # fmt: skip


def quotas(n: int, shares: dict[str, float]) -> list[str]:
    """Return `n` names in the given shares (largest remainder), each at least once where `n` allows."""
    exact = np.array(list(shares.values())) * n
    counts = np.maximum(exact.astype(int), 1 if n >= len(shares) else 0)
    while counts.sum() != n:
        gap = exact - counts
        if counts.sum() < n:
            counts[np.argmax(gap)] += 1
        else:
            counts[np.argmin(np.where(counts > 1, gap, np.inf))] -= 1
    return [name for name, c in zip(shares, counts, strict=True) for _ in range(c)]


def make_uid(*parts: object) -> str:
    """Return a UID for these parts: the same every time, another for others."""
    from pydicom.uid import generate_uid

    return generate_uid(entropy_srcs=[f"tlkit phantom {PHANTOM_VERSION}", *map(str, parts)])


def _header(body: anatomy.Body, view: anatomy.View, protocol: ct.Protocol, ids: dict, rng):
    """Return the pydicom dataset that all slices of one series share."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = make_uid("implementation")
    d = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    scanner, mm = protocol.scanner, view.fov / view.pixels
    d.SpecificCharacterSet = "ISO_IR 100"
    d.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    d.SOPClassUID, d.SOPInstanceUID = CTImageStorage, make_uid(ids["seed"], ids["series"])
    d.StudyDate = f"20{rng.integers(10, 24)}{rng.integers(1, 13):02d}{rng.integers(1, 29):02d}"
    d.Modality, d.Manufacturer, d.ManufacturerModelName = "CT", scanner.maker, scanner.model
    d.SeriesDescription = f"PHANTOM {view.name} {protocol.phase} {view.pixels}px"
    d.PatientID, d.PatientName = ids["patient"], f"PHANTOM^{ids['patient'][-4:]}"
    d.PatientSex, d.PatientAge = body.sex, f"{body.age:03d}Y"
    keyword = str(rng.choice(KEYWORDS[view.name]))
    if keyword or rng.random() < 0.5:  # some scanners leave the tag empty, some leave it out
        d.BodyPartExamined = keyword
    d.SliceThickness = f"{abs(view.z[1] - view.z[0]):.3f}"
    d.KVP, d.ConvolutionKernel = str(protocol.kvp), scanner.kernels[int(protocol.sharp)]
    d.GantryDetectorTilt, d.PatientPosition = f"{np.degrees(view.tilt):.2f}", "HFS"
    d.StudyInstanceUID = make_uid(ids["seed"], ids["study"])
    d.SeriesInstanceUID = make_uid(ids["seed"], ids["series"])
    d.FrameOfReferenceUID = make_uid(ids["seed"], ids["study"], "frame")
    d.StudyID, d.SeriesNumber = ids["study"][-4:], str(int(rng.integers(1, 9)))
    d.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
    d.Rows = d.Columns = view.pixels
    d.PixelSpacing = [f"{mm:.6f}", f"{mm:.6f}"]
    d.BitsAllocated = d.BitsStored = 16
    d.HighBit, d.PixelRepresentation = 15, int(scanner.signed)
    if protocol.circle and scanner.padding is not None:
        d.add_new("PixelPaddingValue", "SS" if scanner.signed else "US", scanner.padding - scanner.intercept)
    d.WindowCenter, d.WindowWidth = ("450", "1500") if protocol.sharp else ("40", "400")
    d.RescaleIntercept, d.RescaleSlope, d.RescaleType = str(scanner.intercept), "1", "HU"
    return d


def _write_series(folder: Path, header, hu: np.ndarray, view: anatomy.View, uid: tuple, rng) -> None:
    """Write one file per slice; file numbers do not follow the positions, as archives leave them."""
    from pydicom import dcmread

    folder.mkdir(parents=True)
    once = io.BytesIO()
    header.save_as(once, enforce_file_format=True)
    once.seek(0)
    header = dcmread(once)  # elements read and left alone are written back as they are, which is faster
    kind = np.int16 if header.PixelRepresentation else np.uint16
    shifted = hu.astype(np.int32) - int(header.RescaleIntercept)
    stored = np.maximum(shifted, np.iinfo(kind).min).astype(kind)
    corner = np.array(view.centre) - view.fov / 2
    descending = bool(rng.random() < 0.5)
    for number, i in zip(rng.permutation(len(hu)) + 1, range(len(hu)), strict=True):
        header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = make_uid(*uid, i)
        header.InstanceNumber = str(len(hu) - i if descending else i + 1)
        header.ImagePositionPatient = [f"{corner[0]:.3f}", f"{corner[1]:.3f}", f"{view.z[i]:.3f}"]
        header.SliceLocation = f"{view.z[i]:.3f}"
        header.add_new("PixelData", "OW", stored[i].tobytes())
        header.save_as(folder / f"IM{number:04d}.dcm", enforce_file_format=True)


def write(root: Path, seed: int, series: int = 120, pixels: int = 96, slices: tuple[int, int] = (26, 44)) -> None:
    """Write phantom CT series `<patient>/<study>/<series>/IM0001.dcm`, labelled by BodyPartExamined.

    About 38 % are thorax; one patient in six has two series; a tenth of the series has under 30 slices.
    """
    from pydicom import config

    order = stream(seed, "radnet order", 0)
    regions = order.permutation(quotas(series, SHARES))
    again = order.random(series) < 0.17  # this series is a second one of the patient before
    patients = np.cumsum(~again | (np.arange(series) == 0))
    low, high = slices
    with config.disable_value_validation():  # mixed case in a code string is wrong, and common
        for k, region in track(enumerate(regions), series, "phantom radnet", "series"):
            body = anatomy.random_body(stream(seed, "radnet body", int(patients[k])))
            rng = stream(seed, "radnet series", k)
            least = low if rng.random() < 0.5 else min(max(low, 30), high)
            view = anatomy.random_view(body, str(region), int(rng.integers(least, high + 1)), pixels, rng)
            protocol = ct.random_protocol(rng, str(region))
            hu = ct.image(anatomy.sample(body, view), protocol, rng)
            patient = f"PHANTOM{patients[k]:04d}"
            study = f"{patient}/{k:04d}"
            ids = {"seed": seed, "patient": patient, "study": study, "series": f"{study}/series"}
            header = _header(body, view, protocol, ids, rng)
            folder = root / patient / f"ST{k:04d}" / f"SE{int(header.SeriesNumber):02d}"
            _write_series(folder, header, hu, view, (seed, ids["series"]), rng)
