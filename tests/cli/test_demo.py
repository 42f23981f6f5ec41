"""The whole path on the recordings that ship: the demo, and a recipe run twice."""

from __future__ import annotations

import time

import numpy as np
import pytest
from datasets import load_from_disk

from preprocess.cli.main import main
from preprocess.core.resources import shipped_recipe


@pytest.fixture(scope="module")
def demo_run(tmp_path_factory):
    """Run the demo once; return where it wrote."""
    out = tmp_path_factory.mktemp("demo") / "demo_output"
    assert main(["demo", str(out)]) == 0
    return out


def test_the_demo_says_a_line_a_step_and_shows_a_row(tmp_path, capsys):
    assert main(["demo", str(tmp_path / "out")]) == 0
    lines = capsys.readouterr().out.splitlines()
    steps = [line.split()[0] for line in lines[1:6]]
    assert steps == ["normalize", "encode", "annotate", "audit", "build"]
    assert lines[1].startswith("normalize  9 clips, 34.7 s of audio in ")
    assert "x real time)" in lines[2] and "24 kbps" in lines[2]
    shown = "\n".join(lines)
    assert "codes           [32, 325]" in shown
    assert "rms_db [325], position [325], family [325]" in shown
    assert str(tmp_path / "out/dataset") in lines[-2]
    assert lines[-1].startswith(f"page    {tmp_path / 'out/page.html'}, ")
    assert (tmp_path / "out/page.html").read_text().count('json" id="clip-') == 9


def test_the_demos_parameters_are_aligned_with_its_tokens(demo_run):
    rows = load_from_disk(str(demo_run / "dataset"))["train"].with_format("numpy")
    assert len(rows) == 9
    families = {"guitar": 0.0, "percussion": 1.0, "texture": 2.0}
    for row in rows:
        lengths = {len(values) for values in row["features"].values()}
        assert lengths == {len(row["codes"][0])} == {int(row["n_frames"])}
        assert set(row["features"]["family"]) == {families[str(row["id"]).split("/")[0]]}
        np.testing.assert_allclose(row["features"]["position"][[0, -1]], [0, 1])
        assert -60 < row["features"]["rms_db"].max() < 0


def test_a_second_run_does_nothing_and_says_so(demo_run, capsys):
    recipe = str(shipped_recipe("quickstart.yaml"))
    made = {p: p.stat().st_mtime_ns for p in demo_run.rglob("*") if p.is_file()}
    start = time.process_time()
    from preprocess.core.resources import resource

    assert main(["run", recipe, "--input", str(resource("audio")), "--output", str(demo_run)]) == 0
    assert time.process_time() - start < 10
    assert capsys.readouterr().out.splitlines()[-1] == "nothing to do: every output is up to date"
    assert {p: p.stat().st_mtime_ns for p in demo_run.rglob("*") if p.is_file()} == made


def test_a_run_in_which_every_file_fails_stops_there(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.wav").write_text("no audio")
    arguments = ["--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    assert main(["run", str(shipped_recipe("quickstart.yaml")), *arguments]) == 1
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == len(shown.err.splitlines()) == 1
    assert "a.wav" in shown.err
