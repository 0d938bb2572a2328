# %% [markdown]
# # Lesson 3: contrastive pretraining
#
# **Question.** Nobody has time to label a hospital's archive. What can a network learn from images alone?
#
# **After this lesson you can** explain [SimCLR](../glossary.md#simclr) to somebody with a pencil; compute its loss for one image; say from a loss whether a pretraining has learned anything; and test what its [features](../glossary.md#feature) are worth without training.
#
# **What you need to know.** Lessons 1 and 2; softmax and cross-entropy; the cosine of two vectors.
#
# **Time.** 55 minutes with three exercises. The cells run for about half a minute, the first time. All images are [phantoms](../glossary.md#phantom).

# %% tags=["parameters"]
scale = "quick"  # quick, or smoke: a few images and one epoch, for tests

# %%
import numpy as np
import pandas as pd
import torch
from sklearn.neighbors import KNeighborsClassifier

from tlkit import course, report, runs, studies
from tlkit.config import Parameters
from tlkit.course.encoding import encode
from tlkit.figures import feature_reuse
from tlkit.training.contrastive import nt_xent, nt_xent_range
from tlkit.training.data import open_data, training_images
from tlkit.training.recipe import Recipe
from tlkit.training.supervised import random_view

with Parameters(globals()) as p:
    chosen = studies.load("lessons", p.scale)
names = chosen.names()
(config,) = chosen.pretrain_configs("ct", "contrastive")
recipe = Recipe.from_dict(config["recipe"])

# %% [markdown]
# ## 1. A game with two views (10 minutes)
#
# From each image two [views](../glossary.md#view) are made: another crop, other greys, perhaps mirrored or blurred. Below, the second row shows the same images as the first, but shuffled.
#
# **Predict.** Which belongs to which? Write down the partner of each image of the first row (0 to 7, from the left), then look at the answer.

# %%
(corpus,) = training_images(config)
some = np.linspace(0, len(corpus) - 1, 8).astype(int)
pixels, _ = corpus.store.take(corpus.rows[some])
views = [random_view(pixels, recipe, config["seed"], 0, some, view=v)[0] for v in (0, 1)]
order = np.random.default_rng(3).permutation(8)
grid = report.image_grid([*views[0], *views[1][order]], [f"{i}" for i in range(8)] + ["?"] * 8)
report.show(grid, "One random view of each of eight phantom slices (above), and another of each, shuffled (below).")

# %%
print("The partner of each image of the first row stands in the second row at", np.argsort(order).tolist())

# %% [markdown]
# You just solved the task that the network gets, and needed to know something about bodies for it. That is the whole idea: to win the game the network must find what stays when greys and crops change, which is mostly what the image shows.
#
# ## 2. The loss (20 minutes)
#
# A batch of N images gives 2N views. An encoder and a small head turn each into a vector of length 1; the cosine of two vectors says how similar the network finds them. For each view there is one partner (the [positive](../glossary.md#positive-and-negative)) and 2N - 2 others (the negatives). The loss is the cross-entropy of choosing the partner among all 2N - 1.
#
# ### Exercise 3.1: a network that knows nothing
#
# If all views look equally similar, the network guesses among all 2N - 1.


# %% exercise 3.1
def loss_without_knowledge(pairs):
    """Return the loss of a batch of `pairs` images (two views each) where all views are equally similar."""
    # blank: minus the logarithm of the probability of the right one among all others
    return np.log(2 * pairs - 1)
    # end


course.check("3.1", loss_without_knowledge)

# %% [markdown]
# ### Exercise 3.2: the loss of one view
#
# Similarities are divided by the [temperature](../glossary.md#temperature) before the softmax: a small one makes differences count more.


# %% exercise 3.2
def loss_of_one_view(similarities, partner, temperature=0.5):
    """Return the loss of one view.

    `similarities`: its cosines with the 2N - 1 other views, without itself; `partner`: which is the positive.
    """
    logits = np.asarray(similarities) / temperature
    # blank: minus the log of the softmax of the partner, among all of them
    return -(logits[partner] - np.log(np.exp(logits).sum()))
    # end


course.check("3.2", loss_of_one_view)

# %% [markdown]
# The library does the same for all views at once. Below are random vectors; watch what happens to the loss when partners become alike.

# %%
torch.manual_seed(0)
one, noise = torch.randn(32, 16), torch.randn(32, 16)
start, floor = nt_xent_range(32)
rows = {
    f"{share:.0%} of the partner is noise": float(nt_xent(one, (1 - share) * one + share * noise))
    for share in (1.0, 0.75, 0.5, 0.25, 0.0)
}
pd.Series(rows | {"knows nothing": start, "floor": floor}, name="loss of 32 pairs").round(2).to_frame()

# %% [markdown]
# The **floor** is what is left when partners are identical and everything else is unrelated (cosine 0). It is far from 0, since cosines lie between -1 and 1 and the temperature keeps the softmax soft. So a loss by itself, such as 4.9, says nothing: 4.9 may be the start of a small batch or the floor of a large one.
#
# ### Exercise 3.3: how far did it come?


# %% exercise 3.3
def share_of_the_way_down(loss, pairs):
    """Return how far a loss came on its way from knowing nothing (0) to the floor (1)."""
    start, floor = nt_xent_range(pairs)
    # blank: what it fell, divided by what it could fall
    return (start - loss) / (start - floor)
    # end


course.check("3.3", share_of_the_way_down)

# %% [markdown]
# ## 3. The run (10 minutes)
#
# **Predict.** Ten epochs on a laptop, a few hundred images: which share of the way will the pretraining on CT slices come?

# %%
my_guess = None

# %%
configs = {name: chosen.pretrain_configs(name, "contrastive")[0] for name in ("photos", "ct")}
ids = dict(zip(configs, studies.run_all(list(configs.values()), chosen), strict=True))
histories = {names[name]: runs.history(rid) for name, rid in ids.items()}
drawn = report.curves(histories, ["loss"], title="Phantom data")
report.show(drawn, "Contrastive loss by epoch of both pretraining runs.")

# %%
way = {}
for name, history in histories.items():
    start, floor = nt_xent_range(recipe.batch)
    way[name] = (start - history["loss"].iloc[-1]) / (start - floor)
course.guessed(my_guess, way[names["ct"]])
pd.Series(way, name="share of the way").round(2).to_frame()

# %% [markdown]
# Published runs of 100 epochs on a million images came 95 % of the way and more. Ours are short; what counts is whether the features are worth something, and that can be measured.
#
# ## 4. What is it worth? (15 minutes)
#
# Without any training: for each slice, find the slice *of another patient* whose features are most alike. Does it show the same region of the body? This is [k-NN](../glossary.md#k-nn) with k = 1 in feature space.
#
# **Predict.** Order these by how well they do: raw pixels, an encoder of random weights, the encoder pretrained on photographs, the one pretrained on CT.

# %%
downstream = {arm: chosen.finetune(arm, ["region"], ["tuned"], [1])[0] for arm in chosen.pretrainings}
store, table = open_data(downstream["scratch"]["data"])
table = table[table["label"] >= 0]
rows, label = table["row"].to_numpy(), table["label"].astype(int).to_numpy()
is_test = (table["split"] == "test").to_numpy()
tuning = Recipe.from_dict(downstream["scratch"]["recipe"])
seen = {"pixels": np.asarray(store.images[rows], dtype=np.float32).reshape(len(rows), -1)}
for arm, run in downstream.items():
    seen[names[arm]] = encode(feature_reuse.encoder_before(run), store, rows, tuning)
score = {
    name: KNeighborsClassifier(1).fit(x[~is_test], label[~is_test]).score(x[is_test], label[is_test])
    for name, x in seen.items()
}
constant = pd.Series(label[is_test]).value_counts(normalize=True).max()
pd.Series(score | {"one answer for all": constant}, name="accuracy of the nearest slice").round(2).to_frame()

# %% [markdown]
# **Think.** An encoder of random weights is often better than nothing: a random projection keeps distances. That is why it has to be in every table. And one number from one pretraining run says little about the next run; how much is the subject of lesson 6.
#
# <details><summary>What to look for</summary>
#
# Test and training patients are different here (the split is by patient), so no slice can find its own neighbour. If raw pixels beat all encoders, the task is easy by position and brightness alone: then a good accuracy after fine-tuning is no merit of the pretraining either.
#
# </details>

# %%
print("phantom data at scale", chosen.scale, chosen.doubts_note())

# %% [markdown]
# ## Summary
#
# Contrastive pretraining makes a network find, among all views of a batch, the one that shows the same image, and needs no label for it. Its loss means something only between its start, ln(2N - 1), and its floor, and even there it says how well the game is played, not what the features are worth. That has to be measured on a task, beside raw pixels and random weights.
#
# ## Further reading
#
# - Notebook [10_pretrain_contrastive](../../10_pretrain_contrastive.ipynb): the same at any scale, and the published losses.
# - Chen et al. 2020, *A simple framework for contrastive learning of visual representations*, [arXiv:2002.05709](https://arxiv.org/abs/2002.05709).
# - Azizi et al. 2021, *Big self-supervised models advance medical image classification*, [arXiv:2101.05224](https://arxiv.org/abs/2101.05224): the two views may be two images of one patient.
