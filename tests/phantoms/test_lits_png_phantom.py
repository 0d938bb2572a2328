import nibabel as nib
import numpy as np

from tlkit.datasets import DATASETS
from tlkit.datasets.store import build_store, open_store
from tlkit.layouts import lits, lits_png
from tlkit.phantoms import write

TINY = {"volumes": 3, "pixels": 32, "slices": (12, 14)}


def test_the_png_twin_shows_the_slices_of_the_lits_twin(tmp_path):
    png, nifti = (write.make(name, tmp_path, 7, **TINY) for name in ("lits_png", "lits"))
    samples, rejects = lits_png.scan(png, DATASETS["lits-png"])
    volumes, _ = lits.scan(nifti, DATASETS["lits"])
    assert rejects.empty and samples["id"].tolist() == volumes["id"].tolist()
    assert {nib.load(p).shape[:2] for p in nifti.glob("volume*")} == {(32, 32)}
    for _, rows in volumes.groupby("path"):
        images, masks = zip(*lits.slices(nifti, rows, DATASETS["lits"]), strict=True)
        for i, hu, mask in zip(rows.index, images, masks, strict=True):
            (grey,), (seen,) = lits_png.decode(png, samples.loc[[i]], DATASETS["lits-png"])
            assert (seen == mask).all()
            assert (grey == np.rint(np.clip((hu + 160.0) / 400, 0, 1) * 255)).all()  # -160 to 240 HU
    size = sum(p.stat().st_size for p in png.iterdir())
    assert size < write.expected_bytes("lits_png", **TINY)


def test_its_store_is_called_phantom_and_counts_livers(tmp_path):
    root = write.make("lits_png", tmp_path, 7, **TINY)
    opened = open_store(build_store(DATASETS["lits-png"], root, 16, tmp_path / "stores"))
    assert opened.meta["title"].startswith("Phantom of") and opened.images.dtype == np.uint8
    assert (opened.table["liver_px"] > 0).any() and (opened.table["lesion_px"] > 0).any()
