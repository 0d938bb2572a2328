"""BodyPartExamined as technicians leave it, repaired to one of a closed list of names.

Source: radiologynet2025 0.2: (1) synonyms of the tag; (2) where the tag is empty or vague, ordered expressions over
what the study, the protocol and the request are called, in English, German and Croatian; (3) two rules for plain
radiographs. The tag is typed by hand and may hold anything: whatever is not in the list becomes "".
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

DESCRIPTIONS = ("StudyDescription", "ProtocolName", "RequestedProcedureDescription")  # free text, in this order

# Name: the tag as it is written, and the words of a description; the first name that matches wins. Text is folded
# before (`fold`), so the expressions hold neither capitals nor accents: "kraljezn" is in "Kralježnica".
PARTS: dict[str, tuple[str, str]] = {
    "WHOLESPINE": (r"whole_?spine|total_?spine", r"whole spine|ganze wirbels|cijel\w* (kraljezn|kicm)"),
    "CSPINE": (r"c_?sp(i?ne|n)|hws|cervi", r"c[- ]?spine|cervical|\bhws\b|halswirbel|vratn\w* (kraljezn|kicm)"),
    "TSPINE": (r"t_?sp(i?ne|n)|bws|thoracic_?sp", r"t[- ]?spine|thoracic sp|\bbws\b|brustwirbel|torakaln\w* (kr|ki)"),
    "LSPINE": (r"l_?sp(i?ne|n)|lws|lumb", r"l[- ]?spine|lumb|\blws\b|lendenwirbel"),
    "SSPINE": (r"s_?sp(i?ne|n)|sacr|coccyx", r"sacr|sakr|kreuzbein|steissbein|krizn"),
    "SPINE": (r"spin|wirbel|kraljez|kicm", r"spine|wirbels|kraljezn|kicm"),
    "CLAVICLE": (r"clavic", r"clavic|schluesselbein|klavik|kljucn"),
    "SHOULDER": (r"should|schulter|rame", r"shoulder|schulter|\brame"),
    "ELBOW": (r"elbow|ell(en)?bogen|lakat", r"elbow|ell(en)?bogen|\blak(at|ta)"),
    "WRIST": (r"wrist|handgelenk|rucni", r"wrist|handgelenk|rucn\w* zglob"),
    "FINGER": (r"finger|thumb|daumen|prst", r"finger|thumb|daumen|prst\w* (ruke|sake)"),
    "HAND": (r"hand|saka", r"\bhand|\bsak[aeu]"),
    "ARM": (r"up_?ex[mt]|(fore|upper)?arm|humerus|ruka", r"humerus|\barms?\b|forearm|(unter|ober)arm|(pod|nad)laktic"),
    "HIP": (r"hips?(_|$)|hue?ft|kuk", r"\bhips?\b|\bhue?ft|\bkuk"),
    "KNEE": (r"knee|knie|koljen", r"knee|\bknie|\bkoljen"),
    "ANKLE": (r"ankle|sprungg|glez", r"ankle|sprunggelenk|glez(anj|n)"),
    "TOE": (r"toe|zehe", r"\btoes?\b|\bzehe|prst\w* (noge|stopala)"),
    "FOOT": (r"foot|fuss|calcaneus|stopal", r"\bfoot\b|\bfuss|stopal|calcaneus"),
    "LEG": (r"low_?ex[mt]|legs?(_|$)|bein|femur|tibia|noga", r"\blegs?\b|femur|tibia|(unter|ober)schenkel|koljenic"),
    "EXTREMITY": (r"extrem|ekstrem", r"extremit|ekstremit"),
    "BREAST": (r"breast|mamma", r"breast|mamma|dojk"),
    "URINARYTRACT": (r"kidney|liver|niere|urinary|urogra|bubreg", r"kidney|urogr|\bniere|bubreg|mokracn"),
    "STOMACH": (r"stomach|magen|o?e?sophag|zeludac", r"stomach|swallow|\bmagen|zelu(dac|c)|jednjak|sophag"),
    "COLON": (r"colon|kolon|dickdarm", r"colon|kolon|dickdarm|irigograf|crijev"),
    "CHEST": (r"th?ora|chest|heart|herz|lung|brust|prsn|cor(_|$)", r"th?ora|chest|lung|heart|herz|[ck]oron|pluc|prsn"),
    "ABDOMEN": (r"abdo|bauch|trbuh", r"abdom|\bbauch|trbuh|oberbauch"),
    "PELVIS": (r"pelvi|becken|zdjelic", r"pelvi|\bbecken|zdjelic"),
    "FACE": (r"face|gesicht|jaw|mandib|maxil|kiefer|orbit|sinus|nnh", r"sinus|\bnnh\b|orbit|mandib|gesicht|kiefer"),
    "SKULL": (r"skull|lubanj", r"skull|lubanj"),
    "HEAD": (r"head|kopf|brain|hirn|schae?del|glava|cereb", r"\bhead|brain|\bkopf|hirn|schae?del|\bglav|mozg|cereb"),
    "NECK": (r"neck|hals|vrat", r"\bneck|\bhals|\bvrat|caroti|karoti"),
    "WHOLEBODY": (r"whole_?body|ganzkoerper|cijelo", r"whole ?body|ganzkoerper|cijelo tijelo|pol[yi]trauma"),
}
LIMBS = ("SHOULDER", "ELBOW", "WRIST", "FINGER", "HAND", "ARM", "HIP", "KNEE", "ANKLE", "TOE", "FOOT", "LEG")
SPINES = ("WHOLESPINE", "CSPINE", "TSPINE", "LSPINE", "SSPINE")
VAGUE: dict[str, tuple[str, ...]] = {  # what a description may make of a tag that says too little
    "SPINE": SPINES,
    "WHOLESPINE": SPINES,
    "EXTREMITY": ("CLAVICLE", *LIMBS),
    "NECK": ("CSPINE",),
    "ABDOMEN": ("URINARYTRACT", "STOMACH", "COLON"),
}
RADIOGRAPHS = {"NECK": "CSPINE", "HEAD": "SKULL"}  # what is meant on a CR


def repair(head: dict[str, str]) -> str:
    """Return the body part that a header means, one of `PARTS`; "" where nothing in it says.

    `head` maps DICOM keywords to text: BodyPartExamined, Modality, and `DESCRIPTIONS`.
    """
    part = _of_tag(head.get("BodyPartExamined", ""))
    if not part or part in VAGUE:
        told = _of_text(" / ".join(head.get(name, "") for name in DESCRIPTIONS))
        part = told if not part or told in VAGUE[part] else part
    return RADIOGRAPHS.get(part, part) if head.get("Modality") == "CR" else part


def fold(text: str) -> str:
    """Return a text in lower case without accents: "Kralježnica đ ß" becomes "kraljeznica d ss"."""
    letters = unicodedata.normalize("NFKD", text.casefold().replace("đ", "d"))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


@lru_cache(maxsize=4096)  # an archive has few of them, millions of times
def _of_tag(text: str) -> str:
    text = re.sub(r"[^a-z]+", "_", fold(text)).strip("_")
    return next((part for part, (tag, _) in PARTS.items() if re.match(tag, text)), "")


@lru_cache(maxsize=4096)
def _of_text(text: str) -> str:
    text = fold(text)
    return next((part for part, (_, words) in PARTS.items() if re.search(words, text)), "")
