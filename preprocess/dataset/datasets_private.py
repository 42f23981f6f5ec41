"""All private names of `datasets` that this project uses.

Tested with 3.6.0 and 5.2.0. `tests/dataset/test_datasets_private.py` names the one that a new
release drops. The builder also overrides `_prepare_split` (see `enchf_dataset.py`).
"""

from __future__ import annotations

import inspect
import sys

from datasets import packaged_modules

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
