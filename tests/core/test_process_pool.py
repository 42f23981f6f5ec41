"""Functions over items in processes: in order, few at a time, and errors at once."""

from __future__ import annotations

import os
from itertools import count

import pytest

from preprocess.core.errors import PreprocessError
from preprocess.core.process_pool import Processes


def place(item: int) -> tuple[int, int]:
    return item, os.getpid()


def fail(item: int) -> int:
    if item == 3:
        raise PreprocessError(f"item {item}")
    return item


@pytest.mark.parametrize("processes", [1, 2])
def test_values_arrive_in_order(processes):
    with Processes(processes, "works") as pool:
        found = list(pool.run(place, range(40)))
        again = list(pool.run(place, range(3)))
    assert [item for item, _ in found] == list(range(40)) and len(again) == 3
    assert (os.getpid() in {pid for _, pid in found}) == (processes == 1)


@pytest.mark.parametrize("processes", [1, 2])
def test_few_items_are_under_way_and_an_error_ends_the_run(processes):
    taken = []

    def items():
        for item in count():
            taken.append(item)
            yield item

    with Processes(processes, "works") as pool:
        found = pool.run(fail, items())
        assert [next(found) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(PreprocessError, match="item 3"):
            next(found)
    assert len(taken) <= 3 + 4 * processes
