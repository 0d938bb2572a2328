"""The rating panel in a real browser: JupyterLab on a free port, Chromium without a window, mouse and keyboard."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from lab_server import CHROMIUM, IDLE, PATIENCE, Lab, needs_browser, until

from tlkit import rating
from tlkit.figures import ratings

SECRETS = ("scratch", "imagenet", "radiologynet", "key.json")
CELL = """import os
from pathlib import Path

from tlkit.rating.panel import Panel

Path("pid").write_text(str(os.getpid()))
Panel(Path("session"), "{rater}")"""

pytestmark = needs_browser


class Desk:
    """A rater's browser page: one notebook, one panel. `heard` is all that the kernel sent to the page."""

    def __init__(self, page: Any, lab: Lab, rater: str):
        self.page, self.heard, self.session = page, [], lab.root / "session"
        page.set_default_timeout(1000 * PATIENCE)
        page.on("websocket", lambda socket: socket.on("framereceived", lambda data: self.heard.append(data)))
        cell = nbformat.v4.new_code_cell(CELL.format(rater=rater))
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=kernel), lab.root / f"{rater}.ipynb")
        self.file = self.session / f"{rater}.csv"
        page.goto(lab.url(f"lab/workspaces/{secrets.token_hex(4)}/tree/{rater}.ipynb"))  # no tabs of others
        page.wait_for_function(IDLE)
        page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
        self.panel = page.locator(".tlkit-rating[tabindex]")  # has its keys
        self.panel.wait_for()

    def at(self, item: int) -> None:
        """Wait until an item is on the screen, as the first word of the panel."""
        self.page.get_by_text(f"Image {item} of 3", exact=True).wait_for()

    def says(self, text: str) -> None:
        self.panel.get_by_text(text).first.wait_for()

    def click(self, letter: str, rating: int) -> None:
        self.column(letter).get_by_role("button", name=str(rating), exact=True).click()

    def column(self, letter: str) -> Any:
        return self.panel.locator(".tlkit-map").nth("abc".index(letter) + 1)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def saved(self, rows: int) -> pd.DataFrame:
        """Wait until the file has so many answers, and return them."""
        until(lambda: self.file.exists() and self.file.read_text().count("\n") > rows, f"{rows} rows in {self.file}")
        return pd.read_csv(self.file, dtype={"item": str}, keep_default_na=False)

    def framed(self, letter: str) -> None:
        self.page.locator(f".tlkit-map.tlkit-framed:has-text('{letter}')").wait_for()


@pytest.fixture
def lab(tmp_path) -> Iterator[Lab]:
    rating.create(tmp_path / "session", rating.phantom_items(3, 0), 5)
    lab = Lab(tmp_path)
    try:
        until(lab.ready, "JupyterLab")
        yield lab
    finally:
        lab.stop()


@pytest.fixture
def open_page() -> Iterator[Callable[[], Any]]:
    """Yield a function that opens a page of 1280 x 800 as a new visitor would."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM)
        yield lambda: browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        browser.close()


def answers(frame: pd.DataFrame) -> list[tuple]:
    return [tuple(row) for row in frame[["item", "letter", "rating", "remark"]].itertuples(index=False)]


def test_two_raters_one_of_them_interrupted(lab, open_page):
    """One server for both, because starting it is most of the time."""
    all_by_mouse_and_keyboard(lab, open_page)
    interrupted_and_resumed(lab, open_page)
    found = ratings.read(lab.root / "session")
    assert found.groupby("rater").size().to_dict() == {"anna": 9, "ben": 9}
    assert set(found["pretraining"]) == {"scratch", "imagenet", "radiologynet"}


def all_by_mouse_and_keyboard(lab: Lab, open_page: Callable[[], Any]) -> None:
    desk = Desk(page := open_page(), lab, "anna")
    desk.at(1)
    box = desk.panel.bounding_box()
    assert box["y"] + box["height"] <= 800 and box["x"] + box["width"] <= 1280, "all of the panel is in view"

    for letter, stars in zip("cab", (5, 1, 3), strict=True):  # by mouse, in any order
        desk.click(letter, stars)
    desk.saved(3)
    field = desk.column("b").get_by_role("textbox")
    field.fill("beside the joint, 3 mm; not in it")
    field.press("Enter")
    desk.saved(4)
    page.get_by_role("button", name="next").click()
    desk.at(2)

    desk.press("2", "4", "5")  # by keyboard: a, b, c
    desk.saved(7)
    desk.press("a")
    desk.framed("a")
    desk.press("r")
    page.wait_for_function("document.activeElement.tagName === 'INPUT'")
    page.keyboard.type("1 d")
    desk.press("Enter", "ArrowRight")
    desk.at(3)
    desk.press("3", "3", "ArrowLeft")
    desk.at(2)
    desk.press("b", "1", "ArrowRight")  # a correction
    desk.at(3)
    desk.press("5")
    frame = desk.saved(12)
    assert answers(frame) == [
        ("001", "c", 5, ""),
        ("001", "a", 1, ""),
        ("001", "b", 3, ""),
        ("001", "b", 3, "beside the joint, 3 mm; not in it"),
        ("002", "a", 2, ""),
        ("002", "b", 4, ""),
        ("002", "c", 5, ""),
        ("002", "a", 2, "1 d"),
        ("003", "a", 3, ""),
        ("003", "b", 3, ""),
        ("002", "b", 1, ""),
        ("003", "c", 5, ""),
    ]
    desk.says("All are rated: thank you.")
    jupyterlab_took_no_key(desk)
    nothing_names_a_pretraining(desk, lab.root / "anna.ipynb")
    page.context.close()


def jupyterlab_took_no_key(desk: Desk) -> None:
    """Keys that in JupyterLab cut, delete, insert, split or turn cells to headings do nothing but rate."""
    desk.press("x", "d", "d", "m", "y", "a", "b", "1", "Enter")
    desk.saved(13)  # the 1 rated b again
    assert desk.page.locator(".jp-Cell").count() == desk.page.locator(".jp-CodeCell").count() == 1
    assert desk.panel.is_visible()


def nothing_names_a_pretraining(desk: Desk, notebook: Path) -> None:
    desk.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    until(lambda: "widget-view" in notebook.read_text(), "the saved notebook")
    frames = [frame if isinstance(frame, bytes) else frame.encode() for frame in desk.heard]
    assert any(b"fully rated" in frame for frame in frames), "the kernel's messages were heard"
    for where in (*frames, desk.page.content().encode(), notebook.read_bytes(), desk.file.read_bytes()):
        assert not [secret for secret in SECRETS if secret.encode() in where.lower()]


def interrupted_and_resumed(lab: Lab, open_page: Callable[[], Any]) -> None:
    desk = Desk(page := open_page(), lab, "ben")
    desk.at(1)
    desk.panel.focus()
    desk.press("1", "2", "3", "ArrowRight")
    desk.at(2)
    desk.press("4")
    desk.saved(4)
    page.context.close()  # the browser is gone, then the kernel dies in the middle of a line
    os.kill(int((lab.root / "pid").read_text()), signal.SIGKILL)
    with desk.file.open("ab") as file:
        file.write(b"002,b,5,never wri")

    again = Desk(open_page(), lab, "ben")
    again.at(2)
    again.says("is open again")
    again.framed("b")
    assert "info" in again.column("a").get_by_role("button", name="4", exact=True).get_attribute("class")
    again.panel.focus()
    again.press("5", "1", "ArrowRight")
    again.at(3)
    again.press("2", "2", "2")
    again.says("All are rated: thank you.")
    assert answers(again.saved(9)) == [
        (item, letter, stars, "")
        for item, given in (("001", (1, 2, 3)), ("002", (4, 5, 1)), ("003", (2, 2, 2)))
        for letter, stars in zip("abc", given, strict=True)
    ]
    nothing_names_a_pretraining(again, lab.root / "ben.ipynb")
    again.page.context.close()
