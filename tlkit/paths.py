"""Every folder the project reads or writes, named once."""

from __future__ import annotations

import os
from pathlib import Path

from tlkit.config import TlkitError

REPO = Path(__file__).resolve().parent.parent
NOTEBOOKS = Path(os.environ.get("TLKIT_NOTEBOOKS") or REPO / "notebooks").expanduser().resolve()
STUDIES = Path(os.environ.get("TLKIT_STUDIES") or REPO / "paper" / "studies").expanduser().resolve()
DATA = REPO / "data"  # of real data sets, where TLKIT_DATA is not set and `tlkit data get` made it
CLAIMS = REPO / "paper" / "claims"
DEVIATIONS = REPO / "paper" / "deviations"


class NoCheckoutError(TlkitError, RuntimeError):
    """tlkit was installed without its notebooks and studies."""


def require_checkout() -> None:
    """Raise NoCheckoutError where the package stands alone, as a wheel leaves it."""
    if not STUDIES.is_dir() or not NOTEBOOKS.is_dir():
        raise NoCheckoutError(
            f"tlkit works from a checkout of its repository, which holds its notebooks and studies; {REPO} has none. "
            "Clone the repository and type `make figures` there (or `pip install -e .`)."
        )


def data_root() -> Path | None:
    """Return the folder of real data sets: TLKIT_DATA; where that is not set, `data` in the repository if it is there.

    None without both, and where TLKIT_DATA is set to nothing.
    """
    value = os.environ.get("TLKIT_DATA")
    if value is None:
        return DATA if DATA.is_dir() else None
    return Path(value).expanduser().resolve() if value else None


def logs_root() -> Path | None:
    """Return the folder of published logs (environment variable TLKIT_LOGS), or None where it is not set."""
    value = os.environ.get("TLKIT_LOGS")
    return Path(value).expanduser().resolve() if value else None


def runs_root() -> Path:
    """Return the folder of all runs: TLKIT_RUNS, or `runs/` in the repository."""
    return Path(os.environ.get("TLKIT_RUNS") or REPO / "runs").expanduser().resolve()


def phantom_root() -> Path:
    """Return the folder of generated phantom data sets, each in its official layout."""
    return runs_root() / "data" / "phantoms"


def store_root() -> Path:
    """Return the folder of decoded stores."""
    return runs_root() / "data" / "stores"


def groups_root() -> Path:
    """Return the folder of pseudo-labels: the groups of archives."""
    return runs_root() / "data" / "groups"


def index_root() -> Path:
    """Return the folder of the indexes of DICOM archives."""
    return runs_root() / "data" / "index"


def private_root() -> Path:
    """Return the folder of what stays on this machine: the key of the pseudonyms."""
    return runs_root() / "private"


def packed_root() -> Path:
    """Return the folder with what unpacked packs say of data that are not here."""
    return runs_root() / "packed"


def ratings_root() -> Path:
    """Return the folder of the blinded ratings, one folder per session."""
    return runs_root() / "ratings"


def paper_root() -> Path:
    """Return the folder of generated figures and tables: TLKIT_PAPER, or `paper/` in the repository."""
    return Path(os.environ.get("TLKIT_PAPER") or REPO / "paper").expanduser().resolve()


def work_root() -> Path:
    """Return the folder of one's own copies of the notebooks, which git ignores."""
    return REPO / "work"
