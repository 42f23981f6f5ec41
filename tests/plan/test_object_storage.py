"""Plans whose input and output are in a bucket of a real S3 server, with failures in between."""

from __future__ import annotations

import hashlib
from urllib.parse import unquote, urlsplit

import pytest

from preprocess.plan.finish_config import FinishConfig
from preprocess.plan.finishing import finish_plan
from preprocess.plan.plan_file import PlanFolder
from preprocess.storage.store import Store
from tests.helpers.faulty_proxy import Fault, FaultyProxy
from tests.helpers.plans import hashes, make
from tests.helpers.s3_server import client, make_bucket, start_s3, use_s3


@pytest.fixture(scope="module")
def s3_url():
    yield from start_s3()


@pytest.fixture
def faulty(s3_url, monkeypatch):
    """A proxy before the server, which fails as it is told."""
    with FaultyProxy(s3_url) as proxy:
        use_s3(monkeypatch, proxy.url)
        proxy.bucket = make_bucket(s3_url)
        yield proxy


def remote_hashes(plan: PlanFolder) -> dict[str, str]:
    """Return the hash of each shard in the bucket, by name."""
    return {
        entry.path.rpartition("/")[2]: hashlib.sha256(plan.dataset.read(entry.path)).hexdigest()
        for entry in plan.dataset.list([".parquet"], "data")
    }


def upload(corpus, proxy: FaultyProxy) -> None:
    """Copy the sounds into the bucket, past the proxy."""
    s3 = client(proxy.server)
    for path in corpus.sounds.rglob("*.wav"):
        key = f"sounds/{path.relative_to(corpus.sounds).as_posix()}"
        s3.upload_file(str(path), proxy.bucket, key)


def bucket_recipe(corpus, proxy: FaultyProxy) -> str:
    base = f"s3://{proxy.bucket}"
    text = corpus.recipe(out=f"{base}/out")
    return text.replace(f"input: {corpus.sounds}", f"input: {base}/sounds")


def test_a_bucket_that_fails_now_and_then_gives_the_bytes_of_a_local_run(corpus, faulty, tmp_path):
    local = corpus.plan(corpus.recipe(out=tmp_path / "local"))
    make(local)
    upload(corpus, faulty)
    faults = {5: Fault(status=503), 11: Fault(cut_after=3000), 23: Fault(status=500)}
    faulty.choose = lambda method, path, number: faults.get(number) if method == "GET" else None
    plan = corpus.plan(bucket_recipe(corpus, faulty))
    report = make(plan)
    assert report.ok and report.done == 12
    assert faulty.count("GET") > max(faults), "each fault was met"
    assert remote_hashes(plan) == hashes(local)
    finished = finish_plan(PlanFolder(str(plan)), FinishConfig())
    assert finished.ok and finished.done == 12
    names = {entry.path for entry in Store.at(str(plan.dataset)).list()}
    assert {"README.md", "enchf.json", "stats.json", "enchf_shards.json"} <= names


def test_a_resumed_job_reads_no_clip_again(corpus, faulty):
    upload(corpus, faulty)
    plan = corpus.plan(bucket_recipe(corpus, faulty))
    make(plan)
    report_of_one = f"shards/{plan.info.shards[0].name}.json"
    plan.store.delete(report_of_one)  # as if its worker had died before the report
    faulty.seen.clear()
    assert make(PlanFolder(str(plan))).ok
    own = {clip.path for clip in plan.clips(plan.info.shards[0])}
    read = {
        unquote(urlsplit(seen.path).path).partition("/sounds/")[2]
        for seen in faulty.seen
        if seen.method == "GET" and ".wav" in seen.path
    }
    assert read == own, "no clip of another shard is read"


def test_an_object_that_changed_since_the_plan_fails(corpus, faulty):
    upload(corpus, faulty)
    plan = corpus.plan(bucket_recipe(corpus, faulty))
    other = next(corpus.sounds.rglob("take 02.wav"))
    client(faulty.server).upload_file(str(other), faulty.bucket, "sounds/take 01.wav")
    ((item, text),) = make(plan).failures
    assert item == "take 01.wav" and "changed" in text


def test_an_output_inside_the_input_is_refused(corpus, faulty):
    upload(corpus, faulty)
    from preprocess.core.errors import UsageError

    text = bucket_recipe(corpus, faulty).replace("/out", "/sounds/out")
    with pytest.raises(UsageError, match="must not contain each other"):
        corpus.plan(text)
