"""What CONTRIBUTING.md says of adding things: its blocks are written to an empty folder, as by a newcomer, and run."""
# ruff: noqa: E501  one edit a line

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from tlkit import paths, runs, studies
from tlkit.datasets import DATASETS
from tlkit.datasets.cards import MissingDataError, read_card
from tlkit.datasets.store import open_store
from tlkit.models import WEIGHTS, MissingWeightsError, backbone, weight_list
from tlkit.studies.own import OwnDataset, OwnWeights
from tlkit.studies.running import RunsFailedError
from tlkit.studies.studyfile import StudyError
from tlkit.training.data import DataChangedError
from tlkit.training.run import run
from tlkit.workflow import execution, graph

GUIDE = (paths.REPO / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```$", GUIDE, re.M | re.S))
STUDY = BLOCKS["studies/mine.yaml"]
CLASSES = ("broken", "whole")


@pytest.fixture(scope="module")
def theirs() -> dict[str, torch.Tensor]:
    return backbone("resnet10", seed=7).state_dict()


@pytest.fixture
def empty(tmp_path, monkeypatch) -> Path:
    """Return a newcomer's folder, with the study and the notebook of the guide and no other."""
    root = tmp_path / "it's ä newcomer"
    for name in ("studies", "notebooks", "data", "weights", "cards"):
        (root / name).mkdir(parents=True)
    monkeypatch.setenv("TLKIT_DATA", str(root / "data"))
    monkeypatch.setenv("TLKIT_WEIGHTS", str(root / "weights"))
    monkeypatch.setattr(paths, "STUDIES", root / "studies")
    monkeypatch.setattr(paths, "NOTEBOOKS", root / "notebooks")
    monkeypatch.syspath_prepend(str(root))
    for name in ("my_layout", "my_kinds", "my_figure"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    write_notebook(root / "notebooks" / "70_my_figure.ipynb")
    write_study(root, STUDY)
    return root


@pytest.fixture
def here(empty, theirs) -> Path:
    """Return that folder with twelve images and a file of weights."""
    draw_images(empty / "data" / "my wrists")
    save(theirs, empty / "weights" / "theirs.pth")
    return empty


def draw_images(folder: Path, n: int = 6) -> None:
    rng = np.random.default_rng(0)
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            pixels = rng.integers(80 * label, 80 * label + 120, (36, 32), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{name} {i}.png")


def save(tensors: dict[str, torch.Tensor], path: Path, prefix: str = "module.") -> None:
    torch.save({"state_dict": {f"{prefix}{k}": v for k, v in tensors.items()}}, path)


def write_study(root: Path, text: str) -> None:
    (root / "studies" / "mine.yaml").write_text(text, encoding="utf-8")


def write_notebook(path: Path) -> None:
    """Write the notebook of the guide, whose cells begin with `# %%`."""
    _, *cells = re.split(r"^# %%(.*)\n", BLOCKS["notebooks/70_my_figure.ipynb"], flags=re.M)
    made = [
        nbformat.v4.new_code_cell(source, metadata={"tags": [tag.strip()] if tag.strip() else []})
        for tag, source in zip(cells[::2], cells[1::2], strict=True)
    ]
    kernel = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=made, metadata=kernel), path)


def changed(*edits: tuple[str, str]) -> str:
    text = STUDY
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def ids(study) -> dict[tuple[str, str], str]:
    return {(c["kind"], c["pretraining"]): runs.run_id(c) for c in study.configs()}


def done(study, pretraining: str = "") -> pd.DataFrame:
    """Do the runs of a study (from one pretraining), and return their results."""
    studies.run_all(study.finetune(pretraining), study)
    return study.results()


# --- a study, a data set, weights ---


def test_a_study_of_ones_own_images_and_weights_is_one_file(here):
    study = studies.load("mine", "quick")
    assert study.plan()["state"].tolist() == ["missing"] * 4
    assert study.has_data(study.finetune("theirs")[0]) and not study.absent
    record = execution.make_job(study, "data-wrists")
    store = open_store(record["store"])
    assert len(store) == 12 and store.meta["title"] == "My wrists" and store.meta["classes"] == list(CLASSES)
    done(study)
    assert study.headline()["pretraining"].tolist() == ["scratch", "theirs", "simclr"]
    assert study.names()["theirs"] == "their weights" and study.challenges()[0].title == "My wrists"
    assert list(study.arms()) == ["theirs", "simclr"]
    folder = runs.folder(ids(study)["finetune", "theirs"])
    assert "theirs.pth" in runs.read_json(folder / "weights.json")["report"]
    assert runs.read_json(folder / "weights.json")["random"] == []


def test_a_config_alone_leads_to_images_and_weights(here):
    """What another process or machine gets is the config."""
    config = json.loads(json.dumps(studies.load("mine", "quick").finetune("theirs")[0]))
    (here / "studies" / "mine.yaml").unlink()
    assert (run(config) / "metrics.json").exists()
    Image.new("L", (32, 32)).save(here / "data" / "my wrists" / "broken" / "another.png")
    with pytest.raises(DataChangedError, match="data set 'wrists' is not the one of this config"):
        run(config | {"seed": 2})


def test_content_decides_the_ids_and_places_and_titles_do_not(here):
    before = ids(studies.load("mine", "quick"))
    moved = here / "elsewhere"
    shutil.move(here / "data", moved)
    shutil.move(here / "weights" / "theirs.pth", moved / "new.pth")
    places = [("folder: my wrists", f'folder: "{moved / "my wrists"}"'), ("theirs.pth", f'"{moved / "new.pth"}"')]
    write_study(here, changed(*places, ("title: My wrists", "title: Yours, licence: none, counts: {images: 12}")))
    assert ids(studies.load("mine", "quick")) == before
    write_study(here, changed(*places, ("task: multiclass", "task: binary")))
    assert not set(ids(studies.load("mine", "quick")).values()) & set(before.values())
    write_study(here, changed(*places))
    save(backbone("resnet10", seed=8).state_dict(), moved / "new.pth")
    other = ids(studies.load("mine", "quick"))
    assert {key for key in before if before[key] != other[key]} == {("finetune", "theirs")}
    (moved / "my wrists" / "whole" / "whole 0.png").unlink()
    assert not set(ids(studies.load("mine", "quick")).values()) & set(before.values())


def test_all_that_can_be_said_of_a_data_set_can_be_said_of_ones_own(here):
    text = changed(
        (
            "  datasets:\n",
            "  splits: {wrists: {val: 0.3}}\n  max_unreadable: {wrists: 0.5}\n  datasets:\n    lits: Liver\n",
        ),
        ("experiments: [main]}", "experiments: [main], domains: {scratch: [wrists]}, files: {wrists: [mine]}}"),
    )
    write_study(here, text)
    study = studies.load("mine", "quick")
    data = study.finetune("scratch")[0]["data"]
    assert data["split"]["val"] == 0.3 and data["max_unreadable"] == 0.5
    assert study.figure("70_my_figure").domains == {"scratch": ["wrists"]}


def test_options_of_a_task_and_of_its_data_set_are_those_of_the_layout(here):
    text = changed(
        ("title: My wrists}", "options: {channels: 1, patient: {pattern: '[0-9]'}}}"),
        ("dataset: wrists, recipe: {base: finetune", "dataset: wrists, options: {fit: crop}, recipe: {base: finetune"),
    )
    write_study(here, text)
    study = studies.load("mine", "quick")
    data = study.finetune("scratch")[0]["data"]
    assert data["card"]["options"] == {"channels": 1, "patient": {"pattern": "[0-9]"}}
    assert data["options"] == {"fit": "crop"}
    store = open_store(execution.make_job(study, "data-wrists")["store"])
    assert store.images.ndim == 3 and store.patients_named and store.table["patient"].nunique() == 6


def test_own_weights_may_be_renamed_and_say_what_they_saw(here, theirs):
    said = "{file: theirs.pth, rules: [[module.net., '']], mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5], size: 40}"
    save(theirs, here / "weights" / "theirs.pth", prefix="module.net.")
    text = changed(
        ("{file: theirs.pth}", said), ("batch: 4}}\n  exp", "batch: 4, normalise: card}, size: card}\n  exp")
    )
    write_study(here, text)
    study = studies.load("mine", "quick")
    (config,) = study.finetune("theirs")
    assert config["recipe"]["normalise"] == "half" and config["data"]["size"] == 40
    where = run(json.loads(json.dumps(config)))
    assert runs.read_json(where / "weights.json") | {"report": ""} == {"report": "", "random": [], "other_input": []}


def test_own_weights_that_do_not_fit_are_an_error_that_names_their_backbone(here):
    save(backbone("torchvision/resnet18", seed=7).state_dict(), here / "weights" / "theirs.pth")
    with pytest.raises(RunsFailedError, match=r"not filled: .*It fits 'torchvision/resnet18'"):
        done(studies.load("mine", "quick"), "theirs")


def test_own_weights_of_a_part_can_be_allowed(here, theirs):
    part = {k: v for k, v in theirs.items() if not k.startswith("layer4.")}
    save(part, here / "weights" / "theirs.pth")
    write_study(here, changed(("weights: {file: theirs.pth}", "weights: {file: theirs.pth}, partial: true")))
    study = studies.load("mine", "quick")
    done(study, "theirs")
    told = runs.read_json(runs.folder(ids(study)["finetune", "theirs"]) / "weights.json")
    assert told["random"] and all(name.startswith("layer4.") for name in told["random"])


@pytest.mark.parametrize("folder", ["my wrist", "/no such folder/wrists", "~/no such folder/wrists"])
def test_images_that_are_not_there_are_planned_without_and_named(here, folder):
    write_study(here, changed(("folder: my wrists", f'folder: "{folder}"')))
    study = studies.load("mine", "quick")
    assert set(study.plan()["state"]) == {"missing"} and study.absent == {"wrists"}
    assert [job.name for job in graph.jobs(study)] == ["data-wrists", "figure-70_my_figure"]
    with pytest.raises(MissingDataError) as error:
        execution.make_job(study, "data-wrists")
    text = str(error.value)
    assert f"{folder}/ in the layout class_folders" in text and "`folder` of 'wrists'" in text
    below = folder == "my wrist"
    assert ("Set TLKIT_DATA" in text) == ("my wrists/" in text) == below
    assert below or f"{Path(folder).expanduser().parent} is no folder" in text


@pytest.mark.parametrize("file", ["other.pth", "/no such folder/theirs.pth"])
def test_weights_that_are_not_there_are_planned_without_and_named(here, file):
    shutil.copy(here / "weights" / "theirs.pth", here / "weights" / "other.pt")  # which is another file
    write_study(here, changed(("file: theirs.pth", f"file: {file}")))
    study = studies.load("mine", "quick")
    assert study.plan()["state"].tolist() == ["missing"] * 4 and study.absent == {file}
    with pytest.raises(MissingWeightsError) as error:
        study.finetune("theirs")
    text = str(error.value)
    assert f"Expected: {file}" in text and "{file: ...}` in the study file" in text and " 0 MB" not in text
    assert ("TLKIT_WEIGHTS/other.pth" in text) == (file == "other.pth")
    assert ("holds other.pt, theirs.pth" if file == "other.pth" else "no folder /no such folder") in text


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("layout: class_folders", "layout: class_folder", "datasets, wrists, layout: unknown layout 'class_folder'. Did"),
        ("layout: class_folders", '"layout": "no_module:LAYOUT"', "MODULE:OBJECT that Python can import (ModuleNotFoundError: No module"),
        ("layout: class_folders", '"layout": "os:sep"', "'os:sep' is no layout: expected"),
        ("layout: class_folders, ", "", "datasets, wrists: lacks `layout` (how its files lie"),
        ("folder: my wrists, ", "", "datasets, wrists: lacks `folder`"),
        ("folder: my wrists", "folder: 3", "datasets, wrists, folder: expected text, found 3."),
        ("folder: my wrists", "folders: my wrists", "folders: nothing reads this key. Did you mean 'folder'?"),
        ("task: multiclass", "task: multiclas", "task: unknown task kind 'multiclas'. Did you mean 'multiclass'?"),
        ("task: multiclass", 'task: "os:sep"', "'os:sep' is no kind of task: expected a class made from one of"),
        ("task: multiclass", "task: segmentation", "lacks `classes`: a segmentation task needs their names, the back"),
        ("task: multiclass", "task: multilabel", "lacks `classes`: a multilabel task needs their names, columns of 0"),
        ("task: multiclass", "task: regression", "its card lacks options.target"),
        ("title: My wrists", "options: {chanels: 1}", "options, chanels: nothing reads this key. Did you mean 'channels'"),
        ("title: My wrists", "options: {channels: 2}", "options, channels: unknown number of channels 2"),
        ("title: My wrists", "classes: [a, a]", "classes: expected each entry once"),
        ("    wrists: {", "    covid-ct: {", "datasets, covid-ct: 'covid-ct' has a card in tlkit/datasets/cards"),
        ("    wrists: {", "    wrist: {", "fracture, dataset: unknown data set 'wrists'. Did you mean 'wrist'?"),
        ("    wrists: {", "    covid-cd: A name\n    wrists: {", "covid-cd: unknown data set 'covid-cd'. Did you mean"),
        ("    wrists: {", "    x: 3\n    wrists: {", "datasets, x: expected its name in figures, or the card of a data"),
        ("data: real", "data: phantom", "'wrists' has files of its own, and the data are phantoms. Say `data: real`."),
        ("data: real", "data: real\n  phantoms: {wrists: {seed: 1}}", "phantoms, wrists: this data set has no phantom."),
        ("{file: theirs.pth}", "{fil: theirs.pth}", "weights, fil: nothing reads this key. Did you mean 'file'?"),
        ("{file: theirs.pth}", "{size: 32}", "pretrainings, theirs, weights: lacks `file`"),
        ("{file: theirs.pth}", "{file: theirs.pth, rules: [childre]}", "weights, rules, entry 1"),
        ("{file: theirs.pth}", "{file: theirs.pth, mean: [0.5]}", "weights, mean: expected 3 or more entries"),
        ("{file: theirs.pth}", "{file: theirs.pth, stem: some}", "weights, stem: unknown stem 'some'. Did you mean 'sum'?"),
        ("{file: theirs.pth}", "[theirs.pth]", "weights: expected a source of published weights, or {file: PATH}"),
        ("{file: theirs.pth}", "{file: theirs.pth}, dataset: wrists", "published `weights` are not trained here; take out"),
        ("batch: 4}}\n  exp", "batch: 4, normalise: card}}\n  exp", "theirs, weights: a task asks for the input of these"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_with_its_line(empty, old, new, words):
    write_study(empty, changed((old, new)))
    with pytest.raises(StudyError) as error:
        studies.load("mine", "quick")
    assert words in str(error.value) and re.match(r".*mine\.yaml:\d+: ", str(error.value))


@pytest.mark.parametrize("odd", [[3], {"a": 1}, "x:y", None], ids=str)
def test_any_value_of_what_a_study_brings_is_read_or_told(empty, odd):
    text = yaml.safe_load(STUDY)
    wrists, theirs = text["common"]["datasets"]["wrists"], text["common"]["pretrainings"]["theirs"]["weights"]
    for said, model in ((wrists, OwnDataset), (theirs, OwnWeights)):
        for name in model.model_fields:
            before = dict(said)
            said[name] = odd
            write_study(empty, yaml.safe_dump(text))
            with contextlib.suppress(StudyError):
                studies.load("mine", "quick").plan()
            said.clear()
            said.update(before)


# --- cards ---


def test_a_data_set_is_one_card(here, monkeypatch):
    (here / "cards" / "wrists.yaml").write_text(BLOCKS["cards/wrists.yaml"], encoding="utf-8")
    card = read_card(here / "cards" / "wrists.yaml")
    monkeypatch.setitem(DATASETS, card.name, card)
    write_study(here, re.sub(r"^  datasets:\n.*\n", "", STUDY, flags=re.M))
    study = studies.load("mine", "quick")
    assert "card" not in study.finetune("scratch")[0]["data"]
    assert len(done(study, "scratch"))


def test_weights_are_one_card(here, monkeypatch):
    (here / "cards" / "theirs.yaml").write_text(BLOCKS["weights/theirs.yaml"], encoding="utf-8")
    for card in weight_list.read_cards(here / "cards" / "theirs.yaml"):
        monkeypatch.setitem(WEIGHTS, card.name, card)
    write_study(here, changed(("weights: {file: theirs.pth}", "weights: theirs")))
    study = studies.load("mine", "quick")
    assert study.finetune("theirs")[0]["weights"].keys() == {"card", "sha256"}
    assert len(done(study, "theirs"))


# --- code ---


def test_a_layout_is_one_module(here):
    (here / "my_layout.py").write_text(BLOCKS["my_layout.py"], encoding="utf-8")
    folder = here / "data" / "my wrists"
    rows = [(f"{i}.png", f"P{i % 4}", CLASSES[i % 2]) for i in range(12)]
    for i, (name, _, label) in enumerate(rows):
        shutil.copy(folder / label / f"{label} {i // 2}.png", folder / name)
    pd.DataFrame(rows, columns=["file", "patient", "class"]).to_csv(folder / "labels.csv", index=False)
    layout = 'layout: "my_layout:LAYOUT", classes: [broken, whole]'
    write_study(here, changed(("layout: class_folders", layout)))
    study = studies.load("mine", "quick")
    assert len(done(study, "scratch"))
    assert study.finetune("scratch")[0]["data"]["card"]["layout"] == "my_layout:LAYOUT"


def test_a_kind_of_task_is_one_class(here):
    (here / "my_kinds.py").write_text(BLOCKS["my_kinds.py"], encoding="utf-8")
    edits = (
        ("task: multiclass", 'task: "my_kinds:Recall"'),
        ("finetune, epochs: 1", "finetune, augment: simclr, epochs: 1"),
    )
    write_study(here, changed(*edits))
    study = studies.load("mine", "quick")
    assert study.monitors() == {"fracture": ("recall", 1)}
    done(study, "scratch")
    (row,) = study.headline().itertuples()
    assert row.metric == "recall" and 0 <= row.value <= 1


def test_a_figure_is_one_module_and_one_notebook(here, monkeypatch):
    (here / "my_figure.py").write_text(BLOCKS["my_figure.py"], encoding="utf-8")
    study = studies.load("mine", "quick")
    done(study, "scratch")
    monkeypatch.setenv("TLKIT_STUDIES", str(here / "studies"))
    monkeypatch.setenv("TLKIT_NOTEBOOKS", str(here / "notebooks"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(here), os.environ.get("PYTHONPATH", "")]))
    record = execution.make_job(study, "figure-70_my_figure")
    assert record["state"] == "incomplete", "one run of three is there, and it is said"
    figure = paths.paper_root() / "figures" / "mine" / "quick" / "mine.json"
    assert runs.read_json(figure)["runs"] == [ids(study)["finetune", "scratch"]]


def test_the_guide_has_a_block_for_each_kind():
    assert set(BLOCKS) == {
        "studies/mine.yaml", "cards/wrists.yaml", "weights/theirs.yaml", "my_layout.py", "my_kinds.py", "my_figure.py",
        "notebooks/70_my_figure.ipynb",
    }  # fmt: skip


@pytest.mark.parametrize("walk", ["One image from disk to figure", "One study from `make figures` to its runs"])
def test_a_walk_takes_at_most_eight_files_that_are_there(walk):
    said = re.search(rf"\*\*{re.escape(walk)}:\*\*(.*?)\n\n", GUIDE, re.DOTALL)[1]
    files = [re.match(r"\s*`([^`]+)`", stop)[1] for stop in said.split("→")]
    assert 2 < len(files) <= 8
    assert [f for f in files if not any((paths.REPO / part / f).is_file() for part in ("", "tlkit"))] == []
