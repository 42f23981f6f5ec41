"""`datasets` without its progress bars."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from preprocess.core.quiet import errors_only


@contextmanager
def quiet_datasets() -> Iterator[None]:
    """Silence the progress bars of `datasets`, and its warning of a README that is not needed."""
    import datasets

    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        with errors_only("huggingface_hub"):
            yield
    finally:
        if shown:
            datasets.enable_progress_bars()
