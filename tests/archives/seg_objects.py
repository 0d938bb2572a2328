"""DICOM SEG and RTSTRUCT objects of a few pixels, written with pydicom alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import pack_bits
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from trees import ct_header

SEG, RTSTRUCT = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.481.3"


def ct(root: Path, series: str = "s", n: int = 4, patient: str = "P1", modality: str = "CT", step: float = 2.0, **tags):
    """Write a series of `n` slices of 16 px and return their data sets, from the feet up."""
    slices = []
    for k in range(n):
        ds = ct_header(series, k, patient, Modality=modality, PixelSpacing=[1.5, 1.0], **tags)
        ds.ImagePositionPatient = [10, 20, step * k]
        ds.PixelData = (1000 + np.arange(256, dtype=np.uint16).reshape(16, 16) + k).astype(np.uint16).tobytes()
        save(ds, root / patient / series / f"IM{(7 * k) % n}")
        slices.append(ds)
    return slices


NAMES = {"lesion": "Tumor_1", "oedema": "Edema"}  # of segments, where a class is not called so


def tree(root: Path, card, patients: int = 3, pixels: int = 100) -> Path:
    """Write a series of four slices for each patient, and as many objects as must agree, with a box of each class."""
    for p in range(patients):
        rng, slices = np.random.default_rng(p), []
        for k in range(4):
            grey = rng.integers(1, 2000, (pixels, pixels), dtype=np.uint16).tobytes()
            own = {"Rows": pixels, "Columns": pixels, "PixelSpacing": [1.5, 1.0], "PixelData": grey}
            ds = ct_header(f"s{p}", k, f"P{p}", Modality=card.domain, **own)
            slices.append(save(ds, root / f"P{p}" / f"IM{k}"))
        boxes = {}
        for n, name in enumerate(card.classes[1:], 1):
            mask = np.zeros((pixels, pixels), np.uint8)
            mask[20 * n : 20 * n + 40, 10:90] = 1
            boxes[NAMES.get(name, name)] = dict.fromkeys(range(4), mask)
        for reader in range(card.options["agree"]):
            save(seg(slices, boxes, placed=False, name=f"P{p} {reader}"), root / f"P{p}" / f"SEG{reader}")
    return root


def save(ds: Dataset, file: Path) -> Dataset:
    file.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(file, enforce_file_format=True)
    return ds


def item(**values) -> Dataset:
    ds = Dataset()
    for name, value in values.items():
        setattr(ds, name, Sequence([value]) if isinstance(value, Dataset) else value)
    return ds


def empty(slices: list[Dataset], modality: str, uid: str, name: str) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = uid
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid(entropy_srcs=[name])
    ds.SeriesInstanceUID, ds.StudyInstanceUID = generate_uid(entropy_srcs=[name, "s"]), slices[0].StudyInstanceUID
    ds.PatientID, ds.Modality, ds.SeriesDescription = slices[0].PatientID, modality, name
    return ds


def seg(
    slices: list[Dataset],
    segments: dict[str, dict[int, np.ndarray]],
    kind: str = "BINARY",
    named: bool = True,
    placed: bool = True,
    name: str = "masks",
    spacing: tuple[float, float] = (1.5, 1.0),
    corner: tuple[float, float] = (10, 20),
    between: float = 0.0,
    turn: tuple[float, ...] = (1, 0, 0, 0, 1, 0),
    heights: dict[int, float] | None = None,
) -> Dataset:
    """Return a SEG; `segments` has the mask [H,W] of some slices, by name and number of the slice.

    `named`, `placed`: frames say which slice they are of, and where they lie. A LABELMAP has one frame a slice.
    """
    ds = empty(slices, "SEG", SEG, name)
    ds.ReferencedSeriesSequence = Sequence([item(SeriesInstanceUID=slices[0].SeriesInstanceUID)])
    ds.SegmentationType, ds.SamplesPerPixel, ds.PhotometricInterpretation = kind, 1, "MONOCHROME2"
    codes = [item(SegmentNumber=i, SegmentLabel=label) for i, label in enumerate(segments, 1)]
    ds.SegmentSequence = Sequence(codes)
    if kind == "LABELMAP":
        maps: dict[int, np.ndarray] = {}
        for number, masks in enumerate(segments.values(), 1):
            for k, mask in masks.items():
                maps[k] = np.where(mask, number, maps.get(k, np.zeros(mask.shape, np.uint8))).astype(np.uint8)
        frames = [(0, k, mask) for k, mask in maps.items()]
    else:
        frames = [(n, k, m) for n, masks in enumerate(segments.values(), 1) for k, m in masks.items()]
    ds.Rows, ds.Columns = frames[0][2].shape
    ds.NumberOfFrames, ds.PixelRepresentation = len(frames), 0
    pixels = np.stack([mask for *_, mask in frames])
    if kind == "BINARY":
        ds.BitsAllocated = ds.BitsStored = 1
        ds.HighBit = 0
        ds.PixelData = pack_bits(pixels.astype(np.uint8).ravel(), pad=True)
    else:
        ds.BitsAllocated = ds.BitsStored = 8
        ds.HighBit = 7
        data = pixels.astype(np.uint8).tobytes()
        ds.PixelData = data + b"\0" * (len(data) % 2)
    ds["PixelData"].VR = "OB"
    if kind == "FRACTIONAL":
        ds.MaximumFractionalValue, ds.SegmentationFractionalType = 200, "PROBABILITY"
    measures = item(PixelSpacing=list(spacing))
    if between:
        measures.SpacingBetweenSlices = between
    shared = item(PixelMeasuresSequence=measures)
    shared.PlaneOrientationSequence = Sequence([item(ImageOrientationPatient=list(turn))])
    ds.SharedFunctionalGroupsSequence = Sequence([shared if placed else Dataset()])
    groups = []
    for number, k, _ in frames:
        group = Dataset()
        if number:
            group.SegmentIdentificationSequence = Sequence([item(ReferencedSegmentNumber=number)])
        if placed:
            height = (heights or {}).get(k, slices[min(k, len(slices) - 1)].ImagePositionPatient[2])
            group.PlanePositionSequence = Sequence([item(ImagePositionPatient=[*corner, height])])
        if named:
            source = item(ReferencedSOPInstanceUID=slices[k].SOPInstanceUID)
            group.DerivationImageSequence = Sequence([item(SourceImageSequence=source)])
        groups.append(group)
    ds.PerFrameFunctionalGroupsSequence = Sequence(groups)
    return ds


def rtstruct(
    slices: list[Dataset], regions: dict[str, list[tuple[int, list[tuple[float, float]]]]], named: bool = True
):
    """Return an RTSTRUCT; `regions` has contours (number of the slice, corners as row and column) by name."""
    ds = empty(slices, "RTSTRUCT", RTSTRUCT, "contours")
    series = item(SeriesInstanceUID=slices[0].SeriesInstanceUID)
    ds.ReferencedFrameOfReferenceSequence = Sequence(
        [item(RTReferencedStudySequence=item(RTReferencedSeriesSequence=series))]
    )
    ds.StructureSetROISequence = Sequence([item(ROINumber=i, ROIName=name) for i, name in enumerate(regions, 1)])
    ds.ROIContourSequence = Sequence([])
    for number, contours in enumerate(regions.values(), 1):
        roi = item(ReferencedROINumber=number)
        roi.ContourSequence = Sequence([])
        for k, corners in contours:
            points = [v for r, c in corners for v in (10 + c, 20 + 1.5 * r, float(slices[k].ImagePositionPatient[2]))]
            contour = item(ContourGeometricType="CLOSED_PLANAR", ContourData=points, NumberOfContourPoints=len(corners))
            if named:
                contour.ContourImageSequence = Sequence([item(ReferencedSOPInstanceUID=slices[k].SOPInstanceUID)])
            roi.ContourSequence.append(contour)
        ds.ROIContourSequence.append(roi)
    return ds


def read(file: Path) -> pydicom.Dataset:
    return pydicom.dcmread(file)
