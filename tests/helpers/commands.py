"""Audio files, token files and calls of the command, as several test modules need them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from preprocess.cli.main import main
from preprocess.tokens.ecdc import write_ecdc
from preprocess.tokens.frames import segment_frames
from preprocess.tokens.specs import codec_spec
from preprocess.tokens.types import Ecdc
from tests.helpers.signals import tone


@dataclass(frozen=True)
class Run:
    """What a call of the command left: exit status and the lines of both streams."""

    status: int
    out: list[str]
    err: list[str]

    @property
    def error(self) -> str:
        """The one line on stderr."""
        assert len(self.err) == 1, self.err
        return self.err[0]


def run(capsys, command: str, *paths: Path | str) -> Run:
    """Call `preprocess` with the words of `command`, each `@` being the next of `paths`."""
    left = iter(paths)
    words = [str(next(left)) if word == "@" else word for word in shlex.split(command)]
    capsys.readouterr()
    try:
        status = main(words)
    except SystemExit as error:
        status = int(error.code or 0)
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return Run(status, out.splitlines(), err.splitlines())


def assert_says(text: str, parts: Iterable[str]) -> None:
    """Check that a message holds all `parts`."""
    for part in parts:
        assert part in text


def write_wav(path: Path, samples: NDArray, sample_rate: int = 24_000, **options: Any) -> Path:
    """Write `[N]` or `[N, C]`, by the path's extension; a WAV as float32."""
    if path.suffix.lower() == ".wav":
        options = {"subtype": "FLOAT", **options}
    if path.suffix.lower() == ".aif":  # soundfile knows the long name only
        options["format"] = "AIFF"
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, samples, sample_rate, **options)
    return path


def write_tone(path: Path, seconds: float = 0.5, sample_rate: int = 24_000) -> Path:
    """Write 440 Hz at an RMS of 0.05."""
    return write_wav(path, tone(440, sample_rate, int(seconds * sample_rate), 0.05), sample_rate)


def write_tokens(
    path: Path,
    codec: str = "encodec_24khz",
    samples: int = 3200,
    k: int = 2,
    seed: int = 0,
    **extra: Any,
) -> Path:
    """Write made-up codes of a clip of `samples` samples, `extra` going into the header."""
    spec = codec_spec(codec)
    frames = segment_frames(samples, spec)
    codes = np.random.default_rng([samples, seed]).integers(0, 1024, (k, sum(frames)), np.int16)
    scales = None if spec.segment_samples is None else np.ones(len(frames), np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_ecdc(path, Ecdc(codec, codes, samples, frames, scales, extra))
    return path


def cut(path: Path, keep: int) -> Path:
    """Keep the first `keep` bytes of a file; less than zero counts from its end."""
    path.write_bytes(path.read_bytes()[:keep])
    return path


def files_under(root: Path) -> set[str]:
    """Return every file under `root`, hidden ones too, relative to it."""
    return {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()}


def peak_rms(clip: NDArray, sample_rate: int, window_ms: float) -> float:
    """Measure `[N]` or `[N, C]` as the predecessor did: one window after the other."""
    window = int(sample_rate * window_ms / 1000)
    if len(clip) < window:
        return float(np.sqrt(np.mean(np.square(clip, dtype=np.float64))))
    starts = range(0, len(clip) - window + 1, window // 4)
    return max(
        float(np.sqrt(np.mean(np.square(clip[s : s + window], dtype=np.float64)))) for s in starts
    )
