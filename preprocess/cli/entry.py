"""The commands' entry points, which run before anything else is imported.

Importing takes half a second. An interrupt during that time ends the process, and a missing or
broken package gives one line that says how to fix it. `preprocess doctor` also starts here because
it must run even if the command line cannot be imported.
"""

from __future__ import annotations

import sys
from importlib import import_module

from preprocess.core.interrupts import end_at_interrupts, silence


def preprocess() -> int:
    """Run `preprocess`."""
    if sys.argv[1:] == ["doctor"]:
        return _run("preprocess", "preprocess.cli.doctor", "doctor")
    return _run("preprocess", "preprocess.cli.main")


def wf_audio_normalize() -> int:
    """Run `wf-audio-normalize`."""
    return _run("wf-audio-normalize", "preprocess.cli.wf.audio_normalize")


def wf_wav2encodec24() -> int:
    """Run `wf-wav2encodec24`."""
    return _run("wf-wav2encodec24", "preprocess.cli.wf.wav2encodec24")


def wf_sidecar_init() -> int:
    """Run `wf-sidecar-init`."""
    return _run("wf-sidecar-init", "preprocess.cli.wf.sidecar_init")


def wf_sidecar_add() -> int:
    """Run `wf-sidecar-add`."""
    return _run("wf-sidecar-add", "preprocess.cli.wf.sidecar_add")


def wf_sidecar_audit() -> int:
    """Run `wf-sidecar-audit`."""
    return _run("wf-sidecar-audit", "preprocess.cli.wf.sidecar_audit")


def wf_inspect() -> int:
    """Run `wf-inspect`."""
    return _run("wf-inspect", "preprocess.cli.wf.inspect")


def wf_build_dataset() -> int:
    """Run `wf-build-dataset`."""
    return _run("wf-build-dataset", "preprocess.cli.wf.build_dataset")


def _run(prog: str, module: str, function: str = "main") -> int:
    end_at_interrupts()
    try:
        status = _call(prog, module, function)
    except SystemExit as stop:  # from --help and wrong usage
        status = stop.code if isinstance(stop.code, int) else 0
    except BrokenPipeError:  # from the output of either
        return silence()
    try:
        print(end="", flush=True)
    except BrokenPipeError:
        return silence()
    except OSError:  # already reported; the interpreter would report it again at exit
        silence()
        return status or 1
    return status


def _call(prog: str, module: str, function: str) -> int:
    """Import a module and call its function; report a failed import in one line."""
    from preprocess.core.errors import PreprocessError, printable
    from preprocess.core.installation import explaining_imports

    try:
        return explaining_imports(lambda: int(getattr(import_module(module), function)()))
    except PreprocessError as error:
        print(printable(f"{prog}: error: {error}"), file=sys.stderr)
        return 1
