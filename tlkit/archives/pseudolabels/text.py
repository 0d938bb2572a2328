"""Reports as vectors: words and parts of words, weighted by how rare they are, in few dimensions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tlkit.config import ConfigError

MOST_TERMS = 20_000  # of each kind


def embed(reports: Sequence[str], size: int = 64, seed: int = 0) -> np.ndarray:
    """Return float32 [N, size or less], a vector of length 1 for each report and zeros for an empty one.

    TF-IDF of words and pairs of words and of 3 to 5 letters in a row, accents removed, then a truncated SVD. Reports of
    one hospital are in several languages and full of abbreviations: parts of words ("thora" of Thorax, toraks) need
    neither a dictionary nor to know the language. The published text branch is not public (radiologynet2025 0.4).
    Random: the SVD, by `seed`. Raises ConfigError where no report has a word.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.pipeline import make_union
    from sklearn.preprocessing import normalize

    written = np.array([bool(text.strip()) for text in reports], dtype=bool)
    texts = [text for text, there in zip(reports, written, strict=True) if there]
    weigh = make_union(_tfidf("word", (1, 2)), _tfidf("char_wb", (3, 5)))
    try:
        terms = weigh.fit_transform(texts)
    except ValueError as error:  # an empty vocabulary
        raise ConfigError(
            f"no report has a word: {len(texts)} of {len(reports)} have any text at all. Leave the reports out with "
            "sources=('tags', 'images')."
        ) from error
    size = min(size, terms.shape[1] - 1, max(1, len(texts) - 1))
    vectors = np.zeros((len(reports), size), np.float32)
    with np.errstate(invalid="ignore"):  # one report alone has no variance to explain
        vectors[written] = normalize(TruncatedSVD(size, random_state=seed).fit_transform(terms))
    return vectors


def _tfidf(analyzer: str, ngrams: tuple[int, int]):
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        analyzer=analyzer, ngram_range=ngrams, strip_accents="unicode", sublinear_tf=True, max_features=MOST_TERMS
    )
