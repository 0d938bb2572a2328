"""Choosing series from the whole index, and fetching them: `python -m benchmarks sources` (needs `.[open]`).

The largest size of the open RadNet is chosen from all CT series of the index, in a process of its own. Files come from
a server on loopback that gives what it is asked for at once, by `s5cmd.transfer` and by a bare s5cmd, in turns: what
is compared is the way here, not the line.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from tlkit import paths
from tlkit.sources import s5cmd

SERIES, FILES, SIZE, TURNS = 10, 20, 500_000, 5
CHOOSE = """
import json, resource, time
from tlkit.datasets import DATASETS
from tlkit.sources import idc_rule
wall, cpu = time.perf_counter(), time.process_time()
table = idc_rule.choose(DATASETS["open-radnet"], "12M")
print(json.dumps({
    "series": len(table), "wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu,
    "GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
}))
"""


def choose() -> dict[str, float]:
    """Return series, seconds (wall, cpu) and GB of choosing the largest size from the index, in a fresh process."""
    done = subprocess.run([sys.executable, "-c", CHOOSE], cwd=paths.REPO, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def fetch() -> tuple[list[float], list[float]]:
    """Return the seconds of our way and of a bare s5cmd, in turns."""
    sys.path.insert(0, str(paths.REPO / "tests" / "sources"))
    import s3_server

    ours, bare = [], []
    with s3_server.serving() as bucket, tempfile.TemporaryDirectory() as folder:
        uuids = [f"{k:08d}" for k in range(SERIES)]
        bucket.objects = {f"/idc/{uuid}/{k}.dcm": bytes(SIZE) for uuid in uuids for k in range(FILES)}
        rows = pd.DataFrame(
            {"path": [f"set/{uuid}/" for uuid in uuids], "url": [f"s3://idc/{uuid}/" for uuid in uuids]}
        )
        rows = rows.assign(files=FILES, bytes=FILES * SIZE)
        for turn in range(TURNS):
            began = time.perf_counter()
            s5cmd.transfer(rows, Path(folder, f"ours{turn}"), bucket.url, lambda n: None)
            ours.append(time.perf_counter() - began)
            orders = Path(folder, "orders")
            orders.write_text("".join(f"cp {row.url}* bare{turn}/{row.path}\n" for row in rows.itertuples()))
            command = [s5cmd.program(), "--no-sign-request", "--endpoint-url", bucket.url, "run", "orders"]
            began = time.perf_counter()
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            bare.append(time.perf_counter() - began)
    return ours, bare


def run() -> list[dict]:
    found = choose()
    what = f"{found['series']:,} series from the index"
    ours, bare = map(statistics.median, fetch())
    files = f"{SERIES * FILES} files of {SIZE / 1e6:g} MB by s5cmd, and bare (medians of {TURNS})"
    return [
        {
            "name": what,
            "unit": "s of CPU",
            "ours": found["cpu"],
            "other": 10.0,
            "ratio": found["cpu"] / 10,
            "limit": "<= 1",
        },
        {"name": what, "unit": "GB", "ours": found["GB"], "other": 2.0, "ratio": found["GB"] / 2, "limit": "<= 1"},
        {"name": files, "unit": "s", "ours": ours, "other": bare, "ratio": ours / bare, "limit": "<= 1.1"},
    ]
