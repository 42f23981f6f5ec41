"""Sessions for versions that cannot be installed beside those of the development environment.

    nox -s datasets_5    # the dataset under a recorded release of datasets 5; part of `make test`
    nox -s newest        # everything under the newest releases; `make test-newest`
    nox -s oldest        # what meets other packages, under the lower bounds of pyproject.toml
    nox -s torchaudio    # a torchaudio that fits, one that refuses at import, and none

The first borrows what it can from the development environment. The others make environments of
their own, of up to 6 GB each, in `.nox`.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from pathlib import Path

import nox

nox.options.sessions = ["datasets_5"]

# Recorded, as a new release must not decide whether an old commit passes. What these need besides
# is in constraints.txt.
DATASETS_5 = ["datasets==5.2.0", "dill==0.4.1", "fsspec==2026.9.0", "multiprocess==0.70.19"]
DATASET_TESTS = [
    "tests/dataset/test_builder.py",
    "tests/steps/test_build.py",
    "tests/publish/test_push.py",
    "tests/codec/test_playback.py",
    "tests/cli/test_demo.py",
    "tests/test_readme.py",
]
CODEC_TESTS = [
    "tests/codec/test_encodec_package.py",
    "tests/codec/test_codec.py",
    "tests/steps/test_encode.py",
    "tests/tokens/test_ecdc.py",
    "tests/cli/test_demo.py",
    "tests/cli/test_doctor.py",
]
# What meets each package that has a lower bound; the rest of the tests is about our own code.
OLDEST_TESTS = [
    "tests/audio/test_audio.py",  # soundfile, soxr, numpy
    "tests/audio/test_ffmpeg_audio.py",  # av
    "tests/codec/test_codec.py",  # torch, encodec
    "tests/codec/test_weights.py",  # safetensors, huggingface_hub
    "tests/codec/test_encodec_package.py",  # encodec, torchaudio
    "tests/dataset/test_builder.py",  # datasets, pyarrow
    "tests/publish/test_push.py",  # huggingface_hub, pyarrow
    "tests/steps/test_recipe.py",  # pydantic, pyyaml
    "tests/audio/test_measures.py",  # librosa, praat-parselmouth
    "tests/params/test_midi.py",  # mido
    "tests/params/test_table_files.py",  # openpyxl
    "tests/cli/test_doctor.py",  # packaging
    "tests/cli/test_demo.py",  # the whole path
]
# Without pins: the versions of constraints.txt, and torchaudio removed.
TORCHAUDIO = {
    "fits": ["torch==2.14.1", "torchaudio==2.11.0"],
    "refuses": ["torch==2.15.0", "torchaudio==2.11.0"],
    "absent": [],
}


@nox.session(python=False)
def datasets_5(session: nox.Session) -> None:
    """Run the tests of builder, build, push and playback under datasets 5."""
    folder = Path(".nox", "datasets_5").absolute()
    python = folder / "bin" / "python"
    if not python.exists():
        session.run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(session.run(str(python), "-c", code, silent=True).strip())
    # Its own packages come first on the path, those of the development environment after them.
    parent = sysconfig.get_path("purelib")
    (site / "development.pth").write_text(f"import site; site.addsitedir({parent!r})\n")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    session.run(*pip, "--disable-pip-version-check", *DATASETS_5)
    session.run(str(python), "-c", "import datasets; print('datasets', datasets.__version__)")
    env = {**os.environ, "ENCHF_OLD_PYTHON": sys.executable}
    session.run(str(python), "-m", "pytest", *DATASET_TESTS, *session.posargs, env=env)


@nox.session(venv_backend="uv")
def newest(session: nox.Session) -> None:
    """Run the tests under the newest releases, where they allow each other."""
    session.install("--upgrade", "--editable", ".[parameters,dev]")
    _test(session)


@nox.session(venv_backend="uv", python="3.10")
def oldest(session: nox.Session) -> None:
    """Run the tests of what meets other packages, on the oldest Python and their oldest versions."""
    session.install("--resolution", "lowest-direct", "--editable", ".[script,parameters,formats]")
    frozen = Path(session.create_tmp(), "oldest.txt")
    printed = session.run("uv", "pip", "freeze", "--exclude-editable", silent=True)
    # Between the versions uv also says which Python it looked at.
    frozen.write_text("".join(f"{line}\n" for line in printed.splitlines() if "==" in line))
    session.install("--constraint", str(frozen), "--editable", ".[dev]")
    _test(session, *OLDEST_TESTS)


@nox.session(venv_backend="uv")
@nox.parametrize("kind", list(TORCHAUDIO))
def torchaudio(session: nox.Session, kind: str) -> None:
    """Run the tests of the codec where torchaudio fits, refuses at import, or is absent."""
    pins = TORCHAUDIO[kind]
    tested = Path("constraints.txt").read_text()
    others = Path(session.create_tmp(), "others.txt")
    others.write_text(_without_torch(tested) if pins else tested)
    session.install("--constraint", str(others), *pins, "--editable", ".[script,parameters,dev]")
    if kind == "absent":
        session.run("uv", "pip", "uninstall", "torchaudio")
    code = "import torch, torchaudio; print(torch.__version__, torchaudio.__version__)"
    session.run("python", "-c", code, success_codes=[0 if kind == "fits" else 1])
    _test(session, *CODEC_TESTS)


def _without_torch(constraints: str) -> str:
    """Return the lines of constraints that do not hang on the build of torch."""
    lines = constraints.splitlines(keepends=True)
    return "".join(x for x in lines if not re.match("torch|triton|nvidia-|cuda-", x))


def _test(session: nox.Session, *tests: str) -> None:
    session.run("preprocess", "doctor")
    session.run("python", "-m", "pytest", *tests, *session.posargs)
