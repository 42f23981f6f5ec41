"""A page of clips in a real browser: what is clicked is heard, and what is shown is so."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess.page import show
from tests.helpers.browser import opened, rewind, wait
from tests.helpers.shown import clip, parameter, ramp, steps, write_page

FRAME_S = 1 / 75
TONES = [400.0, 700.0, 1000.0, 1300.0]
OTHER_TONES = [550.0, 850.0, 1150.0, 1450.0]


def x_of(page, seconds: float) -> float:
    """Return where a time is on the screen."""
    place = (
        "([t]) => EncHF.page.view.place(t) + EncHF.page.view.tracks.getBoundingClientRect().left"
    )
    return float(page.evaluate(place, [seconds]))


def click(page, track: str, seconds: float) -> None:
    """Click a track at a time."""
    box = page.locator(f".track.{track} .plot").bounding_box()
    page.mouse.click(x_of(page, seconds), box["y"] + box["height"] / 2)


def playhead(page) -> float:
    """Return the time that the playhead's place on the screen stands for."""
    box = page.locator(".playhead").bounding_box()
    return float(page.evaluate("x => EncHF.page.view.timeAt(x)", box["x"] + box["width"] / 2))


def heard_hz(page) -> float:
    """Return the frequency of what is played now."""
    return float(
        page.evaluate(
            """() => {
              const levels = new Float32Array(probe.frequencyBinCount);
              probe.getFloatFrequencyData(levels);
              return levels.indexOf(Math.max(...levels)) * probe.context.sampleRate / probe.fftSize;
            }"""
        )
    )


def heard_level(page) -> float:
    """Return the RMS of what is played now."""
    return float(
        page.evaluate(
            """() => {
              const samples = new Float32Array(probe.fftSize);
              probe.getFloatTimeDomainData(samples);
              return Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
            }"""
        )
    )


def view(page) -> list[float]:
    return list(page.evaluate("EncHF.page.view.stage.view"))


@pytest.fixture(scope="module")
def _silent(browser, tmp_path_factory):
    path = write_page(tmp_path_factory.mktemp("page") / "page.html", clip())
    with opened(browser, path) as page:
        yield page


@pytest.fixture
def silent(_silent):
    """A clip of 4 s without sound: its position stays where it is put."""
    rewind(_silent)
    return _silent


@pytest.fixture(scope="module")
def _tones(browser, tmp_path_factory):
    sounds = {"original": steps(TONES), "decoded": steps(OTHER_TONES, level=0.15)}
    path = write_page(tmp_path_factory.mktemp("page") / "page.html", clip(sounds=sounds))
    with opened(browser, path) as page:
        yield page


@pytest.fixture
def tones(_tones):
    """A clip with another tone each second, at half the level where it is decoded."""
    rewind(_tones)
    return _tones


@pytest.mark.parametrize("track", ["ruler", "curve", "tokens"])
def test_a_click_moves_the_playhead_there_within_a_frame(silent, track):
    for seconds in (0.5, 3.21):
        click(silent, track, seconds)
        assert abs(playhead(silent) - seconds) < FRAME_S
        assert abs(silent.evaluate("EncHF.page.player.time()") - seconds) < FRAME_S


def test_what_sounds_is_the_sound_at_that_time(tones):
    for second in (2, 0, 3):
        click(tones, "wave", second + 0.2)
        tones.wait_for_timeout(350)
        at = tones.evaluate("EncHF.page.player.time()")
        assert second + 0.3 < at < second + 1
        assert heard_hz(tones) == pytest.approx(OTHER_TONES[second], abs=15)


def test_the_cursor_is_within_20_ms_of_the_sound(browser, tmp_path):
    page_path = write_page(tmp_path / "page.html", clip(sounds={"decoded": ramp(4)}))
    with opened(browser, page_path) as page:
        page.evaluate("EncHF.page.player.play(1.0)")
        page.wait_for_timeout(300)
        lags = page.evaluate(
            """async () => {
              const player = EncHF.page.player, samples = new Float32Array(probe.fftSize), lags = [];
              for (let i = 0; i < 20; i++) {
                await new Promise((r) => requestAnimationFrame(r));
                EncHF.page.view.placed(); // what the page does in each frame
                probe.getFloatTimeDomainData(samples);
                const rendered = samples[samples.length - 1] / 0.9 * 4;
                // What the graph has made now comes out of the loudspeaker that much later.
                const queued = player.context.currentTime - player.heard();
                const drawn = Number(EncHF.page.view.playhead.dataset.time);
                lags.push(drawn - (rendered - queued));
              }
              return lags;
            }"""
        )
    # A process that waits for others between two readings of the clock is late itself, now and then.
    assert np.quantile(np.abs(lags), 0.75) < 0.020, lags


def test_the_other_sound_goes_on_at_the_same_position_and_level(tones):
    click(tones, "wave", 1.1)
    tones.wait_for_timeout(250)
    level = heard_level(tones)
    assert heard_hz(tones) == pytest.approx(OTHER_TONES[1], abs=15)
    before = tones.evaluate("EncHF.page.player.time()")
    tones.keyboard.press("a")
    tones.wait_for_timeout(200)
    after = tones.evaluate("EncHF.page.player.time()")
    assert 0.15 < after - before < 0.45
    assert heard_hz(tones) == pytest.approx(TONES[1], abs=15)
    assert heard_level(tones) == pytest.approx(level, rel=0.02)
    pressed = tones.locator(".sounds button[aria-pressed=true]")
    assert pressed.all_inner_texts() == ["Original"]


def test_space_and_arrows(tones):
    tones.keyboard.press("Space")
    wait(tones, "EncHF.page.player.playing")
    tones.keyboard.press("Space")
    assert not tones.evaluate("EncHF.page.player.playing")
    tones.evaluate("EncHF.page.player.seek(2)")
    tones.keyboard.press("ArrowRight")
    assert tones.evaluate("EncHF.page.player.time()") == pytest.approx(2 + 4 / 50)
    tones.keyboard.press("Shift+ArrowLeft")
    assert tones.evaluate("EncHF.page.player.time()") == pytest.approx(2 + 4 / 50 - FRAME_S)
    tones.keyboard.press("End")
    assert tones.evaluate("EncHF.page.player.time()") == 4
    tones.keyboard.press("Home")
    assert tones.evaluate("EncHF.page.player.time()") == 0


def test_a_selection_is_looped(tones):
    box = tones.locator(".track.wave .plot").bounding_box()
    y = box["y"] + 40
    tones.mouse.move(x_of(tones, 1.0), y)
    tones.mouse.down()
    tones.mouse.move(x_of(tones, 1.2), y, steps=4)
    tones.mouse.move(x_of(tones, 1.4), y, steps=4)
    tones.mouse.up()
    loop = tones.evaluate("EncHF.page.player.loop")
    assert loop == pytest.approx([1.0, 1.4], abs=FRAME_S)
    assert tones.locator(".region").is_visible()
    tones.keyboard.press("Space")
    for _ in range(6):
        tones.wait_for_timeout(170)
        assert loop[0] - 0.02 <= tones.evaluate("EncHF.page.player.time()") <= loop[1] + 0.02
        assert heard_hz(tones) == pytest.approx(OTHER_TONES[1], abs=15)
    tones.keyboard.press("Escape")
    assert tones.evaluate("EncHF.page.player.loop") is None
    assert not tones.locator(".region").is_visible()


def test_zoom_and_move_are_shared_by_all_tracks(tones):
    box = tones.locator(".track.curve .plot").bounding_box()
    tones.mouse.move(x_of(tones, 3.0), box["y"] + 30)
    tones.keyboard.down("Control")
    tones.mouse.wheel(0, -300)
    tones.keyboard.up("Control")
    tones.wait_for_timeout(50)
    start, end = view(tones)
    assert end - start == pytest.approx(4 / np.e, rel=0.05)
    assert start < 3 < end
    ranges = tones.evaluate(
        """() => EncHF.page.view.clip.tracks.map(({name}) => {
             const range = EncHF.page.view.stage.figure(name).x_range;
             return [range.start, range.end]; })"""
    )
    assert all(each == [start, end] for each in ranges) and len(ranges) == 5
    tones.keyboard.down("Shift")
    tones.mouse.wheel(0, -200)
    tones.keyboard.up("Shift")
    tones.wait_for_timeout(50)
    moved = view(tones)
    assert moved[0] < start and moved[1] - moved[0] == pytest.approx(end - start)
    tones.keyboard.press("0")
    assert view(tones) == [0, 4]


def test_plots_of_all_tracks_begin_and_end_at_one_place(browser, tmp_path):
    values = {**parameter("large", np.linspace(123_456_789, 123_456_790, 300))}
    values |= parameter("small", np.linspace(1e-30, 2e-30, 300)) | parameter(
        "kind", np.ones(300), kind="categorical"
    )
    path = write_page(tmp_path / "page.html", clip(parameters=values, sounds={"decoded": ramp(4)}))
    boxes = """EncHF.page.view.clip.tracks.map(({name}) => {
                 const {left, width} = EncHF.page.view.stage.box(name);
                 return `${left} ${width}`; })"""
    with opened(browser, path) as page:
        wait(page, f"new Set({boxes}).size === 1")
        assert len(page.evaluate(boxes)) == 7


def test_values_under_the_pointer_are_said(browser, tmp_path):
    values = parameter("ramp", np.arange(300.0)) | parameter(
        "mode", np.repeat([0, 1], 150), kind="categorical", doc_string="(0 soft, 1 loud)"
    )
    with opened(browser, write_page(tmp_path / "page.html", clip(parameters=values))) as page:
        box = page.locator(".track.tokens .plot").bounding_box()
        page.mouse.move(
            x_of(page, (200 + 0.5) * FRAME_S), box["y"] + 5 + 0.3 * (box["height"] - 10)
        )
        assert page.locator(".track.curve .value").inner_text() == "200"
        assert page.locator(".track.spans .value").inner_text() == "1 loud"
        # The second of four codebooks, whose codes are 7 ahead of the first's.
        assert page.locator(".track.tokens .value").inner_text() == "frame 200, codebook 2: 207"


def test_a_curve_is_switched_off_and_on(silent):
    box = silent.locator(".switches label", has_text="ramp").locator("input")
    assert silent.locator(".track.curve").is_visible()
    box.uncheck()
    assert not silent.locator(".track.curve").is_visible()
    box.check()
    assert silent.locator(".track.curve").is_visible()


def test_the_address_holds_the_moment_and_restores_it(browser, tmp_path):
    sounds = {"original": steps(TONES), "decoded": steps(OTHER_TONES)}
    name = "a/the #2 & more"
    path = write_page(tmp_path / "page.html", clip("first"), clip(name, sounds=sounds))
    with opened(browser, path, "#clip=a%2Fthe+%232+%26+more&t=1.234&x=1-3&sound=original") as page:
        assert page.evaluate("EncHF.page.view.clip.id") == name
        assert page.evaluate("EncHF.page.player.time()") == 1.234
        assert view(page) == [1, 3]
        assert page.evaluate("EncHF.page.player.chosen") == "original"
        assert abs(playhead(page) - 1.234) < FRAME_S
        page.evaluate("EncHF.page.player.seek(2.5)")
        wait(page, "location.hash.includes('t=2.500')")
        moment = page.evaluate("EncHF.readMoment(location.hash)")
        assert moment == {"clip": name, "t": 2.5, "x": [1, 3], "sound": "original"}
        page.evaluate("location.hash = '#clip=first&t=0.5'")
        wait(page, "EncHF.page.view.clip.id === 'first' && EncHF.page.player.time() === 0.5")


@pytest.mark.parametrize("fragment", ["#clip=no&t=-1&x=5-2", "#t=1e9&x=a-b", "#%%%"])
def test_an_address_that_makes_no_sense_shows_the_first_clip(browser, tmp_path, fragment):
    with opened(browser, write_page(tmp_path / "page.html", clip("first")), fragment) as page:
        assert page.evaluate("EncHF.page.view.clip.id") == "first"
        assert view(page) == [0, 4]


HOSTILE = (
    "</script><script>alert(1)</script>",
    "\"'><img src=x onerror=alert(2)>",
    "\u202egnp.\u05d0\u05d1 \U0001f3bb<!--",
    "\u2028${alert(3)}\\u0022",
)


def test_hostile_names_are_shown_as_they_are_and_run_nothing(browser, tmp_path):
    text = HOSTILE[0]
    values = parameter("level", np.zeros(300), units=text, doc_string=HOSTILE[1])
    clips = [clip(name, parameters=values).with_note(name) for name in HOSTILE]
    with opened(browser, write_page(tmp_path / "page.html", *clips, title=text)) as page:
        assert page.title() == text
        assert page.evaluate(
            "Array.from(document.querySelector('select').options, o => o.textContent)"
        ) == list(HOSTILE)
        for index, name in enumerate(HOSTILE):
            page.evaluate("i => EncHF.page.open(i)", index)
            assert page.locator(".notes li").first.evaluate("e => e.textContent") == name
            assert page.locator(".track.curve .unit").evaluate("e => e.textContent") == text
        assert page.evaluate("document.images.length") == 0


def test_dark_and_light(browser, tmp_path):
    path = write_page(tmp_path / "page.html", clip())
    look = """() => [getComputedStyle(document.body).backgroundColor,
                     EncHF.page.view.stage.figure('ruler').above[0].major_label_text_color]"""
    with opened(browser, path, color_scheme="dark") as page:
        assert page.evaluate(look) == ["rgb(24, 27, 32)", "#c9ced6"]
        page.get_by_label("Switch between dark and light").click()
        assert page.evaluate(look) == ["rgb(255, 255, 255)", "#33373d"]


def test_controls_have_names_and_are_reached_by_the_keyboard(tones):
    names = tones.evaluate(
        """() => [...document.querySelectorAll('button, select, input, [tabindex]')].map((e) =>
             e.getAttribute('aria-label') || e.textContent.trim() || e.closest('label')?.textContent.trim())"""
    )
    assert all(names) and len(names) > 12
    reached = set()
    for _ in range(len(names) + 4):
        tones.keyboard.press("Tab")
        reached.add(
            tones.evaluate(
                "document.activeElement.getAttribute('aria-label') || document.activeElement.tagName"
            )
        )
    assert {"Clip", "Play (Space)", "Position in the clip"} <= reached


def test_a_part_of_the_waveform_is_drawn_sample_by_sample(browser, tmp_path):
    rng = np.random.default_rng(3)
    noise = rng.uniform(-0.5, 0.5, (1, 96_000)).astype(np.float32)
    path = write_page(tmp_path / "page.html", clip(sounds={"decoded": noise}))
    with opened(browser, path) as page:
        drawn = "(({x, low}) => [[...x], [...low]])(EncHF.page.view.stage.columns('wave:decoded'))"
        whole = page.evaluate(drawn)
        page.evaluate("EncHF.page.view.setView(1.5, 1.52)")
        wait(page, "EncHF.page.view.stage.columns('wave:decoded').x.length < 500")
        x, low = page.evaluate(drawn)
        at = np.arange(36_000, 36_000 + len(x))
        np.testing.assert_allclose(x, at / 24_000)
        np.testing.assert_allclose(low, noise[0, at], atol=2 / 32_768)
        assert len(x) == 481
        page.keyboard.press("0")
        wait(page, "EncHF.page.view.stage.columns('wave:decoded').x.length > 500")
        assert page.evaluate(drawn) == whole


def test_opus_is_played_without_delay(browser, tmp_path, monkeypatch):
    monkeypatch.setattr("preprocess.page.audio_embed.MOST_FLAC_BYTES", 0)
    burst = np.zeros((1, 96_000), np.float32)
    burst[0, 48_000:48_240] = 0.8 * np.sin(np.arange(240) * 0.3)
    path = write_page(tmp_path / "page.html", clip(sounds={"decoded": burst}))
    with opened(browser, path) as page:
        samples = page.evaluate(
            "(b => [b.sampleRate, b.length, [...b.getChannelData(0)]])(EncHF.page.player.sounds[0].buffer)"
        )
    assert samples[0] == 24_000 and abs(samples[1] - 96_000) < 480
    heard = np.array(samples[2][:96_000])
    near = heard[47_000:50_000]
    lag = np.correlate(near, burst[0, 47_000:50_000], "full").argmax() - (len(near) - 1)
    assert abs(lag) < 24  # a millisecond


def test_a_notebook_shows_the_page_in_a_frame(browser, tmp_path, token_folder):
    frame = show(token_folder, "b/one").data
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><title>notebook</title>{frame}")
    wrong = []
    page = browser.new_page()
    page.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else 0)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(path.as_uri())
    (inner,) = page.frames[1:]
    wait(inner, "Boolean(window.EncHF?.page?.view.stage)")
    inner.locator(".track.tokens .plot").click(position={"x": 200, "y": 50})
    wait(inner, "EncHF.page.player.playing || EncHF.page.player.time() > 0")
    inner.evaluate("EncHF.page.player.pause()")
    page.wait_for_timeout(400)
    page.close()
    assert not wrong, wrong
