"""A page of clips on a phone: fingers tap, move, pinch and select."""

from __future__ import annotations

import pytest

from tests.helpers.browser import opened, rewind, wait
from tests.helpers.shown import clip, ramp, write_page

PHONE = {"has_touch": True, "is_mobile": True, "size": (844, 390)}


class Fingers:
    """Fingers on a screen, by Chromium's own protocol."""

    def __init__(self, page) -> None:
        self._send = page.context.new_cdp_session(page).send

    def touch(self, kind: str, *points: tuple[float, float]) -> None:
        """Send an event: `Start`, `Move` or `End`, with where the fingers are."""
        fingers = [{"x": x, "y": y, "id": index} for index, (x, y) in enumerate(points)]
        self._send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": fingers})

    def drag(self, *paths: tuple[float, float], y: float, steps: int = 8) -> None:
        """Move fingers, each from one x to another."""
        for step in range(steps + 1):
            at = [(a + (b - a) * step / steps, y) for a, b in paths]
            self.touch("Move" if step else "Start", *at)
        self.touch("End")


@pytest.fixture(scope="module")
def _phone(browser, tmp_path_factory):
    path = write_page(
        tmp_path_factory.mktemp("page") / "page.html", clip(sounds={"decoded": ramp(4)})
    )
    with opened(browser, path, **PHONE) as page:
        yield page


@pytest.fixture
def phone(_phone):
    """A page that shows the middle of a clip of 4 s."""
    rewind(_phone)
    _phone.evaluate("EncHF.page.view.setView(1, 3)")
    return _phone


def view(page) -> list[float]:
    return list(page.evaluate("EncHF.page.view.stage.view"))


def wave_y(page) -> float:
    box = page.locator(".track.wave .plot").bounding_box()
    return float(box["y"] + box["height"] / 2)


def test_the_tracks_are_in_view_on_a_phone_held_sideways(phone):
    assert wave_y(phone) < 250
    assert phone.evaluate("document.documentElement.scrollWidth") == 844


def test_a_finger_that_moves_moves_the_view(phone):
    _, width = phone.evaluate("EncHF.page.view.frame()")
    Fingers(phone).drag((500, 500 - width / 4), y=wave_y(phone))
    assert view(phone) == pytest.approx([1.5, 3.5], abs=0.05)
    assert phone.evaluate("EncHF.page.player.loop") is None
    assert not phone.evaluate("EncHF.page.player.playing")


def test_a_tap_plays_from_there(phone):
    box = phone.locator(".track.wave .plot").bounding_box()
    phone.touchscreen.tap(box["x"] + box["width"] / 2, wave_y(phone))
    wait(phone, "EncHF.page.player.playing")
    at = phone.evaluate("x => EncHF.page.view.timeAt(x)", box["x"] + box["width"] / 2)
    assert phone.evaluate("EncHF.page.player.from") == pytest.approx(at, abs=0.02)


def test_two_fingers_zoom(phone):
    Fingers(phone).drag((450, 350), (550, 650), y=wave_y(phone))
    start, end = view(phone)
    assert end - start == pytest.approx(2 / 3, rel=0.1)


def test_a_finger_selects_when_select_is_pressed(phone):
    phone.get_by_text("Select", exact=True).tap()
    from_, to = (phone.evaluate("t => EncHF.page.view.place(t)", t) for t in (1.5, 2.25))
    edge = phone.evaluate("EncHF.page.view.tracks.getBoundingClientRect().left")
    Fingers(phone).drag((from_ + edge, to + edge), y=wave_y(phone))
    assert phone.evaluate("EncHF.page.player.loop") == pytest.approx([1.5, 2.25], abs=0.02)
    assert view(phone) == [1, 3]
