"""Classes that the names of files say, such as cat_001.png: proposed with counts, never taken for granted."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from tlkit.advice import pictures
from tlkit.advice.choices import AmbiguousError, Choice, name_few
from tlkit.advice.seen import Seen
from tlkit.layouts.folders import split_above, word_of

PLACES = (1, 2, 3, 4, -1, -2, -3)
MOST_CLASSES, MOST_NUMBERS = 20, 5  # of words, of numbers: more are rather names
LEAST_IMAGES = 2  # of a class that is proposed


def proposals(images: list[str]) -> list[Choice]:
    """Return (flag, meaning with counts) for each place of a word in the files' names that may be the class."""
    found: dict[tuple, Choice] = {}
    for place in PLACES:
        words = pd.Series([word_of(f, place).casefold() for f in images])
        counts = words.value_counts()
        if "" in counts or not 2 <= len(counts) <= MOST_CLASSES or counts.min() < LEAST_IMAGES:
            continue
        if any(map(str.isdigit, counts.index)) and len(counts) > MOST_NUMBERS:
            continue
        told = name_few([f"{word} {n}" for word, n in sorted(counts.items())])
        where = f"word {place}" if place > 0 else f"word {-place} from the end"
        found.setdefault(tuple(words), (f"--label name:{place}", f"{where} of the files' names: {told}"))
    return list(found.values())


def find(seen: Seen, images: list[str]) -> dict[str, Any]:
    """Return the reading of the word that --label name:N asks for; raise AmbiguousError where it gives no classes."""
    said = seen.asked["label"].removeprefix("name:")
    place = int(said) if said.lstrip("-").isdigit() else 0
    if not place:
        raise AmbiguousError(f"--label name:{said}: expected the number of a word, such as name:1.", proposals(images))
    words = pd.Series([word_of(f, place) for f in images])
    names: dict[str, str] = {}
    for word in words[words != ""].value_counts().index:
        names.setdefault(word.casefold(), word)
    left = int((words == "").sum())
    if not 2 <= len(names) <= len(images) / LEAST_IMAGES:
        raise AmbiguousError(
            f"--label name:{place}: {len(images) - left} of {len(images)} files have such a word, and it says "
            f"{name_few(list(names.values())) or 'nothing'}: expected two classes or more, of some images each.",
            proposals(images),
        )
    looks, shown = pictures.options(seen.root, images)
    splits = {split_above(PurePosixPath(f)) for f in images}
    official = len(splits) > 1 and "" not in splits
    told = [f"word {place} of the files' names is the class: {len(names)} of them, {name_few(sorted(names.values()))}"]
    told += [f"{left} files without such a word are left out"] if left else []
    told.append(
        f"splits: by the folders of {', '.join(sorted(splits))}" if official else "splits: none, they are drawn"
    )
    options = {"word": place} | ({"split_folders": True} if official else {}) | looks
    found = {"layout": "class_folders", "task": "multiclass", "classes": sorted(names.values()), "options": options}
    return found | {"said": told + shown, "folders": 0}
