# %% [markdown]
# # Lesson 4: fine-tuning against linear evaluation
#
# **Question.** Two papers test the same pretraining. One trains all weights on the task, the other only the last layer, and they disagree. Who is right?
#
# **After this lesson you can** say what [fine-tuning](../glossary.md#fine-tuning) and [linear evaluation](../glossary.md#linear-evaluation) measure; do a linear evaluation by hand; and freeze a network so that it stays frozen.
#
# **What you need to know.** Lessons 1 and 3; logistic regression; what PyTorch's `requires_grad` and `model.train()` are for.
#
# **Time.** 55 minutes with three exercises. The cells run for about a minute, the first time. All images are [phantoms](../glossary.md#phantom).

# %% tags=["parameters"]
scale = "quick"  # quick, or smoke: a few images and epochs, for tests

# %%
import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression

from tlkit import course, models, report, runs, studies
from tlkit.config import Parameters
from tlkit.course import plots
from tlkit.course.encoding import encode
from tlkit.figures import feature_reuse
from tlkit.training.data import chosen_rows, open_data, training_rows
from tlkit.training.recipe import Recipe
from tlkit.training.supervised import plain_view

with Parameters(globals()) as p:
    chosen = studies.load("lessons", p.scale)
names = chosen.names()

# %% [markdown]
# ## 1. What learns? (10 minutes)
#
# A network for a task is an [encoder](../glossary.md#encoder), which turns an image into a few hundred numbers, and a [head](../glossary.md#head), one linear layer that turns these into classes. Fine-tuning trains both, linear evaluation the head alone.
#
# **Predict.** Which share of the parameters of a small ResNet is in its head for six classes?

# %%
my_guess = None

# %% [markdown]
# ### Exercise 4.1: count


# %% exercise 4.1
def trainable_share(model):
    """Return which share of the parameters (single numbers, not tensors) of a PyTorch model learns."""
    learning = sum(w.numel() for w in model.parameters() if w.requires_grad)
    # blank: the share of the learning ones among all parameters
    return learning / sum(w.numel() for w in model.parameters())
    # end


course.check("4.1", trainable_share)

# %%
network = models.freeze(models.classifier(models.backbone("resnet10", seed=1), classes=6, seed=1), "encoder")
sizes = {part: sum(w.numel() for w in m.parameters()) for part, m in network.named_children()}
course.guessed(my_guess, sizes["head"] / sum(sizes.values()))
pd.Series(sizes, name="parameters").to_frame()

# %% [markdown]
# ## 2. Both, side by side (15 minutes)
#
# **Predict.** In fine-tuning the three arms were close (lesson 1). How far will the best pretraining be ahead of random weights when the encoder is frozen?

# %%
my_lead = None

# %%
configs = chosen.finetune("", ["region"], ["tuned", "frozen"])
ids = studies.run_all(configs, chosen)
results = runs.read_all(ids)
accuracy = results[results["metric"] == "accuracy"]
means = accuracy.groupby(["mode", "pretraining"], sort=False)["value"].agg(["mean", "std", "size"])
frozen = means.loc["lineval", "mean"]
course.guessed(my_lead, frozen.drop("scratch").max() - frozen["scratch"])
means.rename(index=names).round(3)

# %%
shown = accuracy.assign(arm=accuracy["pretraining"].map(names) + ", " + accuracy["mode"].map(names))
drawn = plots.dots(shown.sort_values(["mode", "arm"]), "value", "arm", "accuracy on test images", names=names)
report.show(drawn, "Accuracy of each run, fine-tuned or with a frozen encoder, by where its weights started.")

# %% [markdown]
# Linear evaluation asks: *are the features already there?* Fine-tuning asks: *is this a good place to start from?* A network that has enough labels and steps can build what it lacks, so the second question hides most of what the first one shows. Both are good questions; a paper has to say which one it answers.
#
# And look at the arm of random weights in linear evaluation: a frozen network that has never seen an image. What a pretraining is worth begins *above that*, not above 0. Before you believe its number, read on: a head can fail for another reason than poor features.
#
# ## 3. Linear evaluation by hand (15 minutes)
#
# A frozen encoder gives the same features for an image every time. So one can compute them once and train the head as a logistic regression, in a second. Before that, features are standardised.
#
# ### Exercise 4.2: standardise without looking at the test


# %% exercise 4.2
def standardised(train, test):
    """Return both arrays of features with each column shifted and scaled so that it has mean 0 and sd 1 in training."""
    mean, sd = train.mean(axis=0), train.std(axis=0) + 1e-9
    # blank: the same shift and the same scale for both
    return (train - mean) / sd, (test - mean) / sd
    # end


course.check("4.2", standardised)

# %%
config = chosen.finetune("ct", ["region"], ["frozen"], [1])[0]
store, table = open_data(config["data"])
recipe = Recipe.from_dict(config["recipe"])
rows = {"train": training_rows(config, table), "test": chosen_rows(config["data"], table, "test")}
label = {side: store.table["label"].to_numpy()[at].astype(int) for side, at in rows.items()}
by_hand = {}
for arm in chosen.pretrainings:
    encoder = feature_reuse.encoder_before(chosen.finetune(arm, ["region"], ["frozen"], [1])[0])
    train, test = (encode(encoder, store, rows[side], recipe) for side in ("train", "test"))
    mean, sd = train.mean(axis=0), train.std(axis=0) + 1e-9
    linear = LogisticRegression(max_iter=2000).fit((train - mean) / sd, label["train"])
    by_hand[names[arm]] = linear.score((test - mean) / sd, label["test"])
both = pd.DataFrame({"by hand": by_hand, "training the head": frozen.rename(index=names)})
for way, column in both.items():
    lead = column.drop(names["scratch"]).max() - column[names["scratch"]]
    print(f"{way}: the better pretraining is {100 * lead:+.1f} points from random weights")
short = 100 * (both["by hand"] - both["training the head"])
worst = short.idxmax()
if short[worst] > 3:
    print(f"From {worst}, the trained head misses {short[worst]:.0f} points that the features hold: it learned little.")
both.round(3)

# %% [markdown]
# The two columns need not agree, and neither need their conclusions: the head of the second was trained for a few epochs, by small steps and on augmented images, from features that nobody standardised; the regression goes on until nothing improves. If a published linear evaluation is low, ask whether the features are poor or whether the head was not trained to its end. If a *lead* is large, ask the same of the arm that lost: a lead over a head that did not learn is no merit of the pretraining.
#
# ## 4. Frozen, really? (15 minutes)
#
# [BatchNorm](../glossary.md#batchnorm) layers keep a running mean and variance of what they see. These are not parameters: no gradient changes them, **looking** does. A network whose parameters are all frozen still changes if it is in training mode.
#
# ### Exercise 4.3: freeze an encoder so that it stays as it is


# %% exercise 4.3
def freeze_encoder(model):
    """Freeze `model.encoder`, so that one step of training changes nothing in it; `model.head` still learns."""
    model.train()
    # blank: no gradients for the encoder, and evaluation mode for it, so that BatchNorm keeps its statistics
    model.encoder.requires_grad_(False)
    model.encoder.eval()
    # end
    return model


course.check("4.3", freeze_encoder)

# %% [markdown]
# How much does it matter? Below, the encoder of CT slices is "frozen" without evaluation mode, and sees the training images once. Nothing learns, and its features move.

# %%
encoder = feature_reuse.encoder_before(config)
before = encode(encoder, store, rows["test"], recipe)
encoder.train().requires_grad_(False)
with torch.no_grad():
    for part in np.array_split(rows["train"], 4):
        encoder(plain_view(store.take(part)[0], recipe))
after = encode(encoder, store, rows["test"], recipe)
moved = np.linalg.norm(after - before) / np.linalg.norm(before)
print(f"The features of the test images moved by {moved:.0%} of their length, and no weight has learned anything.")

# %% [markdown]
# **Think.** The published code of the study called this "linear evaluation" and let the statistics adapt (`bn="adapt"` here). Is that wrong? It is another question: *are the features there, once the network has got used to the greys of the task?* Wrong is only to do the one and print the other.
#
# <details><summary>What to look for</summary>
#
# This is one of the most frequent errors in code that other people build on. The library has a test that a frozen encoder has equal bytes before and after training, statistics included; your check 4.3 does the same.
#
# </details>

# %%
print("phantom data at scale", chosen.scale, chosen.doubts_note())
means["mean"].unstack("mode").rename(index=names, columns=names).round(3)

# %% [markdown]
# ## Summary
#
# Linear evaluation measures what the features already hold, fine-tuning how good a start they are, and with enough labels the second hides the first. A frozen encoder of random weights is the baseline of a linear evaluation. Frozen means that parameters have no gradient and that BatchNorm keeps its statistics, and both have to be checked.
#
# ## Further reading
#
# - Notebooks [20_finetune](../../20_finetune.ipynb) and [45_fig8_less_data](../../45_fig8_less_data.ipynb), which shows a conclusion that was made by BatchNorm alone.
# - Kornblith et al. 2019, *Do better ImageNet models transfer better?*, [arXiv:1805.08974](https://arxiv.org/abs/1805.08974).
# - Kumar et al. 2022, *Fine-tuning can distort pretrained features and underperform out-of-distribution*, [arXiv:2202.10054](https://arxiv.org/abs/2202.10054).
