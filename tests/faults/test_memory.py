"""Memory that runs out: in one clip it is that clip's failure, and in a worker one line, no hang."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.helpers.commands import files_under, write_tokens, write_tone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and signals of Linux")
GIB = 1 << 30
LIMIT = f"""
import resource
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + {GIB}, -1))
"""
GREEDY = f"""
import numpy as np
def greedy(clip):
    if clip.id == "2":
        np.ones({GIB}, np.float64)  # 8 GiB
    return {{"x": np.zeros(clip.n_frames)}}
"""
GREEDY_NETWORK = """
import torch
import preprocess.codec.streaming as streaming
Step, begun = streaming.Step, []
class Greedy(Step):
    def finish(self, then):
        begun.append(self)
        if len(begun) == 2:
            torch.empty(1 << 50)
        return super().finish(then)
import preprocess.codec.encoders as encoders
encoders.Step = Greedy
"""
KILLED_ROWS = """
import enchf_dataset, os, signal
row, parent = enchf_dataset.clip_row, os.getpid()
def killed(root, rel, *arguments):
    if os.getpid() != parent and rel == "3.ecdc":
        os.kill(os.getpid(), signal.SIGKILL)
    return row(root, rel, *arguments)
enchf_dataset.clip_row = killed
"""
KILLED_CHECK = """
import os, signal
def check(root, config, rel):
    os.kill(os.getpid(), signal.SIGKILL)
"""
KILLED_CHECKS = """
import sys
sys.path.insert(0, ".")  # of the processes, too
import killed_check, preprocess.steps.audit as audit
audit._CLIPS_A_PROCESS = audit._CHUNK = 1
audit._check = killed_check.check
"""


@pytest.fixture
def work(tmp_path) -> Path:
    folder = tmp_path / "work"
    for index in range(4):
        write_tokens(folder / f"ecdc/{index}.ecdc", seed=index)
    (folder / "greedy.py").write_text(GREEDY)
    (folder / "killed_check.py").write_text(KILLED_CHECK)
    return folder


def test_a_clip_for_which_memory_runs_out_fails_alone(server, work):
    words = ["annotate", "ecdc", "--function", "function=greedy.py:greedy"]
    done = server.run(words, work, setup=LIMIT)
    assert done.status == 1
    error, line = done.output.splitlines()
    assert error.startswith(
        "annotate: error: ecdc/2.ecdc: greedy.py:greedy raised MemoryError: Unable to allocate"
    )
    assert line.startswith("annotate   3 clips in")
    assert {"ecdc/0.cond.npy", "ecdc/1.cond.npy", "ecdc/3.cond.npy"} <= files_under(work)


def test_clips_for_which_the_network_lacks_memory_fail_and_others_do_not(server, work):
    """It was a traceback that ended the run."""
    write_tone(work / "in/0_long.wav", 60)
    for index in range(40):
        write_tone(work / f"in/{index + 1}.wav", 2)
    done = server.run(
        ["encode", "in", "out", "--codec", "encodec_24khz_demo"], work, setup=GREEDY_NETWORK
    )
    assert done.status == 1 and "Traceback" not in done.output
    made = {name for name in files_under(work) if name.startswith("out/")}
    *_, error, line = done.output.splitlines()
    assert "RuntimeError" in error and "allocate" in error
    failed = int(line.rpartition(" failed")[0].rpartition(" ")[2])
    assert 0 < failed < 41 and len(made) == 41 - failed
    undisturbed = server.run(["encode", "in", "out", "--codec", "encodec_24khz_demo"], work)
    assert undisturbed.status == 0 and f"{len(made)} up to date" in undisturbed.output


@pytest.mark.parametrize(
    ("words", "setup", "line"),
    [
        ("build ecdc ds --num-proc 2", KILLED_ROWS, "makes rows was killed"),
        ("audit ecdc --jobs 2", KILLED_CHECKS, "checks clips was killed"),
    ],
    ids=["build", "audit"],
)
def test_a_worker_that_the_system_kills_is_one_line(words, setup, line, server, work):
    """Those of an audit were a traceback; those of a build were, too, or the build hung."""
    before = files_under(work)
    child = server.start(words.split(), work, setup=setup)
    ended = child.wait()
    assert ended.status == 1
    (error,) = ended.output.splitlines()
    assert error.startswith("preprocess: error: a process that ") and line in error
    assert child.group_is_gone()
    assert {name for name in files_under(work) if "__pycache__" not in name} == before
