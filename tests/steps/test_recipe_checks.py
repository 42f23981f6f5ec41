"""What is wrong with a recipe is said before its first step begins, once, and nothing is written."""

from __future__ import annotations

import pytest

from preprocess.core.report import SHARED_BY, Report, print_report
from preprocess.params import parameter_names, parse_producer
from tests.helpers.commands import assert_says, files_under, run, write_tone

HEAD = "input: in\noutput: out\ncodec: encodec_24khz_demo\n"
TABLE = "annotate: [{table: {path: t.csv}}]\n"
FAULTS = {
    "a group that is no expression": (
        "build: {split_by: group, group: '('}",
        ["group '('", "is not a regular expression"],
    ),
    "a group without a parenthesis": (
        "build: {split_by: group, group: 'take'}",
        ["group 'take' has no parenthesis"],
    ),
    "a group that no clip has": (
        "build: {split_by: group, group: '(x+)'}",
        ["a/0.wav", "'(x+)' does not match 'a/0'"],
    ),
    "fractions": (
        "build: {split_by: group, fractions: [train=0.5, test=0.4]}",
        ["fractions must sum to 1, got 0.9"],
    ),
    "a fraction twice": (
        "build: {split_by: group, fractions: [train=0.5, train=0.5, test=0.5]}",
        ["a split appears twice: train, train, test"],
    ),
    "a parameter of no producer": (
        "build: {parameters: [levle]}\nannotate: [rms_db: {name: level}]",
        ["build: parameters: no producer makes 'levle' (did you mean 'level'?)"],
    ),
    "a required parameter of no producer": (
        "build: {require_parameters: [a]}",
        ["build: require_parameters: no producer makes 'a'; they make none"],
    ),
    "a parameter that the audit requires": (
        "audit: {require: [a]}\nannotate: [constant: {name: b, value: 1}]",
        ["audit: require: no producer makes 'a'"],
    ),
    "two producers of a parameter": (
        "annotate: [constant: {name: rms_db, value: 1}, rms_db]",
        ["two producers (constant and rms_db) make the parameter 'rms_db'"],
    ),
    "a name that is none": (
        "annotate: [constant: {name: 'a b', value: 1}]",
        ["annotate: constant: name"],
    ),
    "a table that is missing": (TABLE.replace("t.csv", "no.csv"), ["no.csv does not exist"]),
    "a table of other clips": (TABLE, ["t.csv: no id matches a clip"]),
    "a function file that is missing": (
        "annotate: [function: {function: 'no.py:f'}]",
        ["no.py does not exist"],
    ),
    "curves that are missing": (
        "annotate: [curve: {root: absent, columns: [x]}]",
        ["curves' folder absent does not exist"],
    ),
    "weights that are missing": (
        "weights: no.th",
        ["weights no.th: no such file, folder or Hub repository"],
    ),
    "weights that are none": ("weights: t.csv", ["t.csv is not a readable checkpoint"]),
    "a bandwidth above the tokens'": (
        "encode: {bandwidth: 6}\nbuild: {bandwidth: 12}",
        ["build: bandwidth 12 exceeds encode: bandwidth 6"],
    ),
    "a shard that is none": ("audit: {shard_index: 2, shard_count: 2}", ["shard_index 2"]),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for index in range(2):
        write_tone(tmp_path / f"in/a/{index}.wav", 0.2)
    (tmp_path / "t.csv").write_text("id,x\nelsewhere,1\n")
    return tmp_path


def run_recipe(folder, capsys, text):
    (folder / "recipe.yaml").write_text(HEAD + text + "\n")
    return run(capsys, "run recipe.yaml")


@pytest.mark.parametrize(("text", "parts"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_one_line_before_the_first_step(text, parts, folder, capsys):
    """Most were said after an hour of encoding, some once for each clip."""
    result = run_recipe(folder, capsys, text)
    assert result.status in (1, 2) and result.out == []
    assert_says(result.error, parts)
    assert not (folder / "out").exists()


def test_an_output_that_is_a_file_is_such_a_fault(folder, capsys):
    (folder / "out").write_text("mine")
    result = run_recipe(folder, capsys, "")
    assert (result.status, result.out) == (2, [])
    assert_says(result.error, ["output out is a file, not a folder"])


def test_a_recipe_without_a_fault_runs(folder, capsys):
    text = "build: {split_by: group, group: '/(.)', parameters: [level], fractions: [train=1]}\n"
    result = run_recipe(folder, capsys, text + "annotate: [rms_db: {name: level}]")
    assert result.status == 0
    assert "out/dataset/enchf_build.json" in files_under(folder)


@pytest.mark.parametrize(
    ("entries", "names"),
    [
        (
            [{"audio": {"measure": ["rms_db", "f0_hz"], "prefix": "x_"}}],
            ["x_rms_db", "x_f0_hz", "x_voiced"],
        ),
        ([{"filename": {"pattern": "(?P<take>[0-9])"}}], ["take"]),
        ([{"filename": {"pattern": "(?P<name>[a-z])(?P<value>[0-9])"}}], None),
        (
            [
                {"function": {"function": "numpy:mean"}},
                {"ramp": {"name": "a", "start": 0, "end": 1}},
            ],
            None,
        ),
    ],
)
def test_what_producers_make_is_known_where_their_settings_say_it(entries, names):
    pytest.importorskip("parselmouth")
    assert parameter_names([parse_producer(entry) for entry in entries]) == names


def test_a_fault_of_many_clips_is_said_once(capsys):
    """A function that fails for each clip filled the screen with the same line."""
    report = Report("annotate")
    for index in range(21):
        report.fail(f"ecdc/{index}.ecdc", f"ecdc/{index}.ecdc: f.py:f raised ValueError: no")
    report.fail("ecdc/other.ecdc", "is empty")
    print_report(report)
    first, second = capsys.readouterr().err.splitlines()
    assert_says(first, ["f.py:f raised ValueError: no (21 times: ecdc/0.ecdc, ", "and 1 more)"])
    assert second == "annotate: error: ecdc/other.ecdc: is empty"


def test_a_fault_of_few_clips_names_each(capsys):
    report = Report("encode")
    for index in range(SHARED_BY - 1):
        report.fail(f"{index}.wav", f"{index}.wav is silent")
    print_report(report)
    assert len(capsys.readouterr().err.splitlines()) == SHARED_BY - 1


def test_a_fault_of_every_clip_is_one_line_in_a_run(folder, capsys):
    for index in range(2, 8):
        write_tone(folder / f"in/a/{index}.wav", 0.2)
    (folder / "f.py").write_text("def f(clip):\n    raise ValueError('no')\n")
    result = run_recipe(folder, capsys, "annotate: [function: {function: 'f.py:f'}]")
    said = [line for line in result.err if "raised ValueError" in line]
    assert len(said) == 1 and "8 times" in said[0]
    assert said[0].count(".ecdc") == 8
