"""What the core loads by its name, and only when a study asks for it: it stands behind a wall, and the core without it.

A layout of one's own is one entry of LAYOUTS: "module:object", or the object.
"""

from __future__ import annotations

from pkgutil import resolve_name
from types import ModuleType
from typing import Any

LAYOUTS: dict[str, Any] = {
    "class_folders": "tlkit.layouts.folders:CLASS_FOLDERS",
    "imagenet": "tlkit.layouts.folders:IMAGENET",
    "ct_series": "tlkit.archives.ct_series:LAYOUT",
    "multimodal": "tlkit.archives.multimodal:LAYOUT",
    "lits": "tlkit.layouts.lits:LAYOUT",
    "lits_png": "tlkit.layouts.lits_png:LAYOUT",
    "luna16": "tlkit.layouts.luna16:LAYOUT",
    "brats": "tlkit.layouts.brats:LAYOUT",
    "chestxray": "tlkit.layouts.chestxray:LAYOUT",
    "boneage": "tlkit.layouts.boneage:LAYOUT",
    "grazped": "tlkit.layouts.grazped:LAYOUT",
    "table": "tlkit.layouts.table:LAYOUT",
    "pairs": "tlkit.layouts.pairs:LAYOUT",
    "npz": "tlkit.layouts.npz:LAYOUT",
    "dicom_table": "tlkit.archives.dicom_table:LAYOUT",
}


def phantoms() -> ModuleType:
    """Return the module that writes phantoms: `make`, PHANTOMS and PHANTOM_VERSION."""
    return resolve_name("tlkit.phantoms.write")


def pseudolabels() -> Any:
    """Return the package that groups an unlabelled archive: `make`, `labels`, `settings` and `declared`."""
    return resolve_name("tlkit.archives.pseudolabels")
