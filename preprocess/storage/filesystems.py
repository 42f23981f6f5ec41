"""The fsspec file system of a protocol: one in each process, without caches or retries of its own."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from preprocess.core.errors import PreprocessError, UsageError, nearest, one_line
from preprocess.storage.retries import Retries

_MADE: dict[tuple[Any, ...], Any] = {}
_LOCK = threading.Lock()
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
_PART_TRIES = 5
_CONNECTIONS = 64
"""More than threads that read at once, so that none waits for another's connection."""


def filesystem(protocol: str, retries: Retries, uploads: bool = False) -> Any:
    """Return the file system of a protocol.

    It is made once for each process: the connections and the thread of an asynchronous one do not
    survive a fork. Threads share it.

    Args:
        protocol: Such as `s3`.
        retries: Its waits.
        uploads: Let it try each part of a large upload again, which nobody else can.

    Raises:
        UsageError: The protocol is unknown, or its package is not installed.
        PreprocessError: The package refuses the configuration.
    """
    key = (os.getpid(), protocol, retries.connect_s, retries.read_s, uploads)
    with _LOCK:
        if key not in _MADE:
            _MADE[key] = _make(protocol, retries, uploads)
        return _MADE[key]


def forget() -> None:
    """Forget all file systems, so that the next are made from the environment as it is now."""
    with _LOCK:
        _MADE.clear()


def _make(protocol: str, retries: Retries, uploads: bool) -> Any:
    import fsspec
    from fsspec.config import conf

    try:
        kind = fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        extra = _EXTRAS.get(protocol)
        package = f"'enchf-dataset[{extra}]'" if extra else "the package that it names"
        raise UsageError(
            f"{protocol}:// needs another package: pip install {package} ({one_line(error)})"
        ) from error
    except ValueError:
        hint = nearest(protocol, ("s3", "gs", "hf", "memory", "file"))
        raise UsageError(f"no package reads {protocol}://{hint}") from None
    options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    if protocol in ("s3", "s3a"):
        options["config_kwargs"] = {
            "connect_timeout": retries.connect_s,
            "read_timeout": retries.read_s,
            "max_pool_connections": _CONNECTIONS,
            "retries": {"mode": "standard", "total_max_attempts": _PART_TRIES if uploads else 1},
            **conf.get(protocol, {}).get("config_kwargs", {}),
        }
    try:
        made = kind(**options)
    except Exception as error:
        raise PreprocessError(f"{protocol}:// cannot be opened: {one_line(error)}") from error
    if protocol in ("s3", "s3a"):
        made.retries = _PART_TRIES if uploads else 1  # else each try would be several
    return made


def _after_fork() -> None:
    """Let a forked child make its own: a lock may be held, and the threads are gone."""
    global _LOCK
    _LOCK = threading.Lock()
    asyn = sys.modules.get("fsspec.asyn")
    if asyn is not None:
        asyn.reset_lock()  # else it waits for the parent's thread forever


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
