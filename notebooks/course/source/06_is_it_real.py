# %% [markdown]
# # Lesson 6: is the difference real?
#
# **Question.** Arm A reaches 0.690, arm B 0.682. Is A better?
#
# **After this lesson you can** put an [interval](../glossary.md#confidence-interval) around a difference; find out how often two *equal* arms differ as much; correct for many comparisons with [Holm's method](../glossary.md#holms-correction); and say before a study how many runs it needs.
#
# **What you need to know.** Lessons 1 and 5; mean, standard deviation, and what a *p*-value is, roughly.
#
# **Time.** 60 minutes with four exercises. The cells run for about a minute, the first time. All images are [phantoms](../glossary.md#phantom).

# %% tags=["parameters"]
scale = "quick"  # quick, or smoke: a few images and epochs, for tests

# %%
from itertools import combinations

import numpy as np
import pandas as pd

from tlkit import course, report, studies
from tlkit.config import Parameters
from tlkit.course import plots
from tlkit.report.lettering import p_text
from tlkit.stats import differences, power

with Parameters(globals()) as p:
    chosen = studies.load("lessons", p.scale)
names = chosen.names()
ids = studies.run_all(chosen.finetune("", ["region"], ["tuned", "frozen"]), chosen)
results = chosen.results()
accuracy = results[(results["metric"] == "accuracy") & results["experiment"].isin(["tuned", "frozen"])]

# %% [markdown]
# ## 1. An interval (15 minutes)
#
# The mean of three runs is not the truth; three others would have given another one. Its [standard error](../glossary.md#standard-error) says by how much: sd / sqrt(n).
#
# ### Exercise 6.1: the standard error of a difference
#
# Both means are uncertain, and independently so. Uncertainties of independent things add up as squares.


# %% exercise 6.1
def error_of_difference(a, b):
    """Return the standard error of mean(a) - mean(b). `a`, `b`: arrays with one value for each run."""
    va, vb = np.var(a, ddof=1) / len(a), np.var(b, ddof=1) / len(b)
    # blank: the two variances of the means are added, then the root is taken
    return np.sqrt(va + vb)
    # end


course.check("6.1", error_of_difference)

# %% [markdown]
# A 95 % [confidence interval](../glossary.md#confidence-interval) is the difference plus and minus about two standard errors with many runs, and *more* with few (2.8 for three runs against three): with few runs the sd is itself a guess. `differences.pairwise` does this for all pairs (Welch's test).

# %%
pairs = differences.pairwise(accuracy, order=list(chosen.pretrainings))
one_way = pairs.iloc[::2].assign(difference=pairs["mean_a"] - pairs["mean_b"])
columns = ["experiment", "a", "b", "n_a", "n_b", "difference", "ci_low", "ci_high", "p_sound"]
one_way[columns].replace(dict(names)).round(3).assign(p_sound=one_way["p_sound"].map(p_text))

# %% [markdown]
# **Read it with your neighbour.** Which pairs have an interval that contains 0? Of these, which interval is so narrow that you would call the arms *equal for all practical purposes*, and which so wide that the honest answer is *we do not know*?
#
# ## 2. Twins (15 minutes)
#
# Here is an experiment in which the truth is known. One arm, random weights, was trained eight times. We deal the runs to two teams, as if they were two arms. They are equal by construction; whatever difference is found is luck.
#
# **Predict.** Of all ways to deal them, in which share does one team lead the other by a point of accuracy (0.01) or more?

# %%
my_guess = None

# %%
studies.run_all(chosen.finetune("scratch", ["region"], ["twins"]), chosen)
twins = chosen.results().query("experiment == 'twins' and metric == 'accuracy'").sort_values("seed")["value"].to_numpy()
half = len(twins) // 2
leads = []
for team in combinations(range(len(twins)), half):
    other = [i for i in range(len(twins)) if i not in team]
    leads.append(twins[list(team)].mean() - twins[other].mean())
leads = np.array(leads)
course.guessed(my_guess, (np.abs(leads) >= 0.01).mean())
shown = pd.DataFrame({"lead": leads, "": f"{len(leads)} ways to deal {len(twins)} runs"})
drawn = plots.dots(shown, "lead", "", "lead of one team over its twin, in accuracy", line=(0, "equal"))
report.show(
    drawn, "Lead of one team of runs over the other, for all ways to deal the runs of a single arm to two teams."
)

# %% [markdown]
# With another name on each team, every dot away from 0 is a paper: "our method improves accuracy by ...".
#
# ### Exercise 6.2: a *p*-value by dealing
#
# This gives a test that needs no formula. Suppose two arms differ by `lead`. If the arms were equal, the names on the runs would be arbitrary: how often does dealing the names anew give a lead *at least as large*, in either direction?


# %% exercise 6.2
def p_by_dealing(a, b):
    """Return the share of all ways to deal the runs of `a` and `b` whose lead is at least as large."""
    both = np.concatenate([a, b])
    seen = np.mean(a) - np.mean(b)
    found = []
    for team in combinations(range(len(both)), len(a)):
        inside = np.isin(np.arange(len(both)), team)
        found.append(both[inside].mean() - both[~inside].mean())
    # blank: the share of leads that are as large as the one seen, whatever their sign (1e-12 for rounding)
    return np.mean(np.abs(found) >= np.abs(seen) - 1e-12)
    # end


course.check("6.2", p_by_dealing)

# %% [markdown]
# With three runs against three there are only 20 ways to deal, so the smallest possible *p* is 2 / 20 = 0.1: **no** result of three runs an arm can have p < 0.05 in this test. Lesson 10 finds such a floor in a published paper.
#
# ## 3. Many comparisons (15 minutes)
#
# Compare 20 pairs of equal arms, and on average one has p < 0.05. [Holm's correction](../glossary.md#holms-correction) keeps the chance of *any* false win below 5 %: the smallest p is multiplied by the number of tests m, the next by m - 1, and so on; an adjusted p is never smaller than the one before it, and never above 1.
#
# ### Exercise 6.3: Holm


# %% exercise 6.3
def holm(p):
    """Return the p-values corrected by Holm's method, in the order in which they were given."""
    p = np.asarray(p, dtype=float)
    order = np.argsort(p)
    adjusted, largest = np.empty_like(p), 0.0
    for rank, i in enumerate(order):
        # blank: multiply by the number of tests that are left; not below the one before, not above 1
        largest = max(largest, min(1.0, p[i] * (len(p) - rank)))
        # end
        adjusted[i] = largest
    return adjusted


course.check("6.3", holm)

# %%
chances = ["p_sound", "p_holm", "p_false_win"]
shown = one_way[["experiment", "a", "b", "difference"]].replace(dict(names)).round(3)
shown.join(one_way[chances].map(p_text))

# %% [markdown]
# `p_false_win` answers the question that a reader really has: how probable is it that the arm with the higher mean is *not* truly the better one (if nothing was known beforehand)? It is half of p. A "win" with p = 0.4 is wrong once in five times, and such wins fill tables in bold print.
#
# ## 4. Before the study: power (15 minutes)
#
# [Power](../glossary.md#power) is the probability that a study finds a true difference of a given size.
#
# **Predict.** Runs of one arm differ by 0.02 (sd). The true difference is 0.02, too. How many runs does each arm need so that it is found four times out of five?

# %%
my_runs = None

# %% [markdown]
# ### Exercise 6.4: how many runs?


# %% exercise 6.4
def runs_needed(difference, sd, wanted=0.8):
    """Return the smallest number of runs an arm (2 or more) with which the power reaches `wanted`.

    `power.power(difference, (sd, sd), (n, n))` is the power of n runs in each of two arms.
    """
    n = 2
    # blank: one run more for each arm until the power is there
    while power.power(difference, (sd, sd), (n, n)) < wanted:
        n += 1
    # end
    return n


course.check("6.4", runs_needed)

# %%
n = 2
while power.power(0.02, (0.02, 0.02), (n, n)) < 0.8:
    n += 1
course.guessed(my_runs, n, " runs an arm")
sd = accuracy[accuracy["experiment"] == "tuned"].groupby("pretraining")["value"].std().mean()
table = {
    f"{k} runs": {
        "finds 0.02 with power": power.power(0.02, (sd, sd), (k, k)),
        "smallest difference found 4 times of 5": power.smallest_difference((sd, sd), (k, k)),
    }
    for k in (2, 3, 5, 10, 20)
}
print(f"sd between the seeds of one fine-tuned arm: {sd:.3f}")
pd.DataFrame(table).T.round(3)

# %% [markdown]
# **Think.** A study with little power that *does* find something has mostly found a difference that is too large: only exaggerated ones cross the line. How would that look in a list of published results?
#
# <details><summary>What to look for</summary>
#
# Small studies report large effects, large studies small ones. And "no significant difference" from three runs means only that differences below the last column were invisible; it does not mean that the arms are equal.
#
# </details>

# %%
print("phantom data at scale", chosen.scale, chosen.doubts_note())

# %% [markdown]
# ## Summary
#
# Two equal arms differ whenever they are measured, so a difference needs an interval, and the interval needs the spread and the number of runs. Every further comparison is another chance to be lucky, which Holm's correction pays for. What a study can find is decided before it starts, by its runs, and what it did not find it may only have been too small to see.
#
# ## Further reading
#
# - Notebook [30_fig2_task_dependency](../../30_fig2_task_dependency.ipynb): all pairs of a study, with both kinds of *p*.
# - Christodoulou et al. 2025, *False promises in medical imaging AI?*, [arXiv:2505.04720](https://arxiv.org/abs/2505.04720): how probable a false win is in published comparisons.
# - Gelman and Carlin 2014, *Beyond power calculations*, [doi:10.1177/1745691614551642](https://doi.org/10.1177/1745691614551642): why small studies exaggerate.
