"""Curves at the edges of their rules: values beside NaN, two points, a hole at the end, a circle."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess.core.errors import PreprocessError
from preprocess.params.points import Points
from preprocess.params.timeline import Reading, around_circle, to_frames
from preprocess.tokens.frames import frame_centres_s
from preprocess.tokens.specs import codec_spec
from tests.helpers.formats import one_line

SPEC = codec_spec("encodec_24khz")
SECOND = 24_000
CENTRES = frame_centres_s(SECOND, SPEC)


def test_a_frame_on_a_value_is_not_touched_by_nan_behind_it():
    values = np.arange(75.0)
    values[41] = np.nan
    found = to_frames(Points(values, CENTRES), SECOND, SPEC, Reading())
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("interpolation", ["mean", "circular_mean"])
def test_the_mean_of_nan_alone_is_nan(interpolation):
    values = np.full(1000, 90.0)
    values[400:500] = np.nan
    found = to_frames(Points(values, None, 1000.0), SECOND, SPEC, Reading(interpolation))
    hidden = (CENTRES > 0.4 + 1 / 150) & (CENTRES < 0.5 - 1 / 150)
    assert hidden.sum() == 6
    assert np.isnan(found[hidden]).all()
    beyond = (CENTRES < 0.4 - 1 / 150) | (CENTRES > 0.5 + 1 / 150)
    np.testing.assert_allclose(found[beyond], 90)


def test_two_points_have_a_hole_between_them():
    far = Points(np.array([1.0, 2.0]), np.array([0.0, 1.0]))
    with pytest.raises(PreprocessError) as error:
        to_frames(far, SECOND, SPEC, Reading(max_gap_s=0.5))
    one_line(error, "from 0 s to 1 s", "longer than 0.5 s")


def test_behind_a_last_point_after_a_hole_its_value_holds():
    """The frames there lie in no hole: they are beyond the curve."""
    times = np.array([0.0, 0.1, 0.2, 0.3, 0.8])
    how = Reading(outside="hold", gap="nan", max_gap_s=0.2)
    found = to_frames(Points(times * 10, times), SECOND, SPEC, how)
    np.testing.assert_array_equal(np.isnan(found), (CENTRES > 0.35) & (CENTRES < 0.75))
    assert set(found[CENTRES > 0.8]) == {8.0}


def test_a_mean_counts_values_beside_a_hole():
    """One value at the start of a frame whose centre lies in the hole."""
    times = np.append(np.arange(0, 0.401, 0.001), np.arange(0.8, 1, 0.001))
    found = to_frames(Points(times, times), SECOND, SPEC, Reading("mean", gap="hold"))
    frame = 30  # from 0.4 to 0.41333 s
    assert found[frame] == pytest.approx(0.4, abs=1e-12)
    assert found[frame - 1] == pytest.approx(0.3935, abs=6e-4)


@pytest.mark.parametrize(
    ("value", "lowest", "expected"),
    [
        (100.0, 90.0, 100.0),
        (80.0, 90.0, 440.0),
        (450.0, 90.0, 90.0),
        (-190.0, -180.0, 170.0),
        (-1e-17, 0.0, 0.0),
        (90.0 - 1e-14, 90.0, 90.0),
    ],
)
def test_around_a_circle(value, lowest, expected):
    """The last two lie a hair below the lowest, which rounding makes a whole period."""
    found = around_circle(np.array([value]), 360.0, lowest)[0]
    assert lowest <= found < lowest + 360
    assert found == pytest.approx(expected, abs=1e-9)
