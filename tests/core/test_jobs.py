"""Running items: in order, each on its own, and stopping cleanly."""

from __future__ import annotations

import threading
import time

import pytest

from preprocess.core.errors import PreprocessError
from preprocess.core.jobs import run_items


@pytest.mark.parametrize("jobs", [1, 3])
def test_outcomes_come_in_the_items_order_and_failures_stay_alone(jobs):
    def step(n: int) -> int:
        time.sleep(0.001 * (n % 5))
        if n == 7:
            raise PreprocessError("seven")
        return n * n

    outcomes = list(run_items(step, range(50), jobs))
    assert [outcome.item for outcome in outcomes] == list(range(50))
    assert [o.value for o in outcomes if o.error is None] == [n * n for n in range(50) if n != 7]
    assert outcomes[7].message() == "seven"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PreprocessError("a.wav is empty"), "a.wav is empty"),
        (OSError(28, "No space left on device", "a.wav"), "No space left on device: a.wav"),
        (ValueError("two\nlines"), "ValueError: two lines"),
        (KeyError(), "KeyError"),
    ],
)
def test_every_error_is_one_line(error, message):
    def step(_: int) -> None:
        raise error

    (outcome,) = run_items(step, [0], 1)
    assert outcome.message() == message


def test_an_interrupt_finishes_what_runs_and_starts_nothing_more():
    """A thread that the interpreter's end caught in native code aborted the process."""
    running, done = threading.Event(), []

    def step(n: int) -> int:
        running.set()
        time.sleep(0.02)
        done.append(n)
        return n

    outcomes = run_items(step, range(1_000), 2)
    next(outcomes)
    with pytest.raises(KeyboardInterrupt):
        outcomes.throw(KeyboardInterrupt)
    after = len(done)
    time.sleep(0.1)
    assert len(done) == after < 20
