"""A spreadsheet of any kind gives each clip the values of its row, and what does not fit is said."""

from __future__ import annotations

import json

import numpy as np
import pytest

from preprocess.core.errors import PreprocessError, UsageError
from preprocess.sidecar.reading import read_sidecar
from tests.helpers.clips import clip_of, prepared
from tests.helpers.commands import assert_says, run, write_tokens
from tests.helpers.formats import one_line

HEAD = ["file", "pitch", "mood"]
ROWS = [["a/one.wav", 60.5, "calm"], ["a/two.wav", 72, "wild"], ["b/one.wav", None, "calm"]]


def write_csv(path, head=HEAD, rows=ROWS, separator=","):
    lines = [head, *[["" if cell is None else cell for cell in row] for row in rows]]
    path.write_text("".join(separator.join(map(str, line)) + "\n" for line in lines))
    return path


def write_excel(path):
    import openpyxl

    book = openpyxl.Workbook()
    book.create_sheet("other")
    for line in (HEAD, *ROWS, [None, None, None]):
        book.active.append(line)
    book.save(path)


def write_parquet(path):
    import pyarrow
    import pyarrow.parquet

    columns = {name: [row[at] for row in ROWS] for at, name in enumerate(HEAD)}
    pyarrow.parquet.write_table(pyarrow.table(columns), path)


def write_json_lines(path):
    lines = [json.dumps(dict(zip(HEAD, row, strict=True))) for row in ROWS]
    path.write_text("\n".join(lines) + "\n\n")


WRITERS = {
    "t.csv": write_csv,
    "semicolon.csv": lambda path: write_csv(path, separator=";"),
    "t.tsv": lambda path: write_csv(path, separator="\t"),
    "bom.csv": lambda path: path.write_text(
        "\ufeff" + write_csv(path).read_text().replace("\n", "\r\n"), newline=""
    ),
    "t.xlsx": write_excel,
    "t.parquet": write_parquet,
    "t.jsonl": write_json_lines,
}


def table(path, **settings):
    return prepared({"table": {"path": path, **settings}})


def row_of(producer, name: str) -> dict[str, float]:
    found = producer.parameters(clip_of(name=name))
    assert all(len(set(f["values"])) == 1 or np.isnan(f["values"]).all() for f in found.values())
    return {key: float(parameter["values"][0]) for key, parameter in found.items()}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same(tmp_path, name):
    WRITERS[name](tmp_path / name)
    kind, units = {"mood": "categorical"}, {"pitch": "MIDI"}
    producer = table(tmp_path / name, key="file", kind=kind, units=units)
    assert row_of(producer, "a/one") == {"pitch": 60.5, "mood": 0}
    assert row_of(producer, "a/two") == {"pitch": 72, "mood": 1}
    assert np.isnan(row_of(producer, "b/one")["pitch"])
    pitch, mood = producer.parameters(clip_of(name="b/one")).values()
    assert (pitch["units"], pitch["nan"]) == ("MIDI", "not in the table")
    assert (mood["kind"], mood["min"], mood["max"]) == ("categorical", 0, 1)
    assert "0 calm, 1 wild" in mood["doc_string"]


@pytest.mark.parametrize(
    ("key", "match", "clip"),
    [
        ("x/take.1", "auto", "x/take.1"),
        ("x/take.1", "id", "x/take.1"),
        ("x/take.1.WAV", "auto", "x/take.1"),
        ("./x/take.1.flac", "path", "x/take.1"),
        ("C:\\sounds\\x\\take.1.wav", "auto", "x/take.1"),
        ("/home/me/x/take.1.ecdc", "path", "x/take.1"),
        ("take.1", "auto", "x/take.1"),
        ("take.1.wav", "auto", "deep/x/take.1"),
        ("y/take.1.wav", "stem", "x/take.1"),
        (7, "auto", "x/7"),
    ],
)
def test_a_row_is_found_by_id_path_or_stem(tmp_path, key, match, clip):
    write_csv(tmp_path / "t.csv", ["id", "v"], [[key, 5], ["other", 6]])
    assert row_of(table(tmp_path / "t.csv", match=match), clip) == {"v": 5}


@pytest.mark.parametrize(
    ("key", "match", "clip"),
    [
        ("take", "auto", "take.1"),
        ("y/take", "auto", "x/take"),
        ("x/take.wav", "id", "x/take"),
        ("TAKE", "auto", "take"),
        ("take", "path", "x/take"),
    ],
)
def test_a_clip_without_a_row_is_named(tmp_path, key, match, clip):
    write_csv(tmp_path / "t.csv", ["id", "v"], [[key, 5]])
    with pytest.raises(PreprocessError) as error:
        row_of(table(tmp_path / "t.csv", match=match), clip)
    one_line(error, f"{clip}.ecdc", "t.csv has no row", repr(clip))
    assert np.isnan(row_of(table(tmp_path / "t.csv", match=match, missing="nan"), clip)["v"])


def test_columns_are_renamed_and_labels_ordered_as_given(tmp_path):
    write_csv(tmp_path / "t.csv", ["id", "Pitch (Hz)", "mood"], [["a", 440, "wild"]])
    producer = table(
        tmp_path / "t.csv",
        columns={"pitch_hz": "Pitch (Hz)", "mood": "mood"},
        labels={"mood": ["wild", "calm"]},
    )
    assert row_of(producer, "a") == {"pitch_hz": 440, "mood": 0}
    producer = table(tmp_path / "t.csv", columns=["mood"], kind={"mood": "categorical"})
    assert row_of(producer, "a") == {"mood": 0}


def test_a_quoted_cell_may_hold_separators_and_line_ends(tmp_path):
    (tmp_path / "t.csv").write_text('id,v,note\n"a, b",1,"two\nlines"\n')
    assert row_of(table(tmp_path / "t.csv", columns="v"), "a, b") == {"v": 1}


@pytest.mark.parametrize(
    ("text", "settings", "words"),
    [
        ("id,v\na,1\na,2\n", {}, ["row 2", "duplicate id 'a'"]),
        ("id,v\n,1\n", {}, ["row 1", "has no id"]),
        ("id,v\na,1,2\n", {}, ["line 2", "more cells"]),
        ("id,v,v\na,1,2\n", {}, ["two columns 'v'"]),
        ("id,,v\na,1,2\n", {}, ["without a name"]),
        ("name,v\na,1\n", {}, ["no column 'id'", "name, v"]),
        ("id,pitch\na,1\n", {"columns": ["ptich"]}, ["did you mean 'pitch'"]),
        ("id,Pitch (Hz)\na,1\n", {}, ["'Pitch (Hz)'", "columns: {"]),
        ("id,v\na,1\nb,high\n", {}, ["row 2 (b)", "'high' is not a number"]),
        ("id,v\na,inf\n", {}, ["row 1 (a)", "infinite"]),
        ("id,v\na,x\n", {"labels": {"v": ["y"]}}, ["row 1 (a)", "'x' is not one of y"]),
        ("id,v\na,1\n", {"units": {"w": "Hz"}}, ["units names 'w'", "it makes v"]),
        ("id,v\na,1\n", {"sheet": "one"}, ["no sheets"]),
        ("id,v\n", {}, ["no rows"]),
        ("", {}, ["no rows"]),
        ('id,v\n"a,1\n', {}, ["t.csv"]),
    ],
)
def test_a_bad_table_is_one_line_before_any_clip(tmp_path, text, settings, words):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        table(path, **settings)
    one_line(error, "t.csv" if "units" not in settings else "table", *words)


@pytest.mark.parametrize("name", ["t.xlsx", "t.parquet", "t.csv", "t.jsonl"])
def test_a_file_of_bytes_is_no_table(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"\xff\xfe\x00\x81" * 50)
    with pytest.raises(UsageError) as error:
        table(path)
    one_line(error, name)


@pytest.mark.parametrize(("name", "words"), [("none.csv", "does not exist"), ("t.doc", ".xlsx")])
def test_a_missing_file_and_an_unknown_kind_are_named(tmp_path, name, words):
    with pytest.raises(UsageError) as error:
        table(tmp_path / name)
    one_line(error, name, words)


def test_a_sheet_is_chosen_by_name(tmp_path):
    write_excel(tmp_path / "t.xlsx")
    with pytest.raises(UsageError) as error:
        table(tmp_path / "t.xlsx", key="file", sheet="third")
    one_line(error, "no sheet 'third'", "other")
    with pytest.raises(UsageError) as error:
        table(tmp_path / "t.xlsx", key="file", sheet="other")
    one_line(error, "no rows")


@pytest.fixture
def root(tmp_path):
    for name in ("a/one", "a/two", "b/one"):
        write_tokens(tmp_path / f"ecdc/{name}.ecdc")
    return tmp_path / "ecdc"


def test_rows_and_clips_without_a_counterpart_are_listed(root, tmp_path, capsys):
    path = write_csv(tmp_path / "t.csv", ["id", "v"], [["a/one", 1], ["c/x", 2], ["c/y", 3]])
    result = run(
        capsys, "annotate @ --table path=@ match=id".replace("path=@", f"path={path}"), root
    )
    assert result.status == 1
    assert [line for line in result.err if "note" in line] == [
        f"annotate: note: {path}: v: numbers",
        f"annotate: note: {path}: 2 rows without a clip: c/x, c/y",
    ]
    assert [line for line in result.err if "error" in line] == [
        f"annotate: error: {root}/a/two.ecdc: {path} has no row for 'a/two'",
        f"annotate: error: {root}/b/one.ecdc: {path} has no row for 'b/one'",
    ]
    result = run(capsys, f"annotate @ --table path={path} match=id missing=nan", root)
    assert result.status == 0
    assert_says("\n".join(result.err), ["no row for 2 clips: a/two, b/one"])
    assert read_sidecar(root / "b/one.ecdc").parameters["v"].nan == "not in the table"


def test_a_row_for_two_clips_and_a_table_for_none_stop_before_any_is_written(
    root, tmp_path, capsys
):
    for rows, words in (
        ([["one", 1], ["two", 2]], ["'one'", "both a/one and b/one"]),
        ([["x", 1]], ["no id matches a clip", "'x'", "'a/one'"]),
        ([["one", 1], ["a/one.wav", 1], ["x/a/one.wav", 1]], ["'a/one.wav' and 'x/a/one.wav'"]),
    ):
        path = write_csv(tmp_path / "t.csv", ["id", "v"], rows)
        result = run(capsys, f"annotate @ --table path={path}", root)
        assert result.status == 2
        assert_says(result.error, words)
        assert not list(root.rglob("*.cond.*"))


def test_an_edited_row_concerns_its_own_clip_alone(root, tmp_path, capsys):
    rows = [["a/one", 1], ["a/two", 2], ["b/one", 3]]
    path = write_csv(tmp_path / "t.csv", ["id", "v"], rows)
    run(capsys, f"annotate @ --table path={path}", root)
    write_csv(path, ["id", "v"], [*rows[:2], ["b/one", 4]])
    result = run(capsys, f"annotate @ --table path={path}", root)
    assert_says(result.out[-1], ["1 clip in", "2 up to date"])
    assert read_sidecar(root / "b/one.ecdc").parameters["v"].values[0] == 4
