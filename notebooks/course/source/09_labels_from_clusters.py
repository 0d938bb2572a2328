# %% [markdown]
# # Lesson 9: labels from clustering
#
# **Question.** An archive without labels could be sorted into groups by a program, and the groups used as labels. Are they worth learning?
#
# **After this lesson you can** cluster images by their [features](../glossary.md#feature); score groups without fooling yourself by their number; and write the rule by which a study keeps some of them and drops the others.
#
# **What you need to know.** Lesson 3; logarithms.
#
# **Time.** 50 minutes with three exercises. The cells run for about half a minute when the pretrainings of lesson 3 are there. All images are [phantoms](../glossary.md#phantom).

# %% tags=["parameters"]
scale = "quick"  # quick, or smoke: a few images and one epoch, for tests

# %%
import numpy as np
import pandas as pd

from tlkit import course, report, studies
from tlkit.archives.pseudolabels import clustering
from tlkit.config import Parameters
from tlkit.course import plots
from tlkit.course.encoding import encode
from tlkit.figures import feature_reuse
from tlkit.training.data import class_names, open_data
from tlkit.training.recipe import Recipe

with Parameters(globals()) as p:
    chosen = studies.load("lessons", p.scale)
names = chosen.names()
studies.run_all([chosen.pretrain_configs(name, "contrastive")[0] for name in ("photos", "ct")], chosen)
configs = {arm: chosen.finetune(arm, ["region"], ["tuned"], [1])[0] for arm in chosen.pretrainings}
store, table = open_data(configs["ct"]["data"])
table = table[table["label"] >= 0].reset_index(drop=True)
if chosen.scale == "smoke":
    table = table.sample(300, random_state=0, ignore_index=True)
rows, regions = table["row"].to_numpy(), class_names(configs["ct"]["data"], table)
region = table["label"].astype(int).map(dict(enumerate(regions)))

# %% [markdown]
# ## 1. Groups (15 minutes)
#
# We pretend that nobody knows the regions. Each slice becomes the features of the encoder that was pretrained on CT without labels, and [k-means](../glossary.md#k-means) finds six groups.

# %%
recipe = Recipe.from_dict(configs["ct"]["recipe"])
features = encode(feature_reuse.encoder_before(configs["ct"]), store, rows, recipe)
groups = clustering.cluster(features, 6, seed=0)
drawn = pd.Series(groups).sample(frac=1, random_state=0)
shown = [i for g in range(6) for i in drawn[drawn == g].index[:4]]
grid = report.image_grid(list(store.images[rows[shown]]), [f"group {groups[i]}" for i in shown], columns=8)
report.show(grid, "Four random phantom slices of each of the six groups.")

# %% [markdown]
# **Predict.** Name each group from its pictures. If every slice of a group were called by the group's most frequent region, which share would be called correctly?

# %%
my_guess = None

# %% [markdown]
# ### Exercise 9.1: purity


# %% exercise 9.1
def purity(groups, labels):
    """Return the share of images whose label is the most frequent one of their group. Both: pandas Series."""
    counts = pd.crosstab(groups, labels)
    # blank: the largest count of each group, added up, as a share of all
    return counts.max(axis=1).sum() / len(labels)
    # end


course.check("9.1", purity)

# %%
counts = pd.crosstab(pd.Series(groups, name="group"), region.rename("region"))
course.guessed(my_guess, counts.max(axis=1).sum() / len(region))
counts

# %% [markdown]
# ## 2. More groups are always purer (10 minutes)
#
# **Predict.** What happens to the purity with 100 groups? And with one group for each image?

# %%
found = []
for k in sorted({2, 6, 12, 25, 50, min(100, len(rows) // 2)}):
    g = clustering.cluster(features, k, seed=0)
    score = clustering.scores(g, region.to_frame("region")).iloc[0]
    pure = pd.crosstab(g, region).max(axis=1).sum() / len(region)
    found.append((k, pure, score["homogeneity"], score["completeness"], score["nmi"]))
pd.DataFrame(found, columns=["groups", "purity", "homogeneity", "completeness", "NMI"]).set_index("groups").round(2)

# %% [markdown]
# Purity and homogeneity ask whether a group holds one region only, and reach 1 when every image has a group of its own, which is no labelling at all. Completeness asks the opposite: is a region in one group only? [NMI](../glossary.md#nmi) is the harmonic mean of the two. Compare sources at *one* number of groups, or by a score that pays for groups.
#
# ### Exercise 9.2: how mixed is a group?


# %% exercise 9.2
def mixedness(counts, kinds):
    """Return the entropy of a group, from 0 (one label only) to 1 (all `kinds` labels equally often).

    `counts`: how often each label occurs in the group; zeros are allowed. An entropy is minus the sum of p log p.
    """
    p = np.asarray(counts) / np.sum(counts)
    p = p[p > 0]
    # blank: the entropy of p, divided by the largest one that is possible with that many kinds
    return -(p * np.log(p)).sum() / np.log(kinds)
    # end


course.check("9.2", mixedness)

# %% [markdown]
# ## 3. Which groups to keep (15 minutes)
#
# The RadiologyNET study made 50 groups from over a million images and kept 36: those that its authors judged not to be mixtures. A rule makes such a choice repeatable.
#
# ### Exercise 9.3: the rule


# %% exercise 9.3
def kept_groups(summary, limit, floor):
    """Return the sorted numbers of the groups to keep, as a list.

    `summary` has a row for each group (its index) with the columns size and entropy. A group goes where its entropy is
    above `limit`, or where it has fewer than `floor` images.
    """
    # blank: the groups that are pure enough and large enough
    good = (summary["entropy"] <= limit) & (summary["size"] >= floor)
    return sorted(summary.index[good])
    # end


course.check("9.3", kept_groups)

# %%
groups = clustering.cluster(features, min(25, len(rows) // 4), seed=0)
mixed = clustering.heterogeneity(groups, region.to_frame("region"))
left = {}
for limit in (0.1, 0.2, 0.3, 0.4, 0.6, 1.0):
    good = mixed[(mixed["region_entropy"] <= limit) & (mixed["size"] >= 5)]
    left[limit] = (len(good), good["size"].sum() / len(rows), good["region"].nunique())
pd.DataFrame(left, index=["groups kept", "share of images", "regions left"]).T.rename_axis("limit").round(2)

# %% [markdown]
# **Think.** A strict limit keeps pure groups and may lose whole regions: which ones, and who would notice? And to *judge* the groups the study used tags that had also helped to *make* them; what does such a score say?
#
# <details><summary>What to look for</summary>
#
# What is rare, or looks like something else, ends in mixed groups and goes first. A score by tags that made the groups is high by construction: it says that the clustering worked, not that the groups mean something.
#
# </details>
#
# ## 4. From which features? (10 minutes)
#
# **Predict.** Order: raw pixels, random encoder, photographs, CT.

# %%
sources = {"pixels": np.asarray(store.images[rows], dtype=np.float32).reshape(len(rows), -1)}
sources |= {names[arm]: encode(feature_reuse.encoder_before(c), store, rows, recipe) for arm, c in configs.items()}
found = []
for name, x in sources.items():
    for seed in range(5):
        g = clustering.cluster(x, 6, seed=seed)
        found.append((name, clustering.scores(g, region.to_frame("region"))["nmi"].iloc[0]))
nmi = pd.DataFrame(found, columns=["features", "NMI"])
text = "NMI of six groups with the regions, five starts of k-means"
drawn = plots.dots(nmi, "NMI", "features", text, names=names)
report.show(drawn, "How well groups agree with the regions, by the features from which they were made.")

# %%
print("phantom data at scale", chosen.scale, chosen.doubts_note())
nmi.groupby("features", sort=False)["NMI"].agg(["mean", "std", "size"]).round(3)

# %% [markdown]
# The dots of a row differ by the start of the clustering alone. Another pretraining run of the same arm would move the row as a whole, and of that there is only one here, so the order of rows that lie close together is open.
#
# ## Summary
#
# Clustering turns an archive without labels into groups that can serve as labels, as good as the features that it starts from. Purity grows by itself with the number of groups, so groups are scored by a measure that pays for them, and not by what made them. The rule that drops mixed groups decides which images, and which patients, the later network never sees.
#
# ## Further reading
#
# - Notebooks [03_pseudo_labels](../../03_pseudo_labels.ipynb) and [11_pretrain_classification](../../11_pretrain_classification.ipynb): reports, headers and images together, and a network that learns the groups.
# - Caron et al. 2018, *Deep clustering for unsupervised learning of visual features*, [arXiv:1807.05520](https://arxiv.org/abs/1807.05520).
# - The RadiologyNET study, 2025, [doi:10.1038/s41598-025-05009-w](https://doi.org/10.1038/s41598-025-05009-w).
