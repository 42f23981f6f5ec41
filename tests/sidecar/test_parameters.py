"""A parameter is checked and measured before it is written; no value is damaged in silence."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess.sidecar.parameters import SidecarError, array_dtype, check_parameter, measure
from preprocess.sidecar.precision import MAX_ERROR
from tests.helpers.formats import one_line

VALUES = np.array([-2.5, 0.0, 1.25, 7.0])
HALF_INTEGERS = np.array([2047.0, 2048.0, 2050.0, -2052.0, 65_504.0])


def test_statistics_are_measured_where_only_values_are_given():
    parameter = check_parameter("level", VALUES)
    assert parameter.values.tolist() == VALUES.tolist()
    assert (parameter.min, parameter.max) == (-2.5, 7.0)
    assert (parameter.mean, parameter.std) == (VALUES.mean(), VALUES.std())
    assert parameter.measured == {
        "min": -2.5,
        "max": 7.0,
        "mean": parameter.mean,
        "std": parameter.std,
    }
    assert (parameter.units, parameter.doc_string, parameter.kind) == ("", "", "continuous")
    assert not parameter.declared


@pytest.mark.parametrize(
    ("given", "low", "high"),
    [({"min": -60, "max": 0.0}, -60, 0), ({"min": -60}, -60, 7), ({"max": 9}, -2.5, 9)],
)
def test_declared_range_stands_apart_from_the_measured_one(given, low, high):
    parameter = check_parameter(
        "level", {"values": VALUES if "max" not in given else -VALUES, **given}
    )
    measured = parameter.measured
    assert parameter.declared
    assert parameter.min == given.get("min", measured["min"])
    assert parameter.max == given.get("max", measured["max"])
    assert {measured["min"], measured["max"]} in ({-2.5, 7.0}, {-7.0, 2.5})


def test_given_mean_and_deviation_are_kept_and_declare_no_range():
    parameter = check_parameter("level", {"values": VALUES, "mean": 5, "std": 2})
    assert (parameter.mean, parameter.std, parameter.declared) == (5.0, 2.0, False)
    assert parameter.measured["mean"] == VALUES.mean()


def test_statistics_pass_over_nan():
    assert measure(np.array([np.nan, 1.0, 3.0])) == {"min": 1, "max": 3, "mean": 2, "std": 1}
    assert check_parameter("f0_hz", [np.nan, 1.0, 3.0]).max == 3.0


def test_nothing_is_stated_where_all_is_nan():
    parameter = check_parameter("f0_hz", [np.nan, np.nan])
    assert set(parameter.measured.values()) == {None}
    assert (parameter.min, parameter.max, parameter.mean, parameter.std) == (None,) * 4


@pytest.mark.parametrize("values", [[1, 2], (True, False), range(3), np.arange(3, dtype=np.int16)])
def test_any_sequence_of_numbers_will_do(values):
    parameter = check_parameter("x", values)
    assert parameter.values.dtype == np.float64
    assert parameter.values.tolist() == [float(v) for v in values]


@pytest.mark.parametrize("name", ["", " ", "a b", "a-b", "1st", "a.b", "a/b", "../a", "a\nb"])
def test_name_that_is_no_identifier_is_refused(name):
    with pytest.raises(SidecarError) as error:
        check_parameter(name, VALUES)
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
def test_parameter_that_makes_no_sense_is_one_line_that_names_it(value, says):
    with pytest.raises(SidecarError) as error:
        check_parameter("level", value)
    one_line(error, "'level'", says)


def dtype_of(values, dtype="auto", max_error=MAX_ERROR, **others):
    parameters = {"index": values, **others}
    checked = {name: check_parameter(name, v) for name, v in parameters.items()}
    return array_dtype(checked, dtype, max_error).name


@pytest.mark.parametrize("dtype", ["float16", "auto"])
@pytest.mark.parametrize(
    "values",
    [
        HALF_INTEGERS,
        [np.nan, 0.125],
        [0.0, -0.0],
        {"values": [1e-9, 0.5], "min": 0, "max": 1},  # off by 1e-9 of its range
        {"values": [3000.3], "min": 0, "max": 20_000},  # off by 1.7 of 20,000
        {"values": [0.3], "kind": "circular", "units": "deg", "min": 0, "max": 360},
    ],
)
def test_float16_is_taken_where_every_value_survives(values, dtype):
    assert dtype_of(values, dtype) == "float16"


@pytest.mark.parametrize(
    ("values", "becomes"),
    [
        ([2023.75, 2020.5], "2023.75 to 2024 at frame 0"),
        ([0.0, 1e-9], "1e-09 to 0 at frame 1"),
        ([-60.0, -59.9], "-59.9 to -59.90625 at frame 1"),
        ({"values": [440.1, 440], "min": 400, "max": 500}, "440.1 to 440 at frame 0"),
    ],
)
def test_float16_that_would_round_too_much_is_refused(values, becomes):
    """Each of these was stored as float16 without a word."""
    with pytest.raises(SidecarError) as error:
        dtype_of(values, "float16", level=np.zeros(2))
    one_line(error, "'index'", f"float16 would change {becomes}", "0.0001 of its range")
    one_line(error, "choose dtype float32, or a larger max_error")
    assert dtype_of(values) == "float32"


def test_a_larger_error_may_be_allowed():
    values = np.linspace(-60, 0, 75)
    assert dtype_of(values) == "float32"
    assert dtype_of(values, max_error=1e-3) == "float16"


@pytest.mark.parametrize(
    ("value", "becomes"), [(174.7633, "174.75"), (2023.75, "2024"), (1e-9, "0"), (0.1, "0.09997")]
)
def test_a_constant_has_no_range_and_float16_must_hold_it(value, becomes):
    """174.7633 in one clip and 174.7591 in the next became the same."""
    with pytest.raises(SidecarError) as error:
        dtype_of([value] * 3, "float16", 0.9)
    one_line(
        error, f"float16 would change {value} to {becomes}", "at frame 0; choose dtype float32"
    )
    assert dtype_of([value] * 3) == "float32"


@pytest.mark.parametrize(
    "values", [[0.3, 0.3 + 1e-15], [-20.0000001, -20.0000002], [1e7 / 3, 1e7 / 3 + 0.1]]
)
def test_the_seven_digits_of_float32_are_enough_however_steady_a_value_is(values):
    assert dtype_of(values) == "float32"
    assert dtype_of(values, "float32") == "float32"
    with pytest.raises(SidecarError) as error:
        dtype_of(values, "float32", max_error=1e-9)
    one_line(error, "more than 1e-09 of its range: choose dtype float64")


def test_the_allowed_error_is_a_part_of_the_range():
    values = {"values": [0.3], "min": 0, "max": 1}  # float16 moves it by 4.9e-5
    assert dtype_of(values, max_error=5e-5) == "float16"
    assert dtype_of(values, max_error=4e-5) == "float32"
    assert dtype_of([0.5, 0.25], max_error=0) == "float16"


@pytest.mark.parametrize(
    ("values", "frame", "becomes"),
    [
        ([0, 2049], 1, "2049 to 2048"),
        ([-4097, 0], 0, "-4097 to -4096"),
        ([0, 0, 65_520], 2, "65520 to inf"),
        ([np.nan, -70_000.5], 1, "-70000.5 to -inf"),
    ],
)
def test_float16_that_would_overflow_or_round_an_integer_is_refused(values, frame, becomes):
    with pytest.raises(SidecarError) as error:
        dtype_of(values, "float16", max_error=0.99, level=np.zeros(len(values)))
    one_line(error, "'index'", f"{becomes} at frame {frame}; choose dtype float32")
    assert dtype_of(values, "auto") == "float32"
    assert dtype_of(values, "float32") == "float32"


@pytest.mark.parametrize(
    ("values", "becomes"),
    [
        ([0, 16_777_217], "16777217 to 16777216 at frame 1"),
        ([1_700_000_001, 1_700_000_002], "1700000001 to 1700000000 at frame 0"),
        ([1.7e9, 1.7e9 + 0.5], "1700000000.5 to 1700000000 at frame 1"),
        ([1.7e9 + 0.25], "1700000000.25 to 1700000000 at frame 0"),
        ([1e-50], "1e-50 to 0 at frame 0"),
        ([1e39], "1e+39 to inf at frame 0"),
        ([-1e39, 0.0], "-1e+39 to -inf at frame 0"),
    ],
)
@pytest.mark.parametrize("dtype", ["auto", "float32"])
def test_what_float32_damages_is_refused_and_float64_holds(values, becomes, dtype):
    """Unix times became the same time for two minutes, 1e39 infinity."""
    with pytest.raises(SidecarError) as error:
        dtype_of(values, dtype, level=np.zeros(len(values)))
    one_line(error, "'index'", f"float32 would change {becomes}", "choose dtype float64")
    assert dtype_of(values, "float64") == "float64"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([0, 2**53 + 1], "frame 1 is 9007199254740993, which float64 cannot hold"),
        (np.array([2**60 + 1]), "frame 0 is 1152921504606846977, which float64 cannot hold"),
        ([2**70 + 1, 0], "frame 0 is 1180591620717411303425, which float64 cannot hold"),
        ([0.0, -1e200], "frame 1 is -1e+200; values must be within 1e+150"),
        (np.array(["2024-01-01"], "M8[s]"), "must be numbers"),
    ],
)
def test_what_no_float_holds_is_refused(values, says):
    with pytest.raises(SidecarError) as error:
        check_parameter("time", values)
    one_line(error, "'time'", says)


def test_what_stays_keeps_its_type_whatever_is_asked_for():
    parameter = check_parameter("x", [0.5])
    for asked, stays, expected in (
        ("float16", "float32", "float32"),
        ("auto", "float64", "float64"),
        ("float32", "float64", "float64"),
        ("float64", "float16", "float64"),
    ):
        assert array_dtype({"x": parameter}, asked, at_least=stays) == np.dtype(expected)


@pytest.mark.parametrize(
    ("described", "values", "wrapped"),
    [
        ({"units": "deg"}, [400, -20, 359.5, 360, 0, -360], [40, 340, 359.5, 0, 0, 0]),
        ({"units": "deg", "min": -180, "max": 180}, [400, -20, 181], [40, -20, -179]),
        ({"units": "deg", "min": -180}, [400, -20, 181], [40, -20, -179]),
        ({"units": "deg", "max": 180}, [181], [-179]),
        ({"units": "turns"}, [1.25, -0.25], [0.25, 0.75]),
        ({}, [2 * np.pi + 1, -1e-18], [1, 0]),
        ({"min": 0, "max": 12}, [13, np.nan], [1, np.nan]),
    ],
)
def test_circular_values_are_wrapped(described, values, wrapped):
    """400 and -20 degrees were stored as they are, and normalised to beyond 0 and 1."""
    parameter = check_parameter("angle", {"values": values, "kind": "circular", **described})
    np.testing.assert_allclose(parameter.values, wrapped, atol=1e-12)
    low = described.get("min", described["max"] - 360 if "max" in described else 0)
    assert np.nanmin(parameter.values) >= low
    assert np.nanmax(parameter.values) < low + parameter.period
    assert parameter.measured["max"] == np.nanmax(parameter.values)


def test_a_circle_of_which_one_end_is_declared_is_whole():
    """The other end was measured, and the period with it."""
    parameter = check_parameter(
        "angle", {"values": [10, 90], "kind": "circular", "units": "deg", "min": -180}
    )
    assert (parameter.min, parameter.max, parameter.period) == (-180, 180, 360)


def test_an_angle_within_its_circle_keeps_every_bit():
    values = np.random.default_rng(0).uniform(-np.pi, np.pi, 1000)
    circle = {"values": values, "kind": "circular", "min": -np.pi, "max": np.pi}
    assert check_parameter("phase", circle).values.tobytes() == values.tobytes()


def test_a_label_is_a_whole_number():
    for values in ([0, 1.5], [np.nan, 1.5], [1, 1e-9]):
        with pytest.raises(SidecarError) as error:
            check_parameter("mood", {"values": values, "kind": "categorical"})
        one_line(error, "'mood'", f"frame 1 is {values[1]:g}", "whole number")
    labels = check_parameter("mood", {"values": [np.nan, -1, 3], "kind": "categorical"})
    assert labels.values.tolist()[1:] == [-1, 3]
