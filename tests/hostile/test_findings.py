"""What mutation and fuzzing found: each of these files ended its reader in a traceback before."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest

from fuzz import seeds
from fuzz.guard import check, warm_up
from fuzz.readers import READERS
from preprocess.core.untrusted import MAX_SHOWN, clipped, shown
from preprocess.core.yaml_files import YamlError, load_yaml
from preprocess.params import excel
from preprocess.params.midi import FrameNotes
from preprocess.params.midi_file import MidiSettings, read_performance
from preprocess.params.tables import read_table
from preprocess.tokens.specs import CODECS
from tests.hostile.bombs import chord


def changed(data: bytes, *place: Any, value: Any) -> bytes:
    """Return a JSON file with another value at a place."""
    document = json.loads(data)
    inner = document
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return json.dumps(document).encode()


def with_part(name: str, data: bytes) -> bytes:
    """Return an Excel file with another content of one of its parts."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(seeds.sheets()[0])) as old, zipfile.ZipFile(stream, "w") as new:
        for entry in old.namelist():
            new.writestr(entry, data if entry == name else old.read(entry))
    return stream.getvalue()


def npz() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, a=np.zeros(4))
    return stream.getvalue()


SUBSET = ("subsets", "six")
SHEET = "xl/worksheets/sheet1.xml"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
CUT = f'<worksheet xmlns="{MAIN}"><dimension ref="A1:B9"/><sheetData><row r="1"><c'.encode()
INFO, STATS, META = seeds.infos()[0], seeds.statistics()[0], seeds.metadata()[0]
TRAIN = ("splits", "train", "features")
PARQUET = seeds.parquet_tables()[0]
HUGE = b"1" + b"0" * 400
CARD = b"---\n%s\n---\n# Card\n"
FINDINGS: dict[str, tuple[str, bytes, str]] = {
    # a cell
    "a number above 1.8e308 in a row": ("jsonl", b'{"id": "a", "x": %s}\n' % HUGE, ""),
    "a number above 1.8e308 in a curve": (
        "curve_json",
        b'{"rate_hz": 1, "pitch": [%s]}' % HUGE,
        "is infinite",
    ),
    "a time above 1.8e308": ("curve_json", b'{"time": [%s], "pitch": [1]}' % HUGE, "time"),
    "a rate above 1.8e308": (
        "curve_json",
        b'{"rate_hz": %s, "pitch": [1]}' % HUGE,
        "rate_hz must be",
    ),
    "a list for a time": ("curve_json", b'{"time": [[]], "pitch": [1]}', "time is"),
    "a clock of 400 digits": (
        "curve_json",
        b'{"time": ["%s:00:00"], "pitch": [1]}' % HUGE,
        "expected a number",
    ),
    "an hour of 5,000 digits": ("csv", b"id,x\na,%s:00:00\n" % (b"9" * 5000), ""),
    "zeros before a large number": ("csv", b"id,x\na,%s9007199254740993\n" % (b"0" * 4400), ""),
    # a file of another kind
    "an archive for an array": ("curve_array", npz(), "is not an array"),
    "a header that no bracket ends": (
        "curve_array",
        seeds.array().replace(b"(4, 2)", b"((4, 2"),
        "is not an array",
    ),
    "a text that is not UTF-8 in Parquet": (
        "parquet",
        PARQUET.replace(b"one", b"o\xffe"),
        "Parquet",
    ),
    "a sheet that is cut": ("xlsx", with_part(SHEET, CUT), "Excel"),
    "a text that the sheet's list lacks": (
        "xlsx",
        with_part("xl/sharedStrings.xml", b"<sst/>"),
        "Excel",
    ),
    "a book without a sheet": (
        "xlsx",
        with_part("xl/workbook.xml", f'<workbook xmlns="{MAIN}"><sheets/></workbook>'.encode()),
        "has no sheet",
    ),
    "an Ogg page of four bytes": ("frames", b"OggS", ""),
    # YAML
    "a number without digits": ("recipe", b"jobs: !!int ''", "does not match its type"),
    "a fraction without digits": ("recipe", b"jobs: !!float ''", "does not match its type"),
    "a Boolean that is none": ("recipe", b"jobs: !!bool maybe", "does not match its type"),
    "a time that is none": ("recipe", b"jobs: !!timestamp soon", "does not match its type"),
    "a fraction in base 60 above 1.8e308": ("recipe", b"jobs: 1" + b":59" * 400 + b".5", "match"),
    "keys and values for the name of a column": (
        "recipe",
        b"input: a\noutput: b\nannotate: [{curve: {root: c, columns: [{pitch: Hz}]}}]",
        "columns: should be keys and values",
    ),
    "a number that Python does not print": (
        "recipe",
        b"input: a\noutput: b\njobs: -0x" + b"f" * 9000,
        "a huge number",
    ),
    # a card and what it is made of
    "tags that are a number": ("card", CARD % b"tags: 5", "tags must be a list"),
    "configs that are a number": ("card", CARD % b"configs: 5", "cannot be read"),
    "configs of numbers": ("card", CARD % b"configs: [5]", "configs must be a list"),
    "a Boolean that is none in a card": ("card", CARD % b"tags: !!bool maybe", "cannot be read"),
    "no codec": ("info", changed(INFO, *SUBSET, "model", value=None), "six.model"),
    "no splits": ("info", changed(INFO, *SUBSET, "splits", value={}), "six.splits"),
    "a split without hours": (
        "info",
        changed(INFO, *SUBSET, "splits", "train", value={"clips": 1}),
        "six.splits.train.hours",
    ),
    "clips that are infinite": (
        "info",
        changed(INFO, *SUBSET, "splits", "train", "clips", value=float("inf")),
        "six.splits.train.clips",
    ),
    "a bandwidth in words": ("info", changed(INFO, *SUBSET, "bandwidth_kbps", value="6"), "kbps"),
    "parameters that are a Boolean": (
        "info",
        changed(INFO, *SUBSET, "parameters", value=True),
        "six.parameters",
    ),
    "a parameter without a kind": (
        "info",
        changed(INFO, *SUBSET, "parameters", "level", value={}),
        "six.parameters.level",
    ),
    "quantiles in words": (
        "info",
        changed(
            INFO, *SUBSET, "parameters", "level", "statistics", "quantiles", value={"p50": "x"}
        ),
        "p50",
    ),
    "provenance that is a Boolean": (
        "info",
        changed(INFO, *SUBSET, "provenance", value=True),
        "six.provenance",
    ),
    "half a character in a card": (
        "info",
        changed(INFO, *SUBSET, "model", value="\ud800"),
        "surrogates",
    ),
    "a clip to hear without a length": (
        "info",
        changed(INFO, "listen", "clips", 0, "seconds", value=None),
        "clips.0.seconds",
    ),
    # statistics
    "clips without end": (
        "stats",
        changed(STATS, "splits", "train", "clips", value=float("inf")),
        "",
    ),
    "values without a range": (
        "stats",
        changed(STATS, *TRAIN, "continuous", "min", value=None),
        "without a kind or a range",
    ),
    "a range from high to low": (
        "stats",
        changed(STATS, *TRAIN, "continuous", "min", value=5.0),
        "is above max",
    ),
    "a mean whose square is infinite": (
        "stats",
        changed(STATS, *TRAIN, "continuous", "state", "mean", value=1e200),
        "is not within",
    ),
    "a mean that is no number": (
        "stats",
        changed(STATS, *TRAIN, "continuous", "state", "mean", value=float("nan")),
        "is not finite",
    ),
    "a period below zero": (
        "stats",
        changed(STATS, *TRAIN, "circular", "period", value=-1.0),
        "period",
    ),
    # what a build writes
    "a marker beside no dataset": ("marker", b"null", "does not name the splits"),
    "a marker without splits": ("marker", b'{"tokens_subdir": 5}', "does not name the splits"),
    "a folder of tokens that is a number": ("marker", b'{"splits": [], "tokens_subdir": 5}', ""),
    "an end of a range in words": ("description", b'{"min": "x", "max": 1}', ""),
    "an end of a range above 1.8e308": ("description", b'{"min": %s}' % HUGE, ""),
    "units that are a number": ("description", b'{"kind": "circular", "units": 5}', ""),
    # a sidecar
    "a measured end in words": (
        "metadata",
        changed(
            changed(META, "features", "level", "declared", value=False),
            *("features", "level", "measured", "min"),
            value="low",
        ),
        "unknown format",
    ),
    "half a character in a doc string": (
        "metadata",
        changed(META, "features", "level", "doc_string", value="\ud800"),
        "unknown format",
    ),
}


@pytest.mark.parametrize("finding", FINDINGS)
def test_a_file_that_ended_in_a_traceback_does_not(finding, tmp_path):
    """A finding with words is refused with them; one without may be read as what it says."""
    name, data, words = FINDINGS[finding]
    warm_up(READERS[name])
    refusal = check(READERS[name], data, tmp_path)
    assert words in (refusal or "")
    assert refusal is not None or not words


LONG = "x" * 5000
QUOTED = {
    "the codec of a header": ("container", b"ECDC\0\0\0\x13\x92" + b'{"m":"%s"}' % (b"x" * 5002)),
    "a frame rate": ("metadata", changed(META, "fps", value=LONG)),
    "a rate": ("curve_json", b'{"rate_hz": "%s", "pitch": [1]}' % LONG.encode()),
    "words for labels": ("curve_json", b'{"rate_hz": 1, "pitch": ["x\\ny", "%s"]}' % LONG.encode()),
    "the columns of a table": ("curve_json", b'{"rate_hz": 1, "%s": [1]}' % LONG.encode()),
    "a version": ("stats", changed(STATS, "version", value="x\ny" + LONG)),
    "a version of info": ("info", changed(INFO, "version", value=LONG)),
    "a kind": ("stats", changed(STATS, *TRAIN, "continuous", "kind", value=LONG)),
    "an unknown producer": ("recipe", b"input: a\noutput: b\nannotate: [%s]" % LONG.encode()),
    "a value in a recipe": ("recipe", b"input: a\noutput: b\njobs: %s" % LONG.encode()),
}


@pytest.mark.parametrize("what", QUOTED)
def test_a_message_quotes_only_the_start_of_what_is_long(what, tmp_path):
    """Files of a few megabytes became lines of a few megabytes."""
    name, data = QUOTED[what]
    warm_up(READERS[name])
    refusal = check(READERS[name], data, tmp_path)
    assert refusal is None or LONG[:1000] not in refusal


def test_quotes_are_short_whatever_they_quote():
    nested: list[Any] = []
    for _ in range(10_000):
        nested = [nested, nested]
    for value in (nested, 1 << 100_000, "x" * 10**6, b"x" * 10**6, list(range(10**5)), "a\nb\x1b"):
        assert len(shown(value)) <= MAX_SHOWN and not set(shown(value)) & set("\n\x1b")
    assert shown("text") == "'text'" and shown(5) == "5" and shown([1, None]) == "[1, None]"
    assert clipped("a\n  b <ast.Name object at 0x7f00>") == "a b <ast.Name>"


def test_yaml_keeps_what_recipes_use():
    text = "a: &a {x: 1, y: [1, 2.5, no]}\nb: {<<: *a, z: '1'}\nc: *a\n"
    a = {"x": 1, "y": [1, 2.5, False]}
    assert load_yaml(text) == {"a": a, "b": {**a, "z": "1"}, "c": a}
    assert load_yaml("") is None
    with pytest.raises(YamlError) as error:
        load_yaml("a: 1\na: 2\n")
    assert "the key 'a' appears twice" in str(error.value)


def test_a_row_beyond_the_last_of_excel_ends_the_reading(tmp_path, monkeypatch):
    """openpyxl makes an empty row for each that is missing, for ever."""
    monkeypatch.setattr(excel, "MAX_SHEET_ROWS", 5000)
    path = tmp_path / "a.xlsx"
    path.write_bytes(seeds.sheet('<row r="999999999999999"><c><v>1</v></c></row>'))
    with pytest.raises(Exception, match="a row beyond 5,000, the last of Excel"):
        read_table(path)


def test_a_row_far_down_keeps_its_number(tmp_path):
    path = tmp_path / "a.xlsx"
    cells = (
        '<row r="1"><c t="str"><v>id</v></c></row><row r="70000"><c r="B70000"><v>1</v></c></row>'
    )
    path.write_bytes(seeds.sheet(cells))
    with pytest.raises(Exception, match="line 70000 has more cells than the header"):
        read_table(path)


def test_a_formula_is_found_below_empty_rows(tmp_path):
    path = tmp_path / "a.xlsx"
    path.write_bytes(seeds.sheet(seeds.SHEET))
    first, second = read_table(path)
    assert first == {"id": "one", "level": 1.5}
    assert second["id"] == "two" and "B4 has a formula without a stored value" in second["level"]


def test_notes_struck_again_take_a_frame_each_and_change_nothing(tmp_path):
    """10,000 notes of one chord were 1.5 million pairs for each second of the clip."""
    path = tmp_path / "a.mid"
    path.write_bytes(chord(10_000))
    notes = FrameNotes(read_performance(path, MidiSettings()), 24_000, CODECS["encodec_24khz"])
    assert len(notes._frames) <= 128 * 75
    assert notes.column("note_count").tolist() == [128.0] * 75
    assert notes.column("note").tolist() == [127.0] * 75


def test_arrow_shares_a_text_that_many_rows_have(tmp_path):
    from tests.hostile.bombs import repeated_parquet

    path = tmp_path / "a.parquet"
    path.write_bytes(repeated_parquet(300, 1000))
    rows = read_table(path)
    assert rows == [{"id": "x" * 1000}] * 300
    assert len({id(row["id"]) for row in rows}) <= 2  # one for each batch


@pytest.mark.parametrize("claimed", [0, 1, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF])
@pytest.mark.parametrize("at", [4, 40])
def test_a_wav_header_that_lies_allocates_nothing(at, claimed, tmp_path):
    """The size of the whole file, and of its samples; 0xFFFFFFFF is what a pipe writes."""
    import struct

    from tests.hostile.test_bombs import cost

    data = seeds.waves()[0]
    at = data.index(b"data") + 4 if at == 40 else at
    peak, _, _ = cost("sound", data[:at] + struct.pack("<I", claimed) + data[at + 4 :], tmp_path)
    assert peak < 8 << 20


def test_a_flac_header_that_claims_two_years_allocates_nothing(tmp_path):
    from tests.hostile.test_bombs import cost

    data = bytearray(seeds.waves()[1])
    at = data.index(b"fLaC") + 8 + 13  # the last 4 bits of 36, then 32
    data[at] |= 0x0F
    data[at + 1 : at + 5] = b"\xff" * 4
    peak, seconds, refusal = cost("sound", bytes(data), tmp_path)
    assert peak < 8 << 20 and seconds < 2
    assert refusal is not None  # in libsndfile's words
