"""What is said when packages do not fit: by `preprocess doctor`, and at the first failing import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from packaging.requirements import Requirement

import preprocess.cli.doctor
import preprocess.core.installation
from preprocess.cli.doctor import check_package, checks
from preprocess.cli.main import main
from preprocess.core.errors import PreprocessError
from preprocess.core.installation import explaining_imports, locked_versions

ROOT = Path(__file__).parents[2]


def seem(monkeypatch, name, version):
    """Let a distribution seem to be installed in a version; None for not at all."""
    real = preprocess.core.installation.installed_version
    for module in (preprocess.cli.doctor, preprocess.core.installation):
        monkeypatch.setattr(
            module, "installed_version", lambda other: version if other == name else real(other)
        )


def without(monkeypatch, name):
    """Let a distribution seem not to be installed."""
    seem(monkeypatch, name, None)


def broken(folder: Path, package: str, error: str) -> dict[str, str]:
    """Make a package that raises at import; return the environment that has it in front."""
    (folder / package).mkdir()
    (folder / package / "__init__.py").write_text(f"raise {error}")
    return {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}


def test_a_line_a_package_and_all_that_is_needed_fits(capsys):
    assert main(["doctor"]) == 0
    first, *lines, last = capsys.readouterr().out.splitlines()
    assert first.startswith("preprocess ") and sys.executable in first
    assert last == "all required packages work"
    named = {line.split()[1] for line in lines if line.split()[0] in ("ok", "note")}
    assert {"torch", "torchaudio", "datasets", "encodec", "numpy", "pydantic"} <= named


def test_a_package_that_is_missing_is_a_problem(monkeypatch, capsys):
    without(monkeypatch, "soxr")
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    command = f"pip install 'soxr=={locked_versions()['soxr']}'"
    assert f"problem  soxr is not installed; type: {command}" in lines
    assert lines[-1] == "problems: 1"


def test_a_version_out_of_our_bounds_is_a_problem():
    check = check_package(Requirement("numpy>=99"), "99.1")
    assert check.level == "problem"
    assert "is not supported: >=99 is required; type: pip install 'numpy==" in check.text


def test_another_version_than_the_tested_one_is_said():
    check = check_package(Requirement("numpy>=1"), "1.0")
    assert check.level == "ok" and check.text.endswith("(tested with 1.0)")


@pytest.mark.parametrize(("cuda", "index"), [(None, True), ("13.2", False)])
def test_a_torchaudio_that_refuses_is_a_note(monkeypatch, tmp_path, cuda, index):
    """The advice is the build for the CPU beside such a torch, else the pair that was tested."""
    seem(monkeypatch, "torchaudio", "2.11.0")
    (tmp_path / "torchaudio").mkdir()
    (tmp_path / "torchaudio/__init__.py").write_text("raise RuntimeError('CUDA 13.2\\nnot 13.0.')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torchaudio", raising=False)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(version=SimpleNamespace(cuda=cuda)))
    check = check_package(Requirement("torchaudio"), "2.11.0")
    assert check.level == "note"
    assert (
        ": RuntimeError: CUDA 13.2 not 13.0; only encodec's file conversion needs it" in check.text
    )
    assert ("whl/cpu" in check.text) is index
    assert ("'torch==2.13.0' 'torchaudio==2.11.0'" in check.text) is not index


def test_no_torchaudio_at_all_is_a_note(monkeypatch):
    without(monkeypatch, "torchaudio")
    assert check_package(Requirement("torchaudio"), "2.11.0").level == "note"


def test_a_cuda_build_without_a_gpu_is_a_note(monkeypatch):
    torch = SimpleNamespace(
        version=SimpleNamespace(cuda="13.0"),
        cuda=SimpleNamespace(is_available=lambda: False),
        __version__="2.13.0+cu130",
    )
    monkeypatch.setattr(preprocess.cli.doctor, "requirements", lambda: [])
    monkeypatch.setitem(sys.modules, "torch", torch)
    (note,) = [check.text for check in checks() if "CUDA" in check.text]
    assert note.endswith("'torch==2.13.0' --index-url https://download.pytorch.org/whl/cpu")


def test_datasets_without_scripts_is_a_note(monkeypatch):
    monkeypatch.setattr(preprocess.cli.doctor, "requirements", lambda: [])
    monkeypatch.setattr(preprocess.cli.doctor, "installed_version", lambda _: "5.2.0")
    assert any(
        check.level == "note" and check.text.startswith("datasets 5.2.0 does not run scripts")
        for check in checks()
    )


@pytest.mark.parametrize(
    ("package", "error"),
    [
        ("numpy", "ImportError('built for another Python')"),
        ("pydantic", "ModuleNotFoundError('No module named x', name='x')"),
    ],
)
def test_doctor_runs_where_the_command_line_itself_cannot_be_imported(tmp_path, package, error):
    env = broken(tmp_path, package, error)
    code = (
        "import preprocess.cli.doctor as d; from packaging.requirements import Requirement;"
        f"d.requirements = lambda: [Requirement({package!r})];"
        "import sys; sys.argv = ['preprocess', 'doctor'];"
        "from preprocess.cli.entry import preprocess; sys.exit(preprocess())"
    )
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    assert f"\nproblem  {'x' if package == 'pydantic' else package} " in done.stdout


@pytest.mark.parametrize(
    ("package", "error", "command"),
    [
        ("numpy", "ImportError('bad build')", ["-m", "preprocess", "audit", "sounds"]),
        ("yaml", "ValueError('size\\nchanged')", ["-m", "preprocess", "audit", "sounds"]),
        (
            "torch",
            "OSError('libcudart.so: not found')",
            ["-m", "preprocess", "encode", "sounds", "out"],
        ),
        ("datasets", "RuntimeError('no')", ["-m", "preprocess", "push", "built", "me/sounds"]),
        (
            "numpy",
            "ImportError('bad build')",
            ["-c", "import preprocess.cli.entry as e; e.wf_inspect()"],
        ),
    ],
)
def test_a_package_that_fails_at_import_is_one_line(tmp_path, package, error, command):
    (tmp_path / "sounds").mkdir()
    soundfile.write(tmp_path / "sounds/clip.wav", np.zeros(24_000), 24_000)
    (tmp_path / "built").mkdir()
    (tmp_path / "built/dataset_dict.json").write_text('{"splits": []}')
    env = broken(tmp_path, package, error)
    done = subprocess.run(
        [sys.executable, *command], env=env, capture_output=True, text=True, cwd=tmp_path
    )
    (line,) = done.stderr.splitlines()
    name = {"yaml": "pyyaml"}.get(package, package)
    assert f": error: {name} " in line and " cannot be imported: " in line
    assert f"'{name}=={locked_versions()[name]}'" in line
    assert line.endswith("`preprocess doctor` checks the others")
    assert done.returncode == (0 if command[0] == "-c" else 1)


def test_a_missing_package_is_named_with_what_to_type(monkeypatch):
    without(monkeypatch, "datasets")

    def command():
        raise ModuleNotFoundError("No module named 'datasets'", name="datasets")

    with pytest.raises(PreprocessError) as caught:
        explaining_imports(command)
    assert str(caught.value) == (
        "datasets is not installed; type: pip install 'datasets==3.6.0'; "
        "`preprocess doctor` checks the others"
    )


def test_an_error_of_our_own_stays_what_it_is():
    def ours():
        raise ImportError(
            "cannot import name 'x' from 'preprocess.tokens.bits'", name="preprocess.tokens.bits"
        )

    def defect():
        raise RuntimeError("a defect")

    with pytest.raises(ImportError, match=r"preprocess\.tokens\.bits"):
        explaining_imports(ours)
    with pytest.raises(RuntimeError, match="a defect"):
        explaining_imports(defect)
