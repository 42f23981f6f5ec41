"""What a model gets can be taken back exactly."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess.sidecar.parameters import check_parameter
from preprocess.stats.corpus_stats import CorpusStats, ParameterStats, StatsError
from preprocess.stats.scaling import denormalise, normalise
from tests.helpers.formats import one_line

RNG = np.random.default_rng(3)
LEVELS = RNG.uniform(-60, 0, 5000)


def stats_of(values=LEVELS, **more) -> ParameterStats:
    corpus = CorpusStats()
    corpus.update({"x": check_parameter("x", {"values": values, **more})})
    return corpus["x"]


def test_minmax_maps_the_declared_range_to_0_and_1():
    stats = stats_of(min=-80, max=20)
    np.testing.assert_allclose(normalise([-80, -30, 20, 70], stats), [0, 0.5, 1, 1.5])


def test_minmax_takes_the_measured_range_where_none_is_declared():
    scaled = normalise(LEVELS, stats_of())
    assert (scaled.min(), scaled.max()) == (0, 1)


def test_zscore_has_mean_0_and_deviation_1():
    scaled = normalise(LEVELS, stats_of(), "zscore")
    assert abs(scaled.mean()) < 1e-12
    assert scaled.std() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("method", ["minmax", "zscore"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("size", [1.0, 1e-3, 300.0])
def test_the_inverse_is_bit_for_bit(method, dtype, size):
    values = (LEVELS * size).astype(dtype)
    stats = stats_of(values, min=-60 * size, max=0)
    back = denormalise(normalise(values, stats, method), stats, method)
    assert back.astype(dtype).tobytes() == values.tobytes()


@pytest.mark.parametrize("method", ["minmax", "zscore"])
def test_the_inverse_of_doubles_is_exact_to_their_precision(method):
    stats = stats_of(min=-60, max=0)
    back = denormalise(normalise(LEVELS, stats, method), stats, method)
    assert np.max(np.abs(back - LEVELS)) <= 4 * np.spacing(60.0)


def test_nan_and_shape_stay():
    scaled = normalise(np.array([[np.nan, 0.0]]), stats_of(min=-60, max=0))
    assert scaled.shape == (1, 2)
    assert np.isnan(scaled[0, 0])
    assert scaled[0, 1] == 1


@pytest.mark.parametrize("method", ["minmax", "zscore"])
def test_a_constant_comes_back(method):
    stats = stats_of(np.full(9, 7.0))
    scaled = normalise([7.0], stats, method)
    assert scaled == 0
    assert denormalise(scaled, stats, method) == 7


@pytest.mark.parametrize(
    ("circle", "scaled"),
    [({"units": "deg"}, [0.25, 0.75]), ({"units": "deg", "min": -180, "max": 180}, [0.75, 0.25])],
)
def test_a_circle_is_scaled_by_its_period_whatever_was_measured(circle, scaled):
    """By the measured range 90 to 270 degrees became 0 and 1, which are the same angle."""
    stats = stats_of([90, 270], kind="circular", **circle)
    values = [90, 270] if "min" not in circle else [90, -90]
    np.testing.assert_allclose(normalise(values, stats), scaled)
    np.testing.assert_allclose(denormalise(scaled, stats), values)


def test_a_circle_is_scaled_by_its_range_and_has_no_zscore():
    stats = stats_of([0, 90, 350], kind="circular", units="deg", min=0, max=360)
    np.testing.assert_allclose(normalise([0, 90], stats), [0, 0.25])
    with pytest.raises(StatsError) as error:
        normalise([0], stats, "zscore")
    one_line(error, "circular", "minmax")


@pytest.mark.parametrize(
    ("stats", "method", "words"),
    [
        (ParameterStats(), "minmax", "at least one value"),
        (stats_of([np.nan]), "zscore", "at least one value"),
        (stats_of(), "robust", "minmax or zscore"),
    ],
)
def test_what_cannot_be_scaled_is_one_line(stats, method, words):
    with pytest.raises(StatsError) as error:
        normalise([0.0], stats, method)
    one_line(error, words)
