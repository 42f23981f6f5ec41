"""Rows back to sound: what a row decodes to is what its token file decodes to."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from enchf_dataset import EncHFDataset
from preprocess.codec.codec import Codec
from preprocess.codec.models import build_model
from preprocess.codec.playback import decode, decode_row, row_tokens
from preprocess.publish.snippets import decode_snippet
from preprocess.tokens.ecdc import read_ecdc, write_ecdc
from preprocess.tokens.specs import CODECS
from preprocess.tokens.types import EcdcError
from tests.helpers.formats import random_ecdc, same_tokens
from tests.helpers.signals import fading_tone


def rows(folder, config="auto"):
    builder = EncHFDataset(config_name=config, data_dir=str(folder))
    builder.download_and_prepare()
    return builder.as_dataset()["train"]


@pytest.mark.parametrize("form", [None, "numpy", "torch"])
def test_a_row_sounds_as_its_file(token_folder, demo_codec, form):
    dataset = rows(token_folder).with_format(form)
    audio = decode_row(dataset[1], demo_codec)
    ecdc = read_ecdc(token_folder / "a/take.2.ecdc")
    np.testing.assert_array_equal(audio, demo_codec.decode(ecdc))
    assert (audio.dtype, audio.shape) == (np.float32, (1, 24_321))


def test_a_row_at_a_lower_bandwidth_sounds_as_such(token_folder, demo_codec):
    row = rows(token_folder, "encodec_24khz_demo_3kbps")[0]
    ecdc = read_ecdc(token_folder / "a/take.1.ecdc").at(4)
    np.testing.assert_array_equal(decode_row(row, demo_codec), demo_codec.decode(ecdc))


def test_the_codec_that_a_row_names_is_loaded(token_folder):
    audio = decode_row(rows(token_folder)[0])
    tone = fading_tone(440.0, 24_000, 24_000)
    assert np.corrcoef(audio[0], tone)[0, 1] > 0.7


def test_the_transform_adds_the_audio(token_folder, demo_codec):
    dataset = rows(token_folder)
    dataset.set_transform(decode(demo_codec))
    row = dataset[2]
    np.testing.assert_array_equal(
        row["wave"], demo_codec.decode(read_ecdc(token_folder / "b/one.ecdc"))
    )
    assert row["id"] == "b/one" and len(row["features"]["level"]) == 78
    assert [wave.shape[1] for wave in dataset[:]["wave"]] == [24_000, 24_321, 24_642]


@pytest.mark.parametrize("name", list(CODECS))
def test_every_codecs_tokens_come_back_whole(tmp_path, name):
    ecdc = random_ecdc(name, 130_000, CODECS[name].max_codebooks)
    write_ecdc(tmp_path / "x/a.ecdc", ecdc)
    assert same_tokens(row_tokens(rows(tmp_path / "x").with_format("torch")[0]), ecdc)


@pytest.mark.parametrize("name", ["encodec_24khz", "encodec_48khz"])
def test_the_cards_snippet_decodes_without_us(tmp_path, monkeypatch, name):
    spec = CODECS[name]
    write_ecdc(tmp_path / "x/a.ecdc", random_ecdc(name, 60_000, 2))
    torch.manual_seed(0)
    model = build_model(spec)
    function = f"encodec.EncodecModel.encodec_model_{spec.sample_rate // 1000}khz"
    monkeypatch.setattr(function, lambda: model)
    dataset = rows(tmp_path / "x")
    scope = {"dataset": dataset}
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(decode_snippet(name), scope)
    ours = decode_row(dataset[0], Codec(spec, model, "", torch.device("cpu")))
    assert scope["audio"].shape == ours.shape == (spec.channels, 60_000)
    np.testing.assert_allclose(scope["audio"].numpy(), ours, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codes": None}, "without the column 'codes'"),
        ({"audio_length": 1000}, r"codes of shape \[32, 75\] do not fit 1000 samples of "),
        ({"audio_length": 10**15}, "do not fit 1000000000000000 samples"),
        ({"codes": [[0, 1], [0]]}, r"codes must be \[K, T\]"),
        ({"codes": [[5000] * 75]}, "codes must be 0 to 1023"),
        (
            {"model": "encodec_48khz", "audio_length": 24_000},
            "do not fit 24000 samples of encodec_48khz",
        ),
    ],
)
def test_a_row_that_is_no_clip_is_said(token_folder, change, message):
    row = {**rows(token_folder)[0], **change}
    row = {name: value for name, value in row.items() if value is not None}
    with pytest.raises(EcdcError, match=message):
        decode_row(row)
