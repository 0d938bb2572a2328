"""Phantom data sets on disk, in the layouts of the real ones; the readers cannot tell them apart.

Every patient, series and picture draws from its own stream (seed, version, kind, index), so the same seed
gives the same bytes and a longer data set begins like a shorter one.
"""

from __future__ import annotations

import inspect
import json
import logging
from pathlib import Path
from types import ModuleType

from tlkit import files
from tlkit.config import lookup, short_hash
from tlkit.phantoms import (
    boneage,
    brain_tumor,
    brats,
    chestxray,
    covid,
    grazped,
    hospital,
    imagenet,
    imagenette,
    lits,
    lits_png,
    logs,
    luna16,
    medmnist,
    open_ms,
    own_images,
    radnet,
)
from tlkit.phantoms.streams import PHANTOM_VERSION

log = logging.getLogger(__name__)

# Each module has write(root, seed, **parameters) and expected_bytes(parameters), an upper estimate of what it writes.
PHANTOMS: dict[str, ModuleType] = {
    "radnet": radnet,
    "hospital": hospital,
    "lits": lits,
    "lits_png": lits_png,
    "luna16": luna16,
    "brats": brats,
    "brain_tumor": brain_tumor,
    "chestxray": chestxray,
    "covid": covid,
    "rsna-bone-age": boneage,
    "grazpedwri": grazped,
    "imagenet": imagenet,
    "imagenette": imagenette,
    "medmnist": medmnist,
    "open_ms": open_ms,
    "own_images": own_images,
    "logs": logs,
}


def _settings(name: str, params: dict) -> dict:
    """Return all parameters of a writer, given ones over defaults; a misspelt one raises UnknownNameError."""
    signature = inspect.signature(PHANTOMS[name].write)
    for key in params:
        lookup(key, dict(list(signature.parameters.items())[2:]), f"parameter of phantom {name}")
    bound = signature.bind(None, None, **params)
    bound.apply_defaults()
    return {k: list(v) if isinstance(v, tuple) else v for k, v in list(bound.arguments.items())[2:]}


def make(name: str, root: Path, seed: int = 0, **params) -> Path:
    """Return the folder `<root>/<name>-phantom-seed<seed>-<8 hex>`, writing it first where it is missing.

    Raises UnknownNameError (phantom, parameter) or DiskSpaceError.
    """
    writer = lookup(name, PHANTOMS, "phantom")
    settings = _settings(name, params)
    facts = {"phantom": name, "seed": seed, "version": PHANTOM_VERSION, "settings": settings}
    final = Path(root) / f"{name}-phantom-seed{seed}-{short_hash(facts)}"
    with files.building(final) as part:
        if part:
            files.require_room(part, 1.05 * writer.expected_bytes(settings), f"phantom {name}")
            writer.write(part, seed, **settings)
            text = json.dumps(facts, indent=1, sort_keys=True) + "\n"
            (part / "phantom.json").write_text(text, encoding="utf-8")
            log.info("wrote phantom %s to %s", name, final)
    return final
