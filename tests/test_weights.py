"""Weights of either layout give the model they came from, and a wrong file says so."""

from __future__ import annotations

import hashlib
import pickle
import urllib.error

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from preprocess import weights
from preprocess.codec import load_codec
from preprocess.specs import codec_spec
from preprocess.weights import WeightsError, find_weights
from tests.signals import draw_codebooks, fading_tone, seeded_model
from tests.test_codec import own_encode

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


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A folder as transformers saves it, and its model."""
    from transformers import EncodecConfig, EncodecModel

    torch.manual_seed(1)
    model = EncodecModel(EncodecConfig()).eval()
    with torch.no_grad():
        embeddings = model.encoder(0.1 * torch.randn(1, 1, 24_000))
    draw_codebooks(embeddings, [layer.codebook for layer in model.quantizer.layers])
    folder = tmp_path_factory.mktemp("hub")
    model.save_pretrained(folder)
    return folder, model


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
    with pytest.raises(WeightsError, match="is damaged: its name promises the SHA-256 d7cc33bc"):
        load_codec("encodec_24khz", device="cpu")


@pytest.mark.parametrize("weight_norm", ["new", "old"])
def test_transformers_layout_gives_transformers_codes(pretrained, weight_norm, tmp_path):
    folder, model = pretrained
    path = folder / "model.safetensors"
    if weight_norm == "old":
        state = {
            key.replace("parametrizations.weight.original0", "weight_g").replace(
                "parametrizations.weight.original1", "weight_v"
            ): value
            for key, value in load_file(path).items()
        }
        path = tmp_path / "old.safetensors"
        save_file(state, path)
    codec = load_codec("encodec_24khz", str(path if weight_norm == "old" else folder), "cpu")
    with torch.no_grad():
        encoded = model.encode(torch.from_numpy(WAV)[None], bandwidth=24.0)
        expected = encoded.audio_codes[0, 0].numpy()
        sound = model.decode(encoded.audio_codes, encoded.audio_scales)[0][0].numpy()
    ecdc = codec.encode(WAV, 24)
    np.testing.assert_array_equal(ecdc.codes, expected)
    assert len(np.unique(expected)) > 100
    np.testing.assert_allclose(codec.decode(ecdc), sound[:, : WAV.shape[1]], atol=1e-5)


def test_a_repository_is_fetched_from_the_hub(pretrained, monkeypatch):
    folder, _ = pretrained
    asked = []

    def download(repository, filename):
        asked.append((repository, filename))
        return str(folder / filename)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    assert find_weights(SPEC, "facebook/encodec_24khz") == folder / "model.safetensors"
    assert asked == [("facebook/encodec_24khz", "model.safetensors")]


def test_an_unreachable_hub_says_how_to_go_on():
    with pytest.raises(WeightsError) as error:
        find_weights(SPEC, "facebook/encodec_24khz")
    message = str(error.value)
    assert message.startswith(
        "cannot get model.safetensors from https://huggingface.co/facebook/encodec_24khz ("
    )
    assert message.endswith("download it elsewhere and give its path by --weights")


def test_an_unreachable_checkpoint_says_how_to_go_on(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(WeightsError) as error:
        find_weights(SPEC, None)
    message = str(error.value)
    assert f"{weights.CHECKPOINT_URL}encodec_24khz-d7cc33bc.th" in message
    assert "no route to host" in message and message.endswith("by --weights")
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
    with pytest.raises(WeightsError, match=r"evil\.th is no readable checkpoint"):
        load_codec("encodec_24khz", str(path), "cpu")
    assert not target.exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.th", b"not a checkpoint", "a.th is no readable checkpoint"),
        ("a.safetensors", b"\0" * 100, "a.safetensors is no readable checkpoint"),
        ("a-0123abcd.th", b"", "its name promises the SHA-256 0123abcd, it has e3b0c442"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        load_codec("encodec_24khz", str(path), "cpu")


def test_weights_of_another_model_are_refused(checkpoint, tmp_path):
    path, _ = checkpoint
    with pytest.raises(WeightsError, match="holds the weights of another model than encodec_48khz"):
        load_codec("encodec_48khz", str(path), "cpu")
    demo = str(find_weights(codec_spec("encodec_24khz_demo"), None))
    with pytest.raises(
        WeightsError, match=r"another model than encodec_24khz: .* is \[8, 1, 7\]|is"
    ):
        load_codec("encodec_24khz", demo, "cpu")


def test_a_missing_file_is_named():
    with pytest.raises(WeightsError, match=r"weights /nowhere/model\.th: there is no such file"):
        load_codec("encodec_24khz", "/nowhere/model.th", "cpu")
