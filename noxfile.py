"""Sessions for versions of `datasets` that cannot be installed beside the development one.

    nox -s newest

The development environment has `datasets` 3, which still runs loading scripts. The session's own
environment has the newest release alone, and sees everything else of the development environment
by a path file: a second copy of torch would take 5 GB and minutes.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

import nox

TESTS = [
    "tests/test_builder.py",
    "tests/test_build.py",
    "tests/test_push.py",
    "tests/test_playback.py",
    "tests/test_demo.py",
    "tests/test_readme.py",
]


@nox.session(python=False)
def newest(session: nox.Session) -> None:
    """Run the tests of builder, build, push and playback under the newest `datasets`."""
    folder = Path(".nox", "newest").absolute()
    python = folder / "bin" / "python"
    if not python.exists():
        session.run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(session.run(str(python), "-c", code, silent=True).strip())
    # Its own packages come first on the path, those of the development environment after them.
    parent = sysconfig.get_path("purelib")
    (site / "development.pth").write_text(f"import site; site.addsitedir({parent!r})\n")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    session.run(*pip, "--disable-pip-version-check", "--upgrade", "datasets>=4")
    session.run(str(python), "-c", "import datasets; print('datasets', datasets.__version__)")
    env = {**os.environ, "ENCHF_OLD_PYTHON": sys.executable}
    session.run(str(python), "-m", "pytest", *TESTS, *session.posargs, env=env)
