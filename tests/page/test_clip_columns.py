"""What is drawn of a clip: curves, spans, bands, images and sounds, held to the numbers they show."""

from __future__ import annotations

import dataclasses
import io
import json

import numpy as np
import pytest
import soundfile as sf

from preprocess.page.audio_embed import embed_sound
from preprocess.page.clip_columns import (
    ENVELOPE_POINTS,
    clip_columns,
    curve,
    envelope,
    label_names,
    spans,
)
from preprocess.page.clip_columns import value_range as shown_range
from preprocess.page.clip_json import clip_json
from preprocess.page.frame_times import frame_times
from preprocess.page.spectrogram import ROWS, hertz, mel, spectrogram
from preprocess.sidecar.parameters import check_parameter
from preprocess.tokens.frames import frame_starts_s
from preprocess.tokens.specs import CODECS
from tests.helpers.shown import clip, parameter, ramp, steps, tokens


def made(values, **more):
    return check_parameter("x", {"values": values, **more})


def test_a_curve_is_level_over_each_frame_from_its_start_on():
    four = tokens("encodec_24khz", 4 * 320)
    drawn = curve(made([1, 2, np.nan, 4]), frame_times(four))
    starts = frame_starts_s(four.audio_length, four.header.spec)
    np.testing.assert_array_equal(drawn["x"][::2], starts)
    np.testing.assert_array_equal(drawn["x"][1::2], [*starts[1:], 4 * 320 / 24_000])
    np.testing.assert_array_equal(drawn["y"], [1, 1, 2, 2, np.nan, np.nan, 4, 4])


def test_a_circular_curve_is_broken_where_it_goes_around():
    four = tokens("encodec_24khz", 4 * 320)
    drawn = curve(made([350, 10, 20, 340], kind="circular", units="deg"), frame_times(four))
    np.testing.assert_array_equal(drawn["y"], [350, 350, np.nan, 10, 10, 20, 20, np.nan, 340, 340])
    assert (np.diff(drawn["x"]) >= 0).all()


def test_frames_that_a_later_segment_covers_are_not_drawn():
    two = tokens("encodec_48khz", 60_000)
    times = frame_times(two)
    # Segment 0 has 150 frames, the last of which starts 160 samples after segment 1 does.
    assert two.segment_frames == (150, 39)
    assert list(times.frames[147:151]) == [147, 148, 150, 151]
    assert times.ends[148] == times.starts[149] == 0.99
    assert (np.diff(times.starts) > 0).all() and (times.ends[:-1] <= times.starts[1:]).all()
    drawn = curve(made(np.arange(189.0)), times)
    assert 149 not in drawn["y"] and (np.diff(drawn["x"]) >= 0).all()


def test_large_numbers_that_differ_little_keep_their_differences():
    times = frame_times(tokens("encodec_24khz", 2 * 320))
    drawn = curve(made([1e9, 1e9 + 1]), times)
    assert drawn["y"][2] - drawn["y"][0] == 1


def test_spans_are_runs_of_a_label_with_its_name():
    six = frame_times(tokens("encodec_24khz", 6 * 320))
    mode = made([0, 0, 1, np.nan, 1, 7], kind="categorical", doc_string="Mode (0 soft, 1 loud)")
    drawn = spans(mode, six)
    assert drawn["label"] == [0, 1, 1, 7] and drawn["text"] == ["soft", "loud", "loud", "7"]
    np.testing.assert_allclose(drawn["left"] * 75, [0, 2, 4, 5])
    np.testing.assert_allclose(drawn["right"] * 75, [2, 3, 5, 6])


@pytest.mark.parametrize(
    ("doc_string", "names"),
    [
        ("(0 guitar, 1 percussion)", {0: "guitar", 1: "percussion"}),
        ("of its range (0 to 1)", {}),
        ("(1 one, 2 two)", {}),
        ("", {}),
    ],
)
def test_names_of_labels_are_those_that_are_listed(doc_string, names):
    assert label_names(made([0.0], kind="categorical", doc_string=doc_string)) == names


def test_an_envelope_has_the_extremes_of_all_channels():
    wave = np.zeros((2, 100_000), np.float32)
    wave[0, 31_234], wave[1, 77_777] = 0.9, -0.8
    drawn = envelope(wave, 4.0)
    assert drawn["high"].max() == np.float32(0.9) and drawn["low"].min() == np.float32(-0.8)
    at = drawn["x"][drawn["high"].argmax()]
    assert at <= 31_234 / 25_000 < at + 4 / ENVELOPE_POINTS
    assert drawn["x"][-1] == 4.0


def test_a_spectrogram_has_a_tone_at_its_place_and_level():
    wave = steps([1000.0, 4000.0], level=0.5)
    drawn = spectrogram(wave, 24_000)
    (image,) = drawn["image"]
    rows = image[:, [image.shape[1] // 4, 3 * image.shape[1] // 4]].argmax(axis=0)
    tops = hertz((rows + 1) * mel(12_000) / ROWS)
    bottoms = hertz(rows * mel(12_000) / ROWS)
    assert (bottoms <= [1000, 4000]).all() and (tops >= [1000, 4000]).all()
    assert drawn["peak_db"][0] == pytest.approx(20 * np.log10(0.5), abs=3)


@pytest.mark.parametrize("model", CODECS)
def test_every_codec_is_drawn_and_heard(model):
    spec = CODECS[model]
    sound = np.repeat(ramp(1.3, spec.sample_rate), spec.channels, axis=0)
    made_clip = clip(model, 1.3, {}, {"decoded": sound}, model)
    found = clip_json(made_clip, "0")
    assert sum(found["segments"]["frames"]) == made_clip.tokens.codes.shape[1]
    images = clip_columns(made_clip)["tokens"]["image"]
    np.testing.assert_array_equal(np.concatenate(images, axis=1), made_clip.tokens.codes)
    assert found["sounds"][0]["mime"] == "audio/flac"


def test_an_original_is_played_at_the_level_of_the_decoded_sound():
    wave = steps([500.0])
    found = clip_json(clip(seconds=1, sounds={"original": 4 * wave, "decoded": wave}), "0")
    # The original passes full scale, so that it is stored more quietly, and played louder.
    original, decoded = found["sounds"]
    assert decoded["gain"] == 1
    stored = 0.999 / (4 * np.abs(wave).max())
    assert original["gain"] * stored == pytest.approx(0.25, rel=1e-5)


def test_small_sounds_are_exact_and_large_ones_are_small():
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 30 * 48_000)).astype(np.float32)
    short = embed_sound(noise[:1, :24_000], 24_000)
    assert short.mime == "audio/flac"
    back, rate = sf.read(io.BytesIO(short.data), dtype="float32")
    assert rate == 24_000 and np.abs(back - noise[0, :24_000]).max() <= 1 / 32_768
    long = embed_sound(noise, 48_000)
    assert long.mime == "audio/ogg" and len(long.data) < 1_000_000
    assert sf.info(io.BytesIO(long.data)).frames == noise.shape[1]


def test_a_range_that_is_declared_is_in_view_with_the_values():
    low, high = shown_range(made([0.0, 12.0], min=-10, max=10))
    assert low < -10 and 12 < high < 14
    assert shown_range(made([np.nan])) != (0, 0)
    low, high = shown_range(made([5.0, 5.0]))
    assert low < 5 < high


def test_what_is_written_of_parameters():
    values = parameter("f0", [np.nan, 440.0, 220.0], units="Hz", nan="unvoiced", min=50, max=500)
    values |= parameter("mode", [1, 1, 2], kind="categorical")
    found = clip_json(clip(seconds=3 / 75, parameters=values), "0")["parameters"]
    assert found[0] == {
        "name": "f0", "unit": "Hz", "kind": "continuous", "declared": "50 to 500",
        "min": 220.0, "mean": 330.0, "max": 440.0, "std": 110.0, "missing": "1 of 3",
        "meaning": "NaN: unvoiced",
    }  # fmt: skip
    assert found[1]["mean"] is None and found[1]["kind"] == "categorical"


@pytest.mark.parametrize("level", [0.05, 0.1, 0.5])
def test_a_clip_of_30_s_takes_less_than_4_mb(level):
    """Of noise, which no codec of sound makes small, and with twenty parameters."""
    rng = np.random.default_rng(0)
    noise = rng.uniform(-level, level, (1, 30 * 24_000)).astype(np.float32)
    values = {}
    for index in range(20):
        values |= parameter(f"p{index}", rng.standard_normal(30 * 75))
    full = clip("noise", 30, values, {"original": noise, "decoded": noise})
    full = dataclasses.replace(full, tokens=tokens("encodec_24khz", 30 * 24_000, 32))
    assert len(json.dumps(clip_json(full, "0"))) < 4_000_000
