"""Files that ship with the package: demo audio, demo weights, recipes."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from preprocess.core.errors import PreprocessError

_PACKAGE = Path(str(files("preprocess")))


def resource(name: str) -> Path:
    """Return the path of a shipped data file or folder.

    Args:
        name: Its path relative to `data/`.

    Raises:
        PreprocessError: It is missing from the installation.
    """
    return _existing(_PACKAGE / "data" / name)


def shipped_recipe(name: str) -> Path:
    """Return the path of a shipped recipe such as `quickstart.yaml`.

    An installed package keeps recipes next to its modules, a checkout in `configs/`.

    Raises:
        PreprocessError: It is missing from the installation.
    """
    installed = _PACKAGE / "configs" / name
    return installed if installed.exists() else _existing(_PACKAGE.parent / "configs" / name)


def _existing(path: Path) -> Path:
    if not path.exists():
        raise PreprocessError(f"{path} is missing from this installation; reinstall the package")
    return path
