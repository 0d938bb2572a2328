"""What the open RadNet is and is not: its page, counted from the index."""

from __future__ import annotations

import pandas as pd

from tlkit.archives.regions import REGIONS
from tlkit.datasets.cards import DATASETS
from tlkit.sources import idc_rule

CARD = "open-radnet"
SHOWN = 12  # collections and makers of a table
RADNET = {"slices": 12_034_617, "series": 90_663}  # the paper, section 2.1.1
MAKERS = {
    "ge": "GE",
    "siemens": "Siemens",
    "philips": "Philips",
    "toshiba": "Toshiba or Canon",
    "canon": "Toshiba or Canon",
}


def page(tables: dict[str, pd.DataFrame], counts: pd.DataFrame, all_ct: pd.DataFrame, admitted: pd.DataFrame) -> str:
    """Return the page; `tables` has the lists of all sizes, `counts` the rows of lists.csv.

    `all_ct`: the CT series of the index; `admitted`: what the rule admits of them, whatever the size.
    """
    card = DATASETS[CARD]
    all_ct = all_ct[all_ct["licence"].isin(idc_rule.LICENCES) & (all_ct["files"] >= 30)]
    tables = {size: table.merge(all_ct[["series", "maker"]], on="series") for size, table in tables.items()}
    biggest = tables[list(tables)[-1]]
    parts = [
        HEAD.format(version=card.fetch["index"]),
        _sizes(counts),
        "## From the index to the lists\n\n" + _funnel(all_ct, admitted),
        "## Regions\n\nSlices (patients). The paper gives no counts of RadNet's seven classes.\n\n"
        + _regions(tables, admitted),
        f"## Collections\n\nThe {SHOWN} with most slices of the largest size; share of the slices of each size.\n\n"
        + _shares(tables, "collection"),
        "## Makers of the scanners\n\n" + _shares({s: t.assign(maker=_maker(t)) for s, t in tables.items()}, "maker"),
        "## Slices of a series\n\n" + _lengths(tables, admitted),
        TAIL.format(share=_nlst(biggest), raw=f"{_raw(all_ct):,}", untold=f"{(admitted['tag'] == '').mean():.0%}"),
    ]
    return "\n".join(parts)


def _sizes(counts: pd.DataFrame) -> str:
    own = counts[counts["card"] == CARD]
    rows = [
        [r.scale, f"{r.series:,}", f"{r.patients:,}", f"{r.files:,}", f"{r.bytes / 1e9:,.1f}", f"`{r.sha256[:16]}`"]
        for r in own.rename(columns={"size": "scale"}).itertuples()
    ]
    rows.append(["RadNet-12M (the paper)", f"{RADNET['series']:,}", "not given", f"{RADNET['slices']:,}", "", ""])
    return _table(["size", "series", "patients", "slices", "GB", "SHA-256 of the list"], rows)


def _funnel(all_ct: pd.DataFrame, admitted: pd.DataFrame) -> str:
    images = all_ct[all_ct["sop_class"] == "CT Image Storage"]
    persons = idc_rule._of_persons(images)
    steps = {
        "modality CT, 30 files or more, CC BY 3.0 or 4.0": all_ct,
        "CT images, not the raw projections or captures that have the same modality": images,
        "of persons: no animals, no phantoms": persons,
        "slices as reconstructed, grey, 1,000 at most, with HU (`without` of the card)": admitted,
    }
    rows = [
        [name, f"{len(t):,}", f"{t['files'].sum():,}", f"{t.groupby(idc_rule.PERSON, observed=True).ngroups:,}"]
        for name, t in steps.items()
    ]
    return _table(["what is left", "series", "slices", "patients"], rows)


def _regions(tables: dict[str, pd.DataFrame], admitted: pd.DataFrame) -> str:
    rows = []
    for name in REGIONS:
        cells = []
        for table in (*tables.values(), admitted):
            own = table[table["group"] == name]
            cells.append(f"{own['files'].sum():,} ({own.groupby(idc_rule.PERSON, observed=True).ngroups:,})")
        rows.append([name, *cells])
    return _table(["region", *tables, "all that the rule admits"], rows)


def _shares(tables: dict[str, pd.DataFrame], column: str) -> str:
    shares = {s: t.groupby(column, observed=True)["files"].sum() / t["files"].sum() for s, t in tables.items()}
    table = pd.DataFrame(shares).fillna(0.0)
    table = table.sort_values([table.columns[-1]], ascending=False, kind="stable").head(SHOWN)
    return _table([column, *tables], [[name, *(f"{v:.1%}" for v in row)] for name, *row in table.itertuples()])


def _lengths(tables: dict[str, pd.DataFrame], admitted: pd.DataFrame) -> str:
    rows = []
    for name, table in {**tables, "all that the rule admits": admitted}.items():
        low, mid, high = table["files"].quantile([0.25, 0.5, 0.75], interpolation="nearest")
        rows.append([name, f"{low:,}", f"{mid:,}", f"{high:,}"])
    mean = RADNET["slices"] / RADNET["series"]
    return _table(["size", "lower quarter", "median", "upper quarter"], rows) + f"\nRadNet has {mean:.0f} on average.\n"


def _maker(table: pd.DataFrame) -> pd.Series:
    texts = table["maker"].astype(str).str.casefold()
    found = pd.Series("others", table.index).mask(texts == "", "not said")
    for word, name in MAKERS.items():
        found = found.mask(texts.str.startswith(word), name)
    return found


def _nlst(table: pd.DataFrame) -> str:
    return f"{table.loc[table['collection'] == 'nlst', 'files'].sum() / table['files'].sum():.0%}"


def _raw(all_ct: pd.DataFrame) -> int:
    return int(all_ct.loc[all_ct["sop_class"] == "Raw Data Storage", "files"].sum())


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


HEAD = """# Open RadNet: what it is, and what it is not

Written by `python -m tlkit.sources.idc_lists` from the index of the NCI Imaging Data Commons, version {version}.
Nothing here is of RadNet itself, which its hospital keeps: this is a list of series that anyone may download, made by
a rule ([card](../datasets/cards/open-radnet.yaml), [code](idc_rule.py)) that gives the same list everywhere, and read
by the same layout with the same rules (30 slices, a quarter of the circle covered, no localizers).
"""
TAIL = """## What it is not

- **Not one hospital.** RadNet is all CT of one: what a radiology department sees. This is what was collected for trials
  and challenges, above all of cancer. No emergency care to speak of, next to no heads, few limbs.
- **Not screened the same way.** {share} of the largest size are lung screening at low dose (NLST). All else that the
  rule admits is in it. The smaller sizes cap each collection and each region, so their shares are ours alone.
- **Not labelled as well.** The label is the tag BodyPartExamined, as in RadNet; where it says nothing ({untold} of the
  series), the descriptions of series and study. Some collections put the organ of the tumour there (OVARY, LIVER), or
  one region for scans of the whole body (ABDOMEN in PET/CT): neighbouring regions run into each other.
- **Not in the count of 38 million slices** that the index gives for CT: {raw} of those are raw projections of
  `ldct_and_projection_data`, which no one can look at.
- **Slice thickness is not known before the download**: the table with it (`ct_index`) is not in the package of the
  index. After it, the archive's index has it for every slice.
- Patients are told apart within a collection. Two collections may show one person under two numbers; copies of an image
  are found when the store is built, and stay on one side of a split.
"""
