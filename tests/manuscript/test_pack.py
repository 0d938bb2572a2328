"""A pack holds the finished runs and nothing that names a person or a machine; unpacking trusts nothing."""

from __future__ import annotations

import io
import json
import shutil
import struct
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_study import HOME, HOST, PATIENT, runs_of, write_run

from tlkit import __main__, paths, runfolder, runs, studies
from tlkit.config import ConfigError, NotAvailableError, TlkitError
from tlkit.manuscript import crate, pack, scrub
from tlkit.manuscript.unpacking import unpack
from tlkit.stats import baselines
from tlkit.workflow import needed


@pytest.fixture
def packed(tiny) -> Path:
    return pack.pack(studies.load("tiny"), tiny / "tiny.zip")


def elsewhere(tiny, monkeypatch, name: str = "other") -> Path:
    """Turn to the empty runs and paper folders of another machine."""
    root = tiny / name
    monkeypatch.setenv("TLKIT_RUNS", str(root / "runs"))
    monkeypatch.setenv("TLKIT_PAPER", str(root / "paper"))
    return root


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def words_in(path: Path, *words: str) -> list[tuple[str, str]]:
    """Return the parts of a pack that hold one of the words, tables of predictions decoded."""
    found = []
    for name, content in contents(path).items():
        text = content.decode("utf-8", "replace")
        if name.endswith(".parquet"):
            text = pd.read_parquet(io.BytesIO(content)).to_csv() + text
        found += [(name, word) for word in words if word in text]
    return found


def test_runs_go_round_and_are_done_elsewhere(tiny, packed, monkeypatch):
    before = studies.load("tiny").results()
    elsewhere(tiny, monkeypatch)
    found = unpack(packed)
    assert len(found["added"]) == 5 and not found["there"]
    assert all(runs.state(rid, verify=True) == "done" for rid in found["added"])
    pd.testing.assert_frame_equal(studies.load("tiny").results(), before)
    assert set(studies.load("tiny").plan()["state"]) == {"done"}
    assert (paths.paper_root() / "tables" / "tiny" / "quick" / "fig2.csv").is_file()
    assert unpack(packed)["there"] == found["added"], "a second time nothing changes"
    with pytest.raises(NotAvailableError, match="without weights"):
        runs.check_file(found["added"][0], "model.safetensors")


def test_no_trace_of_the_machine_is_left(packed, tiny):
    words = [HOST, HOME, str(tiny), str(Path.home()), '"host"', '"pid"', "notebook.ipynb"]
    assert words_in(packed, *words) == []
    assert not [name for name in contents(packed) if "store" in name or name.endswith((".npy", ".ipynb"))]


@pytest.fixture
def real(tiny, monkeypatch):
    """Make the study one of real data: pictures of Jane Doe, in a folder of her name."""
    folder = tiny / "data" / "Jane Doe pictures"
    for kind in ("broken", "whole"):
        (folder / kind).mkdir(parents=True)
        (folder / kind / "a.png").write_bytes(b"no picture, but bytes")
    spec = yaml.safe_load((tiny / "studies" / "tiny.yaml").read_text())
    card = {"layout": "class_folders", "folder": str(folder), "task": "multiclass"}
    spec["common"] |= {"data": "real", "datasets": {"hers": card}, "phantoms": {}}
    for part in ("pretrainings", "tasks"):
        for entry in spec["common"][part].values():
            entry |= {"dataset": "hers"} if "dataset" in entry else {}
    (tiny / "studies" / "tiny.yaml").write_text(yaml.safe_dump(spec))
    shutil.rmtree(tiny / "paper")
    import numpy as np

    study, rng = studies.load("tiny"), np.random.default_rng(0)
    for config in study.configs():
        write_run(config, rng)
    return study


def test_of_patients_nothing_is_left_but_pseudonyms_that_agree(real, tiny, monkeypatch):
    made = pack.pack(real, tiny / "real.zip")
    assert words_in(made, PATIENT, "Jane", "Doe", HOST, str(tiny)) == []
    frames = {
        name: pd.read_parquet(io.BytesIO(content))
        for name, content in contents(made).items()
        if name.endswith("predictions_test.parquet")
    }
    ids = [tuple(frame["id"]) for frame in frames.values()]
    assert len(frames) == 4 and len(set(ids)) == 1 and frames.popitem()[1]["patient"].nunique() == 6
    other = pd.read_parquet(
        io.BytesIO(
            contents(pack.pack(real, tiny / "again.zip"))[
                f"runs/{runs.run_id(real.configs()[-1])}/predictions_test.parquet"
            ]
        )
    )
    assert not set(other["id"]) & set(ids[0]), "the key of a pack is kept nowhere"
    before = real.results()
    elsewhere(tiny, monkeypatch)
    shutil.rmtree(tiny / "data")
    unpack(made)
    pd.testing.assert_frame_equal(studies.load("tiny").results(), before)  # found without the data


def test_an_analysis_opens_without_the_images_and_says_what_they_would_add(real, tiny, monkeypatch, capsys):
    """Of real data a pack brings no image: runs are found, tables drawn, and baselines named with the command."""
    made = pack.pack(real, tiny / "real.zip")
    elsewhere(tiny, monkeypatch)
    shutil.rmtree(tiny / "data")
    with pytest.raises(TlkitError, match="missing"):
        needed.complete(studies.load("tiny"), "30_fig2_task_dependency")
    unpack(made)
    study = studies.load("tiny")
    there = needed.complete(study, "30_fig2_task_dependency", make=True)
    assert len(there.done()) == 4 and "missing" not in capsys.readouterr().out
    assert baselines.baselines([config for _, config in study.shown_configs("30_fig2_task_dependency")]).empty
    assert "kinds: no baselines" in capsys.readouterr().out
    with pytest.raises(NotAvailableError, match="tlkit pack STUDY --weights"):
        runs.check_file(there.done()[0], "model.safetensors")


def test_an_identifier_that_is_left_stops_the_pack(real, tiny):
    rid = runs.run_id(real.configs()[-1])
    config = runfolder.folder(rid) / "history.csv"
    text = config.read_text().replace("loss", f"loss_of_{PATIENT}/1.png".replace("loss_of_", "", 1))
    config.write_text(text)
    status = runfolder.read_status(runfolder.folder(rid))
    runfolder.write_status(runfolder.folder(rid), status | {"files": runfolder.manifest(runfolder.folder(rid))})
    with pytest.raises(pack.PackError, match="would still hold"):
        pack.pack(real, tiny / "real.zip")
    assert not (tiny / "real.zip").exists()


def test_figures_of_real_data_and_tables_that_name_images_stay(real, tiny):
    from tlkit.report import saving

    about = {"study": "tiny", "notebook": "n", "scale": "quick", "phantom": False, "runs": [], "caption": "C"}
    saving.save_table(pd.DataFrame({"id": ["a"], "dice": [0.5]}), name="examples", **about)
    saving.save_table(pd.DataFrame({"task": ["a"], "dice": [0.5]}), name="means", **about)
    names = contents(pack.pack(real, tiny / "real.zip"))
    assert "tables/tiny/quick/means.csv" in names and not [
        n for n in names if "examples" in n or n.startswith("figures")
    ]


def test_the_weights_come_where_they_are_asked_for(tiny, monkeypatch):
    made = pack.pack(studies.load("tiny"), tiny / "whole.zip", weights=True)
    elsewhere(tiny, monkeypatch)
    rid = unpack(made)["added"][0]
    assert runs.check_file(rid, "model.safetensors").stat().st_size == 64


def test_nothing_done_is_nothing_to_pack(tiny):
    shutil.rmtree(tiny / "runs")
    with pytest.raises(ConfigError, match="make figures STUDY=tiny SCALE=quick"):
        pack.pack(studies.load("tiny"), tiny / "tiny.zip")


def rewritten(path: Path, change) -> Path:
    """Return a copy of a pack whose entries and list `change` has changed."""
    parts = contents(path)
    told = json.loads(parts.pop("pack.json"))
    change(parts, told)
    out = path.with_name("changed.zip")
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
        archive.writestr("pack.json", json.dumps(told))
    return out


def add(name: str, content: bytes = b"{}"):
    def change(parts, told):
        parts[name] = content
        told["files"][name] = pack._listed({name: content})[name]

    return change


def other_bytes(parts, told):
    name = next(n for n in parts if n.endswith("metrics.json"))
    parts[name] = parts[name].replace(b"0", b"1", 1)


def other_config(parts, told):
    name = next(n for n in parts if n.endswith("config.json"))
    add(name, parts[name].replace(b'"seed": 1', b'"seed": 7'))(parts, told)
    rid = name.split("/")[1]
    status = json.loads(parts[f"runs/{rid}/status.json"])
    status["files"]["config.json"] = told["files"][name]
    status.pop("check")
    add(f"runs/{rid}/status.json", json.dumps(status | {"check": pack.short_hash(status)}).encode())(parts, told)


HOSTILE = {
    "up": add("../evil.json"), "up in a run": add("runs/../../evil.json"), "absolute": add("/evil.json"),
    "drive": add("C:\\evil.json"), "backslash": add("runs\\evil\\config.json"), "a kind that no run has": None,
    "a run that is not listed": add("runs/finetune-x-y-100pct-s1-00000000/config.json"),
    "code": add("notebooks/evil.ipynb"),
    "changed bytes": other_bytes, "another config": other_config,
    "missing": lambda parts, told: parts.pop(next(iter(parts))),
    "unlisted": lambda parts, told: parts.update({"x": b""}),
    "another study": lambda parts, told: told.update(study="../x"),
    "a newer format": lambda parts, told: told.update(format=2),
    "no runs": lambda parts, told: told.pop("runs"), "a list of nothing": lambda parts, told: told.update(files=[1]),
}  # fmt: skip
HOSTILE["a kind that no run has"] = lambda parts, told: add(f"runs/{told['runs'][0]}/run.sh", b"rm -rf")(parts, told)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_hostile_or_damaged_is_refused_whole(name, packed, tiny, monkeypatch):
    bad = rewritten(packed, HOSTILE[name])
    root = elsewhere(tiny, monkeypatch)
    with pytest.raises(pack.PackError):
        unpack(bad)
    assert not list(tiny.rglob("evil*")) and not [*(root / "runs").glob("[!.]*")]
    assert __main__.main(["unpack", str(bad)]) == 1


def test_links_and_bombs_are_refused(packed, tiny, monkeypatch):
    parts = contents(packed)
    root = elsewhere(tiny, monkeypatch)
    with zipfile.ZipFile(tiny / "link.zip", "w") as archive:
        for name, content in parts.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o120777 << 16 if name.endswith("metrics.json") else 0
            archive.writestr(info, content)
    with pytest.raises(pack.PackError, match="no pack has"):
        unpack(tiny / "link.zip")
    data = bytearray(packed.read_bytes())  # a size that the header understates
    place = data.find(b"PK\x01\x02")
    data[place + 24 : place + 28] = struct.pack("<I", 1)
    (tiny / "bomb.zip").write_bytes(data)
    with pytest.raises(pack.PackError):
        unpack(tiny / "bomb.zip")
    assert not [*(root / "runs").glob("[!.]*")]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_is_refused_or_does_no_harm(data, packed, tiny, monkeypatch):
    raw = bytearray(packed.read_bytes())
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(0, len(raw) - 1))]
    else:
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    (tiny / "damaged.zip").write_bytes(raw)
    root = elsewhere(tiny, monkeypatch, "damage")
    shutil.rmtree(root, ignore_errors=True)
    try:
        found = unpack(tiny / "damaged.zip")
    except pack.PackError:
        return
    assert all(runs.state(rid, verify=True) == "done" for rid in found["added"])


@pytest.mark.parametrize(
    "text",
    [
        "/srv/Jane/a.png",
        "C:\\Users\\jane\\a.png",
        "file:///srv/x",
        "see ~/data/x",
        "at '/mnt/my disk/x'",
        "\\\\server\\share",
    ],
)
def test_absolute_paths_go(text):
    scrubbed = scrub.text(text, [])
    assert scrub.GONE in scrubbed and "Doe" not in scrubbed and not list(scrub.find_left(scrubbed, [], set()))


@pytest.mark.parametrize(
    "text", ["a/b", "https://example.org/x", "p < 0.05 / 3", "1/2", "and/or", "x86_64", "doi:10.1/x"]
)
def test_other_texts_stay(text):
    assert scrub.text(text, []) == text


def test_the_pack_is_an_ro_crate(packed):
    parts = set(contents(packed)) - {crate.NAME, "pack.json"}
    check_crate(json.loads(contents(packed)[crate.NAME]), parts)


def test_the_runs_folder_is_an_ro_crate_without_a_pack(tiny):
    assert __main__.main(["pack", "tiny", "--crate"]) == 0
    root = paths.runs_root()
    there = {p.relative_to(root).as_posix() for rid in runfolder.folders() for p in rid.iterdir()}
    described = json.loads((root / crate.NAME).read_text())
    check_crate(described, {name for name in there if not name.endswith("status.json")})
    sizes = {e["@id"]: int(e["contentSize"]) for e in described["@graph"] if e["@type"] == "File"}
    assert all((root / name).stat().st_size == size for name, size in sizes.items())
    assert len(runfolder.folders()) == 5 and not [*tiny.glob("*.zip")]


def check_crate(described: dict, files: set[str]) -> None:
    """Hold what version 1.1 requires of descriptor, root and files; every reference has an end."""
    graph = {e["@id"]: e for e in described["@graph"]}
    descriptor, root = graph[crate.NAME], graph["./"]
    assert descriptor["@type"] == "CreativeWork" and descriptor["about"] == {"@id": "./"}
    assert descriptor["conformsTo"]["@id"].startswith("https://w3id.org/ro/crate/1.")
    assert root["@type"] == "Dataset" and {"name", "description", "datePublished", "license"} <= set(root)
    parts = {part["@id"] for part in root["hasPart"]}
    assert parts == files
    assert all(graph[name]["@type"] == "File" and graph[name]["sha256"] for name in parts)
    actions = [e for e in graph.values() if e["@type"] == "CreateAction"]
    assert len(actions) == 5 and all(a["instrument"] and a["object"] and a["result"] for a in actions)
    ends = {
        r["@id"]
        for e in graph.values()
        for v in e.values()
        for r in (v if isinstance(v, list) else [v])
        if isinstance(r, dict)
    }
    assert {end for end in ends if not end.startswith("http")} <= set(graph)


def test_the_commands(tiny, monkeypatch, capsys):
    assert __main__.main(["pack", "tiny", "--out", str(tiny / "p.zip")]) == 0
    rid = runs_of(tiny)[0]
    elsewhere(tiny, monkeypatch)
    assert __main__.main(["unpack", str(tiny / "p.zip")]) == 0 and "5 runs were added" in capsys.readouterr().out
    assert runs.state(rid) == "done"
    assert __main__.main(["unpack", str(tiny / "studies" / "tiny.yaml")]) == 1
    assert "no whole pack" in capsys.readouterr().err
    assert __main__.main(["unpack", str(tiny / "nothing.zip")]) == 1
