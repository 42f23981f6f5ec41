"""What all tests share: no network, no cache outside of the test's folder, one small codec."""

from __future__ import annotations

import os

# Before datasets and huggingface_hub are imported: they read these once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"

import shutil
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest

from preprocess.cli.main import main
from preprocess.codec.codec import Codec, load_codec
from preprocess.codec.encodec_package import import_encodec
from preprocess.core.resources import resource
from preprocess.sidecar.writing import write_sidecar
from preprocess.tokens.ecdc import write_ecdc
from tests.helpers.hub_server import HubServer
from tests.helpers.signals import fading_tone

import_encodec()  # so that tests can import its modules even where torchaudio does not work


@pytest.fixture(autouse=True)
def private_caches(tmp_path_factory, monkeypatch):
    """Keep the caches of datasets out of the user's home, and modules of one test out of another's."""
    cache = tmp_path_factory.mktemp("hf")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", cache)
    monkeypatch.setattr("datasets.config.HF_MODULES_CACHE", str(cache / "modules"), raising=False)


@pytest.fixture(scope="session")
def demo_codec() -> Codec:
    """The codec that ships, loaded once."""
    return load_codec("encodec_24khz_demo", device="cpu")


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The nine recordings that ship."""
    return resource("audio")


@pytest.fixture(scope="session")
def _encoded(demo_codec, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("encoded")
    for index, name in enumerate(("a/take.1", "a/take.2", "b/one")):
        wav = fading_tone(440.0 * (index + 1), 24_000, 24_000 + 321 * index)[None]
        ecdc = demo_codec.encode(wav, 24)
        (root / name).parent.mkdir(exist_ok=True)
        path = root / f"{name}.ecdc"
        write_ecdc(path, ecdc)
        frames = ecdc.codes.shape[1]
        write_sidecar(
            path,
            {
                "level": {
                    "values": np.linspace(-60, 0, frames),
                    "units": "dB",
                    "min": -60,
                    "max": 0,
                },
                "index": np.full(frames, index),
            },
        )
    return root


@pytest.fixture
def token_folder(_encoded, tmp_path) -> Path:
    """Three clips with two parameters, encoded at 24 kbps, for a test to change as it likes."""
    return Path(shutil.copytree(_encoded, tmp_path / "ecdc"))


@pytest.fixture
def hub():
    with HubServer() as server:
        yield server


@pytest.fixture
def online(hub, monkeypatch, tmp_path):
    """Let this process talk to the loopback Hub, and to no other."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
    template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    # Releases before 1.0 copy it where they download.
    copied = "huggingface_hub.file_download.HUGGINGFACE_CO_URL_TEMPLATE"
    monkeypatch.setattr(copied, template, raising=False)
    monkeypatch.setenv("HF_TOKEN", hub.token)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf_home"))
    # They also keep a session for each thread, which another test may have opened offline.
    forget_sessions = getattr(huggingface_hub.utils, "reset_sessions", lambda: None)
    forget_sessions()
    yield hub
    forget_sessions()


@pytest.fixture
def built(token_folder, tmp_path):
    """Return a saved dataset of three clips in two splits."""
    (token_folder / "a").rename(token_folder / "train")
    (token_folder / "b").rename(token_folder / "test")
    out = tmp_path / "built"
    assert main(["build", str(token_folder), str(out)]) == 0
    return out
