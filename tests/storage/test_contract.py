"""What every store does alike: local, in memory, and on an S3 server."""

from __future__ import annotations

import multiprocessing
import pickle
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from preprocess.core.errors import UsageError
from preprocess.storage.store import Entry, SourceChangedError, Store

ODD_NAMES = [
    "a b.wav",
    "100%.wav",
    "%41.wav",
    "#1.wav",
    "what?.wav",
    "a&b=c+d.wav",
    "Größe/東京.wav",
    "e\u0301 [1]*.wav",
    "'\"~!$,;@.wav",
    "UPPER.WAV",
]


def paths(entries) -> list[str]:
    return sorted(entry.path for entry in entries)


def test_what_is_written_is_read_and_listed(store):
    store.write("b/two.wav", b"two")
    store.write("one.wav", b"1")
    store.write("empty.wav", b"")
    assert store.read("b/two.wav") == b"two"
    assert store.read("empty.wav") == b""
    sizes = {entry.path: entry.size for entry in store.list()}
    assert sizes == {"b/two.wav": 3, "one.wav": 1, "empty.wav": 0}


def test_a_name_may_have_any_characters(store, tmp_path):
    for name in ODD_NAMES:
        store.write(name, name.encode())
    found = {entry.path: entry for entry in store.list(["wav"])}
    assert sorted(found) == sorted(ODD_NAMES)
    for name, entry in found.items():
        assert store.read(name) == name.encode()
        assert store.entry(name) == entry
        with store.open(name) as file:
            assert file.read() == name.encode()
        store.fetch(name, tmp_path / "copy", entry)
        assert (tmp_path / "copy").read_bytes() == name.encode()
        store.put(tmp_path / "copy", f"again/{name}")
        store.delete(name)
    assert paths(store.list()) == sorted(f"again/{name}" for name in ODD_NAMES)


def test_a_listing_keeps_endings_and_skips_what_is_hidden(store):
    for path in ("a.wav", "b.FLAC", "c.txt", ".d.wav", "e/.f/g.wav", "h.wav.tmp"):
        store.write(path, b"x")
    assert paths(store.list(["wav", ".flac"])) == ["a.wav", "b.FLAC"]
    assert paths(store.list()) == ["a.wav", "b.FLAC", "c.txt", "h.wav.tmp"]


def test_a_listing_of_a_folder_has_whole_paths(store):
    for path in ("data/a.wav", "data/b/c.wav", "data2/d.wav", "data.wav"):
        store.write(path, b"x")
    assert paths(store.list(under="data")) == ["data/a.wav", "data/b/c.wav"]
    assert paths(store.list(under="data/b/")) == ["data/b/c.wav"]
    assert paths(store.list(under="no such")) == []


def test_a_listing_is_never_an_old_one(store):
    store.write("a.wav", b"x")
    assert paths(store.list()) == ["a.wav"]
    Store.at(str(store)).write("b.wav", b"x")
    assert paths(store.list()) == ["a.wav", "b.wav"]
    Store.at(str(store)).delete("a.wav")
    assert paths(store.list()) == ["b.wav"]
    assert not store.exists("a.wav")


def test_an_entry_is_that_of_the_listing(store):
    store.write("a/b.wav", b"1234")
    (listed,) = store.list()
    assert store.entry("a/b.wav") == listed == Entry("a/b.wav", 4, listed.version)
    assert listed.version
    assert store.entry("a") is None, "a folder is no file"
    assert store.entry("b.wav") is None


def test_a_version_changes_with_the_content(store):
    store.write("a.wav", b"1234")
    before = store.entry("a.wav")
    store.write("a.wav", b"5678")
    after = store.entry("a.wav")
    assert after.size == before.size
    assert after.version != before.version


def test_a_missing_file_is_named(store, tmp_path):
    for read in (
        lambda: store.read("a/no.wav"),
        lambda: store.open("a/no.wav"),
        lambda: store.fetch("a/no.wav", tmp_path / "copy"),
    ):
        with pytest.raises(FileNotFoundError) as raised:
            read()
        assert raised.value.filename == store.child("a/no.wav")
    store.delete("a/no.wav")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../a", "a/../../b", "a//b", ".", "a/", "a\0"])
def test_a_path_cannot_lead_out_of_the_store(store, path):
    for use in (store.read, store.open, store.entry, store.delete, store.child):
        with pytest.raises(UsageError, match="is not a path inside"):
            use(path)
    with pytest.raises(UsageError, match="is not a path inside"):
        store.write(path, b"")


def test_fetch_notices_that_the_source_is_another(store, tmp_path):
    store.write("a.wav", b"1234")
    expected = store.entry("a.wav")
    store.fetch("a.wav", tmp_path / "good", expected)
    assert (tmp_path / "good").read_bytes() == b"1234"
    store.write("a.wav", b"5678")
    with pytest.raises(SourceChangedError, match=r"a\.wav changed while it was read"):
        store.fetch("a.wav", tmp_path / "bad", expected)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["good"]


def test_a_table_is_read_by_its_footer(store, tmp_path):
    rng = np.random.default_rng(0)
    table = pa.table({"a": rng.integers(0, 99, 60_000), "b": rng.random(60_000)})
    pq.write_table(table, tmp_path / "t", row_group_size=20_000)
    store.put(tmp_path / "t", "data/t.parquet")
    with store.open("data/t.parquet") as file:
        parquet = pq.ParquetFile(file)
        assert parquet.num_row_groups == 3
        assert parquet.read_row_group(1, ["b"]) == table.slice(20_000, 20_000).select(["b"])
        assert parquet.read() == table


def test_an_open_file_seeks_like_any(store):
    store.write("a", bytes(range(200)))
    with store.open("a") as file:
        assert file.seek(-3, 2) == 197
        assert file.read(10) == bytes((197, 198, 199))
        assert file.seek(5) == 5
        assert file.read(2) == bytes((5, 6))
        assert file.tell() == 7
        assert file.seek(1_000) == 1_000
        assert file.read(1) == b""


def test_one_of_many_creates_a_file(store):
    won, start = [], threading.Barrier(8)

    def create(number: int) -> None:
        start.wait()
        if store.create("lease/x", f"I am {number}".encode()):
            won.append(number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.read("lease/x") == f"I am {won[0]}".encode()
    assert not store.create("lease/x", store.read("lease/x")), "not even with the same content"
    store.delete("lease/x")
    assert store.create("lease/x", b"")


def test_put_replaces_a_file(store, tmp_path):
    for content in (b"long content", b"short", b""):
        (tmp_path / "source").write_bytes(content)
        store.put(tmp_path / "source", "target")
        assert store.read("target") == content
    assert paths(store.list()) == ["target"]


def test_a_store_is_its_url(store):
    copied = pickle.loads(pickle.dumps(store))
    assert copied == store
    assert str(copied) == str(store)
    store.write("a/b", b"x")
    assert Store.at(str(store)).read("a/b") == b"x"
    assert Store.at(store.child("a")).read("b") == b"x"


def test_only_a_local_store_has_local_files(store):
    store.write("a/b", b"x")
    local = store.local("a/b")
    assert (local is None) == ("://" in str(store))
    if local is not None:
        assert local.read_bytes() == b"x"
        assert str(store.local("")) == str(store)


def _use(store: Store, number: int) -> bytes:
    store.write(f"of {number}", b"%d" % number)
    return store.read("mine")


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_another_process_uses_a_store(s3, method):
    store = Store.at(s3)
    store.write("mine", b"content")  # this process has connections and a thread of them
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.starmap(_use, [(store, 1), (store, 2)]) == [b"content"] * 2
    assert paths(store.list()) == ["mine", "of 1", "of 2"]
