"""A small index of the shape of the Imaging Data Commons', of made-up collections."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

CT, SEG, RAW = "CT Image Storage", "Segmentation Storage", "Raw Data Storage"
PARTS = ("CHEST", "ABDOMEN", "HEAD", "LEG", "PELVIS", "LSPINE", "")


def series(n: int = 0, **said) -> dict:
    """Return a row of the index: a CT series of 30 + n slices of a patient of its own."""
    uid = f"1.2.{n:05d}"
    row = {
        "collection_id": "lungs", "analysis_result_id": None, "PatientID": f"P{n}", "SeriesInstanceUID": uid,
        "StudyInstanceUID": f"{uid}.1", "source_DOI": "10.1/LUNGS", "StudyDescription": None,
        "BodyPartExamined": PARTS[n % 6], "Modality": "CT", "sop_class_name": CT, "PhotometricInterpretation":
        "MONOCHROME2", "Manufacturer": "SIEMENS", "SeriesDescription": f"Axial {n}", "instanceCount": 30 + n,
        "license_short_name": "CC BY 4.0", "aws_bucket": "idc", "crdc_series_uuid": f"uuid-{n}",
        "series_size_MB": 0.5 * (30 + n),
    }  # fmt: skip
    return row | said


def write(folder: Path, rows: list[dict]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_parquet(folder / "idc_index.parquet")
    licence = {"license_short_name": "CC BY 4.0", "license_url": "https://example.org/by"}
    source = {"source_title": "Lungs", "citation": "Me &amp; you.\n<i>Lungs</i> (2026).", "license": licence}
    shown = [("lungs", "Human", "Lung"), ("livers", "Human", "Liver")]
    shown += [("mice", "Mouse", "Lung"), ("blocks", "Human", "Phantom")]
    collections = [
        {"collection_id": name, "collection_name": name, "species": kind, "cancer_types": cancer}
        | {"tumor_locations": "x", "sources": [source | {"source_doi": f"10.1/{name.upper()}"}]}
        for name, kind, cancer in shown
    ]
    pd.DataFrame(collections).to_parquet(folder / "collections_index.parquet")
    made = {"source_DOI": "10.1/MASKS", "analysis_result_title": "Masks", "citation": "They. Masks (2026)."} | licence
    pd.DataFrame([made]).to_parquet(folder / "analysis_results_index.parquet")
    return folder
