"""A cell becomes the number that its writer meant, or an error says why not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preprocess.core.errors import PreprocessError, UsageError
from preprocess.params.columns import read_column
from preprocess.params.numerals import read_numeral
from preprocess.sidecar.reading import read_sidecar
from tests.helpers.clips import clip_of, prepared
from tests.helpers.commands import run, write_tokens
from tests.helpers.formats import examples, one_line


def column(tmp_path, cells: list, name: str = "x", **settings):
    """Return the parameters that a column makes of clips a, b, ...: from JSON, cells as they are."""
    path = tmp_path / "t.jsonl"
    rows = [{"id": chr(97 + at), name: cell} for at, cell in enumerate(cells)]
    path.write_text("\n".join(map(json.dumps, rows)))
    producer = prepared({"table": {"path": path, **settings}})
    return [producer.parameters(clip_of(name=row["id"]))[name] for row in rows]


def values(tmp_path, cells: list, **settings) -> list[float]:
    return [float(parameter["values"][0]) for parameter in column(tmp_path, cells, **settings)]


@pytest.mark.parametrize(
    ("cells", "settings", "expected"),
    [
        (["1,5", "0,25", "10"], {}, [1.5, 0.25, 10]),
        (["1.5", "0.25", "10"], {}, [1.5, 0.25, 10]),
        (["1,5", "2,345"], {}, [1.5, 2.345]),
        (["0,123", "0,5"], {}, [0.123, 0.5]),
        (["1.234,5", "2.345"], {}, [1234.5, 2345]),
        (["1,234.5", "2,345"], {}, [1234.5, 2345]),
        (["1,234,567", "1,234"], {}, [1_234_567, 1234]),
        (["1 234,5", "1\u00a0234", "1\u202f234", "1'234"], {}, [1234.5, 1234, 1234, 1234]),
        (["1.234", "2.5e-3", ".5", "5."], {}, [1.234, 0.0025, 0.5, 5]),
        (["1.234", "2.345"], {}, [1.234, 2.345]),
        (["\u22125", "+3", "-2,5e1"], {}, [-5, 3, -25]),
        (["1,234", "5,678"], {"decimal": ","}, [1.234, 5.678]),
        (["1,234", "5,678"], {"decimal": "."}, [1234, 5678]),
        (["1.234", "2.345"], {"decimal": ","}, [1234, 2345]),
        ([1.5, 2, "3"], {"decimal": ","}, [1.5, 2, 3]),
        (["007", "08"], {}, [7, 8]),
    ],
)
def test_numbers_have_one_decimal_mark_in_a_column(tmp_path, cells, settings, expected):
    """`1,5` became a label, in the order of the alphabet."""
    assert values(tmp_path, cells, **settings) == expected


@pytest.mark.parametrize(
    ("cells", "settings", "words"),
    [
        (["1,234"], {}, ["'1,234' could be 1234 or 1.234", "decimal: '.' or decimal: ','"]),
        (["1,5", "2.5"], {}, ["'2.5' has a decimal point", "'1,5' a decimal comma"]),
        (["1.5", "1,234"], {}, ["'1,234' could be 1234 or 1.234"]),
        (["1,5", "1.234"], {}, ["'1.234' could be 1.234 or 1234"]),
        (["1,5", "12"], {"decimal": "."}, ["row 1 (a)", "'1,5' is not a number with decimal: ."]),
        (["1.5", "12"], {"decimal": ","}, ["row 1 (a)", "'1.5' is not a number with decimal: ,"]),
        (["12,34,567"], {}, ["has words such as '12,34,567'"]),
        (["1_000"], {}, ["has words"]),
        (["1", "1e999"], {}, ["row 2 (b)", "infinite"]),
        (["-inf"], {}, ["row 1 (a)", "infinite"]),
        (["9007199254740993"], {}, ["9007199254740993 is too large to store exactly"]),
    ],
)
def test_a_number_that_could_be_another_is_an_error(tmp_path, cells, settings, words):
    with pytest.raises(UsageError) as error:
        column(tmp_path, cells, **settings)
    one_line(error, "t.jsonl", "column 'x'", *words)


def test_a_column_that_does_not_tell_is_not_read_against_the_others(tmp_path):
    """A table with decimal commas may well mean 1234 by 1.234."""
    path = tmp_path / "t.csv"
    path.write_text("id;level;count\na;-1,5;1.234\nb;2,5;5.678\n")
    with pytest.raises(UsageError) as error:
        prepared({"table": {"path": path}})
    one_line(error, "column 'count'", "'1.234' may mean thousands", "'level' has a decimal comma")
    producer = prepared({"table": {"path": path, "decimal": ","}})
    found = producer.parameters(clip_of(name="a"))
    assert (found["level"]["values"][0], found["count"]["values"][0]) == (-1.5, 1234)


@pytest.mark.parametrize("mark", [".", ","])
def test_a_numeral_has_groups_of_three_or_none(mark):
    group = "," if mark == "." else "."
    assert read_numeral(f"12{group}345{group}678{mark}25", mark) == 12_345_678.25
    for text in (f"12{group}34", f"0{group}123", f"1{group}2345", f"1{mark}2{group}345", mark, ""):
        assert read_numeral(text, mark) is None


@examples(100)
@given(numbers=st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=4))
@pytest.mark.parametrize("mark", [".", ","])
@pytest.mark.parametrize("group", [",", ""])
def test_numbers_of_both_conventions_are_read_back(numbers, mark, group):
    """Whatever else is in the column, a mark that is said gives the number that was written."""
    swap = str.maketrans(",.", ".,") if mark == "," else {}
    texts = [f"{number / 1000:{group}.3f}".translate(swap) for number in numbers]
    column = read_column(texts, "x", str, "." if mark == "." else ",")
    assert column.values == [number / 1000 for number in numbers]
    try:
        found = read_column([*texts, f"0{mark}5"], "x", str).values[:-1]
    except PreprocessError:  # one of 1.234 and 1,234 is ambiguous
        assert group
    else:
        assert found == column.values


@pytest.mark.parametrize(
    ("cells", "expected", "units"),
    [
        (["12 %", "7%", "0.5 %"], [12, 7, 0.5], "%"),
        (["12,5 %", "7 %"], [12.5, 7], "%"),
        (["00:01:30", "1:00:00", "100:00:00.5"], [90, 3600, 360_000.5], "s"),
        (["1:30.25", "-00:00:01,5"], [90.25, -1.5], "s"),
        (["1970-01-02", "2024-03-01"], [1, 19_783], "days since 1970-01-01"),
        (
            ["1970-01-01T00:01:00Z", "1970-01-01 01:00:00.5+01:00", "1970-01-02T00:00-0100"],
            [60, 0.5, 90_000],
            "seconds since 1970-01-01T00:00:00Z",
        ),
        (
            ["2024-03-01 12:00", "2024-03-01"],
            [1_709_294_400, 1_709_251_200],
            "seconds since 1970-01-01T00:00:00Z",
        ),
    ],
)
def test_percentages_durations_and_dates_are_numbers_with_units(tmp_path, cells, expected, units):
    """They became labels, in the order of the alphabet."""
    parameters = column(tmp_path, cells)
    assert [parameter["values"][0] for parameter in parameters] == expected
    assert {parameter["units"] for parameter in parameters} == {units}
    assert {parameter["kind"] for parameter in parameters} == {"continuous"}


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["1:30", "2:00"], ["'1:30' could be minutes and seconds, or hours and minutes"]),
        (["12 %", "0.5"], ["row 2 (b): '0.5' is not a percentage, but row 1 (a) has '12 %'"]),
        (["00:01:30", "90"], ["'90' is not a duration, but row 1 (a) has '00:01:30'"]),
        (["2024-03-01", "2024-02-30"], ["'2024-02-30' is not a date"]),
        (["2024-03-01", "01.03.2024"], ["'01.03.2024' is not a date"]),
        (["2024-03-01T10:00Z", "2024-03-01"], ["only some of its times state a UTC offset"]),
        (["2024-03-01T10:00Z", "2024-03-01T10:00"], ["only some of its times state a UTC offset"]),
        (["TRUE", "1"], ["'1' is not a Boolean, but row 1 (a) has 'TRUE'"]),
        ([True, 2], ["row 2 (b): '2' is not a Boolean"]),
        ([1, [2]], ["row 2 (b): '[2]' is not a number"]),
        (["440 Hz", "220 Hz"], ["has words such as '440 Hz', '220 Hz'"]),
    ],
)
def test_a_column_of_two_forms_is_an_error(tmp_path, cells, words):
    with pytest.raises(UsageError) as error:
        column(tmp_path, cells)
    one_line(error, "column 'x'", *words)


def test_units_that_contradict_the_cells_are_an_error(tmp_path):
    for cells, units in ((["12 %"], "dB"), (["00:01:30"], "ms"), (["2024-03-01"], "s")):
        with pytest.raises(UsageError) as error:
            column(tmp_path, cells, units={"x": units})
        one_line(error, f"units is {units!r}")
    assert column(tmp_path, ["00:01:30"], units={"x": "sec"})[0]["units"] == "sec"


@pytest.mark.parametrize(
    ("cells", "expected", "text"),
    [
        (["TRUE", "TRUE"], [1, 1], "0 false, 1 true"),
        (["FALSE", "false"], [0, 0], "0 false, 1 true"),
        (["yes", "No"], [1, 0], "0 no, 1 yes"),
        ([True, None, False], [1, np.nan, 0], "0 false, 1 true"),
    ],
)
def test_booleans_are_0_and_1_whichever_are_there(tmp_path, cells, expected, text):
    """A column of TRUE alone was 0."""
    parameters = column(tmp_path, cells)
    np.testing.assert_array_equal([parameter["values"][0] for parameter in parameters], expected)
    assert {(f["kind"], f["min"], f["max"]) for f in parameters} == {("categorical", 0, 1)}
    assert text in parameters[0]["doc_string"]
    plain = column(tmp_path, cells, kind={"x": "continuous"})[0]
    assert (plain["kind"], plain["max"]) == ("continuous", None)


def test_words_become_labels_only_when_asked_for(tmp_path):
    """A typing mistake made labels of a column, in the order of the alphabet."""
    cells = ["wild", "calm", "odd", "wild", "mild"]
    with pytest.raises(UsageError) as error:
        column(tmp_path, cells)
    one_line(
        error,
        "column 'x': has words such as 'wild', 'calm', 'odd';",
        "kind: {x: categorical}",
        "labels: {x: [calm, mild, odd, ...]}",
        "columns: [...]",
    )
    assert values(tmp_path, cells, kind={"x": "categorical"}) == [3, 0, 2, 3, 1]
    named = {"x": ["wild", "odd", "mild", "calm"]}
    assert values(tmp_path, cells, labels=named) == [0, 3, 1, 0, 2]


def test_a_cell_that_labels_name_is_not_empty(tmp_path):
    """`none`, `NA` and `null` became NaN even where `labels` named them."""
    cells = ["none", "NA", "null", "odd", None, "nan"]
    found = values(tmp_path, cells, labels={"x": ["none", "NA", "null", "odd"]})
    np.testing.assert_array_equal(found, [0, 1, 2, 3, np.nan, np.nan])
    np.testing.assert_array_equal(values(tmp_path, [1, "NA", "none"]), [1, np.nan, np.nan])


@pytest.mark.parametrize(
    ("cells", "labels", "expected"),
    [
        ([True, False], ["FALSE", "TRUE"], [1, 0]),
        ([10, 2.0, "5"], [5, 10, "2"], [1, 2, 0]),
        (["cafe\u0301"], ["bar", "caf\u00e9"], [1]),
        (["12 %", "1,5"], ["1,5", "12 %"], [1, 0]),
    ],
)
def test_labels_are_the_text_of_their_cells(tmp_path, cells, labels, expected):
    assert values(tmp_path, cells, labels={"x": labels}) == expected


@pytest.mark.parametrize(
    ("cells", "settings", "words"),
    [
        (["a"], {"labels": {"x": ["b", "a", "b"]}}, ["the label 'b' appears twice"]),
        (["a"], {"labels": {"x": [None, "a"]}}, ["labels of 'x'", "'null'"]),
        (["a"], {"labels": {"x": [False]}}, ["labels of 'x'", "quote it", "'no'"]),
        ([1, 1.5], {"kind": {"x": "categorical"}}, ["'1.5' is categorical but not an integer"]),
        (
            [1, "odd"],
            {"kind": {"x": "categorical"}},
            ["'odd' is not a number", "list them all in labels"],
        ),
    ],
)
def test_labels_that_cannot_be_are_an_error(tmp_path, cells, settings, words):
    with pytest.raises(UsageError) as error:
        column(tmp_path, cells, **settings)
    one_line(error, *words)


def test_how_columns_were_read_is_said_once_and_stored(tmp_path, capsys):
    for name in ("a", "b", "c"):
        write_tokens(tmp_path / f"ecdc/{name}.ecdc")
    path = tmp_path / "t.csv"
    path.write_text(
        "id;level;mix;when;loud;mood\na;1,5;5 %;2024-03-01;yes;wild\n"
        "b;2;6 %;2024-03-02;no;NA\nc;;7 %;2024-03-02;no;calm\n"
    )
    words = f"annotate @ --table path={path} 'kind={{mood: categorical}}'"
    for _ in range(2):
        result = run(capsys, words, tmp_path / "ecdc")
        assert result.status == 0
        assert [line for line in result.err if "note" in line] == [
            f"annotate: note: {path}: level: numbers with a decimal comma (1 empty); "
            "mix: percentages in %; when: dates in days since 1970-01-01; loud: Booleans 0 no, 1 yes; "
            "mood: labels 0 calm, 1 wild (1 empty, NA among them)"
        ]
    parameters = read_sidecar(tmp_path / "ecdc/b.ecdc").parameters
    assert parameters["level"].source == "column 'level': numbers with a decimal comma"
    assert parameters["loud"].source == "column 'loud': Booleans 0 no, 1 yes"
    assert (parameters["mix"].units, parameters["mix"].values[0]) == ("%", 6)


def test_an_empty_cell_elsewhere_makes_no_other_clip_anew(tmp_path, capsys):
    for name in ("a", "b"):
        write_tokens(tmp_path / f"ecdc/{name}.ecdc")
    path = tmp_path / "t.csv"
    for cells in ("1.5", "NA"):
        path.write_text(f"id,v\na,{cells}\nb,2.5\n")
        result = run(capsys, f"annotate @ --table path={path}", tmp_path / "ecdc")
    assert "1 clip in" in result.out[-1]
    assert "1 up to date" in result.out[-1]
