"""The numbers of the README are those of the tables in paper/reference."""

import re

import pandas as pd
import pytest

from tlkit import paths

README = (paths.REPO / "README.md").read_text(encoding="utf-8")
TABLES = paths.REPO / "paper" / "reference" / "tables"
ARMS = {  # in the README, in its tables, in the study
    "random weights": ("random weights", "scratch"),
    "SimCLR on other real images": ("SimCLR, other images", "simclr"),
    "ImageNet weights": ("ImageNet", "imagenet"),
}


def rows(title: str) -> dict[str, list[str]]:
    """Return the rows of the README's table whose head begins so: first cell -> the other cells."""
    lines = README[README.index(f"| {title}") :].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name: others for name, *others in cells}


def spread(mean: float, sd: float) -> str:
    return f"{mean:.3f} ± {sd:.3f}"


def test_the_results_on_real_images():
    folder = TABLES / "brain_tumor_real"
    trained = pd.read_csv(folder / "table6_numbers.csv").set_index("Pretraining")
    frozen = pd.read_csv(folder / "frozen.csv").query("metric == 'accuracy'").set_index("pretraining")
    without = pd.read_csv(folder / "baselines.csv").query("metric == 'accuracy'").set_index("baseline")["value"]
    shown = rows("start")
    for name, (title, arm) in ARMS.items():
        row = trained.loc[title]
        both = [spread(frozen.at[arm, "mean"], frozen.at[arm, "sd"]), spread(row["Accuracy"], row["Accuracy, sd"])]
        assert shown[name] == both
    assert shown["one answer for all images"][1] == f"{without['no image']:.3f}"
    assert shown["a linear model of pixel statistics"][1] == f"{without['pixel statistics']:.3f}"


@pytest.mark.parametrize("part", ["copies", "others"])
def test_the_test_with_copies(part):
    found = pd.read_csv(TABLES / "copies" / "copies.csv").query("task == 'leaked' and pretraining == 'imagenet'")
    row = found.set_index("images").loc[part]
    numbers = re.search(rf"(\d\.\d+) on the (\d+) {'that have a copy' if part == 'copies' else 'others'}", README)
    assert numbers.groups() == (f"{row['mean']:.2f}", f"{row['n']:.0f}")


def test_what_cheap_scores_foretold():
    """The numbers of that section are those of its tables."""
    text = (paths.REPO / "paper" / "reference" / "README.md").read_text(encoding="utf-8")
    section = text.split("## Would scores of seconds")[1].split("## ")[0]
    mini = pd.read_csv(TABLES / "real_mini" / "foretold_summary.csv").set_index("score")
    probe, tasks = mini.loc["probe"], mini["tasks"].max()
    assert f"{probe['hits']:.0f} of {tasks:.0f} tasks (by chance {probe['expected']:g}" in section
    assert f"{probe['low']:.2f} to {probe['high']:.2f}" in section
    assert f"loses {probe['regret']:.3f} of accuracy on average, a blind one {probe['regret_chance']:.3f}" in section
    assert set(mini.index[mini["hits"] == 3]) == {"probe", "knn", "few_shot_10", "h_score", "nleep"}
    assert (mini.loc[["few_shot_5", "logme"], "hits"] == 2).all() and mini.loc["few_shot_1", "hits"] == 1
    failed = pd.read_csv(TABLES / "real_mini" / "foretold.csv").query(
        "experiment == 'finetune' and task == 'natural-images'"
    )
    assert set(failed["picked"]) == {"natural-images"} and set(failed["best"]) == {"brain-tumor-mri"}
    assert set(failed["word"]) == {"clear"} and f"loses {failed['regret'].iloc[0]:.3f}" in section
    found = pd.read_csv(TABLES / "brain_tumor_real" / "foretold.csv")
    assert (
        len(found) == 8
        and found["hit"].all()
        and set(found["picked"]) == {"imagenet"}
        and set(found["word"]) == {"clear"}
    )


def test_how_often_the_words_are_wrong():
    text = (paths.REPO / "paper" / "reference" / "README.md").read_text(encoding="utf-8")
    simulated = pd.read_csv(TABLES / "brain_tumor_real" / "foretold_calibration.csv")
    without = simulated["case"].str.startswith("no difference")
    most = simulated[without].groupby("word")["wrong"].max()
    assert set(simulated["repetitions"]) == {400} and simulated.loc[~without, "wrong"].sum() == 0
    assert f"at most {most['clear']} of 400 ({most['clear'] / 4:.1f} %), `likely` in at most {most['likely']}" in text
    halves = pd.concat(pd.read_csv(TABLES / s / "foretold_halves.csv") for s in ("brain_tumor_real", "real_mini"))
    said = halves[halves["word"] != "open"].groupby("word")["wrong"].agg(["size", "sum"])
    assert (said["sum"] == 0).all()
    assert f"none of {said.at['clear', 'size']} `clear` and none of {said.at['likely', 'size']} `likely`" in text


def test_the_results_of_real_mini():
    """Each number of three digits is one of its tables."""
    text = (paths.REPO / "paper" / "reference" / "README.md").read_text(encoding="utf-8")
    said = set(re.findall(r"0\.\d{3}", text.split("On the clean splits of `real_mini`")[1].split("## ")[0]))
    folder = TABLES / "real_mini"
    cells, without = pd.read_csv(folder / "fig2_summary.csv"), pd.read_csv(folder / "fig2_baselines.csv")
    there = {f"{v:.3f}" for v in (*cells["mean"], *cells["sd"], *without["value"])}
    assert len(said) > 10 and said <= there
    pairs = pd.read_csv(folder / "fig2.csv")
    counts = len(pairs) // 2, (pairs["p_sound"] < 0.05).sum() // 2, (pairs["p_holm"] < 0.05).sum() // 2
    assert f"Of {counts[0]} pairs {counts[1]} have p < 0.05, {counts[2]} after" in text
