from __future__ import annotations

import random
import re
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit import paths, runs, studies, studyfile, yamllines
from tlkit.config import TlkitError, UnknownNameError, short_hash
from tlkit.datasets import card_of, prepare
from tlkit.datasets.options import SETTABLE
from tlkit.studyfile import StudyError
from tlkit.studyschema import DECLARED
from tlkit.training.recipe import Recipe
from tlkit.training.tasks import TASKS

# What every study says, and the ids of its runs, as hashes; printed anew by `python tests/test_studyfile.py`. A change
# here is a change of every id, so that all runs are done again.
SPECS_AND_RUNS = {
    ("boundaries", "smoke"): ("959ec5a8", "9b0b878c"),
    ("boundaries", "quick"): ("e902f824", "d1d6e5b2"),
    ("boundaries", "course"): ("c478e28c", "a9544fa0"),
    ("boundaries", "paper"): ("0de2ab35", "7afde9f8"),
    ("brain_tumor_real", "smoke"): ("6f1bfb98", "e3c7b21a"),
    ("brain_tumor_real", "course"): ("01fe9003", "b65c35b8"),
    ("radiologynet", "smoke"): ("f5e8ecc3", "bdc662e4"),
    ("radiologynet", "quick"): ("053d8138", "2044aef4"),
    ("radiologynet", "course"): ("926a589c", "7d0752b4"),
    ("radiologynet", "paper"): ("99e0d35b", "f6c41bb7"),
    ("real_mini", "smoke"): ("7221350f", "55472aac"),
    ("real_mini", "quick"): ("7a4b69d0", "0c59baac"),
}

STUDY = """\
common:
  title: A study
  data: phantom
  backbone: resnet10
  size: 32
  seeds: [1, 2]
  split: {val: 0.1, test: 0.2, seed: 0}
  splits:
    chestxray: {seed: run, by: image}
  phantoms:
    imagenet: {seed: 1, train: 8, val: 8, pixels: 32}
    lits: {seed: 1, volumes: 4, pixels: 32, slices: [30, 31]}
    radiologynet: {seed: 2, patients: 12, cr: 0.5}
    luna16: {seed: 3, series: 5}
    chestxray: {seed: 4, patients: 20}
  pretrainings:
    scratch: {}
    photos:
      dataset: imagenet
      images: 32
      recipe: {base: simclr, epochs: 2, lr: 1e-3, augment: {p_flip: 0.5}}
    archive:
      dataset: radiologynet
      method: classification
      groups: {k: 4, images: simclr, sources: [text, images], limit: 0.5}
      where: {modality: CT}
      recipe: {base: classify}
      by_backbone:
        unet: {groups: null, method: reconstruction, recipe: {base: reconstruct, monitor: ""}}
    both: {corpora: [photos, archive], recipe: {base: simclr}}
    longer: {of: photos, after: photos, images_per_epoch: 16}
  tasks:
    liver: {dataset: lits, images: 20, options: {only_liver: true}, recipe: {base: segment, window: [40, 400]}}
    kinds: {dataset: imagenet, classes: {every: 2}, recipe: {base: finetune, warmup: 1}}
    nodules: {dataset: luna16, backbone: unet, options: {mask: box}, recipe: {base: nodule}}
    chest: {dataset: chestxray, classes: [Effusion, No Finding], fraction: 0.5, recipe: {base: finetune}}
    few: {of: kinds, fraction: 0.1, fraction_by: slice}
  experiments:
    main: {mode: finetune, lrs: [1e-3, 0.01], pretrainings: [scratch, photos, archive]}
    frozen:
      mode: lineval
      bn: adapt
      tasks: [kinds, liver]
      pretrainings: [photos, longer, both]
      fractions: [0.1, 1]
      recipe: {epochs: 3}
      recipes:
        liver: {epochs: 4}
    by_task: {mode: finetune, pretrainings: {kinds: [photos]}, pretraining_recipes: {photos: {lr: 0.1}}}
  figures: [30_fig2_task_dependency]
  job: [tasks]
  images_per_second: {pretrain: 500, finetune: 500}
  max_unreadable: {lits: 0.05}
scales:
  quick: {}
  big:
    size: 64
    gpus: {pretrain: 8, finetune: 1}
    threads: 2
    tasks:
      few: null
      kinds: {classes: null, recipe: {epochs: 9}}
"""


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
    spec = {k: v for k, v in study.spec.items() if k not in ("gpus", "threads")}  # these decide no run
    expected = SPECS_AND_RUNS[name, scale]
    assert short_hash(study.spec) == expected[0] or "gpus" in study.spec, sorted(spec)
    assert short_hash(ids(study)) == expected[1]


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
    lines = [line for line in STUDY.splitlines() if not re.match(r"  (figures|job|title|images_per_second):", line)]
    write("\n".join(lines))
    spec = studies.load("mine", "quick").spec
    assert (spec["figures"], spec["job"], spec["title"]) == ([], [], "mine")
    write(
        "common:\n  data: phantom\n  backbone: resnet10\n  size: 32\n  seeds: [1]\n  split: {seed: 0}\n"
        "  phantoms: {imagenet: {}}\n  pretrainings: {scratch: {}}\n"
        "  tasks: {t: {dataset: imagenet, recipe: {base: finetune}}}\n  experiments: {e: {mode: finetune}}\n"
        "  figures: []\nscales: {one: {}}\n"
    )
    assert len(ids(studies.load("mine", "one"))) == 1


# --- what is wrong: (what stands there, what is written instead, words of the message) ---

EDITS = [
    # keys
    ("  size: 32", "  sizes: 32", "sizes: nothing reads this key. Did you mean 'size'?"),
    ("images: 20", "image: 20", "tasks, liver, image: nothing reads this key. Did you mean 'images'?"),
    ("after: photos", "aftr: photos", "pretrainings, longer, aftr: nothing reads this key. Did you mean 'after'?"),
    ("      tasks: [kinds, liver]", "      task: [kinds]", "experiments, frozen, task: nothing reads this key. Did you mean 'tasks'?"),
    ("warmup: 1", "warm_up: 1", "tasks, kinds, recipe, warm_up: nothing reads this key. Did you mean 'warmup'?"),
    ("{p_flip: 0.5}", "{p_flp: 0.5}", "recipe, augment, p_flp: nothing reads this key. Did you mean 'p_flip'?"),
    ("{k: 4,", "{clusters: 4,", "pretrainings, archive, groups, clusters: nothing reads this key."),
    ("limit: 0.5", "limits: 0.5", "groups, limits: nothing reads this key. Did you mean 'limit'?"),
    ("volumes: 4", "volume: 4", "phantoms, lits, volume: nothing reads this key. Did you mean 'volumes'?"),
    ("{seed: run, by: image}", "{seed: run, on: image}", "splits, chestxray, on: nothing reads this key."),
    ("{mask: box}", "{masc: box}", "tasks, nodules, options, masc: nothing reads this key. Did you mean 'mask'?"),
    ("{every: 2}", "{evry: 2}", "tasks, kinds, classes: expected a number of classes, {every: step}, or a list of labels"),
    ("unet: {groups", "unet: {wheights: imagenet, groups", "by_backbone, unet, wheights: nothing reads this key. Did you mean 'weights'?"),
    ("scales:", "scale:", "scale: nothing reads this key. Did you mean 'scales'?"),
    # types
    ("images: 32", "images: many", "pretrainings, photos, images: expected a whole number, found 'many'."),
    ("images: 32", "images: 3.5", "pretrainings, photos, images: expected a whole number, found 3.5."),
    ("images: 32", "images: '32'", "pretrainings, photos, images: expected a whole number, found '32'."),
    ("images: 32", "images: true", "pretrainings, photos, images: expected a whole number, found true."),
    ("epochs: 2,", "epochs: 1_000,", "photos, recipe, epochs: expected a whole number, found '1_000'."),
    ("lr: 1e-3", "lr: 1e-3x", "photos, recipe, lr: expected a number, found '1e-3x'."),
    ("window: [40, 400]", "window: [40]", "liver, recipe, window: expected a list of 2 numbers, found [40]."),
    ("window: [40, 400]", "window: [40, 0]", "expected a centre and a width above 0, found [40"),
    ("window: [40, 400]", "window: null", "the grey values of 'lits' are HU. Say window: [40, 400]"),
    ("seeds: [1, 2]", "seeds: 3", "seeds: expected a list, found 3."),
    ("seeds: [1, 2]", "seeds: []", "seeds: expected 1 or more entries, found []."),
    ("seeds: [1, 2]", "seeds: [1, 1]", "seeds: expected each entry once, found 1 again."),
    ("seeds: [1, 2]", "seeds: [1, -2]", "seeds, entry 2: expected 0 or more, found -2."),
    ("seeds: [1, 2]", "seeds: [1, 1:30]", "seeds, entry 2: expected a whole number, found '1:30'."),
    ("title: A study", "title: 3", "title: expected text, found 3."),
    ("title: A study", "title:", "title: expected text, found nothing (null)."),
    ("scratch: {}", "scratch: 3", "pretrainings, scratch: expected keys and values ({} for none), found 3."),
    ("scratch: {}", "scratch:", "pretrainings, scratch: expected keys and values ({} for none), found nothing (null)."),
    ("only_liver: true", "only_liver: yes", "tasks, liver, options, only_liver: expected true or false, found 'yes'."),
    ("{modality: CT}", "{modality: [CT]}", "where: expected columns of the data set's table, with one value each"),
    ("slices: [30, 31]", "slices: [31, 30]", "phantoms, lits, slices: expected the lower value first, found [31, 30]."),
    ("  quick: {}", "  quick: 3", "scales, quick: expected keys and values ({} for none), found 3."),
    ("  quick: {}", "  quick:", "scales, quick: expected keys and values ({} for none), found nothing"),
    ("gpus: {pretrain: 8, finetune: 1}", "gpus: {pretraining: 8}", "gpus: expected a whole number of 1 or more, or one each"),
    ("threads: 2", "threads: 0", "threads: expected 1 or more, found 0."),
    # ranges
    ("  size: 32", "  size: 4", "size: expected 8 or more, found 4."),
    ("fraction: 0.5", "fraction: 0", "tasks, chest, fraction: expected more than 0, found 0."),
    ("fraction: 0.5", "fraction: 1.5", "tasks, chest, fraction: expected 1 or less, found 1.5."),
    ("fractions: [0.1, 1]", "fractions: [0, 1]", "experiments, frozen, fractions, entry 1: expected more than 0, found 0."),
    ("images: 20", "images: -16", "tasks, liver, images: expected 1 or more, found -16."),
    ("epochs: 2,", "epochs: 0,", "photos, recipe, epochs: expected 1 or more, found 0."),
    ("recipe: {epochs: 3}", "recipe: {epochs: 3, batch: 0}", "frozen, recipe, batch: expected 1 or more, found 0."),
    ("liver: {epochs: 4}", "liver: {lr: 0}", "frozen, recipes, liver, lr: expected more than 0, found 0."),
    ("lrs: [1e-3, 0.01]", "lrs: [-1e-3]", "main, lrs, entry 1: expected more than 0, found -0.001."),
    ("{val: 0.1,", "{val: 2,", "split: val and test are two shares that leave some to train, or two whole numbers"),
    ("{val: 0.1,", "{val: 0.9,", "split: val and test are two shares that leave some to train"),
    ("{k: 4,", "{k: 1,", "groups, k: expected 2 or more, found 1."),
    ("limit: 0.5", "limit: 1.5", "groups, limit: expected 1 or less, found 1.5."),
    ("{p_flip: 0.5}", "{p_flip: 5}", "recipe, augment, p_flip: expected 1 or less, found 5."),
    ("volumes: 4", "volumes: 0", "phantoms, lits, volumes: expected 1 or more, found 0."),
    ("{lits: 0.05}", "{lits: 5}", "max_unreadable: expected a share from 0 to 1, or data sets with one each"),
    ("{lits: 0.05}", "1e999", "expected a finite number, found 1e999"),
    ("images_per_epoch: 16", "images_per_epoch: 64", "longer, images_per_epoch: expected at most 32, the images there, found 64."),
    # names
    ("data: phantom", "data: fantom", "data: unknown kind of data 'fantom'. Did you mean 'phantom'?"),
    ("  backbone: resnet10", "  backbone: resnet11", "backbone: unknown backbone 'resnet11'. Did you mean 'resnet1"),
    ("backbone: unet", "backbone: torchvision/resnet5O", "backbone 'torchvision/resnet5O'. Did you mean 'torchvision/resnet50'?"),
    ("backbone: unet", "backbone: no", "tasks, nodules, backbone: unknown backbone 'no'."),
    ("        unet: {groups", "        u-net: {groups", "by_backbone, u-net: unknown backbone 'u-net'. Did you mean 'unet'?"),
    ("dataset: lits", "dataset: litz", "tasks, liver, dataset: unknown data set 'litz'. Did you mean 'lits'?"),
    ("    luna16: {seed", "    luna: {seed", "phantoms, luna: unknown data set 'luna'. Did you mean 'luna16'?"),
    ("    chestxray: {seed: run", "    chestxrey: {seed: run", "splits, chestxrey: unknown data set 'chestxrey'. Did you mean 'chestxray'?"),
    ("method: classification", "method: clasification", "method: unknown method of pretraining 'clasification'. Did you mean 'classification'?"),
    ("{base: segment,", "{base: segmnt,", "liver, recipe, base: unknown recipe 'segmnt'. Did you mean 'segment'?"),
    ("epochs: 2,", "optimizer: adm,", "photos, recipe, optimizer: unknown optimizer 'adm'. Did you mean 'adam'?"),
    ("{p_flip: 0.5}", "simcrl", "photos, recipe, augment: unknown augmentation 'simcrl'. Did you mean 'simclr'?"),
    ("warmup: 1", "monitor: acuracy", "monitor of a multiclass task 'acuracy'. Did you mean 'accuracy'?"),
    ("fraction_by: slice", "fraction_by: image", "tasks, few, fraction_by: unknown unit of a fraction 'image'."),
    ("{seed: run, by: image}", "{seed: run, by: slice}", "splits, chestxray, by: unknown unit of a split 'slice'."),
    ("{seed: run, by: image}", "{seed: ran}", "splits, chestxray, seed: expected a whole number of 0 or more, or run, found 'ran'."),
    ("images: simclr", "images: simcrl", "groups, images: unknown image embedding 'simcrl'. Did you mean 'simclr'?"),
    ("[text, images]", "[texts, images]", "groups: unknown source 'texts'. Did you mean 'text'?"),
    ("{mask: box}", "{mask: bocks}", "tasks, nodules, options, mask: unknown mask 'bocks'. Did you mean 'box'?"),
    ("[Effusion, No Finding]", "[Efusion]", "tasks, chest, classes: unknown label of chestxray 'Efusion'. Did you mean 'Effusion'?"),
    ("[Effusion, No Finding]", "3", "tasks, chest, classes: chestxray is a multi-label task"),
    ("{every: 2}", "[tench]", "tasks, kinds, classes: 'imagenet' takes a number of classes, or {every: step}; found a list."),
    ("mode: lineval", "mode: linevl", "experiments, frozen, mode: unknown mode 'linevl'. Did you mean 'lineval'?"),
    ("tasks: [kinds, liver]", "tasks: [kinds, livr]", "frozen, tasks, entry 2: unknown task 'livr'. Did you mean 'liver'?"),
    ("[scratch, photos, archive]", "[scratch, fotos]", "main, pretrainings, entry 2: unknown pretraining 'fotos'. Did you mean 'photos'?"),
    ("{kinds: [photos]}", "{kinds: [fotos]}", "by_task, pretrainings, kinds, entry 1: unknown pretraining 'fotos'. Did"),
    ("{kinds: [photos]}", "{kind: [photos]}", "by_task, pretrainings, kind: unknown task 'kind'. Did you mean 'kinds'?"),
    ("        liver: {epochs: 4}", "        livr: {epochs: 4}", "frozen, recipes, livr: unknown task 'livr'. Did you mean 'liver'?"),
    ("{photos: {lr: 0.1}}", "{foto: {lr: 0.1}}", "pretraining_recipes, foto: unknown pretraining 'foto'. Did you mean 'photos'?"),
    ("corpora: [photos, archive]", "corpora: [photos, scratch]", "both, corpora, entry 2: unknown corpus 'scratch'."),
    ("after: photos", "after: longer", "longer, after: unknown earlier pretraining 'longer'."),
    ("{of: kinds,", "{of: kindz,", "tasks, few, of: unknown earlier entry 'kindz'. Did you mean 'kinds'?"),
    ("[30_fig2_task_dependency]", "[30_fig2]", "figures, entry 1: unknown notebook '30_fig2'. Did you mean '30_fig"),
    ("job: [tasks]", "job: [task]", "job, entry 1: unknown part of a job 'task'. Did you mean 'tasks'?"),
    ("few: null", "fews: null", "scales, big, tasks, fews: there is none to remove. Did you mean 'few'?"),
    ("{classes: null,", "{clases: null,", "tasks, kinds, clases: there is none to remove. Did you mean 'classes'?"),
    # what does not go together
    ("scratch: {}", "scratch: {weights: imagnet}", "unknown source of weights 'imagnet'. Did you mean 'imagenet'?"),
    ("scratch: {}", "scratch: {weights: imagenet}", "scratch, weights: unknown backbone with imagenet weights 'resnet10'."),
    ("scratch: {}", "scratch: {weights: imagenet, dataset: lits}", "published `weights` are not trained here; take out dataset."),
    ("scratch: {}", "scratch: {images: 300, recipe: {base: simclr}}", "nothing is trained with resnet10, since there is neither dataset"),
    ("    luna16: {seed: 3, series: 5}\n", "", "tasks, nodules, dataset: `phantoms` lacks 'luna16'"),
    ("{corpora: [photos, archive],", "{corpora: [photos, archive], images: 3,", "`corpora` already says which images are used; take out images."),
    ("{corpora: [photos, archive],", "{corpora: [photos, archive], method: reconstruction,", "reconstruction takes one data set, not `corpora`."),
    ("dataset: radiologynet", "dataset: imagenet", "archive, groups: pseudo-labels need headers and reports. These archives have them: radiologynet."),
    ("recipe: {base: classify}", "recipe: {epochs: 2}", "pretrainings, archive, recipe: lacks `base`, the recipe that is changed."),
    ("images: 20,", "classes: 2,", "tasks, liver, classes: 'lits' is a task of segmentation and has no classes to choose"),
    ("recipe: {base: nodule}", "recipe: {base: nodule, window: [40, 400]}", "the grey values of 'luna16' need (0.0, 2000.0)"),
    ("recipe: {base: nodule}", "recipe: {base: nodule, class_weights: [1, 2, 3]}", "class_weights: expected 2, one a class, found 3."),
    ("recipe: {base: nodule}", "recipe: {base: nodule, patience: 3, select: last}", "recipe.patience stops at the best epoch"),
    ("{photos: {lr: 0.1}}", "{photos: {freeze: encoder}}", "recipe.freeze is 'encoder', which is what mode lineval does"),
    ("{photos: {lr: 0.1}}", "{photos: {bn: adapt}}", "freeze='none' takes bn='train' or 'frozen', not bn='adapt'."),
    ("{mode: finetune, lrs", "{mode: finetune, bn: adapt, lrs", "experiments, main, bn: only mode lineval freezes the encoder; take this out."),
    ("{kinds: [photos]},", "{kinds: [photos]}, tasks: [kinds],", "by_task, tasks: `pretrainings` already says the tasks; take this out."),
    ("fractions: [0.1, 1]", "fractions: [0.1]\n      fraction: 0.5", "frozen, fraction: `fractions` already says the shares; take this out."),
    ("backbone: unet", "backbone: torchvision/inception_v3", "torchvision/inception_v3 needs images of at least 75 pixels, found 32."),
    # YAML
    ("  data: phantom", "\tdata: phantom", "found a tab; indent with spaces."),
    ("  data: phantom", "  data phantom", "expected `key: value`, found no colon with a space behind it."),
    ("  data: phantom", "  data:phantom", "expected `key: value`, found no colon with a space behind it."),
    ("title: A study", "title: A study: mine", "found a colon where none can be: quote text that holds one"),
    ("  size: 32", "  size: 32\n  size: 48", "the key 'size' stands twice, first in line 5."),
    ("    scratch: {}", "    scratch: {}\n    2024: {}", "expected a name as key, found 2024; quotes make text of it."),
    ("    scratch: {}", "    scratch: *none", "found undefined alias 'none'"),
    ("    scratch: {}", "    scratch: !!python/name:os.system x", "the tag !!python/name:os.system"),
    ("    scratch: {}", "    scratch: &a {of: *a}", "an alias inside its own anchor"),
]  # fmt: skip


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
    }
    wanted = next((n for w, n in elsewhere.items() if w in words), None)
    at = int(re.search(r"mine\.yaml:(\d+): ", found)[1])
    assert at == wanted or (wanted is None and at in lines), found


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
        ("\n".join(["a: &a [x,x,x,x,x,x,x,x,x,x]", *(f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]" for a, b in zip("abcd", "bcde"))]), 1, "aliases that multiply"),
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
    with pytest.raises(StudyError, match=r"mine.yaml:57: size: expected 8 or more, found 6"):
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
    with pytest.raises(StudyError, match=r"paper/studies/real_mini.yaml:15: .*`phantoms` lacks 'natural-images'"):
        studies.load("real_mini", "smoke", "phantom")


def test_every_key_has_a_description():
    text = studyfile.describe()
    assert all(f"  {name}: {field.description}" in text for m in DECLARED for name, field in m.model_fields.items())


def test_every_field_of_a_recipe_can_be_set(write):
    for name in (f.name for f in fields(Recipe)):
        write(STUDY.replace("{base: nodule}", f"{{base: nodule, {name}: .inf}}"))
        with pytest.raises(StudyError, match="expected a finite number"):
            studyfile.read("mine", "quick")
        write(STUDY.replace("{base: nodule}", f"{{base: nodule, {name}: [[]]}}"))
        with pytest.raises(StudyError, match=rf"mine.yaml:35: tasks, nodules, recipe, {name}"):
            studyfile.read("mine", "quick")


# --- fuzz: whatever is done to a file, it is a study or one error of the project ---

WORDS = ["3", "-1", "0", "1.5", "1e400", "null", "true", "no", "[]", "{}", "[1, x]", "{a: 1}", "'", '"', "*x", "&x 1", "<<", ": ", "- ", "\t", "!!int x", "ü"]  # fmt: skip


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
            assert ids(study)
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
        ("1e-3", 1e-3), ("1E5", 1e5), (".5", 0.5), ("5.", 5.0), ("-1.5e+3", -1500.0), ("0o17", 15), ("0x1F", 31), ("017", 17),
        ("+3", 3), ("-0", 0), ("3.0", 3.0), ("yes", "yes"), ("no", "no"), ("NO", "NO"), ("on", "on"), ("off", "off"),
        ("y", "y"), ("1:30", "1:30"), ("1_000", "1_000"), ("0b11", "0b11"), ("2024-01-31", "2024-01-31"),
        ("true", True), ("False", False), ("TRUE", True), ("tRUE", "tRUE"), ("null", None), ("~", None), ("", None),
        ("nULL", "nULL"), ("'3'", "3"), ("!!str 3", "3"), ("!!float 3", 3.0), ("=", "="), ("[1, a]", [1, "a"]),
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


@given(st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3), max_leaves=8,
))  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_json_is_yaml(value):
    import json

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
    assert study.options("lits") == [{"only_liver": True}] and study.options("imagenet") == [{}]


def test_stores_of_other_options_are_others(data):
    phantom = {"seed": 1, "volumes": 5, "pixels": 32, "slices": (30, 31)}
    plain = prepare("lits", 32, phantom)
    assert plain == prepare("lits", 32, phantom, {"only_liver": False})
    other = prepare("lits", 32, phantom, {"only_liver": True})
    assert other != plain and other.name.startswith("lits-phantom-32px-")
    assert card_of("lits", {"only_liver": True}).options["only_liver"] is True


@pytest.mark.parametrize(("layout", "option"), [(lay, o) for lay, options in SETTABLE.items() for o in options])
def test_every_option_that_can_be_set_is_one_of_a_card(layout, option):
    from tlkit.datasets import DATASETS, LAYOUTS

    assert layout in LAYOUTS
    assert any(option in card.options for card in DATASETS.values() if card.layout == layout)


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
