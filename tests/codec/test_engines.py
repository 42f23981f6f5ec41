"""Tokens that another version of torch, device or processor computed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from preprocess.cli.main import main
from preprocess.core.provenance import settings_digest
from preprocess.tokens.ecdc import read_ecdc, read_header, write_ecdc
from tests.steps.test_encode import audio, encode

__all__ = ["audio"]


@pytest.fixture
def of_another_engine(audio):
    """The token files of `audio`, one of them as a version before engines had names wrote it."""
    _, files = encode(audio)
    path = files["take.1.ecdc"]
    ecdc = read_ecdc(path)
    codes = ecdc.codes.copy()
    codes[3, 5] ^= 1
    write_ecdc(path, replace(ecdc, codes=codes, extra={**ecdc.extra, "eng": "torch/float32"}))
    return path


def test_tokens_of_another_engine_are_kept_and_counted(audio, of_another_engine, capsys):
    """They used to be made again without a word, or to fail --verify."""
    before = of_another_engine.read_bytes()
    capsys.readouterr()
    status, _ = encode(audio, "--verify")
    out, err = capsys.readouterr()
    assert (status, of_another_engine.read_bytes()) == (0, before)
    assert "2 up to date" in out
    kept, rate = err.splitlines()
    assert "1 of 2 clips have tokens made by torch/float32 (1), not torch" in kept
    assert "kept" in kept and "--on-engine-change redo" in kept
    assert "1 of 600 codes differ between engines: torch/float32 before, torch" in rate


def test_another_engine_can_be_an_error_or_made_again(audio, of_another_engine, demo_codec, capsys):
    before = of_another_engine.read_bytes()
    capsys.readouterr()
    assert encode(audio, "--on-engine-change", "error")[0] == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "made by torch/float32" in line and of_another_engine.read_bytes() == before
    status, _ = encode(audio, "--on-engine-change", "redo")
    out, err = capsys.readouterr()
    assert status == 0 and "they are made again" in err and "1 up to date" in out
    assert read_header(of_another_engine).extra["eng"] == demo_codec.engine
    encode(audio, "--on-engine-change", "error")
    assert capsys.readouterr().err == ""


def test_the_audit_says_that_a_folder_holds_two_engines(audio, of_another_engine, capsys):
    capsys.readouterr()
    assert main(["audit", str(audio.parent / "ecdc")]) == 1, "no sidecars yet"
    lines = [x for x in capsys.readouterr().err.splitlines() if "engines" in x]
    assert len(lines) == 1
    assert "tokens from 2 engines" in lines[0] and "torch/float32 (1)" in lines[0]


def test_settings_of_earlier_versions_are_known(audio):
    """Their tokens are another engine's, not of other settings."""
    _, files = encode(audio)
    rec = settings_digest(
        step="encode", codec="encodec_24khz_demo", bandwidth_kbps=6.0, engine="torch/float32"
    )
    assert read_header(files["take.1.ecdc"]).extra["rec"] == rec


def test_verify_passes_with_another_number_of_threads(audio, capsys):
    """It said "up to date", and then that 25 of 10,400 codes differ."""
    import torch

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert encode(audio)[0] == 0
        torch.set_num_threads(1)
        assert encode(audio, "--verify")[0] == 0
    finally:
        torch.set_num_threads(before)
    assert capsys.readouterr().err == ""
