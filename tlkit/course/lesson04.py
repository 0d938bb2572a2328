"""Checks of lesson 4: fine-tuning against linear evaluation."""

from __future__ import annotations

import numpy as np

from tlkit.course.expect import array, close, number, pair


def exercise_1(answer) -> None:
    """Nearly all of a network is encoder, so linear evaluation trains very little of it."""
    from torch import nn

    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))  # 16 and 10 numbers, in two tensors each
    model[0].requires_grad_(False)
    found = number(answer(model), "a share")
    assert not close(found, 0.5), "you counted tensors: a weight is one tensor and many numbers, see `numel`"
    assert not close(found, 10), "that is the number that learn; divide it by the number of all"
    assert not close(found, 16 / 26), "that is the frozen share"
    assert not close(found, 10 / 16), "you divided by the frozen ones; the share is among all parameters"
    assert close(found, 10 / 26), f"10 of 26 numbers learn: expected {10 / 26:.3f}, found {found:.3f}"
    model.requires_grad_(True)
    assert close(answer(model), 1), "where everything learns the share is 1"


def exercise_2(answer) -> None:
    """The test set is measured with the ruler of the training set, or it has had a say in the ruler."""
    rng = np.random.default_rng(0)
    train, test = rng.normal(5, 2, (60, 3)), rng.normal(9, 4, (20, 3))
    found = pair(answer(train, test), "both arrays: `return train, test`")
    ours, theirs = array(found[0], (60, 3), "training features"), array(found[1], (20, 3), "test features")
    both = np.concatenate([train, test])
    assert not close(ours.mean(axis=0), (train.mean(axis=0) - both.mean(axis=0)) / both.std(axis=0), 1e-3), (
        "mean and sd are those of training and test together: the test has entered the training. Use training alone."
    )
    assert close(ours.mean(axis=0), 0, 1e-6) and close(ours.std(axis=0), 1, 1e-6), (
        "in training each column should have mean 0 and sd 1; subtract the mean, then divide by the sd"
    )
    assert not close(theirs.mean(axis=0), 0, 1e-6), (
        "the test was shifted by its own mean: a difference between the two is what a test should show"
    )
    right = (test - train.mean(axis=0)) / train.std(axis=0)
    assert close(theirs, right, 1e-6), "the test needs the same shift and the same scale as training, in this order"


def exercise_3(answer) -> None:
    """Every byte of the encoder is as it was, its statistics included, and the head has learned."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = nn.ModuleDict({"encoder": encoder, "head": nn.Linear(4, 2)})
    model.forward = lambda x: model.head(model.encoder(x))
    for name in ("encoder", "head"):
        setattr(model, name, model[name])
    found = answer(model)
    assert found is model, "return the model itself"
    before = {k: v.clone() for k, v in model.state_dict().items()}
    learning = [w for w in model.parameters() if w.requires_grad]
    assert learning, "nothing learns any more: freeze the encoder, not the model; the head has to learn"
    model.forward(torch.randn(8, 1, 8, 8) + 3).square().sum().backward()
    torch.optim.SGD(learning, 0.1).step()
    changed = [k for k, v in model.state_dict().items() if not torch.equal(v, before[k])]
    weights = [k for k in changed if k.startswith("encoder") and "running" not in k and "num_batches" not in k]
    assert not weights, f"weights of the encoder have learned ({weights[0]}): `requires_grad_(False)`"
    statistics = [k for k in changed if k.startswith("encoder")]
    assert not statistics, (
        f"no weight learned, but BatchNorm's statistics moved ({statistics[0]}): use the encoder's evaluation mode"
    )
    assert any(k.startswith("head") for k in changed), "the head has not learned: only the encoder is to be frozen"
