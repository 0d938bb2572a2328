"""From open sources to figures, all on loopback: `python tests/sources/open_study.py [--study NAME] --to FOLDER`.

What the Imaging Data Commons has, a real S3 server has (moto): phantom series under the bucket and the keys of the
list, which the real s5cmd brings. Files come from an HTTP server, open_ms_data from a repository of git. The study
runs in a copy of this repository, whose cards have the MD5 and the commit of the stand-ins. A few minutes; needs
`pip install 'moto[server]'` beside the extra `open`. All images are phantoms.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import loopback  # noqa: E402
import pandas as pd  # noqa: E402

from tlkit import studies  # noqa: E402
from tlkit.datasets import DATASETS  # noqa: E402
from tlkit.phantoms import write as phantoms  # noqa: E402
from tlkit.sources import files, idc  # noqa: E402

NEEDED = ("tlkit", "notebooks", "paper/studies", "paper/claims", "Snakefile", "pyproject.toml")
MORE = {"open-radnet": {"series": 48, "slices": (30, 36)}, "open-radiologynet": {"patients": 60}}  # for a whole list
PICTURES = ("CR", "DX", "US", "MG")  # a phantom radiograph stands in for each of these


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--study", default="open_boundaries")
    parser.add_argument("--to", type=Path, required=True, help="an empty folder")
    asked = parser.parse_args()
    to = asked.to.resolve()
    study = studies.load(asked.study, "smoke")
    copy = to / "repository"
    for name in NEEDED:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, copy / name)
    with ExitStack() as running:
        ends = running.enter_context(serving(study, to / "served", copy))
        own = {"TLKIT_DATA": to / "data", "TLKIT_RUNS": to / "runs", "TLKIT_PAPER": to / "paper", "PYTHONPATH": copy}
        env = {**os.environ, **ends, **{name: str(path) for name, path in own.items()}}
        env |= {"ACCEPT": "1", "TLKIT_UNATTENDED": "1"}
        series = next(name for name in study.spec["phantoms"] if DATASETS[name].fetch["kind"] == "idc")
        for arguments in (
            ("data", "get", series, "--size", "mini", "--yes"),
            ("data", "verify", series),
            ("figures", "--study", asked.study, "--scale", "smoke", "--data", "real"),
            ("status", "--study", asked.study),
        ):
            call(arguments, copy, env)
    made = sorted((to / "paper" / "figures" / asked.study / "smoke").glob("*.png"))
    print("\n".join(["", "Figures:", *map(str, made)]))
    sys.exit(0 if made else "no figure was made")


def call(arguments: tuple[str, ...], where: Path, env: dict[str, str]) -> None:
    print(f"\n$ python -m tlkit {' '.join(arguments)}", flush=True)
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "tlkit", *arguments], cwd=where, env=env, check=True)
    print(f"[{time.perf_counter() - began:.0f} s]", flush=True)


@contextmanager
def serving(study: studies.Study, folder: Path, copy: Path) -> Iterator[dict[str, str]]:
    """Serve a phantom of each data set of a study where its source would be; yields the settings that lead there."""
    with loopback.serving() as site, serving_series() as (there, client):
        for name, said in study.spec["phantoms"].items():
            card = DATASETS[name]
            made = phantoms.make(card.phantom, folder, **said | MORE.get(name, {}))
            if card.fetch["kind"] == "idc":
                put_series(client, idc.series(card, "mini"), made)
            elif card.fetch["kind"] == "git":
                change(copy, name, card.fetch["commit"], commit(made, folder / card.fetch["url"].partition("://")[2]))
            else:
                (row,) = files(card, "mini").itertuples()
                body = packed(made, row.path)
                path = "/" + row.url.partition("://")[2].partition("?")[0]
                site.files[path] = body
                change(copy, name, row.md5, site.md5(path))
                change(copy, name, f"bytes: {row.bytes}", f"bytes: {len(body)}")
        mirrors = {"HTTP": site.url, "GIT": folder.as_uri(), "IDC": there}
        yield {f"TLKIT_ENDPOINT_{kind}": url for kind, url in mirrors.items()}


@contextmanager
def serving_series() -> Iterator[tuple]:
    """Run an S3 server that anyone may read; yields its address, and a client that writes."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for every request
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "us-east-1"}
    try:
        yield address, boto3.client("s3", endpoint_url=address, **keys)
    finally:
        server.stop()


def put_series(client, table: pd.DataFrame, made: Path) -> None:
    """Put a phantom under the keys of each series of a list: its UID and its patient, of its modality where known."""
    import pydicom
    from pydicom.uid import generate_uid

    for bucket in table["bucket"].unique():
        client.create_bucket(Bucket=bucket, ACL="public-read")
    found: dict[str, list[list[Path]]] = {}
    for folder in sorted({file.parent for file in made.rglob("IM*") if file.parent.name != "odd"}):
        slices = sorted(folder.glob("IM*"))
        found.setdefault(str(pydicom.dcmread(slices[0], stop_before_pixels=True).Modality), []).append(slices)
    turns = {modality: cycle(series) for modality, series in found.items()}
    for row in table.itertuples():
        kind = "CR" if row.group in PICTURES else row.group if row.group in turns else "CT"
        for k, file in enumerate(next(turns[kind])):
            ds = pydicom.dcmread(file)
            ds.SeriesInstanceUID, ds.PatientID, ds.PatientName = row.series, row.patient, ""
            ds.Modality = row.group if row.group in PICTURES else kind
            ds.StudyInstanceUID = generate_uid(entropy_srcs=[row.patient])  # phantoms are lent to several patients
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid(
                entropy_srcs=[row.series, str(k)]
            )
            key = f"{row.uuid}/{ds.SOPInstanceUID}.dcm"
            client.put_object(Bucket=row.bucket, Key=key, Body=written(ds), ACL="public-read")


def written(ds) -> bytes:
    stream = io.BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def packed(made: Path, name: str) -> bytes:
    """Return what an address gives of a phantom: its array file, or all of it packed below one folder."""
    if name.endswith(".npz"):
        (file,) = made.glob("*.npz")
        return file.read_bytes()
    archive = made.with_name(name)
    with tarfile.open(archive, "w:gz") as packing:
        packing.add(made, name.partition(".")[0], filter=lambda m: None if m.name.endswith("phantom.json") else m)
    return archive.read_bytes()


def commit(made: Path, to: Path) -> str:
    """Make a repository of a phantom, and return its commit."""
    shutil.copytree(made, to)
    me = ("git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(to))
    for order in ("init -q", "config uploadpack.allowFilter true", "config uploadpack.allowAnySHA1InWant true"):
        subprocess.run([*me, *order.split()], check=True)
    subprocess.run([*me, "add", "-A"], check=True)
    subprocess.run([*me, "commit", "-qm", "data"], check=True)
    return subprocess.run([*me, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def change(copy: Path, name: str, old: str, new: str) -> None:
    card = copy / "tlkit" / "datasets" / "cards" / f"{name}.yaml"
    card.write_text(re.sub(re.escape(old), new, card.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
