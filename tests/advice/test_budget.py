"""The time of an answer: prices, what is kept of a decision, and the end of a run that takes too long."""

import time

import pytest
from folders_of_users import class_folders

from tlkit import runs
from tlkit.advice import budget, plan
from tlkit.advice.budget import Budget, OutOfTimeError
from tlkit.advice.understand import understand
from tlkit.config import ConfigError


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "present", lambda card: False)
    found = understand(class_folders(tmp_path / "meine bilder", 12, side=16), "timed", patient="none")
    return plan.write(found, 24, 16)


def test_a_price_grows_with_epochs_and_images_and_learns_from_runs(study):
    config = study.finetune(seeds=[1])[0]
    clock = Budget(1000.0, time.monotonic(), {"train": 1.0, "see": 0.1})
    one, two = (clock.price(config, epochs) for epochs in (1, 2))
    assert two > one > budget.START and clock.price({**config, "images_per_epoch": 500}) > clock.price(config)
    clock.seconds = clock.price(config) + 5
    assert clock.fits(config) and not clock.fits(config, {**config, "seed": 2})
    clock.took(config, 3 * clock.price(config))
    assert not clock.fits(config), "the last run took three times its price"
    clock.slower += [0.5] * 3
    assert clock.fits(config), "an old outlier is forgotten"


def test_runs_that_are_done_take_no_time(study, monkeypatch):
    monkeypatch.setattr(runs, "state_is_done", lambda rid: True)
    assert Budget(0.0, time.monotonic() - 9, {"train": 1.0, "see": 1.0}).fits(*study.finetune())


def test_the_epochs_are_decided_once_and_fewer_for_less_time(study, monkeypatch):
    measured = iter([{"train": 0.1, "see": 0.01}])
    monkeypatch.setattr(budget, "measure", lambda config: next(measured))
    long, whole, images = budget.decide_length(study, 1e6, time.monotonic())
    _, fewer, some = budget.decide_length(study, 60.0, time.monotonic())
    assert whole == study.finetune()[0]["recipe"]["epochs"] > fewer >= plan.EPOCHS[0]
    assert images >= some >= budget.probing.LEAST and long.cost == {"train": 0.1, "see": 0.01}
    late = budget.decide_length(study, 60.0, time.monotonic() - 50)
    assert late[1:] == (fewer, some), "the same command gives the same study, however late it comes"
    shorter = plan.shorten(study, fewer)
    assert budget.decide_length(shorter, 60.0, time.monotonic())[1] == fewer
    told = budget.promise(shorter, long, some, whole)
    assert f"{fewer} epochs (in place of {whole}" in told and "3 runs over the rates" in told
    assert "no time for any" in budget.promise(shorter, late[0], some, whole)
    late[0].seconds += 1.5 * late[0].price(shorter.finetune()[0])
    assert "one rate alone" in budget.promise(shorter, late[0], some, whole)
    assert budget.price_least(study, late[0]) % 60 == 0


def test_slower_networks_and_own_pretraining_are_kept_time_for(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "present", lambda card: False)
    monkeypatch.setattr(budget, "measure", lambda config: {"train": 0.002, "see": 0.0004})
    found = understand(class_folders(tmp_path / "b", 100, side=16), "slow", patient="none")
    ways = {"alone": 100, "with SimCLR": 200}  # images: of fewer than 150 there is none
    epochs = {}
    for name, images in ways.items():
        study = plan.write(found, images, 32)
        assert (plan.OWN in study.pretrainings) == (name != "alone")
        clock, epochs[name], _ = budget.decide_length(study, 500.0, time.monotonic())
        reserved = budget.price_own_pretraining(study, clock)
        assert (reserved > 0) == (name != "alone")
        first = {c["pretraining"]: c for c in study.finetune(seeds=[1])}
        whole = budget.RUNS * sum(clock.price(c, epochs[name]) for c in first.values())
        assert epochs[name] == plan.EPOCHS[0] or whole + reserved <= 500
    clock.seconds = 5.0
    assert budget.price_own_pretraining(study, clock) == 0, "too dear: nothing is kept for it"
    slow = study.finetune(seeds=[1])[0] | {"backbone": "torchvision/resnet50"}
    assert clock.price(slow) > 2 * clock.price(study.finetune(seeds=[1])[0])


def test_too_few_images_are_an_error_that_says_how_many_there_are(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "present", lambda card: False)
    found = understand(class_folders(tmp_path / "b", 2, side=16), "tiny", patient="none")
    with pytest.raises(ConfigError, match=r"expected 4 or more to train on.*--look"):
        budget.decide_length(plan.write(found, 4, 16), 60.0, time.monotonic())


def test_a_step_is_measured(study):
    found = budget.measure(study.finetune(seeds=[1])[0])
    assert set(found) == {"train", "see"} and all(seconds > 0 for seconds in found.values())


def test_a_block_is_stopped_after_its_time_and_not_before():
    with pytest.raises(OutOfTimeError), budget.stop_after(0.05):
        time.sleep(5)
    with budget.stop_after(60):
        pass
    time.sleep(0.01)
    assert not issubclass(OutOfTimeError, Exception), "nothing that catches errors may swallow it"
