"""Clips that are unlike others are shown all the same: in a browser, and by what is said of them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.browser import opened, wait
from tests.helpers.shown import clip, parameter, ramp, write_page


def shown(page) -> set[str]:
    """Return the tracks that are visible."""
    rows = page.evaluate(
        "Object.entries(EncHF.page.view.rows).map(([name, e]) => [name, e.offsetHeight])"
    )
    return {name for name, height in rows if height > 0}


def test_a_clip_without_sidecar_and_sound_shows_its_tokens(browser, tmp_path):
    bare = clip(parameters={}).with_note("no sidecar").with_note("no decoded sound: no weights")
    with opened(browser, write_page(tmp_path / "page.html", bare)) as page:
        assert shown(page) == {"ruler", "tokens"}
        assert page.locator(".notes li").all_inner_texts() == list(bare.notes)
        assert page.get_by_label("Play (Space)").is_disabled()
        page.keyboard.press("ArrowRight")
        assert page.evaluate("EncHF.page.player.time()") == pytest.approx(4 / 50)


def test_a_parameter_that_is_all_nan_is_one_band(browser, tmp_path):
    empty = parameter("pitch", np.full(300, np.nan), units="Hz", nan="unvoiced")
    with opened(browser, write_page(tmp_path / "page.html", clip(parameters=empty))) as page:
        columns = page.evaluate(
            "(({left, right}) => [[...left], [...right]])(EncHF.page.view.stage.columns('missing:pitch'))"
        )
        assert columns == [[0], [4]]
        assert page.locator(".track.curve .value").inner_text() == "NaN"
        cells = page.locator("table tbody td").all_inner_texts()
        assert "300 of 300" in cells and "NaN: unvoiced" in cells


def test_a_clip_of_one_frame_plays(browser, tmp_path):
    short = clip("short", 300 / 24_000, parameter("x", [0.5]), {"decoded": ramp(300 / 24_000)})
    with opened(browser, write_page(tmp_path / "page.html", short)) as page:
        assert shown(page) == {"ruler", "wave", "spectrogram", "curve:x", "tokens"}
        page.evaluate("EncHF.page.player.play()")
        wait(page, "!EncHF.page.player.playing")
        assert page.evaluate("EncHF.page.player.time()") == 300 / 24_000
        assert page.locator(".track.curve .value").inner_text() == "0.5"


def test_a_silent_clip_has_an_empty_picture(browser, tmp_path):
    silent = clip(sounds={"original": 0 * ramp(4), "decoded": 0 * ramp(4)})
    with opened(browser, write_page(tmp_path / "page.html", silent)) as page:
        assert (
            page.evaluate(
                "Math.max(...EncHF.page.view.stage.columns('spectrogram:decoded').image[0])"
            )
            == 0
        )
        assert page.evaluate("EncHF.page.player.sounds.map((s) => s.gain)") == [1, 1]


def test_a_long_clip_is_decimated_and_says_so(browser, tmp_path):
    frames = 13_000
    spike = np.zeros(frames)
    spike[9_001] = 9.0
    long = clip("long", frames / 75, parameter("spike", spike))
    with opened(browser, write_page(tmp_path / "page.html", long)) as page:
        assert "every 2nd frame" in page.locator(".notes li").inner_text()
        image = page.evaluate("EncHF.page.view.stage.columns('tokens').image[0].shape")
        assert image == [4, frames / 2]
        # No value is lost: what is drawn has the least and the greatest of each two.
        assert page.evaluate("Math.max(...EncHF.page.view.stage.columns('curve:spike').y)") == 9
        page.evaluate("EncHF.page.player.seek(9001.5 / 75)")
        assert page.locator(".track.curve .value").inner_text() == "0 to 9"


def test_the_sound_of_a_long_clip_is_played_as_it_is_decoded(browser, tmp_path, monkeypatch):
    monkeypatch.setattr("preprocess.page.audio_embed.MOST_FLAC_BYTES", 1 << 30)  # Opus takes long
    long = clip("long", 700, sounds={"original": ramp(700) / 2, "decoded": ramp(700)})
    with opened(browser, write_page(tmp_path / "page.html", long)) as page:
        page.evaluate("EncHF.page.player.seek(600)")
        page.keyboard.press("Space")
        wait(page, "EncHF.page.player.time() > 600.2")
        page.keyboard.press("a")
        wait(page, "EncHF.page.player.time() > 600.4")
        assert page.evaluate("EncHF.page.player.time()") < 605
        volumes = page.evaluate(
            "EncHF.page.player.sounds.map((s) => [s.element.paused, s.element.volume])"
        )
        assert volumes == [[False, 1], [True, 0.5]]
        page.evaluate("EncHF.page.player.setLoop([300, 300.3])")
        page.wait_for_timeout(500)
        assert 299.9 < page.evaluate("EncHF.page.player.time()") < 300.5
        page.keyboard.press("Space")
        assert not page.evaluate("EncHF.page.player.playing")


def test_frames_of_segments_lie_where_the_codec_has_them(browser, tmp_path):
    with_segments = clip("stereo", 3, {}, model="encodec_48khz")
    frames = with_segments.tokens.codes.shape[1]
    values = with_segments.with_parameters(parameter("index", np.arange(float(frames))))
    with opened(browser, write_page(tmp_path / "page.html", values)) as page:
        for seconds, frame in ((0.5, 75), (0.991, 150), (1.98 + 10.5 / 150, 310)):
            page.evaluate("t => EncHF.page.player.seek(t)", seconds)
            assert page.locator(".track.tokens .value").inner_text() == f"frame {frame}"
            assert page.locator(".track.curve .value").inner_text() == str(frame)
        columns = page.evaluate(
            """(({x, width, image}) => [[...x], [...width], image.map((i) => i.shape[1])])
               (EncHF.page.view.stage.columns('tokens'))"""
        )
        assert columns[0] == pytest.approx([0, 0.99, 1.98, 2.97])
        assert columns[1] == pytest.approx([1, 1, 1, 5 / 150]) and columns[2] == [150, 150, 150, 5]


def test_a_sample_is_said_to_be_one(browser, tmp_path):
    path = write_page(tmp_path / "page.html", clip("a"), clip("b"), total=5000)
    with opened(browser, path, "#clip=b") as page:
        assert page.locator(".count").inner_text() == "2 of 2, a sample of 5,000"
