"""What one GPU makes of `fit`, against loops that one would write by hand: `python -m benchmarks.gpu [--tiny] [FILE]`.

At most eight minutes; needs torch, timm, numpy, pandas, pyarrow and opencv of tlkit's packages. Each part is one
function; one that fails or has no time left costs only its rows. All is computed as in a run: one thread, cuDNN with
algorithms that add up in one order. A bare loop trains the same model by the same optimiser in the same precision on
one batch that lies on the device already. FILE gets the rows as JSON after each part. `--tiny`: small sizes, to try
the script on a CPU.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from benchmarks import as_rows
from benchmarks.__main__ import table
from tlkit.datasets.store import Store
from tlkit.models import backbone, initial_weights
from tlkit.models.backbones import checkpoint_activations
from tlkit.models.unet import segmenter
from tlkit.training.compute import limit_threads
from tlkit.training.feed import feed_parts
from tlkit.training.loop import fit
from tlkit.training.optim import build_optimizer
from tlkit.training.processes import autocast, pick_device
from tlkit.training.recipes import recipe
from tlkit.training.simclr import Contrastive, SimCLRModel
from tlkit.training.supervised import Samples, Supervised
from tlkit.training.tasks import task

BUDGET = 450  # seconds; a part that needs more than is left of them is not begun
CLASSES = tuple("abcdefghij")


@dataclass(frozen=True)
class Sizes:
    """How large the networks and batches are."""

    resnet: str = "resnet50"
    vit: str = "vit_small_patch16_224"
    px: int = 224
    wide: int = 256  # the published size
    batch: int = 256
    large: int = 4096  # the published batch
    steps: int = 32  # of an epoch; the first of three epochs is not timed
    stored: int = 2048  # images; rows come again and again
    memory: tuple[int, ...] = (128, 256, 512)


TINY = Sizes(
    resnet="resnet10", vit="vit_tiny_patch16_224", px=32, wide=32, batch=8, large=32, steps=2, stored=16, memory=(8,)
)


class Bench:
    """The device, a folder for stores, and the sizes."""

    def __init__(self, sizes: Sizes, folder: Path):
        self.sizes, self.folder, self.device = sizes, folder, pick_device()
        self.gpu = self.device.type == "cuda"

    def store(self, px: int, images: int, channels: int = 3, masks: bool = False) -> Store:
        """Return a store on the disk, as `prepare` leaves one, of random pixels."""
        where = self.folder / f"{px}-{images}-{channels}-{masks}"
        if not where.exists():
            where.mkdir()
            random = np.random.default_rng(0)
            shape = (images, px, px, 3) if channels == 3 else (images, px, px)
            np.save(where / "images.npy", random.integers(0, 256, shape, dtype=np.uint8))
            if masks:
                np.save(where / "masks.npy", random.integers(0, 3, (images, px, px), dtype=np.uint8))
        rows = np.arange(images)
        names = pd.DataFrame({"id": rows.astype(str), "patient": (rows // 8).astype(str), "label": rows % len(CLASSES)})
        read = [np.load(where / f"{name}.npy", mmap_mode="r") for name in ("images", "masks")[: 1 + masks]]
        return Store(where, read[0], read[1] if masks else None, names, {})

    def simclr(self, px: int, batch: int, network: str = "", **changes) -> Contrastive:
        """Return the objective of a SimCLR pretraining as published, in one group of negatives."""
        said = {"epochs": 3, "batch": batch, "precision": "bfloat16" if self.gpu else "float32"} | changes
        with initial_weights(0):
            model = SimCLRModel(backbone(network or self.sizes.resnet), False)
        return Contrastive(model, [self.samples(px, batch)], recipe("simclr", **said), 0)

    def samples(self, px: int, batch: int, channels: int = 3, masks: bool = False) -> Samples:
        """Return the images of an epoch."""
        store = self.store(px, self.sizes.stored, channels, masks)
        return Samples(store, np.resize(np.arange(self.sizes.stored), batch * self.sizes.steps))

    def labelled(self, kind: str, px: int, batch: int, network: str, **changes) -> Supervised:
        """Return the objective of a fine-tuning on grey images."""
        masks = kind == "segmentation"
        said = {"epochs": 3, "batch": batch, "precision": "bfloat16" if self.gpu else "float32"} | changes
        job = task(kind, ("background", "organ", "lesion") if masks else CLASSES)
        with initial_weights(0):
            net = backbone(network)
            model = segmenter(net, 3, seed=0) if masks else job.model(net)
        how = recipe("segment" if masks else "finetune", **said)
        return Supervised(model, job, self.samples(px, batch, 1, masks), None, how, 0)

    def fitted(self, goal: Contrastive | Supervised, images: int | None = None) -> float:
        """Return the images a second of `fit`, from the store: the median epoch of those after the first."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            found = fit(goal, goal.recipe, seed=0, folder=Path(folder), per_epoch=images, device=self.device)
        history = found.history
        return float(history["images_per_second"].iloc[1:].median())

    def looped(self, goal: Contrastive | Supervised, loss: Callable[[nn.Module, tuple], torch.Tensor], count: int = 0):
        """Return the images a second of a bare loop of forward, backward and optimiser on one batch."""
        how = goal.recipe
        model = goal.model.to(self.device, memory_format=torch.channels_last).train()
        optimizer = build_optimizer(model, how.optimizer, lr=how.lr, weight_decay=how.weight_decay, exclude=how.exclude)
        batch = tuple(t if t is None else t.to(self.device) for t in goal.fetch(np.arange(how.batch)))

        def step() -> None:
            with autocast(how.precision, self.device):
                value = loss(model, batch)
            value.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        return how.batch / self.clock(step, count or self.sizes.steps)

    def clock(self, step: Callable[[], object], count: int) -> float:
        """Return the seconds of a step: `count` of them in one go, after three more."""
        for _ in range(3):
            step()
        self.wait()
        start = time.perf_counter()
        for _ in range(count):
            step()
        self.wait()
        return (time.perf_counter() - start) / count

    def whole(self) -> float:
        """Return the memory of the card in GiB."""
        return torch.cuda.get_device_properties(0).total_memory / 2**30

    def wait(self) -> None:
        if self.gpu:
            torch.cuda.synchronize()


def simclr_steps(bench: Bench, px: int, network: str, name: str, batch: int) -> list[dict]:
    """Rows of SimCLR: `fit` against loops that augment and that do not, and the share of the augmentation."""
    goal = bench.simclr(px, batch, network)
    at = np.arange(batch)
    ready = goal.views(tuple(t.to(bench.device) for t in goal.fetch(at)), at, 0)
    without = bench.looped(goal, lambda model, _: goal.loss(model, ready))
    alike = bench.looped(goal, lambda model, images: goal.loss(model, goal.views(images, at, 0)))
    ours = bench.fitted(bench.simclr(px, batch, network))
    what = f"SimCLR, {name}, {px} px, batch {batch}"
    step = 1e3 * batch / alike
    return [
        *as_rows((f"{what}: bare loop that augments", "images/s", ours, alike, ">= 0.98")),
        *as_rows((f"{what}: bare loop on ready views", "images/s", ours, without, "")),
        *as_rows((f"{what}: views, of a step", "ms", step - 1e3 * batch / without, step, "<= 0.1")),
    ]


def resnet(bench: Bench) -> list[dict]:
    s = bench.sizes
    return simclr_steps(bench, s.px, s.resnet, "ResNet-50", s.batch)


def resnet_wide(bench: Bench) -> list[dict]:
    s = bench.sizes
    rows = simclr_steps(bench, s.wide, s.resnet, "ResNet-50", s.batch)
    rate = rows[0]["ours"]
    return [
        *rows,
        *as_rows((f"SimCLR, ResNet-50, {s.wide} px: images/s against the goal", "images/s", rate, 1000, ">= 1.0")),
    ]


def vit(bench: Bench) -> list[dict]:
    s = bench.sizes
    return simclr_steps(bench, 224, s.vit, "ViT-S/16", s.batch)


def labelled_steps(bench: Bench, kind: str, px: int, network: str, batch: int, what: str, limit: str) -> list[dict]:
    """Rows of a fine-tuning: `fit` against a loop that augments and one that does not."""
    goal = bench.labelled(kind, px, batch, network)
    at = np.arange(batch)
    ready = goal.views(tuple(t.to(bench.device) for t in goal.fetch(at)), at, 0)
    without = bench.looped(goal, lambda model, _: goal.loss(model, ready))
    alike = bench.looped(goal, lambda model, batch: goal.loss(model, goal.views(batch, at, 0)))
    ours = bench.fitted(bench.labelled(kind, px, batch, network, epochs=6))
    what = f"{what}, {px} px, batch {batch}"
    return [
        *as_rows((f"{what}: bare loop that augments", "images/s", ours, alike, ">= 0.98")),
        *as_rows((f"{what}: bare loop on ready images", "images/s", ours, without, limit)),
    ]


def unet(bench: Bench) -> list[dict]:
    s = bench.sizes
    return labelled_steps(bench, "segmentation", s.wide, s.resnet, s.batch // 4, "U-Net of a ResNet-50", "")


def small(bench: Bench) -> list[dict]:
    s = bench.sizes
    px = min(64, s.px * 2)
    return labelled_steps(bench, "multiclass", px, "resnet10", min(64, s.batch), "small network (resnet10)", ">= 0.8")


def settings(bench: Bench) -> list[dict]:
    """Rows of the bare network, forward and backward, with one setting changed; the first is what `fit` does."""
    s = bench.sizes
    x = torch.rand(s.batch, 3, s.px, s.px, device=bench.device)

    def rate(precision: str = "bfloat16", layout: torch.memory_format = torch.channels_last, compiled: bool = False):
        model = backbone(s.resnet, seed=0).to(bench.device, memory_format=layout).train()
        run, images = torch.compile(model) if compiled else model, x.contiguous(memory_format=layout)

        def step() -> None:
            with autocast(precision, bench.device):
                loss = run(images).float().square().mean()
            loss.backward()
            model.zero_grad(set_to_none=True)

        return s.batch / bench.clock(step, s.steps)

    ours, cudnn = rate(), torch.backends.cudnn
    found = {"float32": rate("float32"), "contiguous": rate(layout=torch.contiguous_format)}
    in_order = cudnn.deterministic
    cudnn.deterministic = False
    found["sums in any order"] = rate()
    cudnn.benchmark = True
    found["cudnn.benchmark"] = rate()
    cudnn.benchmark, cudnn.deterministic = False, in_order
    if bench.gpu:
        found["torch.compile"] = rate(compiled=True)
    what = f"ResNet-50, {s.px} px, forward and backward, as in `fit` against"
    return [row for name, other in found.items() for row in as_rows((f"{what} {name}", "images/s", ours, other, ""))]


def waits(bench: Bench) -> list[dict]:
    """One row for each line of a SimCLR step and of a fine-tuning step that waits for the GPU; none is wanted."""
    if not bench.gpu:
        return []
    found: Counter[str] = Counter()
    goals = (bench.simclr(64, 32, "resnet10"), bench.labelled("segmentation", 64, 16, "resnet10"),
             bench.labelled("multiclass", 64, 32, "resnet10", normalise="imagenet"))  # fmt: skip
    for goal in goals:
        at = np.arange(goal.recipe.batch)
        model = goal.model.to(bench.device, memory_format=torch.channels_last).train()
        batch = tuple(t if t is None else t.to(bench.device) for t in goal.fetch(at))
        for turn in (False, True):  # the first fills what is kept
            torch.cuda.set_sync_debug_mode("warn" if turn else "default")
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                with autocast(goal.recipe.precision, bench.device):
                    loss = goal.loss(model, goal.views(batch, at, 0))
                loss.backward()
            torch.cuda.set_sync_debug_mode("default")
            found.update(f"{Path(w.filename).name}:{w.lineno}" for w in told if "synchroniz" in str(w.message))
    lines = ", ".join(f"{line} ({n})" for line, n in found.items())
    return [{"name": f"waits for the GPU in three steps {lines}", "unit": "", "ours": sum(found.values()),
             "other": None, "ratio": None, "limit": ""}]  # fmt: skip


def memory(bench: Bench) -> list[dict]:
    """Rows of the peak memory of a SimCLR step at the published size."""
    rows = []
    for batch in bench.sizes.memory if bench.gpu else ():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        goal = bench.simclr(bench.sizes.wide, batch)
        try:
            bench.looped(goal, lambda model, b, goal=goal: goal.loss(model, goal.views(b, np.arange(len(b[0])), 0)), 2)
            peak = torch.cuda.max_memory_allocated() / 2**30
        except torch.OutOfMemoryError:
            peak = float("nan")
        rows += as_rows(
            (f"peak memory, SimCLR, ResNet-50, {bench.sizes.wide} px, batch {batch}", "GiB", peak, bench.whole(), "")
        )
    return rows


def reading(bench: Bench) -> list[dict]:
    """One row: how fast batches come from the store (pages in memory) to the device, against what SimCLR takes."""
    s = bench.sizes
    goal = bench.simclr(s.px, s.batch)
    order = np.random.default_rng(0).permutation(s.batch * s.steps).reshape(s.steps, s.batch)

    def epoch() -> None:
        for _ in feed_parts(goal.fetch, order, bench.device):
            pass

    epoch()
    bench.wait()
    start = time.perf_counter()
    epoch()
    bench.wait()
    rate = order.size / (time.perf_counter() - start)
    at = np.arange(s.batch)
    eaten = bench.looped(goal, lambda model, images: goal.loss(model, goal.views(images, at, 0)), 4)
    return as_rows(
        (f"store to device, colour, {s.px} px: against what SimCLR takes", "images/s", rate, eaten, ">= 2.0")
    )


def large_batches(bench: Bench) -> list[dict]:
    """Rows of the published batch on one GPU: images a second against batches of one group, and peak memory."""
    s = bench.sizes
    alone = bench.fitted(bench.simclr(s.wide, s.batch, epochs=2))
    rows = []
    for name, changes in {
        "negatives of a group": {"negatives": s.batch},
        "negatives of the batch": {},
        "negatives of the batch, checkpointing": {"checkpointing": True},
    }.items():
        goal = bench.simclr(s.wide, s.large, epochs=2, group=s.batch, **changes)
        if goal.recipe.checkpointing:
            checkpoint_activations(goal.model.encoder)
        if bench.gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        rate = bench.fitted(goal, 2 * s.large)
        what = f"SimCLR, ResNet-50, {s.wide} px, batch {s.large} by groups of {s.batch}, {name}"
        rows += as_rows((f"{what}, against batch {s.batch}", "images/s", rate, alone, ""))
        if bench.gpu:
            peak = torch.cuda.max_memory_allocated() / 2**30
            rows += as_rows((f"{what}: peak memory of the card", "GiB", peak, bench.whole(), ""))
    return rows


class Stop(Exception):
    """Ends a fit where a killed process would."""


def bits(bench: Bench) -> list[dict]:
    """Rows of the largest difference of a weight: the same seed twice, and resumed after two of four epochs."""

    def weights(stop: int = 0) -> torch.Tensor:
        with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
            for end in ([stop] if stop else []) + [0]:
                goal = bench.labelled("multiclass", 32, 32, "resnet10", epochs=4, select="last")
                views = goal.views

                def stopped(batch: tuple, at: np.ndarray, epoch: int, keys: np.ndarray, end=end, views=views):
                    if end and epoch == end:
                        raise Stop
                    return views(batch, at, epoch, keys)

                goal.views = stopped
                try:
                    fit(goal, goal.recipe, seed=0, folder=Path(folder), device=bench.device)
                except Stop:
                    continue
        return torch.cat([p.detach().float().flatten().cpu() for p in goal.model.parameters()])

    first, again, resumed = weights(), weights(), weights(stop=2)
    found = {"the same seed twice": again, "resumed after 2 of 4 epochs": resumed}
    return [
        {"name": f"largest difference of a weight, {name}", "unit": "", "ours": float((first - other).abs().max()),
         "other": None, "ratio": None, "limit": ""}
        for name, other in found.items()
    ]  # fmt: skip


PARTS: dict[Callable[[Bench], list[dict]], int] = {  # seconds that each is given
    waits: 15, small: 10, resnet: 35, resnet_wide: 40, unet: 30, vit: 30, reading: 10, memory: 30, bits: 10,
    large_batches: 60, settings: 90,
}  # fmt: skip


@contextmanager
def bench_of(tiny: bool) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory() as folder, limit_threads(1):
        yield Bench(TINY if tiny else Sizes(), Path(folder))


def run(tiny: bool = False, file: Path | None = None, names: list[str] | None = None) -> list[dict]:
    """Return rows as all benchmarks do; a part that failed has one row that says why."""
    start, rows = time.perf_counter(), []
    with bench_of(tiny) as bench:
        for part, seconds in PARTS.items():
            if names and part.__name__ not in names:
                continue
            if time.perf_counter() - start + seconds > BUDGET:
                rows.append(_told(part.__name__, "no time left"))
                continue
            began = time.perf_counter()
            try:
                rows += part(bench)
            except Exception as error:  # one part must not cost the others
                rows.append(_told(part.__name__, f"{type(error).__name__}: {error}"[:200]))
            if bench.gpu:
                torch.cuda.empty_cache()
            print(f"{part.__name__}: {time.perf_counter() - began:.0f} s", flush=True)
            if file:
                file.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return rows


def _told(name: str, why: str) -> dict:
    return {"name": name, "unit": "", "ours": float("nan"), "other": None, "ratio": None, "limit": "", "note": why}


def card() -> str:
    """Return the facts that the numbers depend on, as one line."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{name}, torch {torch.__version__}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, help="write the rows here, as JSON")
    parser.add_argument("--tiny", action="store_true", help="small sizes, for a try on a CPU")
    parser.add_argument("--only", nargs="+", choices=[part.__name__ for part in PARTS], help="these parts alone")
    said = parser.parse_args()
    print(table(run(said.tiny, said.file, said.only)).to_string(index=False))
    print(f"\n{card()}")


if __name__ == "__main__":
    main()
