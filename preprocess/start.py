"""Where each console script starts: light, so that a package that fails at import is one line.

`preprocess doctor` starts here, too: it must run where the command line itself cannot be imported.
"""

from __future__ import annotations

import importlib
import sys

from preprocess.report import exit_status


def preprocess() -> int:
    """Run `preprocess`."""
    if sys.argv[1:] == ["doctor"]:
        return _run("preprocess", "doctor", "doctor")
    return _run("preprocess", "cli")


def sidecar_init() -> int:
    """Run `wf-sidecar-init`."""
    return _run("wf-sidecar-init", "wf.sidecar_init")


def sidecar_add() -> int:
    """Run `wf-sidecar-add`."""
    return _run("wf-sidecar-add", "wf.sidecar_add")


def sidecar_audit() -> int:
    """Run `wf-sidecar-audit`."""
    return _run("wf-sidecar-audit", "wf.sidecar_audit")


def inspect() -> int:
    """Run `wf-inspect`."""
    return _run("wf-inspect", "wf.inspect")


def build_dataset() -> int:
    """Run `wf-build-dataset`."""
    return _run("wf-build-dataset", "wf.build_dataset")


def _run(prog: str, module: str, function: str = "main") -> int:
    """Import a module of ours and call its function, and return the exit status."""

    def command() -> int:
        return int(getattr(importlib.import_module(f"preprocess.{module}"), function)())

    return exit_status(prog, command)
