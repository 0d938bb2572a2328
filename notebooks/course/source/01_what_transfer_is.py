# %% [markdown]
# # Lesson 1: what transfer is
#
# **Question.** A network must tell six regions of the body apart and has few labelled images to learn it from. Does it matter where its weights start?
#
# **After this lesson you can** say what a [pretraining](../glossary.md#pretraining), an [arm](../glossary.md#arm) and a [run](../glossary.md#run) are; name the result that needs no network at all, and place any [accuracy](../glossary.md#accuracy) between it and the best one; read a learning curve without being fooled by its first epochs.
#
# **What you need to know.** Python with pandas, and what a neural network and a training [epoch](../glossary.md#epoch) are. No medicine.
#
# **Time.** 50 minutes with three exercises. The cells themselves run for about a minute, the first time. All images are [phantoms](../glossary.md#phantom), bodies drawn by a program: what you find shows how such a study works, and says nothing about patients.
#
# **How to work.** Write your guess down where a cell asks for one, and only then run the next. An exercise is one function with a hole; the last line of its cell checks it and says what is wrong. Change whatever you like: this is your copy.

# %% tags=["parameters"]
scale = "quick"  # quick, or smoke: a few images and two epochs, for tests

# %%
import pandas as pd

from tlkit import course, report, runs, studies
from tlkit.config import Parameters
from tlkit.course import plots
from tlkit.training.data import class_names, open_data
from tlkit.training.recipe import Recipe
from tlkit.training.supervised import plain_view

with Parameters(globals()) as p:
    chosen = studies.load("lessons", p.scale)
names = chosen.names()

# %% [markdown]
# ## 1. The task (10 minutes)
#
# Below are CT slices of six regions. The network sees 32 x 32 pixels, which is why they look coarse, and has to name the region.

# %%
config = chosen.finetune("scratch", ["region"])[0]
store, table = open_data(config["data"])
regions = class_names(config["data"], table)
table = table[table["label"] >= 0]
one_each = table[table["split"] == "train"].groupby("label").head(2).sort_values("label")
images = plain_view(store.take(one_each.index.to_numpy())[0], Recipe.from_dict(config["recipe"]))
grid = report.image_grid(images, [regions[int(i)] for i in one_each["label"]], columns=6)
report.show(grid, "Phantom CT slices: two training images of each region, as the network gets them.")

# %% [markdown]
# How often does each region come? One patient gives many slices, and some regions are scanned more often than others.

# %%
test = table[table["split"] == "test"]
labels = test["label"].astype(int)
labels.map(dict(enumerate(regions))).value_counts().rename("test images").to_frame()

# %% [markdown]
# **Predict.** Somebody has a program that never looks at the image. What is the highest accuracy that it can reach on these test images? Write a number between 0 and 1 in place of `None`.

# %%
my_guess = None

# %% [markdown]
# ### Exercise 1.1: the answer that needs no image


# %% exercise 1.1
def best_without_looking(labels):
    """Return the highest accuracy that one and the same answer for every image reaches. `labels`: a pandas Series."""
    counts = labels.value_counts()
    # blank: the share of the most frequent class among all labels
    return counts.max() / len(labels)
    # end


course.check("1.1", best_without_looking)

# %%
constant = labels.value_counts(normalize=True).max()
course.guessed(my_guess, constant)

# %% [markdown]
# This number is a [baseline](../glossary.md#baseline). A network below it has learned less than nothing, however good its accuracy may sound; with rare diseases the baseline is often above 0.95.
#
# ## 2. Three starts (15 minutes)
#
# Three [arms](../glossary.md#arm) of one experiment: the same network, images, labels and recipe, and only the starting weights differ.
#
# | arm | where the weights come from |
# |---|---|
# | random weights | nowhere: drawn by a random generator |
# | photographs | a [pretraining](../glossary.md#pretraining) on pictures of things, without labels |
# | CT slices | a pretraining on CT slices of other patients, without labels |
#
# [Fine-tuning](../glossary.md#fine-tuning) then trains all weights on the labelled images. Each arm is trained three times with another [seed](../glossary.md#seed), which decides what is left to chance.
#
# **Predict.** Which arm will be best, and by how many points of accuracy (0.01 is one point) will the better pretraining be ahead of random weights, or behind them (a negative number)? Talk to your neighbour, then write your number down.

# %%
my_lead = None

# %%
ids = studies.run_all([c for arm in chosen.pretrainings for c in chosen.finetune(arm, ["region"], ["tuned"])], chosen)
results = runs.read_all(ids)
accuracy = results[results["metric"] == "accuracy"]
means = accuracy.groupby("pretraining", sort=False)["value"].agg(["mean", "std", "size"])
means.rename(index=names).round(3)

# %%
course.guessed(my_lead, means["mean"].drop("scratch").max() - means.loc["scratch", "mean"])
shown = accuracy.assign(arm=accuracy["pretraining"].map(names))
line = (constant, "one answer for all images")
drawn = plots.dots(shown, "value", "arm", "accuracy on test images", names=names, line=line)
report.show(drawn, "Accuracy of each fine-tuned run, by where its weights started.")

# %% [markdown]
# Each dot is a [run](../glossary.md#run). Look at two things: how far the arms lie apart, and how far the dots of one arm lie apart. If the second is as large as the first, the order of the arms may be luck; lesson 6 is about nothing else.
#
# ### Exercise 1.2: how much of the way?
#
# 0.9 sounds better than 0.6, but on a task whose baseline is 0.88 it is nearly nothing. Put an accuracy on a scale from 0 (the baseline) to 1 (no mistake).


# %% exercise 1.2
def share_of_the_way(accuracy, baseline):
    """Return how far `accuracy` has come from the baseline (0) to a perfect answer (1); negative below the baseline."""
    # blank: what was gained above the baseline, divided by what there was to gain
    return (accuracy - baseline) / (1 - baseline)
    # end


course.check("1.2", share_of_the_way)

# %%
(means["mean"] - constant).div(1 - constant).rename(index=names).rename("share of the way").round(2).to_frame()

# %% [markdown]
# ## 3. Who is ahead, and when? (15 minutes)
#
# Papers often say that a pretrained network "converges faster". The curves show the training loss and the accuracy on the [validation](../glossary.md#validation-set) images, which choose the epoch that is kept.

# %%
first = {names[c["pretraining"]]: runs.history(runs.run_id(c)) for c in chosen.finetune("", ["region"], ["tuned"], [1])}
drawn = report.curves(first, ["loss", "accuracy"], title="Phantom data, seed 1")
report.show(drawn, "Training loss and validation accuracy by epoch, one run of each arm.")

# %% [markdown]
# ### Exercise 1.3: the first good epoch


# %% exercise 1.3
def first_epoch_at(history, level):
    """Return the number of the first epoch (from 1) whose validation accuracy is at least `level`, or None.

    `history` has the columns epoch (from 0, as programs count) and accuracy.
    """
    good = history[history["accuracy"] >= level]
    # blank: None where no epoch was good enough, else the first one, counted from 1
    return None if good.empty else int(good["epoch"].min()) + 1
    # end


course.check("1.3", first_epoch_at)

# %%
level = round((constant + means["mean"].max()) / 2, 2)
pd.Series(
    {arm: h.loc[h["accuracy"] >= level, "epoch"].min() + 1 for arm, h in first.items()},
    name=f"first epoch at {level:.2f}",
)

# %% [markdown]
# **Think.** NaN means: never. One arm is first here. Would it be first with another seed? With ten times the epochs? An arm that is ahead after two epochs and equal at the end saved time and nothing else; that can be worth a lot, but it is another claim than "better".
#
# <details><summary>What to look for</summary>
#
# Change `[1]` in the cell above to `[2]` and run it again. If the order changes, a claim about speed from one seed was about the seed. Training longer costs minutes here and days with real data, so most papers compare at a fixed number of epochs: the faster arm then looks like the better one.
#
# </details>
#
# ## 4. What would change your mind? (10 minutes)
#
# Write down for your neighbour: which single number from the cells above would you print in a paper, and what would you have to print beside it so that nobody is misled? (Ours: the mean of each arm, the number of runs, their spread, the baseline, and that the images are phantoms.)

# %%
print("phantom data at scale", chosen.scale, chosen.doubts_note())
means.rename(index=names).assign(baseline=constant).round(3)

# %% [markdown]
# ## Summary
#
# Transfer means that a network starts a task from weights that have learned something else, and an arm is one such start with everything else held equal. An accuracy says something only beside the baseline that needs no network, and beside the spread of the same arm over several seeds. Being ahead early is not the same as being better at the end.
#
# ## Further reading
#
# - Yosinski et al. 2014, *How transferable are features in deep neural networks?*, [arXiv:1411.1792](https://arxiv.org/abs/1411.1792): the experiment that made the question precise.
# - Raghu et al. 2019, *Transfusion*, [arXiv:1902.07208](https://arxiv.org/abs/1902.07208): pretrained networks on medical images are often faster and seldom better.
# - Jonske et al. 2025, [doi:10.1016/j.cmpb.2025.108634](https://doi.org/10.1016/j.cmpb.2025.108634): the study that this course follows.
