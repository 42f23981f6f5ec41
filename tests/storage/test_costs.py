"""How many requests each operation makes, as docs/scale.md says."""

from __future__ import annotations

from preprocess.storage.leases import Leases
from preprocess.storage.store import Store
from tests.storage.conftest import HURRIED


def test_operations_make_the_requests_that_the_docs_count(faulty, tmp_path):
    store = Store.at(f"s3://{faulty.bucket}", HURRIED)
    source = tmp_path / "source"

    def requests(action) -> str:
        before = len(faulty.seen)
        action()
        return " ".join(seen.method for seen in faulty.seen[before:])

    source.write_bytes(bytes(10 << 20))
    assert requests(lambda: store.put(source, "clips/ten")) == "PUT"
    entries = []
    assert requests(lambda: entries.extend(store.list(under="clips"))) == "GET"
    fetch = requests(lambda: store.fetch("clips/ten", tmp_path / "copy", entries[0]))
    assert fetch == "GET GET GET HEAD", "10 MiB are three ranges"
    source.write_bytes(bytes(20 << 20))
    assert requests(lambda: store.put(source, "big")) == "POST PUT PUT PUT POST"
    leases, taken = Leases(store, "leases"), []
    assert requests(lambda: taken.append(leases.take("x"))) == "GET PUT GET GET"
    assert requests(taken[0].renew) == "GET PUT"
    assert requests(taken[0].release) == "GET DELETE"
