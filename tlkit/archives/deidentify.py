"""No direct identifier leaves the archive: what is kept of a DICOM header, and the pseudonyms that replace the rest.

First an allow-list (`KEEP`): every other element goes, private ones and sequences too. Then the Basic Application
Level Confidentiality Profile (DICOM PS3.15, table E.1-1, edition 2026c), with its option of modified dates: a kept
element that the table names gets a keyed pseudonym, a new UID or a shifted date. The table is that of the library
dicom-anonymizer (BSD licence), which has the whole profile as rules for pydicom data sets; `deid` (MIT) leaves the
rules to a recipe of one's own, and its default one does not cover the profile.
"""

from __future__ import annotations

import hmac
import os
import secrets
import uuid
from copy import deepcopy
from datetime import datetime, timedelta
from functools import cache, lru_cache, partial
from pathlib import Path

from tlkit import paths
from tlkit.config import TlkitError
from tlkit.datasets.cards import PHANTOM_FACTS

PROFILE = "dicomfields_2026c"
PHANTOM_KEY = b"phantoms have no secrets, and the same names everywhere"
KEY_BYTES = 32
MOST_DAYS = 3650  # dates move back by 1 to 3,650 days, all of one patient by the same number
KEEP = (
    "SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "StudyDate", "Modality", "Manufacturer",
    "ManufacturerModelName", "PatientID", "BodyPartExamined", "SliceThickness", "KVP", "ConvolutionKernel",
    "StudyInstanceUID", "SeriesInstanceUID", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient",
    "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns", "PixelSpacing",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit",
    "RescaleIntercept", "RescaleSlope", "PixelData",
)  # fmt: skip


class KeyFileError(TlkitError):
    """The file with the key of the pseudonyms is damaged."""


def key_file() -> Path:
    """Return where the key lies: in the runs folder, which git ignores; readable by its owner alone."""
    return paths.private_root() / "deidentify.key"


def load_key(root: Path | None = None) -> bytes:
    """Return the secret key of the pseudonyms (32 random bytes), made and saved on first use.

    One key gives the same pseudonyms everywhere: copy the file to continue elsewhere, delete it to cut the link to the
    archive for good. Where `root` is a phantom the key is a fixed public one. Raises KeyFileError for a damaged file.
    """
    if root is not None and (Path(root) / PHANTOM_FACTS).is_file():
        return PHANTOM_KEY
    file = key_file()
    if not file.exists():
        _save_key(file)
    key = file.read_bytes()
    if len(key) != KEY_BYTES:
        raise KeyFileError(
            f"{file} holds {len(key)} bytes; expected the {KEY_BYTES} of a key. Bring back its copy, or remove it: a "
            "new key gives new pseudonyms, and with them new splits and new runs."
        )
    return key


def fingerprint(key: bytes) -> str:
    """Return 8 hex digits that tell keys apart and say nothing about them."""
    return pseudonym(key, "fingerprint", "")[:8]


def pseudonym(key: bytes, kind: str, value: str) -> str:
    """Return 16 hex digits for `value`: the same for equal (key, kind, value), without the key no way back."""
    return _keyed(key, kind, value).hex[:16]


def new_uid(key: bytes, uid: str) -> str:
    """Return the UID that replaces `uid`: "2.25." and a number, whose first 16 hex digits are its pseudonym."""
    return f"2.25.{_keyed(key, 'uid', uid).int}"


@lru_cache(maxsize=1024)  # a series has one date
def shift_date(key: bytes, date: str, patient: str) -> str:
    """Return a date (YYYYMMDD) moved back by the patient's own number of days (1 to 3,650); "" where it is none."""
    days = 1 + _keyed(key, "days", patient).int % MOST_DAYS
    try:
        return (datetime.strptime(date, "%Y%m%d") - timedelta(days=days)).strftime("%Y%m%d")
    except (ValueError, OverflowError):
        return ""


def owner(head: dict[str, str]) -> str:
    """Return what stands for the patient: PatientID; without one the study, the best guess at what is one patient's."""
    return head.get("PatientID") or f"study {head.get('StudyInstanceUID') or head.get('SeriesInstanceUID', '')}"


def replace_values(head: dict[str, str], key: bytes) -> dict[str, str]:
    """Return the kept values of a header (keyword to text); those that the profile names give way to pseudonyms.

    UIDs and PatientID become 16 hex digits, for tables; `dataset` writes the same UIDs as DICOM wants them.
    BodyPartExamined, often typed by hand, becomes the keyword of the label rule that it holds, or "".
    """
    from tlkit.archives.dicom import keyword

    patient = owner(head)
    kept = {name: value for name, value in head.items() if name in KEEP}
    for name in find_named_by_profile() & kept.keys():
        if name.endswith("UID"):
            kept[name] = pseudonym(key, "uid", kept[name]) if kept[name] else ""
        else:
            kept[name] = shift_date(key, kept[name], patient) if name == "StudyDate" else ""
    kept["PatientID"] = pseudonym(key, "patient", patient)
    return kept | {"BodyPartExamined": keyword(head.get("BodyPartExamined", ""))}


def dataset(ds, key: bytes):
    """Return a de-identified copy of a pydicom data set, ready to be saved: kept elements, pseudonyms, new UIDs.

    What is kept is kept where pydicom can read it: a number that is none may be a name. Text that is burnt into the
    pixels is not looked for: the images that have it, secondary captures and what says BurnedInAnnotation, do not
    come into a corpus (`dicom.not_a_slice`).
    """
    from dicomanonymizer.simpledicomanonymizer import anonymize_dataset, keep
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.tag import Tag
    from pydicom.uid import ImplicitVRLittleEndian

    from tlkit.archives.headers import quiet

    new, named = Dataset(), find_named_by_profile()
    with quiet():
        for name in KEEP:
            if (element := _readable(ds, name)) is not None:
                new.add(deepcopy(element))
        head = {name: str(new.get(name) or "").strip() for name in {*named, "BodyPartExamined"}}
        values = replace_values(head, key)
        values["BodyPartExamined"] = values["BodyPartExamined"].upper()  # as a code string has to be
        for name, value in values.items():
            if name in new:
                setattr(new, name, new_uid(key, head[name]) if name.endswith("UID") and value else value)
        done = {(Tag(name).group, Tag(name).element): keep for name in named}
        anonymize_dataset(new, done, delete_private_tags=True, base_rules_gen=profile)
    new.PatientIdentityRemoved, new.DeidentificationMethod = "YES", "PS3.15 basic profile, allow-list, modified dates"
    new.preamble, new.file_meta = bytes(128), FileMetaDataset()
    new.file_meta.TransferSyntaxUID = ds.file_meta.get("TransferSyntaxUID", ImplicitVRLittleEndian)
    return new


def _readable(ds, name: str):
    """Return an element of a data set, None where it is not there or holds what its keyword cannot."""
    from pydicom.datadict import dictionary_VR

    from tlkit.archives.headers import join_values

    try:
        element = ds[name]
        if dictionary_VR(name) in ("DS", "IS", "US", "US or SS"):
            [float(part or 0) for part in join_values(element.value).split("\\")]
        return element
    except Exception:  # KeyError, and conversions fail in every way
        return None


def profile() -> dict:
    """Return the profile as the library has it: what happens to each element ((group, element) to a function)."""
    from dicomanonymizer.simpledicomanonymizer import initialize_actions

    return initialize_actions(PROFILE)


@cache
def find_named_by_profile() -> frozenset[str]:
    """Return the elements of `KEEP` that the profile names, which may not stay as they are."""
    from pydicom.tag import Tag

    tags = {name: Tag(name) for name in KEEP}
    return frozenset(name for name, tag in tags.items() if (tag.group, tag.element) in profile())


def _keyed(key: bytes, kind: str, value: str) -> uuid.UUID:
    return uuid.UUID(bytes=hmac.digest(key, f"{kind}\0{value}".encode("utf-8", "surrogateescape"), "sha256")[:16])


def _save_key(file: Path) -> None:
    """Write a new key; where another process was first, its key stays."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    with open(part, "wb", opener=partial(os.open, mode=0o600)) as stream:
        stream.write(secrets.token_bytes(KEY_BYTES))
    try:
        os.link(part, file)
    except FileExistsError:
        pass
    finally:
        part.unlink()
