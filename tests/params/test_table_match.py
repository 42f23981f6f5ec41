"""Which row is whose: what fits two ways, and what only looks the same, is said."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from preprocess.core.errors import PreprocessError, UsageError
from preprocess.params.spelling import difference
from tests.helpers.clips import clip_of, prepared
from tests.helpers.formats import one_line


def table(tmp_path, keys, **settings):
    """Return a table of one column, each row having its number from 1."""
    path = tmp_path / "t.csv"
    lines = [f'"{key}",{number}\n' for number, key in enumerate(keys, 1)]
    path.write_text("id,v\n" + "".join(lines), encoding="utf-8")
    return prepared({"table": {"path": path, **settings}})


def values(producer, ids) -> dict[str, float]:
    producer.check_clips(ids)
    return {i: float(producer.parameters(clip_of(name=i))["v"]["values"][0]) for i in ids}


@pytest.mark.parametrize(
    ("keys", "ids", "words"),
    [
        (["0", "0.wav"], ["0"], ["rows '0' and '0.wav' both match the clip 0"]),
        (["a/x", "a\\x.flac"], ["a/x"], ["both match the clip a/x"]),
        (["a/x", "x"], ["a/x"], ["rows 'a/x' and 'x' both match the clip a/x", "set match to id"]),
        (["a/x", "/home/me/a/x.wav"], ["a/x"], ["both match the clip a/x", "set match to id"]),
    ],
)
def test_two_rows_for_one_clip_are_an_error(tmp_path, keys, ids, words):
    """One of them was taken, and the other listed as a row of no clip."""
    with pytest.raises(UsageError) as error:
        values(table(tmp_path, keys), ids)
    one_line(error, "t.csv", *words)


def test_a_way_that_is_said_leaves_the_others_out(tmp_path):
    assert values(table(tmp_path, ["0", "0.wav"], match="id"), ["0"]) == {"0": 1}
    assert values(table(tmp_path, ["x", "a/x"], match="id"), ["a/x"]) == {"a/x": 2}


def test_a_row_that_fits_its_own_clip_better_is_no_second_one(tmp_path):
    ids = ["a/x", "b/a/x", "x"]
    assert values(table(tmp_path, ["x", "b/a/x", "a/x.wav"]), ids) == {"a/x": 3, "b/a/x": 2, "x": 1}


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_accents_of_a_mac_are_those_of_a_table(tmp_path, forms):
    """macOS writes the accents of file names apart: the row was not found, and looked the same."""
    key, clip = (unicodedata.normalize(form, "Übung/é 1") for form in forms)
    assert values(table(tmp_path, [f"{key}.wav"]), [clip]) == {clip: 1}


def test_clips_that_differ_in_their_accents_alone_are_two(tmp_path):
    ids = [unicodedata.normalize(form, "é") for form in ("NFC", "NFD")]
    with pytest.raises(UsageError) as error:
        values(table(tmp_path, ["é"]), ids)
    one_line(error, "LATIN SMALL LETTER E WITH ACUTE (U+00E9) where the other has 'e' (U+0065)")


@pytest.mark.parametrize(
    ("key", "clip", "words"),
    [
        ("Take 1", "take 1", ["'T' (U+0054) where the other has 't' (U+0074)"]),
        ("a b", "a\u00a0b", ["' ' (U+0020) where the other has NO-BREAK SPACE (U+00A0)"]),
        ("x/ab", "x/a\u200bb", ["'b' (U+0062) where the other has ZERO WIDTH SPACE (U+200B)"]),
        ("take1.wav", "x/take001", ["differ in leading zeros"]),
        ("7", "007", ["row '7' looks similar: they differ in leading zeros"]),
    ],
)
def test_a_row_that_only_looks_right_is_shown_with_the_difference(tmp_path, key, clip, words):
    with pytest.raises(PreprocessError) as error:
        table(tmp_path, [key]).parameters(clip_of(name=clip))
    one_line(error, "has no row for", *words)
    with pytest.raises(UsageError) as error:
        table(tmp_path, [key]).check_clips([clip])
    one_line(error, "no id matches a clip", *words)
    notes = table(tmp_path, [key, "other"], missing="nan").check_clips([clip, "other"])
    assert any(words[0] in note for note in notes)


def test_a_row_that_is_not_alike_has_no_hint(tmp_path):
    with pytest.raises(PreprocessError) as error:
        table(tmp_path, ["take"]).parameters(clip_of(name="tale"))
    assert "looks similar" not in one_line(error)


def test_missing_nan_gives_a_clip_without_a_row_its_columns(tmp_path):
    producer = table(tmp_path, ["a"], missing="nan")
    found = values(producer, ["a", "b"])
    assert found["a"] == 1
    assert np.isnan(found["b"])


def test_names_of_columns_are_compared_with_composed_characters(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("Schlu\u0308ssel,Ho\u0308he\na,5\n", encoding="utf-8")
    settings = {"path": path, "key": "Schlüssel", "columns": {"height": "Höhe"}}
    found = prepared({"table": settings}).parameters(clip_of(name="a"))
    assert found["height"]["values"][0] == 5


def test_the_end_of_a_text_is_a_difference_too():
    assert difference("a", "ab") == "its end where the other has 'b' (U+0062)"
