"""What a step did, in one line: done, up to date, failed. Each failure gets its own line."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TextIO

from preprocess.core.errors import PreprocessError, UsageError, os_error_text, printable
from preprocess.core.event_log import event_log, log_event
from preprocess.core.installation import explaining_imports
from preprocess.core.interrupts import INTERRUPTED, allow_interrupts, silence, work_is_over
from preprocess.core.progress import Progress, take_interrupted
from preprocess.core.temporaries import remove_own

SHARED_BY = 5
"""The number of items from which a shared failure is printed once."""


@dataclass
class Report:
    """The outcome of one step over many items.

    Attributes:
        step: Name of the step.
        item: What the step counts, in the singular.
        done: Number of items made.
        current: Number of items that were up to date and left alone.
        pruned: Number of files deleted because their source is gone.
        failures: `(item, message)` of each failed item.
        notes: Lines worth a user's attention that are not failures.
        audio_s: Seconds of audio in the items made.
        fault: The word for a failure in the step's line.
        detail: Extra text for the step's line, such as a bandwidth.
        output: Where the results are.
        skipped: Why the step did not run; empty if it ran.
        seconds: Wall time, set by `finish`.
    """

    step: str
    item: str = "clip"
    done: int = 0
    current: int = 0
    pruned: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    audio_s: float = 0.0
    fault: str = "failed"
    detail: str = ""
    output: str = ""
    skipped: str = ""
    seconds: float = 0.0
    started: float = field(default_factory=time.perf_counter, repr=False)

    @property
    def ok(self) -> bool:
        """Whether the step ran and nothing failed."""
        return not self.failures and not self.skipped

    @property
    def failed(self) -> set[str]:
        """The items that failed."""
        return {item for item, _ in self.failures}

    def finish(self) -> Report:
        """Stop the clock."""
        self.seconds = time.perf_counter() - self.started
        return self

    def fail(self, item: object, error: Exception | str) -> None:
        """Record a failed item and the reason."""
        self.failures.append((str(item), str(error)))
        log_event("failure", self.step, item=printable(str(item)), message=printable(str(error)))

    def add(self, progress: Progress) -> None:
        """Add what a phase made and what was up to date; failures are recorded by `fail`."""
        self.done += progress.done
        self.current += progress.current
        self.audio_s += progress.audio_s

    def note(self, text: str) -> None:
        """Record a line worth a user's attention, unless it is empty."""
        if text:
            self.notes.append(text)

    def line(self) -> str:
        """Return the step's one line."""
        if self.skipped:
            return f"{self.step} skipped: {self.skipped}"
        made = f"{self.done:,} {plural(self.item, self.done)}"
        if self.audio_s and self.done:
            rate = self.audio_s / max(self.seconds, 1e-9)
            made += (
                f", {self.audio_s:.1f} s of audio in {self.seconds:.2f} s ({rate:,.0f}x real time)"
            )
        else:
            made += f" in {self.seconds:.2f} s"
        if self.current:
            made = (f"{made}, " if self.done else "") + f"{self.current:,} up to date"
        pruned = f"{self.pruned:,} {plural('file', self.pruned)} pruned" if self.pruned else ""
        faults = f"{len(self.failures):,} {self.fault}" if self.failures else ""
        parts = [made, self.detail, pruned, faults]
        arrow = f" -> {self.output}" if self.output else ""
        return f"{self.step:<10} {', '.join(p for p in parts if p)}{arrow}"


def plural(noun: str, count: int) -> str:
    """Return `noun` with an s, unless `count` is 1."""
    return noun if count == 1 else f"{noun}s"


def exit_status(prog: str, command: Callable[[], int], log: str | None = None) -> int:
    """Run a command and return its exit status, or that of the error it raised.

    2 for wrong usage, 1 for other expected errors, 130 for an interrupt, each with one line on
    stderr. 141, without output, if the reader closed the pipe, as `| head` does; the command then
    ends between two outputs, not within one.

    Args:
        prog: Name of the command.
        command: The command.
        log: Where to log events; see `preprocess.core.event_log`.
    """
    try:
        with event_log(log):
            return _status(prog, command)
    except UsageError as error:  # the log cannot be opened
        return _print_last(prog, f"error: {error}", 2)


def _status(prog: str, command: Callable[[], int]) -> int:
    try:
        allow_interrupts(partial(_end_late, prog))
        status = explaining_imports(command)
        print(end="", flush=True)
        return status
    except BrokenPipeError:
        return silence()
    except UsageError as error:
        return _print_last(prog, f"error: {error}", 2)
    except PreprocessError as error:
        return _print_last(prog, f"error: {error}", 1)
    except OSError as error:
        return _print_last(prog, f"error: {os_error_text(error)}", 1)
    except KeyboardInterrupt:
        return _say_interrupted(prog)
    finally:
        work_is_over()


def _say_interrupted(prog: str) -> int:
    progress = take_interrupted()
    done = f" in {progress.step} after {progress.line()}" if progress else ""
    text = f"interrupted{done}; finished files are kept, run again to resume"
    return _print_last(prog, text, INTERRUPTED)


def _end_late(prog: str, is_said: bool) -> None:
    """Prepare the end of an interrupted process whose threads still work."""
    remove_own()
    if not is_said:
        _say_interrupted(prog)


def _print_last(prog: str, text: str, status: int) -> int:
    """Print and log the command's last line and return the exit status."""
    line = printable(text)
    log_event("stop", "", status=status, message=line)
    try:
        print(f"{prog}: {line}", file=sys.stderr, flush=True)
    except BrokenPipeError:
        return silence()
    return status


def print_note(step: str, text: str) -> None:
    """Print a line worth a user's attention to stderr, while a step runs."""
    print(f"{step}: note: {printable(text)}", file=sys.stderr, flush=True)


def listed(names: Sequence[str], most: int = 20) -> str:
    """Return up to `most` names and the number of the others, as in `a, b and 3 more`."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def print_report(
    report: Report, out: TextIO | None = None, err: TextIO | None = None, most: int | None = None
) -> None:
    """Print the step's line to `out`, its notes and failures to `err`, one line each.

    Args:
        report: What to print.
        out: A stream; None for stdout.
        err: A stream; None for stderr.
        most: Largest number of failures, and of notes, to print; None for all.
    """
    err = err or sys.stderr
    notes = [printable(note) for note in report.notes]
    failures = [printable(line) for line in _shared(report.failures)]
    for note in notes[:most]:
        print(f"{report.step}: note: {note}", file=err)
    for line in failures[:most]:
        print(f"{report.step}: error: {line}", file=err)
    for what, lines in (("note", notes), ("error", failures)):
        if most is not None and len(lines) > most:
            more = len(lines) - most
            print(f"{report.step}: {more:,} more {plural(what, more)}, not listed", file=err)
    print(printable(report.line()), file=out or sys.stdout, flush=True)
    log_report(report)


def log_report(report: Report) -> None:
    """Log what a step did; `print_report` does this as well."""
    log_event(
        "end",
        report.step,
        done=report.done,
        current=report.current,
        failed=len(report.failures),
        pruned=report.pruned,
        audio_s=round(report.audio_s, 3),
        seconds=round(report.seconds, 3),
        skipped=printable(report.skipped),
        output=printable(report.output),
    )


def _shared(failures: Sequence[tuple[str, str]]) -> list[str]:
    """Return a line for each failure; failures that many items share get one line together."""
    by_text: dict[str, list[str]] = {}
    for item, message in failures:
        text = message.removeprefix(item).lstrip(": ") if message.startswith(item) else message
        by_text.setdefault(text, []).append(item)
    lines = []
    for item, message in failures:
        text = message.removeprefix(item).lstrip(": ") if message.startswith(item) else message
        items = by_text.get(text, [])
        if len(items) < SHARED_BY:
            lines.append(message if message.startswith(item) else f"{item}: {message}")
        elif items[0] == item:
            lines.append(f"{text} ({len(items):,} times: {listed(items)})")
    return lines


def run_and_print(reports: Iterable[Report]) -> int:
    """Print the reports of a run as they arrive and return its exit status."""
    ok, idle = True, True
    for report in reports:
        print_report(report)
        ok &= report.ok
        idle &= (report.done == 0 and not report.pruned) or report.step == "audit"
    if ok and idle:
        print("nothing to do: every output is up to date")
    return 0 if ok else 1
