"""encodec imports whether torchaudio works, is broken or is absent; each case in its own process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# A finder in front of all others: no torchaudio that may be installed is ever found.
ABSENT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torchaudio":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""
WORKING = """
from types import SimpleNamespace
def resample(old, new):
    return lambda wav: wav[..., :: old // new]
transforms = SimpleNamespace(Resample=resample)
"""
USE = """
from preprocess.codec.encodec_package import import_encodec
package = import_encodec()
from encodec import EncodecModel
from encodec.compress import MODELS
import encodec.utils, torch
assert package is sys.modules["encodec"]
def convert():
    return encodec.utils.convert_audio(torch.zeros(1, 480), 48_000, 24_000, 1).shape
"""


def run(tmp_path: Path, code: str, torchaudio: str | None = None) -> str:
    """Run `code` with a torchaudio of that source, None for no torchaudio; return what it prints."""
    if torchaudio is not None:
        (tmp_path / "torchaudio").mkdir()
        (tmp_path / "torchaudio/__init__.py").write_text(torchaudio)
    start = ABSENT if torchaudio is None else "import sys\n"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", start + code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_without_us_encodec_fails_where_torchaudio_is_absent(tmp_path):
    """What this module is for: if it fails, encodec has changed and the stand-in can go."""
    code = "try:\n    import encodec\nexcept ImportError as error:\n    print(error)"
    assert run(tmp_path, code) == "No module named 'torchaudio'"


@pytest.mark.parametrize(
    ("torchaudio", "reason"),
    [
        (None, "ModuleNotFoundError: No module named 'torchaudio'"),
        (
            "raise ImportError('no library for this build')",
            "ImportError: no library for this build",
        ),
        (
            "raise OSError('libc10_cuda.so: cannot open\\nshared object file')",
            "OSError: libc10_cuda.so: cannot open shared object file",
        ),
        ("raise RuntimeError('CUDA 13.2, not 13.0')", "RuntimeError: CUDA 13.2, not 13.0"),
    ],
    ids=["absent", "ImportError", "OSError", "RuntimeError"],
)
def test_the_codec_encodes_without_a_torchaudio_that_works(tmp_path, torchaudio, reason):
    """What needs torchaudio says why it cannot have it; a plain import fails as without us."""
    code = """
import numpy as np
from preprocess.codec.codec import load_codec
wav = np.sin(np.arange(24_000, dtype=np.float32) / 9)[None]
print(load_codec("encodec_24khz_demo", device="cpu").encode(wav, 6).codes.shape)
try:
    convert()
except ImportError as error:
    print(error)
assert "torchaudio" not in sys.modules
try:
    import torchaudio
except Exception as error:
    print(type(error).__name__)
"""
    assert run(tmp_path, USE + code, torchaudio).splitlines() == [
        "(8, 75)",
        "this needs torchaudio.transforms, but torchaudio cannot be imported: "
        f"{reason}; run `preprocess doctor` to see which version fits",
        reason.partition(":")[0],
    ]


@pytest.mark.skipif(
    not (ROOT / "benchmarks").exists(), reason="the benchmarks are not in this distribution"
)
def test_benchmarks_and_tools_are_imported_without_torchaudio(tmp_path):
    code = f"""
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tools/demo_codec")!r}]
import benchmarks.container, benchmarks.encode, benchmarks.fidelity, model
print(model.build().sample_rate, benchmarks.encode.torchaudio_works())
wav = benchmarks.encode.torch.ones(2, 441)
print(tuple(benchmarks.encode.convert_by_soxr(wav, 44_100, 24_000, 1).shape))
"""
    assert run(tmp_path, code).splitlines() == ["24000 False", "(1, 240)"]


def test_a_torchaudio_that_works_is_used_and_imported_late(tmp_path):
    code = """
assert "torchaudio" not in sys.modules
print(tuple(convert()))
import torchaudio
assert torchaudio.transforms.Resample is encodec.utils.torchaudio.transforms.Resample
assert torchaudio.__file__.endswith("__init__.py")
"""
    assert run(tmp_path, USE + code, WORKING) == "(1, 240)"


def test_a_torchaudio_imported_before_is_encodecs_own(tmp_path):
    code = "import torchaudio" + USE + "print(encodec.utils.torchaudio is torchaudio)"
    assert run(tmp_path, code, WORKING) == "True"


def test_threads_that_import_at_once_all_get_the_whole_package(tmp_path):
    code = """
from concurrent.futures import ThreadPoolExecutor
from preprocess.codec.encodec_package import import_encodec
with ThreadPoolExecutor(8) as pool:
    print({bool(each.EncodecModel) for each in pool.map(lambda _: import_encodec(), range(8))})
"""
    assert run(tmp_path, code) == "{True}"


def test_a_missing_encodec_leaves_no_stand_in_behind(tmp_path):
    code = """
class NoEncodec:
    def find_spec(self, name, path=None, target=None):
        if name == "encodec":
            raise ModuleNotFoundError("No module named 'encodec'", name=name)
sys.meta_path.insert(0, NoEncodec())
from preprocess.codec.encodec_package import import_encodec
try:
    import_encodec()
except ImportError as error:
    print(error, "torchaudio" in sys.modules)
"""
    assert run(tmp_path, code) == "No module named 'encodec' False"
