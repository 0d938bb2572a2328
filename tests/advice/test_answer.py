"""The answer on disk: what programs read, what people read, and names that would break either."""

from __future__ import annotations

import base64
import copy
import json
import re
import shutil
from functools import cache
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from simulated_runs import made

from tlkit.advice import answer, answer_page, arm_tables, contract, deciding, drawings, loading, prose, scores
from tlkit.advice.contract import AnswerError
from tlkit.config import NotAvailableError
from tlkit.models import backbone, classifier, regressor, save_weights, segmenter
from tlkit.training.recipes import recipe
from tlkit.training.supervised import plain_view

CHROMIUM = shutil.which("chromium")
NASTY = "<b>Müller & Söhne</b> | `x` *y* $z$ \"q\" 'a' \\ [l](u) 心"
EFFECTS = {"scratch": 0.2, "imagenet": 0.9, NASTY: 0.7}


@cache
def evidence(*effects):
    """Return what simulated runs of such effects decide, and the cheap evidence: each made once, and only read."""
    target, features = np.arange(60) % 2, np.random.default_rng(0).normal(size=(60, 4))
    cheap = {"scratch": scores.evidence(features, target, "binary", metric="auc", shots=(5,))}
    return deciding.decide(made(dict(effects), each=0.0), "auc"), cheap


def decided(effects=None, confidence="", **more):
    """Return an answer over simulated runs, as the parts of the package make it."""
    found, cheap = copy.deepcopy(evidence(*(effects or EFFECTS).items()))
    facts = {arm: {"minutes": 6.0, "mb": 13.5, "load": "100 of 100 tensors"} for arm in effects or EFFECTS}
    base = {
        "task": "binary", "metric": "auc", "n_images": 372, "n_patients": 178, "classes": ["böse", "<i>gut</i>"],
        "start_from": found["leader"], "confidence": confidence or found["confidence"], "why": found["why"],
        "n_test_patients": found["patients"], "arms": contract.arms(found, cheap, facts), "warnings": [],
        "seconds": 571.3,
    }  # fmt: skip
    return base | more


ONCE = decided({"a": 0.1, "b": 0.2})


class Page(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def read(folder):
    return Page((folder / "answer.html").read_text(encoding="utf-8"))


def test_the_files_hold_the_answer(tmp_path):
    where = tmp_path / "a b'ü"
    files = answer.write(where, decided())
    assert [f.name for f in files] == ["answer.json", "answer.md", "answer.html"]
    told = json.loads(files[0].read_text(encoding="utf-8"))
    assert set(contract.KEYS) <= set(told) and told["start_from"] == "imagenet" and told["confidence"] == "clear"
    assert all(set(contract.ARM) <= set(arm) for arm in told["arms"]) and told["arms"][0]["arm"] == "imagenet"
    assert sorted(p.name for p in where.iterdir()) == sorted(f.name for f in files)
    before = [f.read_bytes() for f in files]
    answer.write(where, decided())
    assert [f.read_bytes() for f in files] == before


def test_the_page_says_what_to_start_from_and_how_sure_that_is(tmp_path):
    answer.write(tmp_path, decided())
    html, md = read(tmp_path).text, (tmp_path / "answer.md").read_text(encoding="utf-8")
    for text in (html, md):
        assert "Start from imagenet at a learning rate of 0.1." in text and "372 images of 178 patients" in text
        assert "What more hours would decide" in text and "in 10 min" in text
    assert "CLEAR: **Start from" in md


def test_no_arm_is_called_the_best_where_it_is_open(tmp_path):
    answer.write(tmp_path, decided({"a": 0.5, "b": 0.5}))
    told = read(tmp_path).text
    assert "Nothing tried here is surely the best." in told and "Start from" not in told


def test_without_fine_tuning_the_cheap_evidence_stands_alone(tmp_path):
    rows = [{"arm": "imagenet", "probe": 0.7, "knn": np.float32(0.6), "few_shot": {5: 0.5}}, {"arm": "own"}]
    answer.write(tmp_path, decided(start_from=None, confidence="open", why="", arms=rows))
    told = read(tmp_path)
    assert "No arm is proposed" in told.text and "Raise --budget" in told.text and "0.700" in told.text
    assert "frozen features of imagenet, reaches 0.700 in cross-validation; fine-tuning may turn" in told.text
    assert "fine-tuned 0." not in told.text and len(told.all("img")) == 1


def test_one_file_that_asks_nobody_for_anything(tmp_path):
    curve = [
        {"arm": a, "images": n, "value": n / 400, "low": 0.1, "high": 0.9} for a in EFFECTS for n in (37, 111, 372)
    ]
    answer.write(tmp_path, decided(curve=curve))
    text, told = (tmp_path / "answer.html").read_text(encoding="utf-8"), read(tmp_path)
    images = told.all("img")
    assert len(images) == 2 and all(i["src"].startswith("data:image/svg+xml;base64,") for i in images)
    assert (
        "imagenet: fine-tuned" in images[0]["alt"]
        and "with 37 images" in images[1]["alt"]
        and NASTY in images[0]["alt"]
    )
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in told.tags}
    assert not re.search(r'(src|href)="(?!data:)|url[(]|@import', text)
    svg = base64.b64decode(images[0]["src"].partition(",")[2]).decode()
    assert svg.count("<svg") == 1 and "<b>" not in svg and "<image" not in svg
    assert "default-src 'none'" in told.all("meta")[1]["content"]


def test_warnings_are_red_and_named(tmp_path):
    text = f"7 files of train and test are the same: {NASTY}"
    answer.write(tmp_path, decided(warnings=[{"kind": "exact_copies", "text": text}]))
    told, html = read(tmp_path), (tmp_path / "answer.html").read_text(encoding="utf-8")
    assert "exact copies" in told.text and text in told.text
    assert {"class": "warnings"} in told.all("ul") and ".warnings { color: #b00020;" in html
    assert "**exact copies**: 7 files" in (tmp_path / "answer.md").read_text(encoding="utf-8")
    answer.write(tmp_path, decided())
    assert {"class": "warnings"} not in read(tmp_path).all("ul")


def test_names_of_the_user_are_shown_and_mark_nothing_up(tmp_path):
    answer.write(
        tmp_path,
        decided(name=NASTY, study=f"name: {NASTY}\n```\n", reading=NASTY, missing=[{"name": NASTY, "size": "3 MB"}]),
    )
    told = read(tmp_path)
    assert not {"b", "i"} & {tag for tag, _ in told.tags} and told.text.count(NASTY) >= 5 and "<i>gut</i>" in told.text
    md = MarkdownIt("commonmark").enable("table").render((tmp_path / "answer.md").read_text(encoding="utf-8"))
    shown = Page(md)
    tags = {tag for tag, _ in shown.tags}
    assert tags <= {"h1", "h2", "p", "ul", "li", "strong", "table", "thead", "tbody", "tr", "th", "td", "pre", "code"}
    assert shown.text.count(NASTY) >= 5 and len(shown.all("td")) == 3 * len(shown.all("th")) > 0


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1, max_size=30).filter(str.strip))
def test_any_name_is_shown_as_it_is(name):
    plain = Page(MarkdownIt("commonmark").enable("table").render(answer._plain(name))).text
    assert plain.split() == name.replace("\x00", "\ufffd").split()
    bare = {"start_from": None, "confidence": "open", "arms": [{"arm": "a"}]}
    ours, other = (
        Page(answer_page.html(contract.check_answer(ONCE | bare | {"name": n, "classes": [n]}))) for n in (name, "x")
    )
    assert ours.tags == other.tags


def test_the_winners_rows_lead_and_empty_columns_are_left_out(tmp_path):
    base = decided()
    base["arms"][2]["dropped"] = "0.5 to 0.9 behind imagenet"
    answer.write(tmp_path, base)
    told = read(tmp_path)
    assert [row.get("class") for row in told.all("tr")] == [None, "leader", None, None] * 2
    assert "5 a class" in told.text and "25 a class" not in told.text
    assert "scratch got no more runs: 0.5 to 0.9 behind imagenet." in told.text


def test_a_probe_as_good_as_fine_tuning_says_undertrained():
    rows = [{"arm": "a", "value": 0.38, "low": 0.2, "high": 0.5}, {"arm": "b", "probe": 0.7}]
    base = contract.check_answer(ONCE | {"arms": rows, "start_from": "a", "confidence": "open"})
    assert "likely undertrained" in prose.baseline(base) and "0.700" in prose.baseline(base)
    assert prose.probe_is_as_good(base) and not prose.probe_is_as_good(base | {"metric": "mae"})
    assert "undertrained" not in prose.baseline(base | {"metric": "mae"})
    assert prose.baseline(base | {"arms": base["arms"][:1]}) == ""


def test_what_more_hours_would_decide_is_computed():
    rows = [{"arm": "a", "value": 0.9, "runs": 3, "minutes": 6.0}]
    wanted = {
        "b": ({"what": "runs", "runs": 4}, "b: 4 more runs of it and of a, about 16 min"),
        "c": ({"what": "patients", "patients": 55}, "c: no number of hours, but 55 more test patients"),
        "d": ({"what": "nothing"}, "d: decided"),
        "e": ({"what": "neither"}, "e: neither hours nor"),
    }
    rows += [{"arm": k, "decided_by": v, "runs": 3, "minutes": 6.0} for k, (v, _) in wanted.items()]
    told = prose.say_more(contract.check_answer(ONCE | {"arms": rows, "start_from": "a"}))
    assert all(line.startswith(text) for line, (_, text) in zip(told, wanted.values(), strict=True))


def test_the_agreement_of_the_scores_is_told_with_its_chance(tmp_path):
    rows = [
        {"score": "logme", "arms": 3, "tau": 0.5, "low": -0.2, "high": 1.0, "chance": 1 / 6},
        {"score": "nleep", "arms": 1, "tau": np.nan},
    ]
    answer.write(tmp_path, decided(agreement=rows))
    told = read(tmp_path).text
    assert "LogME: weighted Kendall τ 0.50 (95 % interval −0.20 to 1.00) over 3 arms; 17 % of all orders" in told
    assert "NLEEP: no rank correlation (1 arm with both)." in told and "hints" in told


def test_of_two_arms_no_rank_correlation_is_told():
    rows = [{"score": s, "arms": 2, "tau": 1.0, "low": -1.0, "high": 1.0, "chance": 0.5} for s in ("probe", "logme")]
    (said,) = prose.agreement(contract.check_answer(ONCE | {"agreement": rows}))
    assert "cannot be said of 2 arms" in said and "τ" not in said


def test_arms_without_a_run_for_want_of_time_are_named():
    rows = [{"arm": "a", "value": 0.5, "runs": 1}, {"arm": "b", "probe": 0.5}, {"arm": prose.PIXELS, "probe": 0.4}]
    (said,) = prose.say_more(contract.check_answer(ONCE | {"arms": rows, "start_from": "a", "confidence": "open"}))
    assert "Raise --budget: b had no run in it" in said
    (said,) = prose.say_more(contract.check_answer(ONCE | {"arms": rows[::2], "start_from": "a", "confidence": "open"}))
    assert "Name --weights" in said
    told = prose.reasons(contract.check_answer(ONCE | {"arms": rows, "start_from": "a", "confidence": "open"}))
    assert "AUC 0.500 (no interval: one run) over 1 run." in told[0]


def test_what_is_long_is_beside_the_table_or_folded(tmp_path):
    load = "weights.pt: 318 of 318 of the encoder's tensors, prefix 'backbone.' taken off"
    base = decided(study="key: value\n", study_file="study.yaml", reading="name: x\n")
    base["arms"][0]["load"] = load
    answer.write(tmp_path, base | {"arms": [*base["arms"], {"arm": prose.PIXELS, "probe": 0.5}]})
    told = read(tmp_path)
    assert f"imagenet, weights loaded: {load}." in told.text and "weights loaded" not in str(told.all("th"))
    assert len(told.all("details")) == 2 and "study.yaml, beside this page" in told.text
    assert len(told.all("tr")) == 4 + 5, "what cannot be fine-tuned is in the table of frozen features alone"
    assert f"weights loaded: {answer._plain(load)}" in (tmp_path / "answer.md").read_text(encoding="utf-8")


def test_an_arm_that_was_too_dear_is_left_out_with_its_reason(tmp_path):
    base = decided()
    base["arms"].append({"arm": "simclr", "title": "SimCLR on these images", "dropped": "its pretraining takes 2 h"})
    answer.write(tmp_path, base)
    assert "SimCLR on these images is left out: its pretraining takes 2 h." in read(tmp_path).text
    tuned = arm_tables.tabulate_arms(contract.check_answer(base))[0]
    assert "SimCLR on these images" not in [row[0] for row in tuned.rows]


def test_the_table_says_of_how_many_images_frozen_features_are():
    answer = contract.check_answer(decided(frozen_of={"images": 1200, "patients": 90}))
    assert "Frozen features of 1,200 images of 90 patients: AUC" in arm_tables.tabulate_arms(answer)[1].caption
    unknown = contract.check_answer(decided(frozen_of={"images": 7, "patients": 7}, n_patients=None))
    assert "of 7 images of an unknown number of patients" in arm_tables.tabulate_arms(unknown)[1].caption
    masks = contract.check_answer(decided(frozen_of={"images": 7, "patients": 3}, task="segmentation"))
    assert "of masks there is none" in arm_tables.tabulate_arms(masks)[1].caption


def test_small_differences_of_a_share_are_drawn_small():
    rows = [{"arm": "a", "probe": 0.70}, {"arm": "b", "probe": 0.69}]
    _, ax = drawings._axes(40)
    ax.plot([row["probe"] for row in rows], [0, 1], "o")
    drawings._widen(ax.xaxis, {"metric": "auc"})
    assert ax.get_xlim() == pytest.approx((0.595, 0.795), abs=1e-6)
    drawings._widen(ax.xaxis, {"metric": "mae"})
    assert ax.get_xlim() == pytest.approx((0.595, 0.795), abs=1e-6)


def test_the_agreement_is_made_of_the_evidence_of_the_arms(tmp_path):
    rng, target = np.random.default_rng(0), np.arange(60) % 2
    told = {"scratch": 0.0, "imagenet": 2.0, NASTY: 1.0}
    shifted = {arm: rng.normal(size=(60, 3)) + shift * target[:, None] for arm, shift in told.items()}
    cheap = {arm: scores.evidence(f, target, "binary", metric="auc", shots=(5,)) for arm, f in shifted.items()}
    rows = deciding.agreement(contract.score_table(cheap), made(EFFECTS), "auc")
    assert rows["score"].tolist() == ["probe", "knn", "few_shot_5", "logme", "h_score", "nleep"]
    assert rows["tau"].iloc[0] == pytest.approx(1) and rows["arms"].eq(3).all()
    answer.write(tmp_path, decided(agreement=rows.to_dict("records")))
    assert "5 images a class: weighted Kendall τ" in read(tmp_path).text


@pytest.mark.parametrize(
    "change, says",
    [
        ({"confidence": "sure"}, "clear, likely, open, found 'sure'"),
        ({"warnings": [{"kind": "odd", "text": "x"}]}, "exact_copies"),
        ({"warnings": [{"kind": "shortcut", "text": ""}]}, "a text"),
        ({"arms": [{"arm": "a"}, {"arm": "a"}]}, "a name of its own"),
        ({"start_from": "nobody"}, "'nobody', which is no arm: b, a"),
        ({"start_from": None, "confidence": "clear"}, "without start_from is open"),
    ],
)
def test_an_answer_that_lacks_what_a_reader_needs_is_refused(change, says, tmp_path):
    with pytest.raises(AnswerError, match=says):
        answer.write(tmp_path, ONCE | change)
    assert not list(tmp_path.iterdir())


def test_a_missing_key_is_named(tmp_path):
    with pytest.raises(AnswerError, match="needs the keys seconds"):
        answer.write(tmp_path, {k: v for k, v in ONCE.items() if k != "seconds"})


# Loading


def run(code, folder, monkeypatch):
    monkeypatch.chdir(folder)
    names: dict = {}
    exec(compile(code, "loading", "exec"), names)
    return names


@pytest.mark.parametrize(
    "name, options, size",
    [
        ("test_resnet", {}, 32),
        ("test_vit", {"img_size": 48}, 48),
        ("torchvision/resnet18", {}, 32),
        ("torchvision/mobilenet_v3_small", {}, 32),
        ("vit_tiny_patch16_224", {}, 64),
        ("swin_tiny_patch4_window7_224", {}, 64),
        ("convnext_atto", {}, 40),
        ("torchvision/densenet121", {}, 32),
        ("torchvision/vgg11", {}, 32),
        ("tf_efficientnet_lite0", {}, 32),
    ],
)
def test_the_lines_give_the_outputs_of_the_winner(name, options, size, tmp_path, monkeypatch):
    model = classifier(backbone(name, seed=0, **options), 3, seed=1).eval()
    save_weights(model, tmp_path / "model.safetensors")
    how = recipe("label", normalise={"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25]}, window=None)
    config = {"data": {"size": size}, "recipe": how.to_dict()}
    code = loading.write_code(tmp_path / "model.safetensors", name, options, config)
    assert len([line for line in code.splitlines() if line]) <= 13 and "tlkit" not in code
    assert f"x: float [B,3,{size},{size}], values in [0,1]" in code
    pixels = torch.randint(0, 256, (2, size, size, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    names = run(code, tmp_path, monkeypatch)
    with torch.no_grad():
        ours = model(plain_view(pixels, how).contiguous())
        theirs = names["model"](names["prepare"](pixels.permute(0, 3, 1, 2).float() / 255).contiguous())
    assert torch.allclose(theirs, ours, rtol=0, atol=1e-5)


def test_a_number_is_loaded_in_its_unit_and_a_segmentation_as_its_encoder(tmp_path, monkeypatch):
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    years = regressor(backbone("test_resnet", seed=0), mean=60.0, sd=12.0, seed=1, hidden=8).eval()
    save_weights(years, tmp_path / "it's ü.safetensors")
    with torch.no_grad():
        code = loading.write_code(tmp_path / "it's ü.safetensors", "test_resnet")
        loaded = run(code, tmp_path, monkeypatch)["model"]
        assert torch.allclose(loaded(images), years(images))
    net = segmenter(backbone("torchvision/resnet18", seed=0), 2, seed=1).eval()
    save_weights(net, tmp_path / "model.safetensors")
    code = loading.write_code(tmp_path / "model.safetensors", "torchvision/resnet18")
    with torch.no_grad():
        assert (
            torch.equal(run(code, tmp_path, monkeypatch)["model"](images), net.encoder(images)) and "head" not in code
        )


def test_a_backbone_of_tlkit_is_said_to_be_its_own(tmp_path):
    save_weights(classifier(backbone("resnet10"), 2), tmp_path / "model.safetensors")
    with pytest.raises(NotAvailableError, match="tlkit's own"):
        loading.write_code(tmp_path / "model.safetensors", "resnet10")


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)")
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_the_page_without_a_complaint(tmp_path, width):
    from playwright.sync_api import sync_playwright

    curve = [{"arm": arm, "images": n, "value": 0.5, "low": 0.1, "high": 0.9} for arm in EFFECTS for n in (37, 372)]
    base = decided(name=NASTY, curve=curve, study="x" * 300, warnings=[{"kind": "shortcut", "text": "ü" * 200}])
    base["arms"][1]["title"] = "Gewichte_ohne_Leerzeichen_" * 6
    answer.write(tmp_path, base)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM)
        tab, said = browser.new_page(viewport={"width": width, "height": 800}), []
        tab.on("console", lambda message: said.append(message.text))
        tab.on(
            "request",
            lambda request: said.append(request.url) if not request.url.startswith(("file:", "data:")) else None,
        )
        tab.goto((tmp_path / "answer.html").as_uri())
        assert tab.evaluate("[...document.images].every(i => i.naturalWidth > 0)")
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), "wide parts scroll on their own"
        assert tab.evaluate("[...document.images].every(i => i.width >= 450)"), "letters of figures stay legible"
        assert NASTY in tab.inner_text("h1") and not said
        browser.close()
