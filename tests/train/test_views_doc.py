"""The blocks of `docs/training.md` on patterns and latents run one after the other, as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from preprocess.codec.encodec_package import import_before_torchaudio
from tests.helpers.rows import make_dataset, make_rows

DOC = Path(__file__).parent.parent.parent / "docs/training.md"
pytestmark = pytest.mark.skipif(
    not DOC.exists(), reason="the documentation is not in this distribution"
)


def blocks_under(head: str) -> list[str]:
    """Return the Python blocks of a section."""
    section = DOC.read_text(encoding="utf-8").split(f"\n## {head}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    rows = make_rows([24_000 + 997 * i for i in range(24)], model="encodec_24khz_demo")
    return make_dataset(rows, tmp_path_factory.mktemp("rows") / "train.arrow")


def test_the_blocks_on_patterns_run(dataset):
    import_before_torchaudio("transformers.models.llama.modeling_llama")
    blocks = blocks_under("Patterns")
    assert len(blocks) == 2
    names = {"dataset": dataset}
    for block in blocks:
        exec(block, names)
    assert names["inputs"].shape == (8, 4, 67)
    assert names["view"].step_parameters.shape == (8, 2, 67)
    assert names["lines"]["input_ids"].shape == (8, 1 + 4 * 64)
    assert names["loss"].item() == pytest.approx(torch.tensor(3.0 + 4 * 1024).log().item(), abs=0.3)


def test_the_block_on_latents_falls(dataset, capsys):
    (block,) = blocks_under("A recurrent model on latents")
    exec(block, {"dataset": dataset})
    losses = [float(line.split()[-1]) for line in capsys.readouterr().out.splitlines()]
    assert len(losses) == 4
    assert losses[-1] < losses[0]
