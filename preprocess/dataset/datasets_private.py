"""All private names of `datasets` that this project uses.

Tested with 3.6.0 and 5.2.0. `tests/dataset/test_datasets_private.py` names the one that a new
release drops. The builder also overrides `_prepare_split` (see `enchf_dataset.py`).
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from datasets import builder, packaged_modules

TRIED = ("3.6.0", "5.2.0")


def register_builder(name: str, module: str) -> None:
    """Make `load_dataset(name, ...)` find the builder in an imported module.

    In every version, `load_dataset` looks up its built-in formats in this table:
    https://github.com/huggingface/datasets/blob/5.2.0/src/datasets/packaged_modules/__init__.py

    Args:
        name: The name that users write instead of a path.
        module: The module's name in `sys.modules`.
    """
    lines = inspect.getsource(sys.modules[module]).splitlines()
    digest = packaged_modules._hash_python_lines(lines)
    packaged_modules._PACKAGED_DATASETS_MODULES[name] = (module, digest)


@contextmanager
def rows_written(count: Callable[[int], None]) -> Iterator[None]:
    """Call `count` with numbers of rows as builders write them in this context.

    A builder counts the rows of all its processes in a progress bar, which this replaces:
    https://github.com/huggingface/datasets/blob/5.2.0/src/datasets/builder.py

    Args:
        count: Called in the caller's thread, about every 0.05 seconds.
    """

    class Counter:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def __enter__(self) -> Counter:
            return self

        def __exit__(self, *_: Any) -> None: ...

        def update(self, rows: int) -> None:
            count(rows)

    shown = builder.hf_tqdm
    builder.hf_tqdm = Counter
    try:
        yield
    finally:
        builder.hf_tqdm = shown
