"""Several writers of one sidecar, readers beside them, and writers that are killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from preprocess.core import locks
from preprocess.core.locks import LockError, locked
from preprocess.sidecar import sidecar_files
from preprocess.sidecar.parameters import SidecarError
from preprocess.sidecar.reading import read_sidecar
from preprocess.sidecar.writing import sidecar_paths, write_sidecar
from tests.helpers.commands import files_under, run, write_tokens

T = 10
ADD_MANY = """
import sys
import numpy as np
from pathlib import Path
from preprocess.sidecar.writing import write_sidecar

clip, writer, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
for number in range(count):
    value = {"values": np.full(10, number % 1000), "doc_string": str(number % 1000)}
    write_sidecar(clip, {f"w{writer}_{number % 30}": value, f"last_{writer}": value})
"""


@pytest.fixture
def clip(tmp_path) -> Path:
    """Tokens of 10 frames, with one parameter that is 0."""
    path = write_tokens(tmp_path / "ecdc/take.1.ecdc")
    write_sidecar(path, {"old": np.zeros(T)})
    return path


def names(clip: Path) -> set[str]:
    return set(read_sidecar(clip).parameters)


def start_writer(clip: Path, writer: int, count: int) -> subprocess.Popen:
    """Start a process that writes `count` times; each value says itself in its text, too."""
    command = [sys.executable, "-c", ADD_MANY, str(clip), str(writer), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def assert_one_pair(clip: Path) -> None:
    """Check that values and texts are of one write."""
    for name, parameter in read_sidecar(clip).parameters.items():
        assert name == "old" or set(parameter.values) == {float(parameter.doc_string)}


def test_no_writer_loses_an_update_and_no_reader_fails(clip):
    """Three processes add 15 parameters each to one sidecar, beside a reader."""
    writers = [start_writer(clip, w, 15) for w in range(3)]
    reads = 0
    while any(writer.poll() is None for writer in writers):
        assert_one_pair(clip)
        reads += 1
    assert [writer.wait() for writer in writers] == [0] * 3
    wanted = {f"w{w}_{n}" for w in range(3) for n in range(15)} | {f"last_{w}" for w in range(3)}
    assert names(clip) == wanted | {"old"}
    assert reads > 0
    assert files_under(clip.parent) == {"take.1.ecdc", "take.1.cond.npy", "take.1.cond.json"}


def test_threads_are_writers_of_their_own(clip):
    def add(writer: int) -> None:
        for number in range(10):
            write_sidecar(clip, {f"w{writer}_{number}": np.ones(T)})

    threads = [threading.Thread(target=add, args=(w,)) for w in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(clip)) == 1 + 4 * 10


def test_annotate_keeps_what_another_process_writes_while_it_computes(clip, capsys, tmp_path):
    """Its parameters are computed from an older sidecar than the one that it writes into."""
    code = (
        "import numpy\nfrom preprocess.sidecar.writing import write_sidecar\n"
        "def f(clip):\n"
        "    write_sidecar(clip.path, {'meanwhile': numpy.ones(10)})\n"
        "    return {'x': [1] * 10}\n"
    )
    (tmp_path / "busy.py").write_text(code)
    assert run(capsys, f"annotate @ --function function={tmp_path}/busy.py:f", clip.parent)
    assert names(clip) == {"old", "meanwhile", "x"}


# Kills

KILLED = """
import os, signal, sys
import numpy as np
from pathlib import Path
from preprocess.sidecar import sidecar_files
from preprocess.sidecar.writing import write_sidecar

clip, at = Path(sys.argv[1]), int(sys.argv[2])
calls = iter(range(100))

def deadly(function):
    def call(*args):
        if next(calls) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args)
    return call

sidecar_files.os.replace = deadly(os.replace)
Path.write_bytes = deadly(Path.write_bytes)
write_sidecar(clip, {"new": np.ones(10)})
"""
STEPS = {0: "before the metadata", 1: "before the array", 2: "before the first rename"}
BETWEEN = 3
"""Which call it is: two files are written, then two renamed."""


def kill_while_writing(clip: Path, at: int) -> None:
    command = [sys.executable, "-c", KILLED, str(clip), str(at)]
    assert subprocess.run(command).returncode == -signal.SIGKILL


def assert_nothing_left(clip: Path) -> None:
    assert files_under(clip.parent) == {"take.1.ecdc", "take.1.cond.npy", "take.1.cond.json"}


@pytest.mark.parametrize("at", STEPS, ids=STEPS.values())
def test_a_writer_killed_before_the_first_rename_has_changed_nothing(clip, at):
    kill_while_writing(clip, at)
    assert names(clip) == {"old"}
    write_sidecar(clip, {"next": np.ones(T)})
    assert names(clip) == {"old", "next"}
    assert_nothing_left(clip)


@pytest.mark.parametrize("fresh", [False, True], ids=["second write", "first write"])
def test_a_kill_between_the_two_renames_heals_at_the_next_read(clip, fresh):
    """The clip was blocked for ever: "not the array that take.1.cond.json describes"."""
    before = names(clip)
    if fresh:
        before = set()
        for part in sidecar_paths(clip):
            part.unlink()
    kill_while_writing(clip, BETWEEN)
    assert names(clip) == before | {"new"}
    assert_nothing_left(clip)
    array = np.load(sidecar_paths(clip)[0])
    assert array.shape == (T, len(before) + 1), "the files themselves are a pair again"


def test_a_kill_between_the_two_renames_heals_at_the_next_write(clip):
    kill_while_writing(clip, BETWEEN)
    write_sidecar(clip, {"next": np.ones(T)})
    assert names(clip) == {"old", "new", "next"}
    assert_nothing_left(clip)


def test_a_folder_that_may_only_be_read_is_read_after_a_kill(clip, monkeypatch):
    kill_while_writing(clip, BETWEEN)
    before = files_under(clip.parent)

    really = locks.os.open

    def refuse(path, flags, *mode):
        if flags & locks.os.O_CREAT:
            raise PermissionError
        return really(path, flags, *mode)

    monkeypatch.setattr(locks.os, "open", refuse)
    assert names(clip) == {"old", "new"}
    assert files_under(clip.parent) == before


def test_the_next_annotate_clears_up_after_killed_writers(clip, capsys):
    """Also beside clips that are up to date, which it does not write."""
    assert run(capsys, "annotate @ --constant name=x value=1", clip.parent).status == 0
    kill_while_writing(clip, 2)
    (clip.parent / ".gone.cond.json.new").write_text("{")
    assert len(files_under(clip.parent)) == 7
    result = run(capsys, "annotate @ --constant name=x value=1", clip.parent)
    assert "1 up to date" in result.out[-1]
    assert_nothing_left(clip)


def test_killed_at_random_no_write_is_half_and_none_blocks_the_next(clip):
    """Kill a process that writes as fast as it can, wherever it is."""
    for attempt in range(5):
        with start_writer(clip, attempt, 100_000) as writer:
            assert writer.stdout.readline() == "ready\n"
            time.sleep(0.05 + 0.013 * attempt)
            writer.kill()
        assert_one_pair(clip)
        write_sidecar(clip, {}, drop=names(clip) - {"old", "next"})
        write_sidecar(clip, {"next": {"values": np.full(T, attempt), "doc_string": f"{attempt}"}})
    assert names(clip) == {"old", "next"}
    assert_nothing_left(clip)


# The lock

HOLD = """
import sys, time
from pathlib import Path
from preprocess.core.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds a lock, and the lock's path."""
    path = tmp_path / ".x.lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process, path
        process.kill()


def test_a_lock_is_held_against_others_and_breaks_with_its_holder(holder):
    process, path = holder
    with pytest.raises(LockError, match=r"\.x\.lock"), locked(path, 0.05):
        pass
    process.kill()
    process.wait()
    assert path.exists(), "the file is left, and is no lock"
    with locked(path, 0.05):
        pass
    assert not path.exists()


def test_who_waits_gets_the_lock_that_counts(tmp_path):
    """The holder removes the file: a lock on it would exclude nobody who comes later."""
    path, inside, most = tmp_path / ".x.lock", [0], [0]

    def hold() -> None:
        for _ in range(50):
            with locked(path):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0.0002)
                inside[0] -= 1

    threads = [threading.Thread(target=hold) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most[0], inside[0], path.exists()) == (1, 0, False)


def test_a_writer_that_does_not_end_is_named_after_a_while(clip, monkeypatch):
    monkeypatch.setattr(sidecar_files, "locked", lambda path, *_: locked(path, 0.05))
    array_path, meta_path = sidecar_paths(clip)
    with sidecar_files.writing(array_path, meta_path):
        with pytest.raises(SidecarError, match=r"take\.1\.cond\.npy is being written by another"):
            write_sidecar(clip, {"new": np.ones(T)})
        assert names(clip) == {"old"}, "a reader need not wait for it"


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch):
    def missing(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(locks.fcntl, "flock", missing)
    with pytest.warns(UserWarning, match="has no locks"), locked(tmp_path / ".x.lock"):
        assert (tmp_path / ".x.lock").exists()
    assert not (tmp_path / ".x.lock").exists()
