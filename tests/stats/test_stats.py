"""Statistics of a corpus are those of all its values at once, whatever way they came."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocess.sidecar.parameters import check_parameter
from preprocess.stats.corpus_stats import (
    CorpusStats,
    ParameterStats,
    StatsError,
    read_stats,
    write_stats,
)
from preprocess.stats.quantiles import MAX_BINS, RELATIVE_ERROR, QuantileSketch
from tests.helpers.formats import examples, one_line

RNG = np.random.default_rng(1)
LEVELS = RNG.normal(-20, 8, 30_000)


def stats_of(*pieces, kind="continuous", **more) -> ParameterStats:
    stats = ParameterStats()
    for piece in pieces:
        stats.update(np.asarray(piece), kind, **more)
    return stats


def corpus(*clips) -> CorpusStats:
    stats = CorpusStats()
    for clip in clips:
        stats.update({name: check_parameter(name, value) for name, value in clip.items()})
    return stats


def test_pieces_give_the_statistics_of_the_whole():
    stats = stats_of(*np.array_split(LEVELS, 77))
    assert stats.count == len(LEVELS)
    assert (stats.min, stats.max) == (LEVELS.min(), LEVELS.max())
    assert stats.mean == pytest.approx(LEVELS.mean(), rel=1e-12)
    assert stats.std == pytest.approx(LEVELS.std(), rel=1e-12)


def test_shards_merge_to_the_same_in_any_order_and_through_json():
    shards = [stats_of(*np.array_split(part, 5)) for part in np.array_split(LEVELS, 3)]
    whole = stats_of(LEVELS).quantiles
    for order in itertools.permutations(shards):
        merged = ParameterStats()
        for shard in order:
            merged.merge(ParameterStats.from_dict(json.loads(json.dumps(shard.to_dict()))))
        assert merged.mean == pytest.approx(LEVELS.mean(), rel=1e-12)
        assert merged.std == pytest.approx(LEVELS.std(), rel=1e-12)
        assert merged.quantiles == whole


def test_a_small_spread_far_from_zero_does_not_cancel():
    values = 1e9 + RNG.normal(0, 1, 10_000)
    assert stats_of(*np.array_split(values, 100)).std == pytest.approx(values.std(), rel=1e-6)


def test_nan_is_counted_apart_and_infinity_refused():
    stats = stats_of([1.0, np.nan, 3.0], [np.nan, np.nan])
    assert (stats.count, stats.nan_count, stats.mean, stats.std) == (2, 3, 2.0, 1.0)
    empty = stats_of([np.nan])
    assert (empty.count, empty.min, empty.mean, empty.std, empty.quantiles) == (
        0,
        None,
        None,
        None,
        {},
    )
    with pytest.raises(StatsError) as error:
        stats.update(np.array([0.0, np.inf]))
    one_line(error, "frame 1", "infinite")
    assert stats.count == 2


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_values_of_any_type_are_summed_in_double(dtype):
    values = RNG.uniform(0, 1, 100_000).astype(dtype)
    stats = stats_of(values)
    assert stats.mean == pytest.approx(values.astype(np.float64).mean(), rel=1e-13)
    assert stats.std == pytest.approx(values.astype(np.float64).std(), rel=1e-13)


@pytest.mark.parametrize(
    ("degrees", "mean"), [([350, 10], 0.0), ([90, 90], 90.0), ([170, 190, 180], 180.0)]
)
def test_circular_mean_goes_around_the_circle(degrees, mean):
    stats = stats_of(*[[d] for d in degrees], kind="circular", period=360.0)
    assert stats.mean == pytest.approx(mean, abs=1e-9)
    assert stats.quantiles == {}


def test_circular_deviation_is_that_of_a_wrapped_normal():
    angles = np.mod(RNG.normal(0, 0.3, 100_000), math.tau)
    stats = stats_of(*np.array_split(angles, 9), kind="circular")
    assert stats.std == pytest.approx(0.3, rel=0.02)
    turns = stats_of(angles / math.tau, kind="circular", period=1.0)
    assert turns.std == pytest.approx(stats.std / math.tau, rel=1e-9)


def test_values_that_cancel_out_have_no_circular_mean():
    stats = stats_of([0.0, 180.0], kind="circular", period=360.0)
    assert (stats.mean, stats.std) == (None, None)


@pytest.mark.parametrize(
    ("units", "low", "high", "values", "mean"),
    [
        ("deg", None, None, [350, 10], 0),
        ("turns", None, None, [0.9, 0.1], 0),
        ("rad", None, None, [math.tau - 0.1, 0.1], 0),
        ("deg", -180, 180, [-170, 170], -180),
        ("hour", 0, 24, [23, 1], 0),
    ],
)
def test_period_follows_from_the_declared_range_or_the_unit(units, low, high, values, mean):
    clip = {"a": {"values": values, "units": units, "kind": "circular", "min": low, "max": high}}
    assert corpus(clip)["a"].mean == pytest.approx(mean, abs=1e-9)


def test_labels_are_counted_by_name_of_the_class():
    stats = stats_of([0, 0, 2], [2, 2, 1], kind="categorical")
    assert stats.labels == {0: 2, 1: 1, 2: 3}
    assert stats_of(np.arange(2000), kind="categorical").labels is None


FRACTIONS = np.linspace(0, 1, 101)
DISTRIBUTIONS = {
    "levels": LEVELS,
    "tuning": 440 + RNG.uniform(-0.5, 0.5, 30_000),
    "zeros and tails": np.concatenate([LEVELS, np.zeros(3000), RNG.exponential(2, 9000)]),
    "tiny": LEVELS * 1e-300,
    "huge": LEVELS * 1e140,
    "far apart": np.concatenate([RNG.normal(size=9000) * 10.0**e for e in range(-40, 40, 8)]),
    "half precision": RNG.normal(size=30_000).astype(np.float16).astype(float),
}


def sketch_of(values, pieces=50) -> QuantileSketch:
    sketch = QuantileSketch()
    for piece in np.array_split(values, pieces):
        sketch.update(piece)
    return sketch


@pytest.mark.parametrize("values", DISTRIBUTIONS.values(), ids=DISTRIBUTIONS)
def test_quantiles_are_numpys_within_a_thousandth_of_the_spread(values):
    """Those of 440 +- 0.5 Hz were 439.2366, all of them: the error was of the value's size."""
    sketch = sketch_of(RNG.permutation(values))
    assert not sketch.exact
    error = np.abs(np.array(sketch.quantiles(FRACTIONS)) - np.quantile(values, FRACTIONS))
    assert error.max() <= RELATIVE_ERROR / 2 * (values.max() - values.min())
    stats = stats_of(*np.array_split(values, 7))
    wanted = np.quantile(values, [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99])
    off = np.abs(np.array([*stats.quantiles.values()]) - wanted)
    assert off.max() <= RELATIVE_ERROR / 2 * (values.max() - values.min())


def test_one_value_far_away_does_not_coarsen_the_rest():
    values = np.append(DISTRIBUTIONS["tuning"], [1e30, -1e30])
    error = np.abs(
        np.array(sketch_of(values).quantiles(FRACTIONS)) - np.quantile(values, FRACTIONS)
    )
    assert error[1:-1].max() < 1e-3


@pytest.mark.parametrize("n", [1, 2, 5, 100, 101, MAX_BINS])
def test_few_values_have_exactly_numpys_quantiles(n):
    """The rank was rounded down: the median of 1 and 2 was 1."""
    values = RNG.normal(size=n)
    sketch = sketch_of(values, min(n, 7))
    assert sketch.exact
    assert sketch.quantiles(FRACTIONS) == np.quantile(values, FRACTIONS).tolist()
    assert QuantileSketch.from_dict(json_of(sketch)).quantiles(FRACTIONS) == pytest.approx(
        np.quantile(values, FRACTIONS).tolist(), rel=0, abs=0
    )


def test_few_different_values_are_exact_however_many_there_are():
    values = RNG.integers(-1000, 1000, 200_000) / 8
    sketch = sketch_of(values)
    assert sketch.exact
    assert sketch.quantiles(FRACTIONS) == np.quantile(values, FRACTIONS).tolist()


def test_one_value_more_than_are_kept_is_not_exact():
    values = np.arange(MAX_BINS + 1.0)
    assert sketch_of(values[:-1]).exact
    assert not sketch_of(values).exact
    assert not sketch_of(np.repeat(values, 3)).exact


def json_of(sketch: QuantileSketch):
    return json.loads(json.dumps(sketch.to_dict(), allow_nan=False))


@pytest.mark.parametrize("values", DISTRIBUTIONS.values(), ids=DISTRIBUTIONS)
def test_a_sketch_is_that_of_its_values_whatever_their_order_and_shards(values):
    whole = json_of(sketch_of(values, 1))
    assert json_of(sketch_of(RNG.permutation(values), 9)) == whole
    cuts = np.sort(RNG.integers(0, len(values), 6))
    shards = [sketch_of(part, 3) for part in np.split(RNG.permutation(values), cuts)]
    for order in (shards, shards[::-1]):
        merged = QuantileSketch()
        for shard in order:
            merged.merge(QuantileSketch.from_dict(json_of(shard)))
        assert json_of(merged) == whole
    assert len(json.dumps(whole)) < 100_000


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1.0, 333.0, 2.0**40, 1e300])
@pytest.mark.parametrize("offset", [0.0, 3.0, -1e6])
@pytest.mark.parametrize("outlier", [0.0, 1e7])
def test_bins_are_as_narrow_as_their_number_allows(scale, offset, outlier):
    values = scale * np.append(np.random.default_rng(0).normal(offset, 1, 20_000), outlier)
    stored = json_of(sketch_of(values, 3))

    def bins(exponent):
        return len(np.unique(np.floor(np.ldexp(values, -exponent))))

    assert not stored["exact"] and len(stored["counts"]) == bins(stored["exponent"]) <= MAX_BINS
    assert bins(stored["exponent"] - 1) > MAX_BINS


@given(
    pieces=st.lists(
        st.lists(st.floats(-1e150, 1e150) | st.sampled_from([0.0, -0.0, 1e-310, -5e-324])),
        max_size=8,
    ),
    most=st.integers(2, 9),
)
@examples(150)
def test_any_values_give_one_sketch_within_its_bounds(pieces, most):
    values = np.array([v for piece in pieces for v in piece])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("preprocess.stats.quantiles.MAX_BINS", most)
        sketches = [sketch_of(values, 1), QuantileSketch()]
        for piece in reversed(pieces):
            other = sketch_of(np.array(piece, float), 1)
            sketches[1].merge(QuantileSketch.from_dict(json_of(other)))
        assert json_of(sketches[0]) == json_of(sketches[1])
        stored = json_of(sketches[0])
        assert len(stored["counts"]) <= most
        assert (sum(stored["counts"]), sketches[1].count) == (len(values), len(values))
    if len(values) and stored["exact"]:
        assert sketches[0].quantiles([0, 1]) == [values.min(), values.max()]


@pytest.mark.parametrize(
    "change",
    [
        {"exponent": 1024},
        {"exponent": 0.5},
        {"steps": [1]},
        {"steps": [1, 0]},
        {"counts": [1, 2, 0]},
        {"counts": [1, 2, "3"]},
        {"counts": [1] * (MAX_BINS + 1), "steps": [1] * MAX_BINS},
        {"first": "x"},
        {"first": 10**400},
    ],
)
def test_a_stored_sketch_that_is_none_is_refused(change):
    stored = {"exact": False, "exponent": 0, "first": -1, "steps": [1, 5], "counts": [1, 2, 3]}
    assert QuantileSketch.from_dict(stored).count == 6
    with pytest.raises((ValueError, TypeError, OverflowError)):
        QuantileSketch.from_dict({**stored, **change})


def test_labels_have_counts_and_no_quantiles_nor_mean():
    """The median of labels came out as 2.0037."""
    stats = stats_of([0, 2, 2, 3], kind="categorical")
    assert (stats.quantiles, stats.mean, stats.std) == ({}, None, None)
    assert (stats.min, stats.max, stats.labels) == (0, 3, {0: 1, 2: 2, 3: 1})
    assert "sketch" not in json.dumps(stats.to_dict())
    with pytest.raises(StatsError) as error:
        stats.update(np.array([0, 1.5]), "categorical")
    one_line(error, "frame 1 is 1.5", "whole number")


def test_a_value_that_cannot_be_squared_is_refused():
    """The deviation became infinite, and writing the file a ValueError of json."""
    with pytest.raises(StatsError) as error:
        stats_of([0.0, np.nan, -1e200])
    one_line(error, "frame 2 is beyond 1e+150")


def test_units_kinds_and_periods_that_differ_are_refused_and_nothing_is_added():
    stats = corpus({"a": {"values": [1.0], "units": "Hz"}, "b": [1.0]})
    for other, word in (
        ({"a": {"values": [1.0], "units": "kHz"}}, "units 'kHz'"),
        ({"b": [5.0], "a": {"values": [1.0], "units": "Hz", "kind": "categorical"}}, "kind"),
    ):
        with pytest.raises(StatsError) as error:
            stats.update({n: check_parameter(n, v) for n, v in other.items()})
        one_line(error, "'a'", word)
        assert (stats.clips, stats["a"].count, stats["b"].count) == (1, 1, 1)


def test_the_declared_range_is_the_widest_and_only_where_all_declare_one():
    a, b = {"values": [1.0], "min": 0, "max": 2}, {"values": [1.0], "min": -1, "max": 1}
    assert (corpus({"x": a}, {"x": b})["x"].declared_min) == -1
    assert (corpus({"x": a}, {"x": b})["x"].declared_max) == 2
    assert corpus({"x": a}, {"x": [1.0]})["x"].declared_max is None
    assert corpus({"x": [1.0]}, {"x": a})["x"].declared_max is None


def test_a_file_holds_the_splits_and_what_merging_needs(tmp_path):
    angles = {"values": [350, 10], "units": "deg", "kind": "circular"}
    splits = {
        "train": corpus(
            {
                "level": LEVELS[:5000],
                "phase": angles,
                "label": {"values": [3], "kind": "categorical"},
            }
        ),
        "test": corpus({"level": [np.nan]}),
    }
    path = tmp_path / "stats.json"
    write_stats(path, splits)
    again = read_stats(path)
    assert {n: s.to_dict() for n, s in again.items()} == {n: s.to_dict() for n, s in splits.items()}
    again["train"].merge(again["test"])
    assert (again["train"].clips, again["train"]["level"].nan_count) == (2, 1)
    stored = json.loads(path.read_text())["splits"]["train"]["features"]
    assert stored["level"]["quantiles"]["p50"] == pytest.approx(np.median(LEVELS[:5000]), abs=0.02)
    assert stored["label"]["labels"] == {"3": 1}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"version": 1}',
        '{"version": 3, "splits": {}}',
        '{"version": 2, "splits": {"train": {"clips": 1, "features": {"a": {"count": 1}}}}}',
        '{"version": 2, "splits": {"train": {"clips": 1, "features": []}}}',
        "[" * 10_000,
    ],
)
def test_a_file_of_anything_else_is_one_line(tmp_path, text):
    path = tmp_path / "stats.json"
    path.write_text(text)
    with pytest.raises(StatsError) as error:
        read_stats(path)
    one_line(error, path)


def test_statistics_with_quantiles_from_before_are_to_be_written_again(tmp_path):
    path = tmp_path / "stats.json"
    path.write_text('{"version": 1, "splits": {}}')
    with pytest.raises(StatsError) as error:
        read_stats(path)
    one_line(error, path, "version 1, not 2", "rewrite it with preprocess stats")


def test_quantiles_of_another_number_of_values_are_refused():
    stored = stats_of([1.0, 2.0]).to_dict()
    with pytest.raises(StatsError, match="quantiles of 2 values"):
        ParameterStats.from_dict({**stored, "count": 3})


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(StatsError) as error:
        read_stats(tmp_path / "stats.json")
    one_line(error, "stats.json", "No such file")
