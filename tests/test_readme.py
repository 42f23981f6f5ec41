"""The README's calls that load a dataset, each run as it stands there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import datasets
import numpy as np
import pytest

import enchf_dataset
from preprocess.sidecar.writing import write_sidecar
from preprocess.tokens.ecdc import read_ecdc

README = (Path(__file__).parent.parent / "README.md").read_text()
BLOCKS = [
    block
    for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    if "demo_output" in block
]
OLD = int(datasets.__version__.split(".")[0]) < 4


@pytest.fixture
def project(token_folder, tmp_path, monkeypatch):
    """A working folder with the script in it, and tokens where the demo leaves them."""
    ecdc = Path(shutil.move(token_folder, tmp_path / "project/demo_output/ecdc"))
    shutil.copy(enchf_dataset.__file__, tmp_path / "project")
    for path in ecdc.rglob("*.ecdc"):
        frames = read_ecdc(path).codes.shape[1]
        write_sidecar(path, {"rms_db": np.full(frames, -20.0)})
    monkeypatch.chdir(tmp_path / "project")


def test_there_are_such_calls():
    text = "".join(BLOCKS)
    for call in ('load_dataset("./enchf_dataset.py"', "EncHFDataset(", 'load_dataset("enchf"'):
        assert call in re.sub(r"\(\s+", "(", text)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_call_of_the_readme_loads_the_folder(project, block, monkeypatch):
    script = "enchf_dataset.py" in block
    if script and not OLD:
        pytest.skip("datasets 4 ended loading scripts")
    loaded = []
    real = datasets.load_dataset
    monkeypatch.setattr(
        datasets, "load_dataset", lambda *a, **k: loaded.append(real(*a, **k)) or loaded[-1]
    )
    scope: dict[str, object] = {}
    exec(block, scope)
    loaded += [scope["dataset"]] if "dataset" in scope else []
    assert loaded
    for dataset in loaded:
        assert len(dataset["train"]) == 3
        assert dataset["train"][0]["features"]["rms_db"][0] == -20
    if script:
        assert [len(each["train"][0]["codes"]) for each in loaded] == [32, 8]
