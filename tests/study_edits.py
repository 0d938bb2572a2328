"""A study with every key, and hand edits of it: what stands there, what is written instead, words of the message."""
# ruff: noqa: E501  one edit a line

from __future__ import annotations

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
  figures:
    30_fig2_task_dependency: {experiments: [main, frozen], tasks: [kinds, few], files: {kinds: [one]}}
    36_images_or_steps: {experiments: [main], compared: {more: [longer, photos]}, planted: {photos: 0.5}}
    41_fig4_reconstruction: {experiments: [main], arm: archive, published: {kinds: {photos: [0.5, 0.6]}}}
  colours: {scratch: "#8c8c8c", larger: "#0072b2", photos: "#56b4e9"}
  datasets: {imagenet: Photographs}
  estimates:
    larger: {title: Larger, between: [photos, longer], factor: 1.5}
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
    ("lrs: [1e-3, 0.01],", "rates_of: man,", "unknown experiment 'man'. Did you mean 'main'?"),
    ("options: {mask: box},", "options: {mask: box, fit: pads},", "unknown fit 'pads'. Did you mean 'pad'? Allowed: squash, pad, crop."),
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
    ("30_fig2_task_dependency:", "30_fig2:", "figures, 30_fig2: unknown notebook '30_fig2'. Did you mean '30_fig"),
    ("[main, frozen], tasks", "[man], tasks", "figures, 30_fig2_task_dependency, experiments, entry 1: unknown experiment 'man'. Did you mean 'main'?"),
    ("tasks: [kinds, few]", "tasks: [kindz]", "figures, 30_fig2_task_dependency, tasks, entry 1: unknown task 'kindz'. Did you mean 'kinds'?"),
    ("tasks: [kinds, few]", "task: [kinds]", "figures, 30_fig2_task_dependency, task: nothing reads this key. Did you mean 'tasks'?"),
    ("files: {kinds: [one]}", "files: {kindz: [one]}", "files, kindz: unknown file 'kindz'. Did you mean 'kinds'?"),
    ("tasks: [kinds, few]", "tasks: [few]", "figures, 30_fig2_task_dependency, tasks: this scale has none of them; say `figures: {30_fig2_task_dependency: null}` there."),
    ("{more: [longer, photos]}", "{more: [longer]}", "figures, 36_images_or_steps, compared, more: expected 2 or more entries, found [longer]."),
    ("{more: [longer, photos]}", "{more: [longer, photo]}", "compared, more, entry 2: unknown pretraining 'photo'. Did you mean 'photos'?"),
    ("planted: {photos: 0.5}", "planted: {foto: 0.5}", "figures, 36_images_or_steps, planted, foto: unknown pretraining 'foto'. Did you mean 'photos'?"),
    ("arm: archive", "arm: archiv", "figures, 41_fig4_reconstruction, arm: unknown pretraining 'archiv'. Did you mean 'archive'?"),
    ("{photos: [0.5, 0.6]}", "{foto: [0.5, 0.6]}", "published, kinds, foto: unknown pretraining 'foto'. Did you mean 'photos'?"),
    ('photos: "#56b4e9"', "photos: blue", "colours, photos: expected a colour such as '#e69f00', found 'blue'."),
    ('photos: "#56b4e9"', 'fotos: "#56b4e9"', "colours, fotos: unknown pretraining 'fotos'. Did you mean 'photos'?"),
    ("{imagenet: Photographs}", "{imagent: Photographs}", "datasets, imagent: unknown data set 'imagent'. Did you mean 'imagenet'?"),
    ("[photos, longer]", "[photos, long]", "estimates, larger, between, entry 2: unknown pretraining 'long'. Did you mean 'longer'?"),
    ("factor: 1.5", "factor: 0", "estimates, larger, factor: expected more than 0, found 0."),
    ("job: [tasks]", "job: [task]", "job, entry 1: unknown part of a job 'task'. Did you mean 'tasks'?"),
    ("few: null", "fews: null", "scales, big, tasks, fews: there is none to remove. Did you mean 'few'?"),
    ("{classes: null,", "{clases: null,", "tasks, kinds, clases: there is none to remove. Did you mean 'classes'?"),
    ("recipe: {epochs: 9}", "recipe: {epoch: null}", "scales, big, tasks, kinds, recipe, epoch: there is none to remove. Did you mean 'epochs'?"),
    # what does not go together
    ("scratch: {}", "scratch: {weights: imagnet}", "unknown source of weights 'imagnet'. Did you mean 'imagenet'?"),
    ("scratch: {}", "scratch: {weights: imagenet}", "scratch, weights: unknown backbone with imagenet weights 'resnet10'."),
    ("scratch: {}", "scratch: {weights: imagenet, dataset: lits}", "published `weights` are not trained here; take out dataset."),
    ("scratch: {}", "scratch: {seed: 3}", "nothing is trained with resnet10, since there is neither dataset nor corpora; add one, or take out seed."),
    ("images_per_epoch: 16}", "images_per_epoch: 16}\n    again: {of: photos, seed: 42}", "pretrainings, again: repeats photos with the same seed"),
    ("scratch: {}", "scratch: {images: 300, recipe: {base: simclr}}", "nothing is trained with resnet10, since there is neither dataset"),
    ("    luna16: {seed: 3, series: 5}\n", "", "tasks, nodules, dataset: `phantoms` lacks 'luna16'"),
    ("{corpora: [photos, archive],", "{corpora: [photos, archive], images: 3,", "`corpora` already says which images are used; take out images."),
    ("{corpora: [photos, archive],", "{corpora: [photos, archive], method: reconstruction,", "reconstruction takes one data set, not `corpora`."),
    ("dataset: radiologynet", "dataset: imagenet", "archive, groups: pseudo-labels need headers and reports. These archives have them: open-chest, open-radiologynet, radiologynet."),
    ("recipe: {base: classify}", "recipe: {epochs: 2}", "pretrainings, archive, recipe: lacks `base`, the recipe that is changed."),
    ("{every: 2}", "1", "tasks, kinds, recipe: a multiclass task needs 2 or more classes, found 1."),
    ("dataset: imagenet\n      images: 32", "dataset: chestxray\n      method: classification", "photos, method: 'chestxray' is a task of multilabel: an image has no one class to learn."),
    ("warmup: 1", "temperature: 0.1", "tasks, kinds, recipe: multiclass does not read recipe.temperature as it is here; say temperature: 0.5."),
    ("warmup: 1", "loss: dice", "multiclass does not read recipe.loss as it is here; say loss: cross_entropy."),
    ("warmup: 1", "decay: 0.9", "multiclass does not read recipe.decay as it is here; say decay: 0.97."),
    ("epochs: 2, lr", "sampling: oversample, lr", "photos, recipe: contrastive does not read recipe.sampling as it is here; say sampling: all."),
    ("epochs: 2, lr", "schedule: plateau, lr", "contrastive has no validation value, so there is no plateau"),
    ("{base: reconstruct, monitor: \"\"}", "{base: reconstruct, monitor: log_loss}", "reconstruction selects on mse; recipe.monitor is 'log_loss'."),
    ("{base: reconstruct, monitor: \"\"}", "{base: reconstruct, augment: radiology}", "reconstruction does not read recipe.augment as it is here; say augment: none."),
    ("window: [40, 400]}", "window: [40, 400], loss: dice}", "segmentation does not read recipe.class_weights as it is here; say class_weights: null."),
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
