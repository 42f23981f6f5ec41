"""A repository of the Hub as a store, on the loopback Hub."""

from __future__ import annotations

import pytest

from preprocess.storage import filesystems
from preprocess.storage.store import StorageError, Store
from tests.helpers.hub_server import Repo
from tests.storage.conftest import HURRIED


@pytest.fixture
def repository(online) -> tuple[Repo, Store]:
    """A repository, and the store of its files."""
    filesystems.forget()
    repo = online.repos["me/sounds"] = Repo()
    yield repo, Store.at("hf://datasets/me/sounds", HURRIED)
    filesystems.forget()


def test_a_repository_is_listed_and_read(repository, tmp_path):
    repo, store = repository
    files = repo.branches["main"]
    files.update({"a/b c.wav": b"1234", "README.md": b"# x", ".gitattributes": b""})
    found = {entry.path: entry for entry in store.list()}
    assert {path: entry.size for path, entry in found.items()} == {"a/b c.wav": 4, "README.md": 3}
    assert store.entry("a/b c.wav") == found["a/b c.wav"]
    assert store.read("README.md") == b"# x"
    store.fetch("a/b c.wav", tmp_path / "copy", found["a/b c.wav"])
    assert (tmp_path / "copy").read_bytes() == b"1234"
    assert not store.exists("a/no.wav")
    files["new.wav"] = b"5"
    assert [entry.path for entry in store.list(["wav"])] == ["new.wav", "a/b c.wav"]


def test_a_repository_that_does_not_exist_is_named(repository):
    store = Store.at("hf://datasets/me/no-such", HURRIED)
    for use in (lambda: list(store.list()), lambda: store.read("a"), lambda: store.exists("a")):
        with pytest.raises(StorageError, match=r"me/no-such.*there is no such repository"):
            use()
