from __future__ import annotations

import re
from itertools import product

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit import listings, paths, runs, studies
from tlkit.config import ConfigError, UnknownNameError
from tlkit.datasets import MissingDataError
from tlkit.figures import convergence
from tlkit.models.weight_cards import MissingWeightsError
from tlkit.phantoms import brain_tumor
from tlkit.published.recipes_published import RADIOLOGYNET, RECIPES
from tlkit.studies import load, sources, studyfile
from tlkit.studies.studyfile import StudyError, merge
from tlkit.training.run import CONFIG_KEYS
from tlkit.workflow import graph
from tlkit.workflow.minutes import count_passes, plan_minutes
from tlkit.workflow.prices import RUN_SECONDS

FILES = {name: yaml.safe_load((paths.STUDIES / f"{name}.yaml").read_text()) for name in studyfile.names()}
SCALES = [(name, scale) for name, file in FILES.items() for scale in file["scales"]]
COPIES = {"copies": "drop", "near": 10}  # of a split, where the study says nothing of them
JOB_SIZES = ([], ["tasks"], ["experiments"], ["experiments", "tasks", "seeds"])


@pytest.fixture
def any_data(monkeypatch):
    """Real data sets count as present, with made-up content."""
    identity = sources.identity

    def made_up(name, phantom):
        return identity(name, phantom) if phantom else {"name": name, "content": f"content of {name}"}

    monkeypatch.setattr(sources, "identity", made_up)
    monkeypatch.setattr(
        sources.StudyData,
        "checkpoint",
        lambda self, source, backbone: {"card": f"{source}/{backbone}", "sha256": "0"},
    )


@pytest.fixture
def write_study(tmp_path, monkeypatch):
    """Return a function that saves a changed copy of the first study as the study `mine`."""
    text = yaml.safe_load((paths.STUDIES / "boundaries.yaml").read_text())
    monkeypatch.setattr(paths, "STUDIES", tmp_path)

    def write(**changes) -> None:
        mine = {**text, "common": merge(text["common"], changes)}
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(mine, sort_keys=False))

    write()
    return write


def done(config, metrics, seconds=60.0):
    with runs.claim(config) as run:
        runs.finish(run, metrics, seconds=seconds)
    return runs.run_id(config)


# --- loading ---


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_every_study_loads_at_every_scale(any_data, name, scale, monkeypatch):
    monkeypatch.setattr(brain_tumor, "picture", lambda kind, pixels, rng: np.zeros((1, 1), np.uint8))  # are counted
    study = load(name, scale)
    configs = study.configs()
    assert len({runs.run_id(c) for c in configs}) == len(configs)
    cells = set()
    for e in study.spec["experiments"].values():
        how = (e["mode"], e.get("fraction"), str(e.get("recipe")))
        sources = e.get("pretrainings", study.pretrainings)
        pairs = product(e.get("tasks", study.tasks), sources)
        if isinstance(sources, dict):
            pairs = [(task, source) for task in sources for source in sources[task]]
        axes = (e.get("seeds", study.spec["seeds"]), e.get("lrs", [None]), e.get("fractions", [None]))
        cells |= {(how, *pair, *rest) for pair, *rest in product(pairs, *axes)}
    made = [c for c in configs if c["kind"] == "pretrain"]
    assert configs[: len(made)] == made and len(configs) - len(made) == len(cells)
    started_from = {w["run"] for c in configs if (w := c.get("weights")) and "run" in w}
    assert started_from == {runs.run_id(c) for c in made}
    plan = plan_minutes(study)
    uncounted = plan["unpriced"].str.contains("does not count its images") & (scale == "paper")
    known = plan[~(uncounted & name.startswith("open_"))]  # of the largest open sizes nobody counted the images yet
    assert known["minutes"].gt(0).all() and set(known["unpriced"]) == {""}, "every run of ours has a price"


def test_the_first_study_is_the_papers_cross_product():
    study = load("boundaries", "course")  # quick leaves out BraTS
    configs = study.finetune(experiments=["E1", "E4"])
    kinds = pd.Series([c["mode"] for c in configs]).value_counts().to_dict()
    seeds = len(study.spec["seeds"])
    assert kinds == {"finetune": 4 * 5 * seeds, "lineval": 3 * 5 * seeds}
    frozen = {c["recipe"]["freeze"] for c in configs if c.get("mode") == "lineval"}
    assert frozen == {"encoder"} and {c["recipe"]["bn"] for c in configs if c.get("mode") == "lineval"} == {"frozen"}
    scratch = [c for c in configs if c["pretraining"] == "scratch"]
    assert {c["weights"] for c in scratch} == {None} and {c["mode"] for c in scratch} == {"finetune"}
    parents = {runs.run_id(study.pretrain(p)) for p in ("imagenet", "radnet", "radnet12m")}
    assert {c["weights"]["run"] for c in configs if c.get("weights")} == parents


def test_the_paper_scale_has_the_published_values(any_data):
    study = load("boundaries", "paper")
    assert not study.phantom and study.spec["backbone"] == "resnet50" and study.spec["size"] == 256
    for name in study.pretrainings[1:]:
        recipe = study.pretrain(name)["recipe"]
        assert recipe["epochs"] == (50 if name.startswith("mixed") else 100)
        assert (100, recipe["batch"], recipe["optimizer"], recipe["lr"]) == (100, 4096, "lars", 4.8)
    linear = next(c for c in study.finetune("imagenet", ["R"]) if c["mode"] == "lineval")
    assert linear["recipe"]["bn"] == "adapt" and linear["recipe"]["lr"] == 0.01 and linear["recipe"]["batch"] == 4096
    assert plan_minutes(study)["minutes"].sum() > 60 * 100


def test_the_size_adjustment_of_the_paper_scale_is_the_published_one(any_data):
    study = load("boundaries", "paper")
    sizes = study.size_adjustment()
    assert (sizes.small, sizes.large) == (1_281_167, 12_034_617)
    assert sizes.weight("radnet_ub") == pytest.approx(0.3344, abs=5e-5)
    assert study.pretrain("radnet")["data"]["images"] == 1_231_167, "trained on without val and test"
    del study.spec["pretrainings"]["radnet"]["corpus"]
    assert study.size_adjustment().weight("radnet_ub") == pytest.approx(0.3199, abs=5e-5)


def test_the_paper_scale_reads_images_as_published(any_data):
    study = load("radiologynet", "paper")
    configs = {c["task"]: c for c in study.finetune("scratch", experiments=["main"], seeds=[1])}
    for task, config in configs.items():
        if task.startswith("LUNA"):
            assert (config["data"]["size"], config["recipe"]["crop"], config["images_per_epoch"]) == (96, 64, 300_000)
            assert config["data"]["options"] == {"mask": "box", "split": "published"}
        else:
            assert config["data"]["options"] == {"fit": "pad"} and "images_per_epoch" not in config
    assert study.pretrain("imagenet", "unet")["data"]["options"] == {"fit": "crop"}
    assert study.spec["experiments"]["less_data"]["rates_of"] == "main"
    own = study.spec["pretrainings"]["radiologynet_all"]["by_backbone"]
    assert len(own) == 11 and {"torchvision/vgg16", "torchvision/efficientnet_b4"} < set(own)
    alone = {c["pretraining"] for c in study.finetune(experiments=["single_modality"])}
    assert alone == {f"radiologynet_{which}" for which in ("all", "mr", "ct", "cr")}, "one archive on both sides"


def test_the_paper_scale_has_every_published_subset(any_data):  # jonske2025 2.3
    study = load("boundaries", "paper")
    configs = {c["task"]: c for c in study.finetune("imagenet", experiments=["E2"], seeds=[42])}
    whole = {c["task"]: c for c in study.finetune("imagenet", experiments=["E1"], seeds=[42])}
    shares = {"S": 0.1, "M": 0.5, "XS": 0.01, "XXS": 0.001, "": 1.0}
    parts = {"BraTS": "MS", "CX8": "MS", "LiTS": "MS", "I1k": ("S", "XS"), "R": ("S", "XS", "XXS")}
    parts |= {"I100": ("", "S", "XS"), "I10": ("", "S", "XS")}
    assert set(configs) == {f"{task}{size}" for task, sizes in parts.items() for size in sizes} and len(configs) == 17
    for task, sizes in parts.items():
        parent = whole.get(task, whole["I1k"])
        for size in sizes:
            config = configs[f"{task}{size}"]
            assert config["fraction"] == shares[size] and config["data"]["name"] == parent["data"]["name"]
            if task in ("BraTS", "CX8", "LiTS"):
                assert config["recipe"] == parent["recipe"] and config["data"]["fraction_by"] == "slice"
            else:
                assert config["recipe"]["lr"] == RECIPES[f"{task}{size}_published"].lr != parent["recipe"]["lr"]
    assert [configs[t]["data"]["classes"] for t in ("I100S", "I10XS")] == [{"every": 10}, {"every": 100}]
    assert count_passes(configs["I100S"]) == pytest.approx(100 * 0.1 * 1_281_167 / 10)
    assert whole["CX8"]["data"]["split"] == {"val": 0.1, "test": 0.2, "seed": 42, "by": "image", **COPIES}


def test_pretraining_on_both_corpora_and_for_equal_steps():
    study = load("boundaries", "course")
    first, second, larger = map(study.pretrain, ("imagenet", "radnet", "radnet12m"))
    assert all(set(c) == set(CONFIG_KEYS["pretrain"]) for c in (first, second, larger))
    together, after, equal = map(study.pretrain, ("mixed_together", "mixed_sequential", "radnet12m_equal_steps"))
    assert together["data"] == [first["data"], second["data"]] and "weights" not in together
    images = sum(c["data"]["images"] for c in (first, second))
    assert count_passes(together) == 2 * together["recipe"]["epochs"] * images
    assert after["data"] == second["data"] and after["weights"] == {"run": runs.run_id(first)}
    assert study.lineage("mixed_sequential") == [first, after] and study.lineage("scratch") == []
    assert equal["data"] == larger["data"] and equal["recipe"] == larger["recipe"]
    assert count_passes(equal) == count_passes(second) < count_passes(larger)
    assert study.corpora("mixed_together") == ["imagenet", "radnet"] and study.corpora("scratch") == []


def test_a_run_of_two_experiments_is_done_once_and_counts_in_both():
    study = load("boundaries", "course")
    ids = [[runs.run_id(c) for c in study.finetune("radnet", ["R"], [e], [1])] for e in ("E4", "E8")]
    assert ids[0] == ids[1] and len(ids[0]) == 1
    assert [runs.run_id(c) for c in study.finetune()].count(ids[0][0]) == 1
    plan = study.plan()
    assert plan["run"].is_unique and plan.set_index("run")["experiment"][ids[0][0]] == "E4"
    done(study.finetune("radnet", ["R"], ["E4"], [1])[0], {"accuracy": 0.5})
    assert set(study.results()["experiment"]) == {"E4", "E8", "E4_equal_steps"}


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_every_pretraining_of_the_studies_is_an_arm_of_its_own(any_data, name, scale):
    study = load(name, scale)
    assert study.arms() == {name: name for name in study.pretrainings if name != "scratch"}


def test_a_pretraining_that_differs_by_its_seed_alone_is_another_run_of_its_arm(write_study):
    before = load("mine", "smoke")
    again = {"imagenet_2": {"of": "imagenet", "seed": 43, "title": "again"}}
    again |= {
        "further": {"of": "radnet", "after": "imagenet", "images": 30},
        "further_2": {"of": "further", "after": "imagenet_2"},
    }
    write_study(pretrainings=again, experiments={"E1": {"pretrainings": ["imagenet", "imagenet_2", "further_2"]}})
    study = load("mine", "smoke")
    arms = study.arms()
    assert (arms["imagenet_2"], arms["imagenet"], arms["radnet"]) == ("imagenet", "imagenet", "radnet")
    assert (arms["further_2"], arms["further"]) == ("further", "further") and "scratch" not in arms
    first, second = study.pretrain("imagenet"), study.pretrain("imagenet_2")
    assert (first["seed"], second["seed"]) == (42, 43)
    assert {k for k in first if first[k] != second[k]} == {"pretraining", "seed"}
    assert runs.run_id(first) == runs.run_id(before.pretrain("imagenet")), "a study without repeats keeps its runs"
    assert "Pretraining runs an arm" in study.shown("30_fig2_task_dependency").saved()["note"]
    assert "One pretraining run an arm" in before.shown("30_fig2_task_dependency").saved()["note"]


def test_alike_pretrainings_are_arms_of_their_own_unless_one_says_its_seed(write_study):
    write_study(pretrainings={"copy": {"of": "imagenet"}})
    assert load("mine", "smoke").arms()["copy"] == "copy"


def test_an_experiment_has_its_own_seeds(write_study):
    write_study(seeds=[1, 2], experiments={"E2": {"seeds": [1, 9]}})
    study = load("mine", "paper", "phantom")
    assert study.seeds == [1, 2, 9]
    assert {c["seed"] for c in study.finetune(experiments=["E1"])} == {1, 2}
    assert {c["seed"] for c in study.finetune(experiments=["E2"])} == {1, 9}
    assert study.finetune(experiments=["E1"], seeds=[9]) == []
    assert {c["task"] for c in study.finetune(seeds=[9])} == set(study.spec["experiments"]["E2"]["tasks"])
    with pytest.raises(UnknownNameError, match=r"unknown seed '3'\..* Allowed: 1, 2, 9"):
        study.finetune(seeds=[3])


def test_an_entry_of_another_follows_it_at_every_scale(write_study):
    write_study(
        tasks={
            "half": {"of": "R", "fraction": 0.5, "recipe": {"epochs": 3}},
            "small": {"of": "half", "images": 9},
        }
    )
    for scale in ("quick", "smoke"):
        tasks = load("mine", scale).spec["tasks"]
        assert {k: tasks["half"][k] for k in ("dataset", "classes", "images")} == {
            k: tasks["R"][k] for k in ("dataset", "classes", "images")
        }
        assert tasks["half"]["recipe"] == {**tasks["R"]["recipe"], "epochs": 3} == tasks["small"]["recipe"]
        assert (tasks["small"]["fraction"], tasks["small"]["images"]) == (0.5, 9)
    paper = load("mine", "paper", "phantom").spec["tasks"]
    assert "images" not in paper["I100S"] and paper["I100S"]["classes"] == {"every": 10}  # null reaches through


def test_an_experiment_changes_share_and_recipe_of_a_task(any_data):
    study = load("real_mini")
    whole, tenth = (study.finetune("scratch", ["covid-ct"], [e])[0] for e in ("finetune", "finetune_10pct"))
    assert (whole["fraction"], tenth["fraction"]) == (1.0, 0.1)
    changes = study.spec["experiments"]["finetune_10pct"]["recipes"]["covid-ct"]
    assert changes and {k: tenth["recipe"][k] for k in changes} == changes
    assert {**whole["recipe"], **changes} == tenth["recipe"] != whole["recipe"]


def test_a_filter_keeps_to_the_tasks_and_pretrainings_of_each_experiment(write_study):
    write_study(experiments={"E4_equal_steps": {"pretrainings": ["radnet12m_equal_steps"]}})
    study = load("mine")  # whose E2 has RS, and E4_equal_steps R alone
    assert {c["mode"] for c in study.finetune(tasks=["RS"])} == {"finetune"}
    assert {c["mode"] for c in study.finetune("scratch")} == {"finetune"}
    assert {(c["mode"], c["task"]) for c in study.finetune("radnet12m_equal_steps")} == {("lineval", "R")}
    assert study.finetune("radnet12m_equal_steps", ["I1k"]) == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: load("boundary"), "unknown study 'boundary'. Did you mean 'boundaries'?"),
        (lambda: load("boundaries", "smok"), "unknown scale 'smok'. Did you mean 'smoke'?"),
        (lambda: load("boundaries", "smoke", "phantoms"), "unknown kind of data 'phantoms'. Did you mean 'phantom'?"),
        (lambda: load("boundaries").finetune(tasks=["Lits"]), "unknown task 'Lits'. Did you mean 'LiTS'?"),
        (lambda: load("boundaries").finetune("radnet12"), "unknown pretraining 'radnet12'. Did you mean 'radnet12m'?"),
        (lambda: load("boundaries").finetune(experiments=["E3"]), "unknown experiment 'E3'. Did you mean"),
        (lambda: load("boundaries").pretrain("imagenett"), "unknown pretraining 'imagenett'. Did you mean 'imagenet'?"),
        (lambda: load("boundaries").phantom_parameters("brain"), "unknown phantom of this study 'brain'"),
    ],
)
def test_an_unknown_name_gets_the_nearest(call, message):
    with pytest.raises(UnknownNameError, match=re.escape(message)):
        call()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sizes": 3}, "sizes: nothing reads this key. Did you mean 'size'?"),
        ({"tasks": {"R": {"imagse": 3}}}, "tasks, R, imagse: nothing reads this key. Did you mean 'images'?"),
        (
            {"pretrainings": {"radnet": {"image": 3}}},
            "pretrainings, radnet, image: nothing reads this key. Did you mean 'images'?",
        ),
        (
            {"experiments": {"E4": {"task": ["R"]}}},
            "experiments, E4, task: nothing reads this key. Did you mean 'tasks'?",
        ),
    ],
)
def test_a_key_that_nothing_reads_is_an_error(write_study, changes, message):
    assert load("mine").tasks[:3] == ["R", "LiTS", "I1k"]
    write_study(**changes)
    with pytest.raises(StudyError, match=re.escape(message)):
        load("mine")


@pytest.mark.parametrize(
    ("part", "entry", "message"),
    [
        ("pretrainings", {"corpora": ["imagenet"], "dataset": "radnet"}, "mine: `corpora` already says which images"),
        ("pretrainings", {"corpora": ["scratch"]}, "pretrainings, mine, corpora, entry 1: unknown corpus 'scratch'"),
        (
            "pretrainings",
            {"of": "radnet", "after": "scratch"},
            "pretrainings, mine, after: unknown earlier pretraining 'scratch'",
        ),
        (
            "pretrainings",
            {"of": "radnet", "after": "mine"},
            "pretrainings, mine, after: unknown earlier pretraining 'mine'",
        ),
        ("pretrainings", {"of": "mine"}, "pretrainings, mine, of: unknown earlier entry 'mine'"),
        ("tasks", {"of": "Lits"}, "tasks, mine, of: unknown earlier entry 'Lits'. Did you mean 'LiTS'?"),
        ("tasks", {"recipe": {"base": "finetune"}}, "tasks, mine: lacks `dataset`"),
    ],
)
def test_an_entry_without_images_of_its_own_names_others_that_come_before(write_study, part, entry, message):
    write_study(**{part: {"mine": entry}})
    with pytest.raises(StudyError, match=re.escape(message)):
        load("mine")


@pytest.mark.parametrize(
    ("experiment", "message"),
    [
        ({"mode": "linevl"}, "unknown mode 'linevl'. Did you mean 'lineval'?"),
        ({"tasks": ["Lits"]}, "unknown task 'Lits'. Did you mean 'LiTS'?"),
        ({"recipes": {"Bratz": {}}}, "unknown task 'Bratz'. Did you mean 'BraTS'?"),
        ({"pretrainings": ["imagnet"]}, "unknown pretraining 'imagnet'. Did you mean 'imagenet'?"),
    ],
)
def test_an_experiment_that_leads_nowhere_is_an_error(write_study, experiment, message):
    write_study(experiments={"E4": experiment})
    with pytest.raises(StudyError, match=re.escape(message)):
        load("mine", "course")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "resnet10", "job": ["task"]}, "unknown part of a job 'task'. Did you mean 'tasks'?"),
        (
            {"tasks": {"R": {"recipe": {"epoch": 3}}}},
            "tasks, R, recipe, epoch: nothing reads this key. Did you mean 'epochs'?",
        ),
        ({"tasks": {"R": {"recipe": {"base": "finetun"}}}}, "unknown recipe 'finetun'. Did you mean 'finetune'?"),
    ],
)
def test_a_recipe_or_job_size_that_does_not_exist(write_study, changes, message):
    write_study(**changes)
    with pytest.raises(StudyError, match=re.escape(message)):
        load("mine")


def test_real_data_that_are_absent_are_named():
    study = load("real_mini")  # loading asks for no data
    with pytest.raises(MissingDataError, match="TLKIT_DATA"):
        study.configs()


# --- merging ---

PLAIN = st.none() | st.integers() | st.lists(st.integers(), max_size=2)
TREES = st.recursive(PLAIN, lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=3), max_leaves=8)
DICTS = st.dictionaries(st.sampled_from("abcd"), TREES, max_size=4)


def without_none(tree):
    return {k: without_none(v) for k, v in tree.items() if v is not None} if isinstance(tree, dict) else tree


@given(base=DICTS, over=DICTS)
@settings(max_examples=200, deadline=None)
def test_merge_lays_the_second_on_the_first(base, over):
    before = repr((base, over))
    found = merge(base, over)
    assert repr((base, over)) == before
    for key in {*base, *over}:
        if key not in over:
            assert found[key] == base[key]
        elif over[key] is None:
            assert key not in found
        elif isinstance(over[key], dict) and isinstance(base.get(key), dict):
            assert found[key] == merge(base[key], over[key])
        else:
            assert found[key] == over[key]
    assert merge(base, {}) == base and merge(base, without_none(base)) == base
    assert merge(found, without_none(over)) == merge(base, over)


# --- plans ---


def test_a_plan_knows_what_is_done_missing_failed_and_interrupted():
    study = load("boundaries", "smoke")
    configs = study.configs()
    assert set(study.plan()["state"]) == {"missing"}
    done(configs[0], {"loss": 1.0})
    for config, error in ((configs[1], ValueError), (configs[2], KeyboardInterrupt)):
        with pytest.raises(error), runs.claim(config):
            raise error
    plan = study.plan().set_index("run")["state"]
    assert [plan[runs.run_id(c)] for c in configs[:4]] == ["done", "failed", "interrupted", "missing"]
    assert runs.run_id(configs[0]) not in set(study.missing()["run"]) and len(study.missing()) == len(configs) - 1


def test_minutes_come_from_the_measured_speed_of_the_same_work():
    study = load("boundaries", "smoke")
    plan = plan_minutes(study)
    plain = plan[~plan["task"].isin(["LiTS", "LiTSM", "BraTS", "BraTSM"])]  # the study's network and size, no decoder
    assumed = plain["passes"] / plain["kind"].map(study.spec["images_per_second"])
    assert plain["minutes"].tolist() == pytest.approx(((assumed + RUN_SECONDS) / 60).tolist())
    scratch = study.finetune("scratch", ["R"])
    assert count_passes(scratch[0]) == 64 * scratch[0]["recipe"]["epochs"]
    assert count_passes(study.pretrain("imagenet")) == 2 * 96 * study.pretrain("imagenet")["recipe"]["epochs"]
    rid = done(scratch[0], {"accuracy": 0.5}, seconds=6.0)
    after = plan_minutes(study)
    same = after["task"] == "R"
    assert after.loc[after["run"] == rid, "minutes"].item() == pytest.approx(0.1)
    assert after.loc[same, "minutes"].tolist() == pytest.approx([0.1] * same.sum())
    pd.testing.assert_series_equal(after.loc[~same, "minutes"], plan.loc[~same, "minutes"])


# --- the DAG ---


@pytest.mark.parametrize(("name", "size"), [*product(["boundaries", "real_mini"], JOB_SIZES)])
def test_every_run_is_made_by_one_job(any_data, name, size):
    study = load(name, "smoke")
    study.spec["job"] = size
    jobs = graph.jobs(study)
    outputs = [j.output for j in jobs]
    assert len(set(outputs)) == len(outputs) == len({j.name for j in jobs})
    seen: set[str] = set()
    for job in jobs:  # in an order in which they can be done
        assert set(job.needs) <= seen
        seen.add(job.output)
    made = [r for j in jobs if not j.name.startswith("figure-") for r in j.makes]
    assert sorted(made) == sorted(runs.run_id(c) for c in study.configs())
    downstream = {runs.run_id(c) for c in study.finetune()}
    figures = [j for j in jobs if j.is_figure]
    assert [j.notebook for j in figures] == list(study.spec["figures"])
    assert all(set(j.makes) <= downstream for j in figures)
    makers = {rid: j.output for j in jobs if not j.is_figure for rid in j.makes}
    assert all(set(j.needs) == {makers[rid] for rid in j.makes} for j in figures if j.makes)
    assert all(j.makes for j in figures if j.notebook == "30_fig2_task_dependency")


@pytest.mark.parametrize("size", JOB_SIZES)
def test_a_downstream_job_waits_for_its_data_and_its_pretraining(size):
    study = load("boundaries", "smoke")
    study.spec["job"] = size
    by_output = {j.output: j for j in graph.jobs(study)}
    for job in by_output.values():
        if job.notebook == "20_finetune":
            configs = [c for c in study.finetune() if runs.run_id(c) in job.makes]
            needed = {f"data-{study.spec['tasks'][c['task']]['dataset']}" for c in configs}
            needed |= {f"pretrain-{c['pretraining']}" for c in configs if c["weights"]}
            assert needed and needed <= {by_output[n].name for n in job.needs}


def test_a_pretraining_waits_for_all_its_corpora_and_for_the_one_before():
    jobs = graph.jobs(load("boundaries", "smoke"))
    names = {j.output: j.name for j in jobs}
    needs = {j.name: {names[n] for n in j.needs} for j in jobs if j.name.startswith("pretrain-")}
    assert needs["pretrain-mixed_together"] == {"data-imagenet", "data-radnet"}
    assert needs["pretrain-mixed_sequential"] == {"data-radnet", "pretrain-imagenet"}
    assert needs["pretrain-radnet"] == {"data-radnet"}


@pytest.mark.parametrize("changes", [{"seeds": [42, 7]}, {"tasks": {"R": {"recipe": {"lr": 0.5}}}}, {"size": 40}])
def test_an_output_gets_another_name_when_its_runs_change(changes):
    before, study = load("boundaries", "smoke"), load("boundaries", "smoke")
    study.spec.update(merge(study.spec, changes))
    for old, new in zip(graph.jobs(before), graph.jobs(study), strict=True):
        assert old.name == new.name
        assert (old.output == new.output) == (old.makes == new.makes)
    figure = "figure-30_fig2_task_dependency"
    assert graph.find_job(before, figure).output != graph.find_job(study, figure).output


# --- results ---


def test_headline_is_what_the_papers_figures_show():
    study = load("boundaries", "smoke")
    assert study.headline().empty and study.results().empty
    metrics = {"accuracy": 0.5, "auc": 0.6, "dice_1": 0.7, "dice_2": 0.1, "dice_mean": 0.4, "val_accuracy": 1.0}
    for config in study.finetune("imagenet"):
        done(config, metrics)
    done(study.pretrain("imagenet"), {"loss": 1.0})
    found = study.headline()[lambda f: f["experiment"].isin(["E1", "E4"])]
    shown = found.groupby("task")["metric"].unique().map(sorted).to_dict()
    dice = ["dice_1", "dice_2"]
    assert shown == {"R": ["accuracy"], "I1k": ["accuracy"], "CX8": ["auc"], "LiTS": dice, "BraTS": dice}
    assert set(found["experiment"]) == {"E1", "E4"} and set(found["study"]) == {"boundaries"}
    assert len(found) == 2 * len(study.spec["seeds"]) * 7  # experiments, seeds, metrics
    assert "loss" not in set(study.results()["metric"])


def test_history_and_sizes_are_those_of_published_logs():
    study = load("boundaries", "smoke")
    assert study.history().empty
    config, *_ = study.finetune("imagenet", ["R"], ["E1"], [42])
    rid = done(config, {"accuracy": 0.5, "images": 64})
    runs.folder(rid).joinpath("history.csv").write_text("epoch,loss,accuracy\n0,2.0,0.3\n1,1.0,0.4\n")
    found = study.history()
    assert found[["experiment", "task", "pretraining", "seed"]].drop_duplicates().values.tolist() == [
        ["E1", "R", "imagenet", 42]
    ]
    assert found["samples"].tolist() == [64, 128] and found["accuracy"].tolist() == [0.3, 0.4]
    curves = convergence.mean_curves(found)
    assert curves[["n", "samples", "loss"]].values.tolist() == [[1, 64, 2.0], [1, 128, 1.0]]
    sizes = study.size_adjustment()
    assert (sizes.small, sizes.large) == (96, 400)
    assert load("real_mini", "smoke").size_adjustment() is None


def test_names_are_for_reading():
    names = load("boundaries", "smoke").names()
    assert names["R"] == "RadNet body part" and names["E4"] == "linear evaluation"
    assert names["LiTS/dice_1"] == "Dice, liver" and names["LiTS/dice_2"] == "Dice, lesion"


def test_arms_stand_in_the_order_of_their_colours_and_the_others_follow():
    study = load("boundaries", "smoke")
    colours = study.names().colours
    assert list(colours)[:5] == ["scratch", "imagenet", "radnet", "radnet_lb", "radnet_ub"]
    assert colours["radnet_lb"] == "#399ed7" and set(study.pretrainings) <= set(colours)
    study.spec["colours"] = {"radnet": "#000000"}
    found = study.names().colours
    assert list(found) == ["radnet", *(p for p in study.pretrainings if p != "radnet"), "radnet_lb", "radnet_ub"]
    assert (found["scratch"], found["imagenet"]) == ("#8c8c8c", "#e69f00"), "random weights are grey"
    assert len(set(found.values())) == len(found)


def test_what_figures_ask_of_a_study():
    study = load("radiologynet", "smoke")
    assert study.scratch == "scratch" and load("real_mini", "smoke").scratch == "scratch"
    assert study.modalities()["radiologynet_mr"] == "mr" and study.modalities()["radiologynet"] == ""
    made = {c.dataset: (c.title, c.tasks) for c in study.challenges()}
    assert made["rsna-bone-age"] == ("Bone age", ["PBA_EfficientNetB3", "PBA_InceptionV3"])
    titles = [c.title for c in load("real_mini", "smoke").challenges()]
    assert titles == ["brain-tumor-mri", "covid-ct", "natural-images"]


def test_a_figure_shows_what_the_study_file_says_of_it():
    study = load("boundaries", "smoke")
    shown = study.shown("34_fig6_who_knows_what")
    assert shown.tasks() == ["I1k", "R"] and set(shown.table["experiment"]) == {"E1", "E4"}
    assert study.shown("30_fig2_task_dependency").tasks() == ["BraTS", "CX8", "I1k", "LiTS", "R"]
    with pytest.raises(ConfigError, match=r"does not say what 40_tables_2_to_6 shows.*experiments: \[E1, E2, E4, E6"):
        study.shown("40_tables_2_to_6")
    nothing = r"of the \d+ runs that 34_fig6_who_knows_what shows none is done. `make plan` lists them"
    with pytest.raises(ConfigError, match=nothing):
        shown.rows(study.results())
    done(study.finetune("imagenet", ["CX8"], ["E1"], [42])[0], {"auc": 0.5})
    with pytest.raises(ConfigError, match=nothing):
        shown.rows(study.results())
    done(study.finetune("imagenet", ["I1k"], ["E1"], [42])[0], {"accuracy": 0.5})
    assert set(shown.rows(study.results())["task"]) == {"I1k"}


def test_a_figure_that_could_show_no_run_is_an_error_at_plan(any_data, tmp_path, monkeypatch):
    """As in a copy with other seeds, where another experiment still has the one that a figure asks for."""
    text = (paths.STUDIES / "boundaries.yaml").read_text(encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(text.replace("    seeds: [42, 1]\n", "    seeds: [1]\n"), encoding="utf-8")
    monkeypatch.setattr(paths, "STUDIES", tmp_path)
    study = load("mine", "smoke")
    with pytest.raises(ConfigError, match=r"figures\.35_fig7_overlays of mine at smoke shows no run.*'seeds': \[42\]"):
        listings.report_plan(study)


def test_random_weights_have_one_name_in_every_study(any_data):
    from tlkit.published import jonske2025
    from tlkit.studies import studyfile

    found = {load(name, "smoke").names()["scratch"] for name in studyfile.names()}
    assert found == {"random weights"} == {jonske2025.LOOKS["scratch"][0]}


def test_a_task_is_named_after_the_network_that_runs(any_data):
    names = load("radiologynet", "quick").names()
    assert names["GRAZ_DenseNet121"] == "GRAZPEDWRI-DX, resnet10 for DenseNet-121"
    assert names["LUNA_UNet"] == "LUNA16, U-Net", "which it is"
    assert load("radiologynet", "paper").names()["GRAZ_DenseNet121"] == "GRAZPEDWRI-DX, DenseNet-121"


def test_a_figure_says_which_networks_ran(any_data):
    study = load("boundaries", "smoke")
    shown = study.shown("35_fig7_overlays")
    assert shown.saved()["networks"] == "" and set(shown.table["backbone"]) == {"resnet10"}


def test_stand_ins_are_named_and_the_published_architectures_are_not(any_data):
    shown = load("radiologynet", "quick").shown("47_example_predictions")
    said = shown.stand_ins()
    assert "resnet10 for GRAZPEDWRI-DX, DenseNet-121 / Brain Tumor MRI, ResNet-50" in said
    assert shown.stand_ins(["GRAZ_DenseNet121"]).endswith("architectures: resnet10 for all of them.")
    whole = load("radiologynet", "paper").shown("47_example_predictions").stand_ins()
    assert whole == "Every network is the one that its task is named after."
    assert load("boundaries", "smoke").shown("35_fig7_overlays").stand_ins() == ""


def test_a_pretraining_may_be_weights_that_others_published(write_study):
    theirs = {"pretrainings": {"theirs": {"weights": "imagenet"}}, "experiments": {"E1": {"pretrainings": ["theirs"]}}}
    write_study(backbone="tf_efficientnet_lite0", **theirs)
    study = load("mine", "smoke")
    (config,) = study.finetune("theirs", ["R"], ["E1"], [42])
    assert config["weights"]["card"] == "imagenet/tf_efficientnet_lite0" and len(config["weights"]["sha256"]) == 64
    assert study.pretrain("theirs") is None and "theirs" not in {c["pretraining"] for c in study.pretrain_configs()}
    write_study(backbone="torchvision/resnet18", **theirs)
    study = load("mine", "smoke")
    with pytest.raises(MissingWeightsError, match="resnet18"):
        study.finetune("theirs", ["R"], ["E1"], [42])
    study.plan()
    assert study.absent == {"imagenet/resnet18"}


def test_every_pretraining_is_done_with_the_backbones_that_its_tasks_need(any_data):
    study = load("radiologynet", "smoke")
    assert study.backbones("radiologynet_ct") == ["resnet10"]
    made = study.pretrain_configs("radiologynet", "classification")
    assert {c["backbone"] for c in made} == {"resnet10", "test_efficientnet"}
    (painted,) = study.pretrain_configs("radiologynet", "reconstruction")
    assert painted["backbone"] == "unet" and "groups" not in painted["data"] and "groups" in made[0]["data"]
    assert study.groupings("radiologynet") == [made[0]["data"]["groups"]], "one grouping for all modalities"
    made = load("radiologynet", "paper").pretrain_configs("radiologynet_all", "classification")
    sizes = {c["backbone"].removeprefix("torchvision/"): c["data"]["size"] for c in made}
    assert set(sizes) == set(RADIOLOGYNET) - {"vgg16", "efficientnet_b4"}
    assert sizes["inception_v3"] == 299 and sizes["resnet18"] == 224


def test_learning_rates_and_shares_are_a_grid():
    study = load("radiologynet", "course")
    main = study.finetune("scratch", ["BTMR_ResNet50"], ["main"], [1])
    assert [c["recipe"]["lr"] for c in main] == study.spec["experiments"]["main"]["lrs"]
    less = study.finetune("scratch", ["BTMR_MobileNetV3Small"], ["less_data"], [1])
    assert [c["fraction"] for c in less] == [0.05, 0.25, 0.5]
    pairs = {(c["task"], c["pretraining"]) for c in study.finetune(experiments=["single_modality"])}
    assert ("BTMR_ResNet50", "radiologynet_mr") in pairs and ("BTMR_ResNet50", "radiologynet_cr") not in pairs
    assert study.monitors()["PBA_InceptionV3"] == ("mae", -1) and study.monitors()["BTMR_ResNet50"] == ("log_loss", -1)


# --- running ---


def test_run_all_does_each_pretraining_before_its_runs(monkeypatch):
    from tlkit.training import run as module

    study, order = load("boundaries", "smoke"), []

    def fake(config, wait):
        order.append(config["pretraining"] if config["kind"] == "pretrain" else config["mode"])
        return done(config, {})

    monkeypatch.setattr(module, "run", fake)
    configs = study.finetune("radnet", ["R"], seeds=[42])
    assert studies.run_all(configs, study) == [runs.run_id(c) for c in configs]
    assert order == ["radnet", "finetune", "lineval"]
    order.clear()
    studies.run_all(study.finetune("mixed_sequential", ["R"]), study)
    assert order == ["imagenet", "mixed_sequential", "finetune"]


def test_a_task_is_not_split_otherwise_than_a_pretraining_on_its_images(write_study):
    """Else the pretraining would be trained on test images; here RadNet's."""
    radnet = {"dataset": "radnet", "classes": 6, "recipe": {"base": "finetune"}, "split": {"seed": 5}}
    write_study(tasks={"R": radnet})
    with pytest.raises(
        StudyError, match=r"tasks, R, split: pretraining radnet\w* has the same images, split otherwise"
    ):
        load("mine")
    write_study(tasks={"R": radnet | {"split": {"seed": "often"}}})
    with pytest.raises(StudyError, match=r"tasks, R, split, seed: expected a whole number of 0 or more, or run"):
        load("mine")


def test_a_data_set_may_have_its_own_split_and_regions_name_their_dice(write_study):
    brats = {"dataset": "brats", "recipe": {"base": "segment", "window": [2000, 4000], "class_weights": [1, 5, 5, 5]}}
    write_study(tasks={"B": brats}, phantoms={"brats": {"seed": 1}}, splits={"brats": {"val": 3, "test": 4}})
    study = load("mine")
    assert study.data({"dataset": "brats"})["split"] == {"val": 3, "test": 4, "seed": 0, **COPIES}
    assert study.data({"dataset": "lits"})["split"] == {**study.spec["split"], **COPIES}
    own = {"dataset": "brats", "split": {"copies": "keep", "official": False}}
    assert study.data(own)["split"] == {"val": 3, "test": 4, "seed": 0, "copies": "keep", "near": 10, "official": False}
    names = study.names()
    assert names["B/dice_1"] == "Dice, enhancing tumour" and names["B/dice_2"] == "Dice, whole tumour"
    assert names["B/dice_3"] == "Dice, tumour core" and names["LiTS/dice_2"] == "Dice, lesion"
    write_study(splits={"brat": {"val": 3}})
    with pytest.raises(StudyError, match=r"splits, brat: unknown data set 'brat'. Did you mean 'brats'"):
        load("mine")
