"""A server that fails now and then: the bytes are right, nothing is read twice, memory is bounded."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import time

import numpy as np
import pytest

from preprocess.storage.ranges import BLOCK_BYTES
from preprocess.storage.store import SourceChangedError, StorageError, Store
from tests.helpers.faulty_proxy import Fault, FaultyProxy
from tests.helpers.memory import growth_mib
from tests.helpers.s3_server import client, use_s3
from tests.storage.conftest import HURRIED

SIZE = 40_000_000
FAULTS = {
    2: Fault(status=503),
    4: Fault(cut_after=1_500_000),
    7: Fault(stall_s=1.5, cut_after=700_000),
    8: Fault(status=500),
}
"""By the number of the request for bytes."""


def content(size: int = SIZE) -> bytes:
    return np.random.default_rng(0).bytes(size)


def fail_reads(method: str, path: str, number: int) -> Fault | None:
    return FAULTS.get(number) if method == "GET" else None


def fail_all(fault: Fault, method: str):
    return lambda asked, path, number: fault if asked == method else None


def upload(proxy: FaultyProxy, data: bytes, name: str = "big.wav") -> Store:
    """Put an object past the proxy, and return the store that sees it through the proxy."""
    client(proxy.server).put_object(Bucket=proxy.bucket, Key=name, Body=data)
    return Store.at(f"s3://{proxy.bucket}", HURRIED)


def test_a_download_goes_on_where_it_was(faulty, tmp_path):
    data = content()
    store = upload(faulty, data)
    faulty.choose = fail_reads
    store.fetch("big.wav", tmp_path / "big.wav")
    assert (tmp_path / "big.wav").read_bytes() == data
    blocks = -(-SIZE // BLOCK_BYTES)
    assert faulty.count("GET") == blocks + len(FAULTS), "each fault met, one block each again"
    refused = sum(fault.status is not None for fault in FAULTS.values()) * BLOCK_BYTES
    assert SIZE < faulty.asked() - refused < 1.3 * SIZE
    assert not [path for path in tmp_path.iterdir() if path.name != "big.wav"]


def test_a_source_that_changes_during_a_download_is_noticed(faulty, tmp_path):
    store = upload(faulty, content())

    def change(method: str, path: str, number: int) -> None:
        if method == "GET" and number == 3:
            upload(faulty, content()[::-1])

    faulty.choose = change
    with pytest.raises(SourceChangedError, match=r"big\.wav changed while it was read"):
        store.fetch("big.wav", tmp_path / "big.wav")
    assert not list(tmp_path.iterdir())


def test_a_table_is_read_through_faults(faulty):
    data = content(9_000_000)
    store = upload(faulty, data)
    faulty.choose = lambda method, path, number: (
        {0: Fault(status=503), 2: Fault(cut_after=10)}.get(number) if method == "GET" else None
    )
    with store.open("big.wav") as file:
        assert file.read(100) == data[:100]
        file.seek(3_000_000)
        assert file.read(5_000_000) == data[3_000_000:8_000_000]
        assert file.read() == data[8_000_000:]
    assert faulty.asked() < 1.3 * len(data) + BLOCK_BYTES


def test_a_download_takes_the_memory_of_a_block(faulty, tmp_path):
    store = upload(faulty, content())
    faulty.choose = fail_reads
    settings = ", ".join(f"{k}={v}" for k, v in dataclasses.asdict(HURRIED).items())
    setup = (
        "from pathlib import Path; from preprocess.storage.store import Store; "
        f"from preprocess.storage.retries import Retries; "
        f"store = Store.at({str(store)!r}, Retries({settings})); store.exists('no')"
    )
    target = tmp_path / "big.wav"
    grown, printed = growth_mib(setup, "store.fetch('big.wav', Path(sys.argv[1]))", target)
    assert not printed
    assert target.stat().st_size == SIZE
    assert grown < 24, "of a file of 38 MiB"


def test_an_upload_takes_the_memory_of_a_few_parts(s3, s3_url, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(os.urandom(70_000_000))
    setup = (
        "from pathlib import Path; from preprocess.storage import remote; "
        "from preprocess.storage.store import Store; remote._PART_BYTES = 5 << 20; "
        f"store = Store.at({s3!r}); store.exists('no')"
    )
    grown, printed = growth_mib(setup, "store.put(Path(sys.argv[1]), 'big')", source)
    assert not printed
    stored = client(s3_url).get_object(Bucket=s3.removeprefix("s3://"), Key="big")["Body"].read()
    assert hashlib.sha256(stored).digest() == hashlib.sha256(source.read_bytes()).digest()
    assert grown < 55, "of a file of 67 MiB"


def test_an_upload_in_parts_repeats_a_part(faulty, tmp_path):
    data = content()
    (tmp_path / "source").write_bytes(data)
    faulty.choose = lambda method, path, number: (
        {1: Fault(status=503), 3: Fault(drop=True)}.get(number) if method == "PUT" else None
    )
    store = Store.at(f"s3://{faulty.bucket}", HURRIED)
    store.put(tmp_path / "source", "data/big")
    assert store.entry("data/big").size == SIZE
    assert (
        client(faulty.server).get_object(Bucket=faulty.bucket, Key="data/big")["Body"].read()
        == data
    )
    parts = -(-SIZE // (8 << 20))
    assert faulty.count("PUT") == parts + 2
    assert faulty.count("POST") == 2, "it was begun once and completed once"


@pytest.mark.parametrize(
    "fault", [Fault(status=503), Fault(drop=True), Fault(stall_s=1.2, drop=True)]
)
def test_a_listing_and_a_write_survive_a_fault(faulty, fault):
    store = Store.at(f"s3://{faulty.bucket}", HURRIED)
    faulty.choose = lambda method, path, number: fault if number == 0 else None
    store.write("a/b.wav", b"1234")
    assert store.create("a/c.wav", b"56")
    assert [(e.path, e.size) for e in store.list()] == [("a/b.wav", 4), ("a/c.wav", 2)]
    assert store.exists("a/b.wav")
    store.delete("a/b.wav")
    assert [entry.path for entry in store.list()] == ["a/c.wav"]
    assert faulty.count("PUT") in (3, 4), "a creation may be asked for again, when it is read back"
    assert faulty.count("DELETE") == 2


def test_a_creation_whose_answer_was_lost_counts(faulty):
    store = Store.at(f"s3://{faulty.bucket}", HURRIED)
    lose = Fault(stall_s=1.2, drop=True)
    faulty.choose = lambda method, path, number: lose if (method, number) == ("PUT", 0) else None
    assert store.create("lease", b"mine"), "the first try made it, the second found it"
    assert not store.create("lease", b"mine")
    assert store.read("lease") == b"mine"


def test_an_end_of_patience_says_how_often_it_tried(faulty, tmp_path):
    store = upload(faulty, b"1234")
    faulty.choose = fail_all(Fault(status=503), "GET")
    with pytest.raises(StorageError) as raised:
        store.fetch("big.wav", tmp_path / "big.wav")
    text = str(raised.value)
    assert text.startswith(f"s3://{faulty.bucket}/big.wav cannot be read: HTTP 503 SlowDown")
    assert re.search(r"\(tried 4 times in \d s\)$", text)
    assert faulty.count("GET") == 4
    assert not (tmp_path / "big.wav").exists()


def test_access_that_is_denied_is_not_tried_again(faulty):
    store = upload(faulty, b"1234")
    faulty.choose = fail_all(Fault(status=403), "GET")
    with pytest.raises(StorageError, match=r"access is denied \(AccessDenied\); check the cred"):
        store.read("big.wav")
    assert faulty.count("GET") == 1


def test_a_server_that_is_gone_is_named(s3_url, monkeypatch):
    with FaultyProxy(s3_url) as proxy:
        gone = proxy.url

    use_s3(monkeypatch, gone)
    start = time.monotonic()
    with pytest.raises(StorageError, match=r"s3://b/a.wav cannot be read: .*tried 4 times"):
        Store.at("s3://b", HURRIED).read("a.wav")
    assert time.monotonic() - start < 8


def test_a_bucket_that_does_not_exist_is_named(s3):
    store = Store.at("s3://no-such-bucket-here", HURRIED)
    for use in (
        lambda: list(store.list()),
        lambda: store.read("a"),
        lambda: store.exists("a"),
        lambda: store.write("a", b""),
        lambda: store.create("a", b""),
    ):
        with pytest.raises(StorageError, match=r"no-such-bucket-here.*the bucket does not exist"):
            use()
