"""The same recording in two splits is found, at another bandwidth or as another crop."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile as sf
import torch

from preprocess.audit.fingerprints import first_codebook
from preprocess.tokens.ecdc import read_ecdc, read_header, write_ecdc
from preprocess.tokens.frames import segment_frames
from preprocess.tokens.specs import codec_spec
from preprocess.tokens.types import Ecdc
from tests.helpers.commands import assert_says, run, write_tokens

CODEC = "encodec_24khz"


def audit(capsys, root, words: str = "--missing-sidecar skip"):
    """Return check and file name of every finding, and their messages."""
    result = run(capsys, f"audit @ --format json {words}", root)
    rows = json.loads("\n".join(result.out))
    found = {(row["check"], row["path"].removeprefix(str(root)).lstrip("/")) for row in rows}
    return found, "\n".join(row["message"] for row in rows)


def write_codes(path, codes, codec: str = CODEC):
    spec = codec_spec(codec)
    samples = codes.shape[1] * spec.hop
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = segment_frames(samples, spec)
    write_ecdc(path, Ecdc(codec, codes.astype(np.int16), samples, frames))


def random_codes(seed: int, frames: int, k: int = 4):
    return np.random.default_rng(seed).integers(0, 1024, (k, frames))


@pytest.fixture
def root(tmp_path):
    """Clips in two splits that have nothing in common."""
    for number in range(8):
        split = "test" if number > 5 else "train"
        write_codes(tmp_path / f"{split}/c{number}.ecdc", random_codes(number, 300))
    return tmp_path


@pytest.mark.parametrize("codec", ["encodec_24khz", "encodec_48khz"])
@pytest.mark.parametrize("k", [2, 4, 8, 16])
def test_the_first_codebook_is_read_alone(tmp_path, codec, k):
    path = write_tokens(tmp_path / "a.ecdc", codec, 123_457, k)
    header = read_header(path)
    payload = path.read_bytes()[9 + int.from_bytes(path.read_bytes()[5:9], "big") :]
    assert (first_codebook(payload, header) == read_ecdc(path).codes[0]).all()


def test_splits_that_share_nothing_have_no_finding(root, capsys):
    assert audit(capsys, root)[0] == set()


@pytest.mark.parametrize("old", [False, True])
def test_tokens_at_another_bandwidth_in_another_split_are_an_error(root, capsys, old):
    codes = random_codes(2, 300)[:2]
    write_codes(root / "test/low.ecdc", codes)
    if old:
        torch.save({"audio_codes": torch.from_numpy(codes)[None]}, root / "test/low.ecdc")
    words = "--missing-sidecar skip --bandwidth 1.5"
    found, text = audit(capsys, root, words)
    # Of the two, the one that comes later in the alphabet is named.
    assert found == {("duplicate_across_splits", "train/c2.ecdc")}
    assert_says(text, ["low.ecdc", "another bandwidth (1.5 and 3 kbps)"])
    (root / "train/low.ecdc").write_bytes((root / "test/low.ecdc").read_bytes())
    (root / "test/low.ecdc").unlink()
    assert audit(capsys, root, words)[0] == set()  # in one split it is no leak


@pytest.mark.parametrize("start", [0, 37])
def test_another_crop_whose_codes_mostly_survive_is_a_warning(root, capsys, start):
    """A third of the codes differ, as of an encoder that has heard other sound before."""
    codes = random_codes(3, 300)[:, start : start + 220]
    changed = np.random.default_rng(0).random(codes.shape[1]) < 0.2
    codes[0, changed] = 7
    write_codes(root / "test/crop.ecdc", codes)
    found, text = audit(capsys, root)
    assert found == {("shared_recording", "train/c3.ecdc")}
    assert_says(text, ["crop.ecdc", "of the 220 first-codebook codes in their overlap are equal"])
    assert start == 0 or "0.493 s" in text
    words = "--missing-sidecar skip --fail-on shared_recording"
    assert run(capsys, f"audit @ {words}", root).status == 1
    assert audit(capsys, root, "--missing-sidecar skip --split-name train")[0] == set()


def test_steady_sounds_silence_and_short_loops_are_no_recording(root, capsys):
    silence = np.full((4, 300), 62)
    for split, number in (("train", 20), ("test", 21)):
        codes = random_codes(number, 300)
        codes[:, 40:] = silence[:, 40:]  # a short sound, and silence
        write_codes(root / f"{split}/silent{number}.ecdc", codes)
        codes = random_codes(number + 10, 300)
        codes[:, 30:50] = random_codes(99, 20)  # the same drum hit in both
        write_codes(root / f"{split}/hit{number}.ecdc", codes)
        period = np.tile(random_codes(98, 2), 150)
        period[1:] = random_codes(number, 300)[1:]
        period[0, number::9] = number  # two tones that beat
        write_codes(root / f"{split}/tone{number}.ecdc", period)
    assert audit(capsys, root)[0] == set()


def test_crops_of_natural_recordings_are_found_where_they_start_on_a_hop(
    tmp_path, demo_codec, recordings, capsys
):
    """And the recordings themselves have nothing in common."""
    paths = sorted([*recordings.rglob("*.flac"), *recordings.rglob("*.wav")])[:3]
    for number, path in enumerate(paths):
        wav = sf.read(path, dtype="float32", always_2d=True, stop=60_000)[0].T[:1]
        whole, crop = ("train", "test")[:: 1 if number % 2 else -1]
        for name, part in ((f"{whole}/{number}", wav), (f"{crop}/{number}c", wav[:, 320 * 20 :])):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            part = np.ascontiguousarray(part)
            write_ecdc(tmp_path / f"{name}.ecdc", demo_codec.encode(part, 6))
    found, text = audit(capsys, tmp_path)
    assert {check for check, _ in found} == {"shared_recording"}
    assert len(found) == len(paths)
    assert text.count("0.267 s") == len(paths)
    for path in tmp_path.glob("*/*c.ecdc"):
        path.unlink()
    assert audit(capsys, tmp_path)[0] == set()
