"""Pseudo-labels as a cached artefact: the archive's images, each with its group and its label.

`<name>[-phantom]-<8 hex>/` holds groups.parquet (one row per image of the store), summary.csv (one per group),
scores.csv and groups.json. The 8 digits stand for the store and all settings. No text of a report or header is written.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pandas as pd

from tlkit import paths, runs
from tlkit.archives.pseudolabels import clustering, images, tags, text
from tlkit.config import ConfigError, NotAvailableError, file_name, lookup, short_hash
from tlkit.datasets import DATASETS, DataCard, files, layout_of, prepare, splits
from tlkit.datasets.options import Dataset, find_card
from tlkit.datasets.store import Store, open_store
from tlkit.declared import Keys, declare, one_of
from tlkit.files import building, sha256
from tlkit.runfolder import damaged
from tlkit.training.compute import limit_threads

GROUPS_VERSION = 2
TARGETS = ["modality", "body_part"]
COLUMNS = ["id", "path", "patient", "exam", *TARGETS, "group", "kept", "label"]
PACKAGES = ("tlkit", "torch", "numpy", "pandas", "scikit-learn", "kmedoids")
HELD_OUT = 0.1  # share of the images, by patient, whose error selects the epoch of an autoencoder
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """All that decides the groups besides the images. The defaults are for an archive of the published size."""

    k: int = 50
    method: str = "kmeans"  # a key of clustering.METHODS
    sources: tuple[str, ...] = ("text", "tags", "images")
    images: str = "autoencoder"  # a key of images.EXTRACTORS
    encoder: str = ""  # id of a finished pretraining run whose encoder is used instead
    seed: int = 0
    text_size: int = 64  # dimensions of a report
    tag_epochs: int = 50
    image_epochs: int = 20
    image_pixels: int = 32  # side of the autoencoder's input
    image_size: int = 64  # dimensions of an image's code
    fit_on: int = 5000  # files that the groups are fitted on
    rule: str = "threshold"  # a key of clustering.RULES
    limit: float = 0.5  # of the entropy, or the quantile
    floor: int = 20  # files of a group
    also: tuple[int, ...] = ()  # other numbers of groups, for scores.csv alone
    threads: int = 1  # of torch and BLAS, whose sums they round

    def __post_init__(self) -> None:
        lookup(self.method, clustering.METHODS, "method of clustering")
        lookup(self.rule, clustering.RULES, "rule for dropping groups")
        lookup(self.images, images.EXTRACTORS, "image embedding")
        if not self.sources or len(set(self.sources)) < len(self.sources):
            raise ConfigError(f"sources: expected one or more of {', '.join(SOURCES)}, found {self.sources}")
        for source in self.sources:
            lookup(source, SOURCES, "source")
        if not 0 <= self.limit <= 1:
            raise ConfigError(f"limit: expected 0 to 1, found {self.limit}")
        if self.encoder and self.images != "simclr":
            raise ConfigError(f"encoder '{self.encoder}' goes with images 'simclr', found '{self.images}'")


def settings(**parameters: Any) -> Settings:
    """Return the settings; lists become tuples. Raises UnknownNameError for a parameter that is none."""
    known = {field.name: None for field in fields(Settings)}
    for name in parameters:
        lookup(name, known, "parameter of pseudo-labels")
    return Settings(**{k: tuple(v) if isinstance(v, list) else v for k, v in parameters.items()})


@cache
def declaration() -> type[Keys]:
    """Return the declaration of what a study says of them."""
    hints = get_type_hints(Settings)
    about: dict[str, Any] = {name: {"ge": 1} for name, hint in hints.items() if hint is int}
    about |= {"k": {"ge": 2}, "seed": {"ge": 0, "lt": 2**32}, "limit": {"ge": 0, "le": 1}}
    about |= {"method": one_of(clustering.METHODS, "method of clustering"), "rule": one_of(clustering.RULES, "rule")}
    about |= {"images": one_of(images.EXTRACTORS, "image embedding")}
    return declare("Settings", hints, about)


def make(
    dataset: Dataset,
    size: int,
    phantom: dict[str, Any] | None = None,
    max_unreadable: float | None = None,
    **parameters: Any,
) -> Path:
    """Return the folder with the groups of an archive (its name, or a card), whose images are stored at `size` px.

    `phantom`, `max_unreadable` as in `tlkit.datasets.prepare`, `parameters` are those of `Settings`. Groups that are
    there are returned at once; a second process waits for the one that makes them. Files, not images, are grouped: all
    frames and windows of a file share a label. Deterministic on a CPU.
    Raises UnknownNameError, ConfigError (no such archive, more groups than distinct samples), MissingDataError, and
    NotAvailableError where no group is kept.
    """
    chosen, card = settings(**parameters), _archive(dataset)
    store = open_store(prepare(card, size, phantom, max_unreadable=max_unreadable))
    key = {"store": store.path.name, "settings": asdict(chosen), "version": GROUPS_VERSION}
    final = paths.groups_root() / f"{file_name(card.name)}{'' if phantom is None else '-phantom'}-{short_hash(key)}"
    with building(final) as part:
        if part:
            log.info("%s: grouping the files of %d images", card.name, len(store))
            with limit_threads(chosen.threads):
                _write(part, store, files(card, phantom), card, chosen, key)
    return final


def labels(table: pd.DataFrame, folder: Path) -> pd.Series:
    """Return the label of each row of a store's table, int64, -1 where its group was dropped.

    Raises ConfigError where the groups are not those of this table, RunDamagedError where their file changed.
    """
    _check_whole(Path(folder))
    known = pd.read_parquet(Path(folder) / "groups.parquet", columns=["id", "label"]).set_index("id")["label"]
    found = table["id"].map(known)
    if found.isna().any():
        raise ConfigError(
            f"{int(found.isna().sum())} of {len(table)} images have no group in {Path(folder).name}: it was made from "
            "another store. Make the groups with the data set, phantom and size of the run."
        )
    return found.astype("int64").rename("label")


def files_of(dataset: Dataset, phantom: dict[str, Any] | None) -> Path:
    """Return the folder of an archive's files: the real one, or its phantom."""
    return files(_archive(dataset), phantom)


def _archive(dataset: Dataset) -> DataCard:
    card = find_card(dataset)
    if not (layout_of(card).tags and layout_of(card).reports):
        having = [c.name for c in DATASETS.values() if layout_of(c).reports]
        raise ConfigError(
            f"'{card.name}' has neither headers nor reports to group by. These archives have: {', '.join(having)}."
        )
    return card


@dataclass(frozen=True)
class Archive:
    """What the sources read; `held_out` [images] tells which images' error selects the epoch of an autoencoder."""

    store: Store
    root: Path
    card: DataCard
    files: pd.DataFrame  # one row per file: path, patient, exam, modality, body_part
    held_out: np.ndarray


def embed(store: Store, root: Path, card: DataCard, chosen: Settings) -> tuple[pd.DataFrame, dict, dict]:
    """Return the files (as `Archive.files`), the vectors of each source (float32 [files, D]), and facts about them."""
    held_out = splits.assign(store.table, val=HELD_OUT, test=0, seed=chosen.seed).eq("val").to_numpy()
    files = store.table.drop_duplicates("path")[["path", "patient", "exam", *TARGETS]].reset_index(drop=True)
    archive = Archive(store, root, card, files, held_out)
    blocks, facts = {}, {"files": len(files), "images": len(store)}
    for source in chosen.sources:
        blocks[source], told = SOURCES[source](archive, chosen)
        log.info("%s: %s, %d dimensions", card.name, source, blocks[source].shape[1])
        facts |= told
    return files, blocks, facts


def _text(archive: Archive, chosen: Settings) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the vector of each file's report: files of one exam share it."""
    exams = pd.Index(archive.files["exam"].unique())
    written = layout_of(archive.card).reports(archive.root, archive.card)
    found = written.reindex(exams).fillna("")
    facts = {"exams": len(exams), "exams_without_report": int(found.str.strip().eq("").sum())}
    facts |= {"reports_unreadable": len(written.attrs.get("rejected", ()))}
    return text.embed(found.tolist(), chosen.text_size, chosen.seed)[exams.get_indexer(archive.files["exam"])], facts


def _tags(archive: Archive, chosen: Settings) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the code of each file's header."""
    names = archive.files["path"]
    cleaned = tags.clean(layout_of(archive.card).tags(archive.root, archive.card).reindex(names))
    held_out = names.isin(archive.store.table.loc[archive.held_out, "path"]).to_numpy()
    codes = tags.embed(tags.impute(cleaned, chosen.seed), held_out, chosen.tag_epochs, chosen.seed)
    used = [*cleaned.categories, *cleaned.numbers]
    return codes, {"tags_used": used, "tags_dropped": cleaned.dropped, "tags_not_numbers": cleaned.lost}


def _images(archive: Archive, chosen: Settings) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the mean vector of each file's images (published: the vector of its first image)."""
    store = archive.store
    if chosen.encoder:
        vectors = images.of_run(store, chosen.encoder)
    else:
        extract = images.EXTRACTORS[chosen.images]
        sizes = chosen.image_pixels, chosen.image_size
        vectors = extract(store, archive.held_out, chosen.image_epochs, chosen.seed, *sizes)
    each = pd.DataFrame(vectors).groupby(store.table["path"].to_numpy(), sort=False).mean()
    return each.loc[archive.files["path"]].to_numpy(np.float32), {}


SOURCES = {"text": _text, "tags": _tags, "images": _images}


def _write(part: Path, store: Store, root: Path, card: DataCard, chosen: Settings, key: dict[str, Any]) -> None:
    files, blocks, facts = embed(store, root, card, chosen)
    targets = files[TARGETS].fillna("").astype(str)
    how = {"seed": chosen.seed, "fit_on": chosen.fit_on}
    group = clustering.cluster(clustering.fuse(blocks, chosen.method), chosen.k, chosen.method, **how)
    summary = clustering.select(clustering.heterogeneity(group, targets), chosen.rule, chosen.limit, chosen.floor)
    if not summary["kept"].any():
        raise NotAvailableError(
            f"{card.name}: none of {len(summary)} groups is kept (rule {chosen.rule}, limit {chosen.limit}, floor "
            f"{chosen.floor})\nRaise the limit, lower the floor, or ask for other groups."
        )
    table = store.table[["id", "path", "patient", "exam", *TARGETS]]
    table = table.assign(group=table["path"].map(dict(zip(files["path"], group, strict=True))))
    table = table.assign(**{c: table["group"].map(summary[c]) for c in ("kept", "label")})
    summary.insert(1, "images", table["group"].value_counts())
    table[COLUMNS].to_parquet(part / "groups.parquet")
    summary.to_csv(part / "summary.csv")
    ks = sorted({chosen.k, *chosen.also})
    clustering.compare(blocks, targets, ks, [chosen.method], **how).to_csv(part / "scores.csv", index=False)
    facts |= {"dimensions": {source: block.shape[1] for source, block in blocks.items()}}
    facts |= {"kept": int(summary["kept"].sum()), "versions": {p: version(p) for p in PACKAGES}}
    runs.write_json(part / "groups.json", {**key, **facts, "sha256": sha256(part / "groups.parquet")})


def _check_whole(folder: Path) -> None:
    """Raise RunDamagedError where the groups are not those that were made."""
    path = folder / "groups.parquet"
    if not path.exists() or sha256(path) != runs.read_json(folder / "groups.json").get("sha256"):
        raise damaged(path, "its bytes changed" if path.exists() else "missing")
