from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from tlkit.config import ConfigError, UnknownNameError
from tlkit.training.tasks import Multiclass, Segmentation, label_metrics, macro_auc, overlap_metrics, task

NAN = float("nan")


def kept(target, output) -> pd.DataFrame:
    return pd.DataFrame({"target": target, "output": [np.array(p, np.float32) for p in output]})


def counts(rows, patients="abcdefghijkl") -> pd.DataFrame:
    """One row a slice: (true, pred, both) pixels of class 1 among 100."""
    columns = {
        name: [np.array([100 - r[i], r[i]]) for r in rows] for i, name in enumerate(("target", "output", "overlap"))
    }
    return pd.DataFrame({"patient": list(patients[: len(rows)]), **columns})


def test_accuracy_f1_and_auc_by_hand():
    p = [[0.8, 0.1, 0.1], [0.3, 0.4, 0.3], [0.2, 0.5, 0.3], [0.1, 0.3, 0.6]]
    found = Multiclass(("a", "b", "c")).metrics(kept([0, 0, 1, 2], p))
    assert found["accuracy"] == 0.75
    assert found["f1_macro"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)  # a: P 1, R 1/2; b: P 1/2, R 1; c: 1
    assert found["auc"] == pytest.approx(1.0)
    assert set(Multiclass(("a", "b", "c")).metrics(kept([0, 0, 1, 2], p), full=False)) == {
        "accuracy",
        "f1_macro",
        "log_loss",
    }


def test_f1_of_one_predicted_class():
    target = np.array([0, 0, 1, 2])
    assert label_metrics(target, np.zeros(4, int), 3)["f1_macro"] == pytest.approx((2 * 0.5 / 1.5) / 3)
    assert label_metrics(np.array([0, 0]), np.array([0, 0]), 3)["f1_macro"] == pytest.approx(
        1 / 3
    )  # absent ones count 0


@given(st.integers(0, 10**6), st.integers(2, 5), st.booleans())
@settings(max_examples=30, deadline=None)
def test_auc_is_sklearns(seed, classes, ties):
    rng = np.random.default_rng(seed)
    target = np.concatenate([np.arange(classes), rng.integers(0, classes, 20)])
    scores = rng.random((len(target), classes))
    scores = scores.round(1) if ties else scores
    each = [roc_auc_score(target == c, scores[:, c]) for c in range(classes)]
    assert macro_auc(target, scores) == pytest.approx(np.mean(each))


def test_a_class_without_positives_or_negatives_has_no_auc():
    scores = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]])
    assert macro_auc(np.array([0, 1]), scores) == 1.0
    assert np.isnan(macro_auc(np.array([0, 0]), scores))


def test_multiclass_keeps_probabilities_and_its_loss_is_weighted():
    logits, target = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1])
    found = Multiclass(("a", "b")).keep(logits, target)
    assert found["target"] == [0, 1]
    assert np.stack(found["output"]) == pytest.approx(logits.softmax(1).numpy())
    each = torch.nn.functional.cross_entropy(logits, target, reduction="none")
    assert Multiclass(("a", "b"), (1.0, 3.0)).loss(logits, target) == pytest.approx(float((each[0] + 3 * each[1]) / 4))


def test_segmentation_counts_pixels_by_hand():
    truth = torch.tensor([[[0, 1], [1, 2]], [[0, 0], [0, 0]]], dtype=torch.uint8)
    guess = torch.tensor([[[0, 1], [2, 2]], [[0, 0], [0, 1]]])
    logits = torch.nn.functional.one_hot(guess, 3).permute(0, 3, 1, 2).float()
    found = Segmentation(("background", "liver", "lesion")).keep(logits, truth)
    assert [v.tolist() for v in found["target"]] == [[1, 2, 1], [4, 0, 0]]
    assert [v.tolist() for v in found["output"]] == [[1, 1, 2], [3, 1, 0]]
    assert [v.tolist() for v in found["overlap"]] == [[1, 1, 1], [3, 0, 0]]


def test_dice_and_iou_by_slice_case_and_batch_by_hand():
    frame = counts([(10, 10, 5), (20, 30, 10), (0, 4, 0), (0, 0, 0)], "aabb")
    by_slice = overlap_metrics(frame, "slice")  # 0.5, 0.4, 0; the empty one is left out
    assert by_slice == pytest.approx({"dice_1": 0.3, "iou_1": (5 / 15 + 10 / 40 + 0) / 3})
    by_case = overlap_metrics(frame, "case")  # a: 2*15/70; b: 0
    assert by_case == pytest.approx({"dice_1": (30 / 70) / 2, "iou_1": (15 / 55) / 2})
    by_batch = overlap_metrics(frame, "batch", batch=3)  # the second batch is empty and left out
    assert by_batch == pytest.approx({"dice_1": 30 / 74, "iou_1": 15 / 59})
    weighted = overlap_metrics(counts([(10, 10, 5), (10, 10, 5), (10, 10, 10)]), "batch", batch=2)
    assert weighted["dice_1"] == pytest.approx((2 * 0.5 + 1 * 1.0) / 3)


@pytest.mark.parametrize(
    ("row", "dice"),
    [((0, 0, 0), NAN), ((0, 3, 0), 0.0), ((3, 0, 0), 0.0), ((3, 3, 3), 1.0)],
    ids=["both empty", "truth empty", "prediction empty", "equal"],
)
def test_empty_mask_rule(row, dice):
    for pooling in ("slice", "case", "batch"):
        assert overlap_metrics(counts([row]), pooling)["dice_1"] == pytest.approx(dice, nan_ok=True)


def test_no_pool_with_the_class_is_nan_and_selection_still_has_a_number():
    found = Segmentation(("background", "liver")).metrics(counts([(0, 0, 0), (0, 0, 0)]))
    assert np.isnan(found["dice_1"]) and np.isnan(found["iou_1_slice"]) and found["dice_mean"] == 0.0


def test_the_mean_dice_is_over_defined_classes():
    frame = counts([(10, 10, 5)])
    for column in ("target", "output", "overlap"):
        frame[column] = [np.append(v, 0) for v in frame[column]]
    found = Segmentation(("background", "liver", "lesion")).metrics(frame, full=False)
    assert found["dice_mean"] == found["dice_1"] == 0.5 and np.isnan(found["dice_2"])


@given(st.integers(0, 10**6), st.integers(1, 7))
@settings(max_examples=20, deadline=None)
def test_dice_by_case_does_not_depend_on_batches_or_order(seed, batch):
    rng = np.random.default_rng(seed)
    job = Segmentation(("background", "liver", "lesion"))
    n = 9
    truth = torch.from_numpy(rng.integers(0, 3, (n, 4, 4)).astype(np.uint8))
    logits = torch.from_numpy(rng.standard_normal((n, 3, 4, 4)).astype(np.float32))
    patients = rng.choice(["a", "b", "c"], n)

    def frame(order, batch):
        parts = [order[i : i + batch] for i in range(0, n, batch)]
        return pd.concat([pd.DataFrame({"patient": patients[p], **job.keep(logits[p], truth[p])}) for p in parts])

    whole = job.metrics(frame(np.arange(n), n), full=False)
    mixed = job.metrics(frame(rng.permutation(n), batch), full=False)
    assert mixed == pytest.approx(whole, nan_ok=True)


BRATS = {"enhancing": ("ET",), "whole": ("NCR", "ED", "ET"), "core": ("NCR", "ET")}
CLASSES = ("background", "NCR", "ED", "ET")


def test_regions_count_unions_by_hand():
    truth = torch.tensor([[[0, 1, 1, 2], [2, 3, 3, 0]]], dtype=torch.uint8)
    guess = torch.tensor([[[0, 3, 1, 2], [0, 3, 2, 1]]])
    logits = torch.nn.functional.one_hot(guess, 4).permute(0, 3, 1, 2).float()
    job = task("segmentation", CLASSES, regions=BRATS)
    found = job.keep(logits, truth)
    assert found["target"][0].tolist() == [2, 2, 6, 4]  # background, ET, whole tumour, tumour core
    assert found["output"][0].tolist() == [2, 2, 6, 4]
    assert found["overlap"][0].tolist() == [1, 1, 5, 3]  # NCR taken for ET is right in the whole and in the core
    values = job.metrics(pd.DataFrame({"patient": ["a"], **found}), full=False)
    assert values == pytest.approx(
        {"dice_1": 0.5, "dice_2": 5 / 6, "dice_3": 3 / 4, "dice_mean": (1 / 2 + 5 / 6 + 3 / 4) / 3}
    )


def test_regions_of_one_class_each_are_the_classes():
    rng = np.random.default_rng(0)
    truth = torch.from_numpy(rng.integers(0, 4, (5, 6, 6)).astype(np.uint8))
    logits = torch.from_numpy(rng.standard_normal((5, 4, 6, 6)).astype(np.float32))
    single = task("segmentation", CLASSES, regions={c: (c,) for c in CLASSES[1:]}).keep(logits, truth)
    plain = task("segmentation", CLASSES).keep(logits, truth)
    for column in ("target", "output", "overlap"):
        assert np.array_equal(single[column], plain[column])


def test_a_patient_without_a_region_has_no_dice_of_it():
    job = task("segmentation", CLASSES, regions=BRATS)
    truth = torch.full((1, 4, 4), 2, dtype=torch.uint8)
    logits = torch.nn.functional.one_hot(truth.long(), 4).permute(0, 3, 1, 2).float()
    found = job.metrics(pd.DataFrame({"patient": ["a"], **job.keep(logits, truth)}))
    assert np.isnan(found["dice_1"]) and np.isnan(found["dice_3"]) and found["dice_2"] == found["dice_mean"] == 1.0


def test_errors():
    with pytest.raises(UnknownNameError, match=r"unknown class of a region 'NRC'. Did you mean 'NCR'"):
        task("segmentation", CLASSES, regions={"core": ("NRC", "ET")})
    with pytest.raises(UnknownNameError, match=r"unknown task kind 'multiclas'. Did you mean 'multiclass'"):
        task("multiclas", ("a", "b"))
    with pytest.raises(ValueError, match=r"expected 2 values \(a, b\), found 3"):
        task("multiclass", ("a", "b"), (1, 2, 3))
    with pytest.raises(UnknownNameError, match=r"pooling 'cases'. Did you mean 'case'"):
        overlap_metrics(counts([(1, 1, 1)]), "cases")


@given(st.integers(0, 10_000), st.integers(2, 5))
def test_macro_scores_are_sklearns(seed, classes):
    rng = np.random.default_rng(seed)
    target, guess = rng.integers(0, classes, (2, rng.integers(1, 20)))
    found = label_metrics(target, guess, classes)
    want = precision_recall_fscore_support(target, guess, labels=range(classes), average="macro", zero_division=0)
    assert [found[f"{m}_macro"] for m in ("precision", "recall", "f1")] == pytest.approx(want[:3], abs=1e-12)


# which labels a kind of task takes


@pytest.mark.parametrize(
    ("kind", "classes", "words"),
    [
        ("binary", ("a", "b", "c"), "a binary task needs 2 classes, found 3. Of more than two classes"),
        ("binary", ("a",), "a binary task needs 2 classes, found 1"),
        (
            "multiclass",
            ("a",),
            "a multiclass task needs 2 or more classes, found 1. With one class every answer is right",
        ),
        ("multilabel", (), "a multilabel task needs 1 or more classes, found 0"),
        ("regression", ("age", "height"), "a regression task needs 1 class, found 2"),
        ("segmentation", ("background",), "a segmentation task needs 2 or more classes, found 1"),
    ],
)
def test_a_kind_of_task_takes_so_many_classes(kind, classes, words):
    with pytest.raises(ConfigError, match=words):
        task(kind, classes)


@pytest.mark.parametrize(
    ("kind", "classes", "columns", "words"),
    [
        ("binary", ("a", "b"), {"label": [0, 2]}, r"expected numbers of the 2 classes a, b, found \[0, 2\]"),
        ("multiclass", ("a", "b"), {"label": [-1, 1]}, r"found \[-1, 1\]"),
        ("multiclass", ("a", "b"), {"label": [0.5, 1]}, r"found \[0.5, 1.0\]"),
        ("multiclass", ("a", "b"), {"label": [np.nan, 1]}, "expected numbers of the 2 classes"),
        (
            "multiclass",
            ("a", "b"),
            {"age": [1, 2]},
            "column 'label': expected numbers of the 2 classes a, b, found none",
        ),
        ("multiclass", ("a", "b"), {"label": [1, 1]}, "all 2 training images are of the class 'b'"),
        (
            "multilabel",
            ("a", "b"),
            {"label": [0, 1], "a": [0, 1]},
            "a column of 0 and 1 for each label, found none for b",
        ),
        ("multilabel", ("a", "b"), {"a": [0, 2], "b": [0, 1]}, "columns a: expected 0 or 1"),
        ("multilabel", ("a", "b"), {"a": [0, 0], "b": [1, 1]}, "no label changes between the 2 training images: a, b"),
        ("regression", ("age",), {"target": ["old", "new"]}, "expected a finite number for every training image"),
        ("regression", ("age",), {"target": [1.0, np.nan]}, "expected a finite number for every training image"),
    ],
)
def test_labels_that_a_task_cannot_learn_are_told_before_training(kind, classes, columns, words):
    with pytest.raises(ConfigError, match=words):
        task(kind, classes).fit(pd.DataFrame(columns))


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.float32, bool])
def test_labels_of_any_dtype_are_taken(dtype):
    table = pd.DataFrame({"label": np.array([0, 1, 1], dtype), "a": np.array([0, 1, 0], dtype)})
    for kind, classes in (("binary", ("a", "b")), ("multiclass", ("a", "b")), ("multilabel", ("a",))):
        assert task(kind, classes).fit(table).classes == classes


@given(st.integers(0, 10_000), st.integers(2, 4))
@settings(max_examples=20, deadline=None)
def test_dice_iou_and_scores_are_torchmetrics(seed, classes):
    """Of one patient, pooled over its slices: the F1 and the Jaccard index of its pixels, class by class."""
    from torchmetrics.functional.classification import (
        multiclass_accuracy,
        multiclass_f1_score,
        multiclass_jaccard_index,
    )

    rng = np.random.default_rng(seed)
    truth, guess = torch.from_numpy(rng.integers(0, classes, (2, 3, 5, 4)))
    job = Segmentation(tuple("abcd"[:classes]))
    kept = pd.DataFrame(job.keep(torch.nn.functional.one_hot(guess, classes).permute(0, 3, 1, 2).float(), truth))
    found = overlap_metrics(kept.assign(patient="p"), "case")
    dice = multiclass_f1_score(guess.flatten(), truth.flatten(), classes, average="none")
    iou = multiclass_jaccard_index(guess.flatten(), truth.flatten(), classes, average="none")
    for c in range(1, classes):
        assert found[f"dice_{c}"] == pytest.approx(float(dice[c]), abs=1e-6)
        assert found[f"iou_{c}"] == pytest.approx(float(iou[c]), abs=1e-6)
    scores = label_metrics(truth.flatten().numpy(), guess.flatten().numpy(), classes)
    assert scores["accuracy"] == pytest.approx(
        float(multiclass_accuracy(guess.flatten(), truth.flatten(), classes, average="micro")), abs=1e-6
    )
