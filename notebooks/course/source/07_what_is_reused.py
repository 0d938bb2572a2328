# %% [markdown]
# # Lesson 7: what features are reused? CKA
#
# **Question.** After fine-tuning, is anything left of the pretraining? And how would one see it?
#
# **After this lesson you can** compare what two networks say of the same images with [CKA](../glossary.md#cka); name two baselines without which such a number means nothing; and spot a measure that shows the learning rate instead of the features.
#
# **What you need to know.** Lessons 3 and 4; matrix products.
#
# **Time.** 50 minutes with three exercises. The cells run for about half a minute when the runs of lesson 4 are there. All images are [phantoms](../glossary.md#phantom).

# %% tags=["parameters"]
scale = "quick"  # quick, or smoke: a few images and epochs, for tests

# %%
import numpy as np
import pandas as pd

from tlkit import course, report, studies
from tlkit.config import Parameters
from tlkit.course import plots
from tlkit.figures import feature_reuse, similarity

with Parameters(globals()) as p:
    chosen = studies.load("lessons", p.scale)
names = chosen.names()

# %% [markdown]
# ## 1. Are two networks alike? (15 minutes)
#
# Two networks never have the same neurons in the same order, so comparing neuron 7 with neuron 7 is useless. [CKA](../glossary.md#cka) compares something else: *which images does a network find similar?* Let X hold the features of N images (one row each), with the mean of each column subtracted. Then X Xᵀ is a table of similarities between images, and CKA says how well the tables of two networks agree, from 0 to 1:
#
# $$\mathrm{CKA}(X, Y) = \frac{\lVert X^{\top} Y \rVert^2}{\lVert X^{\top} X \rVert \; \lVert Y^{\top} Y \rVert}$$
#
# where the bars are the root of the sum of all squared entries.
#
# ### Exercise 7.1: CKA


# %% exercise 7.1
def cka(x, y):
    """Return the linear CKA of features x [N, P] and y [N, Q] of the same N images."""
    # blank: centre each column of both, then the formula above (np.linalg.norm is the bars)
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    return np.linalg.norm(x.T @ y) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
    # end


course.check("7.1", cka)

# %% [markdown]
# ## 2. A trap (10 minutes)
#
# **Predict.** Two tables of pure noise, 20 images with 512 features each, nothing to do with each other. Their CKA?

# %%
my_guess = None

# %%
rng = np.random.default_rng(0)
rows = []
for n in (10, 20, 50, 100, 200, 500):
    x, y = rng.normal(size=(2, n, 512))
    rows.append((n, "as in the formula", similarity.cka(x, y)))
    rows.append((n, "unbiased", similarity.cka(x, y, unbiased=True)))
noise = pd.DataFrame(rows, columns=["images", "estimate", "CKA"])
course.guessed(my_guess, noise.loc[(noise["images"] == 20) & (noise["estimate"] != "unbiased"), "CKA"].item())
noise.pivot(index="images", columns="estimate", values="CKA").round(2)

# %% [markdown]
# With fewer images than features, *everything* looks alike: any two tables of 20 points in 512 dimensions nearly fit each other. The unbiased estimate removes this part. A paper that compares layers of different width on few images by the plain formula has measured the width.
#
# ### Exercise 7.2: break the tie
#
# A baseline that always works: keep both tables, but shuffle the images of one. What is left is not agreement about images.


# %% exercise 7.2
def shuffled_similarity(x, y, measure, seed):
    """Return `measure(x, y)` after the rows (images) of `y`, and nothing else, were put into another order."""
    rng = np.random.default_rng(seed)
    # blank: the measure of x and of y with its rows in random order
    return measure(x, y[rng.permutation(len(y))])
    # end


course.check("7.2", shuffled_similarity)

# %% [markdown]
# ## 3. Before and after fine-tuning (20 minutes)
#
# Now the real question. Each fine-tuned run is compared with the weights that it started from, on test images. As a second baseline, two runs that differ only in their [seed](../glossary.md#seed) are compared with each other.
#
# **Predict.** In which arm will the pooled features have changed most: random weights, photographs, or CT slices?

# %%
ids = studies.run_all(chosen.finetune("", ["region"], ["tuned"]), chosen)
kept, seeds = feature_reuse.feature_reuse(ids, images=64)
layers = {layer: f"convolution {i}" for i, layer in enumerate(dict.fromkeys(kept["layer"]), 1) if layer != "features"}
layers |= {"features": "pooled features"}
tables = {"before and after": kept, "two seeds": seeds}
both = pd.concat(tables, names=["compared"]).reset_index(0)
both = both[both["measure"] == "activations_linear"].replace({"layer": layers, "pretraining": dict(names)})
both.pivot_table(index=["layer", "compared"], columns="pretraining", values="value").round(2)

# %%
shown = both[both["layer"] == "pooled features"]
shown = shown.assign(arm=shown["pretraining"] + ", " + shown["compared"]).sort_values("arm")
drawn = plots.dots(shown, "value", "arm", "CKA of the pooled features on 64 test images", names=names)
report.show(drawn, "Similarity of pooled features before and after fine-tuning, and between two seeds, by arm.")

# %% [markdown]
# Read it in this order. First *two seeds*: as alike as that are networks that did the same with other luck. Then *before and after*. Now look at the early convolutions **of random weights**: how much stayed where nothing was worth keeping? Only what the other arms kept beyond that can be called reuse of a useful feature.
#
# ### Exercise 7.3: how far did the weights move?
#
# The study compared weights, not what the network says of images. The plainest measure of that kind:


# %% exercise 7.3
def displacement(before, after):
    """Return how far weights moved, relative to where they stood (by the root of the sum of squares)."""
    # blank: the length of the difference, divided by the length before
    return np.linalg.norm(after - before) / np.linalg.norm(before)
    # end


course.check("7.3", displacement)

# %%
wide = kept.pivot_table(index=["run", "layer"], columns="measure", values="value").dropna()
ranks = wide[["weights_rbf", "displacement", "activations_linear"]].corr("spearman")
print(
    f"Rank correlation of the published measure with the displacement: {ranks.loc['weights_rbf', 'displacement']:.2f}"
)
ranks.round(2)

# %% [markdown]
# If the published measure (a CKA of the weights) goes with the displacement alone, it tells how large the steps of the optimiser were. The learning rates of the two tasks of the study differ 480-fold, and so does what such a measure finds.
#
# <details><summary>What to look for</summary>
#
# -1 would mean: the measure is nothing but the displacement, turned around. On few runs a rank correlation is uncertain; look at the sign and at whether it is near an end.
#
# </details>
#
# ## 4. Talk about it (5 minutes)
#
# A paper writes: "The first layers of our pretrained network have a CKA of 0.99 before and after fine-tuning, so its features are reused." Which two numbers do you ask for?

# %%
print("phantom data at scale", chosen.scale, chosen.doubts_note())

# %% [markdown]
# ## Summary
#
# CKA compares which images two networks find similar, whatever the order of their neurons. It is worth nothing without baselines: the shuffled images, the random start, and two runs that differ in their seed only. A layer that did not change was perhaps useful, or perhaps the learning rate was small.
#
# ## Further reading
#
# - Notebook [33_fig5_feature_reuse](../../33_fig5_feature_reuse.ipynb): the published figure, with both baselines.
# - Kornblith et al. 2019, *Similarity of neural network representations revisited*, [arXiv:1905.00414](https://arxiv.org/abs/1905.00414).
# - Davari et al. 2023, *Reliability of CKA as a similarity measure in deep learning*, [arXiv:2210.16156](https://arxiv.org/abs/2210.16156).
