"""Statistics of a corpus are those of all its values at once, whatever way they came."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest

from preprocess.features import check_feature
from preprocess.quantiles import ABSOLUTE_ERROR, EXACT_VALUES, RELATIVE_ERROR, QuantileSketch
from preprocess.stats import CorpusStats, FeatureStats, StatsError, read_stats, write_stats
from tests.format_helpers import one_line

RNG = np.random.default_rng(1)
LEVELS = RNG.normal(-20, 8, 30_000)


def stats_of(*pieces, kind="continuous", **more) -> FeatureStats:
    stats = FeatureStats()
    for piece in pieces:
        stats.update(np.asarray(piece), kind, **more)
    return stats


def corpus(*clips) -> CorpusStats:
    stats = CorpusStats()
    for clip in clips:
        stats.update({name: check_feature(name, value) for name, value in clip.items()})
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
        merged = FeatureStats()
        for shard in order:
            merged.merge(FeatureStats.from_dict(json.loads(json.dumps(shard.to_dict()))))
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


def test_float16_values_are_summed_in_double():
    values = np.full(100_000, 0.1, np.float16)
    assert stats_of(values).mean == pytest.approx(float(np.float16(0.1)), rel=1e-12)


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


def test_few_values_have_exact_quantiles():
    stats = stats_of(np.arange(101.0)[::-1])
    assert stats.quantiles["p50"] == 50
    assert (stats.quantiles["p05"], stats.quantiles["p95"]) == (5, 95)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_many_values_have_quantiles_within_the_stated_error(scale):
    values = np.sort(np.concatenate([LEVELS, np.zeros(3000), RNG.exponential(2, 9000)])) * scale
    sketch = QuantileSketch()
    for piece in np.array_split(RNG.permutation(values), 50):
        sketch.update(piece)
    assert not sketch.exact
    fractions = np.linspace(0, 1, 101)
    truth = values[np.floor(fractions * (len(values) - 1)).astype(int)]
    error = np.abs(np.array(sketch.quantiles(fractions)) - truth)
    assert np.all(error <= 1.0001 * RELATIVE_ERROR * np.abs(truth) + ABSOLUTE_ERROR)


def test_the_sketch_is_exact_up_to_its_limit_however_it_was_filled():
    one, two = QuantileSketch(), QuantileSketch()
    one.update(np.arange(EXACT_VALUES, dtype=float))
    for piece in np.array_split(np.arange(EXACT_VALUES + 1, dtype=float), 3):
        two.update(piece)
    assert (one.exact, two.exact) == (True, False)
    one.merge(QuantileSketch())
    assert one.exact
    two.merge(one)
    assert two.count == 2 * EXACT_VALUES + 1


def test_units_kinds_and_periods_that_differ_are_refused_and_nothing_is_added():
    stats = corpus({"a": {"values": [1.0], "units": "Hz"}, "b": [1.0]})
    for other, word in (
        ({"a": {"values": [1.0], "units": "kHz"}}, "units 'kHz'"),
        ({"b": [5.0], "a": {"values": [1.0], "units": "Hz", "kind": "categorical"}}, "kind"),
    ):
        with pytest.raises(StatsError) as error:
            stats.update({n: check_feature(n, v) for n, v in other.items()})
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
    assert stored["level"]["quantiles"]["p50"] == pytest.approx(np.median(LEVELS[:5000]), rel=0.01)
    assert stored["label"]["labels"] == {"3": 1}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"version": 1}',
        '{"version": 2, "splits": {}}',
        '{"version": 1, "splits": {"train": {"clips": 1, "features": {"a": {"count": 1}}}}}',
        '{"version": 1, "splits": {"train": {"clips": 1, "features": []}}}',
        "[" * 10_000,
    ],
)
def test_a_file_of_anything_else_is_one_line(tmp_path, text):
    path = tmp_path / "stats.json"
    path.write_text(text)
    with pytest.raises(StatsError) as error:
        read_stats(path)
    one_line(error, path)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(StatsError) as error:
        read_stats(tmp_path / "stats.json")
    one_line(error, "stats.json", "No such file")
