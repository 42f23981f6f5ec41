"""A small file costs its reader little: memory of a stated multiple of its size, and seconds."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pytest

from fuzz.guard import check, warm_up
from fuzz.mutations import flips
from fuzz.readers import READERS
from tests.hostile.bombs import BOMBS

FLOOR = 8 << 20
"""Bytes that reading any file may take: parsers, tables of constants, a block of sound."""
SECONDS = 10.0
"""CPU time, on a slow machine; most took minutes or did not end."""

TAKEN = (
    *("empty lines", "rows of one cell", "dimensions", "running status", "65,535 tracks"),
    *("many columns", "a key in each row", "equal texts"),
    "one chord again and again",
    "one key under the pedal",
    "all notes off again and again",
    "nested description",
)


def cost(name: str, data: bytes, folder: Path) -> tuple[int, float, str | None]:
    """Return the peak memory in bytes, the CPU time in seconds, and the refusal."""
    reader = READERS[name]
    warm_up(reader)
    began = time.process_time()
    refusal = check(reader, data, folder)
    seconds = time.process_time() - began  # without tracing, which takes several times as long
    arrow = pa.default_memory_pool()
    before = arrow.max_memory()
    tracemalloc.start()
    try:
        assert check(reader, data, folder) == refusal
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak + max(0, arrow.max_memory() - before), seconds, refusal


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_costs_little(bomb, tmp_path):
    name, make = BOMBS[bomb]
    if "entit" in bomb:
        pytest.importorskip("defusedxml", reason="openpyxl refuses entities only with defusedxml")
    data = make()
    peak, seconds, refusal = cost(name, data, tmp_path)
    print(f"{bomb}: {len(data):,} bytes, {peak / len(data):.1f} times, {seconds:.2f} s, {refusal}")
    assert peak < READERS[name].memory * len(data) + FLOOR
    assert seconds < SECONDS
    assert (refusal is None) == (bomb in TAKEN)


@pytest.mark.parametrize("name", READERS)
def test_memory_follows_the_size_of_damaged_files(name, tmp_path):
    reader = READERS[name]
    for seed in reader.seeds():
        for data in (seed, *flips(seed, 3, seed=1)):
            peak, _, _ = cost(name, data, tmp_path)
            assert peak < reader.memory * len(data) + FLOOR
