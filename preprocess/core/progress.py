"""What a step has done so far, how fast it works and how long it still needs.

On a terminal, one line is redrawn. Elsewhere one line a minute goes to stderr, and none if the step
takes less than a minute. With `--log-json`, events go to the log as well.

The speed is that of the work: items that were up to date count neither as work nor as time spent on
it. Times come from a monotonic clock, so setting the system's clock changes nothing.
"""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Any

from preprocess.core.event_log import is_logging, log_event

LINE_EVERY_S = 60.0
"""Seconds between two lines if stderr is not a terminal."""
LOG_EVERY_S = 2.0
"""Least seconds between two progress events of a log."""
_REDRAW_EVERY_S = 0.1
_LEAST_WORK_S = 2.0
"""Seconds of work before the time left is estimated."""

_latest: Progress | None = None
"""The phase that is running, or that an interrupt ended."""


class Progress:
    """The progress of one phase of a step; a context manager.

    Methods may be called from any thread of the process. A parent of several processes calls
    `update` with what each of them reports.

    Args:
        step: Name of the step.
        total: Number of items.
        phase: Name of this part of the step; empty if it is the only one or the main one.
        item: What is counted, in the singular.
        total_audio_s: Seconds of audio in all items; then `update` needs those of each item. None
            if they are unknown: the time left follows from the number of items.
        at_once: Number of items that are worked on at once. Until as many are done, the speed is
            unknown.

    Attributes:
        done: Items made.
        current: Items that were up to date.
        failed: Items that failed.
        audio_s: Seconds of audio in the items made.
    """

    def __init__(
        self,
        step: str,
        total: int,
        phase: str = "",
        item: str = "clip",
        total_audio_s: float | None = None,
        at_once: int = 1,
    ) -> None:
        self.step, self.total, self.phase, self.item = step, total, phase, item
        self.total_audio_s = total_audio_s
        self.done = self.current = self.failed = 0
        self.audio_s = 0.0
        self._at_once = at_once
        self._passed_audio_s = self._part_audio_s = self._work_s = 0.0
        self._lock = threading.RLock()
        self._bar: Any = None
        self._started = self._seen = self._drawn = self._said = self._logged = time.monotonic()

    def __enter__(self) -> Progress:
        """Start the clock."""
        global _latest
        _latest = self
        self._started = self._seen = self._drawn = self._said = self._logged = time.monotonic()
        if sys.stderr.isatty():
            from tqdm import tqdm

            shape = "{desc}: {percentage:3.0f}%|{bar:16}| {n_fmt}/{total_fmt}{postfix}"
            name = self.phase or self.step
            self._bar = tqdm(
                total=self.total, desc=name, leave=False, bar_format=shape, dynamic_ncols=True
            )
        log_event(
            "start",
            self.step,
            phase=self.phase,
            total=self.total,
            total_audio_s=_rounded(self.total_audio_s),
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Remove the line from the terminal."""
        global _latest
        if kind is None or not issubclass(kind, KeyboardInterrupt | GeneratorExit):
            _latest = None
        if self._bar is not None:
            self._bar.close()

    def update(
        self, items: int = 1, audio_s: float = 0.0, failed: bool = False, current: bool = False
    ) -> None:
        """Count items that are finished.

        Args:
            items: Number of items.
            audio_s: Seconds of audio in them, whether they were made or not.
            failed: They failed.
            current: They were up to date.
        """
        with self._lock:
            self._pass_time(is_work=not current)
            if failed or current:
                self.failed += items * failed
                self.current += items * (not failed)
                self._passed_audio_s += audio_s
            else:
                self.done += items
                self.audio_s += audio_s
            self._show()

    def part(self, audio_s: float) -> None:
        """Count seconds of audio that are worked through, in items that are not finished yet.

        They count towards the time left only, so that a long item does not stop the estimate. A
        step that calls this does so for the audio of all items that it makes.
        """
        with self._lock:
            self._pass_time(is_work=True)
            self._part_audio_s += audio_s
            self._show()

    @property
    def real_time_factor(self) -> float | None:
        """Seconds of audio made in a second of work; None if nothing was made."""
        with self._lock:
            made = max(self.audio_s, self._part_audio_s)
            return made / self._work_s if made and self._work_s else None

    @property
    def left_s(self) -> float | None:
        """Estimated seconds until all items are finished; None as long as the speed is unknown."""
        with self._lock:
            finished = self.done + self.failed
            left = self.total - finished - self.current
            if not left:
                return 0.0
            if self._work_s < _LEAST_WORK_S:
                return None
            if finished < self._at_once and not self._part_audio_s:
                return None
            if self.total_audio_s is None:
                return self._work_s * left / finished
            worked_s = max(self.audio_s, self._part_audio_s)
            left_s = max(self.total_audio_s - self._passed_audio_s - worked_s, 0.0)
            return self._work_s * left_s / worked_s if worked_s else None

    def line(self) -> str:
        """Return what is done, as one line without the time left."""
        finished = self.done + self.current + self.failed
        parts = [f"{finished:,} of {self.total:,} {self.item}s{self._of_these()}"]
        if self.audio_s:
            parts.append(f"{duration_text(self.audio_s)} of audio")
        if self.failed:
            parts.append(f"{self.failed:,} failed")
        return ", ".join(parts)

    def _of_these(self) -> str:
        return f" ({self.current:,} up to date)" if self.current else ""

    def _pass_time(self, is_work: bool) -> None:
        now = time.monotonic()
        if is_work:
            self._work_s += now - self._seen
        self._seen = now

    def _show(self) -> None:
        """Redraw, print and log, each if it is time."""
        now = self._seen
        if self._bar is not None:
            if now - self._drawn >= _REDRAW_EVERY_S:
                self._drawn = now
                self._redraw()
        elif now - self._said >= LINE_EVERY_S:
            self._said = now
            name = f"{self.step}: {self.phase}" if self.phase else self.step
            tail = "".join(f", {word}" for word in self._speed())
            print(f"{name}: {self.line()}{tail}", file=sys.stderr, flush=True)
        if is_logging() and now - self._logged >= LOG_EVERY_S:
            self._logged = now
            log_event("progress", self.step, phase=self.phase, **self.numbers())

    def numbers(self) -> dict[str, int | float | None]:
        """Return what a log states about the progress."""
        return {
            "total": self.total,
            "done": self.done,
            "current": self.current,
            "failed": self.failed,
            "audio_s": _rounded(self.audio_s),
            "elapsed_s": _rounded(self._seen - self._started),
            "real_time_factor": _rounded(self.real_time_factor),
            "left_s": _rounded(self.left_s),
        }

    def _redraw(self) -> None:
        self._bar.n = self.done + self.current + self.failed
        words = [f"{duration_text(self.audio_s)} of audio"] if self.audio_s else []
        words += [f"{self.failed:,} failed"] if self.failed else []
        # tqdm throttles by the system's clock, which may jump; this always draws.
        self._bar.set_postfix_str(", ".join([*words, *self._speed()]))

    def _speed(self) -> list[str]:
        factor, left = self.real_time_factor, self.left_s
        words = [f"{factor:,.{0 if factor >= 10 else 1}f}x real time"] if factor else []
        return words + ([f"about {_rough(left)} left"] if left is not None else [])


def take_interrupted() -> Progress | None:
    """Return the progress of the phase that an interrupt ends, once; None if none was running."""
    global _latest
    interrupted, _latest = _latest, None
    return interrupted


def duration_text(seconds: float) -> str:
    """Return a length of audio with three digits, as in `34.7 s`, `12.5 min` and `3.4 h`."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def _rough(seconds: float) -> str:
    """Return a time to wait with two units at most, as in `40 s`, `12 min` and `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
