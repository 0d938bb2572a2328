"""Reports of one content lie close across languages; empty ones are zero."""

from __future__ import annotations

import numpy as np
import pytest

from tlkit.archives.pseudolabels import text
from tlkit.config import ConfigError

PARTS = {"chest": ("Thorax", "thoracic", "toraksa"), "knee": ("Kniegelenk", "knee", "knija")}
FILL = (
    ("ohne Befund", "kein Erguss", "unauffaellig"),
    ("no effusion", "normal", "unchanged"),
    ("uredan", "bez promjena"),
)


def reports(n: int = 60, seed: int = 0) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return (texts, parts 0 or 1, languages 0 to 2) of short reports in three languages."""
    rng = np.random.default_rng(seed)
    part, language = np.arange(n) % 2, np.arange(n) // 2 % 3
    words = [(list(PARTS.values())[p][k], *rng.permutation(FILL[k])) for p, k in zip(part, language, strict=True)]
    return [f"{where}: {', '.join(rest)}" for where, *rest in words], part, language


def test_one_vector_of_length_one_a_report_and_zeros_for_none():
    vectors = text.embed(["Thorax", "Thorax, Knie", "", "  \n", "Knie", "Kopf"], size=3)
    assert vectors.shape == (6, 3) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 0, 0, 1, 1], abs=1e-5)


def test_parts_of_words_bring_languages_together():
    texts, part, language = reports()
    vectors = text.embed(texts, size=8)
    alike, other = vectors @ vectors.T, language[:, None] != language[None]
    same = part[:, None] == part[None]
    # Seen across languages alone: no word is shared, only parts of the words for the place.
    assert alike[other & same].mean() > 3 * abs(alike[other & ~same].mean())


def test_accents_do_not_tell_reports_apart():
    a, b, _ = text.embed(["Schädel", "Schadel", "Knie"], size=2)
    assert a == pytest.approx(b, abs=1e-5)


def test_the_seed_decides():
    texts, *_ = reports()
    assert (text.embed(texts, 4, seed=1) == text.embed(texts, 4, seed=1)).all()


def test_few_reports_give_few_dimensions():
    assert text.embed(["Thorax", "Knie"], size=64).shape == (2, 1)
    assert text.embed(["Thorax", ""], size=64).shape == (2, 1)


@pytest.mark.parametrize("reports", [[""], ["", " "], ["?", "..."]])
def test_no_text_at_all_says_how_to_go_on(reports):
    with pytest.raises(ConfigError, match=r"no report has a word.*sources"):
        text.embed(reports)
