"""A clip as the JSON that a page's script reads."""

from __future__ import annotations

from typing import Any

import numpy as np

from preprocess.dataset.schema import describe_range
from preprocess.page.audio_embed import embed_sound
from preprocess.page.clip_columns import clip_columns, value_range
from preprocess.page.clip_data import ClipData, level
from preprocess.page.clip_figures import track_kind
from preprocess.page.frame_times import frame_times
from preprocess.page.packing import Packing
from preprocess.page.spectrogram import RANGE_DB, mel
from preprocess.sidecar.parameters import Parameter, measure

_TITLES = {"original": "Original", "decoded": "Decoded"}


def stage_kinds(clip: ClipData) -> dict[str, str]:
    """Return name -> kind of a clip's parameters: what its figures depend on."""
    return {name: parameter.kind for name, parameter in clip.parameters.items()}


def clip_json(clip: ClipData, stage: str) -> dict[str, Any]:
    """Return what a page holds of a clip, ready for JSON.

    Args:
        clip: The clip.
        stage: The key of its figures (`preprocess.page.clip_figures.stage`) on the page.
    """
    tokens, spec = clip.tokens, clip.tokens.header.spec
    columns = clip_columns(clip)
    declared = {
        name: parameter for name, parameter in clip.parameters.items() if parameter.declared
    }
    for name, parameter in declared.items():
        columns[f"declared:{name}"] = _declared(parameter)
    for source, given in columns.items():
        if "image" in given:
            # The number of a codebook, from 1, lies in the middle of its row.
            height = tokens.codes.shape[0] if source == "tokens" else _top(spec.sample_rate)
            given["height"] = [float(height)] * len(given["image"])
            given["bottom"] = [0.5 if source == "tokens" else 0.0] * len(given["image"])
    packing = Packing()
    packed = packing.pack(columns)
    return {
        "id": clip.id,
        "stage": stage,
        "duration": clip.duration_s,
        "rate": spec.sample_rate,
        "facts": _facts(clip),
        "notes": [*clip.notes, *_decimation(clip)],
        "codes": {"size": spec.codebook_size, "count": tokens.codes.shape[0]},
        "segments": _segments(clip),
        "sounds": _sounds(clip),
        "tracks": _tracks(clip),
        "parameters": [_statistics(name, each) for name, each in clip.parameters.items()],
        "columns": packed,
        "arrays": packing.arrays,
    }


def _facts(clip: ClipData) -> list[list[str]]:
    tokens, spec = clip.tokens, clip.tokens.header.spec
    k, frames = tokens.codes.shape
    channels = "mono" if spec.channels == 1 else "stereo"
    facts = [
        ["codec", tokens.model],
        ["bandwidth", f"{tokens.header.bandwidth_kbps:g} kbps"],
        ["codebooks", str(k)],
        ["frames", f"{frames:,}, {spec.fps} per second"],
        ["length", f"{clip.duration_s:,.3f} s"],
        ["sound", f"{spec.sample_rate:,} Hz, {channels}"],
    ]
    changed_db = _matching_db(clip)
    if abs(changed_db) >= 0.1:
        facts.append(["original", f"played at {changed_db:+.1f} dB to match the decoded sound"])
    if len(tokens.segment_frames) > 1:
        facts.insert(4, ["segments", f"{len(tokens.segment_frames):,} of 1 s, every 0.99 s"])
    return facts


def _decimation(clip: ClipData) -> list[str]:
    step = frame_times(clip.tokens).step
    if step == 1:
        return []
    return [
        f"a long clip: the pictures show every {_ordinal(step)} frame of the tokens, and of the "
        f"parameters the minimum and maximum of each {step} frames; the sound is whole"
    ]


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"


def _segments(clip: ClipData) -> dict[str, Any]:
    """Return where frames lie: start and frames of each segment, seconds a frame, and the step."""
    times, spec = frame_times(clip.tokens), clip.tokens.header.spec
    return {
        "starts": times.segment_starts.tolist(),
        "frames": list(clip.tokens.segment_frames),
        "hop": spec.hop / spec.sample_rate,
        "step": times.step,
    }


def _matching_db(clip: ClipData) -> float:
    """Return by how much the original is played louder to have the level of the decoded sound."""
    levels = [level(clip.sounds[name]) for name in ("decoded", "original") if name in clip.sounds]
    if len(levels) < 2 or not all(levels):
        return 0.0
    return float(20 * np.log10(levels[0] / levels[1]))


def _sounds(clip: ClipData) -> list[dict[str, Any]]:
    """Return the sounds as files; `gain` plays the original at the level of the decoded one."""
    matching = 10 ** (_matching_db(clip) / 20)
    sounds = []
    for name, wave in clip.sounds.items():
        made = embed_sound(wave, clip.tokens.header.spec.sample_rate)
        gain = (matching if name == "original" else 1.0) / made.scale
        sounds.append(
            {"name": name, "title": _TITLES[name], "data": made.base64, "mime": made.mime}
            | {"gain": gain, "scale": made.scale}
        )
    return sounds


def _tracks(clip: ClipData) -> list[dict[str, Any]]:
    """Return what is shown, from top to bottom."""
    spec = clip.tokens.header.spec
    tracks = [_track("ruler", "Time", (0.0, 1.0))]
    if clip.sounds:
        peak = max(float(np.abs(wave).max(initial=0.0)) for wave in clip.sounds.values())
        top = 1.05 * peak if peak > 1e-6 else 1.0
        tracks.append(_track("wave", "Waveform", (-top, top)))
        pitch = _track("spectrogram", "Spectrogram", (0.0, _top(spec.sample_rate)))
        tracks.append({**pitch, "decibels": RANGE_DB})
    for name, parameter in clip.parameters.items():
        kind = track_kind(parameter.kind)
        ends = value_range(parameter) if kind == "curve" else (0.0, 1.0)
        track = _track(f"{kind}:{name}", name, ends, parameter.units)
        tracks.append({**track, "help": parameter.doc_string or name})
    k = float(clip.tokens.codes.shape[0])
    tracks.append(_track("tokens", "Tokens", (k + 0.5, 0.5)))  # the first codebook on top
    return tracks


def _track(name: str, title: str, ends: tuple[float, float], unit: str = "") -> dict[str, Any]:
    kind = name.partition(":")[0]
    return {"name": name, "kind": kind, "title": title, "unit": unit, "range": ends, "help": title}


def _statistics(name: str, parameter: Parameter) -> dict[str, Any]:
    measured = parameter.measured or measure(parameter.values)
    if parameter.kind == "categorical":  # a mean of labels says nothing
        measured = {}
    missing = int(np.isnan(parameter.values).sum())
    share = f"{missing:,} of {len(parameter.values):,}" if missing else ""
    low, high = (parameter.min, parameter.max) if parameter.declared else (None, None)
    meaning = parameter.nan and f"NaN: {parameter.nan}"
    return {
        "name": name,
        "unit": parameter.units,
        "kind": parameter.kind,
        "declared": describe_range(low, high),
        **{key: measured.get(key) for key in ("min", "mean", "max", "std")},
        "missing": share,
        "meaning": "; ".join(text for text in (parameter.doc_string, meaning) if text),
    }


def _declared(parameter: Parameter) -> dict[str, Any]:
    """Return the declared range; an end that is not declared lies outside of what is shown."""
    low, high = value_range(parameter)
    width = high - low
    return {
        "low": [low - width if parameter.min is None else parameter.min],
        "high": [high + width if parameter.max is None else parameter.max],
    }


def _top(sample_rate: int) -> float:
    return float(mel(sample_rate / 2))
