"""Making a producer reads nothing; preparing it reads once, and what is hashed is what runs."""

from __future__ import annotations

import builtins
import pathlib

import pytest

from preprocess.core.errors import UsageError
from preprocess.core.files import digest_file
from preprocess.params import parse_producer
from preprocess.sidecar.reading import read_sidecar
from tests.helpers.clips import clip_of
from tests.helpers.commands import run, write_tokens

EDITED = """
from pathlib import Path

def level(clip):
    Path(__file__).write_text(Path(__file__).read_text().replace("VALUE = 1", "VALUE = 2"))
    return {"x": [VALUE] * clip.n_frames}

VALUE = 1
"""


@pytest.mark.parametrize(
    "entry",
    [
        {"table": {"path": "none.csv"}},
        {"curve": {"root": "none", "columns": ["x"], "kind": {"x": "categorical"}}},
        {"function": {"function": "none.py:f"}},
        {"audio": {"measure": ["f0_hz"]}},
        {"filename": {"pattern": "(?P<x>.+)"}},
    ],
    ids=lambda entry: next(iter(entry)),
)
def test_making_a_producer_opens_no_file(entry, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError(f"opened {args[0]}")

    for module, name in ((builtins, "open"), (pathlib.Path, "open"), (pathlib.Path, "read_bytes")):
        monkeypatch.setattr(module, name, refuse)
    assert parse_producer(entry).flag == next(iter(entry))


def test_preparing_names_what_is_missing(tmp_path):
    producer = parse_producer({"table": {"path": tmp_path / "none.csv"}})
    with pytest.raises(UsageError, match=r"annotate: table .*none\.csv"):
        producer.prepare()


def test_a_prepared_producer_keeps_what_it_read_and_the_next_one_reads_again(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id,x\na,1\n")
    producer = parse_producer({"table": {"path": path}})
    first = producer.prepare()
    path.write_text("id,x\na,2\n")
    second = producer.prepare()
    values = [p.parameters(clip_of(name="a"))["x"]["values"][0] for p in (first, second)]
    assert values == [1, 2]
    assert first.prepare() is first


def test_code_that_is_edited_during_a_run_is_the_code_that_was_hashed(tmp_path, capsys):
    """The second clip ran the new code under the hash of the old."""
    path = tmp_path / "knobs.py"
    path.write_text(EDITED)
    digest = digest_file(path)
    for name in "ab":
        write_tokens(tmp_path / f"ecdc/{name}.ecdc")
    root = tmp_path / "ecdc"
    assert run(capsys, f"annotate @ --jobs 1 --function function={path}:level", root).status == 0
    made = [read_sidecar(root / f"{name}.ecdc") for name in "ab"]
    assert [set(s.parameters["x"].values) for s in made] == [{1}, {1}]
    assert digest_file(path) != digest
    # The edited file is other code, so both clips are made again, by it.
    path.write_text(path.read_text().replace('"VALUE = 1"', '"VALUE = 3"'))
    assert run(capsys, f"annotate @ --jobs 1 --function function={path}:level", root).status == 0
    made = [read_sidecar(root / f"{name}.ecdc") for name in "ab"]
    assert [set(s.parameters["x"].values) for s in made] == [{2}, {2}]


def test_a_curve_that_changes_while_it_is_read_fails_its_clip(tmp_path, capsys):
    """Its new values stood under the hash of the old file, and were never made again."""
    code = tmp_path / "edit.py"
    curve = tmp_path / "curves/a.csv"
    curve.parent.mkdir()
    curve.write_text("time,x\n0,1\n1,1\n")
    code.write_text(
        f"def f(clip):\n    open({str(curve)!r}, 'w').write('time,x\\n0,2\\n1,2\\n')\n    return {{}}\n"
    )
    write_tokens(tmp_path / "ecdc/a.ecdc")
    words = f"--function function={code}:f --curve root={curve.parent} columns=[x]"
    result = run(capsys, f"annotate @ {words}", tmp_path / "ecdc")
    assert result.status == 1
    assert "a.ecdc" in result.err[0] and "changed during the run" in result.err[0]
    assert not (tmp_path / "ecdc/a.cond.json").exists()
    assert run(capsys, f"annotate @ {words}", tmp_path / "ecdc").status == 0
    assert set(read_sidecar(tmp_path / "ecdc/a.ecdc").parameters["x"].values) == {2}
