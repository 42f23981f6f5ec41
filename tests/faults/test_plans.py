"""Plans under faults: disks, interrupts, killed workers and two runs at once cost no finished clip."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from preprocess.plan.plan_file import PlanFolder
from tests.helpers.commands import files_under
from tests.helpers.disks import fill, remount, small_disk
from tests.helpers.plans import hashes, moved
from tests.helpers.states import chdir, state

WITHIN_S = 2.0
WORDS = ["run", "--plan", "plan", "--jobs", "1"]
RECIPE = """codec: encodec_24khz_demo
input: in
output: .
format: shards
shards: {count: 3, part_minutes: 0.01, lease_s: 3}
annotate:
  - constant: {name: x, value: 2}
  - function: {function: 'mine.py:mine'}
"""
MINE = """
import os, signal, time
def mine(clip):
    if clip.id == "a/1" and os.path.exists("deadly"):
        os.kill(os.getpid(), signal.SIGKILL)
    if os.path.exists("slow"):
        with open("works", "a") as file:
            file.write(f"{os.getpid()} {clip.id}\\n")
        time.sleep(float(open("slow").read()))
    return {"mine": [0.5] * clip.n_frames}
"""


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A file system of 1 MiB, which must be mounted."""
    with small_disk(tmp_path / "disk") as folder:
        yield folder


@pytest.fixture(scope="module")
def undisturbed(server, states, tmp_path_factory) -> Path:
    """A folder whose plan was made and run without a fault."""
    folder = tmp_path_factory.mktemp("undisturbed") / "work"
    made = planned(server, states, folder)
    assert server.run(WORDS, made).status == 0
    return made


def planned(server, states, folder: Path) -> Path:
    """Return a folder with five sounds and a plan of three shards, none of them made."""
    shutil.copytree(state("audio", states), folder)
    (folder / "mine.py").write_text(MINE)
    (folder / "recipe.yaml").write_text(RECIPE)
    done = server.run(["plan", "recipe.yaml", "--plan", "plan"], folder)
    assert done.status == 0, done.output
    return folder


@pytest.fixture
def work(undisturbed, tmp_path) -> Path:
    """A copy of the plan, of which nothing is made."""
    folder = tmp_path / "work"
    shutil.copytree(undisturbed, folder)
    moved(folder / "plan", undisturbed, folder)
    for name in ("dataset", "plan/shards", "plan/parts", "plan/leases"):
        shutil.rmtree(folder / name, ignore_errors=True)
    return folder


def shards(folder: Path) -> dict[str, str]:
    """Return the hash of each shard of a folder's plan."""
    with chdir(folder):
        return hashes(PlanFolder("plan"))


def left(folder: Path) -> set[str]:
    """Return the files that a run must not leave behind."""
    return {
        name
        for name in files_under(folder)
        if name.startswith(("plan/parts", "plan/leases")) or name.endswith(".tmp")
    }


def begun(folder: Path, least: int = 1) -> list[tuple[int, str]]:
    """Wait until so many clips have begun, and return the process and the id of each."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (folder / "works").exists():
            lines = (folder / "works").read_text().splitlines()
            if len(lines) >= least:
                return [(int(line.split()[0]), line.split()[1]) for line in lines]
        time.sleep(0.02)
    raise AssertionError("no clip has begun")


def failed_clips(folder: Path) -> int:
    tables = [pq.read_table(p, columns=["error"]) for p in folder.glob("plan/shards/*.parquet")]
    return sum(text != "" for table in tables for text in table["error"].to_pylist())


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_an_output_that_cannot_be_written_is_one_line_and_fails_no_clip(
    fault, work, undisturbed, disk, server
):
    moved_output(work, disk)
    if fault == "full":
        fill(disk, 8192)
    else:
        (disk / "dataset").mkdir()
        remount(disk, "ro")
    stopped = server.run(WORDS, work)
    assert stopped.status == 1
    *_, line = stopped.output.splitlines()
    what = "No space left on device" if fault == "full" else "Read-only file system"
    assert line.startswith(f"preprocess: error: {what}: {disk}/dataset")
    assert "failed" not in stopped.output and "Traceback" not in stopped.output
    if fault == "full":
        (disk / "filler").unlink()
    else:
        remount(disk, "rw")
    again = server.run(WORDS, work)
    assert again.status == 0, again.output
    assert failed_clips(work) == 0
    assert shards(work) == shards(undisturbed) and left(work) | left(disk) == set()


def moved_output(folder: Path, disk: Path) -> None:
    """Let a plan's dataset be on a disk."""
    file = folder / "plan/plan.json"
    content = json.loads(file.read_text())
    content["output"] = str(disk / "dataset")
    file.write_text(json.dumps(content))


def test_a_full_disk_with_the_plan_on_it_is_one_line(server, states, undisturbed, disk):
    """Parts, leases and reports find no space either."""
    folder = disk.parent / "work"
    planned(server, states, folder)
    shutil.move(folder / "plan", disk / "plan")
    words = ["run", "--plan", disk / "plan", "--jobs", "1"]
    for space in (0, 4096, 16_384):
        fill(disk, space)
        stopped = server.run(words, folder)
        *_, line = stopped.output.splitlines()
        assert stopped.status == 1
        assert line.startswith(f"preprocess: error: No space left on device: {disk}/plan/")
        assert "failed" not in stopped.output and "Traceback" not in stopped.output
        (disk / "filler").unlink()
    assert server.run(words, folder).status == 0
    with chdir(folder):
        assert hashes(PlanFolder(disk / "plan")) == shards(undisturbed)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_ends_a_run_with_a_summary_and_stops_no_later_run(
    workers, work, undisturbed, server
):
    """Four times: three leases of killed workers make a shard one that kills workers."""
    words = [*WORDS, "--workers", str(workers)]
    (work / "slow").write_text("30")
    for _ in range(4 if workers == 1 else 1):
        (work / "works").unlink(missing_ok=True)
        child = server.start(words, work)
        begun(work, workers)
        started = time.monotonic()
        os.killpg(child.pid, signal.SIGINT)  # as a terminal does
        ended = child.wait()
        assert time.monotonic() - started < WITHIN_S
        assert ended.status == 130
        expected = (
            r"preprocess: interrupted in shards after \d of 5 clips.*; "
            r"finished files are kept, run again to resume"
        )
        lines = ended.output.splitlines()
        assert len(lines) == 1 and re.fullmatch(expected, lines[0]), ended.output
        assert child.group_is_gone()
        # A process that does not answer within a second is killed, and leaves its lease.
        assert workers == 2 or not list(work.glob("plan/leases/*/*.json"))
    (work / "slow").unlink()
    assert server.run(WORDS, work).status == 0
    assert shards(work) == shards(undisturbed) and left(work) == set()


def test_the_workers_of_a_killed_run_end_with_it(work, undisturbed, server):
    (work / "slow").write_text("0.5")
    child = server.start([*WORDS, "--workers", "2"], work)
    begun(work, 2)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert child.group_is_gone()
    (work / "slow").unlink()
    assert server.run(WORDS, work).status == 0
    assert shards(work) == shards(undisturbed) and left(work) == set()


def test_two_runs_at_once_make_each_shard_once(work, undisturbed, server):
    (work / "slow").write_text("0.2")
    children = [server.start(WORDS, work) for _ in range(2)]
    for ended in [child.wait() for child in children]:
        assert ended.status == 0, ended.output
    made = [clip for _, clip in begun(work)]
    assert len(made) == len(set(made)) == 5
    assert len({pid for pid, _ in begun(work)}) == 2
    assert shards(work) == shards(undisturbed) and left(work) == set()


def test_a_clip_that_kills_its_workers_stops_no_other_shard(work, undisturbed, server):
    (work / "deadly").touch()
    for _ in range(3):
        assert server.run(WORDS, work).status == -signal.SIGKILL
    for _ in range(2):
        left_alone = server.run(WORDS, work)
        assert left_alone.status == 1
        (line,) = [line for line in left_alone.output.splitlines() if "error" in line]
        assert "3 workers died while they made it; --retry-failed makes it again" in line
        assert len(shards(work)) == 2
    (work / "deadly").unlink()
    assert server.run([*WORDS, "--retry-failed"], work).status == 0
    assert shards(work) == shards(undisturbed) and left(work) == set()


def test_killed_workers_are_started_again_and_make_the_same_shards(work, undisturbed, server):
    (work / "deadly").touch()
    ended = server.run([*WORDS, "--workers", "2"], work)
    assert ended.status == 1
    killed = re.findall(r"worker \d was killed by SIGKILL; it is started again", ended.output)
    assert len(killed) == 3
    assert ended.output.count("3 workers died while they made it") == 1
    assert len(shards(work)) == 2 and shards(work).items() <= shards(undisturbed).items()
    (work / "deadly").unlink()
    assert server.run([*WORDS, "--retry-failed"], work).status == 0
    assert shards(work) == shards(undisturbed) and left(work) == set()
