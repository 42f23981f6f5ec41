"""Commands in processes of their own that start at once, to be killed or interrupted.

A server imports everything once, and forks a process for each command:

    with ForkServer() as server:
        child = server.start(["encode", "in", "out"], folder)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.truncate")
"""Audit events, besides `open` for writing, of operations that change a file system."""


@dataclass
class Child:
    """A running command.

    Attributes:
        pid: Of its process, which leads a group and a session.
        output: File with what it prints.
    """

    server: ForkServer
    pid: int
    output: Path
    started: float

    def wait(self) -> Ended:
        """Wait until the process has ended."""
        self.server.write(self.pid)
        answer = self.server.read()
        return Ended(
            answer["status"], answer["seconds"], answer["changes"], self.output.read_text()
        )

    def kill_after(self, seconds: float) -> Ended:
        """Kill the process, but not those that it started, so long after its start."""
        time.sleep(max(0.0, self.started + seconds - time.monotonic()))
        os.kill(self.pid, signal.SIGKILL)  # its number is not free before the server waits
        return self.wait()

    def group_is_gone(self, within_s: float = 5.0) -> bool:
        """Whether no process of the group is left after some time."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            try:
                os.killpg(self.pid, 0)
            except ProcessLookupError:
                return True
            time.sleep(0.01)
        return False


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        status: Exit status; the negative number of the signal that killed it.
        seconds: Seconds from fork to end.
        changes: How many changes of the file system it made in its folder; 0 if it was killed.
        output: What it printed.
    """

    status: int
    seconds: float
    changes: int
    output: str


class ForkServer:
    """The server; a context manager.

    Args:
        environment: Of the processes; default: this one's.
    """

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        self._environment, self._started = environment, 0

    def __enter__(self) -> ForkServer:
        environment = {**(self._environment or os.environ), "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.forks"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        assert self.read() == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def start(
        self, words: Sequence[object], folder: Path, kill_at: int = 0, setup: str = ""
    ) -> Child:
        """Run `preprocess` with `words`.

        Args:
            words: Its arguments.
            folder: Its working folder.
            kill_at: Kill it just before this change of the file system in its folder, from 1.
            setup: Python statements to run first.
        """
        self._started += 1
        output = folder.with_name(f"{folder.name}.output{self._started}")
        output.touch()
        job = {
            "words": [*map(str, words)],
            "folder": str(folder),
            "output": str(output),
            "kill_at": kill_at,
            "setup": setup,
        }
        self.write(job)
        return Child(self, self.read(), output, time.monotonic())

    def run(
        self, words: Sequence[object], folder: Path, kill_at: int = 0, setup: str = ""
    ) -> Ended:
        """Run `preprocess` with `words` until it ends; see `start`."""
        return self.start(words, folder, kill_at, setup).wait()

    def write(self, job: Any) -> None:
        """Send the server a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()

    def read(self) -> Any:
        """Return the server's next answer."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


def _serve() -> None:
    """Answer each job on stdin with the pid of its process, and each pid with its end."""
    for module in ("datasets", "pyarrow.parquet", "enchf_dataset", "preprocess.codec.network"):
        import_module(module)
    for step in ("normalize", "encode", "annotate", "audit", "stats", "build"):
        import_module(f"preprocess.steps.{step}")
    for step in ("export", "migrate", "push", "run"):
        import_module(f"preprocess.steps.{step}")
    import_module("preprocess.plan.launching")
    print(json.dumps("ready"), flush=True)
    reports: dict[int, int] = {}
    for line in sys.stdin:
        job = json.loads(line)
        if isinstance(job, dict):
            read, write = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(read)
                _work(job, write)
            os.close(write)
            reports[pid] = read
            print(pid, flush=True)
            continue
        pid, read = job, reports.pop(job)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        # Processes that outlive a killed one hold the pipe, so nobody waits for its end.
        os.set_blocking(read, False)
        try:
            seconds, changes = json.loads(os.read(read, 100) or "[0, 0]")
        except BlockingIOError:
            seconds, changes = 0, 0
        os.close(read)
        print(json.dumps({"status": status, "seconds": seconds, "changes": changes}), flush=True)


def _work(job: dict[str, Any], write: int) -> None:
    """Run one command in a forked process, and end it."""
    from preprocess.cli import entry

    started = time.monotonic()
    os.setsid()
    os.chdir(job["folder"])
    output = os.open(job["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    changes = _count_changes(job["folder"], job["kill_at"])
    exec(job["setup"], {})
    sys.argv = ["preprocess", *job["words"]]
    status = 1
    try:
        status = entry.preprocess()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(write, json.dumps([time.monotonic() - started, changes[0]]).encode())
        os._exit(status)


def _count_changes(folder: str, kill_at: int) -> list[int]:
    """Count the changes under a folder that this process begins; kill it before one of them."""
    count, own = [0], os.getpid()
    inside = os.path.realpath(folder) + os.sep

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            flags = arguments[2]
            is_change = isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))
        else:
            is_change = event in CHANGES
        if not is_change or not isinstance(arguments[0], str | bytes) or os.getpid() != own:
            return
        if os.path.abspath(os.fsdecode(arguments[0])).startswith(inside):
            count[0] += 1
            if count[0] == kill_at:
                os.kill(own, signal.SIGKILL)

    sys.addaudithook(hook)
    return count


if __name__ == "__main__":
    _serve()
