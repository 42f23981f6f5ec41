"""A folder that passes the audit builds; and one that is good has no warnings."""

from __future__ import annotations

import json

import numpy as np
import pytest

from preprocess.audit.audit_config import AuditConfig
from preprocess.sidecar.writing import write_sidecar
from preprocess.steps.audit import as_built, audit
from preprocess.steps.build_config import BuildConfig
from tests.helpers.commands import assert_says, run, write_tokens

T = 10


def clip(root, name: str, samples: int = 3200, k: int = 2, **parameters):
    path = write_tokens(root / f"{name}.ecdc", samples=samples, k=k, seed=sum(map(ord, name)))
    frames = -(-samples // 320)
    write_sidecar(path, parameters or {"x": np.arange(frames)}, dtype="auto")


@pytest.fixture
def root(tmp_path):
    """Three clips that are as they should be."""
    for name in "abc":
        clip(tmp_path / "ecdc", name)
    return tmp_path / "ecdc"


def bad_name(root):
    path = root / "a.cond.json"
    meta = json.loads(path.read_text())
    meta["features"] = {"../../x": meta["features"]["x"]}
    path.write_text(json.dumps(meta))


REFUSED = {
    "another bandwidth": ("codec", lambda root: clip(root, "d", k=4), "1.5 kbps|3 kbps"),
    "a name that no column has": (
        "parameter_name",
        bad_name,
        "'../../x' is not a valid column name",
    ),
    "a parameter of few": (
        "extra_parameter",
        lambda root: write_sidecar(root / "a.ecdc", {"y": np.arange(T)}),
        "'y', which 2 of 3 clips lack",
    ),
    "beside the splits": ("split", lambda root: clip(root, "train/d"), "split folders"),
}
"""All of these passed the audit, and failed in build."""


@pytest.mark.parametrize(("check", "spoil", "text"), REFUSED.values(), ids=REFUSED)
def test_what_build_refuses_the_audit_finds(root, capsys, tmp_path, check, spoil, text):
    spoil(root)
    assert run(capsys, "build @ @", root, tmp_path / "ds").status != 0
    result = run(capsys, "audit @", root)
    assert result.status == 1
    lines = [line for line in result.err if f": {check}: " in line]
    assert lines
    assert any(part in lines[0] for part in text.split("|"))


@pytest.mark.parametrize(
    ("spoil", "words", "config"),
    [
        (lambda root: clip(root, "d", k=4), "--bandwidth 1.5", {"bandwidth": 1.5}),
        (REFUSED["a parameter of few"][1], "--parameters x", {"parameters": ("x",)}),
        (REFUSED["beside the splits"][1], "--split-name whole", {"split_name": "whole"}),
    ],
    ids=["bandwidth", "parameters", "split"],
)
def test_what_build_is_told_the_audit_is_told(root, capsys, tmp_path, spoil, words, config):
    spoil(root)
    assert run(capsys, f"build @ @ {words}", root, tmp_path / "ds").status == 0
    assert run(capsys, f"audit @ {words}", root).status == 0
    told = as_built(AuditConfig(), BuildConfig(**config), has_sidecars=True)
    assert audit(root, told, 1)[0].ok


def test_tokens_alone_are_built_and_pass_as_such(tmp_path, capsys):
    write_tokens(tmp_path / "ecdc/a.ecdc")
    assert run(capsys, "build @ @", tmp_path / "ecdc", tmp_path / "ds").status == 0
    told = as_built(AuditConfig(), BuildConfig(), has_sidecars=False)
    assert audit(tmp_path / "ecdc", told, 1)[0].ok
    assert not audit(tmp_path / "ecdc", AuditConfig(), 1)[0].ok


def notes(capsys, root, words: str = "") -> list[str]:
    result = run(capsys, f"audit @ {words}", root)
    assert result.status == 0
    return result.err


def test_constants_that_were_declared_are_no_warning(tmp_path, capsys):
    still = {"values": np.full(T, 7), "min": 7, "max": 7}
    for name in "abc":
        clip(tmp_path, name, scene=still, x=np.arange(T))
    assert run(capsys, "annotate @ --constant name=rate value=2", tmp_path).status == 0
    assert notes(capsys, tmp_path) == []


def test_a_constant_may_be_named(tmp_path, capsys):
    for name in "abc":
        clip(tmp_path, name, scene=np.full(T, 7))
    (note,) = notes(capsys, tmp_path)
    assert_says(note, ["constant", "'scene' is 7"])
    assert notes(capsys, tmp_path, "--constant scene") == []


def test_lengths_that_were_declared_are_no_warning(tmp_path, capsys):
    for name in "abcdef":
        clip(tmp_path, name)
    clip(tmp_path, "long", 320 * 500)
    (note,) = notes(capsys, tmp_path)
    assert_says(note, ["long.ecdc", "length_outlier"])
    assert notes(capsys, tmp_path, "--max-length-s 10") == []
    assert len(notes(capsys, tmp_path, "--max-length-s 5")) == 1
    assert len(notes(capsys, tmp_path, "--max-length-s 10 --min-length-s 0.2")) == 6
