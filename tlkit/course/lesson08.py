"""Checks of lesson 8: where does it look?"""

from __future__ import annotations

import numpy as np

from tlkit.course.expect import array, close, number


def exercise_1(answer) -> None:
    """This is all of Grad-CAM. What follows in papers is drawing it large and in colour."""
    rng = np.random.default_rng(0)
    maps, gradients = rng.normal(size=(2, 6, 4, 5))
    summed = np.tensordot(gradients.mean(axis=(1, 2)), maps, axes=1)
    found = array(answer(maps, gradients), (4, 5), "a heat map")
    assert not close(found, summed), "values below 0 speak against the class: cut them off at 0"
    assert not close(found, np.abs(summed)), (
        "you took the absolute value: what speaks against the class then looks like evidence for it"
    )
    assert not close(found, np.maximum(0, (gradients * maps).sum(axis=0))), (
        "that multiplies place by place; Grad-CAM has one weight for a whole map: the mean of its gradient"
    )
    assert not close(found, np.maximum(0, maps.mean(axis=0))), (
        "the maps were not weighted: the gradients belong to the class"
    )
    scale = found.max() / np.maximum(0, summed).max() if summed.max() > 0 else 1
    assert close(found, scale * np.maximum(0, summed)), (
        "weights are means over the places of each map: mean(axis=(1, 2))"
    )
    nothing = array(answer(np.ones((3, 2, 2)), -np.ones((3, 2, 2))), (2, 2), "a heat map")
    assert close(nothing, 0), "where nothing speaks for the class the map is 0 everywhere"


def exercise_2(answer) -> None:
    """A share between 0 and 1 that can be compared between images, however strong their maps are."""
    heat = np.array([[4.0, 1.0], [3.0, 2.0]])
    mask = np.array([[True, False], [False, True]])
    found = number(answer(heat, mask), "a share")
    assert not close(found, 6), "that is the amount of heat inside; divide it by all heat"
    assert not close(found, 3), "that is the mean heat inside; a share was asked for"
    assert not close(found, 0.4), "that is the share outside"
    assert not close(found, 0.5), "that is the share of the area, whatever the heat"
    assert not close(found, 1.5), "divide by all heat, not by the heat outside"
    assert close(found, 0.6), f"6 of 10 lie inside: expected 0.6, found {found:g}"


def exercise_3(answer) -> None:
    """1 is chance. Large organs collect heat without any merit of the map; this takes their size into account."""
    heat, mask = np.ones((4, 4)), np.zeros((4, 4), dtype=bool)
    mask[:1] = True
    found = number(answer(heat, mask), "a factor")
    assert not close(found, 0.25), "that is the share of the heat; divide it by the share of the area"
    assert not close(found, 0), "chance is 1 here: divide by the share of the area, do not subtract it"
    assert not close(found, 1 / 16), "multiply with nothing: divide the one share by the other"
    assert close(found, 1), f"a map that is equal everywhere is at chance: expected 1, found {found:g}"
    heat[:1] = 3.0
    assert close(answer(heat, mask), 0.5 / 0.25), "half of the heat on a quarter of the area is a factor of 2"
