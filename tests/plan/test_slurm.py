"""The scripts of examples/slurm, run by a stand-in for SLURM: tasks in random order, two killed."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from preprocess.plan.plan_file import PlanFolder
from tests.helpers.plans import hashes, make

EXAMPLES = Path(__file__).parents[2] / "examples" / "slurm"
SBATCH = """#!{python}
import json, os, sys
with open(os.environ["JOBS"], "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
print(1000)
"""

SLOW = """import time
def slow(clip):
    time.sleep(0.5)
    return {"slow": [0.5] * clip.n_frames}
"""


@pytest.fixture
def commands(tmp_path) -> dict[str, str]:
    """An environment whose `sbatch` only records its arguments, and whose `preprocess` is ours."""
    folder = tmp_path / "bin"
    folder.mkdir()
    scripts = {
        "sbatch": SBATCH.format(python=sys.executable),
        "preprocess": f'#!/bin/bash\nexec {sys.executable} -m preprocess "$@"\n',
    }
    for name, text in scripts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(stat.S_IRWXU)
    return os.environ | {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "JOBS": str(tmp_path / "jobs"),
        "OMP_NUM_THREADS": "1",
    }


def start(plan: Path, task: int, tasks: int, commands: dict[str, str]) -> subprocess.Popen:
    """Start a task of the array, as SLURM does."""
    return subprocess.Popen(
        ["bash", EXAMPLES / "make_shards.sbatch", plan],
        env=commands
        | {
            "SLURM_ARRAY_TASK_ID": str(task),
            "SLURM_ARRAY_TASK_COUNT": str(tasks),
            "SLURM_CPUS_PER_TASK": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_four_tasks_of_which_two_are_killed_make_the_bytes_of_one_run(corpus, tmp_path, commands):
    code = tmp_path / "slow.py"
    code.write_text(SLOW)
    more = f"  - function: {{function: '{code}:slow'}}"
    alone = corpus.plan(corpus.recipe(count=6, more=more, out=tmp_path / "alone"))
    make(alone)
    recipe = tmp_path / "test.yaml"
    recipe.write_text(corpus.recipe(count=6, more=more, lease_s=3))
    plan = tmp_path / "shared" / "plan"
    submit = ["bash", EXAMPLES / "submit.sh", recipe, plan, "4"]
    subprocess.run(submit, env=commands, check=True, capture_output=True, timeout=120)
    jobs = Path(commands["JOBS"]).read_text().splitlines()
    assert "--array=0-3" in jobs[0] and "--dependency=afterany:1000" in jobs[1]

    order = random.Random(5).sample(range(4), 4)
    tasks = {task: start(plan, task, 4, commands) for task in order}
    for task in order[:2]:
        _wait_for_a_lease_of(plan, tasks[task].pid)
        tasks[task].send_signal(signal.SIGKILL)
    for task in order[2:]:
        out, _ = tasks[task].communicate(timeout=120)
        assert tasks[task].returncode == 0, out
    for task in order[:2]:
        assert tasks[task].wait(timeout=10) == -signal.SIGKILL
        tasks[task].stdout.close()
    assert hashes(PlanFolder(plan)) == hashes(alone)

    finish = ["bash", EXAMPLES / "finish.sbatch", plan]
    done = subprocess.run(finish, env=commands, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("finish     12 rows")


def _wait_for_a_lease_of(plan: Path, pid: int) -> None:
    """Wait until a process holds a lease, so that it dies in the middle of a shard."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for path in (plan / "leases").rglob("*.json"):
            try:
                if str(pid) in path.read_text():
                    return
            except OSError:
                continue
        time.sleep(0.02)
    raise AssertionError(f"process {pid} took no lease")
