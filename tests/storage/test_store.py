"""Where a store is, and what only one kind of it does."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from preprocess.core.errors import DiskError, PreprocessError, UsageError
from preprocess.storage import local
from preprocess.storage.remote import _entry
from preprocess.storage.store import Entry, Store
from tests.helpers.s3_server import client


def test_a_path_is_absolute_and_may_be_a_url(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = Store.at("out")
    assert str(here) == str(tmp_path / "out")
    assert Store.at(Path("out")) == Store.at(f"file://{tmp_path}/out/") == here
    assert here.child("a/b.wav") == str(tmp_path / "out" / "a" / "b.wav")


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("s3://", "names no folder"),
        ("file://relative/path", "is not an absolute path"),
        ("simplecache::s3://b/a", "joins several protocols"),
    ],
)
def test_a_url_that_makes_no_sense_is_refused(url, text):
    with pytest.raises(UsageError, match=text):
        Store.at(url)


def test_an_unknown_protocol_suggests_another():
    with pytest.raises(UsageError, match=r"no package reads gss:// \(did you mean 'gs'\?\)"):
        Store.at("gss://bucket").read("a")


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(UsageError, match=r"gs:// needs another package: pip install 'enchf-data"):
        Store.at("gs://bucket").read("a")


def test_making_a_store_imports_no_backend():
    code = (
        "import sys; from preprocess.storage.store import Store; Store.at('s3://b/a');"
        "print(sorted({'fsspec', 's3fs', 'botocore', 'numpy', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_local_listings_follow_links_and_name_what_is_broken(tmp_path):
    root, other = tmp_path / "root", tmp_path / "other"
    (root / "a").mkdir(parents=True)
    other.mkdir()
    (other / "linked.wav").write_bytes(b"12")
    (root / "a/b.wav").write_bytes(b"1")
    (root / "broken.wav").symlink_to(tmp_path / "nowhere")
    (root / "folder").symlink_to(other)
    (root / "loop").symlink_to(root)
    found = {entry.path: entry.size for entry in Store.at(root).list(["wav"])}
    assert found == {"a/b.wav": 1, "broken.wav": 0, "folder/linked.wav": 2}
    versions = {entry.path: entry.version for entry in Store.at(root).list(["wav"])}
    assert versions["broken.wav"] == "broken"
    assert versions["a/b.wav"] == str((root / "a/b.wav").stat().st_mtime_ns)


def test_a_local_folder_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(PreprocessError, match=r"no-such cannot be read: No such file"):
        list(Store.at(tmp_path / "no-such").list())
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PreprocessError, match=r"file cannot be read: Not a directory"):
        list(Store.at(tmp_path).list(under="file"))


def test_a_full_disk_is_no_fault_of_the_storage(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    for write in (Store.at(tmp_path).write, Store.at(tmp_path).create):
        with pytest.raises(DiskError, match=f"No space left on device: {tmp_path}/a"):
            write("a", b"x")


def test_creation_works_where_links_do_not(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(local.os, "link", refuse)
    store = Store.at(tmp_path)
    assert store.create("a/b", b"1")
    assert not store.create("a/b", b"2")
    assert [entry.path for entry in store.list()] == ["a/b"]
    assert store.read("a/b") == b"1"


@pytest.mark.parametrize("key", ["/abs.wav", "a/../../up.wav", "a//b.wav", "./a.wav"])
def test_a_name_that_leads_out_of_a_bucket_is_an_error(s3, s3_url, key):
    client(s3_url).put_object(Bucket=s3.removeprefix("s3://"), Key=f"root/{key}", Body=b"x")
    with pytest.raises(PreprocessError, match="has no place in a folder; rename it"):
        list(Store.at(f"{s3}/root").list(["wav"]))
    assert not list(Store.at(f"{s3}/root").list(["flac"]))


def test_a_listing_skips_the_marks_of_folders(s3, s3_url):
    bucket = s3.removeprefix("s3://")
    for key in ("root/", "root/sub/", "root/sub/a.wav", "rootless/b.wav"):
        client(s3_url).put_object(Bucket=bucket, Key=key, Body=b"")
    assert [entry.path for entry in Store.at(f"{s3}/root").list()] == ["sub/a.wav"]


def test_a_listing_of_many_pages_is_whole_and_streams(s3, s3_url, monkeypatch):
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "40")  # the server is a thread of this process
    bucket, s3_client = s3.removeprefix("s3://"), client(s3_url)
    names = [f"{number:05d}.wav" for number in range(100)]
    for name in names:
        s3_client.put_object(Bucket=bucket, Key=name, Body=b"x")
    entries = Store.at(s3).list(["wav"])
    assert next(entries).path == names[0]
    s3_client.put_object(Bucket=bucket, Key="09999.wav", Body=b"x")
    rest = [entry.path for entry in entries]
    assert rest == [*names[1:], "09999.wav"], "later pages are asked for when they are needed"


def test_a_name_that_s3fs_reads_as_a_version_is_refused(s3):
    with pytest.raises(PreprocessError, match=r"may not contain \?versionId="):
        Store.at(s3).write("a?versionId=1.wav", b"")


class WithoutConditions(MemoryFileSystem):
    """A backend without exclusive creation, as the Hub's; another writer may come between."""

    protocol = "unconditional"
    another: bytes | None = None

    def pipe_file(self, path, value, mode="overwrite", **_):
        assert mode == "overwrite"
        super().pipe_file(path, self.another or value)


def test_creation_without_conditions_is_read_back(monkeypatch):
    fsspec.register_implementation("unconditional", WithoutConditions, clobber=True)
    store = Store.at("unconditional://folder")
    assert store.create("a", b"mine")
    assert not store.create("a", b"mine")
    monkeypatch.setattr(WithoutConditions, "another", b"theirs")
    assert not store.create("b", b"mine"), "another wrote it at the same time"


def test_a_version_is_the_strongest_that_a_backend_gives():
    hub = {"size": 3, "blob_id": "b1", "lfs": {"sha256": "f00"}, "last_commit": None}
    google = {"size": "3", "etag": "CJ=", "generation": "17", "mtime": 5.0}
    assert _entry("a", hub) == Entry("a", 3, "f00")
    assert _entry("a", {**hub, "lfs": None}) == Entry("a", 3, "b1")
    assert _entry("a", google) == Entry("a", 3, "CJ=")
    assert _entry("a", {"size": 3, "ETag": '"e"'}) == Entry("a", 3, "e")
