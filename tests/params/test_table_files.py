"""Tables as spreadsheet programs write them: encodings, separators, headers, Excel's own cells."""

from __future__ import annotations

import datetime as dt
import zipfile

import numpy as np
import pytest

from preprocess.core.errors import UsageError
from tests.helpers.clips import clip_of, prepared
from tests.helpers.formats import one_line

TEXT = "id;mood;v\nCafé;süß;1,5\nb;mild;2\n"
LABELS = {"mood": ["mild", "süß"]}


def table(path, **settings):
    return prepared({"table": {"path": path, **settings}})


def row_of(producer, name: str) -> dict[str, float]:
    return {k: float(f["values"][0]) for k, f in producer.parameters(clip_of(name=name)).items()}


def write_excel(path, lines, formats=(), sheet="Sheet1"):
    """Write lines to an Excel file, `formats` being cell -> number format."""
    import openpyxl

    book = openpyxl.Workbook()
    book.active.title = sheet
    for line in lines:
        book.active.append(line)
    for cell, number_format in dict(formats).items():
        book.active[cell].number_format = number_format
    book.save(path)
    return path


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-8", None),
        ("utf-8-sig", None),
        ("utf-16", None),
        ("utf-32", None),
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("cp1252", "cp1252"),
        ("cp1252", "windows-1252"),
        ("mac_roman", "mac_roman"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
    ],
)
def test_a_table_is_read_in_its_encoding(tmp_path, encoding, said):
    path = tmp_path / "t.csv"
    path.write_bytes(TEXT.encode(encoding))
    settings = {} if said is None else {"encoding": said}
    assert row_of(table(path, labels=LABELS, **settings), "Café") == {"mood": 1, "v": 1.5}


@pytest.mark.parametrize(
    ("encoding", "said", "words"),
    [
        ("cp1252", None, ["not UTF-8", "line 2", "0xE9", "encoding: cp1252", "'Café;süß;1,5'"]),
        ("mac_roman", None, ["not UTF-8", "line 2", "0x8E", "or another"]),
        ("utf-16-le", None, ["set encoding: utf-16-le"]),
        ("utf-16-be", None, ["set encoding: utf-16-be"]),
        ("utf-8", "cp1252", ["is UTF-8, not cp1252; omit encoding"]),
        ("cp1252", "ascii", ["is not ASCII", "line 2", "0xE9"]),
        ("utf-8", "cp1253x", ["unknown encoding 'cp1253x'"]),
        ("utf-8", "base64", ["unknown encoding 'base64'"]),
    ],
)
def test_another_encoding_is_an_error_with_a_hint(tmp_path, encoding, said, words):
    """A file of Excel for Windows was "not UTF-8; save it as such", with no way to read it."""
    path = tmp_path / "t.csv"
    path.write_bytes(TEXT.encode(encoding))
    with pytest.raises(UsageError) as error:
        table(path, labels=LABELS, **({} if said is None else {"encoding": said}))
    one_line(error, "t.csv", *words)


def test_text_of_two_bytes_a_character_is_known_without_a_mark(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("id,v\na,1\n".encode("utf-16-le"))
    with pytest.raises(UsageError) as error:
        table(path)
    one_line(error, "contains zero bytes; set encoding: utf-16-le")
    path.write_bytes(b"id,v\na,\0\n")
    with pytest.raises(UsageError) as error:
        table(path)
    one_line(error, "contains zero bytes; it is not text")


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("Survey of May\n\nid,v\na,1\n", {"header": 3}),
        ('note,"two\nlines"\nid,v\na,1\n', {"header": 3}),
        ("sep=|\nid|v\na|1\n", {}),
        ('"sep=;"\nid;v\na;1\n', {}),
        ("id|v\na|1\n", {}),
        ("id/v\na/1\n", {"delimiter": "/"}),
        ("id;v;note\na;1;x, y, z, w\n", {"columns": ["v"]}),
        ("Level, dB, A;id;v\n1;a;1\n2;b;2\n", {"columns": ["v"]}),
        ("id,v\na,1\n", {"header": 1}),
    ],
)
def test_header_and_separator_are_found_or_said(tmp_path, text, settings):
    path = tmp_path / "t.csv"
    path.write_text(text)
    assert row_of(table(path, **settings), "a") == {"v": 1}


@pytest.mark.parametrize(
    ("text", "settings", "words"),
    [
        ("Survey\nid,v\na,1\n", {}, ["line 2 has more cells", "header: 2 if the names"]),
        ("Survey,,x\nid,v,w\na,1,2\n", {}, ["without a name in line 1", "header: 2"]),
        ("Survey,May\nid,v\na,1\n", {}, ["no column 'id'", "row 1 has it", "header"]),
        ("Survey\nid;v\na;1\n", {}, ["no column 'id'", "row 1 has it", "header"]),
        ("id,v\na,1,5\n", {}, ["line 2 has more cells", "delimiter"]),
        ("id,v\n\na,1\n", {"header": 2}, ["header is line 2, which is empty"]),
        ("id,v\na,1\n", {"header": 9}, ["header is line 9, which is empty"]),
        ("id,v\na,1\n", {"delimiter": ", "}, ["delimiter ', ' must be a single character"]),
        ("id,v\na,1\n", {"header": 0}, ["header"]),
    ],
)
def test_a_table_that_begins_otherwise_says_what_to_write(tmp_path, text, settings, words):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        table(path, **settings)
    one_line(error, *words)


def test_settings_of_other_formats_are_refused(tmp_path):
    csv, excel = tmp_path / "t.csv", write_excel(tmp_path / "t.xlsx", [["id", "v"], ["a", 1]])
    csv.write_text("id,v\na,1\n")
    for path, settings, word in (
        (csv, {"sheet": "x"}, "no sheets"),
        (excel, {"encoding": "cp1252"}, "no encoding"),
        (excel, {"delimiter": ";"}, "no delimiter"),
        (tmp_path / "t.jsonl", {"header": 2}, "no header line"),
    ):
        with pytest.raises(UsageError) as error:
            table(path, **settings)
        one_line(error, word)


def test_leading_zeros_stay_in_a_key(tmp_path):
    """Excel keeps `001` as 1 with a format."""
    csv = tmp_path / "t.csv"
    csv.write_text("id,v\n001,5\n1,6\n")
    assert row_of(table(csv), "001") == {"v": 5}
    assert row_of(table(csv), "1") == {"v": 6}
    lines = [["id", "v"], [1, 5], ["002", 7], [12, 8]]
    excel = write_excel(tmp_path / "t.xlsx", lines, {"A2": "000", "A4": "0000", "B4": "00"})
    assert [row_of(table(excel), key)["v"] for key in ("001", "002", "0012")] == [5, 7, 8]


def test_excel_cells_are_read_as_they_are_shown(tmp_path):
    head = ["id", "mix", "length", "day", "moment", "loud", "decimal"]
    first = ["a", 0.12, dt.timedelta(hours=30, seconds=1), dt.date(2024, 3, 1)]
    second = ["b", 0.07, dt.timedelta(seconds=90), dt.date(1970, 1, 2)]
    lines = [
        head,
        [*first, dt.datetime(1970, 1, 1, 12), True, "1,5"],
        [*second, dt.datetime(1970, 1, 2), None, 2.5],
    ]
    formats = {"B2": "0%", "B3": '0.0%" of it"', "C2": "[h]:mm:ss", "C3": "[h]:mm:ss"}
    producer = table(write_excel(tmp_path / "t.xlsx", lines, formats))
    assert row_of(producer, "a") == {
        "mix": 12,
        "length": 108_001,
        "day": 19_783,
        "moment": 43_200,
        "loud": 1,
        "decimal": 1.5,
    }
    row = row_of(producer, "b")
    assert np.isnan(row.pop("loud"))
    assert row == {"mix": 7, "length": 90, "day": 1, "moment": 86_400, "decimal": 2.5}
    assert producer.parameters(clip_of(name="a"))["mix"]["units"] == "%"


def test_a_formula_without_its_value_names_the_cell(tmp_path):
    """openpyxl and other writers store no values of formulas; they became NaN."""
    lines = [["id", "v", "w"], ["a", 1, None], ["b", 2, "=B3*2"], ["c", "=B2+1", 5]]
    path = write_excel(tmp_path / "t.xlsx", lines, {"C2": "0.00"})
    for columns, cell in ((["v"], "B4"), (["w"], "C3")):
        with pytest.raises(UsageError) as error:
            table(path, columns=columns)
        one_line(error, "t.xlsx", f"sheet Sheet1, {cell} has a formula without a stored value")
    lines = [["id", "v"], ["=A3", 1], ["a", 2]]
    with pytest.raises(UsageError) as error:
        table(write_excel(path, lines, sheet="One"))
    one_line(error, "sheet One, A2 has a formula")
    labels = {"labels": {"v": ["x"]}}
    with pytest.raises(UsageError) as error:
        table(write_excel(path, [["id", "v"], ["a", "=A2"]]), **labels)
    one_line(error, "B2 has a formula")


def test_a_formula_elsewhere_and_one_with_its_value_do_not_matter(tmp_path):
    lines = [["id", "v", "w"], ["a", 1, "=B2"], ["b", None, "=B3"]]
    path = write_excel(tmp_path / "t.xlsx", lines)
    assert row_of(table(path, columns=["v"]), "a") == {"v": 1}
    computed = _with_values(path, {"C2": "<v>7</v>", "C3": "<v>8</v>"})
    assert row_of(table(computed, columns=["w"]), "b") == {"w": 8}
    # What a spreadsheet program stores for ="" is an empty text, and no missing value.
    empty = _with_values(path, {"C2": "<v>7</v>", "C3": "<v></v>"}, text="C3")
    assert np.isnan(row_of(table(empty, columns=["w"]), "b")["w"])


def _with_values(path, values, text=""):
    """Return a copy of an Excel file in which formulas have values, as a program stores them."""
    other = path.with_name("computed.xlsx")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(other, "w") as target:
        for name in source.namelist():
            data = source.read(name).decode()
            if name.endswith("sheet1.xml"):
                for cell, value in values.items():
                    kind = ' t="str"' if cell == text else ""
                    head, found, rest = data.partition(f'<c r="{cell}"')
                    assert found
                    old = rest[: rest.index("</c>")]
                    formula = old[old.index("<f>") : old.index("</f>") + 4]
                    data = f"{head}{found}{kind}>{formula}{value}{rest[len(old) :]}"
            target.writestr(name, data)
    return other


def test_rows_beyond_what_the_file_states_are_read(tmp_path):
    """Some writers state too small a size of the sheet, and openpyxl then stops there."""
    path = write_excel(tmp_path / "t.xlsx", [["id", "v"], ["a", 1], ["b", 2]])
    other = tmp_path / "small.xlsx"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(other, "w") as target:
        for name in source.namelist():
            data = source.read(name).decode()
            target.writestr(name, data.replace('ref="A1:B3"', 'ref="A1:B2"'))
    assert row_of(table(other), "b") == {"v": 2}


def test_the_header_of_a_sheet_may_stand_lower(tmp_path):
    lines = [["Survey of May"], [], ["id", "v", None], ["a", 1], [None, None], ["b", 2]]
    path = write_excel(tmp_path / "t.xlsx", lines)
    assert row_of(table(path, header=3, sheet="Sheet1"), "b") == {"v": 2}
    with pytest.raises(UsageError) as error:
        table(path)
    one_line(error, "line 3 has more cells", "header: 2")
