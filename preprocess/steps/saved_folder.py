"""Folders that hold a saved dataset of ours: a marker in them says what they were made from.

They are made beside their place and moved there whole; only one that has the marker is replaced.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from preprocess.core.errors import UsageError

_TOKENS_SUBDIR = "tokens"


def read_marker(output: Path, marker: str) -> dict[str, Any]:
    """Return what the marker in a folder says; nothing where there is none that can be read."""
    try:
        stored = json.loads((output / marker).read_bytes())
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}


def check_replaceable(output: Path, marker: str, names: Iterable[str], step: str) -> None:
    """Refuse to replace what a step has not made.

    Args:
        output: The folder that the step would replace.
        marker: Name of the file that tells what the folder was made from.
        names: What else the step writes there, beside the splits and the folder of token files.
        step: Its name.

    Raises:
        UsageError: It is a file, a folder of something else, or holds files of others.
    """
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not (output / marker).exists():
        what = "built dataset" if step == "build" else f"dataset made by {step}"
        raise UsageError(f"output {output} exists and is no {what}; remove it first")
    splits = json.loads((output / "dataset_dict.json").read_bytes())["splits"]
    ours = {marker, *names, "dataset_dict.json", *splits}
    ours.add(read_marker(output, marker).get("tokens_subdir", _TOKENS_SUBDIR).split("/")[0])
    for path in sorted(output.iterdir()):
        if path.name not in ours and not path.name.startswith("."):
            raise UsageError(
                f"{path} was not made by {step}, which replaces the whole folder; move it first"
            )


def replace_folder(new: Path, output: Path, old: Path) -> None:
    """Move `new` to `output`; what was there goes to `old`, on the same file system."""
    if output.exists():
        os.replace(output, old)
    os.replace(new, output)
