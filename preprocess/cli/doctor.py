"""`preprocess doctor`: checks that the installed packages work together, and says how to fix them.

It prints one line for each package: `ok`, `note` for a fault that few users meet, or `problem` for a
fault that stops our own code.
"""

from __future__ import annotations

import importlib
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from preprocess import __version__
from preprocess.core.errors import PreprocessError, one_line
from preprocess.core.installation import (
    CPU_INDEX,
    import_failure,
    install_command,
    installed_version,
    locked_versions,
    module_of,
    named,
    requirements,
)

if TYPE_CHECKING:
    from packaging.requirements import Requirement


def _import_encodec() -> object:
    from preprocess.codec.encodec_package import import_encodec  # imports numpy

    return import_encodec()


_IMPORTS: dict[str, Callable[[], object]] = {"encodec": _import_encodec}


@dataclass(frozen=True)
class Check:
    """The result for one package."""

    level: Literal["ok", "note", "problem"]
    text: str

    def __str__(self) -> str:
        return f"{self.level:<8} {self.text}"


def doctor() -> int:
    """Print a line for each required package; return 1 if there is a problem, else 0."""
    print(f"preprocess {__version__}, Python {platform.python_version()}, {sys.executable}")
    problems = 0
    for check in checks():
        print(check, flush=True)
        problems += check.level == "problem"
    print("all required packages work" if not problems else f"problems: {problems}")
    return 1 if problems else 0


def checks() -> list[Check]:
    """Return the results for each package that our metadata requires."""
    try:
        from packaging.utils import canonicalize_name

        needed, optional = _asked_for()
        tested = locked_versions()
    except PreprocessError as error:
        return [Check("problem", str(error))]
    except ImportError:
        return [Check("problem", "packaging is not installed; type: pip install packaging")]
    found = []
    for requirement in (*needed, *optional):
        if requirement in needed or installed_version(requirement.name) is not None:
            found.append(
                check_package(requirement, tested.get(canonicalize_name(requirement.name)))
            )
    found = list(dict.fromkeys(found))  # two packages may fail for the same reason
    return [*found, *(note for note in (_loading_scripts(), _unused_cuda()) if note is not None)]


def _asked_for() -> tuple[list[Requirement], list[Requirement]]:
    """Return the requirements for this Python, and those that the extra `parameters` adds."""
    asked = requirements()
    needed = [r for r in asked if r.marker is None or r.marker.evaluate({"extra": ""})]
    parameters = [r for r in asked if r.marker and r.marker.evaluate({"extra": "parameters"})]
    return needed, [r for r in parameters if r not in needed]


def check_package(requirement: Requirement, tested: str | None) -> Check:
    """Check that a package is installed, has a supported version, and can be imported.

    Args:
        requirement: The requirement from our metadata.
        tested: The version in the tested set, or None.
    """
    name = requirement.name
    version = installed_version(name)
    if version is None:
        return Check(_level(name), f"{name} is not installed; type: {install_command([name])}")
    if not requirement.specifier.contains(version, prereleases=True):
        text = f"{name} {version} is not supported: {requirement.specifier} is required"
        return Check("problem", f"{text}; type: {install_command([name])}")
    try:
        _IMPORTS.get(name, lambda: importlib.import_module(module_of(name)))()
    except Exception as error:  # compiled modules may raise anything
        if name == "torchaudio":
            return Check("note", _torchaudio_text(error))
        return Check("problem", import_failure(error) or f"{named(name)}: {one_line(error)}")
    same = tested is None or version.partition("+")[0] == tested
    return Check("ok", f"{name} {version}" + ("" if same else f" (tested with {tested})"))


def _level(name: str) -> Literal["note", "problem"]:
    return "note" if name == "torchaudio" else "problem"


def _torchaudio_text(error: Exception) -> str:
    """Return what the failed import of torchaudio means, and how to fix it."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.version.cuda is None:
        command = f"{install_command(['torchaudio'], again=True)} --index-url {CPU_INDEX}"
    else:
        command = install_command(["torch", "torchaudio"])
    return (
        f"{named('torchaudio')} does not work with {named('torch')}: {one_line(error).rstrip('.')}; "
        f"only encodec's file conversion needs it; type: {command}"
    )


def _loading_scripts() -> Check | None:
    version = installed_version("datasets")
    if version is None or int(version.partition(".")[0]) < 4:
        return None
    return Check(
        "note",
        f"datasets {version} does not run scripts, so load_dataset('./enchf_dataset.py') fails; "
        f"type: {install_command(['datasets'])}",
    )


def _unused_cuda() -> Check | None:
    torch = sys.modules.get("torch")
    if torch is None or torch.version.cuda is None or torch.cuda.is_available():
        return None
    return Check(
        "note",
        f"torch {torch.__version__} is a CUDA build, but there is no GPU; the CPU build is gigabytes "
        f"smaller; type: {install_command(['torch'], again=True)} --index-url {CPU_INDEX}",
    )
