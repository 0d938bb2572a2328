"""What is written about phantom images: messy BodyPartExamined, study descriptions, and free-text reports.

In English, German and Croatian, mixed as in the archives of a border region. Findings are drawn for a body part and a
modality; they are not in the images.
"""

from __future__ import annotations

import numpy as np

LANGUAGES = ("en", "de", "hr")
USED = (0.15, 0.15, 0.7)  # share of each language in reports
# Body part: what technicians type into BodyPartExamined (often nothing, or something vague); its name in English,
# German and Croatian, as after the modality in a study's description; and which FINDINGS fit.
PARTS: dict[str, tuple[tuple[str, ...], tuple[str, str, str], str]] = {
    "head": (("HEAD", "HEAD", "BRAIN", "Glava", "KOPF", ""), ("brain", "Kopf", "mozga"), "head"),
    "neck": (("NECK", "NECK", "VRAT", ""), ("neck", "Hals", "vrata"), "neck"),
    "thorax": (("CHEST", "CHEST", "THORAX", "Thorax", "TORAKS", ""), ("chest", "Thorax", "toraksa"), "thorax"),
    "heart": (("HEART", "HEART", "CHEST", ""), ("coronary arteries", "Herzkranzgefäße", "koronarnih arterija"),
              "vessels"),
    "abdomen": (("ABDOMEN", "ABDOMEN", "ABDOM", "LIVER", ""), ("abdomen", "Abdomen", "abdomena"), "abdomen"),
    "stomach": (("ABDOMEN", "STOMACH", ""), ("stomach", "Magen", "želuca"), "gut"),
    "colon": (("ABDOMEN", "COLON", ""), ("colon", "Dickdarm", "debelog crijeva"), "gut"),
    "oesophagus": (("CHEST", "ESOPHAGUS", "NECK", ""), ("swallow, esophagus", "Ösophagus", "jednjaka"), "gut"),
    "pelvis": (("PELVIS", "PELVIS", "ZDJELICA", "BECKEN", ""), ("pelvis", "Becken", "zdjelice"), "pelvis"),
    "cspine": (("CSPINE", "C_SPNE", "SPINE", "NECK", ""), ("cervical spine", "HWS", "vratne kralježnice"), "spine"),
    "tspine": (("TSPINE", "T_SPNE", "SPINE", ""), ("thoracic spine", "BWS", "torakalne kralježnice"), "spine"),
    "lspine": (("LSPINE", "L_SPNE", "SPINE", "LWS", ""), ("lumbar spine", "LWS", "lumbalne kralježnice"), "spine"),
    "knee": (("KNEE", "KNEE", "EXTREMITY", "Koljeno", ""), ("knee", "Knie", "koljena"), "joint"),
    "leg": (("LEG", "LOW_EXM", "EXTREMITY", ""), ("femur and lower leg", "Oberschenkel", "natkoljenice"), "bone"),
    "foot": (("FOOT", "FOOT", "EXTREMITY", "FUSS", ""), ("foot", "Fuß", "stopala"), "bone"),
    "arm": (("ARM", "UP_EXM", "EXTREMITY", ""), ("forearm", "Unterarm", "podlaktice"), "bone"),
    "hand": (("HAND", "HAND", "EXTREMITY", "SAKA", ""), ("hand", "Hand", "šake"), "bone"),
}  # fmt: skip
METHODS: dict[str, tuple[str, str, str]] = {
    "MR": ("MRI", "MRT", "MR"), "CT": ("CT", "CT", "MSCT"), "CR": ("X-ray", "Röntgen", "RTG"),
    "XA": ("Angiography", "Angiographie", "Angiografija"), "RF": ("Fluoroscopy", "Durchleuchtung", "Dijaskopija"),
}  # fmt: skip
FINDINGS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "head": (
        ("No acute haemorrhage or infarct.", "Ventricles are of normal width.", "Small vessel disease of the white "
         "matter.", "Space-occupying lesion in the left frontal lobe with oedema."),
        ("Keine frische Blutung, kein Infarkt.", "Die inneren Liquorräume sind normal weit.", "Mikroangiopathie des "
         "Marklagers.", "Raumforderung links frontal mit Ödem."),
        ("Ne vidi se znakova svježeg krvarenja.", "Komorni sustav je primjerene širine.", "Mikroangiopatske promjene "
         "bijele tvari.", "Ekspanzivna tvorba lijevo frontalno s edemom mozga."),
    ),
    "neck": (
        ("No enlarged lymph nodes.", "Multinodular goitre."),
        ("Keine vergrößerten Lymphknoten.", "Struma multinodosa."),
        ("Bez povećanih limfnih čvorova vrata.", "Multinodozna struma štitnjače."),
    ),
    "thorax": (
        ("Lungs are clear.", "Pleural effusion on the right.", "Consolidation in the left lower lobe.", "Heart is "
         "enlarged.", "Nodule of 9 mm in the right upper lobe."),
        ("Lungen frei.", "Pleuraerguss rechts.", "Infiltrat im linken Unterlappen.", "Herz verbreitert.", "Rundherd "
         "von 9 mm im rechten Oberlappen."),
        ("Pluća su bez infiltrata.", "Pleuralni izljev desno.", "Konsolidacija lijevo bazalno.", "Srce je uvećano.",
         "Nodus od 9 mm u gornjem desnom plućnom režnju."),
    ),
    "vessels": (
        ("No significant stenosis.", "Stenosis of 70 % of the proximal segment.", "Occlusion with collaterals."),
        ("Keine relevante Stenose.", "Stenose von 70 % im proximalen Abschnitt.", "Verschluss mit Kollateralen."),
        ("Bez značajnih stenoza arterije.", "Stenoza od 70 % proksimalnog segmenta.", "Okluzija s kolateralama."),
    ),
    "abdomen": (
        ("Liver, spleen and kidneys are normal.", "Hypodense lesion of the liver.", "Gallstones.", "Free fluid."),
        ("Leber, Milz und Nieren unauffällig.", "Hypodense Läsion der Leber.", "Cholezystolithiasis.", "Aszites."),
        ("Jetra, slezena i bubrezi su uredni.", "Hipodenzna lezija jetre.", "Konkrementi žučnog mjehura.",
         "Slobodna tekućina u abdomenu."),
    ),
    "gut": (
        ("Free passage of the contrast medium.", "Small hiatal hernia.", "Diverticula.", "Delayed emptying."),
        ("Freie Passage des Kontrastmittels.", "Kleine Hiatushernie.", "Divertikel.", "Verzögerte Entleerung."),
        ("Uredna pasaža kontrastnog sredstva.", "Manja hijatalna hernija.", "Divertikli.", "Usporeno pražnjenje."),
    ),
    "pelvis": (
        ("No fracture of the pelvis.", "Arthrosis of both hips.", "Enlarged prostate."),
        ("Keine Fraktur des Beckens.", "Koxarthrose beidseits.", "Vergrößerte Prostata."),
        ("Bez znakova prijeloma zdjelice.", "Koksartroza obostrano.", "Uvećana prostata."),
    ),
    "spine": (
        ("Disc herniation at two levels.", "Degenerative changes of the vertebrae.", "Normal alignment."),
        ("Bandscheibenvorfall in zwei Höhen.", "Degenerative Veränderungen der Wirbelkörper.", "Regelrechte Stellung."),
        ("Hernija diska na dvije razine.", "Degenerativne promjene trupova kralježaka.", "Uredan položaj kralježaka."),
    ),
    "joint": (
        ("Tear of the medial meniscus.", "Joint effusion.", "Cruciate ligaments are intact.", "Gonarthrosis."),
        ("Riss des Innenmeniskus.", "Gelenkerguss.", "Kreuzbänder intakt.", "Gonarthrose."),
        ("Ruptura medijalnog meniska.", "Izljev u zglobu.", "Ukriženi ligamenti su očuvani.", "Gonartroza."),
    ),
    "bone": (
        ("No fracture.", "Oblique fracture without displacement.", "Osteopenia.", "Cast in place, callus forms."),
        ("Keine Fraktur.", "Schrägfraktur ohne Dislokation.", "Osteopenie.", "Gipsverband, Kallusbildung."),
        ("Bez znakova prijeloma kosti.", "Kosi prijelom bez pomaka ulomaka.", "Osteopenija.", "Stanje u gipsu, "
         "vidljiv kalus."),
    ),
}  # fmt: skip
OPENINGS = (
    ("{method} of the {part}:", "{method} {part}, clinical question answered below.", "{method}, {part}."),
    ("{method} {part}:", "Befund {method} {part}:", "{method} {part} vom heutigen Tag."),
    ("{method} {part}:", "Učinjen je pregled: {method} {part}.", "Nalaz: {method} {part}."),
)
CLOSINGS = (
    ("", "No prior images to compare.", "Follow-up in three months.", "Clinical correlation is advised."),
    ("", "Keine Voraufnahmen zum Vergleich.", "Kontrolle in drei Monaten.", "Klinische Korrelation empfohlen."),
    ("", "Prethodnih snimaka za usporedbu nema.", "Kontrola za tri mjeseca.", "Preporuča se klinička korelacija."),
)


def language(rng: np.random.Generator) -> int:
    """Draw a language: the index in `LANGUAGES`."""
    return int(rng.choice(len(LANGUAGES), p=USED))


def body_part(part: str, rng: np.random.Generator) -> str:
    """Draw what stands in BodyPartExamined."""
    return str(rng.choice(PARTS[part][0]))


def study(modality: str, part: str, tongue: int) -> str:
    """Return the description of a study: method and body part in one language."""
    return f"{METHODS[modality][tongue]} {PARTS[part][1][tongue]}"


def report(modality: str, part: str, tongue: int, rng: np.random.Generator) -> str:
    """Draw the report of an exam: opening, one to three findings that fit, and mostly a closing sentence."""
    group = "vessels" if modality == "XA" else PARTS[part][2]
    found = FINDINGS[group][tongue]
    chosen = rng.choice(len(found), min(int(rng.integers(1, 4)), len(found)), replace=False)
    opening = str(rng.choice(OPENINGS[tongue])).format(method=METHODS[modality][tongue], part=PARTS[part][1][tongue])
    sentences = [opening, *(found[k] for k in chosen), str(rng.choice(CLOSINGS[tongue]))]
    return " ".join(sentence for sentence in sentences if sentence)
