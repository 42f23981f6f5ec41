"""A feature is checked and measured before it is written; no value is damaged in silence."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess.features import SidecarError, array_dtype, check_feature, measure
from tests.format_helpers import one_line

VALUES = np.array([-2.5, 0.0, 1.25, 7.0])
HALF_INTEGERS = np.array([2047.0, 2048.0, 2050.0, -2052.0, 65_504.0])


def test_statistics_are_measured_where_only_values_are_given():
    feature = check_feature("level", VALUES)
    assert feature.values.tolist() == VALUES.tolist()
    assert (feature.min, feature.max) == (-2.5, 7.0)
    assert (feature.mean, feature.std) == (VALUES.mean(), VALUES.std())
    assert feature.measured == {"min": -2.5, "max": 7.0, "mean": feature.mean, "std": feature.std}
    assert (feature.units, feature.doc_string, feature.kind) == ("", "", "continuous")
    assert not feature.declared


@pytest.mark.parametrize(
    ("given", "low", "high"),
    [({"min": -60, "max": 0.0}, -60, 0), ({"min": -60}, -60, 7), ({"max": 9}, -2.5, 9)],
)
def test_declared_range_stands_apart_from_the_measured_one(given, low, high):
    feature = check_feature("level", {"values": VALUES if "max" not in given else -VALUES, **given})
    measured = feature.measured
    assert feature.declared
    assert feature.min == given.get("min", measured["min"])
    assert feature.max == given.get("max", measured["max"])
    assert {measured["min"], measured["max"]} in ({-2.5, 7.0}, {-7.0, 2.5})


def test_given_mean_and_deviation_are_kept_and_declare_no_range():
    feature = check_feature("level", {"values": VALUES, "mean": 5, "std": 2})
    assert (feature.mean, feature.std, feature.declared) == (5.0, 2.0, False)
    assert feature.measured["mean"] == VALUES.mean()


def test_statistics_pass_over_nan():
    assert measure(np.array([np.nan, 1.0, 3.0])) == {"min": 1, "max": 3, "mean": 2, "std": 1}
    assert check_feature("f0_hz", [np.nan, 1.0, 3.0]).max == 3.0


def test_nothing_is_stated_where_all_is_nan():
    feature = check_feature("f0_hz", [np.nan, np.nan])
    assert set(feature.measured.values()) == {None}
    assert (feature.min, feature.max, feature.mean, feature.std) == (None,) * 4


@pytest.mark.parametrize("values", [[1, 2], (True, False), range(3), np.arange(3, dtype=np.int16)])
def test_any_sequence_of_numbers_will_do(values):
    feature = check_feature("x", values)
    assert feature.values.dtype == np.float64
    assert feature.values.tolist() == [float(v) for v in values]


@pytest.mark.parametrize("name", ["", " ", "a b", "a-b", "1st", "a.b", "a/b", "../a", "a\nb"])
def test_name_that_is_no_identifier_is_refused(name):
    with pytest.raises(SidecarError) as error:
        check_feature(name, VALUES)
    one_line(error, repr(name))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"value": VALUES}, "unknown key 'value'; known keys: values, units"),
        ({"values": VALUES, "minimum": 0}, "unknown key 'minimum'"),
        ({"units": "dB"}, "no 'values'"),
        ("loud", "must be numbers"),
        (None, "[T]"),
        (["loud", "soft"], "must be numbers"),
        ([[1, 2], [3]], "must be numbers"),
        (VALUES + 1j, "must be numbers"),
        (7.0, "values must be [T], got []"),
        (np.ones((4, 2)), "values must be [T], got [4, 2]"),
        ([], "values must be [T], got [0]"),
        ([0, np.inf], "frame 1 is infinite"),
        ([0, 1, -np.inf], "frame 2 is infinite"),
        ({"values": VALUES, "min": "low"}, "must be numbers"),
        ({"values": VALUES, "max": np.inf}, "must be finite"),
        ({"values": VALUES, "std": np.nan}, "must be finite"),
        ({"values": VALUES, "min": 2, "max": 1}, "min 2 is above max 1"),
        ({"values": VALUES, "min": 8}, "min 8 is above max 7"),
        ({"values": VALUES, "kind": "label"}, "'label' must be one of continuous, categorical"),
    ],
)
def test_feature_that_makes_no_sense_is_one_line_that_names_it(value, says):
    with pytest.raises(SidecarError) as error:
        check_feature("level", value)
    one_line(error, "'level'", says)


def dtype_of(values, dtype, **others):
    features = {"index": values, **others}
    return array_dtype({name: check_feature(name, v) for name, v in features.items()}, dtype)


@pytest.mark.parametrize("dtype", ["float16", "auto"])
@pytest.mark.parametrize("values", [HALF_INTEGERS, [np.nan, 0.1], [3000.3], [1e-9]])
def test_float16_is_taken_where_it_does_no_damage(values, dtype):
    assert dtype_of(values, dtype) == np.float16


@pytest.mark.parametrize(
    ("values", "frame", "becomes"),
    [
        ([0, 2049], 1, "2048.0 of 2049"),
        ([-4097, 0], 0, "-4096.0 of -4097"),
        ([0, 0, 65_520], 2, "inf of 65520"),
        ([np.nan, -70_000.5], 1, "-inf of -70000.5"),
    ],
)
def test_float16_that_would_overflow_or_round_an_integer_is_refused(values, frame, becomes):
    with pytest.raises(SidecarError) as error:
        dtype_of(values, "float16", level=np.zeros(len(values)))
    one_line(error, "'index'", f"{becomes} at frame {frame}", 'dtype="float32"')
    assert dtype_of(values, "auto") == np.float32
    assert dtype_of(values, "float32") == np.float32
