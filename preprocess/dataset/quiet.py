"""Silences the progress bars of `datasets`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from preprocess.core.quiet import errors_only


@contextmanager
def quiet_datasets() -> Iterator[None]:
    """Silence the progress bars of `datasets`, and its warning about a missing README."""
    import datasets

    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        with errors_only("huggingface_hub"):
            yield
    finally:
        if shown:
            datasets.enable_progress_bars()
