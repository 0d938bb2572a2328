from __future__ import annotations

import errno
import inspect
import logging
import os
import shutil
import signal
from collections import namedtuple

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tlkit import stopping
from tlkit.config import ConfigError
from tlkit.training import checkpoint, loop, resume, steps
from tlkit.training.loop import DivergedError, fit
from tlkit.training.optim import learning_rate
from tlkit.training.processes import autocast
from tlkit.training.recipe import Recipe
from tlkit.training.steps import batches, epoch_order

Usage = namedtuple("Usage", "total used free")
CPU = torch.device("cpu")
TIMES = ["seconds", "cpu_seconds", "images_per_second"]


class Toy:
    """A regression with all that a resume could lose: BatchNorm statistics, dropout, optimiser state, order."""

    monitor = "score"
    size = 20
    joint = False

    def __init__(self, seed: int = 0, scores: list[float] | None = None):
        g = torch.Generator().manual_seed(0)
        self.x, self.y = torch.randn(self.size, 6, generator=g), torch.randn(self.size, 1, generator=g)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))
        self.scores, self.seen, self.validated, self.stop_in = scores, [], [], None

    def fetch(self, positions):
        return self.x[positions], self.y[positions]

    def views(self, batch, positions, epoch, keys=None):
        if epoch == self.stop_in:
            raise KeyboardInterrupt
        self.seen.append((epoch, positions.copy()))
        return batch

    def loss(self, model, views):
        return (model(views[0]) - views[1]).square().mean()

    def validate(self):
        self.validated.append({k: v.clone() for k, v in self.model.state_dict().items()})
        with torch.no_grad():
            value = -float((self.model(self.x) - self.y).square().mean())
        return {"score": self.scores[len(self.validated) - 1] if self.scores else value}


def toy_recipe(**changes) -> Recipe:
    return Recipe(**{"epochs": 4, "batch": 6, "lr": 0.05, **changes})


def trained(folder, stop_in: int | None = None, seed: int = 0, scores=None, **changes) -> tuple[Toy, loop.Fit | None]:
    """Fit a fresh toy in `folder`; stopped in epoch `stop_in` where given."""
    folder.mkdir(exist_ok=True)
    toy = Toy(seed, scores)
    toy.stop_in = stop_in
    try:
        return toy, fit(toy, toy_recipe(**changes), seed=seed, folder=folder, device=CPU)
    except KeyboardInterrupt:
        return toy, None


def assert_same_bits(a: tuple[Toy, loop.Fit], b: tuple[Toy, loop.Fit]) -> None:
    (toy, fitted), (other, expected) = a, b
    pd.testing.assert_frame_equal(
        fitted.history.drop(columns=TIMES), expected.history.drop(columns=TIMES), check_exact=True
    )
    assert fitted.selected == expected.selected
    left, right = toy.model.state_dict(), other.model.state_dict()
    assert all(torch.equal(left[k], right[k]) for k in right)


@pytest.mark.usefixtures("every_epoch")
@pytest.mark.parametrize("stop_in", [0, 2, 3])
@pytest.mark.parametrize(
    "changes",
    [{}, {"optimizer": "sgd", "select": "last"}, {"optimizer": "lars", "lr": 1.0}, {"patience": 1, "epochs": 9}],
    ids=lambda c: ",".join(f"{k}={v}" for k, v in c.items()) or "adamw",
)
def test_interrupted_and_resumed_is_unbroken_to_the_bit(tmp_path, stop_in, changes):
    whole = trained(tmp_path / "whole", **changes)
    assert trained(tmp_path / "broken", stop_in=stop_in, **changes)[1] is None
    torch.manual_seed(99)
    _ = torch.rand(7)  # whatever the state of the global generator
    assert_same_bits(trained(tmp_path / "broken", **changes), whole)


@pytest.fixture
def every_epoch(monkeypatch):
    """Every epoch is kept, however little time the training takes."""
    monkeypatch.setattr(resume, "MOST", float("inf"))
    monkeypatch.setattr(resume, "FIRST", 0)


@pytest.mark.usefixtures("every_epoch")
@pytest.mark.parametrize("point", ["write_history", "save"])
def test_a_kill_between_two_files_repeats_one_epoch(tmp_path, monkeypatch, point):
    whole = trained(tmp_path / "whole")
    place, name = (resume if point == "write_history" else checkpoint), point
    real, calls = getattr(place, name), []

    def killed(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(place, name, killed)
        assert trained(tmp_path / "broken")[1] is None
    assert_same_bits(trained(tmp_path / "broken"), whole)


class Clocked(Toy):
    """A toy whose epochs end at the seconds `ends` of the clock `now`, and whose states take a second to write."""

    def __init__(self, monkeypatch, ends: list[float]):
        super().__init__()
        self.now, self.ends, self.kept, real = 0.0, ends, [], checkpoint.save
        monkeypatch.setattr(resume, "monotonic", lambda: self.now)

        def save(path, state):
            self.now += 1
            self.kept.append((len(state["rows"]), (state["within"] or {"step": 0})["step"]))
            real(path, state)

        monkeypatch.setattr(checkpoint, "save", save)

    def validate(self):
        self.now = self.ends[len(self.validated)]
        return super().validate()


def test_writing_the_resume_state_takes_little_of_the_time(tmp_path, monkeypatch):
    toy = Clocked(monkeypatch, ends=[1, 3, 20, 25])
    fit(toy, toy_recipe(), seed=0, folder=tmp_path, device=CPU)
    assert toy.kept == [(2, 0), (4, 0)]  # none in the first three seconds; the next twenty seconds after the first
    assert len(pd.read_csv(tmp_path / "history.csv")) == 4


def test_a_long_epoch_is_kept_in_its_middle_every_some_minutes(tmp_path, monkeypatch):
    toy = Clocked(monkeypatch, ends=[1000, 1001, 1002, 1003])
    real = toy.loss

    def slow(model, views):
        toy.now += 200  # 3 steps of an epoch
        return real(model, views)

    toy.loss = slow
    fit(toy, toy_recipe(), seed=0, folder=tmp_path, device=CPU)
    assert toy.kept[:2] == [(0, 2), (1, 0)]


# --- asked to end, or to keep what is there ---


class Signalled(Toy):
    """A toy to which a signal is sent while it computes the step `at`, counted from 1."""

    def __init__(self, at: int, number: int):
        super().__init__()
        self.at, self.number = at, number

    def loss(self, model, views):
        if len(self.seen) == self.at:
            os.kill(os.getpid(), self.number)
        return super().loss(model, views)


@pytest.mark.parametrize("at", [1, 2, 3, 5, 12])  # of 4 epochs of 3 steps
@pytest.mark.parametrize(
    "changes", [{}, {"optimizer": "lars", "lr": 1.0}, {"group": 2}, {"select": "last", "schedule": "cosine"}], ids=str
)
def test_asked_to_end_in_the_middle_of_an_epoch_it_goes_on_to_the_bit(tmp_path, at, changes):
    whole = trained(tmp_path / "whole", **changes)
    (tmp_path / "asked").mkdir()
    toy, before = Signalled(at, signal.SIGTERM), signal.getsignal(signal.SIGTERM)
    with pytest.raises(stopping.Stopped, match="asked to end"):
        fit(toy, toy_recipe(**changes), seed=0, folder=tmp_path / "asked", device=CPU)
    images = len(np.concatenate([positions for _, positions in toy.seen]))
    assert signal.getsignal(signal.SIGTERM) is before
    torch.manual_seed(99)
    again = trained(tmp_path / "asked", **changes)
    assert_same_bits(again, whole)
    assert images + len(np.concatenate([positions for _, positions in again[0].seen] or [[]])) == 4 * 18  # none twice
    assert again[1].resumed


def test_asked_to_keep_its_state_it_does_and_goes_on(tmp_path, monkeypatch):
    kept, real = [], checkpoint.save
    monkeypatch.setattr(checkpoint, "save", lambda path, state: kept.append(state["within"]) or real(path, state))
    toy = Signalled(5, signal.SIGUSR1)
    fitted = fit(toy, toy_recipe(), seed=0, folder=tmp_path, device=CPU)
    assert [(w["step"], len(w["losses"])) for w in kept] == [(2, 2)]
    assert_same_bits((toy, fitted), trained(tmp_path / "whole"))


def test_seconds_of_an_epoch_in_two_parts_are_those_of_both(tmp_path, monkeypatch):
    now = iter(range(0, 1_000, 10))
    monkeypatch.setattr(loop.time, "perf_counter", lambda: next(now))
    with pytest.raises(stopping.Stopped):
        fit(Signalled(2, signal.SIGTERM), toy_recipe(epochs=1), seed=0, folder=tmp_path, device=CPU)
    assert trained(tmp_path, epochs=1)[1].history["seconds"].tolist() == [20]  # ten before, ten after


@pytest.mark.usefixtures("every_epoch")
def test_a_finished_fit_is_not_trained_again(tmp_path):
    whole = trained(tmp_path)
    again = trained(tmp_path)
    assert again[0].seen == [] and again[0].validated == []
    assert_same_bits(again, whole)


def test_same_seed_same_bits_and_another_seed_differs(tmp_path):
    a, b, c = (trained(tmp_path / str(i), seed=s) for i, s in enumerate((0, 0, 1)))
    assert_same_bits(a, b)
    assert a[1].history["loss"].tolist() != c[1].history["loss"].tolist()


def test_the_best_epoch_is_selected_and_loaded(tmp_path):
    toy, fitted = trained(tmp_path, scores=[0.1, 0.7, 0.7, 0.3])
    assert fitted.selected == 1  # of equals the first
    assert all(torch.equal(v, toy.validated[1][k]) for k, v in toy.model.state_dict().items())


def test_the_last_epoch_is_selected_where_the_recipe_says_so(tmp_path):
    toy, fitted = trained(tmp_path, scores=[0.9, 0.7, 0.7, 0.3], select="last")
    assert fitted.selected == 3
    assert all(torch.equal(v, toy.validated[3][k]) for k, v in toy.model.state_dict().items())


def test_patience_counts_epochs_without_a_better_value(tmp_path):
    _, fitted = trained(tmp_path, scores=[0.1, 0.5, 0.4, 0.5, 0.9, 0.9], epochs=6, patience=2)
    assert len(fitted.history) == 4 and fitted.selected == 1


def test_a_value_that_is_not_a_number_is_never_better(tmp_path):
    _, fitted = trained(tmp_path, scores=[float("nan"), 0.2, float("nan"), 0.1])
    assert fitted.selected == 1
    assert trained(tmp_path / "b", scores=[0.2, float("nan"), 0.1, float("nan")])[1].selected == 0


def test_history_says_what_happened(tmp_path):
    toy, fitted = trained(tmp_path, schedule="cosine", warmup=1)
    assert list(fitted.history) == ["epoch", "loss", "lr", *TIMES, "score"]
    steps = toy.size // 6
    last = [learning_rate((e + 1) * steps - 1, 4 * steps, 0.05, "cosine", warmup=steps) for e in range(4)]
    assert fitted.history["lr"].tolist() == last
    written = pd.read_csv(tmp_path / "history.csv")
    pd.testing.assert_frame_equal(written, fitted.history)
    assert fitted.seconds == pytest.approx(written["seconds"].sum()) and fitted.cpu_seconds > 0


def test_one_line_an_epoch_where_nobody_watches(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "tlkit.training.loop"):
        trained(tmp_path, epochs=2)
    lines = [r.getMessage() for r in caplog.records]
    assert len(lines) == 2 and lines[1].startswith("epoch 2/2 loss ") and "images_per_second" in lines[0]


def test_a_person_sees_images_per_second(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(loop, "is_watched", lambda: True)
    trained(tmp_path, epochs=1)
    assert "epoch 1/1" in capsys.readouterr().err


def test_each_epoch_sees_each_sample_at_most_once(tmp_path):
    toy, _ = trained(tmp_path)
    for epoch in range(4):
        seen = np.concatenate([p for e, p in toy.seen if e == epoch])
        assert len(seen) == 18 and len(set(seen)) == 18  # 20 in batches of 6


@given(st.integers(1, 200), st.integers(0, 99), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_order_is_a_permutation_of_seed_and_epoch(n, seed, epoch):
    order = epoch_order(n, seed, epoch)
    assert sorted(order) == list(range(n)) and (order == epoch_order(n, seed, epoch)).all()
    if n > 20:
        assert (order != epoch_order(n, seed, epoch + 1)).any() and (order != epoch_order(n, seed + 1, epoch)).any()


@given(st.integers(1, 100), st.integers(1, 120))
@settings(max_examples=40, deadline=None)
def test_batches_are_full_and_disjoint(n, batch):
    found = batches(np.arange(n), batch)
    assert {len(b) for b in found} == {min(n, batch)} and len(found) == max(1, n // batch)
    assert len(np.unique(np.concatenate(found))) == sum(map(len, found))


@pytest.mark.parametrize(("rank", "expected"), [(0, [[0, 1], [4, 5]]), (1, [[2, 3], [6, 7]])])
def test_two_processes_share_each_batch(monkeypatch, rank, expected):
    monkeypatch.setattr(steps, "rank", lambda: rank)
    monkeypatch.setattr(steps, "world_size", lambda: 2)
    assert [b.tolist() for b in batches(np.arange(11), 4)] == expected
    assert [b.tolist() for b in batches(np.arange(2), 4)] == [[rank]]  # fewer than a batch
    with pytest.raises(
        ConfigError, match=r"3 training images are fewer than recipe.batch.*1 would never be trained on"
    ):
        batches(np.arange(3), 4)
    with pytest.raises(ConfigError, match="1 training images are too few for 2 processes"):
        batches(np.arange(1), 4)
    with pytest.raises(ConfigError, match=r"recipe.batch is 5, which 2 processes cannot share evenly"):
        batches(np.arange(11), 5)


@pytest.mark.usefixtures("every_epoch")
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_bad_loss_fails_with_its_step_and_the_last_good_epoch_goes_on(tmp_path, bad):
    class Diverging(Toy):
        broken = True

        def loss(self, model, views):
            loss = super().loss(model, views)
            return loss * bad if self.broken and len(self.seen) == 5 else loss

    toy = Diverging()
    with pytest.raises(DivergedError, match=rf"became {bad} at step 5 \(epoch 2\).*Lower recipe.lr"):
        fit(toy, toy_recipe(), seed=0, folder=tmp_path, device=CPU)
    assert len(checkpoint.load(tmp_path / resume.LAST)["rows"]) == 1
    toy = Diverging()
    toy.broken = False
    fitted = fit(toy, toy_recipe(), seed=0, folder=tmp_path, device=CPU)
    assert_same_bits((toy, fitted), trained(tmp_path / "whole"))


def test_a_long_epoch_looks_at_its_losses_before_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHECK_EVERY", 2)

    class Diverging(Toy):
        def loss(self, model, views):
            return super().loss(model, views) * float("nan")

    toy = Diverging()
    with pytest.raises(DivergedError, match="at step 1 "):
        fit(toy, toy_recipe(batch=2), seed=0, folder=tmp_path, device=CPU)
    assert len(toy.seen) == 2


def test_no_room_is_found_before_the_first_step(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 10))
    toy = Toy()
    with pytest.raises(OSError, match="a run of this model needs") as error:
        fit(toy, toy_recipe(), seed=0, folder=tmp_path, device=CPU)
    assert error.value.errno == errno.ENOSPC and toy.seen == []


def test_fit_has_no_way_to_see_test_data():
    assert list(inspect.signature(fit).parameters) == ["objective", "recipe", "seed", "folder", "per_epoch", "device"]
    assert not any("test" in name for name in loop.Objective.__annotations__)


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("float32", torch.float32), ("bfloat16", torch.bfloat16), ("float16", torch.float16)],
)
def test_autocast_on_the_cpu(precision, dtype):
    with autocast(precision, CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_bfloat16_trains_on_the_cpu(tmp_path):
    _, fitted = trained(tmp_path / "a", precision="bfloat16")
    assert fitted.history["loss"].tolist() != trained(tmp_path / "b")[1].history["loss"].tolist()
    assert fitted.history["loss"].tolist() == pytest.approx(trained(tmp_path / "b")[1].history["loss"], rel=0.1)
