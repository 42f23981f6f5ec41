"""The benchmark of a GPU: it runs on a processor, and says where there is no GPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")
if not (Path(__file__).parents[2] / "benchmarks").exists():
    pytest.skip("the benchmarks are not in this distribution", allow_module_level=True)
from benchmarks.gpu import main


def test_it_runs_on_a_processor(capsys):
    words = ["--device", "cpu", "--clips", "2", "--seconds", "1", "--rounds", "1", "--batch", "2"]
    assert main(words) == 0
    ours, theirs, codes = capsys.readouterr().out.splitlines()
    for line, name in ((ours, "ours"), (theirs, "transformers")):
        assert line.startswith(name) and float(line.split()[1]) > 0
    assert codes == f"codes equal the processor's in {' '.join(['100.00'] * 8)} % (by codebook)"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(capsys):
    assert main([]) == 0
    assert capsys.readouterr().out == (
        "no GPU here, nothing is measured; --device cpu runs the same code\n"
    )
