"""What of a data set is left out of its store, and why: the rows of rejects.csv."""

from __future__ import annotations

import pandas as pd

from tlkit.config import TlkitError
from tlkit.datasets.cards import DataCard
from tlkit.datasets.layout import layout_of

COLUMNS = ["path", "reason", "kind"]


class StoreError(TlkitError):
    """A store that cannot be built; the message says why and what helps."""


class UnreadableShareError(StoreError):
    """More files than allowed could not be read, so the store would not be the data set."""


class Rejects(list):
    """The rows (path, reason, kind) of rejects.csv; raises as soon as too many files are unreadable."""

    def __init__(self, card: DataCard, files: int, most: float):
        super().__init__()
        self.card, self.files, self.most, self.unreadable = card, files, most, []

    def add(self, path: str, reason: str, kind: str) -> None:
        """Add a row. Raises UnreadableShareError once more than `most` of the files are unreadable."""
        self.append((path, reason, kind))
        if kind == "unreadable":
            self.unreadable.append((path, reason))
        if len(self.unreadable) > self.most * self.files:
            raise UnreadableShareError(
                f"{self.card.name}: {len(self.unreadable)} of {self.files} files cannot be read so far, and "
                f"{self.most:.1%} are allowed. Most frequent reasons, each with its first file:{self._counts()}\n"
                "Mend or remove such files, or allow more of them: `max_unreadable: 0.05` (a share) in the study file, "
                "max_unreadable=... in `prepare` and `build_store`."
            )

    def _counts(self, most: int = 5) -> str:
        table = pd.DataFrame(self.unreadable, columns=["path", "reason"])
        reasons = table.groupby("reason", sort=False)["path"].agg(["size", "first"])
        reasons = reasons.sort_values("size", ascending=False, kind="stable")
        lines = [f"\n  {n} x {first}: {reason}" for reason, n, first in reasons.head(most).itertuples()]
        if len(reasons) > most:
            lines.append(f"\n  and {len(reasons) - most} other reasons")
        if layout_of(self.card).read:  # an archive
            lines.append(
                f"\nThe files are named by pseudonyms. Where a file lies: tlkit.archives.archive.locate(root, "
                f"['{reasons['first'].iloc[0]}']), with the archive's folder as root."
            )
        return "".join(lines)

    def extend(self, table: pd.DataFrame) -> None:
        """Add the rows of a table with path, reason and kind. Raises as `add`."""
        for row in table[COLUMNS].itertuples(index=False):
            self.add(*row)
