"""Leases: which worker works on what, so that two do not do the same.

    leases/train-00003/000001.json    the first holder's, who was killed
    leases/train-00003/000002.json    the holder's

A lease is taken by creating the next file, which one of several workers can do, and renewed by
writing that file again. The highest number holds. A holder that finds a higher number, or its own
file gone, has lost the lease. Releasing removes all its files.

Nobody compares clocks of machines, since they differ and jump. A worker that sees a lease unchanged
for `lease_s` seconds of its own monotonic clock takes it over; at once if the holder was a process
of this machine and has ended.

Where a store cannot create a file exclusively (see `Store.create`), and for as long as a renewal
takes after a holder was paused, two workers may hold one lease. So it saves work, and nothing may
depend on it: what is done under a lease must bear to be done twice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType

from preprocess.storage.lease_record import LeaseRecord
from preprocess.storage.store import Store

LEASE_S = 60.0
_INTERRUPTED_S = 1.0


@dataclass(frozen=True)
class Holder:
    """Who holds a lease; `str(holder)` is the name.

    Attributes:
        record: What the lease's file says.
        is_dead: It has ended, or was not seen to renew its lease in time.
    """

    record: LeaseRecord
    is_dead: bool

    def __str__(self) -> str:
        return str(self.record)


@dataclass(frozen=True)
class _Current:
    generation: int
    content: bytes

    @property
    def record(self) -> LeaseRecord:
        return LeaseRecord.parse(self.content, attempts=self.generation)


class Leases:
    """The leases in a folder of a store.

    Args:
        store: The store.
        folder: The folder, which is made when it is needed.
        holder: What to call this worker in messages, if not by its host and process.
        lease_s: Seconds without a renewal after which others take over a lease.
    """

    def __init__(
        self, store: Store, folder: str, holder: str | None = None, lease_s: float = LEASE_S
    ) -> None:
        # A renewal that waits longer than the lease lasts has no use.
        self._store = store.giving_up_after(lease_s / 4)
        self._folder, self._holder, self._lease_s = folder, holder, lease_s
        self._seen: dict[str, tuple[_Current, float]] = {}

    def take(self, name: str) -> Lease | None:
        """Return the lease of that name, None if another worker holds it.

        One that looks stale may take a second call: it must be seen unchanged for `lease_s`.

        Raises:
            StorageError: The storage cannot be reached.
        """
        current = self._current(name)
        generation, attempts = 1, 1
        if current is not None:
            record = current.record
            if not record.free and not self._is_stale(name, current):
                return None
            generation, attempts = current.generation + 1, record.attempts + 1
        record = LeaseRecord.of_this_process(self._holder, self._lease_s, attempts)
        file = self._file(name, generation)
        try:
            if not self._store.create(file, record.content()):
                return None
        except FileNotFoundError:  # the last holder removed the folder at this moment
            return None
        # A holder that was taken for dead may have released it meanwhile, and another taken it.
        there = self._generations(name)
        if max(there, default=0) != generation or (current and current.generation not in there):
            self._store.delete(file)
            return None
        return Lease(self, name, generation, record)

    def holder(self, name: str) -> Holder | None:
        """Return who holds a lease, None if nobody does.

        Raises:
            StorageError: The storage cannot be reached.
        """
        return self._held(name, self._current(name))

    def all(self, watch: bool = False) -> dict[str, Holder]:
        """Return the holders of all leases, by name.

        Args:
            watch: Wait until each has renewed its lease or has not for as long as it lasts,
                to tell the living from the dead of other machines.

        Raises:
            StorageError: The storage cannot be reached.
        """
        first = self._all()
        found, open_names = dict(first), {n for n, holder in first.items() if not holder.is_dead}
        while watch and open_names:  # each is renewed, released or stale in the end
            time.sleep(self._lease_s / 20)
            found = self._all()
            open_names = {
                name
                for name in open_names & found.keys()
                if not found[name].is_dead and found[name].record == first[name].record
            }
        return found

    def _all(self) -> dict[str, Holder]:
        highest: dict[str, int] = {}
        for entry in self._store.list([".json"], self._folder):
            name, _, file = entry.path[len(self._folder) + 1 :].rpartition("/")
            generation = _generation(file)
            if name and generation is not None:
                highest[name] = max(highest.get(name, 0), generation)
        holders = {n: self._held(n, self._at(n, highest[n])) for n in sorted(highest)}
        return {name: holder for name, holder in holders.items() if holder is not None}

    def _file(self, name: str, generation: int) -> str:
        return f"{self._folder}/{name}/{generation:06d}.json"

    def _generations(self, name: str) -> set[int]:
        entries = self._store.list([".json"], under=f"{self._folder}/{name}")
        found = (_generation(entry.path.rpartition("/")[2]) for entry in entries)
        return {generation for generation in found if generation is not None}

    def _current(self, name: str) -> _Current | None:
        there = self._generations(name)
        return self._at(name, max(there)) if there else None

    def _at(self, name: str, generation: int) -> _Current | None:
        try:
            return _Current(generation, self._store.read(self._file(name, generation)))
        except FileNotFoundError:  # released since it was listed
            return None

    def _held(self, name: str, current: _Current | None) -> Holder | None:
        if current is None or current.record.free:
            return None
        return Holder(current.record, self._is_stale(name, current))

    def _is_stale(self, name: str, current: _Current) -> bool:
        record = current.record
        if record.is_dead:
            return True
        now = time.monotonic()
        seen = self._seen.get(name)
        if seen is None or seen[0] != current:
            self._seen[name] = (current, now)
            return False
        return now - seen[1] >= record.stale_after_s(self._lease_s)


def _generation(file: str) -> int | None:
    stem = file.removesuffix(".json")
    return int(stem) if stem.isascii() and stem.isdigit() and len(stem) < 20 else None


class Lease:
    """A lease that this process has taken; as a context it is renewed, and released at the end.

    Attributes:
        name: Its name.
        attempts: How many workers have held it, this one included, since it was last released:
            3 if two died over it.
    """

    def __init__(self, leases: Leases, name: str, generation: int, record: LeaseRecord) -> None:
        self.name, self.attempts = name, record.attempts
        self._leases, self._generation, self._record = leases, generation, record
        self._store, self._path = leases._store, leases._file(name, generation)
        self._lost, self._ended = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def lost(self) -> bool:
        """Whether another worker has taken it over, or someone deleted it."""
        return self._lost.is_set()

    def renew(self) -> None:
        """Tell others that this worker lives, or find out that the lease is lost."""
        there = self._leases._generations(self.name)
        if not there or max(there) != self._generation:
            self._lost.set()
            return
        self._record = replace(self._record, beat=self._record.beat + 1)
        self._store.write(self._path, self._record.content())

    def release(self) -> None:
        """Let others take it; they start to count attempts again."""
        self._end(self._remove, self._leases._lease_s / 2)

    def abandon(self) -> None:
        """Let others take it, with the attempts that it had before this worker took it."""
        left = replace(self._record, free=True, attempts=self.attempts - 1)
        self._end(lambda: self._store.write(self._path, left.content()), self._leases._lease_s / 2)

    def __enter__(self) -> Lease:
        self._thread = threading.Thread(target=self._keep, name=f"lease {self.name}", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, KeyboardInterrupt):  # the user waits, and the lease expires anyway
            self._end(self._remove, _INTERRUPTED_S)
        else:
            self.release()

    def _keep(self) -> None:
        while not self._ended.wait(self._leases._lease_s / 4) and not self.lost:
            with suppress(Exception):  # the next renewal may succeed
                self.renew()

    def _end(self, leave: Callable[[], None], patience_s: float) -> None:
        """Stop renewals, then `leave`; wait for both at most `patience_s`."""
        self._ended.set()

        def finish() -> None:
            if self._thread is not None:
                self._thread.join()  # a renewal after `leave` would undo it
            with suppress(Exception):
                if not self.lost:
                    leave()

        ending = threading.Thread(target=finish, name=f"end of lease {self.name}", daemon=True)
        ending.start()
        ending.join(patience_s)

    def _remove(self) -> None:
        """Remove the files of this lease, its own last: while it is there, nobody counts from 1."""
        for generation in sorted(self._leases._generations(self.name)):
            if generation <= self._generation:
                self._store.delete(self._leases._file(self.name, generation))
        folder = self._store.local(f"{self._leases._folder}/{self.name}")
        if folder is not None:
            with suppress(OSError):
                folder.rmdir()
