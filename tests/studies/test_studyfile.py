from __future__ import annotations

import json
import random
import re
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from study_edits import EDITS, STUDY

from tlkit import paths, plugins, runs, studies, yamllines
from tlkit.config import ConfigError, TlkitError, UnknownNameError, short_hash
from tlkit.datasets import card_of, prepare
from tlkit.datasets.layout import layout
from tlkit.datasets.options import OPEN
from tlkit.studies import studyfile
from tlkit.studies.schema import DECLARED
from tlkit.studies.studyfile import StudyError
from tlkit.training.data import open_data
from tlkit.training.recipe import Recipe
from tlkit.training.tasks import TASKS

# What every study says, and the ids of its runs, as hashes; printed anew by `PYTHONPATH=.:tests python
# tests/studies/test_studyfile.py`. A change here is a change of every id, so that all runs are done again.
SPECS_AND_RUNS = {
    ("boundaries", "smoke"): ("2aa718f3", "307ba332"),
    ("boundaries", "quick"): ("a7007356", "63423529"),
    ("boundaries", "course"): ("4b6e22c5", "9853b8fe"),
    ("boundaries", "paper"): ("ec6f2351", "324ef40f"),
    ("brain_tumor_real", "smoke"): ("ee262199", "e8d50e42"),
    ("brain_tumor_real", "course"): ("b352a154", "0063efa7"),
    ("copies", "smoke"): ("278ddc7f", "6ed9f86e"),
    ("copies", "quick"): ("d0bf5147", "956bba46"),
    ("copies", "course"): ("d68d5609", "246fce9a"),
    ("lessons", "smoke"): ("282d134f", "bbeecd5f"),
    ("lessons", "quick"): ("1e8ef8ca", "9b715bcf"),
    ("open_boundaries", "smoke"): ("ac4f5e84", "21eae496"),
    ("open_boundaries", "mini"): ("4f2c81ef", "bb142ecc"),
    ("open_boundaries", "quick"): ("4f2c81ef", "bb142ecc"),
    ("open_boundaries", "course"): ("3ccf1d5f", "bb145531"),
    ("open_boundaries", "paper"): ("0312dcc0", "a7ab168f"),
    ("open_radiologynet", "smoke"): ("335e41b8", "5801f5a6"),
    ("open_radiologynet", "mini"): ("dc506603", "85bfd010"),
    ("open_radiologynet", "quick"): ("dc506603", "85bfd010"),
    ("open_radiologynet", "course"): ("deeb87a1", "a961cbef"),
    ("open_radiologynet", "paper"): ("1bdc3fcb", "3cef94c8"),
    ("radiologynet", "smoke"): ("b2e73deb", "65b52aa3"),
    ("radiologynet", "quick"): ("ef581fc0", "4fa3940a"),
    ("radiologynet", "course"): ("84627883", "c945964c"),
    ("radiologynet", "paper"): ("85d300a5", "64d30d5a"),
    ("real_mini", "smoke"): ("039cc860", "de10e942"),
    ("real_mini", "quick"): ("4081abcc", "1f3e402d"),
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that saves a text (or bytes) as the study `mine`."""
    monkeypatch.setattr(paths, "STUDIES", tmp_path)

    def save(text: str | bytes) -> None:
        (tmp_path / "mine.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())

    save(STUDY)
    return save


def ids(study) -> list[str]:
    with study.without_data():
        return sorted(runs.run_id(c) for c in study.configs())


def edited(old: str, new: str) -> tuple[str, int]:
    """Return the study with one place changed, and the line where the change begins."""
    assert STUDY.count(old) == 1, old
    at = STUDY.index(old) + len(old) - len(old.lstrip())
    return STUDY.replace(old, new), STUDY.count("\n", 0, at) + 1


# --- what is right ---


@pytest.mark.parametrize(("name", "scale"), SPECS_AND_RUNS)
def test_studies_say_what_they_said_and_keep_their_runs(name, scale):
    study = studies.load(name, scale)
    assert (short_hash(study.spec), short_hash(ids(study))) == SPECS_AND_RUNS[name, scale]


def test_every_scale_of_every_study_is_held():
    found = {
        (n, s)
        for n in studyfile.names()
        for s in yamllines.parse((paths.STUDIES / f"{n}.yaml").read_bytes())[0]["scales"]
    }
    assert found == set(SPECS_AND_RUNS)


def test_a_study_of_every_key_is_right(write):
    for scale in ("quick", "big"):
        study = studies.load("mine", scale)
        assert ids(study) and len(study.plan())
    spec = study.spec
    assert spec["tasks"]["kinds"]["recipe"] == {"base": "finetune", "warmup": 1, "epochs": 9}
    assert type(spec["tasks"]["kinds"]["recipe"]["warmup"]) is int, "values are not converted"
    assert spec["pretrainings"]["photos"]["recipe"]["lr"] == 1e-3
    assert "few" not in spec["tasks"] and "classes" not in spec["tasks"]["kinds"]


@pytest.mark.parametrize(
    "name", ["a & b", "img+rad (21k)", "$HOME", "it's", 'so "so"', "größer", "No", "yes", "a/b", "x" * 80]
)
def test_names_are_any_text_of_one_line(write, name):
    quoted = "'" + name.replace("'", "''") + "'"
    write(STUDY.replace("photos", quoted).replace("kinds", quoted).replace("by_task", quoted))
    study = studies.load("mine", "quick")
    assert name in study.pretrainings and name in study.tasks and ids(study)


def test_figures_and_pretrainings_of_its_own_are_no_must(write):
    text = re.sub(r"^  (figures|estimates):\n(    .*\n)+", "", STUDY, flags=re.M)
    write(re.sub(r"^  (job|title|images_per_second|colours|datasets):.*\n", "", text, flags=re.M))
    spec = studies.load("mine", "quick").spec
    assert (spec["figures"], spec["job"], spec["title"]) == ({}, [], "mine")
    write(
        "common:\n  data: phantom\n  backbone: resnet10\n  size: 32\n  seeds: [1]\n  split: {seed: 0}\n"
        "  phantoms: {imagenet: {}}\n  pretrainings: {scratch: {}}\n"
        "  tasks: {t: {dataset: imagenet, recipe: {base: finetune}}}\n  experiments: {e: {mode: finetune}}\n"
        "  figures: {}\nscales: {one: {}}\n"
    )
    assert len(ids(studies.load("mine", "one"))) == 1


def test_a_figure_shows_what_a_scale_has_of_what_it_names(write):
    text = STUDY.replace("[photos, longer, both]", "[photos]")
    write(text + "    figures: {41_fig4_reconstruction: null}\n    pretrainings: {longer: null, both: null}\n")
    assert studies.load("mine", "quick").spec["figures"]["30_fig2_task_dependency"]["tasks"] == ["kinds", "few"]
    study = studies.load("mine", "big")
    figures = study.spec["figures"]
    assert list(figures) == ["30_fig2_task_dependency", "36_images_or_steps"]
    assert figures["30_fig2_task_dependency"]["tasks"] == ["kinds"]
    assert (figures["36_images_or_steps"]["compared"], study.size_adjustment()) == ({}, None)


def test_estimates_lie_between_the_same_pretrainings(write):
    more = "    larger: {title: Larger, between: [photos, longer], factor: 1.5}\n"
    write(STUDY.replace(more, more + "    largest: {between: [photos, both], factor: 2}\n"))
    with pytest.raises(StudyError, match="estimates, largest, between: expected photos, longer, as of the others"):
        studies.load("mine", "quick")


# --- what is wrong ---


@pytest.mark.parametrize(("old", "new", "words"), EDITS)
def test_a_wrong_edit_is_told_with_its_line_and_what_is_right(write, old, new, words):
    text, line = edited(old, new)
    write(text)
    with pytest.raises(StudyError) as told:
        for scale in ("quick", "big"):
            studies.load("mine", scale)
    found = next((m for m in str(told.value).splitlines() if words in m), None)
    assert found, str(told.value)
    lines = range(line, line + new.count("\n") + 1)
    elsewhere = {
        "`phantoms` lacks": 34,
        "headers and reports": 25,
        "key 'size' stands": 6,
        "key, found 2024": 18,
        "found 32": 5,
        "reconstruction selects": 27,
        "reconstruction does": 27,
    }
    wanted = next((n for w, n in elsewhere.items() if w in words), None)
    at = int(re.search(r"mine\.yaml:(\d+): ", found)[1])
    assert at == wanted or (wanted is None and at in lines), found


TEN = ["a: &a [x,x,x,x,x,x,x,x,x,x]", *(f"{b}: &{b} [{','.join(10 * [f'*{a}'])}]" for a, b in ("ab", "bc", "cd", "de"))]
BOMB = "\n".join(TEN)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "expected the keys `common` and `scales`, found an empty file."),
        ("# nothing\n", 1, "expected the keys `common` and `scales`, found an empty file."),
        ("- 1\n- 2\n", 1, "found [1, 2]"),
        ("boundaries", 1, "found 'boundaries'"),
        ("scales: {quick: {}}", 1, "lacks `common`: what all scales share."),
        ("common: {}", 1, "lacks `scales`: what each scale says otherwise, by name."),
        ("common: null\nscales: {quick: {}}", 1, "common: expected keys and values"),
        ("scales: {quick: {}}\ncommon: 3", 2, "common: expected keys and values ({} for none), found 3."),
        ("common: {}\nscales: [quick]", 2, "scales: expected keys and values"),
        ("common: {}\nscales: {}", 2, "scales: expected one scale or more, found none."),
        ("common: {}\nscales: {quick: {}}", 1, "lacks `backbone`"),
        ("common:\n  tasks: 3\nscales: {quick: {}}", 2, "common, tasks: expected keys and values"),
        ("common:\n  a: 1\n\x00", 3, "the control character 0x00"),
        (b"common:\n  title: gr\xfc\xdfe\n", 2, "expected UTF-8, found the byte 0xfc"),
        ("a: {b: 1", 1, "not YAML: expected ',' or '}'"),
        ("a: 1\n---\nb: 2", 2, "found another document"),
        ("[" * 1000, 1, "nested too deeply"),
        ('a: "\\uD800"', 1, "half a character"),
        ('a: 1\nb: "\\UFFFFFFFF"', 2, "stands for no character"),
        (f"a: {'9' * 5000}", 1, "at most 63 bits"),
        (BOMB, 1, "aliases that multiply"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_study_is_told(write, text, line, words):
    write(text)
    with pytest.raises(StudyError, match=re.escape(words)) as told:
        studyfile.read("mine", "quick")
    assert f"mine.yaml:{line}: " in str(told.value)


def test_all_faults_come_at_once_and_the_file_is_named_from_the_repository(write, monkeypatch):
    write(STUDY.replace("size: 32", "size: 3").replace("images: 20", "imags: 20").replace("seeds: [1, 2]", "seeds: x"))
    monkeypatch.setattr(paths, "REPO", paths.STUDIES.parent)
    with pytest.raises(StudyError) as told:
        studyfile.read("mine", "quick")
    lines = str(told.value).splitlines()
    assert [line.split(": ")[0].split(":")[-1] for line in lines] == ["5", "6", "33"]
    assert all(line.startswith(f"{paths.STUDIES.name}/mine.yaml:") for line in lines)


def test_the_line_is_that_of_the_scale_or_of_what_an_entry_is_of(write):
    write(STUDY.replace("    size: 64", "    size: 6"))
    with pytest.raises(StudyError, match=r"mine.yaml:64: size: expected 8 or more, found 6"):
        studyfile.read("mine", "big")
    write(STUDY.replace("{every: 2}", "{every: 0}"))  # of `kinds`, and so of `few`
    with pytest.raises(StudyError) as told:
        studyfile.read("mine", "quick")
    assert re.findall(r"mine.yaml:(\d+): (.*?): expected a number", str(told.value)) == [
        ("34", "tasks, kinds, classes"),
        ("34", "tasks, few, classes"),
    ]
    with pytest.raises(UnknownNameError, match=r"unknown scale 'bigg'. Did you mean 'big'?"):
        write(STUDY) or studyfile.read("mine", "bigg")


def test_real_studies_have_no_phantoms():
    with pytest.raises(StudyError, match=r"paper/studies/real_mini.yaml:17: .*`phantoms` lacks 'natural-images'"):
        studies.load("real_mini", "smoke", "phantom")


def test_every_key_has_a_description():
    text = studyfile.describe()
    assert all(f"  {name}: {field.description}" in text for m in DECLARED for name, field in m.model_fields.items())


def test_every_field_of_a_recipe_can_be_set(write):
    for name in (f.name for f in fields(Recipe)):
        write(STUDY.replace("{base: nodule}", f"{{base: nodule, {name}: .inf}}"))
        with pytest.raises(StudyError, match=r"expected a finite number"):
            studyfile.read("mine", "quick")
        write(STUDY.replace("{base: nodule}", f"{{base: nodule, {name}: [[]]}}"))
        with pytest.raises(StudyError, match=rf"mine.yaml:35: tasks, nodules, recipe, {name}"):
            studyfile.read("mine", "quick")


# --- fuzz: whatever is done to a file, it is a study or one error of the project ---

WORDS = [
    "3", "-1", "0", "1.5", "1e400", "null", "true", "no", "[]", "{}", "[1, x]", "{a: 1}", "'", '"', "*x", "&x 1", "<<",
    ": ", "- ", "\t", "!!int x", "ü",
]  # fmt: skip


def mutated(text: str, rng: random.Random) -> str:
    """Return the text after one to three hand slips."""
    lines = text.splitlines()
    for _ in range(rng.randint(1, 3)):
        i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
        line = lines[i]
        words = list(re.finditer(r"[\w.]+", line)) or [re.match("", line)]
        word = rng.choice(words)
        slip = rng.randrange(9)
        if slip == 0 and len(lines) > 1:
            del lines[i]
        elif slip == 1:
            lines.insert(j, line)
        elif slip == 2:
            lines[i], lines[j] = lines[j], lines[i]
        elif slip == 3:
            lines[i] = " " * rng.randint(0, 6) + line.lstrip()
        elif slip == 4:  # another value or name
            lines[i] = line[: word.start()] + rng.choice(WORDS) + line[word.end() :]
        elif slip == 5:  # a letter of a name
            at = rng.randrange(word.start(), max(word.end(), word.start() + 1))
            lines[i] = line[:at] + rng.choice("abcz_0 ") + line[at + 1 :]
        elif slip == 6:
            at = rng.randrange(len(line) + 1)
            lines[i] = line[:at] + rng.choice("{}[]:,'\"#&*|>%@`\\-? \t\x01") + line[at:]
        elif slip == 7:
            at = rng.randrange(len(line) + 1)
            lines[i] = line[:at] + line[at + rng.randint(1, 3) :]
        else:  # the value of a key of another line
            other = re.match(r"[^:]*", lines[j])[0] if ":" in lines[j] else lines[j]
            lines[i] = other + ":" + line.partition(":")[2]
    return "\n".join(lines) + "\n"


SOURCES = {
    name: (paths.STUDIES / f"{name}.yaml").read_text(encoding="utf-8") for name in ("brain_tumor_real", "real_mini")
}
SOURCES["own"] = STUDY


@pytest.mark.parametrize("seed", range(24))
def test_mutated_studies_end_in_one_error_or_are_studies(write, seed):
    rng, names = random.Random(seed), sorted(SOURCES)
    outcomes = {"study": 0, "error": 0}
    for _ in range(20):
        source = SOURCES[rng.choice(names)]
        text = mutated(source, rng)
        write(text)
        try:
            study = studies.load("mine", rng.choice(re.findall(r"^  (\w+):", source.partition("scales:")[2], re.M)))
            assert len(study.plan()) == len(set(ids(study)))
            outcomes["study"] += 1
        except TlkitError as error:
            assert str(error).strip() and "Traceback" not in str(error), text
            outcomes["error"] += 1
    assert outcomes["error"]


def test_every_key_of_a_wrong_type_is_one_error(write):
    """Replace each value of the study in turn by one of every other type."""
    text, lines = yamllines.parse(STUDY)
    del text
    rng = random.Random(0)
    for path, number in lines.items():
        if not isinstance(path[-1], str) or path[0] != "common":
            continue
        rows = STUDY.splitlines()
        row, key = rows[number - 1], path[-1]
        value = rng.choice(["3", "x", "[]", "{}", "null", "true", "-0.5", "{x: 1}", "[[1]]"])
        changed = re.sub(
            rf"(\b{re.escape(key)}:) ?([^,{{}}\[\]]+|\{{[^{{}}]*\}}|\[[^\[\]]*\])?", rf"\1 {value}", row, count=1
        )
        rows[number - 1] = changed
        write("\n".join(rows) + "\n")
        try:
            assert ids(studies.load("mine", "quick"))
        except TlkitError as error:
            assert "mine.yaml:" in str(error), changed


# --- YAML 1.2 ---


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3), ("1E5", 1e5), (".5", 0.5), ("5.", 5.0), ("-1.5e+3", -1500.0), ("0o17", 15), ("0x1F", 31),
        ("017", 17), ("+3", 3), ("-0", 0), ("3.0", 3.0), ("yes", "yes"), ("no", "no"), ("NO", "NO"), ("on", "on"),
        ("off", "off"), ("y", "y"), ("1:30", "1:30"), ("1_000", "1_000"), ("0b11", "0b11"), ("!!float 3", 3.0),
        ("2024-01-31", "2024-01-31"), ("true", True), ("False", False), ("TRUE", True), ("tRUE", "tRUE"), ("~", None),
        ("null", None), ("", None), ("nULL", "nULL"), ("'3'", "3"), ("!!str 3", "3"), ("=", "="), ("[1, a]", [1, "a"]),
    ],
)  # fmt: skip
def test_values_are_those_of_yaml_1_2(text, value):
    found = yamllines.parse(f"a: {text}")[0]["a"]
    assert found == value and type(found) is type(value)


def test_anchors_and_merge_keys_work_and_know_their_lines():
    text = "base: &b\n  x: 1\n  y: {z: 2}\nfirst: {<<: *b, x: 5}\nsecond:\n  <<: [{x: 7}, *b]\n  w: [1,\n    2]\n"
    found, lines = yamllines.parse(text)
    assert found["first"] == {"x": 5, "y": {"z": 2}} and found["second"] == {"x": 7, "y": {"z": 2}, "w": [1, 2]}
    assert [lines[p] for p in [("first", "x"), ("first", "y", "z"), ("second", "w", 1), ("second", "x")]] == [
        4,
        3,
        8,
        6,
    ]


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8)
NUMBERS = st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False)
KEYS = st.text("abc", min_size=1)


@given(
    st.recursive(
        st.none() | st.booleans() | NUMBERS | TEXTS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=8,
    )
)
@settings(max_examples=100, deadline=None)
def test_json_is_yaml(value):
    assert yamllines.parse(json.dumps(value))[0] == value


# --- options of a card, and damaged files ---


def test_options_of_a_card_are_a_part_of_the_data_where_they_change_it(write):
    study = studies.load("mine", "quick")
    found = {t: study.finetune("scratch", [t], ["main"])[0]["data"].get("options") for t in study.tasks}
    assert found == {
        "liver": {"only_liver": True},
        "nodules": {"mask": "box"},
        "kinds": None,
        "chest": None,
        "few": None,
    }
    write(
        STUDY.replace("{mask: box}", "{mask: ball, window: [0, 2000]}").replace("only_liver: true", "only_liver: false")
    )
    same = studies.load("mine", "quick")
    assert all("options" not in c["data"] for c in same.finetune()), "what the card says anyway"
    assert len(set(ids(same)) & set(ids(study))) < len(ids(study))
    assert study.stores("lits") == [(32, {"only_liver": True})] and study.stores("imagenet") == [(32, {})]


def test_stores_of_other_options_are_others(data):
    phantom = {"seed": 1, "volumes": 5, "pixels": 32, "slices": (30, 31)}
    plain = prepare("lits", 32, phantom)
    assert plain == prepare("lits", 32, phantom, {"only_liver": False})
    other = prepare("lits", 32, phantom, {"only_liver": True})
    assert other != plain and other.name.startswith("lits-phantom-32px-")
    assert card_of("lits", {"only_liver": True}).options["only_liver"] is True


def test_a_run_reads_the_store_of_its_options(data, config):
    plain = config(dataset="lits")["data"]
    (_, whole), (_, livers) = open_data(plain), open_data({**plain, "options": {"only_liver": True}})
    assert 0 < len(livers) < len(whole) and set(livers["id"]) == set(whole.loc[whole["liver_px"] > 0, "id"])
    with pytest.raises(ConfigError, match=r"only_livr: nothing reads this key. Did you mean 'only_liver'"):
        open_data({**plain, "options": {"only_livr": True}})


LIVER = "{dataset: lits, images: 20, options: {only_liver: true}, recipe: {base: segment, window: [40, 400]}}"
BRAIN = LIVER.replace("lits", "brats").replace("only_liver: true", "scale: patient")
BRAIN = BRAIN.replace("[40, 400]", "[2000, 4000], class_weights: null")


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("{mask: box}", "{mask: box}", '"options": {"mask": "box"}'),
        ("{only_liver: true}", "{only_liver: true}", '"options": {"only_liver": true}'),
        (LIVER, BRAIN, '"options": {"scale": "patient"}'),
        ("{k: 4,", "{k: 4, method: kmedoids,", '"method": "kmedoids"'),
        ("warmup: 1", "head_bias: false", '"head_bias": false'),
        ("warmup: 1", "sync_batchnorm: false", '"sync_batchnorm": false'),
        ("warmup: 1", "augment: {p_flip: 1, draw: group}", '"draw": "group"'),
    ],
)
def test_every_published_variant_can_be_chosen_by_a_study(write, old, new, found):
    text = STUDY.replace("    lits: {seed: 1,", "    brats: {seed: 1, patients: 8}\n    lits: {seed: 1,")
    assert text.count(old) == 1
    write(text.replace(old, new))
    assert found in json.dumps(studies.load("mine", "quick").configs())


@pytest.mark.parametrize(
    ("layout", "option"),
    [
        (name, option)
        for name in plugins.LAYOUTS
        for option in layout(name).options
        if name not in ("table", "pairs", "npz", "dicom_table")  # of one's own images: tests/advice
    ],
)
def test_every_option_that_can_be_set_is_one_of_a_card(layout, option):
    from tlkit.datasets import DATASETS

    cards = [card for card in DATASETS.values() if card.layout == layout]
    assert any(option in card.options for card in cards) or option in OPEN


def test_damaged_files_may_be_allowed_and_decide_no_run(write):
    study = studies.load("mine", "quick")
    assert study.max_unreadable("lits") == 0.05 and study.max_unreadable("imagenet") is None
    config = study.finetune("scratch", ["liver"], ["main"])[0]
    assert config["data"]["max_unreadable"] == 0.05
    write(STUDY.replace("  max_unreadable: {lits: 0.05}\n", ""))
    assert ids(studies.load("mine", "quick")) == ids(study)
    write(STUDY.replace("{lits: 0.05}", "0.2"))
    assert {d["max_unreadable"] for c in studies.load("mine", "quick").configs() for d in runs.corpora(c)} == {0.2}


@pytest.mark.parametrize("kind", TASKS)
def test_the_metric_that_selects_by_default_is_one_that_can(kind):
    assert TASKS[kind].monitor in TASKS[kind].monitors


if __name__ == "__main__":  # prints SPECS_AND_RUNS
    for key in SPECS_AND_RUNS:
        chosen = studies.load(*key)
        print(f'    ("{key[0]}", "{key[1]}"): ("{short_hash(chosen.spec)}", "{short_hash(ids(chosen))}"),')
