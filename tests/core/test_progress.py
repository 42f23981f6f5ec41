"""Progress: numbers of work that is done, and an estimate that a resume or a clock cannot spoil."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from preprocess.core.event_log import event_log
from preprocess.core.progress import LINE_EVERY_S, Progress, duration_text, take_interrupted


class Clock:
    """A monotonic clock that goes on when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("preprocess.core.progress.time.monotonic", clock)
    return clock


def work(clock: Clock, progress: Progress, seconds: float, **update) -> None:
    clock.now += seconds
    progress.update(**update)


def test_the_time_left_follows_from_the_audio_where_its_length_is_known(clock):
    """By clips it would be 10 s: the short one took as long as a tenth of the long one."""
    with Progress("encode", 2, total_audio_s=1100) as progress:
        work(clock, progress, 10, audio_s=100)
        assert progress.left_s == pytest.approx(100)
        assert progress.real_time_factor == pytest.approx(10)
        work(clock, progress, 100, audio_s=1000)
        assert progress.left_s == 0


def test_the_time_left_follows_from_the_items_otherwise(clock):
    with Progress("annotate", 10) as progress:
        work(clock, progress, 6, items=2)
        assert progress.left_s == pytest.approx(24)
        work(clock, progress, 3, failed=True)  # a failure is time, too
        assert progress.left_s == pytest.approx(21)


def test_items_that_are_up_to_date_are_no_speed(clock):
    """900 of 1,000 in a second, and the other 100 take 10 s each."""
    with Progress("normalize", 1000) as progress:
        for _ in range(900):
            work(clock, progress, 0.01, current=True)
        assert progress.left_s is None, "nothing is known about the speed of the work"
        work(clock, progress, 10, audio_s=20)
        assert progress.left_s == pytest.approx(990)
        assert progress.real_time_factor == pytest.approx(2)
        assert (progress.done, progress.current, progress.audio_s) == (1, 900, 20)


def test_their_audio_is_not_left_either(clock):
    with Progress("encode", 3, total_audio_s=300) as progress:
        work(clock, progress, 1, audio_s=100, current=True)
        work(clock, progress, 50, audio_s=100)
        assert progress.left_s == pytest.approx(50)


def test_there_is_no_estimate_before_there_is_a_speed(clock):
    with Progress("normalize", 100, at_once=4) as progress:
        assert progress.left_s is None
        work(clock, progress, 60)
        assert progress.left_s is None, "three others are nearly done"
        work(clock, progress, 1, items=3)
        assert progress.left_s == pytest.approx(61 * 96 / 4)
    with Progress("normalize", 100) as progress:
        work(clock, progress, 0.1)
        assert progress.left_s is None, "a tenth of a second says little"


def test_parts_of_a_long_item_count_for_the_estimate_alone(clock):
    with Progress("encode", 2, total_audio_s=7200) as progress:
        clock.now += 60
        progress.part(1800)
        assert progress.left_s == pytest.approx(180)
        assert (progress.done, progress.audio_s) == (0, 0), "what is not written is not done"
        work(clock, progress, 60, audio_s=3600)
        assert progress.audio_s == 3600


def test_a_failed_clip_is_no_audio_made(clock):
    with Progress("encode", 2, total_audio_s=20) as progress:
        work(clock, progress, 5, audio_s=10, failed=True)
        work(clock, progress, 5, audio_s=10)
    assert (progress.done, progress.failed, progress.audio_s) == (1, 1, 10)


def test_without_a_terminal_there_is_a_line_a_minute_and_none_before(clock, capsys):
    with Progress("encode", 1000, total_audio_s=10_000) as progress:
        for index in range(59):
            work(clock, progress, 1, audio_s=10, failed=index == 7)
        assert capsys.readouterr().err == ""
        work(clock, progress, 1, audio_s=10)
        (line,) = capsys.readouterr().err.splitlines()
        assert line == (
            "encode: 60 of 1,000 clips, 9.8 min of audio, 1 failed, 9.8x real time, "
            "about 16 min left"
        )
        for _ in range(int(LINE_EVERY_S)):
            work(clock, progress, 1, audio_s=10)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_line_says_nothing_of_a_speed_that_is_unknown(clock, capsys):
    with Progress("normalize", 1000) as progress:
        work(clock, progress, 61, items=500, current=True)
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "normalize: 500 of 1,000 clips (500 up to date)"


def test_a_terminal_has_one_line_that_is_redrawn_and_goes(monkeypatch, clock):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("encode", 100, total_audio_s=1000) as progress:
        work(clock, progress, 5, audio_s=10)
        work(clock, progress, 5, audio_s=10, failed=True)
    drawn = terminal.getvalue()
    assert "2/100, 10.0 s of audio, 1 failed, 1.0x real time, about 16 min left" in drawn
    assert "\n" not in drawn
    assert not drawn.split("\r")[-1].strip() and not drawn.split("\r")[-2].strip()


JUMPS = """
import sys, time
from preprocess.core import progress as module
real = time.time
days = iter([0, 400, -800, 3, -9] * 1000)
time.time = lambda: real() + 86400 * next(days)
module._LEAST_WORK_S = 0.1
with module.Progress("encode", 8, total_audio_s=80) as progress:
    for _ in range(4):
        time.sleep(0.1)
        progress.update(audio_s=10)
    print(progress.left_s, progress.real_time_factor, file=sys.stdout, flush=True)
"""


def test_a_clock_that_jumps_changes_nothing():
    """On a terminal, where tqdm's own times are those of the system's clock."""
    pty, fcntl = pytest.importorskip("pty"), pytest.importorskip("fcntl")
    main, terminal = pty.openpty()
    rows_and_columns = struct.pack("HHHH", 24, 120, 0, 0)
    fcntl.ioctl(terminal, pytest.importorskip("termios").TIOCSWINSZ, rows_and_columns)
    process = subprocess.Popen(
        [sys.executable, "-c", JUMPS], stdout=subprocess.PIPE, stderr=terminal, text=True
    )
    os.close(terminal)
    drawn = b""
    try:
        while chunk := os.read(main, 4096):
            drawn += chunk
    except OSError:  # how a terminal says that it is closed
        pass
    left, factor = map(float, process.communicate(timeout=60)[0].split())
    os.close(main)
    assert process.returncode == 0
    assert 0.35 < left < 2 and 20 < factor < 110
    for count in (b"1/8", b"2/8", b"3/8", b"4/8"):
        assert count in drawn, "each change is drawn"


def test_threads_may_report(clock):
    with Progress("encode", 4000) as progress, ThreadPoolExecutor(8) as pool:
        barrier = threading.Barrier(8)

        def report() -> None:
            barrier.wait()
            for _ in range(500):
                progress.update(audio_s=1)

        for done in [pool.submit(report) for _ in range(8)]:
            done.result()
    assert (progress.done, progress.audio_s) == (4000, 4000)


def test_an_interrupt_leaves_what_was_done_and_other_ends_do_not():
    with pytest.raises(KeyboardInterrupt), Progress("encode", 3) as progress:
        progress.update(audio_s=34.71)
        raise KeyboardInterrupt
    assert take_interrupted() is progress
    assert progress.line() == "1 of 3 clips, 34.7 s of audio"
    assert take_interrupted() is None
    with pytest.raises(ValueError), Progress("encode", 3):
        raise ValueError
    assert take_interrupted() is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.04, "3.0 s"), (600, "10.0 min"), (3600 * 12_345, "12,345.0 h")]
)
def test_lengths_have_the_unit_that_suits_them(seconds, text):
    assert duration_text(seconds) == text


def test_a_log_has_a_progress_every_few_seconds_and_times_in_utc(tmp_path, clock, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    log = tmp_path / "log"
    try:
        with event_log(str(log)), Progress("encode", 100, total_audio_s=1000) as progress:
            for _ in range(20):
                work(clock, progress, 0.5, audio_s=5)
    finally:
        monkeypatch.undo()
        time.tzset()
    start, *events = map(json.loads, log.read_text().splitlines())
    assert {**start, "time": ""} == {
        "time": "",
        "event": "start",
        "step": "encode",
        "phase": "",
        "total": 100,
        "total_audio_s": 1000,
    }
    assert [event["elapsed_s"] for event in events] == [2, 4, 6, 8, 10]
    last = events[-1]
    assert last.pop("time").endswith("Z")
    utc = time.strptime(start["time"][:19], "%Y-%m-%dT%H:%M:%S")
    assert abs(time.mktime(utc) - time.mktime(time.gmtime())) < 60
    assert last == {
        "event": "progress",
        "step": "encode",
        "phase": "",
        "total": 100,
        "done": 20,
        "current": 0,
        "failed": 0,
        "audio_s": 100,
        "elapsed_s": 10,
        "real_time_factor": 10,
        "left_s": 90,
    }
