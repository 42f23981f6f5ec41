"""Weights of either layout give the model they came from, and a wrong file says so."""

from __future__ import annotations

import functools
import hashlib
import pickle
import urllib.error

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from preprocess.codec import weights
from preprocess.codec.codec import load_codec
from preprocess.codec.reference import draw_codebooks, own_encode, seeded_model
from preprocess.codec.weights import WeightsError, find_weights, local_weights
from preprocess.tokens.specs import codec_spec
from tests.helpers.formats import one_line
from tests.helpers.signals import fading_tone

SPEC = codec_spec("encodec_24khz")
WAV = fading_tone(440, 24_000, 7_000)[None]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A checkpoint in encodec's layout, named by its hash as the published ones are, and its model."""
    model = seeded_model("encodec_24khz")
    path = tmp_path_factory.mktemp("weights") / "seeded.th"
    torch.save(model.state_dict(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    return path.rename(path.with_name(f"seeded-{digest}.th")), model


# The configurations of facebook/encodec_{24,32,48}khz, where they differ from transformers' own.
CONFIGS = {
    "encodec_24khz": {},
    "encodec_32khz": {
        "sampling_rate": 32_000,
        "target_bandwidths": [2.2],
        "num_filters": 64,
        "upsampling_ratios": [8, 5, 4, 4],
        "codebook_size": 2048,
        "use_causal_conv": False,
        "use_conv_shortcut": False,
    },
    "encodec_48khz": {
        "sampling_rate": 48_000,
        "target_bandwidths": [3.0, 6.0, 12.0, 24.0],
        "audio_channels": 2,
        "use_causal_conv": False,
        "norm_type": "time_group_norm",
        "normalize": True,
        "chunk_length_s": 1.0,
        "overlap": 0.01,
    },
}


@functools.cache
def pretrained(name, folder):
    """Save a seeded model as transformers saves it; return the model."""
    from transformers import EncodecConfig, EncodecModel

    torch.manual_seed(1)
    config = EncodecConfig(**CONFIGS[name])
    model = EncodecModel(config).eval()
    noise = 0.1 * torch.randn(1, config.audio_channels, config.sampling_rate)
    with torch.no_grad():
        embeddings = model.encoder(noise)
    draw_codebooks(embeddings, [layer.codebook for layer in model.quantizer.layers])
    model.save_pretrained(folder)
    return model


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """Where the saved models are."""
    return tmp_path_factory.mktemp("hub")


def test_encodecs_checkpoint_gives_encodecs_codes(checkpoint):
    path, model = checkpoint
    expected, _ = own_encode(model, WAV, 24)
    codes = load_codec("encodec_24khz", str(path), "cpu").encode(WAV, 24).codes
    np.testing.assert_array_equal(codes, expected)
    assert len(np.unique(codes)) > 100, "codes that are all alike prove nothing"


def test_the_published_checkpoint_is_taken_from_encodecs_own_cache(
    checkpoint, tmp_path, monkeypatch
):
    """encodec keeps its checkpoints in torch.hub's folder; so do we, and nothing is downloaded."""
    path, _ = checkpoint
    cached = tmp_path / "checkpoints" / "encodec_24khz-d7cc33bc.th"
    cached.parent.mkdir()
    cached.write_bytes(path.read_bytes())
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert find_weights(SPEC, None) == cached
    with pytest.raises(WeightsError, match="is damaged: expected SHA-256 d7cc33bc"):
        load_codec("encodec_24khz", device="cpu")


@pytest.mark.parametrize(
    ("name", "samples"),
    [("encodec_24khz", 7_000), ("encodec_32khz", 20_000), ("encodec_48khz", 30_000)],
)
def test_transformers_layout_gives_transformers_codes_and_audio(hub, name, samples):
    model, spec = pretrained(name, hub / name), codec_spec(name)
    # 30,000 samples at 48 kHz are one segment, and transformers is told so: it cuts the last of
    # several otherwise, and its older releases refuse a clip that is no whole number of strides.
    model.config.chunk_length_s = None
    wav = np.stack([fading_tone(440, spec.sample_rate, samples)] * spec.channels)
    wav[-1] *= 0.9
    kbps = max(spec.codebooks)
    with torch.no_grad():
        # Some releases make a mask of their own whose shape they do not take at 48 kHz.
        mask = torch.ones(1, samples, dtype=torch.bool)
        encoded = model.encode(torch.from_numpy(wav)[None], mask, bandwidth=kbps)
        sound = model.decode(encoded.audio_codes, encoded.audio_scales)[0][0].numpy()
    codec = load_codec(name, str(hub / name), "cpu")
    ecdc = codec.encode(wav, kbps)
    np.testing.assert_array_equal(ecdc.codes, encoded.audio_codes[0, 0].numpy())
    assert len(np.unique(ecdc.codes)) > 50, "codes that are all alike prove nothing"
    np.testing.assert_allclose(codec.decode(ecdc), sound[:, :samples], atol=1e-5)


def test_the_older_weight_norm_is_the_same_model(hub, tmp_path):
    pretrained("encodec_24khz", hub / "encodec_24khz")
    state = {
        key.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): value
        for key, value in load_file(hub / "encodec_24khz/model.safetensors").items()
    }
    assert any(key.endswith("weight_g") for key in state)
    save_file(state, tmp_path / "old.safetensors")
    new = load_codec("encodec_24khz", str(hub / "encodec_24khz"), "cpu")
    old = load_codec("encodec_24khz", str(tmp_path / "old.safetensors"), "cpu")
    np.testing.assert_array_equal(old.encode(WAV, 24).codes, new.encode(WAV, 24).codes)


@pytest.mark.parametrize(
    ("name", "source", "repository"),
    [
        ("encodec_24khz", "facebook/encodec_24khz", "facebook/encodec_24khz"),
        ("encodec_32khz", None, "facebook/encodec_32khz"),
    ],
)
def test_a_repository_is_fetched_from_the_hub(monkeypatch, tmp_path, name, source, repository):
    asked = []

    def download(repository, filename):
        asked.append((repository, filename))
        return str(tmp_path / filename)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    assert find_weights(codec_spec(name), source) == tmp_path / "model.safetensors"
    assert asked == [(repository, "model.safetensors")]


def test_an_unreachable_hub_says_how_to_go_on():
    with pytest.raises(WeightsError) as error:
        find_weights(SPEC, "facebook/encodec_24khz")
    message = str(error.value)
    assert message.startswith(
        "cannot get model.safetensors from https://huggingface.co/facebook/encodec_24khz ("
    )
    assert message.endswith("download it another way and give its path with --weights")


def test_local_weights_are_those_that_need_no_download(tmp_path, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)
    assert local_weights(SPEC, None) is None
    cached = tmp_path / "checkpoints" / "encodec_24khz-d7cc33bc.th"
    cached.parent.mkdir()
    cached.touch()
    assert local_weights(SPEC, None) == cached
    assert local_weights(SPEC, str(cached)) == cached
    stored = {("facebook/encodec_32khz", "model.safetensors"): str(cached)}
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *names: stored.get(names))
    assert local_weights(codec_spec("encodec_32khz"), None) == cached
    assert local_weights(SPEC, "facebook/encodec_24khz") is None
    demo = local_weights(codec_spec("encodec_24khz_demo"), None)
    assert demo is not None and demo.is_file()
    with pytest.raises(WeightsError, match="no such file, folder or Hub repository"):
        local_weights(SPEC, "/nowhere/model.th")


def test_an_unreachable_checkpoint_says_how_to_go_on(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(WeightsError) as error:
        find_weights(SPEC, None)
    message = str(error.value)
    assert f"{weights.CHECKPOINT_URL}encodec_24khz-d7cc33bc.th" in message
    assert "no route to host" in message and message.endswith("with --weights")
    assert not list((tmp_path / "checkpoints").iterdir())


class Evil:
    """A pickle that would create a file when it is loaded."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


def test_a_pickle_cannot_run_code(tmp_path):
    path, target = tmp_path / "evil.th", tmp_path / "pwned"
    path.write_bytes(pickle.dumps(Evil(target), protocol=2))
    with pytest.raises(WeightsError, match=r"evil\.th is not a readable checkpoint") as error:
        load_codec("encodec_24khz", str(path), "cpu")
    assert not target.exists()
    assert "weights_only" not in str(error.value), "PyTorch's advice is to turn the protection off"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.th", b"not a checkpoint", "a.th is not a readable checkpoint"),
        ("a.safetensors", b"\0" * 100, "a.safetensors is not a readable checkpoint"),
        ("a-0123abcd.th", b"", "expected SHA-256 0123abcd by its name, got e3b0c442"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        load_codec("encodec_24khz", str(path), "cpu")


NO_CHECKPOINTS = {
    "empty": b"",
    "a stop": pickle.dumps(None, 2)[:2] + b".",
    "an instruction without a value": b"\x80\x02}q\x01(u.",
    "a memory that is not there": b"\x80\x02h\x07.",
    "an unknown instruction": b"\x80\x02\xff.",
    "audio": b"RIFF\x24\x00\x00\x00WAVEfmt ",
    "an archive of nothing": b"PK\x05\x06" + bytes(18),
    "no dict": pickle.dumps([1, 2], 2),
}


@pytest.mark.parametrize("content", NO_CHECKPOINTS.values(), ids=NO_CHECKPOINTS)
@pytest.mark.parametrize("name", ["a.th", "a.safetensors"])
def test_a_file_that_is_no_checkpoint_is_one_line(content, name, tmp_path):
    """The error of an empty message was an IndexError of the error's own making."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(WeightsError) as error:
        load_codec("encodec_24khz", str(path), "cpu")
    one_line(error, path, "checkpoint")


@pytest.mark.parametrize(
    "state", [{1: torch.zeros(2)}, {"a": [1]}, {"a": torch.zeros(2).to("meta")}, torch.zeros(3)]
)
def test_a_checkpoint_of_something_else_is_one_line(state, tmp_path):
    path = tmp_path / "a.th"
    torch.save(state, path)
    with pytest.raises(WeightsError) as error:
        load_codec("encodec_24khz", str(path), "cpu")
    one_line(error, path, "expected a mapping of names to tensors")


def test_weights_of_another_model_are_refused(checkpoint, tmp_path):
    path, _ = checkpoint
    with pytest.raises(WeightsError, match="does not hold the weights of encodec_48khz"):
        load_codec("encodec_48khz", str(path), "cpu")
    demo = str(find_weights(codec_spec("encodec_24khz_demo"), None))
    smaller = r"weights of encodec_24khz: decoder\.model\.0\.\S+ is \[128\], not \[512\]$"
    with pytest.raises(WeightsError, match=smaller):
        load_codec("encodec_24khz", demo, "cpu")


def test_a_missing_file_is_named():
    with pytest.raises(
        WeightsError, match=r"weights /nowhere/model\.th: no such file, folder or Hub repository"
    ):
        load_codec("encodec_24khz", "/nowhere/model.th", "cpu")
