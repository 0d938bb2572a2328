"""A number that was typed into the text fails the build; names of an allow-list and placeholders do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlkit import paths
from tlkit.manuscript import handtyped

ALLOWED = ["ResNet-50", "95 %", "five tasks", "0.05"]
GIVEN = ["mean", "table"]


def found(text: str) -> list[str]:
    return [words for _, words in handtyped.find(text, ALLOWED, GIVEN)]


@pytest.mark.parametrize(
    "text",
    [
        "An accuracy of 0.84.", "12 of them", "a gain of +3 points", "1e-3", "two thirds", "forty-two runs", "¼ of all",
        "x² is large", "٣ runs", "`0.84`", "[0.84](https://example.org)", "| 0.84 |", "ResNet-501", "95 % and 96 %",
        "0.0512", "10.05", "**7**", "a ResNet-50 of 0.9", "twenty of them", "{{ 0.84 }}", "{{ '0.84' }}",
        "{% set x = '0.84' %}{{ x }}", "{{ '0.84' | upper }}", "{{ '{}'.format(0.84) }}", "{{ dict(x=0.84).x }}",
        "{{ 'a' ~ 0.84 }}", "{% raw %}0.84{% endraw %}", "{% if mean('a') %}0.84{% endif %}", "-0.05-0.04",
    ],
)  # fmt: skip
def test_a_typed_number_is_found(text):
    assert found(text)
    with pytest.raises(handtyped.HandTypedError, match=r"allowed\.txt"):
        handtyped.check(text, ALLOWED, GIVEN, "paper.md")


@pytest.mark.parametrize(
    "text",
    [
        "A ResNet-50 with 95 % intervals on five tasks, p < 0.05.", "one of two", "{{ mean('fig2', digits=3) }}",
        "[its page](https://example.org/2025/12)", "doi:10.1016/j.cmpb.2025.108634 says", "1. First\n2. Second",
        "{{ table('fig2', {'p_1': 'p'}) }}", "A ResNet-50, of course", "a sentence of none", "{# 0.84 #}",
        "ResNet-50\nand 95\n% of it",
    ],
)  # fmt: skip
def test_names_links_and_placeholders_are_none(text):
    assert not found(text)


@given(
    st.floats(0.001, 1000).map("{:.3f}".format), st.sampled_from(["of {} there", "({})", "{} %", "x={}", "about {}."])
)
def test_any_decimal_is_found(number, sentence):
    assert number in ALLOWED or found(sentence.format(number))


def test_the_line_is_told():
    with pytest.raises(handtyped.HandTypedError, match=r"paper\.md:3: .*17"):
        handtyped.check("# Title\n\nof 17 runs\n", ALLOWED, GIVEN, "paper.md")


def test_a_broken_placeholder_is_told():
    with pytest.raises(handtyped.HandTypedError, match="placeholder"):
        handtyped.check("{{ mean( }}", ALLOWED, GIVEN, "paper.md")


def test_every_allowed_phrase_has_a_reason_and_is_used():
    folder = paths.REPO / "paper" / "manuscript"
    text = " ".join((folder / "paper.md").read_text(encoding="utf-8").split())
    lines = (folder / "allowed.txt").read_text(encoding="utf-8").splitlines()[1:]
    assert all(line.partition("  #")[2].strip() for line in lines)
    assert [line for line in lines if line.partition("  #")[0].strip() not in text] == []
