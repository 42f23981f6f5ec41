"""The data of a corpus's page as scripts: what all rows are sorted by, and thumbnails in chunks.

    data/index.js        corpus.takeIndex({...})      names, splits, a column of float32 for each number
    data/rows-00000.js   corpus.takeRows(0, "...")    thumbnails of rows 0 to CHUNK_ROWS - 1
    data/rows-00001.js   ...

A browser loads scripts of a page that was opened as a file, and nothing else.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from preprocess.core.files import write_bytes
from preprocess.page.corpus_data import MOST_CURVES, ClipRow, Corpus
from preprocess.page.distances import Distance
from preprocess.page.thumbnails import NOTHING, POINTS, Bytes, Points, as_bytes
from preprocess.stats.parameter_stats import ParameterStats

CHUNK_ROWS = 256
HAS_PAGE, HAS_SOUND, HAS_FINDING, IS_OPUS = 1, 2, 4, 8
"""Bits of what a row has; `script/corpus/player.js` knows the same."""


@dataclass(frozen=True)
class MadeClip:
    """What was made of one clip of the sample.

    Attributes:
        has: Bits of what the row has now, such as `HAS_PAGE`.
        loudness: `[POINTS]` of its sound; None without one.
        distance: Of the decoded sound from the original; None where one of them is missing.
    """

    has: int
    loudness: Points | None = None
    distance: Distance | None = None


@dataclass
class Extras:
    """What some rows have beyond what was measured of all; keys are row numbers.

    Attributes:
        has: Bits, such as `HAS_PAGE`.
        loudness: `[POINTS]`, 0 to 1, of clips that were decoded.
        distances: From their originals, of those that have one.
        findings: How many findings of the audit concern the clip.
    """

    has: dict[int, int] = field(default_factory=dict)
    loudness: dict[int, Points] = field(default_factory=dict)
    distances: dict[int, Distance] = field(default_factory=dict)
    findings: dict[int, int] = field(default_factory=dict)

    def take(self, row: int, made: MadeClip) -> None:
        """Add what was made of the clip of a row."""
        self.has[row] = made.has
        if made.loudness is not None:
            self.loudness[row] = made.loudness
        if made.distance is not None:
            self.distances[row] = made.distance


def write_data(folder: Path, corpus: Corpus, extras: Extras) -> None:
    """Write the scripts of a corpus into `folder`."""
    index = {**_index(corpus, extras), "columns": _columns(corpus, extras)}
    text = f"corpus.takeIndex({_script(index)});\n"
    write_bytes(folder / "index.js", text.encode())
    loudest = max((float(each.max()) for each in extras.loudness.values()), default=1.0) or 1.0
    ranges = {name: _range(corpus.stats[name]) for name in _shown(corpus)}
    for number in range(math.ceil(len(corpus.rows) / CHUNK_ROWS)):
        first = number * CHUNK_ROWS
        rows = corpus.rows[first : first + CHUNK_ROWS]
        loudness = [extras.loudness.get(first + at, NOTHING) for at in range(len(rows))]
        pictures = _base64(_pictures(rows, ranges, loudness, loudest))
        write_bytes(
            folder / f"rows-{number:05d}.js", f'corpus.takeRows({number}, "{pictures}");\n'.encode()
        )


def _index(corpus: Corpus, extras: Extras) -> dict[str, Any]:
    splits = list(corpus.splits)
    places = {name: at for at, name in enumerate(splits)}
    count = len(corpus.rows)
    bits = [
        extras.has.get(at, 0) | (HAS_FINDING if extras.findings.get(at) else 0)
        for at in range(count)
    ]
    return {
        "count": count,
        "chunk": CHUNK_ROWS,
        "points": POINTS,
        "ids": [row.id for row in corpus.rows],
        "splits": splits,
        "split": _base64(np.array([places[row.split] for row in corpus.rows], np.uint8)),
        "has": _base64(np.array(bits, np.uint8)),
        "curves": [
            {"title": name, "is_label": corpus.stats[name].kind == "categorical"}
            for name in _shown(corpus)
        ],
    }


def _columns(corpus: Corpus, extras: Extras) -> list[dict[str, Any]]:
    """Return the columns of numbers that a table sorts by."""
    rows = corpus.rows
    columns = [_column("length", "s", "seconds of sound", [row.seconds for row in rows])]
    for name, stats in corpus.stats.items():
        what = "most frequent label" if stats.kind == "categorical" else "mean"
        values = [row.values.get(name, math.nan) for row in rows]
        column = _column(name, stats.units, f"{what} of {name} in the clip", values)
        columns.append({**column, "labels": corpus.labels.get(name, {})})
    if any(row.missing for row in rows):
        missing = [100 * row.missing for row in rows]
        columns.append(_column("missing", "%", "values of parameters that are NaN", missing))
    if extras.distances:
        at = range(len(rows))
        snr = [_snr(extras.distances.get(row)) for row in at]
        mel = [extras.distances[row].mel_db if row in extras.distances else math.nan for row in at]
        columns.append(_column("SNR", "dB", "signal-to-noise ratio of the decoded sound", snr))
        columns.append(_column("distance", "dB", "spectral distance of the decoded sound", mel))
    if extras.findings:
        found = [extras.findings.get(row, 0) for row in range(len(rows))]
        columns.append(_column("findings", "", "findings of the audit", found))
    return columns


def _column(title: str, unit: str, about: str, values: Sequence[float]) -> dict[str, Any]:
    floats = np.array(values, "<f4")
    return {"title": title, "unit": unit, "about": about, "values": _base64(floats)}


def _snr(distance: Distance | None) -> float:
    return math.nan if distance is None or distance.snr_db is None else distance.snr_db


def _shown(corpus: Corpus) -> list[str]:
    """Return the parameters whose curves are in the thumbnails."""
    return list(corpus.stats)[:MOST_CURVES]


def _range(stats: ParameterStats) -> tuple[float, float]:
    """Return the range of a parameter's curves, the same for all clips so that they compare."""
    low = stats.min if stats.declared_min is None else stats.declared_min
    high = stats.max if stats.declared_max is None else stats.declared_max
    return (low or 0.0, high or 0.0)


def _pictures(
    rows: Sequence[ClipRow],
    ranges: Mapping[str, tuple[float, float]],
    loudness: Sequence[Points],
    loudest: float,
) -> Bytes:
    """Return `[rows, 1 + curves, POINTS]`: the sound of each, then its parameters."""
    curves = [
        as_bytes(np.stack([row.curves.get(name, NOTHING) for row in rows]), low, high)
        for name, (low, high) in ranges.items()
    ]
    return np.stack([as_bytes(np.stack(loudness), 0, loudest), *curves], axis=1)


def _base64(values: np.ndarray[Any, Any]) -> str:
    return base64.b64encode(values.tobytes()).decode("ascii")


def _script(value: Any) -> str:
    """Return a value as a script may hold it: JSON in ASCII is one."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
