"""Every citation of a published fact, such as `jonske2025 5.2`, leads to a section of paper/specs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from tlkit import paths

FOLDERS, KINDS = ("tlkit", "tests", "notebooks", "benchmarks", "paper"), (".py", ".ipynb", ".yaml", ".md")
SPECS = paths.REPO / "paper" / "specs"
CITATION = re.compile(r"\b(jonske2025|radiologynet2025) (\d+(?:\.\d+)?(?:, \d+(?:\.\d+)?)*)")
OLD = re.compile(
    r"\bspecs? \d|\bspec of the\b|\bradiologynet(?: 2025)?,? (?:spec )?\d+\.\d|\b\w+2025,? (?:spec|section)\b", re.I
)


def whole(text: str) -> str:
    """Return a text without line ends, so that what is cited is found across them."""
    return re.sub(r'(?:\\n",)?\n\s*[#"]? ?', " ", text)


def cited(texts: Iterable[str]) -> set[tuple[str, str]]:
    return {(spec, number) for t in texts for spec, some in CITATION.findall(t) for number in some.split(", ")}


def headings(spec: str, text: str) -> list[tuple[str, str]]:
    return [(spec, number) for number in re.findall(r"^##+ (\S+)", text, re.M)]


def idle(there: Iterable[tuple[str, str]], used: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the headings that nothing cites, neither themselves nor a section below them."""
    return {(s, n) for s, n in there if not any(s == spec and f"{c}.".startswith(f"{n}.") for spec, c in used)}


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    files = [p for folder in FOLDERS for p in (paths.REPO / folder).rglob("*") if p.suffix in KINDS]
    files = [p for p in files if SPECS not in p.parents and p != Path(__file__) and ".ipynb_checkpoints" not in p.parts]
    return {p.relative_to(paths.REPO).as_posix(): whole(p.read_text(encoding="utf-8")) for p in files}


@pytest.fixture(scope="module")
def sections() -> list[tuple[str, str]]:
    return [h for p in sorted(SPECS.glob("*.md")) for h in headings(p.stem, p.read_text(encoding="utf-8"))]


def test_every_citation_has_its_section(texts, sections):
    used = cited(texts.values())
    assert len(used) > 30 and used - set(sections) == set()


def test_every_section_is_cited_and_comes_once(texts, sections):
    assert len(sections) == len(set(sections)) and idle(sections, cited(texts.values())) == set()


def test_no_citation_has_another_form(texts):
    assert {name: found for name, text in texts.items() if (found := OLD.findall(text))} == {}


@pytest.mark.parametrize(
    "text",
    ["(spec 4)", "spec 2: five", "Source: spec\n    5.2.", "# radiologynet 1.11", "radiologynet spec 4.3, 4.7",
     "RadiologyNET 2025, spec 1.1", "# jonske2025 section 0, 5", "Spec of the RadiologyNET study, 0.2"],
)  # fmt: skip
def test_other_forms_are_seen(text):
    assert OLD.search(whole(text)) and not cited([whole(text)])


def test_citations_and_idle_sections_are_seen():
    code = "see jonske2025 5.2,\n    # 5.10; radiologynet2025 0.1"
    book = '"as in jonske2025\\n",\n    "6 of"'
    used = cited([whole(code), whole(book)])
    assert used == {("jonske2025", n) for n in ("5.2", "5.10", "6")} | {("radiologynet2025", "0.1")}
    there = headings("jonske2025", "# Title\n## 5 All\n\n### 5.2 One\n## 5.1 Other\n## 6 Last\n## Notes\n")
    assert idle(there, used) == {("jonske2025", "5.1"), ("jonske2025", "Notes")}
