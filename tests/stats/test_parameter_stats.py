"""The statistics of one parameter: what is stored by which name, labels, and what does not fit."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess.stats.labels import MAX_LABELS, label_counts
from preprocess.stats.parameter_stats import ParameterStats, StatsError
from preprocess.stats.quantiles import QuantileSketch
from preprocess.stats.scaling import minmax_range
from tests.helpers.formats import one_line


def stats_of(values, kind="continuous", **more) -> ParameterStats:
    stats = ParameterStats(**more)
    stats.update(np.asarray(values, np.float64), kind)
    return stats


def test_the_stored_names_and_values_of_each_kind():
    """Other programs read these; what `from_dict` makes of them cannot tell a renamed one."""
    common = {"units": "Hz", "declared_min": -1.0, "declared_max": 9.0}
    level = stats_of([1.0, 3.0, np.nan], **common).to_dict()
    quantiles, state = level.pop("quantiles"), level.pop("state")
    assert level == {
        **{"kind": "continuous", "count": 2, "nan_count": 1, **common},
        **{"min": 1.0, "max": 3.0, "mean": 2.0, "std": 1.0},
    }
    assert list(quantiles) == ["p01", "p05", "p25", "p50", "p75", "p95", "p99"]
    assert {k: state[k] for k in ("mean", "squares")} == {"mean": 2.0, "squares": 2.0}
    assert state["sketch"]["counts"] == [1, 1]
    label = stats_of([4, 4, 2], "categorical").to_dict()
    assert (label["labels"], label["mean"], label["state"]) == ({"2": 1, "4": 2}, None, {})
    angle = stats_of([0.0, np.pi / 2], "circular").to_dict()
    assert angle["period"] == pytest.approx(2 * np.pi)
    assert angle["state"] == {"cos": pytest.approx(1.0), "sin": pytest.approx(1.0)}


@pytest.mark.parametrize("kind", ["continuous", "circular", "categorical"])
def test_what_is_stored_goes_on_as_if_it_had_never_been(kind):
    first, second = [1.0, 2.0, np.nan], [3.0, 5.0]
    straight = stats_of(first, kind)
    straight.update(np.array(second), kind)
    stored = ParameterStats.from_dict(stats_of(first, kind).to_dict())
    stored.update(np.array(second), kind)
    assert stored.to_dict() == straight.to_dict()
    assert (stored.count, stored.nan_count) == (4, 1)


def test_the_coarsest_unit_that_holds_every_value_is_stored():
    for values, exponent, steps in (
        ([1, 2, 4], 0, [1, 2]),
        ([8, 16, 40], 3, [1, 3]),
        ([0.25, 1], -2, [3]),
        ([0.0], 1023, []),
        ([], 0, []),
    ):
        sketch = QuantileSketch()
        sketch.update(np.array(values, np.float64))
        stored = sketch.to_dict()
        assert (stored["exponent"], stored["steps"]) == (exponent, steps)


def test_labels_are_counted_up_to_the_most_and_not_beyond():
    most = np.arange(float(MAX_LABELS))
    assert len(label_counts(most) or ()) == MAX_LABELS
    assert label_counts(np.append(most, -1.0)) is None
    stats = stats_of(most, "categorical")
    assert stats.labels is not None and len(stats.labels) == MAX_LABELS
    stats.update(np.array([0.0]), "categorical")
    assert stats.labels is not None and stats.labels[0] == 2
    stats.update(np.array([-1.0]), "categorical")
    assert stats.labels is None
    assert "labels" not in stats.to_dict()
    assert ParameterStats.from_dict(stats.to_dict()).labels is None


def test_another_kind_or_period_is_named():
    stats = stats_of([1.0])
    with pytest.raises(
        StatsError, match=r"^kind 'circular' differs from 'continuous' in earlier clips$"
    ):
        stats.update(np.array([1.0]), "circular")
    turning = stats_of([1.0], "circular")
    with pytest.raises(StatsError, match=r"^period 360 differs from 6\.28\d* in earlier clips$"):
        turning.update(np.array([1.0]), "circular", 360)
    with pytest.raises(StatsError, match="period -1 must be positive and finite"):
        ParameterStats().update(np.array([1.0]), "circular", -1)


def test_a_stored_number_that_is_not_finite_is_named():
    stored = stats_of([1.0]).to_dict()
    with pytest.raises(StatsError) as error:
        ParameterStats.from_dict({**stored, "min": float("inf")})
    one_line(error, "invalid statistics of a parameter", "inf is not finite")


@pytest.mark.parametrize(
    ("end", "expected"), [("declared_min", (0.0, 5.0)), ("declared_max", (-3.0, 0.0))]
)
def test_one_declared_end_is_no_range_without_a_value(end, expected):
    with pytest.raises(StatsError) as error:
        minmax_range(ParameterStats(**{end: 0.0}))
    one_line(error, "at least one value")
    assert minmax_range(stats_of([-3.0, 5.0], **{end: 0.0})) == expected
