"""The examples make the datasets that they promise, with the values that belong to each sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.commands import run

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(
    not (ROOT / "examples").exists(), reason="the examples are not in this distribution"
)


def rows_of(example: str, tmp_path, capsys, monkeypatch) -> dict[str, dict]:
    """Run an example as its first line says, and return the rows of the dataset by id."""
    from datasets import load_from_disk

    monkeypatch.chdir(ROOT)
    result = run(capsys, f"run examples/{example}/recipe.yaml --output @", tmp_path)
    assert result.status == 0
    assert [line for line in result.err if "error" in line] == []
    dataset = load_from_disk(str(tmp_path / "dataset"))["train"]
    return {row["id"]: row for row in dataset}


def test_a_spreadsheet_becomes_a_dataset(tmp_path, capsys, monkeypatch):
    rows = rows_of("spreadsheet", tmp_path, capsys, monkeypatch)
    assert list(rows) == ["high/e4", "high/g3", "low/a2", "low/e2"]
    expected = {"low/e2": (40, 1, 0.1), "high/g3": (55, 0, 0.2), "high/e4": (64, 0, 0.5)}
    for name, (pitch, string, position) in expected.items():
        row = rows[name]
        assert np.array(row["codes"]).shape == (32, 75)
        assert set(row["features"]["pitch"]) == {pitch}
        assert set(row["features"]["string"]) == {string}
        np.testing.assert_allclose(row["features"]["position"], position, rtol=1e-3)
        assert len(row["features"]["rms_db"]) == 75


def test_midi_files_become_a_dataset_whose_notes_are_those_of_the_sound(
    tmp_path, capsys, monkeypatch
):
    rows = rows_of("midi", tmp_path, capsys, monkeypatch)
    assert list(rows) == ["down", "long", "up"]
    for row in rows.values():
        parameters = {name: np.array(values, float) for name, values in row["features"].items()}
        note, f0, gate = parameters["note"], parameters["f0_hz"], parameters["gate"]
        assert np.array_equal(np.isnan(note), gate == 0)
        both = ~np.isnan(note) & ~np.isnan(f0)
        # Inside of the notes: near their ends Praat's window of 46 ms sees two of them.
        inside = both & np.array(
            [len(set(gate[max(0, i - 4) : i + 5])) == 1 for i in range(len(gate))]
        )
        assert inside.sum() > 50
        np.testing.assert_allclose(69 + 12 * np.log2(f0[inside] / 440), note[inside], atol=0.05)
        assert (parameters["voiced"] == gate).mean() > 0.9
        assert np.all(np.diff(parameters["wheel"]) >= 0)
        assert parameters["wheel"][-1] >= 118
    assert set(np.array(rows["up"]["features"]["velocity"])) == {0, 100, 80, 60}
    # The phrase begins its notes at 0.1, 0.5 and 0.9 s.
    assert np.flatnonzero(rows["up"]["features"]["onset"]).tolist() == [7, 37, 67]


def test_numbers_in_file_names_become_a_dataset(tmp_path, capsys, monkeypatch):
    rows = rows_of("filenames", tmp_path, capsys, monkeypatch)
    assert len(rows) == 4
    for name, row in rows.items():
        speed, gust = name.removeprefix("wind_speed").split("_gust")
        assert set(row["features"]["speed"]) == {float(speed)}
        np.testing.assert_allclose(row["features"]["gust"], float(gust), rtol=1e-3)
        np.testing.assert_allclose(row["features"]["position"], np.linspace(0, 1, 75), atol=1e-3)


def test_the_notebook_runs_from_audio_to_a_checked_sidecar(tmp_path):
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(ROOT / "examples/make_sidecars.ipynb", as_version=4)
    stored = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("<audio" in str(output.get("data", {}).get("text/html")) for output in stored) == 2
    assert sum("image/png" in output.get("data", {}) for output in stored) == 2
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(output.get("text", "") for output in outputs)
    assert "0 errors" in text
    assert "the click is in frame" in text
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 2
