# %% [markdown]
# # Lesson 10: check a paper, then your own images
#
# **Question.** A paper prints +0.44 % and p = 0.024. What can be checked with a pencil, before any code or data is published?
#
# **After this lesson you can** turn relative differences into points; tell which *p*-values a test can give at all; check printed numbers against each other; and look at a folder of images of your own as sceptically as at a paper.
#
# **What you need to know.** Lessons 2 and 6.
#
# **Time.** 60 minutes with three exercises. The cells run for about a minute. The numbers of parts 1 to 3 are **published** ones, as printed; the images of part 4 are [phantoms](../glossary.md#phantom).

# %% tags=["parameters"]
scale = "quick"  # quick, or smoke: fewer phantom images, for tests

# %%
import shutil
from math import comb
from pathlib import Path

import pandas as pd
from IPython.display import Image, display

from tlkit import course, paths, report, studies
from tlkit.advice import looking, reading, understand
from tlkit.config import Parameters
from tlkit.course import plots
from tlkit.phantoms import own_images
from tlkit.published import attainable, claims

with Parameters(globals()) as p:
    chosen = studies.load("lessons", p.scale)
quoted = claims.read_quoted("jonske2025")
quoted[["statement", "a", "b", "delta_pct", "p"]].rename(columns={"delta_pct": "printed difference, %"})

# %% [markdown]
# ## 1. Percent of what? (10 minutes)
#
# The printed differences are relative: (mean of a / mean of b - 1) x 100. Two of them, +0.44 % and +42.92 %, stand in one paper.
#
# **Predict.** If arm b has an accuracy of 0.5 and a is "+10 %", how many points of accuracy is a ahead?

# %%
my_points = None

# %% [markdown]
# ### Exercise 10.1: points and percent


# %% exercise 10.1
def both_ways(a, b):
    """Return how far accuracy `a` is above `b`: in points (0.01 is one point), and in percent of `b`, as a tuple."""
    # blank: the difference times 100, and the relative difference times 100
    return 100 * (a - b), 100 * (a / b - 1)
    # end


course.check("10.1", both_ways)

# %%
course.guessed(my_points, 100 * (0.5 * 1.10 - 0.5), " points")
rows = {
    f"b has {b:.2f}": {f"+{d} %": 100 * b * d / 100 for d in (0.44, 2.07, 10, 42.92)} for b in (0.05, 0.3, 0.6, 0.94)
}
pd.DataFrame(rows).rename_axis("printed").round(2).rename(columns=lambda c: f"{c}: points")

# %% [markdown]
# A large percentage of a small accuracy is a small step. And errors tell a third story: from 0.94 to 0.95 is +1.1 %, one point, and one error in six less. None is wrong; a reader needs the two means.
#
# ## 2. Which p can there be? (20 minutes)
#
# The second study trained each arm five times and compared arms by the [Mann-Whitney test](../glossary.md#mann-whitney-test), which looks only at the **order** of the ten results. Where no two results are equal there are C(10, 5) = 252 ways to place five among ten. The most extreme are two: all of one arm above all of the other, and the reverse.
#
# ### Exercise 10.2: the smallest *p*


# %% exercise 10.2
def smallest_p(n, tests):
    """Return the smallest two-sided p of a rank test of n runs against n, no two equal, times `tests` (Bonferroni)."""
    # blank: two of all orders are the most extreme; times the number of tests, and never above 1
    return min(1, 2 / comb(2 * n, n) * tests)
    # end


course.check("10.2", smallest_p)

# %% [markdown]
# **Predict.** Three pairs of arms, so times 3. What is the smallest *p* that five runs against five can give, no two equal? Which *p* do you expect to find printed most often?

# %%
my_p = None

# %%
printed = claims.read_quoted("radiologynet2025")
ranked = printed[printed["test"] == "Mann-Whitney"]
course.guessed(my_p, 2 / comb(10, 5) * 3)
ranked["p"].value_counts().rename("how often it is printed").to_frame().T

# %%
steps = attainable.ladder(5, 5, 3).assign(which=lambda t: "possible " + t["runs"])
both = pd.concat([steps[["p", "which"]], ranked[["p"]].astype(float).assign(which="printed")])
line = (2 / comb(10, 5) * 3, "all five above all five")
shown = both[both["p"] < 0.2]
text = "p after correction for three pairs"
drawn = plots.dots(shown, "p", "which", text, line=line, means=False, phantom=False)
report.show(
    drawn, "Values of p below 0.2: those that the test can give, with the same number of runs, and those printed."
)

# %% [markdown]
# So the *p* that is printed most often below 0.05 is not a measure of how strong the evidence is. It is the end of the scale: all five above all five. The difference may be one point or thirty.
#
# And what is printed *below* the end? Where results are equal (ties), statistics programs leave the exact count and use an approximation, which can go lower. So such a value says that runs were tied, which the text need not mention:

# %%
floor = 2 / comb(10, 5) * 3
below = ranked[ranked["p"].astype(float) < round(floor, 3)]
below[["statement", "metric", "p"]]

# %% [markdown]
# Numbers of epochs are whole, so ties are no surprise there; in an F1 of three decimals they would be. How short the scale is with fewer runs:

# %%
pd.Series(
    {f"{n} runs": min(1, 2 / comb(2 * n, n) * 3) for n in range(2, 9)}, name="smallest p without ties, three pairs"
).round(4)

# %% [markdown]
# ## 3. Numbers that must fit each other (10 minutes)
#
# A text prints counts, sums and shares that can be computed from each other. Nobody does. Which of these agree?
#
# ### Exercise 10.3: does it round to what is printed?


# %% exercise 10.3
def agrees(value, printed):
    """Return whether `value` (a float) rounds to `printed` (text such as "84.8") at the decimals printed."""
    decimals = len(printed.partition(".")[2])
    # blank: as near as half of the last printed digit (1e-9 more, for rounding)
    return abs(value - float(printed)) <= 0.5 * 10**-decimals + 1e-9
    # end


course.check("10.3", agrees)

# %%
found = pd.concat([claims.numbers(paper).assign(paper=paper) for paper in ("jonske2025", "radiologynet2025")])
found[found["agrees"] == "no"][["paper", "statement", "printed", "calculation", "value"]].round(2)

# %% [markdown]
# Each line is a place to ask, not an accusation: some are slips of the pen, some are another definition, and some would change a conclusion. With the authors' logs one can go further: [paper/claims](../../../paper/claims/README.md) does so, and says where to get them.
#
# ## 4. Your own images (20 minutes)
#
# Before a network sees your images, look at them as you looked at the papers. Below is a folder as a colleague might send it: radiographs of phantom patients in two folders. We slip three copies into the wrong class.
#
# **Predict.** Which warnings will the program print?

# %%
original = own_images.example(chosen.scale)
place = paths.runs_root() / "lessons" / "a colleague's images"
name = f"colleague_{chosen.scale}"
for old in (place, reading.folder_of(name)):  # of the last time
    shutil.rmtree(old, ignore_errors=True)
shutil.copytree(original, place, ignore=shutil.ignore_patterns("*.json"))
one, other = (sorted(place.glob(f"{name}/*.png")) for name in own_images.CLASSES)
for number, path in enumerate(one[:3]):
    shutil.copy(path, other[0].parent / f"p9{number}0_1.png")
understood = understand.understand(place, name, patient=own_images.PATIENT)
print("\n".join([understood["task"], *understood["said"]]))

# %%
facts = looking.look(understood)
print("\n".join(looking.lines(facts)))
mosaic = Path(reading.folder_of(understood["name"])) / facts["mosaic"]
display(Image(mosaic), metadata={"image/png": {"alt": "Some phantom images of each class, in rows"}})

# %% [markdown]
# Now yours. Put a folder of images in place of `place`: classes as folders, or a table that names the files. Nothing is written beside your images and nothing leaves this machine. Then `make advise FOLDER=your_images BUDGET=30m` tries the starts that you know from this course, and answers with how sure it is; *open* is an answer, and lesson 6 says what it takes to close it.
#
# <details><summary>What to look for</summary>
#
# A copy in another class makes one of the two labels wrong, whichever it is. If the program does not know who is shown, it counts every image as a patient and says so: then every number it gives is the optimistic one of lesson 2.
#
# </details>
#
# **The last question.** Which three sentences of this course would you put into the checklist of a reviewer?

# %%
kinds = sorted({warning["kind"] for warning in facts["warnings"]})
print(f"phantom images: {facts['n_images']} of {facts['n_patients']} patients; warnings: {', '.join(kinds) or 'none'}")

# %% [markdown]
# ## Summary
#
# Much of a paper can be checked from its text: what a percentage is of, which *p*-values a test can give, and whether numbers fit each other. A *p*-value at the end of its scale says that the orders did not overlap, and nothing about the size of the difference. The same doubt belongs to one's own images, before the first network is trained.
#
# ## Further reading
#
# - Notebooks [50_published_results](../../50_published_results.ipynb), [51_radiologynet_claims](../../51_radiologynet_claims.ipynb) and [60_your_own_images](../../60_your_own_images.ipynb).
# - Brown and Heathers 2017, *The GRIM test*, [doi:10.1177/1948550616673876](https://doi.org/10.1177/1948550616673876): means that no data can have.
# - Varoquaux and Cheplygina 2022, *Machine learning for medical imaging: methodological failures and recommendations*, [doi:10.1038/s41746-022-00592-y](https://doi.org/10.1038/s41746-022-00592-y).
