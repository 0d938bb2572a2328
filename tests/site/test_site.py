"""The pages: they hold every run and result, lead nowhere outside, and work in a browser from disk."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import nbformat
import numpy as np
import pandas as pd
import pytest
from tiny_study import HOST, PATIENT, runs_of

from tlkit import files, paths, runs
from tlkit.manuscript.results import Results
from tlkit.site import books, datapages, runpages, website

CHROMIUM = shutil.which("chromium")
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+M8AAAMBAQAY3Y2wAAAAAElFTkSuQmCC"
TEXT = """\
# The tiny paper

{{ mean("tiny", "fig2_summary", pretraining="photos") }} and {{ mean("nothing", "fig9") }}.

{{ figure("tiny", "fig2") }}

{{ appendix() }}
"""


def write_notebooks(root: Path) -> None:
    """Leave one notebook executed by the study, with a picture and a script in it, and one that was not run."""
    folder = root / "notebooks"
    folder.mkdir()
    for name, text in {
        "30_fig2_task_dependency": "# Fig. 2\n\nSee [the next](31_next.ipynb#Next), [a file](../README.md).",
        "31_next": "# Next",
    }.items():
        cells = [nbformat.v4.new_markdown_cell(text), nbformat.v4.new_code_cell("x = 1 < 2")]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / f"{name}.ipynb")
    done = nbformat.read(folder / "30_fig2_task_dependency.ipynb", 4)
    shown = {"image/png": PICTURE, "text/plain": "<Figure>"}
    outputs = [nbformat.v4.new_output("display_data", shown)]
    outputs += [
        nbformat.v4.new_output("display_data", {"text/html": "<b>ok</b><script>fetch('https://example.org')</script>"})
    ]
    outputs += [nbformat.v4.new_output("display_data", {"application/javascript": "alert(1)", "text/plain": "script"})]
    done.cells[1].outputs = outputs
    done.metadata["papermill"] = {"input_path": "somewhere/30_fig2_task_dependency.ipynb"}
    studied = paths.runs_root() / "studies" / "tiny" / "quick"
    studied.mkdir(parents=True)
    nbformat.write(done, studied / "figure-fig2.ipynb")
    (studied / "figure-fig2.json").write_text("{}")
    shutil.copy(studied / "figure-fig2.ipynb", runs.folder(runs_of(root)[0]) / "notebook.ipynb")


@pytest.fixture(scope="module")
def site(tiny_once, tmp_path_factory) -> Path:
    """Make the pages of the tiny study once."""
    root = shutil.copytree(tiny_once, tmp_path_factory.mktemp("site") / "it's ä tiny study")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "sync", lambda path: None)
        patch.setattr(paths, "STUDIES", root / "studies")
        patch.setattr(paths, "NOTEBOOKS", root / "notebooks")
        patch.setattr("tlkit.manuscript.results.REFERENCE", root / "reference")
        patch.setattr(books, "REFERENCE", root / "reference" / "notebooks")
        patch.setenv("TLKIT_RUNS", str(root / "runs"))
        patch.setenv("TLKIT_PAPER", str(root / "paper"))
        write_notebooks(root)
        (root / "paper.md").write_text(TEXT, encoding="utf-8")
        (root / "allowed.txt").write_text("", encoding="utf-8")
        patch.setattr("tlkit.manuscript.build.SOURCE", root / "paper.md")
        first = website.build(Results(), root / "paper" / "site")
    return first.parent


class Links(HTMLParser):
    """What a page leads to and holds."""

    def __init__(self, path: Path):
        super().__init__()
        self.path, self.found, self.ids, self.bad = path, [], set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids.add(given.get("id"))
        self.found += [(tag, given[key]) for key in ("href", "src") if given.get(key)]
        if tag == "img" and not given.get("alt"):
            self.bad.append("a picture without a text")
        if tag == "input" and given.get("type") != "checkbox" and not given.get("id"):
            self.bad.append("a field without a label")
        if tag == "html" and not given.get("lang"):
            self.bad.append("no language")


def test_every_link_leads_somewhere_on_the_disk(site):
    pages = {path: Links(path) for path in site.rglob("*.html")}
    assert len(pages) > 30
    for path, page in pages.items():
        assert page.bad == []
        for tag, address in page.found:
            if address.startswith("data:"):
                continue
            if address.startswith("http"):
                assert tag == "a", "nothing is loaded from the network"
                continue
            target, _, place = address.partition("#")
            file = (path.parent / unquote(target.partition("?")[0])).resolve() if target else path
            assert file.is_file(), f"{path.name} leads to {address}"
            assert not place or file.suffix != ".html" or place in pages[file].ids, f"{path.name}: {address}"


def test_each_run_and_result_has_its_page_and_they_lead_to_each_other(site, tiny_once):
    for rid in runs_of(tiny_once):
        text = (site / "runs" / f"{rid}.html").read_text()
        assert "../results/tables-tiny-fig2.html" in text and "c0ffee" in text and "../data/imagenet.html" in text
        assert rid in (site / "runs.html").read_text() and rid in (site / "compare.html").read_text()
    made = (site / "results" / "figures-tiny-fig2.html").read_text()
    assert all(f"../runs/{rid}.html" in made for rid in runs_of(tiny_once))
    assert "../notebooks/tiny-quick-figure-fig2.html" in made
    assert "../notebooks/tiny-quick-figure-fig2.html" in (site / "runs" / f"{runs_of(tiny_once)[0]}.html").read_text()


def test_the_pages_name_no_patient_host_or_script_of_a_notebook(site):
    texts = {p: p.read_text(encoding="utf-8") for p in site.rglob("*") if p.suffix in (".html", ".js")}
    assert not [
        p.name for p, text in texts.items() if PATIENT in text or HOST in text or "fetch(" in text or "alert(" in text
    ]


def test_notebooks_are_shown_as_executed_with_links_between_them(site):
    done = (site / "notebooks" / "tiny-quick-figure-fig2.html").read_text()
    assert "<details><summary>Code</summary>" in done and "x = 1 &lt; 2" in done and "<b>ok</b>" in done
    assert 'href="../notebooks/31_next.html#Next"' in done and "README.md in the repository" in done
    assert (site / "notebooks" / "pictures").exists() and "was <strong>not run</strong>" not in done
    assert "was <strong>not run</strong>" in (site / "notebooks" / "31_next.html").read_text()


def test_without_a_run_pages_say_not_run(tiny, monkeypatch):
    gone = runs_of(tiny)[0]
    shutil.rmtree(runs.folder(gone))
    (tiny / "paper.md").write_text(TEXT, encoding="utf-8")
    (tiny / "allowed.txt").write_text("", encoding="utf-8")
    monkeypatch.setattr("tlkit.manuscript.build.SOURCE", tiny / "paper.md")
    monkeypatch.setattr(books, "find", lambda: [])
    out = website.build(Results(), tiny / "paper" / "site").parent
    assert not (out / "runs" / f"{gone}.html").exists()
    for name in ("figures-tiny-fig2", "tables-tiny-fig2", "tables-tiny-fig2_summary"):
        assert "not run" in (out / "results" / f"{name}.html").read_text()


@pytest.mark.parametrize(
    ("licence", "free"),
    [
        ("CC0", True), ("CC BY 4.0", True), ("CC BY-SA 4.0", True), ("CC-BY 3.0", True), ("MIT", True), ("", False),
        ("CC BY-NC 4.0", False), ("CC BY NC SA", False), ("CC BY-ND 4.0", False), ("not given", False),
        ("CC0 by the collection's page (check it)", False), ("research agreement", False),
    ],
)  # fmt: skip
def test_pictures_of_real_data_need_a_free_licence(licence, free):
    assert datapages.may_show(licence) is free


def kept(target: list, output: list, **more) -> pd.DataFrame:
    return pd.DataFrame({"target": target, "output": output, **more})


def test_the_score_of_an_image_by_kind_of_task():
    def scores(frame, kind):
        return runpages.score(frame, kind)[2].tolist()

    assert scores(kept([1, 0], [[0.2, 0.8], [0.1, 0.9]]), "multiclass") == [1, 0]
    assert scores(kept([1.0, 0.0], [0.7, 0.6]), "binary") == [1, 0]
    assert scores(kept([[1, 0], [0, 0]], [[0.9, 0.9], [0, 0]]), "multilabel") == [0.5, 1]
    assert scores(kept([10.0, 20.0], [12.0, 17.0]), "regression") == [2, 3]
    counts = kept([[8, 2, 0], [10, 0, 0]], [[8, 2, 0], [10, 0, 0]], overlap=[[8, 1, 0], [10, 0, 0]])
    assert scores(counts, "segmentation") == [0.5, 1]


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("chromium is not installed (apt-get install chromium), so the pages are not tried in a browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM)
        yield opened
        opened.close()


def test_in_a_browser_from_disk(site, browser, tiny_once):
    """Filter, sort, compare, follow links; by keyboard; no error on the console, no request outside."""
    context = browser.new_context(offline=True)
    page, told, asked = context.new_page(), [], []
    page.on("console", lambda message: told.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / "index.html").as_uri())
    for name in ("Paper", "Runs"):  # follow links
        page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()
    page.get_by_label("Filter").fill("scratch finetune")
    assert page.locator("#count").text_content() == "2 of 5 runs"
    assert page.locator("#runs tbody tr:visible").count() == 2
    page.get_by_label("Filter").fill("")
    page.get_by_role("button", name="result").focus()
    page.keyboard.press("Enter")
    column = page.locator("#runs tbody tr").evaluate_all("rows => rows.map(r => r.cells[9].textContent)")
    assert page.locator("th[aria-sort=ascending]").count() == 1 and column == sorted(column)
    a, b = runs_of(tiny_once)[0], runs_of(tiny_once)[2]
    for rid in (a, b):
        page.get_by_label(f"tick {rid}").check()
    page.get_by_role("button", name="Compare the two").click()
    page.wait_for_selector("#paired")
    first, second = (
        json.loads(
            (site / "runs" / "data" / f"{page.locator('#' + s).input_value()}.js")
            .read_text()
            .split("=", 2)[2]
            .rstrip(";\n")
        )
        for s in "ab"
    )
    gaps = (
        pd.Series(np.subtract(first["scores"], second["scores"]) / 1000).groupby(first["patients"]).agg(["sum", "size"])
    )
    mean = gaps["sum"].sum() / gaps["size"].sum()
    m, spread = len(gaps), ((gaps["sum"] - mean * gaps["size"]) ** 2).sum()
    from scipy.stats import t

    half = t.ppf(0.975, m - 1) * np.sqrt(m / (m - 1) * spread) / gaps["size"].sum()
    shown = page.locator("#paired").text_content().replace("−", "-")
    assert [float(v) for v in re.findall(r"-?\d\.\d{4}", shown)] == pytest.approx(
        [mean, mean - half, mean + half], abs=2e-4
    )
    assert f"{m} patients" in shown and page.locator("polyline.b").count() > 0
    assert "pretraining" in page.locator("#comparison").text_content()
    page.goto((site / "runs" / f"{a}.html").as_uri())
    page.wait_for_selector("#run table")
    page.get_by_role("link", name="table tiny/fig2_summary").click()
    page.get_by_role("link", name="30_fig2_task_dependency").click()
    page.get_by_text("Code").first.click()
    assert page.get_by_text("x = 1 < 2").is_visible()
    page.keyboard.press("Tab")
    context.close()
    assert told == [] and all(url.startswith(("file:", "data:")) for url in asked)
