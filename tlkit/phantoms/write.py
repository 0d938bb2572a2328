"""Phantom data sets on disk, in the layouts of the real ones; the readers cannot tell them apart.

Every patient, series and picture draws from its own stream (seed, version, kind, index), so the same seed
gives the same bytes and a longer data set begins like a shorter one.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tlkit.config import TlkitError, lookup, short_hash
from tlkit.phantoms import anatomy, brats, chestxray, ct, natural
from tlkit.phantoms.anatomy import Tissue
from tlkit.phantoms.logs import write_logs
from tlkit.phantoms.streams import PHANTOM_VERSION, stream
from tlkit.progress import track

log = logging.getLogger(__name__)

SHARES = {
    "thorax": 0.38,
    "abdomen": 0.2,
    "head": 0.15,
    "pelvis": 0.09,
    "spine": 0.08,
    "extremities": 0.07,
    "other": 0.03,
}
# What technicians type into BodyPartExamined, by the name of the scan range.
KEYWORDS: dict[str, tuple[str, ...]] = {
    "head": ("HEAD", "Schaedel", "SCHAEDEL", "head", "Kopf"),
    "neck": ("NECK", "Hals", "NECK"),
    "thorax": ("THORAX", "CHEST", "Thorax", "chest"),
    "abdomen": ("ABDOMEN", "Abdomen", "ABDOMEN", "abdomen"),
    "knee": ("KNEE", "Knie"),
    "leg": ("LEG", "Bein", "LEG"),
    "foot": ("FOOT", "Fuss"),
    "arm": ("ARM", "Arm", "ARM"),
    "pelvis": ("PELVIS", "Becken", "BECKEN", "HIP", "pelvis"),
    "spine": ("SPINE", "LWS", "Wirbelsaeule", "spine", "LSPINE"),
    "wholebody": ("WHOLEBODY", "Ganzkoerper", ""),
}


class DiskSpaceError(TlkitError, OSError):
    """The disk has no room for a phantom data set; the message says how much is free and needed."""


def _quotas(n: int, shares: dict[str, float]) -> list[str]:
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


# --- RadNet: CT series in DICOM ---


def _uid(*parts: object) -> str:
    from pydicom.uid import generate_uid

    return generate_uid(entropy_srcs=[f"tlkit phantom {PHANTOM_VERSION}", *map(str, parts)])


def _header(body: anatomy.Body, view: anatomy.View, protocol: ct.Protocol, ids: dict, rng):
    """Return the pydicom dataset that all slices of one series share."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = _uid("implementation")
    d = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    scanner, mm = protocol.scanner, view.fov / view.pixels
    d.SpecificCharacterSet = "ISO_IR 100"
    d.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    d.SOPClassUID, d.SOPInstanceUID = CTImageStorage, _uid(ids["seed"], ids["series"])
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
    d.StudyInstanceUID = _uid(ids["seed"], ids["study"])
    d.SeriesInstanceUID = _uid(ids["seed"], ids["series"])
    d.FrameOfReferenceUID = _uid(ids["seed"], ids["study"], "frame")
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
    """Write one file a slice; file numbers do not follow the positions, as archives leave them."""
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
        header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = _uid(*uid, i)
        header.InstanceNumber = str(len(hu) - i if descending else i + 1)
        header.ImagePositionPatient = [f"{corner[0]:.3f}", f"{corner[1]:.3f}", f"{view.z[i]:.3f}"]
        header.SliceLocation = f"{view.z[i]:.3f}"
        header.add_new("PixelData", "OW", stored[i].tobytes())
        header.save_as(folder / f"IM{number:04d}.dcm", enforce_file_format=True)


def write_radnet(
    root: Path, seed: int, series: int = 120, pixels: int = 96, slices: tuple[int, int] = (26, 44)
) -> None:
    """Write phantom CT series `<patient>/<study>/<series>/IM0001.dcm`, labelled by BodyPartExamined.

    About 38 % are thorax; one patient in six has two series; a tenth of the series has under 30 slices.
    """
    from pydicom import config

    order = stream(seed, "radnet order", 0)
    regions = order.permutation(_quotas(series, SHARES))
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


# --- LiTS: volumes and segmentations in NIfTI ---


def liver_mask(scene: anatomy.Scene) -> np.ndarray:
    """Return uint8 [Z, P, P]: 1 liver with its vessels, 2 lesion, 0 all else."""
    table = np.zeros(len(Tissue), np.uint8)
    table[[Tissue.LIVER, Tissue.LIVER_VESSEL]], table[Tissue.LESION] = 1, 2
    return table[scene.labels()]


def _affine(view: anatomy.View, flips: tuple[bool, bool, bool]) -> np.ndarray:
    """Return the voxel-to-world matrix (RAS, mm) of a volume [x, y, z] (LPS order) with some axes flipped."""
    steps = np.array([-view.fov / view.pixels, -view.fov / view.pixels, float(view.z[1] - view.z[0])])
    first = np.array([view.fov / 2 - view.centre[0], view.fov / 2 - view.centre[1], float(view.z[0])])
    counts = np.array([view.pixels, view.pixels, len(view.z)])
    first = first + np.where(flips, steps * (counts - 1), 0)
    affine = np.diag([*np.where(flips, -steps, steps), 1.0])
    affine[:3, 3] = first
    return affine


def write_lits(root: Path, seed: int, volumes: int = 24, pixels: int = 96, slices: tuple[int, int] = (30, 40)) -> None:
    """Write phantom liver CTs `volume-N.nii` (int16 HU), `segmentation-N.nii` (1 liver, 2 lesion), N from 0.

    About four in five livers have lesions. A few volumes are stored flipped, and their affine says so.
    """
    import nibabel as nib

    for k in track(range(volumes), volumes, "phantom lits", "volume"):
        body = anatomy.random_body(stream(seed, "lits body", k), lesion_share=0.8)
        rng = stream(seed, "lits volume", k)
        view = anatomy.random_view(body, "liver", int(rng.integers(slices[0], slices[1] + 1)), pixels, rng)
        scene = anatomy.sample(body, view)
        hu = ct.image(scene, ct.random_protocol(rng, "liver"), rng)
        flips = tuple(bool(f) for f in rng.random(3) < (0.1, 0.1, 0.2))
        affine = _affine(view, flips)
        for name, array in (("volume", hu), ("segmentation", liver_mask(scene))):
            array = np.flip(array.transpose(2, 1, 0), [axis for axis in range(3) if flips[axis]])
            picture = nib.Nifti1Image(array, affine)
            picture.header.set_xyzt_units("mm")
            picture.header["descrip"] = b"tlkit PHANTOM"
            nib.save(picture, root / f"{name}-{k}.nii")


# --- ImageNet: photographs in folders of classes ---


def write_imagenet(root: Path, seed: int, classes: int = 10, train: int = 64, val: int = 20, pixels: int = 96) -> None:
    """Write phantom photographs: `train/<wnid>/*.JPEG`, a flat `val/`, its solution and the synset mapping.

    `train` and `val` count pictures a class; the made-up wnids begin with n9.
    """
    import cv2

    kinds = natural.kinds(classes)
    wnids = [f"n9{k:07d}" for k in range(1, classes + 1)]
    mapping = "".join(f"{w} {k.name}, {k.name}\n" for w, k in zip(wnids, kinds, strict=True))
    (root / "LOC_synset_mapping.txt").write_text(mapping, encoding="utf-8")
    (root / "val").mkdir()
    for wnid in wnids:
        (root / "train" / wnid).mkdir(parents=True)
    names = [(c, f"train/{wnids[c]}/{wnids[c]}_{i}.JPEG") for c in range(classes) for i in range(train)]
    order = stream(seed, "imagenet order", 0).permutation(np.repeat(np.arange(classes), val))
    names += [(int(c), f"val/ILSVRC2012_val_{i:08d}.JPEG") for i, c in enumerate(order, 1)]
    solution = [("ImageId", "PredictionString")]
    for index, (c, name) in track(enumerate(names), len(names), "phantom imagenet", "image"):
        picture, box = natural.photograph(kinds[c], pixels, stream(seed, "imagenet image", index))
        quality = [cv2.IMWRITE_JPEG_QUALITY, 90]
        (root / name).write_bytes(cv2.imencode(".JPEG", picture[..., ::-1], quality)[1].tobytes())
        if name.startswith("val/"):
            solution.append((Path(name).stem, f"{wnids[c]} {box[0]} {box[1]} {box[2]} {box[3]}"))
    with (root / "LOC_val_solution.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(solution)


# --- one finished folder ---

PHANTOMS: dict[str, Callable[..., None]] = {
    "radnet": write_radnet,
    "lits": write_lits,
    "brats": brats.write_brats,
    "chestxray": chestxray.write_chestxray,
    "imagenet": write_imagenet,
    "logs": write_logs,
}


def _settings(name: str, params: dict) -> dict:
    """Return all parameters of a writer, given ones over defaults; a misspelt one raises UnknownNameError."""
    import inspect

    signature = inspect.signature(PHANTOMS[name])
    for key in params:
        lookup(key, dict(list(signature.parameters.items())[2:]), f"parameter of phantom {name}")
    bound = signature.bind(None, None, **params)
    bound.apply_defaults()
    return {k: list(v) if isinstance(v, tuple) else v for k, v in list(bound.arguments.items())[2:]}


def expected_bytes(name: str, settings: dict) -> int:
    """Return an upper estimate of a phantom data set's size on disk."""
    if name == "logs":
        return len(settings["experiments"]) * (11_000_000 if settings["all_train"] else 6_000_000)
    area = settings["pixels"] ** 2
    if name == "imagenet":
        return settings["classes"] * (settings["train"] + settings["val"]) * (area + 4096)
    if name == "brats":
        return settings["patients"] * (settings["slices"] * area * 9 + 2048)
    if name == "chestxray":
        return settings["patients"] * 3 * (area + 1024)
    if name == "lits":
        return settings["volumes"] * settings["slices"][1] * area * 3
    return settings["series"] * settings["slices"][1] * (area * 2 + 8192)


def _require_space(root: Path, name: str, settings: dict) -> None:
    needed, free = expected_bytes(name, settings), shutil.disk_usage(root).free
    if free < 1.05 * needed:
        raise DiskSpaceError(
            f"phantom {name} needs about {needed / 1e6:.0f} MB under {root}, "
            f"but {free / 1e6:.0f} MB are free. Free some space, "
            "set TLKIT_RUNS to a larger disk, or ask for fewer or smaller images."
        )


def make(name: str, root: Path, seed: int = 0, **params) -> Path:
    """Return the folder `<root>/<name>-phantom-seed<seed>-<8 hex>`, writing it first where it is missing.

    Written to a `.partial` folder and renamed, so a folder of the final name is always finished; a lock keeps
    two processes apart. Raises UnknownNameError (phantom, parameter) or DiskSpaceError.
    """
    from filelock import FileLock

    writer, root = lookup(name, PHANTOMS, "phantom"), Path(root)
    settings = _settings(name, params)
    facts = {"phantom": name, "seed": seed, "version": PHANTOM_VERSION, "settings": settings}
    final = root / f"{name}-phantom-seed{seed}-{short_hash(facts)}"
    if final.is_dir():
        return final
    root.mkdir(parents=True, exist_ok=True)
    _require_space(root, name, settings)
    with FileLock(root / f".{final.name}.lock"):
        if final.is_dir():
            return final
        partial = root / f".{final.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)  # we hold the lock, so its writer is gone
        partial.mkdir()
        writer(partial, seed, **settings)
        text = json.dumps(facts, indent=1, sort_keys=True) + "\n"
        (partial / "phantom.json").write_text(text, encoding="utf-8")
        partial.rename(final)
    log.info("wrote phantom %s to %s", name, final)
    return final
