"""Compressed pixels, by one decoder after the other until one reads them.

First pydicom's plugins, of those with a permissive licence the fastest on 512 x 512 slices: RLE by pylibjpeg-rle,
JPEG-LS by pyjpegls (4 ms, GDCM 7), JPEG 2000 and lossless JPEG by GDCM (for the latter the only one not under the
GPL). Last SimpleITK, whose GDCM also reads JPEG of 12 bits and the retired kinds of JPEG.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from tlkit.datasets import bounds
from tlkit.datasets.cards import UnreadableFile

JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
FIRST = dict.fromkeys(JPEG_LS, "pyjpegls")  # the plugin before pydicom's own order
KEPT = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
COPIES = 4  # of a compressed frame, while it is written to a file of its own and read
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def frames(ds, wanted: list[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (number, stored values [H,W]) of the frames of a compressed data set that are wanted, one at a time.

    Raises UnreadableFile where no decoder reads one of them; the reason names the transfer syntax and what each
    decoder says, and no value of the header that might be a name.
    """
    left, causes = list(wanted), []
    for name, decode in _decoders(ds).items():
        images = decode(ds, list(left))
        while left:
            try:
                with bounds.reading(partial(_cause, name)):
                    frame = next(images)
            except UnreadableFile as error:
                causes.append(str(error))
                break
            yield left.pop(0), frame
        if not left:
            return
    raise UnreadableFile(f"{_syntax_name(ds)}: no decoder reads the pixels ({'; '.join(causes)})")


def read_frames(ds) -> Iterator[bytes]:
    """Yield the frames of a compressed data set as they lie in the file."""
    from pydicom.encaps import generate_frames

    return generate_frames(ds.PixelData, **_layout(ds))


def _layout(ds) -> dict:
    tables = [ds.get(f"ExtendedOffsetTable{name}") for name in ("", "Lengths")]
    count = max(1, int(ds.get("NumberOfFrames") or 1))
    return {"number_of_frames": count, "extended_offsets": tuple(tables) if all(tables) else None}


def _decoders(ds) -> dict[str, Callable[..., Iterator[np.ndarray]]]:
    """Return the decoders of a data set's transfer syntax by name, in the order in which they are tried."""
    from pydicom.pixels import get_decoder

    syntax = ds.file_meta.TransferSyntaxUID
    try:
        plugins = get_decoder(syntax).available_plugins
    except NotImplementedError:  # a transfer syntax that pydicom does not know, or has none for
        plugins = ()
    names = sorted(plugins, key=lambda name: name != FIRST.get(syntax))
    return {**{name: partial(_by_pydicom, name) for name in names}, "SimpleITK": _by_simpleitk}


def _by_pydicom(plugin: str, ds, wanted: list[int]) -> Iterator[np.ndarray]:
    from pydicom.pixels import iter_pixels

    return iter_pixels(ds, indices=wanted, decoding_plugin=plugin)


def _by_simpleitk(ds, wanted: list[int]) -> Iterator[np.ndarray]:
    """Yield frames by SimpleITK, each from a file with nothing in it but that frame: it takes files alone."""
    import SimpleITK as sitk
    from pydicom.encaps import get_frame

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "frame.dcm")
        for index in wanted:
            data = get_frame(ds.PixelData, index, **_layout(ds))
            bounds.check_need(len(ds.PixelData) + COPIES * len(data))
            _write_frame(ds, data, file)
            yield sitk.GetArrayFromImage(sitk.ReadImage(str(file), imageIO="GDCMImageIO"))[0]


def _write_frame(ds, data: bytes, file: Path) -> None:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import generate_uid

    one = Dataset()
    one.update({name: ds.get(name) for name in KEPT if name in ds})
    one.PhotometricInterpretation = "MONOCHROME2"  # whatever it is: MONOCHROME1 would come out inverted
    one.SOPClassUID, one.SOPInstanceUID = SECONDARY_CAPTURE, generate_uid()
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ds.file_meta.TransferSyntaxUID
    one.PixelData = encapsulate([data])
    one["PixelData"].VR = "OB"
    one.save_as(file, enforce_file_format=True)


def _cause(name: str, error: BaseException) -> str:
    """Return what a decoder says: its own text where pydicom hands it on, for pydicom's may quote the header."""
    told = str(error).partition(f"\n  {name}: ")[2].partition("\n")[0].strip()
    return f"{name}: {told if told not in ('', 'None') else bounds.name_error(error)}"


def _syntax_name(ds) -> str:
    from pydicom.uid import UID_dictionary

    return UID_dictionary.get(ds.file_meta.TransferSyntaxUID, ("unknown transfer syntax",))[0]
