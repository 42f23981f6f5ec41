"""Time alternatives in turns in one process, so that a busy moment affects all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def alternate(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each call; every round runs each call once.

    A first, untimed round warms the caches.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def print_ratios(seconds: dict[str, float], ours: str) -> None:
    """Print the seconds of each alternative and its ratio to `ours`."""
    for name, value in seconds.items():
        print(f"{name:<40}{1000 * value:>10.2f} ms{value / seconds[ours]:>10.1f}x")
