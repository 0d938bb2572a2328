"""What a student sees of an exercise, and the course's plots."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tlkit import course
from tlkit.config import ConfigError
from tlkit.course import expect, plots
from tlkit.names import Names


def test_a_verdict_is_a_line_of_text_and_a_frame_of_its_colour():
    good = course.check("1.2", lambda a, b: (a - b) / (1 - b))
    bad = course.check("1.2", lambda a, b: a - b)
    assert repr(good).startswith("✓ right, exercise 1.2: ") and repr(bad).startswith("✗ not yet, exercise 1.2: ")
    assert "#1b7837" in good._repr_html_() and "#b2182b" in bad._repr_html_()
    assert "<b>" not in course.Verdict("1.1", False, "<b>")._repr_html_()


@pytest.mark.parametrize("number", ["1.9", "11.1", "one", "1", "", "x.1", "1.1.1"])
def test_an_exercise_that_does_not_exist_is_an_error_of_ours(number):
    with pytest.raises(ConfigError, match="lesson and number"):
        course.check(number, max)


def test_what_is_no_function_is_said_and_errors_of_an_answer_are_its_own():
    with pytest.raises(ConfigError, match="give its name, found float"):
        course.check("1.2", 0.5)
    with pytest.raises(ZeroDivisionError):
        course.check("1.2", lambda a, b: 1 / 0)


def test_a_guess_stands_beside_what_came_out(capsys):
    course.guessed(0.5, 0.398, " points")
    course.guessed(None, 0.398)
    first, second = capsys.readouterr().out.splitlines()
    assert first == "You guessed 0.5 points; it is 0.398 points."
    assert second.startswith("It is 0.398.") and "no guess" in second


@pytest.mark.parametrize(("found", "said"), [(None, "returns nothing"), (..., "still returns"), ([1, 2], "one number")])
def test_what_is_no_number_is_said(found, said):
    with pytest.raises(AssertionError, match=said):
        expect.number(found, "a share")


def test_close_compares_numbers_and_arrays_of_one_shape():
    assert expect.close(np.zeros(3), 0) and expect.close([1, 2], [1, 2])
    assert not expect.close([1, 2], [1, 2, 3]) and not expect.close(0.1, 0.2)
    assert expect.number(np.float32(2), "x") == expect.number(np.int64(2), "x") == 2.0


def test_dots_draw_every_value_in_the_colour_of_its_arm_and_leave_room_for_the_mark():
    names = Names({"ct": "CT slices"}, {"ct": "#123456"})
    frame = pd.DataFrame({"value": [0.1, 0.3, 0.2], "arm": ["CT slices, frozen", "CT slices, frozen", "other"]})
    figure = plots.dots(frame, "value", "arm", "accuracy", names=names, line=(0.15, "chance"))
    (ax,) = figure.axes
    drawn = [line for line in ax.lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in drawn] == [2, 1]
    assert [line.get_markeredgecolor() for line in drawn] == ["#123456", plots.PLAIN]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["CT slices, frozen", "other"]
    assert "chance" in [t.get_text() for t in ax.texts] and "3 values" in ax.get_xlabel()
    figure.canvas.draw()
    mark = next(t for t in figure.texts if t.get_gid() == "phantom").get_window_extent()
    assert mark.y0 > ax.get_window_extent().y1, "the mark hides nothing"
    published = plots.dots(frame, "value", "arm", "p", means=False, phantom=False)
    assert not [t for t in published.texts if t.get_gid() == "phantom"] and len(published.axes[0].lines) == 2


def test_an_overlay_is_an_image_between_0_and_1():
    made = plots.overlay(np.linspace(0, 1, 12).reshape(3, 4), np.ones((3, 4)))
    assert made.shape == (3, 3, 4) and made.min() >= 0 and made.max() <= 1
