"""What others see of the loopback Hub: another process, and a reader of cards."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from tests.helpers.hub_server import HubServer


def environment(hub: HubServer, tmp_path: Path) -> dict[str, str]:
    """Return what makes another process talk to this Hub and to no other."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    return {
        **kept,
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": hub.token,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HOME": str(tmp_path / "reader"),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    }


def card(hub: HubServer, repo: str = "me/sounds", revision: str = "main") -> tuple[Any, str]:
    """Return YAML and text of a repository's card."""
    _, data, text = hub.repos[repo].files(revision)["README.md"].decode().split("---\n", 2)
    return yaml.safe_load(data), text
