# %% [markdown]
# # Lesson 8: where does it look? Grad-CAM
#
# **Question.** A heat map lies on the right organ. May one trust the network now?
#
# **After this lesson you can** compute [Grad-CAM](../glossary.md#grad-cam) from activations and gradients; measure a heat map instead of admiring it; and run the test that many explanation methods fail.
#
# **What you need to know.** Lessons 1 and 4; what a gradient and a feature map of a convolution are.
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
from tlkit.figures import gradcam

with Parameters(globals()) as p:
    chosen = studies.load("lessons", p.scale)
names = chosen.names()
configs = {arm: chosen.finetune(arm, ["region"], ["tuned"], [1])[0] for arm in chosen.pretrainings}
ids = dict(zip(configs, studies.run_all(list(configs.values()), chosen), strict=True))

# %% [markdown]
# ## 1. The idea (15 minutes)
#
# The last convolution gives C small maps for an image, each answering to some pattern. The gradient of a class's score says how much more of a map would help the class. [Grad-CAM](../glossary.md#grad-cam) weighs each map by the mean of its gradient, adds them up, and keeps what speaks *for* the class (what is above 0).
#
# ### Exercise 8.1: Grad-CAM in two lines


# %% exercise 8.1
def grad_cam(activations, gradients):
    """Return the heat map [H, W] of one image. Both are [C, H, W]: the maps, and the gradients of the score."""
    # blank: one weight a map (the mean of its gradient), the weighted sum of the maps, and nothing below 0
    weights = gradients.mean(axis=(1, 2))
    return np.maximum(0, np.tensordot(weights, activations, axes=1))
    # end


course.check("8.1", grad_cam)

# %% [markdown]
# ## 2. Look (10 minutes)
#
# Here are heat maps of the three arms on the same test images, for the class that each of them predicted. Yellow speaks most for it.
#
# **Predict.** All three arms have nearly the same accuracy (lesson 1). Will they look at the same places?

# %%
found = gradcam.explain_runs(ids, images=24)
first = found.images[:6]
pictures = [np.stack([image] * 3) for image in first]
for arm in ids:
    pictures += [plots.overlay(image, heat) for image, heat in zip(first, found.maps[arm][:6], strict=True)]
titles = ["image"] * 6 + [names[arm] for arm in ids for _ in range(6)]
report.show(
    report.image_grid(pictures, titles, columns=6), "Phantom test images, and below each the heat map of every arm."
)

# %%
gradcam.compare_maps(found).replace(dict(names)).round(2)

# %% [markdown]
# `mean` is the correlation of the maps of two arms, over pixels; n counts images on which both have a map. Networks can agree in what they say and disagree in where they look, which at least one of them cannot mean as a reason.
#
# ## 3. Measure (15 minutes)
#
# How much of the heat lies on the body, and not on the air around it? A number needs a baseline here, too: if the body fills 60 % of the image, a map that looks nowhere in particular has 60 % on it.
#
# ### Exercise 8.2: heat inside


# %% exercise 8.2
def share_inside(heat, mask):
    """Return which share of the heat [H, W] lies where `mask` (True or False, [H, W]) is True; NaN without any heat."""
    if heat.sum() == 0:
        return np.nan
    # blank: the heat inside, divided by all heat
    return heat[mask].sum() / heat.sum()
    # end


course.check("8.2", share_inside)

# %% [markdown]
# ### Exercise 8.3: better than nowhere in particular?


# %% exercise 8.3
def gain_over_chance(heat, mask):
    """Return how many times more of the heat lies inside than a map that is equal everywhere would put there."""
    inside = heat[mask].sum() / heat.sum()
    # blank: the share of the heat inside, divided by the share of the area
    return inside / mask.mean()
    # end


course.check("8.3", gain_over_chance)

# %%
body = found.images > 0.3
rows = []
for arm, maps in found.maps.items():
    for image, heat in enumerate(maps):
        if heat.sum() and 0 < body[image].mean() < 1:
            rows.append((names[arm], heat[body[image]].sum() / heat.sum(), body[image].mean()))
measured = pd.DataFrame(rows, columns=["arm", "heat on the body", "area of the body"])
measured["gain"] = measured["heat on the body"] / measured["area of the body"]
measured.groupby("arm", sort=False).agg(["mean", "size"]).round(2)

# %%
drawn = plots.dots(measured, "gain", "arm", "heat on the body against chance", names=names, line=(1, "chance"))
report.show(
    drawn, "Share of the heat on the body, divided by the share of the area that the body has: each image, by arm."
)

# %% [markdown]
# 1 is a map that is equal everywhere. A mean near 1 with dots on both sides of it means: of *where* this network looks, the map says little.
#
# ## 4. The test (10 minutes)
#
# A map should show what the network has **learned**. So take the learning away: replace the head by a random one, or the whole network, and draw the map of the same class again. A map that stays the same shows the image, as an edge filter would.
#
# **Predict.** Correlation of the map before and after the *whole* network was replaced by random weights?

# %%
my_guess = None

# %%
checked = gradcam.check_sanity(ids["ct"], images=24)
summary = checked.groupby("part")["correlation"].agg(["mean", "std", "count"])
course.guessed(my_guess, summary.loc["all", "mean"])
known = checked.dropna()
text = "correlation with the map of the trained network"
drawn = plots.dots(known, "correlation", "part", text, line=(0, "unrelated"))
report.show(drawn, "Correlation of each heat map with the one after a part of the network was made random.")

# %%
summary.round(2)

# %% [markdown]
# **Think.** Suppose the map had passed every test here and lay on the lung. The network might still use a tube or a marker that lies there, or the noise of one scanner, which lies everywhere. A map says *where*, never *what* or *why*.
#
# <details><summary>What to look for</summary>
#
# On 32 x 32 pixels the map has few cells (see `found.frame["cells"]`) and is drawn large by interpolation: smooth edges are not precision. NaN in a correlation means that a map was empty: nothing spoke for the class. Published figures show the images on which it looks right; a random sample, as here, is the least one should ask for.
#
# </details>

# %%
print("phantom data at scale", chosen.scale, chosen.doubts_note())
found.frame.groupby("pretraining")[["right", "empty"]].mean().rename(index=names).round(2)

# %% [markdown]
# ## Summary
#
# Grad-CAM weighs the maps of a late layer by how much they speak for a class, and shows where in the image they do. Such a map is evidence only if it is measured against chance on images that were drawn at random, and if it changes when the weights are replaced. Even then it says where a network looks, and not that it looks for the right reason.
#
# ## Further reading
#
# - Notebooks [46_gradcam](../../46_gradcam.ipynb) and [44_rate_heatmaps](../../44_rate_heatmaps.ipynb), in which readers rate maps without knowing whose they are.
# - Selvaraju et al. 2017, *Grad-CAM*, [arXiv:1610.02391](https://arxiv.org/abs/1610.02391).
# - Adebayo et al. 2018, *Sanity checks for saliency maps*, [arXiv:1810.03292](https://arxiv.org/abs/1810.03292).
# - Arun et al. 2021, *Assessing the trustworthiness of saliency maps for localizing abnormalities in medical imaging*, [doi:10.1148/ryai.2021200267](https://doi.org/10.1148/ryai.2021200267).
