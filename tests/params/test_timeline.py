"""A curve of any rate stands where it belongs in every frame, at the end of an hour as well."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess.core.errors import PreprocessError
from preprocess.params import timeline
from preprocess.params.points import Points
from preprocess.tokens.frames import frame_centres_s, frame_start_samples, n_frames
from preprocess.tokens.specs import codec_spec
from tests.helpers.formats import one_line

SPEC = codec_spec("encodec_24khz")
MODELS = ("encodec_24khz", "encodec_32khz", "encodec_48khz")


def to_frames(points, audio_length, spec, interpolation="linear", outside="error", **settings):
    how = timeline.Reading(interpolation, outside, **settings)
    return timeline.to_frames(points, audio_length, spec, how)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("rate_hz", [100.0, 86.1328125, 44_100.0])
def test_an_hour_does_not_drift(model, rate_hz):
    """The curve is its own time, so a frame's value is the time that it was read at."""
    spec = codec_spec(model)
    seconds = 3600 if rate_hz < 1000 else 120  # the array of an hour at 44.1 kHz takes 1.3 GB
    times = np.arange(int(seconds * rate_hz) + 2) / rate_hz
    length = seconds * spec.sample_rate
    values = to_frames(Points(times, None, rate_hz), length, spec)
    expected = np.minimum(frame_centres_s(length, spec), seconds)
    assert len(values) == n_frames(length, spec)
    assert np.max(np.abs(values - expected)) < 1e-9
    stamped = to_frames(Points(times, times), length, spec)
    assert np.max(np.abs(stamped - expected)) < 1e-9


def test_the_last_second_of_an_hour_at_44100_hz_is_exact():
    spec, rate = codec_spec("encodec_48khz"), 44_100
    count = 3600 * rate
    values = np.zeros(count)
    values[-rate:] = np.arange(rate)
    found = to_frames(Points(values, None, rate), 3600 * 48_000, spec)
    centres = np.minimum(frame_centres_s(3600 * 48_000, spec), 3600)
    late = centres > 3599.001
    expected = np.minimum(centres[late] * rate - (count - rate), rate - 1)
    np.testing.assert_allclose(found[late], expected, atol=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_a_step_changes_in_the_frame_whose_centre_follows_it(model):
    spec = codec_spec(model)
    at = 0.5
    values = to_frames(
        Points(np.array([0.0, 1.0]), np.array([0.0, at])), spec.sample_rate, spec, "step"
    )
    np.testing.assert_array_equal(values, frame_centres_s(spec.sample_rate, spec) >= at - 1e-9)


def test_linear_interpolation_between_points_of_any_distance():
    points = Points(np.array([0.0, 10.0, 10.0, -5.0]), np.array([0.0, 0.25, 0.25, 1.0]))
    values = to_frames(points, 24_000, SPEC)
    centres = frame_centres_s(24_000, SPEC)
    np.testing.assert_allclose(values, np.interp(centres, [0, 0.25, 1], [0, 10, -5]), atol=1e-12)


def test_equal_times_make_a_jump():
    points = Points(np.array([0.0, 0.0, 5.0, 5.0]), np.array([0.0, 0.5, 0.5, 1.0]))
    values = to_frames(points, 24_000, SPEC)
    assert set(values[:37]) == {0.0}
    assert set(values[38:]) == {5.0}


def test_a_circle_is_passed_the_shorter_way():
    points = Points(np.array([350.0, 10.0]), np.array([0.0, 1.0]))
    values = to_frames(points, 24_000, SPEC, "circular", period=360.0)
    centres = frame_centres_s(24_000, SPEC)
    np.testing.assert_allclose(values, np.mod(350 + 20 * centres, 360), atol=1e-9)
    signed = to_frames(points, 24_000, SPEC, "circular", period=360.0, lowest=-180.0)
    assert signed.min() >= -180
    assert signed.max() < 180
    np.testing.assert_allclose(signed, -10 + 20 * centres, atol=1e-9)


def test_nan_in_a_curve_reaches_its_neighbours_and_no_further():
    points = Points(np.array([1.0, np.nan, 3.0, 4.0]), np.array([0.0, 0.3, 0.6, 1.0]))
    values = to_frames(points, 24_000, SPEC)
    centres = frame_centres_s(24_000, SPEC)
    np.testing.assert_array_equal(np.isnan(values), (centres > 0) & (centres < 0.6))


@pytest.mark.parametrize("how", ["linear", "circular"])
def test_a_curve_that_ends_early_is_an_error_or_what_was_chosen(how):
    points = Points(np.array([1.0, 2.0]), np.array([0.0, 0.1]))
    with pytest.raises(PreprocessError) as error:
        to_frames(points, 24_000, SPEC, how)
    one_line(error, "ends at 0.1 s", "1 s", "hold", "nan")
    held = to_frames(points, 24_000, SPEC, how, "hold")
    assert set(held[20:]) == {2.0}
    nan = to_frames(points, 24_000, SPEC, how, "nan")
    # Half the distance of its own values (0.1 s) past its end it still counts.
    late = frame_centres_s(24_000, SPEC) > 0.15
    np.testing.assert_array_equal(np.isnan(nan), late)


def test_a_curve_that_begins_late_is_an_error_or_what_was_chosen():
    points = Points(np.array([1.0, 2.0]), np.array([0.9, 1.0]))
    for how in ("linear", "step"):
        with pytest.raises(PreprocessError) as error:
            to_frames(points, 24_000, SPEC, how)
        one_line(error, "begins at 0.9 s")
    assert to_frames(points, 24_000, SPEC, "linear", "hold")[0] == 1
    assert np.isnan(to_frames(points, 24_000, SPEC, "step", "nan")[0])


def test_a_step_holds_to_the_end_without_being_asked():
    points = Points(np.array([1.0, 2.0]), np.array([0.0, 0.1]))
    assert to_frames(points, 24_000, SPEC, "step")[-1] == 2


def test_a_curve_of_the_clips_own_length_reaches_its_last_frame():
    values = to_frames(Points(np.arange(100.0), None, 100.0), 24_000, SPEC)
    assert values[-1] == 99
    partial = to_frames(Points(np.arange(11.0), None, 100.0), 2401, SPEC)
    assert len(partial) == 8
    assert not np.isnan(partial).any()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("spacing_s", [0.5, 0.1, 0.004])
def test_outside_reaches_half_a_spacing_beyond_both_ends(model, spacing_s):
    """It reached a whole spacing: of a log at 2 Hz, half a second had values that nobody took."""
    spec = codec_spec(model)
    times = 1.0 + spacing_s * np.arange(round(1 / spacing_s) + 1)
    length = 3 * spec.sample_rate
    centres = np.minimum(frame_centres_s(length, spec), 3)
    beyond = (centres < 1 - spacing_s / 2 - 1e-9) | (centres > 2 + spacing_s / 2 + 1e-9)
    stamped = Points(times, times)
    at_rate = Points(times, None, 1 / spacing_s, first_s=1.0)
    for points in (stamped, at_rate):
        values = to_frames(points, length, spec, outside="nan")
        np.testing.assert_array_equal(np.isnan(values), beyond)


@pytest.mark.parametrize("length", [24_000, 24_001, 24_170, 24_319])
@pytest.mark.parametrize("rate_hz", [10.0, 100.0, 1000.0])
def test_a_curve_as_long_as_its_clip_reaches_its_end(length, rate_hz):
    clip_s = length / 24_000
    count = int(np.ceil(clip_s * rate_hz))
    values = to_frames(Points(np.arange(float(count)), None, rate_hz), length, SPEC)
    assert not np.isnan(values).any()
    if rate_hz >= 75:  # stamped ones do if they fall short by no more than a hop
        times = np.arange(count) / rate_hz
        assert not np.isnan(to_frames(Points(times, times), length, SPEC)).any()


# Ten points a second, and none from 2 to 4 s.
HOLED = np.concatenate([np.arange(21), np.arange(40, 61)]) / 10


def test_a_hole_in_a_curve_is_an_error_that_says_where():
    with pytest.raises(PreprocessError) as error:
        to_frames(Points(HOLED, HOLED), 6 * 24_000, SPEC)
    one_line(
        error, "from 2 s to 4 s", "longer than 1 s", "gap: interpolate, hold or nan", "max_gap_s"
    )


def test_across_a_hole_is_what_was_chosen():
    centres = frame_centres_s(6 * 24_000, SPEC)
    points, hole = Points(HOLED, HOLED), (centres > 2) & (centres < 4)

    def across(gap, how="linear", limit=None):
        return to_frames(points, 6 * 24_000, SPEC, how, gap=gap, max_gap_s=limit)

    np.testing.assert_allclose(across("interpolate"), centres, atol=1e-9)
    np.testing.assert_allclose(across("error", limit=2.0), centres, atol=1e-9)
    held = across("hold")
    assert set(held[hole]) == {2.0}
    np.testing.assert_allclose(held[~hole], centres[~hole], atol=1e-9)
    nan = across("nan")
    # Half a spacing from its ends, its points still count.
    np.testing.assert_array_equal(np.isnan(nan), (centres > 2.05) & (centres < 3.95))
    assert set(nan[hole & ~np.isnan(nan)]) == {2.0, 4.0}
    # A step holds over any distance, unless that is limited.
    assert set(across("error", "step")[hole]) == {2.0}
    limited = across("nan", "step", 1.5)
    np.testing.assert_array_equal(np.isnan(limited), (centres > 2.05) & (centres < 4))
    with pytest.raises(PreprocessError) as error:
        across("error", limit=0.5)
    one_line(error, "from 2 s to 4 s", "longer than 0.5 s")


def test_a_hole_that_no_frame_lies_in_is_none():
    """A pause before the clip, and one shorter than a frame in a log at 1 kHz."""
    before = np.array([-5.0, 0.0, 0.1, 0.2, 0.3])
    assert not np.isnan(to_frames(Points(before, before), 6_000, SPEC)).any()
    dense = np.delete(np.arange(1000) / 1000, np.arange(500, 511))
    assert not np.isnan(to_frames(Points(dense, dense), 24_000, SPEC)).any()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("stamped", [True, False])
def test_a_mean_is_that_of_the_values_in_the_hop(model, stamped):
    spec, rng = codec_spec(model), np.random.default_rng(3)
    length, rate = 2 * spec.sample_rate + 77, 1000
    count = length * rate // spec.sample_rate + 1
    times = np.arange(count) / rate
    values = rng.normal(size=count) + 100
    values[300:340] = np.nan  # two frames and more have no value at all, two have some
    points = Points(values, times) if stamped else Points(values, None, rate)
    found = to_frames(points, length, spec, "mean")
    starts = frame_start_samples(length, spec)
    for frame, start in enumerate(starts):
        # In whole numbers: a value lies in the hop that its time is in, up to its end.
        first = -(-int(start) * rate // spec.sample_rate)
        after = -(-min(int(start) + spec.hop, length) * rate // spec.sample_rate)
        inside = values[first:after]
        expected = inside[~np.isnan(inside)].mean() if np.isfinite(inside).any() else np.nan
        np.testing.assert_allclose(found[frame], expected, rtol=1e-12)
    assert np.isnan(found).any()


def test_a_mean_goes_around_the_circle_and_falls_back_to_lines():
    angles = np.tile([350.0, 20.0], 500)
    turned = to_frames(Points(angles, None, 1000.0), 24_000, SPEC, "circular_mean")
    # 6 or 7 of each in a hop: from 3.8 to 6.2 degrees.
    assert np.all((turned > 3) & (turned < 7))
    slow = Points(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    means = to_frames(slow, 24_000, SPEC, "mean")
    np.testing.assert_allclose(means[1:], frame_centres_s(24_000, SPEC)[1:], atol=1e-12)


def test_the_mean_of_an_hour_does_not_drift():
    count = 3600 * 1000
    values = to_frames(Points(np.arange(float(count)), None, 1000.0), 3600 * 24_000, SPEC, "mean")
    starts = frame_start_samples(3600 * 24_000, SPEC)
    first, after = -(-starts // 24), -(-(starts + 320) // 24)
    np.testing.assert_array_equal(values, (first + after - 1) / 2)


@pytest.mark.parametrize("model", MODELS)
def test_at_the_frame_rate_a_value_is_that_of_its_frame(model):
    """Value i was read half a frame early, as a point at the frame's start."""
    spec = codec_spec(model)
    length = 10 * spec.sample_rate
    values = np.random.default_rng(0).normal(size=n_frames(length, spec))
    for how in ("linear", "step", "mean"):
        found = to_frames(Points(values, None, float(spec.fps)), length, spec, how)
        np.testing.assert_array_equal(found, values)
    turned = to_frames(Points(np.array([-90.0] * 75), None, 75.0), 24_000, SPEC, "circular")
    assert set(turned) == {270}


def test_rows_at_the_frame_rate_of_another_number_than_frames():
    values = np.arange(74.0)
    with pytest.raises(PreprocessError) as error:
        to_frames(Points(values, None, 75.0), 24_000, SPEC)
    one_line(error, "74 values", "75 frames", "hold or nan")
    assert to_frames(Points(values, None, 75.0), 24_000, SPEC, outside="hold")[-1] == 73
    assert np.isnan(to_frames(Points(values, None, 75.0), 24_000, SPEC, outside="nan")[-1])
    more = to_frames(Points(np.arange(76.0), None, 75.0), 24_000, SPEC)
    np.testing.assert_array_equal(more, np.arange(75))


def test_a_uniform_grid_at_150_hz_stands_in_time_beside_the_segments_frames():
    """Ten seconds at 48 kHz are 1,515 frames, but 1,500 values of a uniform grid."""
    spec = codec_spec("encodec_48khz")
    grid = (np.arange(1500) + 0.5) / 150
    values = to_frames(Points(grid, None, 150.0), 480_000, spec)
    centres = np.clip(frame_centres_s(480_000, spec), grid[0], grid[-1])
    np.testing.assert_allclose(values, centres, atol=1e-9)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (Points(np.array([]), np.array([])), "[0]"),
        (Points(np.array([1.0, 2.0]), np.array([0.0])), "1 times, but 2 values"),
        (Points(np.array([1.0, 2.0]), np.array([0.5, 0.2])), "go back from 0.5 s to 0.2 s"),
        (Points(np.array([1.0, 2.0]), np.array([0.5, np.nan])), "time 1 of the curve is nan"),
        (Points(np.array([1.0, np.inf]), np.array([0.0, 1.0])), "value 1 of the curve is infinite"),
        (Points(np.array([1.0])), "needs times"),
        (Points(np.array([1.0]), None, -3.0), "-3"),
    ],
)
def test_what_is_no_curve_is_one_line(points, words):
    with pytest.raises(PreprocessError) as error:
        to_frames(points, 24_000, SPEC)
    one_line(error, words)
