"""The three kinds of stores: a local folder, fsspec's memory, and a bucket of a server on loopback."""

from __future__ import annotations

import itertools

import pytest

from preprocess.storage.retries import Retries
from preprocess.storage.store import Store
from tests.helpers.faulty_proxy import FaultyProxy
from tests.helpers.s3_server import make_bucket, start_s3, use_s3

_NUMBERS = itertools.count()
HURRIED = Retries(tries=4, total_s=10, first_s=0.02, longest_s=0.1, connect_s=1, read_s=1)


@pytest.fixture(scope="session")
def s3_url():
    yield from start_s3()


@pytest.fixture
def s3(s3_url, monkeypatch) -> str:
    """The URL of a new bucket, which this process can reach."""
    use_s3(monkeypatch, s3_url)
    return f"s3://{make_bucket(s3_url)}"


@pytest.fixture(params=["local", "memory", "s3"])
def store(request, tmp_path) -> Store:
    """An empty store of each kind."""
    if request.param == "local":
        (tmp_path / "store").mkdir()
        return Store.at(tmp_path / "store")
    if request.param == "memory":
        return Store.at(f"memory://test-{next(_NUMBERS)}/folder")
    return Store.at(request.getfixturevalue("s3") + "/a folder", HURRIED)


@pytest.fixture
def faulty(s3_url, monkeypatch):
    """A proxy before the server that does as told, with a bucket that is reached through it."""
    with FaultyProxy(s3_url) as proxy:
        use_s3(monkeypatch, proxy.url)
        proxy.bucket = make_bucket(s3_url)
        yield proxy
