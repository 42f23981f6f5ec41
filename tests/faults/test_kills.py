"""kill -9 at any moment of any step: the next run gives what an undisturbed run gives.

`python -m benchmarks.faults --kills 50` kills more often.
"""

from __future__ import annotations

import sys

import pytest

from tests.helpers.faults import SCENARIOS, Killer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers end with their parent")
KILLS = 4
"""Per step: half of them at random times, half at random changes of the file system."""


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_next_run_gives_what_an_undisturbed_run_gives(name, server, states, fault_hub):
    """Byte for byte, without a temporary file, and without making anything twice."""
    outcome = Killer(server, name, states, fault_hub).kills(KILLS, seed=0)
    assert outcome.kills == KILLS
    assert outcome.wrong == []
    assert outcome.lost == 0
