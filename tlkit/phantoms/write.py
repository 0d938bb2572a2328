"""Phantom data sets on disk, in the layouts of the real ones; the readers cannot tell them apart.

Every patient, series and picture draws from its own stream (seed, version, kind, index), so the same seed
gives the same bytes and a longer data set begins like a shorter one.
"""

from __future__ import annotations

import inspect
import json
import logging
import shutil
from pathlib import Path
from types import ModuleType

from tlkit.config import TlkitError, lookup, short_hash
from tlkit.phantoms import (
    boneage,
    brain_tumor,
    brats,
    chestxray,
    covid,
    grazped,
    hospital,
    imagenet,
    lits,
    lits_png,
    logs,
    luna16,
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
    "logs": logs,
}


class DiskSpaceError(TlkitError, OSError):
    """The disk has no room for a phantom data set; the message says how much is free and needed."""


def _settings(name: str, params: dict) -> dict:
    """Return all parameters of a writer, given ones over defaults; a misspelt one raises UnknownNameError."""
    signature = inspect.signature(PHANTOMS[name].write)
    for key in params:
        lookup(key, dict(list(signature.parameters.items())[2:]), f"parameter of phantom {name}")
    bound = signature.bind(None, None, **params)
    bound.apply_defaults()
    return {k: list(v) if isinstance(v, tuple) else v for k, v in list(bound.arguments.items())[2:]}


def _require_space(root: Path, name: str, settings: dict) -> None:
    needed, free = PHANTOMS[name].expected_bytes(settings), shutil.disk_usage(root).free
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
        writer.write(partial, seed, **settings)
        text = json.dumps(facts, indent=1, sort_keys=True) + "\n"
        (partial / "phantom.json").write_text(text, encoding="utf-8")
        partial.rename(final)
    log.info("wrote phantom %s to %s", name, final)
    return final
