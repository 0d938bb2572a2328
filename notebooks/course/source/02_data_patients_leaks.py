# %% [markdown]
# # Lesson 2: data, patients and leaks
#
# **Question.** A network scores 0.98 on images that it was not trained on. Can that number be worthless?
#
# **After this lesson you can** turn [Hounsfield units](../glossary.md#hounsfield-units) into what a network sees; split images so that no patient stands on two sides; find copies of images in a test set; and say what a result is worth that has a [leak](../glossary.md#leak).
#
# **What you need to know.** Lesson 1, and numpy indexing with a boolean array.
#
# **Time.** 60 minutes with four exercises. The cells run for about half a minute; no network is trained. All images are [phantoms](../glossary.md#phantom).

# %% tags=["parameters"]
scale = "quick"  # quick, or smoke: a few images, for tests

# %%
import numpy as np
import pandas as pd
from sklearn.neighbors import KNeighborsClassifier

from tlkit import course, report, studies
from tlkit.config import Parameters
from tlkit.datasets import prepare
from tlkit.datasets.store import open_store
from tlkit.training.data import class_names, open_data

with Parameters(globals()) as p:
    chosen = studies.load("lessons", p.scale)
config = chosen.finetune("scratch", ["region"])[0]
store, table = open_data(config["data"])
regions = class_names(config["data"], table)
table = table[table["label"] >= 0].reset_index(drop=True)
if chosen.scale == "smoke":
    table = table.sample(300, random_state=0, ignore_index=True)
slices = np.asarray(store.images[table["row"].to_numpy()])
print(
    f"{len(table)} slices of {table['patient'].nunique()} phantom patients, {slices.dtype}, {slices.shape[1:]} pixels"
)

# %% [markdown]
# ## 1. What a grey value means (15 minutes)
#
# A photograph stores brightness. A CT scanner stores how strongly a tissue weakens X-rays, in [Hounsfield units](../glossary.md#hounsfield-units) (HU): air -1000, water 0, bone several hundred. A screen shows 256 greys and an eye tells fewer apart, so one looks through a [window](../glossary.md#window): a centre and a width. What lies below becomes black, what lies above white.
#
# ### Exercise 2.1: a window


# %% exercise 2.1
def through_window(hu, centre, width):
    """Return `hu` (an array of HU) as floats from 0 (black) to 1 (white), seen through a window."""
    low = centre - width / 2
    # blank: 0 at the low end, 1 at the high end, and nothing outside of 0 and 1
    return np.clip((hu - low) / width, 0, 1)
    # end


course.check("2.1", through_window)

# %%
windows = {"lung": (-600, 1500), "soft tissue": (40, 400), "bone": (400, 1800), "all that is stored": (0, 4000)}
some = slices[np.linspace(0, len(slices) - 1, 4).astype(int)].astype(float)
seen = [np.clip((some - c + w / 2) / w, 0, 1) for c, w in windows.values()]
titles = [name for name in windows for _ in some]
grid = report.image_grid([np.stack([image] * 3) for row in seen for image in row], titles, columns=8)
report.show(grid, "Four phantom CT slices, each through four windows.")

# %% [markdown]
# The same four slices, four times. Which tissue can a network not learn about, whatever its size, in each window? A published study stretched each slice from its own darkest to its own brightest value instead: then the same liver has another grey in every slice.
#
# ## 2. One patient, many slices (20 minutes)
#
# Neighbouring slices of one patient are nearly the same picture. We now ask a question that **no image can answer**: every patient has thrown a coin, heads or tails. All slices of a patient carry the result of that patient's coin.

# %%
patients = table["patient"].unique()
coin = pd.Series(np.random.default_rng(7).permutation(len(patients)) % 2, index=patients)
coins = table["patient"].map(coin).to_numpy()
features = slices.reshape(len(slices), -1).astype(np.float32)


def memory_accuracy(is_test, answers):
    """Return how often the most similar training slice, pixel by pixel, has the right answer for a test slice."""
    nearest = KNeighborsClassifier(1).fit(features[~is_test], answers[~is_test])
    return nearest.score(features[is_test], answers[is_test])


# %% [markdown]
# The "model" is [k-NN](../glossary.md#k-nn) with k = 1: it learns nothing and only remembers. Slices are split at random, 30 % of them for the test.
#
# **Predict.** How often does it name the coin of a test slice correctly? Half of the time is chance.

# %%
my_guess = None

# %%
by_slice = np.random.default_rng(0).random(len(table)) < 0.3
leaking = memory_accuracy(by_slice, coins)
course.guessed(my_guess, leaking)

# %% [markdown]
# No test slice was in the training part, and still the result is far above what is possible. The model did not see the test *images*, but it saw the test *patients*. This is a [leak](../glossary.md#leak), the most frequent one in published medical work.
#
# ### Exercise 2.2: see it
#
# Before a split is trusted, count the patients who stand on both sides.


# %% exercise 2.2
def patients_on_both_sides(patient, is_test):
    """Return how many patients have slices both in the test part and outside of it.

    `patient`: an array with the name of the patient of each slice; `is_test`: a boolean array of the same length.
    """
    # blank: the number of names that occur in both parts
    return len(set(patient[is_test]) & set(patient[~is_test]))
    # end


course.check("2.2", patients_on_both_sides)

# %% [markdown]
# ### Exercise 2.3: mend it


# %% exercise 2.3
def split_by_patient(patient, share, seed):
    """Return a boolean array: True for every slice of those drawn: `share` of the patients, rounded."""
    rng = np.random.default_rng(seed)
    names = np.unique(patient)
    # blank: draw patients, not slices, and mark every slice of those who were drawn
    drawn = rng.choice(names, round(share * len(names)), replace=False)
    return np.isin(patient, drawn)
    # end


course.check("2.3", split_by_patient)

# %% [markdown]
# Here is the same comparison with a split by patient, ten times each, for the coin and for the real question, the body region.

# %%
who = table["patient"].to_numpy()
answers = {"coin (no image can tell)": coins, "body region": table["label"].astype(int).to_numpy()}
rows = []
for seed in range(10):
    rng = np.random.default_rng(seed)
    sides = {"by slice": rng.random(len(who)) < 0.3}
    sides["by patient"] = np.isin(who, rng.choice(patients, round(0.3 * len(patients)), replace=False))
    rows += [(q, s, memory_accuracy(t, a)) for q, a in answers.items() for s, t in sides.items()]
found = pd.DataFrame(rows, columns=["question", "split", "accuracy"])
found.pivot_table(index="question", columns="split", values="accuracy", aggfunc=["mean", "std"]).round(2)

# %% [markdown]
# Read the table from left to right. For the coin, everything above 0.5 is memory. For the region, the difference between the two splits is memory, and what is left is what generalises to new patients. The second kind of leak is harder to see because the honest number is high as well.
#
# ## 3. Copies (10 minutes)
#
# Splitting by patient needs to know who is shown. Many public sets do not say, and some hold the same image twice, under two names. The phantom below copies a public set of brain MR in this: its official test part has copies of training images.

# %%
how = {"seed": 31, "train": 40, "test": 25, "pixels": 48, "copies": 0.64}
if chosen.scale == "smoke":
    how |= {"train": 16, "test": 10}
brains = open_store(prepare("brain-tumor-mri", 32, how))
pairs = brains.copies(16)
sides = brains.table["split"].to_numpy()
print(f"{len(brains)} images, {len(pairs)} pairs of images with the same pixels or the same look")
first = pairs.head(4)
titles = ["one"] * len(first) + ["its copy"] * len(first)
grid = report.image_grid(list(brains.images[[*first["a"], *first["b"]]]), titles, columns=len(first))
report.show(grid, "Images of the phantom set (above), and what looks the same in it (below).")

# %% [markdown]
# ### Exercise 2.4: which test images have a copy in training?


# %% exercise 2.4
def copied_test_rows(a, b, split):
    """Return the sorted rows of test images that have a copy in training, each once.

    `a`, `b`: arrays with the rows of each pair, in any order; `split`: "train", "val" or "test" for each row.
    """
    one_way = b[(split[a] == "train") & (split[b] == "test")]
    # blank: the pairs the other way round as well, and each row once
    other_way = a[(split[b] == "train") & (split[a] == "test")]
    return np.unique(np.concatenate([one_way, other_way]))
    # end


course.check("2.4", copied_test_rows)

# %%
a, b = pairs["a"].to_numpy(), pairs["b"].to_numpy()
ends = [(x, y) for x, y in zip([*a, *b], [*b, *a], strict=True) if sides[x] == "train" and sides[y] == "test"]
copied = np.unique([y for _, y in ends])
test = np.flatnonzero(sides == "test")
flat = np.asarray(brains.images).reshape(len(brains), -1).astype(np.float32)
labels = brains.table["label"].astype(int).to_numpy()
right = (
    KNeighborsClassifier(1).fit(flat[sides == "train"], labels[sides == "train"]).predict(flat[test]) == labels[test]
)
parts = {
    "all test images": right,
    "with a copy": right[np.isin(test, copied)],
    "without": right[~np.isin(test, copied)],
}
pd.DataFrame({k: {"images": len(v), "accuracy of memory": v.mean()} for k, v in parts.items()}).T.round(2)

# %% [markdown]
# ## 4. Talk about it (15 minutes)
#
# Three designs. Where is the leak?
#
# 1. Images are scaled by the mean and standard deviation of all images, then split.
# 2. The split is by patient. The number of epochs is chosen where the *test* accuracy is highest.
# 3. All CT of healthy people come from one hospital, all of ill people from another. The split is by patient.
#
# <details><summary>What to look for</summary>
#
# 1: the test images have entered the training through two numbers: small, but a leak, and free to mend (lesson 4 does it). 2: the test set has become a [validation set](../glossary.md#validation-set), so nothing is left to test with. 3: no leak, and still worthless: the scanner gives the answer away. This is a [shortcut](../glossary.md#shortcut), and no split within these data shows it.
#
# </details>
#
# ## Summary
#
# A test is honest only where nothing of it has been seen before, and in medicine the unit that must not have been seen is the patient, not the image. A split by slice and a copied image both reward memory, and the reward looks exactly like skill. Before any result is read, count the patients on both sides, look for copies, and ask what else could give the answer away.
#
# ## Further reading
#
# - Notebook [05_copies_in_the_test](../../05_copies_in_the_test.ipynb): the same with real images and trained networks.
# - Kapoor and Narayanan 2023, *Leakage and the reproducibility crisis in machine-learning-based science*, [doi:10.1016/j.patter.2023.100804](https://doi.org/10.1016/j.patter.2023.100804).
# - Zech et al. 2018, *Variable generalization performance of a deep learning model to detect pneumonia in chest radiographs*, [doi:10.1371/journal.pmed.1002683](https://doi.org/10.1371/journal.pmed.1002683): a hospital as a shortcut.
