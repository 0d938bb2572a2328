from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import loopback
import pytest

from tlkit.datasets import DATASETS, DataCard
from tlkit.sources import download

CARD = DATASETS["organcmnist"]
HOST = "/data.example.org/set/"


@pytest.fixture
def site(monkeypatch) -> Iterator[loopback.Site]:
    """A server that stands in for every source of files, which waits for no second try."""
    monkeypatch.setattr(download, "PAUSE", 0.01)
    monkeypatch.delenv("HTTP_PROXY", raising=False)
    monkeypatch.delenv("http_proxy", raising=False)
    with loopback.serving() as site:
        monkeypatch.setenv("TLKIT_ENDPOINT_HTTP", site.url)
        yield site


@pytest.fixture
def card(site) -> Callable[..., DataCard]:
    """Return a function that puts files on the server, and returns the card of a data set that they are."""

    def make(sizes: dict[str, dict[str, bytes]], md5: bool = True, **more) -> DataCard:
        listed = {}
        for size, files in sizes.items():
            site.files |= {HOST + name: body for name, body in files.items()}
            listed[size] = {name: site.md5(HOST + name) if md5 else {} for name in files}
        fetch = {"kind": "http", "url": "https://data.example.org/set/{}", "sizes": listed, **more}
        return replace(CARD, name="toy", folder="a b'ü/toy", fetch=fetch)

    return make
