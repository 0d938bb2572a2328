from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlkit import paths, rating
from tlkit.rating import answers
from tlkit.rating.answers import Answer, RatingError
from tlkit.rating.overlaid import PIXELS, picture
from tlkit.rating.panel import Panel

PRETRAININGS = {"scratch", "imagenet", "radiologynet"}


def flat(id: str = "x", *, image=None, **maps) -> rating.Item:
    """Return an item of 4 x 4 pixels with heat maps of one value each."""
    image = np.zeros((4, 4), np.uint8) if image is None else image
    return rating.Item(id, image, {k: np.full((4, 4), v) for k, v in (maps or {"one": 0.0, "two": 1.0}).items()})


@pytest.fixture
def folder(tmp_path) -> Path:
    return rating.create(tmp_path / "session", [flat(f"i{n}") for n in range(4)], seed=3)


def key_of(folder: Path) -> dict:
    return json.loads((folder / "key.json").read_text())["items"]


def rate_all(session: rating.Session, value: int = 3) -> None:
    for item in session.items:
        for letter in session.letters:
            session.answer(item, letter, value)


def test_letters_are_dealt_anew_in_each_item_by_the_seed(tmp_path):
    items = rating.phantom_items(30, 0, pixels=8)
    one, again, other = (
        key_of(rating.create(tmp_path / name, items, seed)) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert one == again != other
    assert [entry["id"] for entry in one.values()] == [item.id for item in items]
    assert all(set(entry["letters"].values()) == PRETRAININGS for entry in one.values())
    firsts = [entry["letters"]["a"] for entry in one.values()]
    assert min(firsts.count(p) for p in PRETRAININGS) >= 4  # of 30, if all six orders come


def test_a_picture_shows_the_map_of_its_letter(folder):
    from PIL import Image

    for name, entry in key_of(folder).items():
        for letter, who in entry["letters"].items():
            shown = np.asarray(Image.open(folder / "items" / f"{name}-{letter}.png"))
            alone = np.asarray(Image.open(folder / "items" / f"{name}.png"))
            assert shown.shape == (PIXELS, PIXELS, 3) and not alone.any()
            assert shown.any() == (who == "two")  # heat 0 is clear, heat 1 is the brightest colour


def test_the_hottest_place_is_yellow_and_the_cold_stays_the_image():
    heat = np.zeros((PIXELS, PIXELS))
    heat[0, 0] = 1
    shown = np.asarray(picture(np.full((PIXELS, PIXELS), 100, np.uint8), heat))
    assert shown[-1, -1].tolist() == [100, 100, 100]
    assert shown[0, 0].tolist() == [round(0.4 * 100 + 0.6 * 255 * c) for c in (0.988362, 0.998364, 0.644924)]


def test_nothing_but_the_key_names_a_pretraining(tmp_path):
    folder = rating.create(tmp_path / "s", rating.phantom_items(2, 0, pixels=8), 0)
    files = [p for p in folder.rglob("*") if p.is_file()]
    naming = {p.name for p in files if any(name.encode() in p.read_bytes() for name in PRETRAININGS)}
    assert naming == {"key.json"} and len(files) == 2 + 2 * 4
    assert not [p for p in files if any(name in p.name for name in PRETRAININGS)]


def test_rating_works_without_the_key(folder):
    (folder / "key.json").unlink()
    panel = Panel(folder, "anna")
    panel.hear({"item": "001"})
    panel.rate("a", 4)
    assert rating.Session(folder, "anna").answers() == {("001", "a"): Answer(4)}


def test_a_session_is_kept_with_its_pictures_for_all_raters(folder):
    before = {p.name: p.read_bytes() for p in (folder / "items").iterdir()}
    other_pixels = [flat(f"i{n}", image=np.full((4, 4), 9, np.uint8)) for n in range(4)]
    rating.create(folder, other_pixels, seed=3)
    assert {p.name: p.read_bytes() for p in (folder / "items").iterdir()} == before
    for items, seed in (([flat("new")], 3), ([flat(f"i{n}") for n in range(4)], 4)):
        with pytest.raises(RatingError, match="other items, pretrainings or seed"):
            rating.create(folder, items, seed)


def test_only_sessions_without_peoples_answers_are_replaced(folder):
    rating.simulate(folder, "phantom-1", 0)
    rating.create(folder, [flat("new")], 0, replace=True)
    session = rating.Session(folder, "anna")
    assert session.items == ["001"] and not (folder / "phantom-1.csv").exists()
    session.answer("001", "a", 5)
    with pytest.raises(RatingError, match="answers of anna and is not replaced"):
        rating.create(folder, [flat("x")], 0, replace=True)
    assert list(folder.parent.iterdir()) == [folder], "nothing is left beside it"


def test_another_folder_is_never_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(RatingError, match="no rating session"):
        rating.create(tmp_path / "mine", [flat("x")], 0, replace=True)
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_a_picture_that_was_not_copied(folder):
    (folder / "items" / "001-b.png").unlink()
    with pytest.raises(RatingError, match="not copied whole"):
        Panel(folder, "anna")


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "at least one item"),
        ([flat(one=0.5)], "two or more pretrainings"),
        ([flat("x"), flat("x")], "twice"),
        ([flat("x"), flat("y", one=0, three=0)], r"item y has heat maps of \['one', 'three'\]"),
        ([flat(image=np.zeros((4, 4)))], r"item x: expected an image \[H, W\] of uint8, found \[4, 4\] of float64"),
        ([flat(image=np.zeros((4, 4, 3), np.uint8))], r"found \[4, 4, 3\] of uint8"),
        ([flat(image=np.zeros((5, 4), np.uint8))], r"expected a heat map \[5, 4\]"),
        ([flat(one=0, two=1.5)], "from 0 to 1 for two, found .* from 1.5 to 1.5"),
        ([flat(one=0, two=-0.1)], "from -0.1"),
        ([flat(one=0, two=np.nan)], "to nan"),
    ],
)
def test_items_that_cannot_be_rated(tmp_path, items, message):
    with pytest.raises(RatingError, match=message):
        rating.create(tmp_path / "s", items, 0)
    assert not list(tmp_path.glob("*s*"))


def test_what_is_no_session_or_no_name(folder, tmp_path):
    with pytest.raises(RatingError, match="44_rate_heatmaps makes one"):
        rating.Session(tmp_path / "none", "anna")
    for name in ("", "../anna", "a b", "key.json", "-x", "é"):
        with pytest.raises(RatingError, match="expected letters, digits"):
            rating.Session(folder, name)
        with pytest.raises(RatingError, match="session is"):
            rating.session_folder(name)
    assert rating.session_folder("graz") == paths.runs_root() / "ratings" / "graz"


def test_a_rater_resumes_at_the_first_open_item_and_may_correct(folder):
    session = rating.Session(folder, "anna")
    assert session.open_items() == ["001", "002", "003", "004"]
    for item, letter, value in (("001", "a", 1), ("001", "b", 2), ("002", "a", 3), ("004", "a", 3), ("004", "b", 4)):
        session.answer(item, letter, value, seconds=1.26)
    session.answer("003", "b", None, "only a remark")
    session.answer("001", "a", 5, "corrected")
    again = rating.Session(folder, "anna")
    assert again.open_items() == ["002", "003"] and again.notes == []
    assert again.answers()["001", "a"] == Answer(5, "corrected")
    assert again.answers()["003", "b"] == Answer(None, "only a remark")
    lines = again.file.read_text().splitlines()
    assert lines[0] == "item,letter,rating,remark,seconds,time" and len(lines) == 8  # the first answer is kept
    assert lines[1].startswith("001,a,1,,1.3,2")
    assert rating.Session(folder, "ben").open_items() == session.items, "raters are apart"


@pytest.mark.parametrize("where", [("009", "a"), ("001", "z"), ("", "a")])
def test_an_answer_to_nothing(folder, where):
    with pytest.raises(RatingError, match="expected 001 to 004, a b"):
        rating.Session(folder, "anna").answer(*where, 3)


@pytest.mark.parametrize("value", [0, 6, -1, 2.5, "3"])
def test_a_rating_is_from_1_to_5(folder, value):
    with pytest.raises(RatingError, match="from 1 to 5"):
        rating.Session(folder, "anna").answer("001", "a", value)
    assert not (folder / "anna.csv").exists()


@settings(max_examples=60, deadline=None)
@given(remark=st.text(max_size=40), cut=st.integers(1, 10_000))
def test_a_kill_in_any_byte_loses_the_last_answer_at_most(tmp_path_factory, remark, cut):
    path = tmp_path_factory.mktemp("kill") / "anna.csv"
    for item, value in (("001", 1), ("002", 5)):
        answers.append(path, item, "a", Answer(value, answers.one_line(remark)), 2.0, "2025-01-01T00:00:00+00:00")
    whole = path.read_bytes()
    kept = answers.latest(answers.read(path, ["001", "002"], "a"))
    assert kept["002", "a"] == Answer(5, answers.one_line(remark))
    path.write_bytes(whole[: -(cut % len(whole)) or None])
    left = answers.latest(answers.read(path, ["001", "002"], "a"))
    assert left.items() <= kept.items()
    answers.append(path, "001", "a", Answer(4), 1.0, "2025-01-01T00:00:00+00:00")
    assert answers.latest(answers.read(path, ["001", "002"], "a")) == left | {("001", "a"): Answer(4)}
    assert answers.heal(path) == ""


@given(st.text())
def test_a_remark_is_kept_as_one_clean_line(remark):
    kept = answers.one_line(remark)
    assert answers.one_line(kept) == kept == kept.strip() and kept.isprintable() and "  " not in kept
    assert [c for c in kept if c != " "] == [c for c in remark if c.isprintable() and not c.isspace()]


def test_a_torn_line_is_healed_with_a_note(folder):
    rate_all(rating.Session(folder, "anna"))
    file = folder / "anna.csv"
    whole = file.read_bytes()
    file.write_bytes(whole[:-7])
    session = rating.Session(folder, "anna")
    assert session.open_items() == ["004"]
    assert "open again" in session.notes[0] and "004,b,3" in session.notes[0]
    assert file.read_bytes() == b"\n".join(whole.split(b"\n")[:-2]) + b"\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("letter", "Brief"), "line 1: expected the header"),
        (lambda text: text.replace("002,a,3", "002,a,7"), "line 4: expected a rating from 1 to 5, found '7'"),
        (lambda text: text.replace("002,a,3", "002,q,3"), "line 4: no heat map 'q' of item '002'"),
        (lambda text: text.replace("002,a,3", "02,a,3"), "line 4: no heat map 'a' of item '02'"),
        (lambda text: text.replace(",", ";"), "line 1"),
        (lambda text: text.replace("002,a,3,", "002,a,3"), "line 4: expected 6 values, found 5"),
        (lambda text: text + "\0\0\0\n", "line 10"),
    ],
)
def test_a_file_that_was_edited_is_named_with_its_line(folder, change, message):
    session = rating.Session(folder, "anna")
    rate_all(session)
    session.file.write_text(change(session.file.read_text()))
    with pytest.raises(RatingError, match=message) as caught:
        session.answers()
    assert "anna.csv" in str(caught.value)


def test_windows_line_ends_are_read(folder):
    session = rating.Session(folder, "anna")
    rate_all(session)
    before = session.answers()
    session.file.write_bytes(session.file.read_bytes().replace(b"\n", b"\r\n"))
    assert session.answers() == before


def panel_at(folder: Path, item: str = "001") -> Panel:
    panel = Panel(folder, "anna")
    panel.hear({"item": item})  # the browser shows it
    return panel


def test_keys_rate_one_heat_map_after_the_other(folder):
    panel = panel_at(folder)
    for key in ("4", "2", "q", "9", "ArrowLeft"):
        panel.hear({"item": "001", "key": key})
    assert panel.session.answers() == {("001", "a"): Answer(4), ("001", "b"): Answer(2)}
    assert [b.description for b in panel.maps["a"].buttons.values() if b.button_style] == ["4"]
    panel.hear({"item": "001", "key": "a"})
    panel.hear({"item": "001", "key": "5"})
    assert panel.session.answers()["001", "a"] == Answer(5)
    panel.hear({"item": "001", "key": "ArrowRight"})
    assert panel.item == panel.keys.item == "002" and "Image 2 of 4</b> · 1 of 4 fully rated" in panel.head.value
    assert not any(b.button_style for m in panel.maps.values() for b in m.buttons.values())


def test_what_was_meant_for_the_picture_before_counts_for_nothing(folder):
    panel = panel_at(folder)
    panel.hear({"item": "001", "key": "Enter"})
    panel.hear({"item": "001", "key": "5"})  # typed while 001 was still on the screen
    panel.maps["a"].buttons[5].click()
    panel.hear({"item": "001", "key": "Enter"})
    assert panel.item == "002" and panel.session.answers() == {}
    assert "nothing was saved" in panel.saved.value
    panel.hear({"item": "002"})
    panel.maps["a"].buttons[5].click()
    assert panel.session.answers() == {("002", "a"): Answer(5)}


def test_made_up_names_are_not_for_people(folder):
    with pytest.raises(RatingError, match="made-up answers"):
        Panel(folder, "phantom-1")


def field(panel: Panel, letter: str):
    return panel.maps[letter].box.children[-1]


def test_remarks_stand_beside_the_rating_and_stay_with_their_item(folder):
    panel = panel_at(folder)
    first = field(panel, "b")
    first.value = "cast"
    assert panel.session.answers() == {("001", "b"): Answer(None, "cast")} and "0 of 4 fully" in panel.head.value
    panel.rate("b", 3)
    assert panel.session.answers()["001", "b"] == Answer(3, "cast")
    panel.move(1)
    assert field(panel, "b").value == ""
    first.value = "late"  # from a slow browser
    assert panel.session.answers()["001", "b"] == Answer(3, "late")
    assert ("002", "b") not in panel.session.answers()
    panel.hear({"item": "002"})
    panel.move(-1)
    assert field(panel, "b").value == "late"


def test_the_panel_opens_where_work_is_left_and_says_when_it_is_done(folder):
    session = rating.Session(folder, "anna")
    for item in ("001", "002", "004"):
        for letter in "ab":
            session.answer(item, letter, 3)
    panel = panel_at(folder, "003")
    assert panel.item == "003" and "6 heat maps are answered" in panel.saved.value
    panel.rate("b", 1)
    panel.rate("a", 1)
    assert "All are rated" in panel.head.value
    panel.to_open()
    assert panel.item == "003"
    assert Panel(folder, "anna").item == "004", "done: it opens at the last one"
    panel.move(1)
    panel.hear({"item": "004"})
    panel.move(1)
    assert panel.item == "004"


def test_a_full_disk_is_said_in_red_and_nothing_is_shown_as_saved(folder, monkeypatch):
    panel = panel_at(folder)
    monkeypatch.setattr(answers, "append", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    panel.rate("a", 4)
    assert "NOT SAVED" in panel.saved.value and "No space left" in panel.saved.value and "#d55e00" in panel.saved.value
    assert panel.answers == {} and not panel.maps["a"].buttons[4].button_style and panel.framed == "a"


def test_the_panel_holds_no_name_of_a_pretraining(tmp_path):
    from ipywidgets import Widget

    folder = rating.create(tmp_path / "s", rating.phantom_items(1, 0, pixels=8), 0)
    panel = panel_at(folder)
    panel.rate("a", 1)
    states = [panel.box, *panel.box.children, *panel.maps["a"].box.children]
    found, todo = [], list(states)
    while todo:
        widget = todo.pop()
        found.append(repr(widget.get_state()))
        todo += [c for c in getattr(widget, "children", ()) if isinstance(c, Widget) and c not in states]
    assert len(found) > 20 and not [s for s in found if any(name in s for name in PRETRAININGS)]


def test_phantom_raters_answer_all_repeatably_and_follow_the_effects(tmp_path):
    folder = rating.create(tmp_path / "s", rating.phantom_items(20, 0, pixels=8), 0)
    effects = {"radiologynet": 1.5}
    ratings = {}
    for name in ("phantom-1", "phantom-2"):
        rating.simulate(folder, name, 7, effects)
        ratings[name] = rating.Session(folder, name).answers()
        rating.simulate(folder, name, 7, effects)
        assert rating.Session(folder, name).answers() == ratings[name]
        assert len(ratings[name]) == 60 and {a.remark for a in ratings[name].values()} == {"phantom rating"}
    assert ratings["phantom-1"] != ratings["phantom-2"]
    key = key_of(folder)
    mean = {
        p: np.mean(
            [a.rating for (item, letter), a in ratings["phantom-1"].items() if key[item]["letters"][letter] == p]
        )
        for p in PRETRAININGS
    }
    assert mean["radiologynet"] > 0.7 + max(mean["scratch"], mean["imagenet"])
    with pytest.raises(RatingError, match="begins with 'phantom'"):
        rating.simulate(folder, "anna", 0)
