"""A curve of any rate stands where it belongs in every frame, at the end of an hour as well."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess.errors import PreprocessError
from preprocess.frames import frame_centres_s, n_frames
from preprocess.specs import codec_spec
from preprocess.timeline import Points, to_frames
from tests.format_helpers import one_line

SPEC = codec_spec("encodec_24khz")
MODELS = ("encodec_24khz", "encodec_32khz", "encodec_48khz")


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
    # One distance of its own values (0.1 s) past its end it still counts.
    assert np.flatnonzero(np.isnan(nan)).tolist() == list(range(15, 75))


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
