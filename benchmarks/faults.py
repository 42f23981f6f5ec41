"""Kills each step at random moments, runs it again and compares the result, byte for byte.

    python -m benchmarks.faults --kills 50

Half of the kills come at a random time of the step's duration, half just before a random change of
the file system (a file opened for writing, a rename, a removal). tests/faults kills a few times.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

# Before huggingface_hub is imported.
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"

from tests.helpers.faults import SCENARIOS, Killer
from tests.helpers.forks import ForkServer
from tests.helpers.hub_client import environment
from tests.helpers.hub_server import HubServer


def main() -> int:
    """Print a line for each step, and return 1 if a result was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="kills of each step")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("steps", nargs="*", help=f"default: all of {', '.join(SCENARIOS)}")
    arguments = parser.parse_args()
    print(f"{'step':<22}{'kills':>6}{'left files':>12}{'made twice':>12}{'wrong':>7}{'seconds':>9}")
    wrong = 0
    with tempfile.TemporaryDirectory() as folder, HubServer() as hub:
        root = Path(folder)
        with ForkServer(environment(hub, root / "home")) as server:
            for name in arguments.steps or SCENARIOS:
                started = time.monotonic()
                done = Killer(server, name, root, hub).kills(arguments.kills, arguments.seed)
                seconds = time.monotonic() - started
                counts = f"{done.kills:>6}{done.left:>12}{done.lost:>12}{len(done.wrong):>7}"
                print(f"{name:<22}{counts}{seconds:>9.0f}", flush=True)
                for line in done.wrong:
                    print(f"  {line}")
                wrong += len(done.wrong) + done.lost
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
