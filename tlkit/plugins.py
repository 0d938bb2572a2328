"""What the core loads by its name, and only when a study asks for it: it stands behind a wall, and the core without it.

What somebody adds, a layout or a kind of task, is named "module:object" in a study file, and needs no line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pkgutil import resolve_name
from types import ModuleType
from typing import Any

from tlkit.config import ConfigError, lookup

LAYOUTS: dict[str, Any] = {
    "class_folders": "tlkit.layouts.folders:CLASS_FOLDERS",
    "imagenet": "tlkit.layouts.folders:IMAGENET",
    "ct_series": "tlkit.archives.ct_series:LAYOUT",
    "multimodal": "tlkit.archives.multimodal:LAYOUT",
    "lits": "tlkit.layouts.lits:LAYOUT",
    "lits_png": "tlkit.layouts.lits_png:LAYOUT",
    "luna16": "tlkit.layouts.luna16:LAYOUT",
    "brats": "tlkit.layouts.brats:LAYOUT",
    "open_ms": "tlkit.layouts.open_ms:LAYOUT",
    "chestxray": "tlkit.layouts.chestxray:LAYOUT",
    "boneage": "tlkit.layouts.boneage:LAYOUT",
    "grazped": "tlkit.layouts.grazped:LAYOUT",
    "table": "tlkit.layouts.table:LAYOUT",
    "pairs": "tlkit.layouts.pairs:LAYOUT",
    "npz": "tlkit.layouts.npz:LAYOUT",
    "dicom_table": "tlkit.archives.dicom_table:LAYOUT",
    "dicom_seg": "tlkit.archives.dicom_seg:LAYOUT",
}


def find(name: str, table: Mapping[str, Any], what: str) -> Any:
    """Return the entry of a table, or the object that "module:object" names, in the table or in place of a name.

    Raises: UnknownNameError for a name that is in no table, ConfigError for what cannot be imported.
    """
    if ":" not in name:
        found = lookup(name, table, what)
        return resolve_name(found) if isinstance(found, str) else found
    try:
        return resolve_name(name)
    except Exception as error:  # whatever the module does
        raise ConfigError(
            f"{what} '{name}': expected MODULE:OBJECT that Python can import ({type(error).__name__}: {error}). Add "
            "the folder of the module to PYTHONPATH."
        ) from error


def phantoms() -> ModuleType:
    """Return the module that writes phantoms: `make`, PHANTOMS and PHANTOM_VERSION."""
    return resolve_name("tlkit.phantoms.write")


def adjusted() -> ModuleType:
    """Return the module that makes the `estimates` of a study file: `read_study`."""
    return resolve_name("tlkit.published.adjusted")


def published_recipes() -> dict[str, Any]:
    """Return the recipes of published studies by name."""
    return resolve_name("tlkit.published.recipes_published:RECIPES")


def recognise() -> ModuleType:
    """Return the module that tells which network a weights file is of: `best`."""
    return resolve_name("tlkit.foreign.recognise")


def huggingface() -> ModuleType:
    """Return the module that names the tensors of transformers as timm does: `as_timm`."""
    return resolve_name("tlkit.foreign.huggingface")


def boxed() -> ModuleType:
    """Return the module that reads pickles with objects besides tensors: `load_boxed`, `parts`."""
    return resolve_name("tlkit.foreign.boxed")


def pseudolabels() -> Any:
    """Return the package that groups an unlabelled archive: `make`, `labels`, `settings` and `declaration`."""
    return resolve_name("tlkit.archives.pseudolabels")
