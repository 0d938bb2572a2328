"""The panel on which a rater works in JupyterLab: an image and its heat maps under letters, by mouse and keyboard.

What goes to the browser is pictures, letters and the rater's own answers; which pretraining a letter is stands in the
key, which nothing here opens.
"""

from __future__ import annotations

import time
from datetime import datetime
from functools import partial
from html import escape
from pathlib import Path

import ipywidgets as w
from IPython.display import display

from tlkit.rating.answers import SCALE, Answer, RatingError
from tlkit.rating.keys import Keys
from tlkit.rating.session import PHANTOM, Session

HELP = (
    '<div class="tlkit-help">Which regions did each model look at? Bright yellow: most; no colour at all: nowhere. '
    "<b>1</b> only irrelevant regions, <b>3</b> relevant and irrelevant ones, <b>5</b> only relevant ones.<br>"
    "Keys, after a click on the panel: <b>1</b> to <b>5</b> rate the framed heat map, <b>{letters}</b> frame one, "
    "<b>→</b> or Enter next image, <b>←</b> back, <b>r</b> remark (Enter keeps it).</div>"
)


class Panel:
    """The panel of one rater; it opens at the first image that is not fully rated, or at the last one.

    An answer is on the disk before the panel shows it; a remark is saved when its field is left. Everything may be
    corrected later: the last answer counts. Raises RatingError as `Session` does, and for a phantom rater's name.
    """

    def __init__(self, folder: Path, rater: str):
        if rater.startswith(PHANTOM):
            raise RatingError(f"rater is {rater!r}; names that begin with '{PHANTOM}' are for made-up answers")
        self.session = Session(folder, rater)
        self.answers, self.item, self.framed, self.seen = self.session.answers(), "", "", ""
        self.head, self.saved, self.image, self.keys = w.HTML(), w.HTML(), w.Image(format="png"), Keys()
        self.maps = {letter: _Map(self, letter) for letter in self.session.letters}
        self.box = self._layout()
        self.keys.on_msg(lambda _, message, __: self.hear(message))
        self.show((self.session.open_items() or self.session.items[-1:])[0])
        self.say(" ".join([f"{len(self.answers)} heat maps are answered so far.", *self.session.notes]))

    def _ipython_display_(self) -> None:
        display(self.box)

    def show(self, item: str) -> None:
        """Turn to an item, with its first heat map without a rating framed."""
        self.item, self.since = item, time.monotonic()
        self.image.value = self.session.picture(item)
        for part in self.maps.values():
            part.show(item)
        self.frame(next(iter(self._unrated()), self.session.letters[0]))
        self._count()
        self.keys.item = item  # last, when all else is on its way: the browser answers that it is there

    def frame(self, letter: str) -> None:
        """Let the keys 1 to 5 count for this heat map."""
        self.framed = letter
        for name, part in self.maps.items():
            (part.box.add_class if name == letter else part.box.remove_class)("tlkit-framed")

    def move(self, step: int) -> None:
        """Go on or back, at most to the last or first item, and past none that was not on the screen."""
        at = self.session.items.index(self.item) + step
        if 0 <= at < len(self.session.items) and self.seen == self.item:
            self.show(self.session.items[at])

    def to_open(self) -> None:
        """Go to the first item that is not fully rated, if there is one."""
        if left := self.session.open_items():
            self.show(left[0])

    def rate(self, letter: str, rating: int) -> None:
        """Rate a heat map of the item on the screen; a click that was meant for an earlier one counts for nothing."""
        if self.seen != self.item:
            self.say("The picture had just changed and nothing was saved: please answer again.")
            return
        self.frame(letter)
        if self.save(self.item, letter, Answer(rating, self._answer(self.item, letter).remark)):
            self.frame(next(iter(self._unrated()), letter))

    def remark(self, item: str, letter: str, text: str) -> None:
        """Save a remark beside the rating, which may still be missing."""
        if text != self._answer(item, letter).remark:
            self.save(item, letter, Answer(self._answer(item, letter).rating, text))

    def save(self, item: str, letter: str, answer: Answer) -> bool:
        """Write an answer and show it; say so in red where the disk or file does not take it."""
        try:
            self.session.answer(item, letter, *answer, seconds=time.monotonic() - self.since)
        except (OSError, RatingError) as error:
            self.say(f"NOT SAVED: {error}", bad=True)
            return False
        self.answers[item, letter] = answer
        self.maps[letter].mark(self._answer(self.item, letter).rating)
        self._count()
        self.say(f"Saved at {datetime.now():%H:%M:%S}: image {item}, {letter}.")
        return True

    def hear(self, message: dict) -> None:
        """Follow a message of `Keys`: a key that was typed while another item was on the screen counts for nothing."""
        self.seen, key = message["item"], message.get("key")
        if key in map(str, SCALE):
            self.rate(self.framed, int(key))
        elif key in self.maps:
            self.frame(key)
        elif key in ("ArrowRight", "Enter", "ArrowLeft"):
            self.move(-1 if key == "ArrowLeft" else 1)

    def say(self, text: str, bad: bool = False) -> None:
        """Show a line under the panel, in red where something is wrong."""
        colour = "#d55e00" if bad else "inherit"
        self.saved.value = f'<span role="status" style="color:{colour}">{escape(text)}</span>'

    def _layout(self) -> w.VBox:
        whole = w.VBox([w.HTML("<b>image</b>"), self.image]).add_class("tlkit-map")
        columns = w.Layout(display="grid", grid_template_columns=f"repeat({len(self.maps) + 1}, minmax(0, 1fr))")
        row = w.GridBox([whole, *(part.box for part in self.maps.values())], layout=columns)
        steps = {"◀ back": -1, "next ▶": 1}
        moves = [_button(name, partial(self.move, step), "110px") for name, step in steps.items()]
        moves.append(_button("first open image", self.to_open, "150px"))
        help_text = w.HTML(HELP.format(letters=" ".join(self.maps)))
        return w.VBox([self.head, row, w.HBox([*moves, self.saved]), help_text, self.keys]).add_class("tlkit-rating")

    def _answer(self, item: str, letter: str) -> Answer:
        return self.answers.get((item, letter), Answer())

    def _unrated(self) -> list[str]:
        return [letter for letter in self.maps if self._answer(self.item, letter).rating is None]

    def _count(self) -> None:
        items, at = self.session.items, self.session.items.index(self.item) + 1
        rated = {place for place, answer in self.answers.items() if answer.rating is not None}
        done = sum(all((item, letter) in rated for letter in self.maps) for item in items)
        end = " All are rated: thank you. You may still correct, or close this." if done == len(items) else ""
        self.head.value = f"<b>Image {at} of {len(items)}</b> · {done} of {len(items)} fully rated.{end}"


class _Map:
    """The column of one letter: heat map, buttons, remark."""

    def __init__(self, panel: Panel, letter: str):
        self.panel, self.letter, self.image = panel, letter, w.Image(format="png")
        self.buttons = {k: _button(str(k), partial(panel.rate, letter, k)) for k in SCALE}
        head = w.HTML(f"<b>{letter}</b>")
        self.box = w.VBox([head, self.image, w.HBox([*self.buttons.values()]), w.Text()]).add_class("tlkit-map")

    def show(self, item: str) -> None:
        """Show an item; its remark gets a field of its own, so that a late word can't land on the next item."""
        self.image.value = self.panel.session.picture(item, self.letter)
        answer = self.panel._answer(item, self.letter)
        full = w.Layout(width="auto")
        field = w.Text(answer.remark, placeholder=f"remark on {self.letter}", continuous_update=False, layout=full)
        field.observe(lambda change: self.panel.remark(item, self.letter, change["new"]), "value")
        self.box.children = [*self.box.children[:-1], field]
        self.mark(answer.rating)

    def mark(self, rating: int | None) -> None:
        for k, button in self.buttons.items():
            button.button_style = "info" if k == rating else ""


def _button(name: str, act: partial, width: str = "auto") -> w.Button:
    button = w.Button(description=name, layout=w.Layout(width=width))
    button.on_click(lambda _: act())
    return button
