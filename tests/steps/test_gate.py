"""No dataset without an audit: what annotate failed at or an audit refuses, build refuses."""

from __future__ import annotations

import numpy as np
import pytest

from preprocess.core.report import Report
from preprocess.sidecar.writing import write_sidecar
from preprocess.steps.run import _why_not_build
from tests.helpers.commands import assert_says, run, write_tokens, write_tone


def test_a_run_whose_annotate_fails_makes_no_dataset(tmp_path, capsys):
    """It saved one without any parameter, which looked good."""
    write_tone(tmp_path / "in/a.wav", 0.2)
    write_tone(tmp_path / "in/b.wav", 0.3)
    (tmp_path / "bad.py").write_text("def f(clip):\n    exit(3)\n")
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        f"input: {tmp_path}/in\noutput: {tmp_path}/out\ncodec: encodec_24khz_demo\ndevice: cpu\n"
        f"annotate: [{{function: {{function: '{tmp_path}/bad.py:f'}}}}]\n"
    )
    result = run(capsys, "run @", recipe)
    assert result.status == 1
    steps = [line.split()[0] for line in result.out]
    assert steps == ["normalize", "encode", "annotate", "audit", "build"]
    assert result.out[-1] == (
        "build skipped: annotate failed for 2 clips and the audit found 2 errors in 2 clips"
    )
    for name in "ab":
        assert any(f"{name}.ecdc: " in e and "SystemExit: 3 at bad.py:2" in e for e in result.err)
    assert not (tmp_path / "out/dataset").exists()


def test_errors_of_one_clip_count_as_one_clip(tmp_path):
    audited = Report("audit")
    for path in ("d/a.cond.npy", "d/a.ecdc", "d/a.cond.json", "d/b.ecdc"):
        audited.fail(path, "wrong")
    reason = _why_not_build(Report("annotate"), audited, tmp_path / "ds")
    assert reason == "the audit found 4 errors in 2 clips"
    assert _why_not_build(Report("annotate"), Report("audit"), tmp_path) == ""


def sidecar(root, name, seed, **parameter):
    path = write_tokens(root / f"{name}.ecdc", seed=seed)
    write_sidecar(path, {"x": {"values": np.arange(10.0), "min": 0, "max": 9} | parameter})
    return path


@pytest.fixture
def root(tmp_path):
    """Three good clips; tests spoil `b`."""
    for seed, name in enumerate("abc"):
        sidecar(tmp_path / "ecdc", name, seed)
    return tmp_path / "ecdc"


SPOILT = {
    "out_of_range": {"max": 5},
    "non_finite": {"values": np.r_[np.nan, np.arange(9.0)]},
    "provenance": {},
}


@pytest.mark.parametrize("check", SPOILT)
@pytest.mark.parametrize("num_proc", [1, 2])
def test_build_alone_refuses_what_an_audit_refuses(root, tmp_path, capsys, check, num_proc):
    if check == "provenance":
        run(capsys, "annotate @ --constant name=x value=1", root)
        write_tokens(root / "b.ecdc", seed=99)
    else:
        sidecar(root, "b", 1, **SPOILT[check])
    audit = run(capsys, f"audit @ --fail-on {check}", root)
    assert audit.status == 1
    command = f"build @ @ --num-proc {num_proc}"
    result = run(capsys, command, root, tmp_path / "ds")
    assert result.status == 1
    error = [line for line in result.err if "error" in line][-1]
    assert_says(error, [f"b.cond.npy: {check}: "])
    assert not (tmp_path / "ds").exists()
    (line,) = [line for line in audit.err if check in line]
    assert line.partition(f"{check}: ")[2] in error


def test_an_audit_that_passes_is_a_build_that_works(root, tmp_path, capsys):
    """Ranges to normalise by need not be bounds; the audit has flags for that, and so has build."""
    sidecar(root, "b", 1, max=5)
    for flags in ("--no-verify-ranges", "--range-tol 1", "--fail-on misaligned"):
        assert run(capsys, f"audit @ {flags}", root).status == 0
        out = tmp_path / flags.replace(" ", "")
        assert run(capsys, f"build @ @ {flags}", root, out).status == 0
        assert out.exists()
    assert run(capsys, "build @ @", root, out).status == 1, "it was built under other checks"


def test_a_parameter_that_is_not_taken_is_not_checked(root, tmp_path, capsys):
    for name in "abc":
        write_sidecar(root / f"{name}.ecdc", {"y": {"values": np.arange(10), "max": 1, "min": 0}})
    assert run(capsys, "build @ @", root, tmp_path / "ds").status == 1
    assert run(capsys, "build @ @ --parameters x", root, tmp_path / "ds").status == 0
