"""No arm of study `radiologynet` hangs on rounding: other processors, threads and seeds leave it groups enough."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tlkit import paths, studies
from tlkit.archives import pseudolabels
from tlkit.archives.pseudolabels import artefact, clustering
from tlkit.datasets import DATASETS, prepare
from tlkit.datasets.store import open_store
from tlkit.training.compute import limit_threads

SCALES = ("smoke", "quick")
TRAINED = ("tags", "images")  # the sources that a network turns to vectors; both variables are about networks alone
LEAST = 3  # groups of an arm; two are needed
PROCESSORS = {  # the instructions that oneDNN and ATen may use; "" as found
    "as found": ("", ""),
    "SSE41": ("SSE41", "default"),
    "AVX2": ("AVX2", "default"),
}


def archive(scale: str):
    """Return the study, its archive's store, and the settings of its groups at a scale."""
    study = studies.load("radiologynet", scale)
    phantom = study.phantom_parameters("radiologynet")
    chosen = pseudolabels.settings(**study.spec["pretrainings"]["radiologynet"]["groups"])
    store = open_store(prepare("radiologynet", study.spec["size"], phantom=phantom))
    return study, store, artefact.files_of("radiologynet", phantom), chosen


def save(folder: str, *sources: str) -> None:
    """Save the vectors of all scales, made on the processor that this process found or was told to use."""
    with limit_threads(1):
        for scale in SCALES:
            _, store, root, chosen = archive(scale)
            chosen = replace(chosen, sources=sources)
            np.savez(f"{folder}/{scale}.npz", **artefact.embed(store, root, DATASETS["radiologynet"], chosen)[1])


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """One runs folder: the archives are written and stored once."""
    return tmp_path_factory.mktemp("margin")


@pytest.fixture(scope="module")
def saved(root):
    """Return a function that gives the folder with the vectors of a processor; `TLKIT_RUNS` is `root` meanwhile."""

    @cache
    def made(processor: str):
        folder = root / processor
        folder.mkdir()
        if not any(PROCESSORS[processor]):
            save(str(folder), "text", *TRAINED)
            return folder
        told = dict(zip(("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY"), PROCESSORS[processor], strict=True))
        env = os.environ | told | {"TLKIT_RUNS": str(root), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(paths.REPO)}
        subprocess.run([sys.executable, __file__, folder, *TRAINED], check=True, env=env)
        return folder

    return made


def left(group: np.ndarray, here: np.ndarray, floor: int) -> np.ndarray:
    """Return which files an arm learns from: those `here` whose group has `floor` files here."""
    sizes = np.bincount(group[here], minlength=group.max() + 1)
    return here & (sizes >= floor)[group]


@pytest.mark.parametrize("processor", PROCESSORS)
@pytest.mark.parametrize("scale", SCALES)
def test_every_arm_keeps_groups_enough_on_any_processor(scale, processor, root, saved, monkeypatch):
    monkeypatch.setenv("TLKIT_RUNS", str(root))
    blocks = dict(np.load(saved("as found") / f"{scale}.npz")) | dict(np.load(saved(processor) / f"{scale}.npz"))
    study, store, _, chosen = archive(scale)
    files = store.table.drop_duplicates("path").reset_index(drop=True)
    images = store.table.groupby("path").size().loc[files["path"]].to_numpy()
    arms = {n: e for n, e in study.spec["pretrainings"].items() if "groups" in e and study.backbones(n)}
    assert {tuple(e.get("where", {}).values()) for e in arms.values()} == {(), ("MR",), ("CT",), ("CR",)}
    share = 1 - study.spec["split"]["val"] - study.spec["split"]["test"]  # of the images, to train on
    features, targets = clustering.fuse(blocks, chosen.method), files[artefact.TARGETS].fillna("").astype(str)
    for seed in range(5):
        group = clustering.cluster(features, chosen.k, chosen.method, seed=seed, fit_on=chosen.fit_on)
        summary = clustering.heterogeneity(group, targets)
        kept = clustering.select(summary, chosen.rule, chosen.limit, chosen.floor)["kept"].to_numpy()
        assert kept.mean() > 0.7
        for name, entry in arms.items():
            one = entry.get("where", {}).get("modality")
            here = (files["modality"] == one).to_numpy() if one else np.ones(len(files), bool)
            stays = left(group, kept[group] & here, chosen.floor)
            assert len(np.unique(group[stays])) >= LEAST, (name, seed)
            assert share * images[stays].sum() >= entry["images"], (name, seed)


if __name__ == "__main__":
    save(*sys.argv[1:])
