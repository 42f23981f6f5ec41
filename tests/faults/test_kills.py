"""kill -9 at any moment of any step: the next run gives what an undisturbed run gives.

`python -m benchmarks.faults --kills 50` kills more often.
"""

from __future__ import annotations

import sys

import pytest

from tests.helpers.faults import SCENARIOS, Killer
from tests.helpers.forks import ForkServer
from tests.helpers.hub_client import environment
from tests.helpers.hub_server import HubServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers end with their parent")
KILLS = 4
"""Per step: half of them at random times, half at random changes of the file system."""


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Return a function that kills a step."""
    root = tmp_path_factory.mktemp("kills")
    with HubServer() as hub, ForkServer(environment(hub, root / "home")) as server:
        yield lambda name: Killer(server, name, root, hub).kills(KILLS, seed=0)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_next_run_gives_what_an_undisturbed_run_gives(name, killed):
    """Byte for byte, without a temporary file, and without making anything twice."""
    outcome = killed(name)
    assert outcome.kills == KILLS
    assert outcome.wrong == []
    assert outcome.lost == 0
