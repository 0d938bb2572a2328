"""A page a data set: what its card says, how to get it, and samples: phantoms, or real ones where that is allowed."""

from __future__ import annotations

import io
import json
import re
from collections import defaultdict
from pathlib import Path

import numpy as np

from tlkit import files, paths
from tlkit.config import TlkitError, file_name
from tlkit.datasets import DATASETS, DataCard
from tlkit.datasets.cards import present
from tlkit.datasets.store import Store, open_store
from tlkit.site.page import facts, link, make_list, page, text

FREE = re.compile(r"^(CC0|CC[ -]BY(?!-NC|-ND| NC| ND)|public domain|MIT)\b", re.IGNORECASE)
SAMPLES = 8


def may_show(licence: str) -> bool:
    """Tell whether a licence lets anyone pass pictures on: CC0, CC BY, CC BY-SA, public domain; none that is unsure."""
    return bool(FREE.match(licence.strip())) and not re.search(
        r"\bNC\b|non-?commercial|check it|agreement", licence, re.I
    )


def write(out: Path, used: dict[str, list[str]]) -> None:
    """Write a page for each card and their index. `used`: the runs of each data set."""
    stores = _stores()
    for name, card in DATASETS.items():
        files.write_text(out / "data" / f"{file_name(name)}.html", _page(name, card, stores[name], used.get(name, [])))
    rows = []
    for name, card in DATASETS.items():
        here = "real files are here; " if present(card, paths.data_root()) else ""
        rows.append(
            f"{link(f'data/{file_name(name)}.html', card.title)}: {here}{len(used.get(name, []))} finished runs"
        )
    said = "Their cards: what they hold, their licence, and how to get them."
    body = f"<h1>Data sets</h1><p>{said}</p>{make_list(rows, 'None.')}"
    files.write_text(out / "data.html", page("Data sets", body, "data.html"))


def _stores() -> dict[str, list[Path]]:
    """Return the folders of stores by data set."""
    found = defaultdict(list)
    for path in sorted(paths.store_root().glob("*/store.json")):
        try:
            found[json.loads(path.read_bytes())["name"]].append(path.parent)
        except (ValueError, KeyError):
            continue  # a damaged store is told where it is used
    return found


def _page(name: str, card: DataCard, stores: list[Path], used: list[str]) -> str:
    said = {"name": name, "domain": card.domain, "task": card.task, "licence": card.licence, "citation": card.citation}
    said |= {f"count: {k}": v for k, v in card.counts.items()} | {"classes": ", ".join(card.classes[:40])}
    body = [f"<h1>{text(card.title)}</h1>", facts({k: v for k, v in said.items() if v})]
    online = card.source.startswith("http")
    body.append(
        f"<p>{link(card.source, 'Its own page')} (on the network)</p>" if online else f"<p>{text(card.source)}</p>"
    )
    body.append("<h2>How to get it</h2><ol>" + "".join(f"<li>{text(step)}</li>" for step in card.access) + "</ol>")
    body.append(f"<h2>Its files</h2><pre><code>{text(card.tree)}</code></pre><h2>Samples</h2>")
    body += [_samples(path, card) for path in stores] or ["<p>No store of it is here, so there is nothing to show.</p>"]
    body.append(f"<h2>Runs</h2><p>{link(f'../runs.html?filter={name}', f'{len(used)} finished runs')} read it.</p>")
    return page(card.title, "".join(body), f"data/{file_name(name)}.html")


def _samples(path: Path, card: DataCard) -> str:
    """Return a few pictures of a store, where they are phantoms or the licence allows it."""
    try:
        store = open_store(path)
    except (TlkitError, OSError, ValueError) as error:
        return f'<p class="warn">{text(error)}</p>'
    phantom = "phantom" in store.meta
    if not phantom and not may_show(card.licence):
        return (
            f"<p>{len(store)} images at {store.meta['size']} px. Not shown: the licence is '{text(card.licence)}'.</p>"
        )
    which = np.linspace(0, len(store) - 1, min(SAMPLES, len(store))).astype(int)
    pictures = "".join(
        f'<img src="{_picture(store, i)}" alt="sample {n} of {text(card.title)}">' for n, i in enumerate(which, 1)
    )
    kind = "Phantoms, no patients" if phantom else "Real images"
    return f'<p>{kind}: {len(store)} images at {store.meta["size"]} px.</p><p class="samples">{pictures}</p>'


def _picture(store: Store, place: int) -> str:
    """Return an image of a store as the address of a small PNG, from its darkest to its brightest value."""
    import base64

    from PIL import Image

    values = np.asarray(store.images[place], dtype=np.float32)
    values = (values - values.min()) / max(float(np.ptp(values)), 1e-6)
    image = Image.fromarray((255 * values).astype(np.uint8))
    image.thumbnail((96, 96))
    held = io.BytesIO()
    image.save(held, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}"
