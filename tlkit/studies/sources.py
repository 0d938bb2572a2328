"""What the runs of a study read: its data sets and the published weights, by the hash of their content."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tlkit import paths, runs
from tlkit.config import lookup
from tlkit.datasets import DataCard, card_of, cards, identity
from tlkit.datasets.copies import DISTANCE
from tlkit.datasets.options import Dataset, find_changed
from tlkit.datasets.splits import COPIES
from tlkit.models import weight_cards, weight_list
from tlkit.models.weights import weights_hash

WITH_COPIES = {"copies": COPIES[0], "near": DISTANCE}  # of an image, where a study does not say what to do with them
CHOSEN = ("classes", "images", "fraction_by", "where", "groups", "balance")  # what an entry says of its data


class StudyData:
    """A study at one scale, and what decides the data of its runs."""

    def __init__(self, name: str, scale: str, spec: dict[str, Any]):
        self.name, self.scale, self.spec = name, scale, spec
        self.folder = paths.runs_root() / "studies" / name / scale
        said = {n: card for n, card in spec.get("datasets", {}).items() if isinstance(card, dict)}
        self.own = {n: cards.own_card(n, card) for n, card in said.items()}  # data sets that have no card elsewhere
        self._identities: dict[str, dict[str, Any]] = {}  # hashing a real data set once is enough
        self._planning = False  # a plan can be made without the data
        self.absent: set[str] = set()  # real data sets that a plan did without

    @property
    def phantom(self) -> bool:
        """Whether the data are phantoms."""
        return self.spec["data"] == "phantom"

    def phantom_parameters(self, dataset: str) -> dict[str, Any] | None:
        """Return the parameters that make this study's phantom of a data set; None where the data are real."""
        return dict(lookup(dataset, self.spec.get("phantoms", {}), "phantom of this study")) if self.phantom else None

    def data(self, entry: dict[str, Any], seed: int | None = None) -> dict[str, Any]:
        """Return what decides the data of a run: identity, image size, split, and how many classes and images.

        A split of seed "run" is redrawn by every downstream run, by its `seed`. Pretrainings share one, but those that
        are `redrawn`: they are done once for each seed.
        """
        dataset = entry["dataset"]
        chosen = {k: entry[k] for k in CHOSEN if entry.get(k) is not None}
        if "groups" in chosen:  # one grouping for all image sizes
            chosen["groups"] = {**chosen["groups"], "size": self.spec["size"]}
        chosen |= self.own_card(dataset)
        if options := find_changed(self.dataset(dataset), entry.get("options")):
            chosen["options"] = options
        if (most := self.max_unreadable(dataset)) is not None:
            chosen["max_unreadable"] = most
        if dataset not in self._identities:
            self._identities[dataset] = self._identity(dataset)
        split = self.split(entry)
        if split["seed"] == "run":
            split = {**split, "seed": self.spec.get("pretraining_seed", 42) if seed is None else seed}
        return {**self._identities[dataset], "size": entry.get("size", self.spec["size"]), "split": split, **chosen}

    def split(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Return how the images of an entry are split: as the entry says, else its data set, else the study."""
        own = self.spec.get("splits", {}).get(entry["dataset"], {}) | (entry.get("split") or {})
        return WITH_COPIES | self.spec["split"] | own

    def dataset(self, name: str) -> Dataset:
        """Return a data set for `datasets.prepare` and its kin: the card of one of the study's own, else the name."""
        return self.own.get(name, name)

    def own_card(self, dataset: str) -> dict[str, Any]:
        """Return what a `data` entry holds of a data set of the study's own, so that any process finds it, else {}."""
        return {"card": self.spec["datasets"][dataset]} if dataset in self.own else {}

    def card(self, entry: dict[str, Any]) -> DataCard:
        """Return the card of an entry's data set with the entry's options."""
        return card_of(self.dataset(entry["dataset"]), entry.get("options"))

    def task_card(self, task: str) -> DataCard:
        """Return the card of a task's data set with the task's options."""
        return self.card(self.spec["tasks"][task])

    def max_unreadable(self, dataset: str) -> float | None:
        """Return the share of a data set's files that may be damaged; None where the study does not say it."""
        most = self.spec.get("max_unreadable")
        return most.get(dataset) if isinstance(most, dict) else most

    def _identity(self, dataset: str) -> dict[str, Any]:
        try:
            return identity(self.dataset(dataset), self.phantom_parameters(dataset))
        except cards.MissingDataError:
            if not (self._planning or self._packed(dataset)):
                raise
            self.absent.add(dataset)
            return {"name": dataset, "content": self._packed(dataset)}

    def _packed(self, name: str) -> str | None:
        """Return the content of data that are not here as an unpacked pack tells it: its runs are named by it."""
        path = paths.packed_root() / f"{self.name}.json"
        return runs.read_json(path).get(name) if path.is_file() else None

    @contextmanager
    def without_data(self) -> Iterator[None]:
        """Let configs be made of real data that are not there; which they are is then in `absent`."""
        before, self._planning = self._planning, True
        try:
            yield
        finally:
            self._planning = before
            self._identities = {k: v for k, v in self._identities.items() if k not in self.absent}

    @staticmethod
    def has_data(config: dict[str, Any]) -> bool:
        """Tell whether the data and published weights of a config that `without_data` made are there."""
        used = [*runs.corpora(config), config.get("weights") or {}]
        return all(part.get(key, "") is not None for part in used for key in ("content", "sha256"))

    def checkpoint(self, source: str | dict[str, Any], backbone: str) -> dict[str, Any]:
        """Return the weights of a source (a key of WEIGHTS begins with it) for a backbone, or those of a file."""
        card = weight_list.find(source, backbone)
        which = source if isinstance(source, dict) else {"card": card.name}
        if card.name not in self._identities:
            try:
                self._identities[card.name] = {"sha256": weights_hash(weight_cards.where(card))}
            except weight_cards.MissingWeightsError:
                if not (self._planning or self._packed(card.name)):
                    raise
                self.absent.add(card.name)
                return {**which, "sha256": self._packed(card.name)}
        return {**which, **self._identities[card.name]}
