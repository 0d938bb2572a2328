"""Each printed claim beside our runs: met, missed, or not testable here and why, by tolerances fixed beforehand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from tlkit import paths
from tlkit.config import ConfigError
from tlkit.manuscript.results import PUBLISHED, REDOES, Results, Saved, select, strip_title
from tlkit.published import claims, ranks

PAIRS = ("sf1", "sf2", "sf3")  # tables of pairs of `boundaries`, by experiment
BESIDE = {"BTMR": ("brain_tumor_real", "s5", "real brain MR, another network")}  # a real study near tasks of a paper
METRICS = {"dice_1": "Dice", "f1_macro": "F1 (macro)", "mae": "MAE (months)", "epochs": "Epoch of the best"}
COLUMNS = ["paper", "statement", "task", "printed", "expected", "tolerance", "reason", "ours", "verdict", "why", "runs"]
COLUMNS += ["table"]


def read_tolerances() -> pd.DataFrame:
    """Return what counts as a replication of each claim: paper, statement, expected, tolerance, reason.

    expected "delta": our relative difference lies within `tolerance` percent of the printed one. "a<b", "a>b",
    "differ" and "same": our corrected p lies on the same side of `tolerance` as the printed one, a on the same of b.
    Source: paper/claims/tolerances.csv, one row per row of the claims, in their order.
    """
    table = pd.read_csv(paths.CLAIMS / "tolerances.csv")
    for paper in REDOES:
        told, wanted = (t["statement"].tolist() for t in (table[table["paper"] == paper], claims.read_quoted(paper)))
        if told != wanted:
            lost = [s for s in wanted if s not in told] or ["their order"]
            raise ConfigError(f"paper/claims/tolerances.csv differs from {paper}.csv in: {lost}. Each claim has a row.")
    return table


def replicate(results: Results) -> pd.DataFrame:
    """Return one row per claim of both papers, with COLUMNS.

    verdict: "met", "missed", "not testable here" (`why`: phantoms, or power: the runs could not have told), or
    "not run" (`why`: the command). ours: what our runs give, phantoms too; runs: their ids; table: where it stands.
    """
    rows: list[dict[str, Any]] = []
    for paper, told in read_tolerances().groupby("paper", sort=False):
        quoted = claims.read_quoted(str(paper)).to_dict("records")
        for claim, rule in zip(quoted, told.to_dict("records"), strict=True):
            judge = _judge_delta if rule["expected"] == "delta" else _judge_ranks
            found = judge(results, REDOES[str(paper)], claim, rule)
            found["why"] = "; ".join(filter(None, [found["why"], _beside(results, claim)]))
            rows.append(rule | {"task": claim["task"], "printed": _printed(claim)} | found)
    return pd.DataFrame(rows)[COLUMNS]


def compare_with_logs(results: Results) -> pd.Series:
    """Return for each claim of Jonske et al. 2025 whether the authors' logs give it to the printed digit."""
    saved = results.find("tables", "jonske2025", "claims")
    words = {"yes": "met", "no": "missed", "no data": "not testable here: no logs of it are read"}
    if saved is None:
        return pd.Series([f"not run: python -m tlkit notebook {PUBLISHED['jonske2025']}"] * len(claims.read_quoted()))
    return saved.frame["agrees"].map(words)


def _printed(claim: Mapping[str, Any]) -> str:
    p = f"p {'' if str(claim['p']).startswith('<') else '= '}{claim['p']}"
    return f"{float(claim['delta_pct']):+.2f} %, {p}".replace("-", "−") if "delta_pct" in claim else p


def _not_run(results: Results, study: str, name: str, experiment: str = "", task: str = "") -> dict[str, Any]:
    why = results.command(study, name, experiment, task)
    return {"ours": "not run", "verdict": "not run", "why": why, "runs": [], "table": ""}


def _judge_delta(results: Results, study: str, claim: Mapping[str, Any], rule: Mapping[str, Any]) -> dict[str, Any]:
    where = {key: claim[key] for key in claims.KEY}
    for name in PAIRS:
        saved = results.find("tables", study, name)
        found = pd.DataFrame() if saved is None else select(saved, where)
        if len(found):
            row = found.iloc[0].to_dict()
            behind = results.behind(saved, row)
            if results.gone(saved, behind):
                return _not_run(results, study, name)
            ours = {"ours": f"{row['delta_pct']:+.2f} %".replace("-", "−"), "runs": behind, "table": saved.title}
            low, high = (100 * row[side] / abs(row["mean_b"]) for side in ("ci_low", "ci_high"))
            half = (high - low) / 2
            weak = "" if half <= rule["tolerance"] else f"power: told to ±{half:.1f} %"
            near = abs(row["delta_pct"] - float(claim["delta_pct"])) <= rule["tolerance"]
            return ours | _verdict(saved, weak if math.isfinite(half) else "power: one run an arm", near)
    name = PAIRS[0] if claim["experiment"] == "E1" else "sf3"
    return _not_run(results, study, name, claim["experiment"], claim["task"])


def _judge_ranks(results: Results, study: str, claim: Mapping[str, Any], rule: Mapping[str, Any]) -> dict[str, Any]:
    name = "s6" if claim["metric"] == "epochs" else "s5"
    saved = results.find("tables", study, name)
    if saved is None:
        return _not_run(results, study, name)
    spec = results.spec(saved)
    named = {arm: entry.get("title", arm) for arm, entry in spec.get("pretrainings", {}).items()}
    title = spec.get("tasks", {}).get(claim["task"], {}).get("title", claim["task"])
    panel = select(saved, {"task": title, "metric": METRICS[claim["metric"]]})
    rows = _pairs(panel, claim, named)
    behind = sorted({rid for row in rows for rid in results.behind(saved, row)})
    if not rows or results.gone(saved, behind):
        return _not_run(results, study, name)
    bound = rule["tolerance"]
    column = "p_kruskal" if claim["test"] == "Kruskal-Wallis" else "p_bonferroni"
    ps = [row[column] for row in rows]
    sides = {"a<b": [r["mean_a"] < r["mean_b"] for r in rows], "a>b": [r["mean_a"] > r["mean_b"] for r in rows]}
    low = all(p < bound for p in ps) and all(sides.get(rule["expected"], [True]))
    near = all(not p < bound for p in ps) if rule["expected"] == "same" else low
    n = int(min(min(row["n_a"], row["n_b"]) for row in rows))
    least = min(1, claim["times"] * ranks.smallest_p(n, n))
    weak = f"power: n = {n} gives no p below {least:.2g}" if least >= bound else ""
    told = ", ".join("–" if pd.isna(p) else f"{p:.3f}" for p in dict.fromkeys(ps))
    return {"ours": f"p = {told}", "runs": behind, "table": saved.title} | _verdict(saved, weak, near)


def _beside(results: Results, claim: Mapping[str, Any]) -> str:
    """Return what a real study gives for the pairs of a claim of a rank test; it is no verdict: the networks differ."""
    study, name, what = BESIDE.get(claim["task"].partition("_")[0], ("", "", ""))
    saved = results.find("tables", study, name) if study and "test" in claim else None
    if saved is None:
        return ""
    arms = results.spec(saved).get("pretrainings", {})
    panel = select(saved, {"metric": METRICS[claim["metric"]]}) if claim["metric"] in METRICS else pd.DataFrame()
    rows = _pairs(panel, claim, {arm: entry.get("title", arm) for arm, entry in arms.items()})
    rows = [row for row in rows if not results.gone(saved, results.behind(saved, row))]
    side = {True: "higher", False: "lower"}
    said = [f"p = {row['p_bonferroni']:.3f}, {row['a']} {side[row['mean_a'] > row['mean_b']]}" for row in rows]
    return f"{what}: {', '.join(said)}" if said else ""


def _pairs(panel: pd.DataFrame, claim: Mapping[str, Any], named: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the rows of the pairs that a claim is about, each as a over b."""
    sides = [[strip_title(named.get(arm, arm)) for arm in str(claim[side]).split("+")] for side in "ab"]
    rows = []
    for row in panel.to_dict("records"):
        a, b = (strip_title(row[side]) for side in "ab")
        if (a in sides[0] and b in sides[1]) or (not claim["b"] and {a, b} <= set(sides[0])):
            rows.append(row)
        elif a in sides[1] and b in sides[0]:
            swapped = {"a": "b", "b": "a", "n_a": "n_b", "n_b": "n_a", "mean_a": "mean_b", "mean_b": "mean_a"}
            rows.append({**row, **{new: row[old] for new, old in swapped.items()}})
    return rows


def _verdict(saved: Saved, weak: str, near: bool) -> dict[str, str]:
    """Return the verdict and why. Phantoms and too few runs can meet nothing, and miss nothing."""
    reasons = ["phantoms"] * bool(saved.facts.get("phantom")) + [weak] * bool(weak)
    if (scale := saved.facts.get("scale")) != "paper":
        reasons.append(f"scale {scale}")
    if reasons:
        return {"verdict": "not testable here", "why": "; ".join(reasons)}
    return {"verdict": "met" if near else "missed", "why": ""}
