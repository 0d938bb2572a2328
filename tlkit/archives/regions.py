"""The body region of a CT series by more than BodyPartExamined: for archives of many sites, where it often is empty.

First RadNet's own rule (`dicom.body_part`), then tags that name an organ it does not have, then the series' description
and the study's. An archive whose tags are filled in needs none of this.
"""

from __future__ import annotations

import re
from functools import lru_cache

from tlkit.archives import dicom
from tlkit.archives.bodyparts import fold

REGIONS = ("head/neck", "thorax", "abdomen", "extremities", "pelvis/hip", "spine", "other")  # as `dicom.KEYWORDS`
OTHER = len(REGIONS) - 1
ORGANS: dict[str, str] = {  # of BodyPartExamined, behind RadNet's words: expressions
    "head/neck": r"thyr(e)?oid|laryn|pharyn|tongue|parotid",
    "thorax": r"esopha|bronch|pulmo|pleura|trachea",
    "abdomen": r"adrenal|renal|hepat|gallb|gastr|duoden|append|periton|bowel",
    "extremities": r"femoral|forearm|thigh|calf",
    "pelvis/hip": r"bladder|prostat|uter|ovar|rect|cervix|vagin|testi",
}
# Of descriptions, in this order: capitals, accents and all signs but letters are taken off before.
DESCRIBED: tuple[tuple[str, str], ...] = (
    (
        "other",
        r"\b(whole ?body|wb|ctac|ac ct|attenuation|skull base|skull to|eyes? to|vertex to|phantom)\b|ganzkoerper",
    ),
    ("spine", r"\b([ctl] ?spines?|spine|spinal|lumbar|sacrum)\b|wirbels"),
    ("thorax", r"\b(ches?t|chst|thorax|thoracic|lungs?|pulm\w*|cardiac|heart|coronar\w*|breast|cap|c a p|ch ab\w*)\b"),
    ("abdomen", r"\b(abd\w*|liver|hepat\w*|kidneys?|renal|urogra\w*|pancrea\w*|colon\w*|colo|adrenal\w*|spleen|a p)\b"),
    ("pelvis/hip", r"\b(pel|pelv\w*|hips?|bladder|prostate|rectum|becken)\b"),
    ("head/neck", r"\b(head|brain|neck|skull|face|facial|maxillofacial|orbits?|sinus(es)?|larynx|carotids?)\b"),
    ("extremities", r"\b(extrem\w*|arms?|legs?|knees?|foot|feet|hands?|wrist|elbow|shoulders?|femur|ankle|thigh)\b"),
)


@lru_cache(maxsize=65536)  # an archive has few of them, millions of times
def region(tag: str, series: str = "", study: str = "") -> int:
    """Return the class (index of REGIONS) by BodyPartExamined, SeriesDescription and StudyDescription.

    The first that says a region decides; OTHER where none does, or the whole body is meant.
    """
    found = dicom.body_part(tag)
    if found == OTHER:
        found = _first(ORGANS.items(), fold(tag))
    for text in (series, study):
        if found == OTHER:
            found = _first(DESCRIBED, letters(text))
    return found


def letters(text: str) -> str:
    """Return a description in small letters, without accents, with one space for all that stands between letters."""
    return re.sub(r"[^a-z]+", " ", text.lower() if text.isascii() else fold(text)).strip()


def _first(table, text: str) -> int:
    return next((REGIONS.index(name) for name, words in table if re.search(words, text)), OTHER)
