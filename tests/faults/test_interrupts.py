"""Ctrl-C ends any step within two seconds, by one line that says what was done."""

from __future__ import annotations

import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers.commands import files_under, write_tokens, write_tone

WITHIN_S = 2.0
SLOW_PRODUCER = """
import threading, time
begun = threading.Barrier(2)
def slow(clip):
    begun.wait()
    print("works", flush=True)
    time.sleep(30)
"""
SLOW_ROWS = """
import enchf_dataset, time
def slow(*arguments):
    print("works", flush=True)
    time.sleep(30)
enchf_dataset.clip_row = slow
"""
SLOW_CHECK = """
import time
def check(*arguments):
    print("works", flush=True)
    time.sleep(30)
"""
TWO_PROCESSES = """
import sys
sys.path.insert(0, ".")  # of the processes, too
import slow_check, preprocess.steps.audit as audit
audit._CLIPS_A_PROCESS = audit._CHUNK = 1
audit._check = slow_check.check
"""
STARTS = """
import multiprocessing.popen_spawn_posix as spawn, preprocess.steps.audit as audit, time
audit._CLIPS_A_PROCESS = 1
launch = spawn.Popen._launch
def said(*arguments):
    print("works", flush=True)
    time.sleep(0.3)
    launch(*arguments)
spawn.Popen._launch = said
"""
PARTS = """
import preprocess.core.progress as progress
part = progress.Progress.part
def said(self, audio_s):
    part(self, audio_s)
    if self.done and self._part_audio_s > 5:
        print("works", flush=True)
progress.Progress.part = said
"""
SLOW_WRITES = """
import preprocess.steps.normalize as normalize, time
levelled = normalize._levelled
def slow(*arguments):
    for block in levelled(*arguments):
        print("works", flush=True)
        time.sleep(30)
        yield block
normalize._levelled = slow
"""


@dataclass(frozen=True)
class Case:
    """A command to interrupt once it says that it works.

    Attributes:
        words: The command.
        done: What its line says that it has done.
        setup: What is changed in its process.
    """

    words: str
    done: str
    setup: str = ""


CASES = {
    "encode of one long clip": Case(
        "encode in out --codec encodec_24khz_demo",
        r"encode after 1 of 2 clips, 1\.0 s of audio",
        PARTS,
    ),
    "threads that write": Case(
        "normalize in out --jobs 2", "normalize after 0 of 2 clips", SLOW_WRITES
    ),
    "threads of a slow producer": Case(
        "annotate ecdc --function function=slow.py:slow --jobs 2", "annotate after 0 of 4 clips"
    ),
    "build": Case("build ecdc ds", "build after 0 of 4 rows", SLOW_ROWS),
    "build of two processes": Case(
        "build ecdc ds --num-proc 2", "build after 0 of 4 rows", SLOW_ROWS
    ),
    "audit of two processes": Case(
        "audit ecdc --jobs 2", "audit after 0 of 4 clips", TWO_PROCESSES
    ),
    "audit that starts its processes": Case(
        "audit ecdc --jobs 2", "audit after 0 of 4 clips", STARTS
    ),
}


@pytest.fixture
def work(tmp_path) -> Path:
    folder = tmp_path / "work"
    write_tone(folder / "in/long.wav", 240)
    write_tone(folder / "in/short.wav", 1)
    for index in range(4):
        write_tokens(folder / f"ecdc/{index}.ecdc", seed=index)
    (folder / "slow.py").write_text(SLOW_PRODUCER)
    (folder / "slow_check.py").write_text(SLOW_CHECK)
    return folder


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_interrupt_ends_a_step_with_what_it_has_done(case, server, work):
    before = files_under(work)
    child = server.start(case.words.split(), work, setup=case.setup)
    deadline = time.monotonic() + 30
    while "works" not in child.output.read_text():
        assert time.monotonic() < deadline, child.output.read_text()
        time.sleep(0.01)
    started = time.monotonic()
    os.killpg(child.pid, signal.SIGINT)  # as a terminal does
    ended = child.wait()
    assert time.monotonic() - started < WITHIN_S
    assert ended.status == 130
    lines = [line for line in ended.output.splitlines() if line != "works"]
    expected = (
        f"preprocess: interrupted in {case.done}; finished files are kept, run again to resume"
    )
    assert len(lines) == 1 and re.fullmatch(expected, lines[0]), ended.output
    assert child.group_is_gone()
    finished = {name for name in files_under(work) - before if "__pycache__" not in name}
    assert finished == ({"out/short.ecdc"} if "encode" in case.words else set())


def test_a_second_interrupt_ends_a_step_at_once(server, work):
    child = server.start(CASES["threads that write"].words.split(), work, setup=SLOW_WRITES)
    while "works" not in child.output.read_text():
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGINT)
    time.sleep(0.2)
    os.kill(child.pid, signal.SIGINT)
    started = time.monotonic()
    assert child.wait().status == 130
    assert time.monotonic() - started < 1
