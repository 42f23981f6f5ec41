"""Workers on a Ray cluster of three nodes on this machine, of which one dies."""

from __future__ import annotations

import threading
import time

import pytest

from preprocess.core.errors import UsageError
from preprocess.plan.launch_config import LaunchConfig
from preprocess.plan.launching import run_plan
from preprocess.plan.parts import list_parts
from tests.helpers.plans import hashes, make

ray = pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def cluster(monkeypatch):
    """A cluster of three nodes with a core each."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    yield cluster, nodes
    ray.shutdown()
    cluster.shutdown()


def test_a_cluster_that_loses_a_node_makes_the_bytes_of_one_run(corpus, cluster, tmp_path):
    alone = corpus.plan(corpus.recipe(count=6, out=tmp_path / "alone"))
    make(alone)
    plan = corpus.plan(corpus.recipe(count=6, lease_s=3))
    machines, nodes = cluster

    def kill_a_node() -> None:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and not any(list_parts(plan)):
            time.sleep(0.05)
        machines.remove_node(nodes[0], allow_graceful=False)

    killer = threading.Thread(target=kill_a_node)
    killer.start()
    config = LaunchConfig(engine="ray", address=machines.address, workers=3, jobs=1)
    report = run_plan(plan, config)
    killer.join()
    assert report.ok, report.failures
    assert "6 shards: 6 made" in report.detail
    assert hashes(plan) == hashes(alone)


def test_shares_are_for_other_launchers(corpus):
    plan = corpus.plan()
    with pytest.raises(UsageError, match="--shards is for workers"):
        run_plan(plan, LaunchConfig(engine="ray", shards="0/2"))
