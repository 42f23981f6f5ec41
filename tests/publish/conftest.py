"""A Hub that listens on the loopback interface alone, and a dataset to push there."""

from __future__ import annotations

import huggingface_hub
import pytest

from preprocess.cli.main import main
from tests.helpers.hub_server import HubServer


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
