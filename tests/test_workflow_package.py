"""Scripts of the predecessor's users import `workflow.writeParamArrays`, and write what they wrote."""

from __future__ import annotations

import importlib
import subprocess
import sys
import warnings

import numpy as np
import pytest

from preprocess.sidecar.parameters import SidecarError
from preprocess.sidecar.reading import read_sidecar
from tests.helpers.commands import files_under, write_tokens

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from workflow import writeParamArrays as writers

FRAMES = 10
BOTH = [writers.write_sidecar_features, writers.write_sidecar_features_for_rel]


@pytest.mark.parametrize("write", BOTH)
def test_a_script_of_the_predecessors_readme_runs_as_it_is(tmp_path, write):
    """`import workflow.writeParamArrays` failed: the package was not there."""
    write_tokens(tmp_path / "ecdc/a.ecdc")
    gain = np.linspace(-12, 0, FRAMES, dtype=np.float32)
    write(
        root=tmp_path,
        ecdc_rel="ecdc/a.ecdc",
        features={
            "gain_db": {"values": gain[:, None], "units": "dB", "doc_string": "Per frame"},
            "scene_id": {"values": np.full(FRAMES, 7, np.float32), "min": 0, "max": 9},
            "energy": np.full((FRAMES, 1), 0.5),
        },
        fps=75.0,
        schema_version=2,
        mode="overwrite",
        require_ecdc_exists=True,
    )
    parameters = read_sidecar(tmp_path / "ecdc/a.ecdc").parameters
    assert list(parameters) == ["gain_db", "scene_id", "energy"]
    np.testing.assert_allclose(parameters["gain_db"].values, gain, rtol=1e-6)
    assert (parameters["gain_db"].units, parameters["gain_db"].doc_string) == ("dB", "Per frame")
    assert (parameters["scene_id"].min, parameters["scene_id"].max) == (0, 9)
    assert parameters["energy"].values.tolist() == [0.5] * FRAMES


@pytest.mark.parametrize(("mode", "value"), [("append", 1), ("overwrite", 2)])
def test_modes_keep_or_replace(tmp_path, mode, value):
    write_tokens(tmp_path / "a.ecdc")
    for number, how in ((1, "overwrite"), (2, mode)):
        parameters = {"x": np.full(FRAMES, number)}
        writers.write_sidecar_features_for_rel(
            root=tmp_path, ecdc_rel="a.ecdc", features=parameters, mode=how
        )
    assert read_sidecar(tmp_path / "a.ecdc").parameters["x"].values[0] == value


def test_no_parameters_write_nothing(tmp_path):
    writers.write_sidecar_features(root=tmp_path, ecdc_rel="a.ecdc", features={})
    assert files_under(tmp_path) == set()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 1}, "schema_version 1 must be one of"),
        ({"features": {"x": np.zeros((FRAMES, 2))}}, r"values must be \[T\], got \[10, 2\]"),
        ({"features": {"x": {"units": "dB"}}}, "no 'values'"),
        ({"features": {"x": np.full(FRAMES, 174.7633)}, "dtype": "float16"}, "choose dtype"),
        ({"ecdc_rel": "../a.ecdc"}, "must be a path under"),
    ],
)
def test_what_cannot_be_written_is_an_error(tmp_path, changes, message):
    root = tmp_path / "root"
    write_tokens(root / "a.ecdc")
    given = {"root": root, "ecdc_rel": "a.ecdc", "features": {"x": np.zeros(FRAMES)}, **changes}
    with pytest.raises(SidecarError, match=message):
        writers.write_sidecar_features(**given)
    assert files_under(tmp_path) == {"root/a.ecdc"}


def test_a_missing_token_file_is_an_error_if_asked_for(tmp_path):
    given = {"root": tmp_path, "ecdc_rel": "a.ecdc", "features": {"x": np.zeros(FRAMES)}, "fps": 75}
    with pytest.raises(FileNotFoundError, match=r"a\.ecdc does not exist"):
        writers.write_sidecar_features(**given, require_ecdc_exists=True)
    writers.write_sidecar_features(**given)
    assert list(read_sidecar(tmp_path / "a.ecdc").parameters) == ["x"]


def test_importing_it_says_what_to_import_instead():
    with pytest.warns(DeprecationWarning, match=r"from preprocess\.sidecar import write_sidecar"):
        importlib.reload(writers)


def test_a_script_sees_the_note_at_its_own_line(tmp_path):
    """Python shows it where it stands at the user's import, and only there."""
    script = tmp_path / "mine.py"
    script.write_text("from workflow.writeParamArrays import write_sidecar_features\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.returncode == 0
    assert "mine.py:1: DeprecationWarning: workflow.writeParamArrays is deprecated" in done.stderr
