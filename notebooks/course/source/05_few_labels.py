# %% [markdown]
# # Lesson 5: few labels
#
# **Question.** A radiologist labels forty images an hour. How many hours does a pretraining save?
#
# **After this lesson you can** draw a small training set fairly; turn a gain in accuracy into labels saved; and tell two kinds of uncertainty apart, that of the training and that of the test.
#
# **What you need to know.** Lessons 1 to 4; logarithms.
#
# **Time.** 50 minutes with three exercises. The cells run for one to two minutes, the first time. All images are [phantoms](../glossary.md#phantom).

# %% tags=["parameters"]
scale = "quick"  # quick, or smoke: a few images and epochs, for tests

# %%
import numpy as np
import pandas as pd

from tlkit import course, report, runs, studies
from tlkit.config import Parameters
from tlkit.course import plots
from tlkit.training.data import open_data, training_rows

with Parameters(globals()) as p:
    chosen = studies.load("lessons", p.scale)
names = chosen.names()

# %% [markdown]
# ## 1. A tenth of the labels (20 minutes)
#
# So far every arm was trained on the same labelled images. Now the same arms get 30 % and 10 % of them.
#
# **Predict.** With all labels the arms were close. With a tenth of them, how far will the better pretraining be ahead of random weights?

# %%
my_guess = None

# %%
configs = chosen.finetune("", [], ["tuned", "few"])
ids = studies.run_all(configs, chosen)
results = runs.read_all(ids)
accuracy = results[results["metric"] == "accuracy"]
images = results[results["metric"] == "images"].set_index("run")["value"]
accuracy = accuracy.assign(images=accuracy["run"].map(images), arm=accuracy["pretraining"].map(names))
accuracy["images"] = accuracy.groupby("fraction")["images"].transform("mean").round()  # patients are drawn whole
means = accuracy.pivot_table(index="fraction", columns="pretraining", values="value", aggfunc="mean", sort=False)
least = means.loc[means.index.min()]
course.guessed(my_guess, least.drop("scratch").max() - least["scratch"])
summary = accuracy.groupby(["fraction", "arm"])["value"].agg(["mean", "std", "size"])
summary.round(3)

# %%
drawn = plots.by_amount(accuracy, "images", "value", "arm", names)
report.show(drawn, "Accuracy by the number of labelled images: each run, and a line through the means of an arm.")

# %% [markdown]
# Each dot is a run, each line joins means. Compare the vertical spread of the dots on the left with that on the right: with few labels the result depends strongly on *which* few, and every [seed](../glossary.md#seed) draws others.
#
# ### Exercise 5.1: draw a few of each
#
# Ten images drawn at random from six unequal classes often miss one. A fair small training set takes the same number of each class.


# %% exercise 5.1
def few_of_each(labels, n, seed):
    """Return the positions of `n` images of each class, drawn by `seed`, as one sorted array.

    `labels`: an array with the class of each image.
    """
    rng = np.random.default_rng(seed)
    drawn = []
    for label in np.unique(labels):
        # blank: n positions of this class, none of them twice
        drawn.append(rng.choice(np.flatnonzero(labels == label), n, replace=False))
        # end
    return np.sort(np.concatenate(drawn))


course.check("5.1", few_of_each)

# %% [markdown]
# What did our runs do? They draw patients, whole ones, so the number of images is only about 10 % and differs from seed to seed; the picture above has the mean. One of the draws:

# %%
rows = {}
for fraction in accuracy["fraction"].unique():
    config = next(c for c in configs if c["fraction"] == fraction)
    store, table = open_data(config["data"])
    at = training_rows(config, table)
    some = store.table.iloc[at]
    rows[f"{fraction:.0%}"] = {
        "images": len(some),
        "patients": some["patient"].nunique(),
        "classes": some["label"].nunique(),
    }
pd.DataFrame(rows).T

# %% [markdown]
# ## 2. What is a pretraining worth in labels? (15 minutes)
#
# "5 points better" is hard to price. "The same with half of the labels" is not. Take the curve of random weights, and ask how many labels it needs for the accuracy that the pretrained arm has with few. Between two points of the curve one goes along a straight line over the *logarithm* of the number of labels, since ten more of ten are not ten more of a thousand.
#
# ### Exercise 5.2: labels that do the same


# %% exercise 5.2
def labels_needed(counts, accuracies, wanted):
    """Return how many labels the curve needs for the accuracy `wanted`, or None where it never gets there.

    `counts`, `accuracies`: arrays, ascending; between two points the curve is straight over the logarithm of the count.
    """
    if wanted > accuracies[-1]:
        return None
    # blank: interpolate the logarithm of the count at the wanted accuracy, and come back from the logarithm
    return float(np.exp(np.interp(wanted, accuracies, np.log(counts))))
    # end


course.check("5.2", labels_needed)

# %%
curve = accuracy[accuracy["pretraining"] == "scratch"].groupby("images")["value"].mean().sort_index().cummax()
fewest = accuracy["images"].min()
rows = []
for arm in ("photos", "ct"):
    of = accuracy[(accuracy["pretraining"] == arm) & (accuracy["images"] == fewest)]["value"].mean()
    inside = curve.iloc[0] <= of <= curve.iloc[-1]
    same = np.exp(np.interp(of, curve.to_numpy(), np.log(curve.index.to_numpy()))) if inside else np.nan
    rows.append((names[arm], fewest, of, same, same / fewest))
columns = ["arm", "labels", "accuracy", "labels of random weights for the same", "times as many"]
pd.DataFrame(rows, columns=columns).set_index("arm").round(2)

# %% [markdown]
# NaN: the curve of random weights does not cover that accuracy, so nothing can be said by going along it; drawing the line further would be guessing.
#
# ## 3. Two kinds of uncertainty (15 minutes)
#
# Train again with another seed: the accuracy changes. Test on other patients: it changes too. The standard deviation over seeds in the table above shows the first kind alone, for all runs have the same test images.
#
# ### Exercise 5.3: the uncertainty of a test
#
# If each of `n` test images were drawn independently and is answered correctly with probability `p`, the accuracy has a [standard error](../glossary.md#standard-error).


# %% exercise 5.3
def test_error(p, n):
    """Return the standard error of an accuracy `p` that was measured on `n` independent test images."""
    # blank: the square root of the variance of one answer divided by the number of answers
    return np.sqrt(p * (1 - p) / n)
    # end


course.check("5.3", test_error)

# %%
last = accuracy[(accuracy["fraction"] == 1) & (accuracy["pretraining"] == "ct")]["value"]
test = table[(table["split"] == "test") & (table["label"] >= 0)]
rows = {
    "sd over seeds": last.std(),
    f"standard error, if the {len(test)} test images were independent": np.sqrt(
        last.mean() * (1 - last.mean()) / len(test)
    ),
    f"standard error, if only the {test['patient'].nunique()} test patients are": np.sqrt(
        last.mean() * (1 - last.mean()) / test["patient"].nunique()
    ),
}
pd.Series(rows, name="points of accuracy").mul(100).round(1).to_frame()

# %% [markdown]
# **Think.** Slices of one patient are not independent: if the network misreads one, it misreads its neighbours. The truth lies between the second and the third line, nearer to the third. Where it is larger than the first, more seeds do not help; more test patients would.
#
# <details><summary>What to look for</summary>
#
# Arms are compared on the *same* test patients, so part of this uncertainty cancels in a difference. It comes back as soon as somebody says "this arm is better on new patients".
#
# </details>

# %%
print("phantom data at scale", chosen.scale, chosen.doubts_note())

# %% [markdown]
# ## Summary
#
# Pretraining is worth most where labels are few, and there the results also scatter most, because it matters which few were drawn. A gain is easier to judge as labels saved than as points, as long as the curve covers it. Seeds show the uncertainty of training, test patients that of the test, and a study needs both.
#
# ## Further reading
#
# - Notebooks [31_fig3_task_complexity](../../31_fig3_task_complexity.ipynb) and [45_fig8_less_data](../../45_fig8_less_data.ipynb).
# - Henaff et al. 2020, *Data-efficient image recognition with contrastive predictive coding*, [arXiv:1905.09272](https://arxiv.org/abs/1905.09272): labels saved, as a curve.
# - Bouthillier et al. 2021, *Accounting for variance in machine learning benchmarks*, [arXiv:2103.03098](https://arxiv.org/abs/2103.03098).
