"""Every block of `docs/training.md` runs, one after another, and its losses fall."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from datasets import DatasetDict

from preprocess.sidecar.parameters import Parameter
from preprocess.stats import CorpusStats, write_stats
from tests.helpers.rows import PARAMETERS, make_dataset, make_rows

DOC = Path(__file__).parent.parent / "docs/training.md"
pytestmark = pytest.mark.skipif(
    not DOC.exists(), reason="the documentation is not in this distribution"
)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A working folder with a built dataset whose codes are few, so that a model learns them."""
    rows = make_rows([24_000 + 3_001 * i for i in range(24)], "encodec_24khz_demo", k=2)
    stats = CorpusStats()
    for row in rows:
        row["codes"] = row["codes"] % 16
        stats.update({n: Parameter.from_info(i, row["features"][n]) for n, i in PARAMETERS.items()})
    dataset = make_dataset(rows, tmp_path / "rows.arrow")
    DatasetDict({"train": dataset}).save_to_disk(tmp_path / "results/dataset")
    write_stats(tmp_path / "results/dataset/stats.json", {"train": stats})
    monkeypatch.chdir(tmp_path)


def test_every_block_runs_and_losses_fall(project):
    sections = DOC.read_text(encoding="utf-8").split("\n## ")
    scope, fallen = {"__name__": "training"}, []
    for section in sections:
        blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
        for block in blocks:
            exec(compile(block, section.splitlines()[0], "exec"), scope)
        if "losses" in "".join(blocks):
            losses = scope["losses"]
            assert np.mean(losses[-3:]) < 0.7 * np.mean(losses[:2]), section
            fallen.append(section.splitlines()[0])
    shown = {"Plain PyTorch", "transformers.Trainer", "Lightning", "A recurrent model on latents"}
    assert shown <= set(fallen)


def test_the_block_of_the_readme_runs(project):
    text = (DOC.parent.parent / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(from preprocess.train import.*?)```", text, re.DOTALL)
    scope = {"dataset": DatasetDict.load_from_disk("results/dataset")}
    exec(block, scope)
    assert scope["batch"]["codes"].shape[1:] == (2, 64)


def test_what_the_page_names_is_there():
    text = DOC.read_text(encoding="utf-8")
    options = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text, re.MULTILINE)
    named = {name for row in options for name in re.findall(r"`(\w+)`", row)}
    from preprocess.train import CropSettings

    fields = set(CropSettings.__dataclass_fields__)
    batch = {"codes", "mask", "parameter_mask", "ids", "starts"}
    assert fields - {"times"} <= named - batch | {"parameters"}
    assert named <= fields | batch | {"stats"}
