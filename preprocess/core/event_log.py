"""What a command does, as JSON lines for other programs: `--log-json FILE`.

Each line is one object with at least `time` (UTC), `event` and `step`; docs/running.md lists the
keys of each event. Without a log, writing an event does nothing.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

from preprocess.core.errors import UsageError, os_error_text, printable

STDERR = "-"
"""The name of a log that goes to stderr."""


class _Log:
    """An open log. A forked process writes to the same file."""

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor, self._name = descriptor, name
        self._lock = threading.Lock()
        self._broken = False

    def write(self, event: dict[str, Any]) -> None:
        """Append one line; if that fails, say so once and write no more."""
        line = json.dumps(event, ensure_ascii=True, allow_nan=False) + "\n"
        with self._lock:
            if self._broken:
                return
            try:
                # One call a line, so that lines of several processes do not mix.
                os.write(self._descriptor, line.encode("ascii"))
            except OSError as error:
                self._broken = True  # the work matters more than its log
                text = f"{self._name}: {os_error_text(error)}; the log ends here"
                print(printable(text), file=sys.stderr)


_log: _Log | None = None


@contextmanager
def event_log(target: str | None) -> Iterator[None]:
    """Write events to `target` in this context.

    Args:
        target: A file, to which lines are appended; `-` for stderr; None for no log.

    Raises:
        UsageError: The file cannot be opened.
    """
    global _log
    if target is None:
        yield
        return
    try:
        descriptor = (
            os.dup(2)
            if target == STDERR
            else os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _CLOSED_IN_OTHERS, 0o666)
        )
    except OSError as error:
        raise UsageError(f"--log-json {target}: {error.strerror}") from None
    before, _log = _log, _Log(descriptor, "stderr" if target == STDERR else target)
    try:
        yield
    finally:
        _log = before
        os.close(descriptor)


_CLOSED_IN_OTHERS = getattr(os, "O_CLOEXEC", 0)


def is_logging() -> bool:
    """Whether events are written."""
    return _log is not None


def log_event(event: str, step: str, **fields: Any) -> None:
    """Write an event to the log, if there is one.

    Args:
        event: Kind of the event.
        step: Name of the step.
        fields: Its other keys; values that JSON can hold.
    """
    if _log is not None:
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        time = now.replace("+00:00", "Z")
        _log.write({"time": time, "event": event, "step": step, **fields})
