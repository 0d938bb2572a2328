"""Tiny data sets in the official layouts, a few kilobytes each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
from PIL import Image
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

SLICES = 30
BRATS = ("t1", "t1ce", "t2", "flair")


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (20, 16), mode: str = "RGB") -> Path:
    """Write one picture of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


def class_folders(root: Path, classes=("a", "b"), parts=("Training", "Testing"), n: int = 4, mode: str = "L") -> Path:
    for p, part in enumerate(parts):
        for c, name in enumerate(classes):
            for i in range(n):
                picture(root / part / name / f"{name}_{i}.jpg", 100 * p + 10 * c + i, mode=mode)
    return root


def imagenet(root: Path, train: int = 3, val: int = 4, flat: bool = True) -> Path:
    wnids = ("n01530575", "n01440764")  # the mapping decides the order, not the alphabet
    (root / "val").mkdir(parents=True)
    (root / "LOC_synset_mapping.txt").write_text(f"{wnids[0]} brambling\n{wnids[1]} tench, Tinca tinca\n")
    solution = ["ImageId,PredictionString"]
    for c, wnid in enumerate(wnids):
        for i in range(train):
            picture(root / "train" / wnid / f"{wnid}_{i}.JPEG", 10 * c + i)
        for i in range(val):
            name = f"ILSVRC2012_val_{c * val + i + 1:08d}"
            picture(root / "val" / ("" if flat else wnid) / f"{name}.JPEG", 50 + 10 * c + i)
            solution.append(f"{name},{wnid} 1 2 30 40 ")
    if flat:
        (root / "LOC_val_solution.csv").write_text("\n".join(solution) + "\n")
    return root


def ct_header(series: str, k: int, patient: str = "P1", part: str = "THORAX", **tags) -> pydicom.Dataset:
    """Return slice `k` of an axial series, 2 mm apart, 16 px, with 1000 + k stored (so k HU) but in the last pixel."""
    d = pydicom.Dataset()
    d.file_meta = pydicom.dataset.FileMetaDataset()
    d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d.file_meta.MediaStorageSOPClassUID = d.SOPClassUID = CTImageStorage
    uid = generate_uid(entropy_srcs=[series, str(k)])
    d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID = uid
    d.SeriesInstanceUID = generate_uid(entropy_srcs=[series])
    d.StudyInstanceUID = generate_uid(entropy_srcs=[patient])
    d.Modality, d.PatientID, d.BodyPartExamined = "CT", patient, part
    d.ImagePositionPatient, d.ImageOrientationPatient = [0, 0, 2 * k], [1, 0, 0, 0, 1, 0]
    d.InstanceNumber = k + 1
    d.Rows = d.Columns = 16
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
    d.BitsAllocated = d.BitsStored = 16
    d.HighBit, d.PixelRepresentation = 15, 0
    d.RescaleSlope, d.RescaleIntercept = 1, -1000
    pixels = np.full((16, 16), 1000 + k, np.uint16)
    pixels[-1, -1] = 0  # a constant slice is no picture
    d.PixelData = pixels.tobytes()
    for name, value in tags.items():
        d.pop(name, None) if value is None else setattr(d, name, value)
    return d


def ct_series(root: Path, series=(("s1", "P1", "THORAX"), ("s2", "P2", "BECKEN"), ("s3", "P3", "HEAD"))) -> Path:
    for name, patient, part in series:
        for k in range(SLICES):
            file = root / patient / name / f"IM{(7 * k) % SLICES:04d}"  # names say nothing about the order
            file.parent.mkdir(parents=True, exist_ok=True)
            ct_header(name, k, patient, part).save_as(file, enforce_file_format=True)
    return root


def radiology(modality: str, k: int = 0, patient: str = "P1", frames: int = 0, **tags) -> pydicom.Dataset:
    """Return one file of any modality: 16 px, stored 0 to 255 by rows, window 128/256, no rescale, frames alike."""
    own = {"Modality": modality, "RescaleSlope": None, "RescaleIntercept": None}
    own |= {"WindowCenter": 128, "WindowWidth": 256}
    own["PixelData"] = np.arange(256, dtype=np.uint16).tobytes() * max(frames, 1)
    if frames:
        own["NumberOfFrames"] = frames
    return ct_header(f"{modality} of {patient}", k, patient, **(own | tags))


def multimodal(root: Path) -> Path:
    for n, modality in enumerate(("MR", "CT", "CR", "XA", "RF") * 2):
        several = {"XA": {"frames": 2}, "CT": {"WindowCenter": [128, 64], "WindowWidth": [256, 128]}}
        ds = radiology(modality, patient=f"P{n}", AccessionNumber=f"A{n}", **several.get(modality, {}))
        (root / f"P{n}").mkdir(parents=True)
        ds.save_as(root / f"P{n}" / "IM1", enforce_file_format=True)
    (root / "reports.csv").write_text("exam,text\nA0,Uredan nalaz.\nA1,Keine Fraktur.\n")
    return root


def lits_pair(root: Path, number: int, affine=None, mask=None, ending: str = ".nii") -> tuple[np.ndarray, np.ndarray]:
    """Write one volume [12,10,6] (x to the right, y to the front, z up) and its mask; return both arrays."""
    root.mkdir(parents=True, exist_ok=True)
    volume = np.random.default_rng(number).integers(-1000, 1000, (12, 10, 6), dtype=np.int16)
    if mask is None:
        mask = np.zeros(volume.shape, np.uint8)
        mask[2:6, 3:6, 1:4] = 1
        mask[3, 4, 2] = 2
    affine = np.diag([1.0, 1.0, 3.0, 1.0]) if affine is None else affine
    nib.save(nib.Nifti1Image(volume, affine), root / f"volume-{number}{ending}")
    nib.save(nib.Nifti1Image(mask, affine), root / f"segmentation-{number}{ending}")
    return volume, mask


def lits(root: Path) -> Path:
    for number in (0, 3, 12):
        lits_pair(root / "Training Batch 1", number, ending=".nii.gz" if number == 3 else ".nii")
    return root


def brats_patient(root: Path, number: int, ending: str = ".nii", affine=None, **changed) -> dict[str, np.ndarray]:
    """Write one patient [12,10,4] in the official orientation (x to the left, y to the back, z up); return all arrays.

    `changed` replaces arrays by name: `seg=...`, `t1=...`; None leaves the file out.
    """
    name = f"BraTS20_Training_{number:03d}"
    (root / name).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(number)
    arrays = {k: rng.integers(1, 900 + 100 * i, (12, 10, 4), dtype=np.int16) for i, k in enumerate(BRATS)}
    seg = np.zeros((12, 10, 4), np.uint8)
    seg[2:8, 3:8], seg[3:6, 4:7], seg[4, 5] = 2, 4, 1
    arrays = arrays | {"seg": seg} | changed
    affine = np.array([[-1.0, 0, 0, 0], [0, -1, 0, 9], [0, 0, 1, 0], [0, 0, 0, 1]]) if affine is None else affine
    for kind, array in arrays.items():
        if array is not None:
            nib.save(nib.Nifti1Image(array, affine), root / name / f"{name}_{kind}{ending}")
    return arrays


def brats(root: Path) -> Path:
    top = root / "MICCAI_BraTS2020_TrainingData"
    for number in (1, 2, 355):
        brats_patient(top, number, ending=".nii.gz" if number == 2 else ".nii")
    odd = top / "BraTS20_Training_355"
    (odd / "BraTS20_Training_355_seg.nii").rename(odd / "W39_1998.09.19_Segm.nii")
    for name in ("name_mapping.csv", "survival_info.csv"):
        (top / name).write_text("Grade\n")
    return root


CHESTXRAY = [  # image, findings, patient; patients 5 and 6 are for the test
    ("00000001_000.png", "Cardiomegaly", 1),
    ("00000001_001.png", "Cardiomegaly|Effusion", 1),
    ("00000002_000.png", "No Finding", 2),
    ("00000003_000.png", "Hernia|Infiltration|Mass", 3),
    ("00000004_000.png", "No Finding", 4),
    ("00000005_000.png", "Effusion", 5),
    ("00000005_001.png", "No Finding", 5),
    ("00000006_000.png", "Pleural_Thickening", 6),
]


def chestxray(root: Path, rows=CHESTXRAY, tests=(5, 6), csv: str = "Data_Entry_2017.csv") -> Path:
    """Write images in two of the official folders, the CSV with the official header, and both lists."""
    header = (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
        "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],\n"
    )
    for k, (name, _, patient) in enumerate(rows):
        picture(root / f"images_{1 + patient % 2:03d}" / "images" / name, k, mode="L")
    lines = [f"{name},{findings},0,{patient},58,M,PA,2682,2749,0.143,0.143,\n" for name, findings, patient in rows]
    (root / csv).write_text(header + "".join(lines))
    for name, wanted in (("train_val_list.txt", False), ("test_list.txt", True)):
        (root / name).write_text("".join(f"{i}\n" for i, _, p in rows if (p in tests) == wanted))
    return root


def lits_png(root: Path) -> Path:
    for volume in (0, 3, 12):
        for k in range(4):
            picture(root / "volumes" / f"volume-{volume}_{k}.png", 10 * volume + k, mode="L")
            for part, high in (("livermask", 12), ("lesionmask", 6)):
                mask = np.zeros((20, 16), np.uint8)
                mask[4:high, 4:high] = 255
                (root / "segmentations").mkdir(exist_ok=True)
                Image.fromarray(mask).save(root / "segmentations" / f"segmentation-{volume}_{part}_{k}.png")
    return root


def npz(root: Path, card, pixels: int = 8, each: int = 2) -> Path:
    """Write one file of MedMNIST's six arrays, `each` images of every class in each part."""
    import numpy as np

    rng, many, arrays = np.random.default_rng(0), max(2, len(card.classes)) * each, {}
    for part in ("train", "val", "test"):
        arrays[f"{part}_images"] = rng.integers(0, 256, (many, pixels, pixels), np.uint8)
        codes = np.arange(many) % len(card.classes)
        one = np.eye(len(card.classes), dtype=np.uint8)[codes]
        arrays[f"{part}_labels"] = one if card.task == "multilabel" else codes[:, None].astype(np.uint8)
    root.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(root / f"{card.name}.npz", **arrays)
    return root


def for_card(card, root: Path) -> Path:
    """Write a tiny data set that fits `card`."""
    writers: dict[str, Callable[[Path], Path]] = {"imagenet": imagenet, "ct_series": ct_series, "lits": lits}
    from test_boneage import tree as boneage
    from test_grazped import tree as grazped
    from test_luna16 import tree as luna16

    writers |= {"boneage": boneage, "grazped": grazped}
    writers |= {"luna16": lambda root: luna16(root, shape=(100, 96, 7))}  # the card's crop has 96 px
    writers |= {"brats": brats, "chestxray": chestxray, "lits_png": lits_png}
    writers |= {"multimodal": multimodal}
    from seg_objects import tree as dicom_seg
    from test_open_ms import tree as open_ms

    writers |= {
        "open_ms": open_ms,
        "npz": lambda root: npz(root, card),
        "dicom_seg": lambda root: dicom_seg(root, card),
    }
    if card.layout in writers:
        return writers[card.layout](root)
    parts = ("train", "val") if "splits" in card.options else ("Training", "Testing")
    return class_folders(root, card.classes, parts, n=2)
