"""Phantom data sets on disk, in the layouts of the real ones; the readers cannot tell them apart.

Every patient, series and picture draws from its own stream (seed, version, kind, index), so the same seed
gives the same bytes and a longer data set begins like a shorter one.
"""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

from tlkit import files
from tlkit.config import lookup, short_hash
from tlkit.phantoms import (
    brain_tumor,
    brains,
    chests,
    children,
    hospital,
    livers,
    logs,
    nodules,
    own_images,
    photographs,
    radnet,
)
from tlkit.phantoms.streams import PHANTOM_VERSION

log = logging.getLogger(__name__)


class Twin(NamedTuple):
    """A writer, write(root, seed, **parameters), and an upper estimate of the bytes that it writes, by its settings."""

    write: Callable[..., None]
    room: Callable[[SimpleNamespace], float]


PHANTOMS = {
    "radnet": Twin(radnet.write, lambda s: s.series * s.slices[1] * (s.pixels**2 * 2 + 8192)),
    "hospital": Twin(hospital.write, lambda s: (s.patients * 16 + 20) * (s.pixels**2 * 2 + 3072)),
    "lits": Twin(livers.write, lambda s: s.volumes * s.slices[1] * s.pixels**2 * 3),
    "lits_png": Twin(livers.write_png, lambda s: s.volumes * s.slices[1] * (s.pixels**2 + 1024)),
    "luna16": Twin(nodules.write, lambda s: s.series * (s.slices[1] * s.pixels**2 * 2 + 2048)),
    "brats": Twin(brains.write, lambda s: s.patients * (s.slices * s.pixels**2 * 9 + 2048)),
    "brain_tumor": Twin(brain_tumor.write, lambda s: 4 * (s.train + s.test) * (s.pixels**2 + 1024)),
    "chestxray": Twin(chests.write, lambda s: s.patients * 3 * (s.pixels**2 + 1024)),
    "covid": Twin(chests.write_covid, lambda s: s.images * (s.pixels**2 + 1024)),
    "rsna-bone-age": Twin(children.write_boneage, lambda s: (s.train + s.val + s.test) * (s.pixels**2 + 1024)),
    "grazpedwri": Twin(children.write_grazped, lambda s: s.patients * 4 * (2 * s.pixels**2 + 1024)),
    "imagenet": Twin(photographs.write_imagenet, lambda s: s.classes * (s.train + s.val) * (s.pixels**2 + 4096)),
    "imagenette": Twin(photographs.write_imagenette, lambda s: 10 * (s.train + s.val) * (s.pixels**2 + 4096)),
    "medmnist": Twin(photographs.write_medmnist, lambda s: s.classes * s.images * (3 * s.pixels**2 + 8) + 4096),
    "open_ms": Twin(brains.write_ms, lambda s: s.patients * (s.slices * s.pixels**2 * 17 + 4096)),
    "own_images": Twin(own_images.write, lambda s: s.patients * own_images.IMAGES * (s.pixels**2 + 1024)),
    "logs": Twin(logs.write, lambda s: len(s.experiments) * (11e6 if s.all_train else 6e6)),
}


def expected_bytes(name: str, **params) -> float:
    """Return an upper estimate of the size of a phantom on the disk."""
    return PHANTOMS[name].room(SimpleNamespace(**_settings(name, params)))


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
            files.require_room(part, 1.05 * expected_bytes(name, **params), f"phantom {name}")
            writer.write(part, seed, **settings)
            text = json.dumps(facts, indent=1, sort_keys=True) + "\n"
            (part / "phantom.json").write_text(text, encoding="utf-8")
            log.info("wrote phantom %s to %s", name, final)
    return final
