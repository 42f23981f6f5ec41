"""One holder at a time; the dead are replaced, the paused are told, and no wall clock matters."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace

import pytest

from preprocess.storage import leases as leases_module
from preprocess.storage.lease_record import LeaseRecord
from preprocess.storage.leases import Leases
from preprocess.storage.store import StorageError, Store
from tests.storage.conftest import HURRIED

SHORT_S = 0.8
HOLD = """
import sys, time
from preprocess.storage.leases import Leases
from preprocess.storage.store import Store
leases = Leases(Store.at(sys.argv[1]), "leases", lease_s=float(sys.argv[2]))
with leases.take("x") as lease:
    print("taken", lease.attempts, flush=True)
    while not lease.lost:
        time.sleep(0.01)
    print("lost", flush=True)
"""


@pytest.fixture
def workers():
    """Start processes that hold the lease x; they are killed at the end."""
    started = []

    def start(store: Store, lease_s: float) -> subprocess.Popen:
        words = [sys.executable, "-c", HOLD, str(store), str(lease_s)]
        worker = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        started.append(worker)
        assert worker.stdout.readline().startswith("taken")
        return worker

    yield start
    for worker in started:
        worker.kill()
        worker.wait()
        worker.stdout.close()


@pytest.fixture
def folder(tmp_path) -> Store:
    (tmp_path / "plan").mkdir()
    return Store.at(tmp_path / "plan")


def foreign(store: Store, name: str, **fields) -> None:
    """Write the lease of a process of another machine."""
    record = LeaseRecord.of_this_process("host far, process 7", 0.3, 1)
    record = replace(record, machine="another", **fields)
    store.write(f"leases/{name}/{record.attempts:06d}.json", record.content())


def wait_for(condition, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def test_a_lease_has_one_holder_and_is_released(store):
    mine, theirs = Leases(store, "leases", lease_s=30), Leases(store, "leases", "worker 2", 30)
    with mine.take("train-0") as lease:
        assert lease.attempts == 1
        assert theirs.take("train-0") is None
        assert f"process {os.getpid()}" in str(theirs.holder("train-0"))
        with theirs.take("train-1"):
            assert {name: str(h) for name, h in mine.all().items()} == {
                "train-0": str(mine.holder("train-0")),
                "train-1": "worker 2",
            }
        assert not lease.lost
    assert mine.holder("train-0") is None
    assert not list(store.list()), "nothing is left behind"
    assert theirs.take("train-0").attempts == 1


def test_of_many_threads_one_takes_it(store):
    start, taken = threading.Barrier(8), []

    def take() -> None:
        leases = Leases(store, "leases")
        start.wait()
        taken.append(leases.take("x"))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(lease is not None for lease in taken) == 1


def test_leases_come_and_go_while_all_are_listed(folder):
    ended = threading.Event()

    def work(number: int) -> None:
        leases = Leases(folder, "leases", f"worker {number}")
        while not ended.is_set():
            with leases.take(f"train-{number}"):
                pass

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(100):
            for name, holder in Leases(folder, "leases").all().items():
                assert str(holder) == name.replace("train-", "worker ")
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def test_a_lease_is_renewed_as_long_as_the_work_goes_on(store):
    mine, other = Leases(store, "leases", lease_s=SHORT_S), Leases(store, "leases", None, SHORT_S)
    with mine.take("x") as lease:
        end = time.monotonic() + 3 * SHORT_S
        while time.monotonic() < end:
            assert other.take("x") is None
            time.sleep(SHORT_S / 8)
        assert not lease.lost
        assert not other.holder("x").is_dead


def test_a_lease_of_another_machine_is_stale_when_it_does_not_change(store):
    foreign(store, "x", attempts=2, lease_s=1.5)
    leases = Leases(store, "leases", lease_s=1.5)
    assert leases.take("x") is None, "it may have been renewed just now"
    assert str(leases.holder("x")) == "host far, process 7"
    assert not leases.holder("x").is_dead
    time.sleep(1.55)
    assert leases.holder("x").is_dead
    with leases.take("x") as lease:
        assert lease.attempts == 3, "two died over it"
    assert not list(store.list())


def test_a_longer_lease_is_waited_for(folder):
    foreign(folder, "x", lease_s=60.0)
    leases = Leases(folder, "leases", lease_s=0.1)
    leases.take("x")
    time.sleep(0.15)
    assert leases.take("x") is None


def test_a_clock_that_jumps_changes_nothing(folder, monkeypatch):
    mine, other = Leases(folder, "leases", lease_s=SHORT_S), Leases(folder, "leases", None, SHORT_S)
    really = time.time
    with mine.take("x") as lease:
        for jump_s in (1e6, -1e6, 1e9):
            monkeypatch.setattr(time, "time", lambda jump_s=jump_s: really() + jump_s)
            for path in (folder.local("leases/x")).iterdir():
                os.utime(path, (max(0, time.time()),) * 2)
            assert other.take("x") is None
            time.sleep(SHORT_S / 3)
        assert not lease.lost
    foreign(folder, "y")
    assert other.take("y") is None
    monkeypatch.setattr(time, "time", lambda: 0.0)
    time.sleep(SHORT_S)
    assert other.take("y").attempts == 2


@pytest.mark.parametrize("deaths", [3])
def test_a_killed_process_of_this_machine_is_replaced_at_once(folder, workers, deaths):
    for death in range(1, deaths + 1):
        worker = workers(folder, 600)
        assert Leases(folder, "leases").take("x") is None
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        assert Leases(folder, "leases").holder("x").is_dead, f"death {death}"
    start = time.monotonic()
    with Leases(folder, "leases").take("x") as lease:
        assert lease.attempts == deaths + 1
    assert time.monotonic() - start < 5


def test_a_killed_process_is_seen_through_s3(s3, workers):
    store = Store.at(s3, HURRIED)
    worker = workers(store, 600)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    with Leases(store, "leases").take("x") as lease:
        assert lease.attempts == 2


def test_a_dead_number_of_another_start_may_be_another_machine(folder):
    """Two machines may have one name; only the kernel's own word for its start tells them apart."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    here = replace(LeaseRecord.of_this_process(None, 600, 1), pid=ended.pid, started=5)
    for boot, is_dead in ((here.boot, True), ("another", False)):
        folder.write("leases/x/000001.json", replace(here, boot=boot).content())
        assert Leases(folder, "leases").holder("x").is_dead == is_dead


def test_a_paused_holder_learns_that_it_was_replaced(folder, workers):
    worker = workers(folder, SHORT_S)
    leases = Leases(folder, "leases", lease_s=SHORT_S)
    assert leases.take("x") is None
    worker.send_signal(signal.SIGSTOP)
    taken = []
    wait_for(lambda: taken.append(leases.take("x")) or taken[-1])
    with taken[-1] as lease:
        assert lease.attempts == 2
        worker.send_signal(signal.SIGCONT)
        assert worker.stdout.readline() == "lost\n"
        worker.wait(10)
        assert not lease.lost
        assert str(os.getpid()) in str(leases.holder("x")), "its end did not release ours"
        time.sleep(SHORT_S)
        assert not lease.lost


def test_a_holder_that_pauses_past_a_release_learns_it(folder):
    lost = Leases(folder, "leases", lease_s=0.2).take("x")
    other = Leases(folder, "leases", lease_s=0.2)
    other.take("x")
    time.sleep(0.25)
    with other.take("x"):
        pass
    lost.renew()
    assert lost.lost
    lost.release()
    assert not list(folder.list()), "it did not come back"


def test_a_deleted_lease_is_lost(store):
    with Leases(store, "leases", lease_s=SHORT_S).take("x") as lease:
        for entry in list(store.list()):
            store.delete(entry.path)
        wait_for(lambda: lease.lost)


def test_an_abandoned_lease_keeps_its_count(store):
    foreign(store, "x", attempts=3)
    leases = Leases(store, "leases", lease_s=0.2)
    leases.take("x")
    time.sleep(0.35)
    for _ in range(3):
        lease = leases.take("x")
        assert lease.attempts == 4
        lease.abandon()
        assert leases.holder("x") is None
        assert not leases.all()


def test_an_error_in_the_work_releases_the_lease(folder):
    leases = Leases(folder, "leases")
    with pytest.raises(ZeroDivisionError), leases.take("x"):
        raise ZeroDivisionError
    assert leases.take("x").attempts == 1


def test_an_interrupt_does_not_wait_for_storage_that_hangs(folder, monkeypatch):
    hangs = threading.Event()
    monkeypatch.setattr(Store, "delete", lambda *_: hangs.wait(30))
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt), Leases(folder, "leases").take("x"):
        raise KeyboardInterrupt
    assert time.monotonic() - start < 2
    hangs.set()


def test_storage_that_fails_does_not_end_the_work(folder, monkeypatch):
    def fail(*_, **__):
        raise StorageError("the storage cannot be reached")

    leases = Leases(folder, "leases", lease_s=SHORT_S)
    with leases.take("x") as lease:
        monkeypatch.setattr(Store, "write", fail)
        monkeypatch.setattr(Store, "list", fail)
        time.sleep(SHORT_S)
        assert not lease.lost, "nobody is known to have taken it"
        monkeypatch.undo()
        before = next(folder.list(under="leases/x")).version
        wait_for(lambda: next(folder.list(under="leases/x")).version != before)
        monkeypatch.setattr(Store, "list", fail)
    monkeypatch.undo()
    assert leases.holder("x") is not None, "it could not be released, and expires"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[1]",
        b'{"holder": 3}',
        b"{" + b'"a":' * 5_000,
        json.dumps({**asdict(LeaseRecord()), "attempts": -1}).encode(),
        json.dumps({**asdict(LeaseRecord()), "lease_s": float("inf")}).encode(),
        b"x" * 100_000,
    ],
)
def test_a_file_that_is_no_lease_is_an_unknown_process(folder, content):
    folder.write("leases/x/000002.json", content)
    leases = Leases(folder, "leases", lease_s=0.1)
    assert str(leases.holder("x")) == "an unknown process"
    time.sleep(0.15)
    assert leases.take("x").attempts == 3


def test_watching_tells_the_living_from_the_dead(folder, workers):
    workers(folder, SHORT_S)
    foreign(folder, "dead")
    found = Leases(folder, "leases", lease_s=SHORT_S).all(watch=True)
    assert {name: holder.is_dead for name, holder in found.items()} == {"x": False, "dead": True}


def test_two_that_see_a_dead_holder_do_not_both_take_over(folder, monkeypatch):
    """The second has looked, then the first takes over, works and releases."""
    foreign(folder, "x")
    first, second = Leases(folder, "leases", lease_s=0.1), Leases(folder, "leases", lease_s=0.1)
    assert first.take("x") is None
    assert second.take("x") is None
    time.sleep(0.35)
    create = leases_module.Store.create

    def create_late(self, path, data):
        monkeypatch.undo()
        with first.take("x") as lease:
            assert lease.attempts == 2
        return create(self, path, data)

    monkeypatch.setattr(leases_module.Store, "create", create_late)
    assert second.take("x") is None, "what it saw is over"
    assert second.take("x").attempts == 1
