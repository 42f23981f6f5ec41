"""constraints.txt: names and versions alone, for everything that `make demo` and `make test` need."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from preprocess.core.installation import locked_versions, requirements

ROOT = Path(__file__).parent.parent
EXTRAS = ("", "script", "parameters", "dev")


def pins(python: str) -> dict[str, str]:
    """Return the pins for a Python on Linux, name to version; a name is pinned once."""
    found: dict[str, str] = {}
    environment = {"python_version": python, "python_full_version": f"{python}.7"}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        pin = Requirement(line)
        if pin.marker is None or pin.marker.evaluate(environment):
            assert pin.name not in found, f"{pin.name} has two versions on Python {python}"
            found[pin.name] = str(pin.specifier).removeprefix("==")
    return found


def test_it_holds_names_and_versions_alone():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert len(lines) > 100
    for line in lines:
        assert re.fullmatch(r"#.*|[a-z0-9-]+==[0-9][0-9a-z.]*( ; [a-z_(].*)?", line), line


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_it_covers_what_we_declare_within_our_bounds(python):
    pinned = pins(python)
    checked = set()
    for requirement in requirements():
        extras = (requirement.marker.evaluate({"extra": e}) for e in EXTRAS)
        if requirement.marker is None or any(extras):
            name = canonicalize_name(requirement.name)
            assert name in pinned, f"{name} is not in constraints.txt; run make lock"
            assert requirement.specifier.contains(pinned[name]), f"{requirement} {pinned[name]}"
            checked.add(name)
    assert {"torch", "torchaudio", "datasets", "librosa", "pytest"} <= checked


def test_every_lower_bound_is_stated():
    """`nox -s oldest` tests the lower bounds; without one, it would take the first release ever."""
    for requirement in requirements():
        if requirement.marker is None:
            assert any(s.operator in (">=", "==") for s in requirement.specifier), requirement


def test_the_locked_versions_are_those_of_this_python():
    assert locked_versions() == pins("{}.{}".format(*sys.version_info))
