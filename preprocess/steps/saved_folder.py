"""Folders with a saved dataset, in which a marker file records what they were made from.

A folder is made next to its final place and moved there once complete. It replaces only a folder
that has the marker.
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
    """Return the content of the marker in a folder; empty if it is missing or unreadable."""
    try:
        stored = json.loads((output / marker).read_bytes())
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}


def check_replaceable(output: Path, marker: str, names: Iterable[str], step: str) -> None:
    """Refuse to replace a folder with content that the step did not make.

    Args:
        output: The folder that the step would replace.
        marker: Name of the marker file.
        names: Other files that the step writes there, besides the splits and the token folder.
        step: Name of the step.

    Raises:
        UsageError: `output` is a file, a folder without the marker, or has other files in it.
    """
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not (output / marker).exists():
        what = "built dataset" if step == "build" else f"dataset made by {step}"
        raise UsageError(f"output {output} exists and is not a {what}; remove it first")
    splits = json.loads((output / "dataset_dict.json").read_bytes())["splits"]
    ours = {marker, *names, "dataset_dict.json", *splits}
    ours.add(read_marker(output, marker).get("tokens_subdir", _TOKENS_SUBDIR).split("/")[0])
    for path in sorted(output.iterdir()):
        if path.name not in ours and not path.name.startswith("."):
            raise UsageError(
                f"{path} was not made by {step}, which replaces the whole folder; move it first"
            )


def replace_folder(new: Path, output: Path, old: Path) -> None:
    """Move `new` to `output`, and an existing `output` to `old`, on the same file system."""
    if output.exists():
        os.replace(output, old)
    os.replace(new, output)
