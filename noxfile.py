"""Sessions for versions that conflict with those in the development environment.

    nox -s datasets_5    # the dataset under a recorded release of datasets 5; part of `make test`
    nox -s newest        # everything under the newest releases; `make test-newest`
    nox -s oldest        # code that uses other packages, under the lower bounds of pyproject.toml
    nox -s torchaudio    # a torchaudio that fits, one that refuses at import, and none
    nox -s mutation      # do the tests notice when an operator or a constant changes?
    nox -s fuzz -- csv 60    # look for files that break a reader, for 60 seconds

The first and the last share packages with the development environment. The others create their own
environments, of up to 6 GB each, in `.nox`.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from pathlib import Path

import nox
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

nox.options.sessions = ["datasets_5"]

# Pinned, so that a new release cannot make an old commit fail. Their other requirements are in
# constraints.txt.
DATASETS_5 = ["datasets==5.2.0", "dill==0.4.1", "fsspec==2026.9.0", "multiprocess==0.70.19"]
ATHERIS = "atheris==3.0.0"  # the newest with a wheel for Python 3.11
DATASET_TESTS = [
    "tests/dataset/test_builder.py",
    "tests/shards/test_loading.py",
    "tests/steps/test_build.py",
    "tests/publish/test_listen.py",
    "tests/publish/test_push.py",
    "tests/codec/test_playback.py",
    "tests/page/test_clip_sources.py",
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
# Tests of the code that uses each package with a lower bound; the rest test only our own code.
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
    "tests/page/test_clip_browser.py",  # bokeh; with a browser
    "tests/page/test_plot.py",  # matplotlib
    "tests/cli/test_demo.py",  # the whole path
]
# No pins: the versions in constraints.txt, with torchaudio removed.
TORCHAUDIO = {
    "fits": ["torch==2.14.1", "torchaudio==2.11.0"],
    "refuses": ["torch==2.15.0", "torchaudio==2.11.0"],
    "absent": [],
}


@nox.session(python=False)
def datasets_5(session: nox.Session) -> None:
    """Run the tests of builder, build, push and playback under datasets 5."""
    python = _beside_development(session, "datasets_5", DATASETS_5)
    session.run(str(python), "-c", "import datasets; print('datasets', datasets.__version__)")
    env = {**os.environ, "ENCHF_OLD_PYTHON": sys.executable}
    session.run(str(python), "-m", "pytest", *DATASET_TESTS, *session.posargs, env=env)


@nox.session(venv_backend="uv")
def newest(session: nox.Session) -> None:
    """Run the tests under the newest releases that fit together."""
    session.install("--upgrade", "--editable", ".[parameters,dev]")
    _test(session)


@nox.session(venv_backend="uv", python="3.10")
def oldest(session: nox.Session) -> None:
    """Run the tests of code that uses other packages, with the oldest Python and versions."""
    session.install(
        "--resolution", "lowest-direct", "--editable", ".[script,parameters,formats,plot]"
    )
    frozen = Path(session.create_tmp(), "oldest.txt")
    printed = session.run("uv", "pip", "freeze", "--exclude-editable", silent=True)
    # What the tests need may move the packages of packages, but none that we name.
    named = _named_packages()
    pins = [x for x in printed.splitlines() if canonicalize_name(x.partition("==")[0]) in named]
    frozen.write_text("".join(f"{line}\n" for line in pins))
    session.install("--constraint", str(frozen), "--editable", ".[dev]")
    _test(session, *OLDEST_TESTS)


@nox.session(venv_backend="uv")
@nox.parametrize("kind", list(TORCHAUDIO))
def torchaudio(session: nox.Session, kind: str) -> None:
    """Run the codec's tests with a torchaudio that fits, one that refuses at import, and none."""
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


@nox.session(venv_backend="uv")
def mutation(session: nox.Session) -> None:
    """Change the code of some rooms in many ways, one at a time, and list what no test notices.

    All of it takes hours. A pattern takes a part: `nox -s mutation -- 'preprocess.stats.*7'` takes
    a tenth of a room, the changes whose number ends in 7. `.nox/mutation/bin/mutmut show NAME`
    prints one. pyproject.toml names the files and the tests.
    """
    extras = ".[script,parameters,dev]"
    session.install("--constraint", "constraints.txt", "--editable", extras, "mutmut==3.8.1")
    session.run("mutmut", "run", "--max-children", str(os.cpu_count()), *session.posargs)
    session.run("mutmut", "results")


@nox.session(python=False)
def fuzz(session: nox.Session) -> None:
    """Fuzz a reader by coverage: `nox -s fuzz -- READER SECONDS`; docs/security.md lists them."""
    reader, seconds = (*session.posargs, *("", "60")[len(session.posargs) :])[:2]
    python = _beside_development(session, "fuzz", [ATHERIS])
    words = ["-m", "fuzz.fuzz_reader", reader, f"-max_total_time={seconds}"]
    session.run(str(python), *words, *session.posargs[2:])


def _beside_development(session: nox.Session, name: str, packages: list[str]) -> Path:
    """Return the Python of an environment that has `packages` before those of development."""
    folder = Path(".nox", name).absolute()
    python = folder / "bin" / "python"
    if not python.exists():
        session.run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(session.run(str(python), "-c", code, silent=True).strip())
    # Its own packages come first on the path, then those of the development environment.
    parent = sysconfig.get_path("purelib")
    (site / "development.pth").write_text(f"import site; site.addsitedir({parent!r})\n")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    session.run(*pip, "--disable-pip-version-check", *packages)
    return python


def _named_packages() -> set[str]:
    """Return the packages that pyproject.toml names, but for those of development."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    extras = project["optional-dependencies"]
    needs = project["dependencies"] + [n for name in extras if name != "dev" for n in extras[name]]
    return {canonicalize_name(Requirement(need).name) for need in needs}


def _without_torch(constraints: str) -> str:
    """Return the constraints that do not depend on the build of torch."""
    lines = constraints.splitlines(keepends=True)
    return "".join(x for x in lines if not re.match("torch|triton|nvidia-|cuda-", x))


def _test(session: nox.Session, *tests: str) -> None:
    session.run("preprocess", "doctor")
    session.run("python", "-m", "pytest", *tests, *session.posargs)
