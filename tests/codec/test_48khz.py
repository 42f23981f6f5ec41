"""The whole path at 48 kHz: stereo, segments with scales, and frames that keep their time."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile as sf
import torch
from datasets import load_from_disk

from preprocess.codec.reference import seeded_model
from preprocess.core.flags import validate
from preprocess.sidecar.reading import read_sidecar
from preprocess.steps.recipe import Recipe
from preprocess.steps.run import run_recipe
from preprocess.tokens.ecdc import read_ecdc
from preprocess.tokens.frames import frame_starts_s
from preprocess.tokens.specs import codec_spec

CLICK_S = 1.5


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """Run a recipe over a mono clip of silence-like noise with a burst at a known time."""
    root = tmp_path_factory.mktemp("48khz")
    weights = root / "seeded.th"
    torch.save(seeded_model("encodec_48khz").state_dict(), weights)
    audio = 1e-3 * np.random.default_rng(0).standard_normal(2 * 44_100 + 777)
    at = round(CLICK_S * 44_100)
    audio[at : at + 2_000] += 0.5 * np.sin(np.arange(2_000))
    (root / "in/deep").mkdir(parents=True)
    sf.write(root / "in/deep/burst.wav", audio, 44_100)
    recipe = {
        "input": str(root / "in"),
        "output": str(root / "out"),
        "codec": "encodec_48khz",
        "weights": str(weights),
        "encode": {"bandwidth": 6},
        "annotate": ["rms_db", {"ramp": {"name": "position", "start": 0, "end": 1}}],
        "build": {"verify": True},
    }
    reports = list(run_recipe(validate(Recipe, recipe)))
    assert [report.failures for report in reports] == [[]] * 5
    return root / "out"


def test_mono_becomes_the_same_channel_twice(result):
    wav, rate = sf.read(result / "normalized/deep/burst.wav")
    assert (rate, wav.shape[1]) == (48_000, 2)
    np.testing.assert_array_equal(wav[:, 0], wav[:, 1])


def test_parameters_stand_where_the_segments_do(result):
    path = result / "ecdc/deep/burst.ecdc"
    ecdc, sidecar = read_ecdc(path), read_sidecar(path)
    assert ecdc.segment_frames == (150, 150, 6)
    assert sidecar.n_frames == ecdc.codes.shape[1] == 306
    assert ecdc.scales is not None and len(ecdc.scales) == 3
    times = frame_starts_s(ecdc.audio_length, codec_spec("encodec_48khz"))
    level = sidecar.parameters["rms_db"].values.astype(np.float64)
    loud = times[level > level.max() - 20]
    assert CLICK_S - 1 / 150 < loud.min() <= CLICK_S
    assert loud.max() <= CLICK_S + 2_000 / 44_100 + 1 / 150
    position = sidecar.parameters["position"].values.astype(np.float64)
    np.testing.assert_allclose(position, times / times.max(), atol=1e-3)
    assert sidecar.time["stride_samples"] == 47_520


def test_rows_hold_scales_and_segments(result):
    (row,) = load_from_disk(str(result / "dataset"))["train"]
    assert row["segment_frames"] == [150, 150, 6]
    assert len(row["scales"]) == 3
    assert (row["fps"], row["bandwidth_kbps"], len(row["codes"])) == (150, 6.0, 4)
