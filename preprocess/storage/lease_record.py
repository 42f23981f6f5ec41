"""What the file of a lease says: who holds it, and how often it was taken over."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from typing import Any

from preprocess.core.errors import printable
from preprocess.core.processes import boot_id, is_dead, machine_id, started

_MOST_BYTES = 10_000
_LONGEST_S = 24 * 3600.0


@dataclass(frozen=True)
class LeaseRecord:
    """The content of a lease's file.

    Attributes:
        holder: Who holds it, for messages.
        machine: The machine and its numbering of processes.
        boot: Its start.
        pid: The process.
        started: When the process started.
        attempts: How many workers have held it, this one included.
        lease_s: Without a change for so long, it is stale.
        beat: Renewals so far, so that each changes the content.
        token: A random word, so that no two leases have the same content.
        free: Nobody holds it, and its attempts still count.
    """

    holder: str = "an unknown process"
    machine: str = ""
    boot: str = ""
    pid: int = 0
    started: int = 0
    attempts: int = 1
    lease_s: float = 0.0
    beat: int = 0
    token: str = ""
    free: bool = False

    @classmethod
    def of_this_process(cls, holder: str | None, lease_s: float, attempts: int) -> LeaseRecord:
        """Return a record for a lease that this process takes."""
        pid = os.getpid()
        return cls(
            holder=holder or f"host {socket.gethostname()}, process {pid}",
            machine=machine_id(),
            boot=boot_id(),
            pid=pid,
            started=started(pid) or 0,
            attempts=attempts,
            lease_s=float(lease_s),
            token=os.urandom(8).hex(),
        )

    @classmethod
    def parse(cls, content: bytes, attempts: int) -> LeaseRecord:
        """Return the record in a file.

        A file that holds none, since a worker died as it wrote it, counts as `attempts` attempts
        of an unknown process.
        """
        try:
            fields: Any = json.loads(content) if len(content) <= _MOST_BYTES else None
            found = cls(**fields)
        except (ValueError, TypeError, RecursionError):
            return cls(attempts=attempts)
        kinds = {key: type(value) for key, value in asdict(cls()).items()}
        numbers = (found.attempts, found.pid, found.started, found.lease_s)
        if {key: type(value) for key, value in asdict(found).items()} != kinds or not all(
            0 <= number < 2**62 for number in numbers
        ):
            return cls(attempts=attempts)
        return found

    def content(self) -> bytes:
        """Return the file's content."""
        return json.dumps(asdict(self)).encode()

    @property
    def is_dead(self) -> bool:
        """Whether the holder is a process of this machine that has ended.

        After a restart the machine has another `boot`. So has another machine of the same name,
        and it may be alive.
        """
        here = self.machine == machine_id() and self.boot == boot_id() and self.pid > 0
        return here and is_dead(self.pid, self.started)

    def stale_after_s(self, lease_s: float) -> float:
        """Return after how long without a change it is stale to an observer with `lease_s`."""
        return min(max(lease_s, self.lease_s), max(lease_s, _LONGEST_S))

    def __str__(self) -> str:
        return printable(self.holder[:200])
