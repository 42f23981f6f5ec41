"""The private names of `datasets` that this project uses, all of them.

Tried on 3.6.0 and 5.2.0. `tests/dataset/test_datasets_private.py` says which name is gone when a release
drops one. The builder overrides one more, `_prepare_split` (see `enchf_dataset.py`).
"""

from __future__ import annotations

import inspect
import sys

from datasets import packaged_modules

TRIED = ("3.6.0", "5.2.0")


def register_builder(name: str, module: str) -> None:
    """Make `load_dataset(name, ...)` find the builder in an imported module.

    `load_dataset` looks in this table for the formats that come with it, in every version:
    https://github.com/huggingface/datasets/blob/5.2.0/src/datasets/packaged_modules/__init__.py

    Args:
        name: What users write in place of a path.
        module: Name of the module, as in `sys.modules`.
    """
    lines = inspect.getsource(sys.modules[module]).splitlines()
    digest = packaged_modules._hash_python_lines(lines)
    packaged_modules._PACKAGED_DATASETS_MODULES[name] = (module, digest)
