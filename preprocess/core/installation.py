"""Our dependencies: required, installed and tested versions, and the command that fixes them.

This module imports a package that may be missing or broken only when it needs it, so that it can
report the problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from preprocess.core.errors import PreprocessError, one_line

if TYPE_CHECKING:
    from packaging.requirements import Requirement

NAME = "enchf-dataset"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
_OWN = ("preprocess", "enchf_dataset")
_DISTRIBUTIONS = {"yaml": "pyyaml", "parselmouth": "praat-parselmouth"}
_Result = TypeVar("_Result")


def requirements() -> list[Requirement]:
    """Return the requirements in our metadata; those of extras carry their marker.

    Raises:
        PreprocessError: This package is not installed.
    """
    from packaging.requirements import Requirement

    try:
        return [Requirement(line) for line in metadata.requires(NAME) or ()]
    except metadata.PackageNotFoundError as error:
        raise PreprocessError(f"{NAME} is not installed; type: pip install -e .") from error


def locked_versions(constraints: Path | None = None) -> dict[str, str]:
    """Return the pinned version of each package in the tested set, for this Python.

    Args:
        constraints: The file with the pins; None for ours. Empty if there is none.
    """
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    path = constraints or _constraints_file()
    found: dict[str, str] = {}
    for line in path.read_text().splitlines() if path is not None else ():
        if line.strip() and not line.startswith("#"):
            pin = Requirement(line)
            if pin.marker is None or pin.marker.evaluate():
                found[canonicalize_name(pin.name)] = str(pin.specifier).removeprefix("==")
    return found


def _constraints_file() -> Path | None:
    """Return the file with the tested versions: next to our modules, or in the checkout."""
    package = Path(__file__).parents[1]
    for folder in (package, package.parent):
        if (folder / "constraints.txt").exists():
            return folder / "constraints.txt"
    return None


def installed_version(name: str) -> str | None:
    """Return the version of a distribution, or None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def distribution_of(module: str) -> str:
    """Return the pip name of a module that we import."""
    top = module.partition(".")[0]
    return _DISTRIBUTIONS.get(top, top.replace("_", "-"))


def module_of(name: str) -> str:
    """Return the module that we import from a distribution."""
    known = {distribution: module for module, distribution in _DISTRIBUTIONS.items()}
    return known.get(name, name.replace("-", "_"))


def install_command(names: Iterable[str], *, again: bool = False) -> str:
    """Return the pip command that installs the tested versions of `names`.

    Args:
        names: Names of distributions; one without a tested version gets no pin.
        again: Reinstall even if the installed version is the same.
    """
    try:
        tested = locked_versions()
    except ImportError:  # packaging, which parses the file, is missing: use plain names
        tested = {}
    pins = [f"'{name}=={tested[name]}'" if name in tested else name for name in names]
    flags = "--force-reinstall --no-deps " if again else ""
    return f"pip install {flags}{' '.join(pins)}"


def named(name: str) -> str:
    """Return the name of a distribution and its installed version."""
    return f"{name} {installed_version(name) or ''}".rstrip()


def explaining_imports(command: Callable[[], _Result]) -> _Result:
    """Call `command`, and turn a failed import into one line.

    Raises:
        PreprocessError: A package that `command` imports is missing or fails at import; the
            message names the package, the reason and the command to type.
    """
    try:
        return command()
    except PreprocessError:
        raise
    except Exception as error:  # compiled modules also raise OSError, RuntimeError and ValueError
        line = import_failure(error)
        if line is None:
            raise
        raise PreprocessError(f"{line}; `preprocess doctor` checks the others") from error


def import_failure(error: BaseException) -> str | None:
    """Return the package and the reason as one line if `error` comes from an import, else None.

    An error comes from an import if it passed through the top level of another package's module.
    """
    if isinstance(error, ModuleNotFoundError) and error.name:
        missing = distribution_of(error.name)
        if error.name.partition(".")[0] not in _OWN and installed_version(missing) is None:
            return f"{missing} is not installed; type: {install_command([missing])}"
    failed = [name for name in _importing(error.__traceback__) if name not in _OWN]
    if not failed and isinstance(error, ImportError) and error.name:
        failed = [name for name in (error.name.partition(".")[0],) if name not in _OWN]
    if not failed:
        return None
    name = distribution_of(failed[-1])
    other = distribution_of(error.name) if isinstance(error, ImportError) and error.name else name
    command = install_command(dict.fromkeys((name, other)), again=True)
    return f"{named(name)} cannot be imported: {one_line(error)}; type: {command}"


def _importing(trace: TracebackType | None) -> Iterator[str]:
    """Yield the top-level package of each module being imported, outermost first."""
    while trace is not None:
        if trace.tb_frame.f_code.co_name == "<module>":
            yield str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        trace = trace.tb_next
