"""Which series of the Imaging Data Commons a data set has: the rule in `fetch` of its card, applied to the index.

    index: 25.0.5                  the version of the index that the rule is stated for
    collections: [..]              by default all of persons: no animals, no phantoms
    series:                        kinds of series; of a study with all of them (`together`), or each for itself
      NAME: {modality: CT, sop_class: CT Image Storage, analysis: ID, described: REGEX, files: [30, 1000]}
    without: {described: REGEX, collections: {ID: reason}, makers: {REGEX: reason}}
    group: region | modality       what a size counts by
    sizes:
      NAME: {each: 8, at_most: 200, beside: 2}     so many series a group, the smallest first, one a patient
      NAME: {slices: N, collection: SHARE, region: SHARE, named: true}     so many slices, drawn by a hash
      NAME: {patients: N}                          so many patients, the smallest first, each with one study
      NAME: {}                                     all

Only CC BY 3.0 and 4.0, whatever a card says. No draw hangs on a generator, a processor or an order of rows.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pandas as pd

from tlkit.archives import regions
from tlkit.datasets.cards import DataCard
from tlkit.sources import SourceError, idc_index, parameters, size_of, sizes

LICENCES = ("CC BY 3.0", "CC BY 4.0")
KEYS = ("index", "collections", "series", "together", "without", "group")
GREY = ("MONOCHROME1", "MONOCHROME2", "")  # "": of what is no image
PERSON = ["collection", "patient"]
LIST = ["series", "collection", "patient", "group", "files", "bytes", "bucket", "uuid", "licence", "doi"]


def choose(card: DataCard, size: str) -> pd.DataFrame:
    """Return the series of a size by the rule of a card, columns LIST, sorted by `series`.

    Raises SourceError where the index is not installed or of another version than the rule is stated for.
    """
    check_version(card)
    table, names, found = candidates(card, size), sizes(card), None
    for name in names[: names.index(size) + 1]:  # larger draws hold the smaller ones
        said = parameters(card, name) or {}
        if name == size or ("slices" in said and size_of(card, name) == name):
            found = _pick(table, said, found)
    return found[LIST].sort_values("series", ignore_index=True)


def check_version(card: DataCard) -> None:
    """Raise SourceError where the index is another one than the rule is stated for: its lists would differ."""
    stated, found = str(card.fetch["index"]), idc_index.find_installed()
    idc_index.folder()
    if found != stated:
        raise SourceError(
            f"the rule of '{card.name}' is stated for version {stated} of the index, and {found or 'none'} is "
            f"installed: another one gives other lists. pip install {idc_index.PACKAGE}=={stated}"
        )


def candidates(card: DataCard, size: str = "") -> pd.DataFrame:
    """Return every series that the rule of a card admits, whatever the size, with `group`; sorted by `series`."""
    said = card.fetch
    kinds = (parameters(card, size) or {}).get("series", said["series"]) if size else said["series"]
    table = idc_index.read_series(tuple({k["modality"] for k in kinds.values()}), tuple(said.get("collections", ())))
    table = table[table["licence"].isin(LICENCES) & table["photometric"].isin(GREY)]
    table = _of_persons(table) if not said.get("collections") else table
    table = _without(table, said.get("without", {}))
    table = table.assign(kind="")
    for name, kind in kinds.items():
        table.loc[_is(table, kind) & (table["kind"] == ""), "kind"] = name
    table = table[table["kind"] != ""]
    if said.get("together"):
        table = table[table.groupby("study")["kind"].transform("nunique") == len(kinds)]
    table = table.assign(group=_group(table, said.get("group", "collection"))).reset_index(drop=True)
    return table.astype({"licence": str, "doi": str, "bucket": str, "collection": str})


def _of_persons(table: pd.DataFrame) -> pd.DataFrame:
    shown = idc_index.read_collections()
    odd = pd.concat(
        [shown[c].str.casefold().str.contains("phantom") for c in ("cancer_types", "tumor_locations")], axis=1
    )
    kept = shown.index[~odd.any(axis=1) & (shown["species"].str.casefold() == "human")]
    return table[table["collection"].isin(kept)]


def _without(table: pd.DataFrame, said: dict[str, Any]) -> pd.DataFrame:
    table = table[~table["collection"].isin(list(said.get("collections", {})))]
    for pattern in said.get("makers", {}):
        makers = table["maker"].cat.categories
        table = table[~table["maker"].isin(makers[makers.str.contains(pattern, case=False, regex=True)])]
    if "described" in said:
        texts = pd.Series(table["described"].unique())
        pattern = re.compile(said["described"])
        odd = texts[[bool(pattern.search(regions.letters(text))) for text in texts]]
        table = table[~table["described"].isin(odd)]
    return table


def _is(table: pd.DataFrame, kind: dict[str, Any]) -> pd.Series:
    """Tell which series are of a kind; of images that somebody made of others (`analysis`) only those named."""
    low, high = kind.get("files", (1, float("inf")))
    found = (table["modality"] == kind["modality"]) & table["files"].between(low, high)
    found &= table["analysis"] == kind.get("analysis", "")
    if "sop_class" in kind:
        wanted = kind["sop_class"]
        found &= table["sop_class"].isin([wanted] if isinstance(wanted, str) else wanted)
    if "described" in kind:
        found &= table["described"].str.contains(kind["described"], case=False, regex=True)
    return found


def _group(table: pd.DataFrame, by: str) -> pd.Series:
    if by != "region":
        return table[by].astype(str)
    tags = {tag: regions.region(tag) for tag in table["tag"].cat.categories}
    found = table["tag"].astype(str).map(tags).astype("int64")
    rest = table[found == regions.OTHER]
    texts = zip(rest["tag"].astype(str), rest["described"], rest["study_described"], strict=True)
    found.update(pd.Series([regions.region(*t) for t in texts], rest.index, dtype="int64"))
    return found.map(dict(enumerate(regions.REGIONS)))


def _pick(table: pd.DataFrame, said: dict[str, Any], smaller: pd.DataFrame | None) -> pd.DataFrame:
    if said.get("named"):
        table = table[table["group"] != "other"]
    if "patients" in said:
        return _few_patients(table, said["patients"])
    if "each" in said:
        return _few_series(table, said["each"], said.get("at_most", float("inf")), said.get("beside", 1))
    if "slices" in said:
        return _many_slices(table, said, smaller)
    return table


def _few_patients(table: pd.DataFrame, patients: int) -> pd.DataFrame:
    """Return the smallest study of each of the patients whose smallest study is smallest."""
    studies = table.groupby([*PERSON, "study"], observed=True)["bytes"].sum().reset_index()
    studies = studies.sort_values(["bytes", "study"]).drop_duplicates(PERSON).head(patients)
    return table[table["study"].isin(studies["study"])]


def _few_series(table: pd.DataFrame, each: int, at_most: float, beside: int) -> pd.DataFrame:
    """Return the smallest series of each group, one a patient; over `beside` of a collection only where it must be."""
    table = table[table["files"] <= at_most].sort_values(["bytes", "series"]).drop_duplicates([*PERSON, "group"])
    turn = table.groupby(["group", "collection"], observed=True).cumcount() // beside
    table = table.assign(turn=turn).sort_values(["turn", "bytes", "series"])
    return table.groupby("group", observed=True).head(each)


def _many_slices(table: pd.DataFrame, said: dict[str, Any], smaller: pd.DataFrame | None) -> pd.DataFrame:
    """Return series of `slices` slices or a few less: those of the smaller size, then one a patient, then a second.

    First come all series of regions that have no more than an even share. A collection has at most `collection` of all
    slices, a region `region`; which series of a patient and which patients come first is decided by a hash of the UID.
    """
    table = table[table["files"] <= said.get("at_most", float("inf"))]
    table = table.assign(hash=[hashlib.sha256(uid.encode()).hexdigest()[:16] for uid in table["series"]])
    table = table.assign(later=~table["series"].isin(smaller["series"] if smaller is not None else []))
    table = table.sort_values(["later", "hash"])
    table = table.assign(turn=table.groupby(PERSON, observed=True).cumcount())
    supply = table.groupby("group")["files"].transform("sum")
    table = table.assign(often=supply > said["slices"] / table["group"].nunique())
    table = table.sort_values(["later", "often", "turn", "hash"])
    for column, share in (("collection", said["collection"]), ("group", said["region"])):
        table = table[table.groupby(column, observed=True)["files"].cumsum() <= share * said["slices"]]
    return table[table["files"].cumsum() <= said["slices"]]
