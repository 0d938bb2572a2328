"""The text with its numbers: read from results, linked to their runs, and "not run" where a run is gone."""

from __future__ import annotations

import re
import shutil

import pytest
from tiny_study import runs_of

from tlkit import __main__, paths, runs
from tlkit.config import ConfigError
from tlkit.manuscript import build, replication, results, totypst
from tlkit.manuscript.handtyped import HandTypedError
from tlkit.manuscript.results import DamagedResultError, Results
from tlkit.published import claims

TEXT = """\
# A *text* of $ # < [signs] \\\\ @ "tiny"

{{ about("tiny") }}. Photographs give {{ mean("tiny", "fig2_summary", pretraining="photos") }},
random weights {{ mean("tiny", "fig2_summary", pretraining="scratch") }}. They are
{{ compare("tiny", "fig2", "photos", "scratch") }}: {{ pairs("tiny", "fig2") }} pair.

{{ table("tiny", "fig2_summary", {"pretraining": "start", "mean": "accuracy", "n": "runs"}) }}

{{ figure("tiny", "fig2") }}

{{ mean("nothing", "fig9") }}

{{ appendix() }}
"""


def write(tiny, text: str = TEXT):
    source = tiny / "text" / "paper.md"
    source.parent.mkdir(exist_ok=True)
    source.write_text(text, encoding="utf-8")
    (source.parent / "allowed.txt").write_text("", encoding="utf-8")
    return source


@pytest.fixture
def source(tiny):
    return write(tiny)


def test_numbers_come_from_tables_and_lead_to_their_runs(source, tiny):
    text = build.Paper(Results(), source).text
    frame = Results().find("tables", "tiny", "fig2_summary").frame.set_index("pretraining")
    for arm in ("photos", "scratch"):
        shown = re.search(rf"\[{frame.at[arm, 'mean']:.3f} ± {frame.at[arm, 'sd']:.3f}\]\(#(runs-[^)]*{arm})\)", text)
        behind = re.search(rf"\(#at-{shown[1]}\)(.*)", text)[1]
        mine = [rid for rid in runs_of(tiny) if f"-{arm}-" in rid]
        assert len(mine) == 2 and set(re.findall(r"`(finetune-[^`]+)`", behind)) == set(mine)


def test_it_is_set_as_pdf_and_html(source, tiny):
    pdf, page = build.build(Results(), tiny / "out", source)
    first = pdf.read_bytes()
    assert first.startswith(b"%PDF")
    html = page.read_text(encoding="utf-8")
    assert not re.findall(r'(?:src|href)="(?!#|data:)', html), "nothing leads out of the page"
    inner = set(re.findall(r'href="#([^"]+)"', html))
    assert inner <= set(re.findall(r'id="([^"]+)"', html)), "each link leads somewhere"
    assert 'alt="' in html and "<figcaption>" in html
    build.build(Results(), tiny / "out", source)
    assert pdf.read_bytes() == first, "the same results give the same bytes"


@pytest.mark.parametrize("arm", ["photos", "scratch"])
def test_without_a_run_its_numbers_are_not_run_everywhere(source, tiny, arm):
    gone = next(rid for rid in runs_of(tiny) if f"-{arm}-" in rid)
    shutil.rmtree(paths.runs_root() / gone)
    text = build.Paper(Results(), source).text
    other = {"photos": "scratch", "scratch": "photos"}[arm]
    frame = Results().find("tables", "tiny", "fig2_summary").frame.set_index("pretraining")
    assert f"{frame.at[arm, 'mean']:.3f}" not in text.split("![")[0]
    assert f"[{frame.at[other, 'mean']:.3f}" in text, "the other arm has all its runs"
    assert text.count("**not run**") >= 5 and "make figures STUDY=tiny SCALE=quick" in text
    assert "fig2)" in text and "![" not in text, "the figure is not shown"
    build.build(Results(), tiny / "out", source)


def test_a_damaged_run_counts_as_gone(source, tiny):
    (paths.runs_root() / runs_of(tiny)[0] / "metrics.json").write_text("{")
    assert "**not run**" in build.Paper(Results(), source).text.split("##")[0]


def test_reference_results_stand_where_a_reader_has_none(source, tiny):
    for kind in ("tables", "figures"):  # of one scale there
        shutil.move(tiny / "paper" / kind / "tiny" / "quick", tiny / "reference" / kind / "tiny")
    shutil.rmtree(tiny / "runs")
    text = build.Paper(Results(), source).text
    assert "the reference results" in text and text.split("##")[0].count("not run") == 1  # of the study that is none
    assert "your own runs" not in text and "not run" in build.Paper(Results("own"), source).text


def test_what_is_asked_wrongly_is_told(tiny):
    for call, told in {
        'mean("tiny", "fig2_summary")': "2 rows",
        'mean("tiny", "fig2_summary", arm="x")': "column",
        'value("tiny", "fig2_summary", "median", pretraining="photos")': "no column 'median'",
        "nothing()": "nothing",
        "mean()": "missing",
    }.items():
        with pytest.raises((ConfigError, ValueError), match=told):
            build.Paper(Results(), write(tiny, f"{{{{ {call} }}}}"))


def test_a_typed_number_fails_the_build(tiny):
    with pytest.raises(HandTypedError, match=r"1: .*0\.91"):
        build.build(Results(), tiny / "out", write(tiny, "An accuracy of 0.91."))
    assert not (tiny / "out").exists()


def test_damage_of_a_sidecar_is_told(source, tiny):
    (tiny / "paper" / "tables" / "tiny" / "quick" / "fig2.json").write_text("{")
    with pytest.raises(DamagedResultError, match=r"fig2\.json"):
        build.Paper(Results(), source)


def test_the_text_of_the_repository_is_built_from_the_reference_results(tmp_path, monkeypatch, capsys):
    """By the command, as in a fresh clone: each number is there, but the claims on 1 % that `quick` leaves out."""
    monkeypatch.setenv("TLKIT_PAPER", str(tmp_path / "paper"))
    assert __main__.main(["paper"]) == 0
    html = (tmp_path / "paper" / "build" / "paper.html").read_text(encoding="utf-8")
    told = re.findall(r"not run</strong>: (.*?)<", html)
    assert told == ["make figures STUDY=boundaries SCALE=course"] * 3
    assert len(re.findall(r'href="#runs-', html)) > 150
    assert __main__.main(["paper", "--results", "other"]) == 1 and "reference" in capsys.readouterr().err


def test_claims_that_say_the_same_lead_to_their_own_runs():
    """Several claims of RadiologyNET have one wording; logs, and a real set near a claim, are told beside our runs."""
    paper = build.Paper(Results("reference"))
    claims_of = replication.replicate(paper.results).query("paper == 'radiologynet2025' and runs.str.len() > 0")
    assert claims_of["statement"].duplicated().any()
    keys = re.findall(r"\(#(runs-tables-radiologynet-s\d-claim-[^)]*)\)", paper.table("radiologynet2025"))
    assert [paper.quotes.notes[key].runs for key in keys] == claims_of["runs"].tolist()
    assert "8 met, 0 missed, 3 not testable here" in paper.summary() and "of 38 claims" in paper.summary()
    beside = claims_of[claims_of["why"].str.contains("real brain MR, another network: p = 0.024, ImageNet higher")]
    assert set(beside["task"]) == {"BTMR_MobileNetV3Small", "BTMR_ResNet50"} and len(beside) == 2


@pytest.mark.parametrize(
    ("shown", "title"),
    [
        ("RadiologyNET †", "RadiologyNET"),
        ("RSNA bone age, test_efficientnet for EfficientNet-B3", "RSNA bone age, EfficientNet-B3"),
        ("LUNA16, U-Net", "LUNA16, U-Net"),
        ("waiting for rain", "waiting for rain"),
    ],
)
def test_a_claim_is_found_whatever_its_row_is_marked_with(shown, title):
    assert results.strip_title(shown) == title


def test_a_row_is_found_by_a_title_that_reads_as_if_a_network_stood_in(tiny):
    saved = Results().find("tables", "tiny", "fig2_summary")
    column = saved.frame.columns[0]
    saved.__dict__["frame"] = saved.frame.assign(**{column: "Brain, MR for tumours"})
    assert len(results.select(saved, {column: "Brain, MR for tumours"})) == len(saved.frame) > 0


def test_typst_reads_no_code_in_the_text_after_its_own():
    typst = totypst.render("**a**; `b`(c), [d](https://e.org)[f] *g*.h", str)
    assert re.findall(r"[\])]([;(.\[])", typst.rpartition("#strong")[2]) and "#strong[a];;" in typst
    assert '#raw("b");(c)' in typst and "#emph[g];.h" in typst


def test_codes_are_shown_by_their_titles(tiny):
    source = write(tiny, '{{ table("tiny", "fig2_summary", {"experiment": "way", "pretraining": "start"}) }}')
    assert "| fine-tuning | Photographs |" in build.Paper(Results(), source).text


def test_many_runs_are_listed_by_the_result_itself(source, tiny, monkeypatch):
    monkeypatch.setattr("tlkit.manuscript.appendix.SHORT", 3)
    text = build.Paper(Results(), source).text
    assert "4 runs, listed in `paper/figures/tiny/quick/fig2.json`" in text
    paged = build.Paper(Results(), source, pages={"figures/tiny/fig2": "results/x.html"}).text
    assert "[`paper/figures/tiny/quick/fig2.json`](results/x.html)" in paged


def test_every_claim_has_a_tolerance():
    told = replication.read_tolerances()
    assert len(told) == sum(len(claims.read_quoted(paper)) for paper in replication.REDOES)
    assert set(told["expected"]) <= {"delta", "a<b", "a>b", "same", "differ"} and told["reason"].notna().all()
    assert (told["tolerance"] > 0).all()


@pytest.fixture
def judged(monkeypatch):
    """Return what becomes of the first claim (+0.44 %, to one point) where our table says so."""
    results = Results("reference")
    saved = results.find("tables", "boundaries", "sf1")
    claim, rule = claims.read_quoted().iloc[0].to_dict(), replication.read_tolerances().iloc[0].to_dict()
    row = replication.select(saved, {key: claim[key] for key in claims.KEY}).index
    monkeypatch.setattr(results, "find", lambda *asked: saved)

    def judge(delta: float, half: float, phantom: bool = False, scale: str = "paper") -> list[str]:
        saved.facts.update(phantom=phantom, scale=scale)
        at = {"mean_a": 1 + delta / 100, "mean_b": 1.0, "delta_pct": delta}
        at |= {"ci_low": (delta - half) / 100, "ci_high": (delta + half) / 100}
        saved.frame.loc[row, list(at)] = list(at.values())
        found = replication._judge_delta(results, "boundaries", claim, rule)
        return [found["verdict"], found["why"]]

    return judge


def test_verdicts_of_a_quoted_difference(judged):
    assert judged(0.6, 0.5) == ["met", ""]
    assert judged(-1.2, 0.5) == ["missed", ""]
    assert judged(0.6, 3)[0] == "not testable here" and "power" in judged(0.6, 3)[1]
    assert "phantoms" in judged(0.6, 0.5, phantom=True)[1] and "scale quick" in judged(0.6, 0.5, scale="quick")[1]


def test_no_claim_is_hidden_where_nothing_was_run(tiny):
    table = replication.replicate(Results())
    assert len(table) == len(replication.read_tolerances()) and set(table["verdict"]) == {"not run"}
    assert runs.state(runs_of(tiny)[0]) == "done" and table["why"].str.startswith("make figures").all()
