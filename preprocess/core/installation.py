"""The packages around ours: what we ask for, what is here, what was tested, what to type.

It imports nothing that may be missing or broken before it is needed, so that it can say so.
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
    """Return what our metadata asks for, extras with their marker.

    Raises:
        PreprocessError: We are not installed.
    """
    from packaging.requirements import Requirement

    try:
        return [Requirement(line) for line in metadata.requires(NAME) or ()]
    except metadata.PackageNotFoundError as error:
        raise PreprocessError(f"{NAME} is not installed; type: pip install -e .") from error


def locked_versions(constraints: Path | None = None) -> dict[str, str]:
    """Return the version of each package in the set that was tested together, for this Python."""
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
    """Return the file with the tested versions: beside our modules, or in the checkout."""
    package = Path(__file__).parents[1]
    for folder in (package, package.parent):
        if (folder / "constraints.txt").exists():
            return folder / "constraints.txt"
    return None


def installed_version(name: str) -> str | None:
    """Return the version of a distribution, None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def distribution_of(module: str) -> str:
    """Return the name under which pip installs a module that we use."""
    top = module.partition(".")[0]
    return _DISTRIBUTIONS.get(top, top.replace("_", "-"))


def module_of(name: str) -> str:
    """Return the module of a distribution that we use."""
    known = {distribution: module for module, distribution in _DISTRIBUTIONS.items()}
    return known.get(name, name.replace("-", "_"))


def install_command(names: Iterable[str], *, again: bool = False) -> str:
    """Return the command that installs the tested versions of `names`.

    Args:
        names: Names of distributions; one without a tested version is named alone.
        again: Whether to replace what is installed even where the version is the same.
    """
    try:
        tested = locked_versions()
    except ImportError:  # of packaging, which reads the file: plain names then
        tested = {}
    pins = [f"'{name}=={tested[name]}'" if name in tested else name for name in names]
    flags = "--force-reinstall --no-deps " if again else ""
    return f"pip install {flags}{' '.join(pins)}"


def named(name: str) -> str:
    """Return the name of a distribution and its version here."""
    return f"{name} {installed_version(name) or ''}".rstrip()


def explaining_imports(command: Callable[[], _Result]) -> _Result:
    """Return what `command` returns.

    Raises:
        PreprocessError: A package that it imports is missing or fails at import; one line says
            which, why, and what to type.
    """
    try:
        return command()
    except PreprocessError:
        raise
    except Exception as error:  # compiled parts raise OSError, RuntimeError and ValueError, too
        line = import_failure(error)
        if line is None:
            raise
        raise PreprocessError(f"{line}; `preprocess doctor` checks the others") from error


def import_failure(error: BaseException) -> str | None:
    """Return what is wrong with which package if `error` comes from an import, else None.

    An error that passed through the top level of another package's module comes from its import.
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
    """Yield the top-level package of each module that was being imported, outermost first."""
    while trace is not None:
        if trace.tb_frame.f_code.co_name == "<module>":
            yield str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        trace = trace.tb_next
