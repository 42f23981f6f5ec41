"""Checks that compare a clip's parameters with its audio.

They compare level parameters with the sound's level, and gates and onsets with its attacks, at the
times of the clip's frames. Because segments of the 48 kHz codec overlap, both are first resampled
to an even grid of hops:

    segment 0   |0|1| ... |147|148|149|
    segment 1                   |0|1| ...
    grid        |0|1| ... |147|148|149|150| ...      drops frame 149 of segment 0
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from preprocess.audio.audio_files import EXTENSIONS, read_audio
from preprocess.audio.measures import SILENCE_DB, frame_rms
from preprocess.audit.lags import ATTACK_S, MAX_LAG_S, Lag, level_lag, onset_lag
from preprocess.core.errors import PreprocessError
from preprocess.sidecar.parameters import Parameter
from preprocess.sidecar.records import Record, makers
from preprocess.sidecar.sidecar_format import Sidecar
from preprocess.tokens.frames import frame_centre_samples
from preprocess.tokens.types import EcdcHeader

Values = NDArray[np.float64]

_LEVEL_UNITS = ("db", "dbfs")
_OTHER_DB = ("onset_strength",)
"""Measures in dB that are not levels."""
_BEGINS = ("onset", "gate", "trigger")


def check_against_audio(
    root: Path, rel: Path, header: EcdcHeader, sidecar: Sidecar
) -> Iterator[tuple[str, str]]:
    """Yield the check and message for each parameter that is ahead of or behind its sound.

    Args:
        root: The audio folder.
        rel: The token file, relative to the token folder.
        header: The token file's header.
        sidecar: The clip's sidecar, with one value per frame for each parameter.
    """
    found = _level_of(root, rel, header)
    if isinstance(found, str):
        yield "missing_audio", found
        return
    path, level = found
    max_lag = min(round(MAX_LAG_S * header.spec.fps), len(level) // 2)
    attack = round(ATTACK_S * header.spec.fps)
    made_by = makers(sidecar.records)
    for name, parameter in sidecar.parameters.items():
        values = _on_grid(parameter.values.astype(np.float64), header)
        if is_level(name, parameter, made_by.get(name, Record())):
            lag = level_lag(values, level, max_lag)
            if lag is not None:
                yield "shifted_level", _text(name, lag, header, f"the level of {path}")
        elif is_gate(name, parameter):
            begins = np.diff(values, prepend=0.0) > 0
            lag = onset_lag(begins.astype(np.float64), level, max_lag, attack)
            if lag is not None:
                yield "shifted_onsets", _text(name, lag, header, f"the attacks in {path}")


def is_level(name: str, parameter: Parameter, record: Record) -> bool:
    """Whether a parameter is a level: in dB, or made by the producer `rms_db`."""
    if name.endswith(_OTHER_DB):
        return False
    return parameter.units.lower() in _LEVEL_UNITS or record.producer == "rms_db"


def is_gate(name: str, parameter: Parameter) -> bool:
    """Whether a parameter marks when notes begin or sound, by its name and its values 0 and 1."""
    if not any(word in name.lower() for word in _BEGINS):
        return False
    return bool(np.isin(parameter.values, (0, 1)).all())


def find_clip_audio(root: Path, rel: Path) -> list[Path]:
    """Return the audio files of a clip: those with its path and an audio suffix."""
    folder, stem = root / rel.parent, rel.stem
    endings = tuple(f"{stem}{dot}" for dot in (f".{ending}" for ending in EXTENSIONS))
    if not folder.is_dir():
        return []
    exact = [folder / name for name in endings if (folder / name).is_file()]
    if exact:
        return exact
    wanted = {name.lower() for name in endings}
    names = sorted(name for name in os.listdir(folder) if name.lower() in wanted)
    return [folder / name for name in names if Path(name).stem == stem]


def _level_of(root: Path, rel: Path, header: EcdcHeader) -> tuple[Path, Values] | str:
    """Return the audio file and its level in dB on an even grid, or the reason for failure."""
    paths = find_clip_audio(root, rel)
    if len(paths) != 1:
        several = " and ".join(map(str, paths))
        return f"{several} could both be its audio" if paths else f"has no audio in {root}"
    spec = header.spec
    try:
        wav = read_audio(paths[0], spec.sample_rate, spec.channels)
    except (PreprocessError, OSError) as error:
        return f"its audio cannot be read: {error}"
    if wav.shape[1] != header.audio_length:
        return (
            f"{paths[0]} has {wav.shape[1]} samples at {spec.sample_rate} Hz, but the tokens have "
            f"{header.audio_length}; name the folder of the normalized audio"
        )
    floor = 10 ** (SILENCE_DB / 20)
    level = 20 * np.log10(np.maximum(frame_rms(wav, spec), floor))
    return paths[0], _on_grid(level, header)


def _on_grid(values: Values, header: EcdcHeader) -> Values:
    """Return frame values `[T]` on an even grid of hops; unchanged without segments."""
    spec = header.spec
    if spec.segment_samples is None:
        return values
    centres = frame_centre_samples(header.audio_length, spec)
    # Where two frames overlap, keep the one of the later segment.
    later = np.minimum.accumulate(centres[::-1])[::-1]
    kept = np.append(centres[:-1] < later[1:], True)
    at = np.arange(centres[0], centres[-1] + 1, spec.hop)
    nearest = np.searchsorted(centres[kept] - spec.hop // 2, at, "right") - 1
    evenly: Values = values[kept][nearest]
    return evenly


def _text(name: str, lag: Lag, header: EcdcHeader, what: str) -> str:
    frames, spec = abs(lag.frames), header.spec
    where = "behind" if lag.frames > 0 else "ahead of"
    return (
        f"{name!r} is {frames} {'frame' if frames == 1 else 'frames'} "
        f"({frames * spec.hop / spec.sample_rate:.3f} s) {where} {what}: correlation "
        f"{lag.there:.2f} at that lag, {lag.here:.2f} at none"
    )
