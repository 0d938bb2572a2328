"""Phantom of a hospital's archive: five modalities in DICOM with messy headers, and reports in three languages."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.phantoms import anatomy, exams, wording
from tlkit.phantoms.radnet import make_uid, quotas
from tlkit.phantoms.streams import stream
from tlkit.progress import track

SHARES = {"CT": 0.36, "MR": 0.22, "CR": 0.26, "XA": 0.07, "RF": 0.09}  # of the exams; half of the images are then CT
WITHOUT = 0.05  # share of exams without a report
OLD = 0.06  # share of Croatian and German reports in the code page of old Windows, cp1250
CLASSES = {  # SOP classes
    "MR": "1.2.840.10008.5.1.4.1.1.4", "MR frames": "1.2.840.10008.5.1.4.1.1.4.1", "CT": "1.2.840.10008.5.1.4.1.1.2",
    "CR": "1.2.840.10008.5.1.4.1.1.1", "XA": "1.2.840.10008.5.1.4.1.1.12.1", "RF": "1.2.840.10008.5.1.4.1.1.12.2",
    "US": "1.2.840.10008.5.1.4.1.1.6.1", "secondary": "1.2.840.10008.5.1.4.1.1.7",
}  # fmt: skip
ODD = ("US", "no modality", "no window", "strip", "dark", "flat", "RF frames", "copy", "secondary")


def write(root: Path, seed: int, patients: int = 40, pixels: int = 64, cr: float = SHARES["CR"]) -> None:
    """Write `PA0001/ST01/SE01/IM0001` ... and `reports.csv`: two exams a patient, about 13 images a patient.

    `pixels` is the longer side, `cr` the share of radiographs among the exams (an exam has one or two). Study,
    protocol and request are in English, German or Croatian, BodyPartExamined is often empty or vague. `odd/` holds one
    file for each rule that leaves an image out (`ODD`).
    """
    from pydicom import config

    order = stream(seed, "hospital order", 0)
    shares = {m: cr if m == "CR" else share * (1 - cr) / (1 - SHARES["CR"]) for m, share in SHARES.items()}
    modalities = order.permutation(quotas(2 * patients, shares))
    owner = np.sort(np.r_[np.arange(patients), order.integers(0, patients, patients)])
    reports, example = io.BytesIO(), None
    reports.write(b"exam,text\r\n")
    with config.disable_value_validation():  # mixed case in a code string is wrong, and common
        for k, modality in track(enumerate(modalities), len(modalities), "phantom hospital", "exam"):
            body = anatomy.random_body(stream(seed, "hospital body", int(owner[k])))
            rng = stream(seed, "hospital exam", k)
            part, series = exams.EXAMS[str(modality)](body, pixels, rng)
            facts = _facts(seed, k, int(owner[k]), str(modality), part, body, rng)
            folder = root / facts["PatientID"].replace("PHANTOM", "PA") / f"ST{k:04d}"
            files = _write(folder, facts, series, rng)
            example = files[0] if modality == "CR" and example is None else example
            reports.write(_report(facts["AccessionNumber"], str(modality), part, rng))
        _write_odd(root / "odd", seed, example, pixels)
    (root / "reports.csv").write_bytes(reports.getvalue())


def _facts(
    seed: int, number: int, patient: int, modality: str, part: str, body: anatomy.Body, rng: np.random.Generator
) -> dict[str, Any]:
    """Return the tags that all files of one exam share."""
    tongue = int(rng.integers(len(wording.LANGUAGES)))
    study = wording.study(modality, part, tongue)
    facts = {
        "SpecificCharacterSet": str(rng.choice(["ISO_IR 192", "ISO_IR 101"])),  # UTF-8, Latin-2
        "PatientID": f"PHANTOM{patient + 1:04d}", "PatientName": f"PHANTOM^{patient + 1:04d}",
        "PatientSex": body.sex, "PatientAge": f"{body.age:03d}Y", "AccessionNumber": f"PH{seed:03d}{number:06d}",
        "StudyDate": f"20{rng.integers(8, 18):02d}{rng.integers(1, 13):02d}{rng.integers(1, 29):02d}",
        "StudyInstanceUID": make_uid(seed, "hospital", number), "Modality": modality,
        "BodyPartExamined": wording.body_part(part, rng),
        "ProtocolName": study if rng.random() < 0.8 else "Routine",
        "Manufacturer": str(rng.choice(["PHANTOM-S", "PHANTOM-G", "PHANTOM-P"])),
        "SeriesDescription": f"PHANTOM {part}",
    }  # fmt: skip
    for name, share in (("StudyDescription", 0.9), ("RequestedProcedureDescription", 0.6)):
        if rng.random() < share:
            facts[name] = study
    return facts


def _write(folder: Path, facts: dict[str, Any], series: list[list[exams.File]], rng: np.random.Generator) -> list:
    """Write the files of one exam and return their data sets."""
    written = []
    for s, files in enumerate(series):
        path = folder / f"SE{s:02d}"
        path.mkdir(parents=True)
        uid = make_uid(facts["StudyInstanceUID"], s)
        for k, (pixels, tags) in enumerate(files):
            more = {"SeriesInstanceUID": uid, "InstanceNumber": str(k + 1), "SOPInstanceUID": make_uid(uid, k)}
            left_out = {name for name in ("KVP", "PatientPosition", "SliceThickness") if rng.random() < 0.1}
            kept = {name: value for name, value in (facts | tags).items() if name not in left_out}
            written.append(_dataset(pixels, kept | more))
            written[-1].save_as(path / f"IM{k + 1:04d}", enforce_file_format=True)
    return written


def _dataset(pixels: np.ndarray, tags: dict[str, Any]):
    """Return a pydicom data set of one file; MR with frames says its windows frame by frame."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    d, bits = Dataset(), pixels.dtype.itemsize * 8
    d.file_meta = FileMetaDataset()
    d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d.file_meta.ImplementationClassUID = make_uid("implementation")
    frames = pixels.ndim == 3
    d.SOPClassUID = CLASSES["MR frames" if frames and tags["Modality"] == "MR" else tags["Modality"]]
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
    d.Rows, d.Columns = pixels.shape[-2:]
    d.BitsAllocated = d.BitsStored = bits
    d.HighBit, d.PixelRepresentation = bits - 1, int(pixels.dtype.kind == "i")
    if frames:
        d.NumberOfFrames = len(pixels)
    if frames and tags["Modality"] == "MR":
        d.PerFrameFunctionalGroupsSequence = _per_frame(len(pixels), tags)
        tags = {name: value for name, value in tags.items() if not name.startswith("Window")}
    for name, value in tags.items():
        setattr(d, name, value)
    d.file_meta.MediaStorageSOPClassUID, d.file_meta.MediaStorageSOPInstanceUID = d.SOPClassUID, d.SOPInstanceUID
    data = pixels.tobytes()
    d.add_new("PixelData", "OW" if bits > 8 else "OB", data + b"\0" * (len(data) % 2))
    return d


def _per_frame(count: int, tags: dict[str, Any]) -> list:
    """Return the functional groups of each frame: its window and its rescale."""
    from pydicom.dataset import Dataset

    groups = []
    for _ in range(count):
        voi, values, group = Dataset(), Dataset(), Dataset()
        voi.WindowCenter, voi.WindowWidth = tags["WindowCenter"], tags["WindowWidth"]
        values.RescaleIntercept, values.RescaleSlope, values.RescaleType = "0", "1", "US"
        group.FrameVOILUTSequence, group.PixelValueTransformationSequence = [voi], [values]
        groups.append(group)
    return groups


def _report(exam: str, modality: str, part: str, rng: np.random.Generator) -> bytes:
    """Return one line of reports.csv, or nothing; a few lines are in cp1250, as exports of old systems are."""
    tongue = wording.language(rng)
    text, missing, old = wording.report(modality, part, tongue, rng), rng.random() < WITHOUT, rng.random() < OLD
    if missing:
        return b""
    line = io.StringIO()
    csv.writer(line).writerow([exam, text])
    return line.getvalue().encode("cp1250" if old else "utf-8")


def _write_odd(folder: Path, seed: int, radiograph, pixels: int) -> None:
    """Write one file for each rule that leaves images out, all made from one radiograph."""
    from copy import deepcopy

    folder.mkdir()
    levels = np.linspace(0, 4095, pixels * pixels).astype(np.uint16).reshape(pixels, pixels)
    for k, odd in enumerate(ODD):
        d = deepcopy(radiograph)
        if odd != "copy":
            d.PresentationLUTShape, d.PhotometricInterpretation = "IDENTITY", "MONOCHROME2"
            d.SOPInstanceUID = d.file_meta.MediaStorageSOPInstanceUID = make_uid(seed, "odd", k)
        picture = levels
        if odd == "copy":
            picture = radiograph.pixel_array
        elif odd == "US":
            d.Modality, d.SOPClassUID = "US", CLASSES["US"]
        elif odd == "no modality":
            del d.Modality
        elif odd == "no window":
            del d.WindowCenter, d.WindowWidth
        elif odd == "strip":
            picture = levels[: max(pixels // 16, 1)]
        elif odd == "dark":
            picture = levels // 8
        elif odd == "flat":
            picture = np.where(levels > 2000, 3000, 500).astype(np.uint16)
        elif odd == "RF frames":
            d.Modality, d.SOPClassUID, d.NumberOfFrames = "RF", CLASSES["RF"], 3
            picture = np.stack([levels] * 3)
        elif odd == "secondary":
            d.SOPClassUID = CLASSES["secondary"]
        d.Rows, d.Columns = picture.shape[-2:]
        d.add_new("PixelData", "OW", picture.tobytes())
        d.file_meta.MediaStorageSOPClassUID = d.SOPClassUID
        d.save_as(folder / f"IM{k:04d}", enforce_file_format=True)
