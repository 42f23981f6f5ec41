"""A real S3 server on loopback: moto's."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from preprocess.storage import filesystems

_NUMBERS = itertools.count()
_USED: list[str] = []
"""The server of the connections that this process has; making some takes half a second."""


def start_s3() -> Iterator[str]:
    """Yield the URL of a server that runs until the generator goes on."""
    server_module = pytest.importorskip(
        "moto.server", reason="moto is not installed: pip install 'moto[server]'"
    )
    pytest.importorskip("s3fs", reason="s3fs is not installed: pip install s3fs")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def use_s3(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Let this process, and those that it starts, talk to that server with dummy credentials."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "FSSPEC_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "dummy")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "dummy")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    if url not in _USED:
        _USED[:] = [url]
        filesystems.forget()


def make_bucket(url: str) -> str:
    """Make a bucket on the server at `url`, and return its name."""
    name = f"bucket-{next(_NUMBERS)}"
    client(url).create_bucket(Bucket=name)
    return name


def client(url: str):
    """Return boto3's client, to look at what is there without the code under test."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id="dummy",
        aws_secret_access_key="dummy",
        region_name="us-east-1",
    )
