"""The index of the NCI Imaging Data Commons: one row per DICOM series, as a package that is installed (`open`).

It comes with the package `idc-index-data`, which holds data alone: nothing of it is executed, and no network is needed.
"""

from __future__ import annotations

import html
import re
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from tlkit.sources import SourceError

PACKAGE = "idc-index-data"
INSTALL = "pip install '.[open]' in the repository"
COLUMNS = {  # of the index: ours
    "SeriesInstanceUID": "series", "StudyInstanceUID": "study", "PatientID": "patient", "collection_id": "collection",
    "analysis_result_id": "analysis", "Modality": "modality", "sop_class_name": "sop_class", "instanceCount": "files",
    "series_size_MB": "bytes", "license_short_name": "licence", "source_DOI": "doi", "aws_bucket": "bucket",
    "crdc_series_uuid": "uuid", "BodyPartExamined": "tag", "SeriesDescription": "described",
    "StudyDescription": "study_described", "Manufacturer": "maker", "PhotometricInterpretation": "photometric",
}  # fmt: skip
FEW = ("collection", "analysis", "modality", "sop_class", "licence", "doi", "bucket", "tag", "maker", "photometric")


def find_installed() -> str:
    """Return the version of the index that is installed, "" where there is none."""
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return ""


def folder() -> Path:
    """Return where the files of the index lie. Raises SourceError where it is not installed."""
    found = find_spec("idc_index_data")
    if found is None or not found.origin:
        raise SourceError(
            f"the index of the Imaging Data Commons is not installed ({PACKAGE}, 80 MB): {INSTALL}. Small sizes have "
            "their lists in tlkit/sources/lists and need no index."
        )
    return Path(found.origin).parent


def read_series(modalities: tuple[str, ...], collections: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return the series of some modalities (of some collections, by default of all), columns as COLUMNS names them.

    Texts that are missing are ""; columns with few values (FEW) are categories. Sorted by `series`.
    """
    import pyarrow.parquet as pq

    named = {new: old for old, new in COLUMNS.items()}
    only = [("Modality", "in", list(modalities))]
    only += [("collection_id", "in", list(collections))] if collections else []
    few = [named[name] for name in FEW]
    table = pq.read_table(folder() / "idc_index.parquet", columns=list(COLUMNS), filters=only, read_dictionary=few)
    found = table.rename_columns([COLUMNS[name] for name in table.column_names]).to_pandas(self_destruct=True)
    for name in FEW:
        categories = found[name].astype("category").cat.remove_unused_categories()
        has = "" in categories.cat.categories
        found[name] = (categories if has else categories.cat.add_categories([""])).fillna("")
    for name in ("patient", "described", "study_described"):
        found[name] = found[name].fillna("")
    found["bytes"] = (found["bytes"] * 1e6).round().astype("int64")  # the index has them as millions, exactly
    return found.sort_values("series", ignore_index=True)


def read_collections() -> pd.DataFrame:
    """Return what each collection shows: index `collection`; columns species, cancer_types, tumor_locations."""
    table = pd.read_parquet(folder() / "collections_index.parquet").set_index("collection_id").rename_axis("collection")
    return table[["collection_name", "species", "cancer_types", "tumor_locations"]].fillna("")


def read_citations() -> pd.DataFrame:
    """Return title, licence and citation by DOI (index, lower case), of the images and of what was made of them."""
    sources = pd.read_parquet(folder() / "collections_index.parquet", columns=["sources"])["sources"].explode()
    rows = [
        {"doi": s["source_doi"], "title": s["source_title"], "citation": s["citation"]}
        | {"licence": s["license"]["license_short_name"], "licence_url": s["license"]["license_url"]}
        for s in sources.dropna()
    ]
    made = pd.read_parquet(folder() / "analysis_results_index.parquet")
    made = made.rename(columns={"source_DOI": "doi", "analysis_result_title": "title"})
    made = made.rename(columns={"license_short_name": "licence", "license_url": "licence_url"})
    table = pd.concat([pd.DataFrame(rows), made])[["doi", "title", "licence", "licence_url", "citation"]].dropna()
    table["doi"] = table["doi"].str.lower()
    table["citation"] = table["citation"].map(strip_tags)
    table["title"] = table["title"].map(strip_tags)
    return table.drop_duplicates("doi").set_index("doi").sort_index()


def strip_tags(text: str) -> str:
    """Return a citation in one line, without the tags and entities of HTML."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", text))).strip()
