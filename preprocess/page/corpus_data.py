"""The measurements for a corpus's page, made in one pass over its clips; memory grows only by rows.

They need only the tokens and the sidecar of a clip, without decoding it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from preprocess.core.jobs import run_items
from preprocess.core.progress import Progress
from preprocess.page.clip_columns import label_names
from preprocess.page.clip_data import ClipData
from preprocess.page.clip_sources import ClipSource
from preprocess.page.codebook_use import CodeCounts
from preprocess.page.thumbnails import Points, curve_points
from preprocess.sidecar.parameters import Parameter
from preprocess.stats.corpus_stats import CorpusStats, StatsError
from preprocess.tokens.specs import codec_spec

MOST_CURVES = 6
"""Thumbnails offer this many parameters, the first ones."""
ANGLE_BINS = 24
"""Number of parts of the circle for counting the values of a circular parameter."""
_BATCH_CLIPS = 64


@dataclass(frozen=True)
class ClipRow:
    """The content of a clip's row in the table.

    Attributes:
        id: Its name.
        split: Its split.
        seconds: Its length.
        model: Its codec.
        n_codebooks: K.
        values: Parameter -> its mean in the clip, or its most frequent label.
        missing: Share of the parameters' values that are NaN, from 0 to 1.
        curves: Parameter -> `[POINTS]`, for the first `MOST_CURVES` parameters of the corpus.
    """

    id: str
    split: str
    seconds: float
    model: str
    n_codebooks: int
    values: dict[str, float] = field(default_factory=dict)
    missing: float = 0.0
    curves: dict[str, Points] = field(default_factory=dict)


@dataclass
class Corpus:
    """The measurements of all clips.

    Attributes:
        rows: One row per clip, in the order of reading.
        stats: Statistics of the parameters, over all splits.
        codes: Counts of each code, by codec.
        angles: Circular parameter -> int64 `[ANGLE_BINS]`, counts around the circle.
        labels: Categorical parameter -> label -> its name, if the parameter's text lists them.
        problems: Clip -> why some or all of its parameters are not in the statistics.
        unreadable: Clip -> why it could not be read; it has no row.
    """

    rows: list[ClipRow] = field(default_factory=list)
    stats: CorpusStats = field(default_factory=CorpusStats)
    codes: dict[str, CodeCounts] = field(default_factory=dict)
    angles: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    labels: dict[str, dict[int, str]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    @property
    def hours(self) -> float:
        """Hours of sound in all clips."""
        return sum(row.seconds for row in self.rows) / 3600

    @property
    def splits(self) -> dict[str, tuple[int, float]]:
        """Split -> number of clips and hours, in the order of reading."""
        found: dict[str, tuple[int, float]] = {}
        for row in self.rows:
            clips, hours = found.get(row.split, (0, 0.0))
            found[row.split] = clips + 1, hours + row.seconds / 3600
        return found


def measure_corpus(source: ClipSource) -> Corpus:
    """Measure the clips of `source` without decoding them."""
    corpus, batch = Corpus(), list[ClipData]()
    ids = source.ids
    with Progress("inspect", len(ids), phase="measure") as progress:
        for outcome in run_items(lambda clip: source.read(clip, with_original=False), ids, 1):
            progress.update(failed=outcome.value is None)
            if outcome.value is None:
                corpus.unreadable[outcome.item] = outcome.message()
                continue
            batch.append(outcome.value)
            if len(batch) == _BATCH_CLIPS:
                _take(corpus, source, batch)
                batch.clear()
    _take(corpus, source, batch)
    if not corpus.stats:  # only tokens: no clip should have parameters
        corpus.problems.clear()
    return corpus


def _take(corpus: Corpus, source: ClipSource, clips: Sequence[ClipData]) -> None:
    """Add several clips at once, which is ten times as fast as one by one."""
    for model in {clip.tokens.model for clip in clips}:
        counts = corpus.codes.setdefault(model, CodeCounts(codec_spec(model).codebook_size))
        counts.update(clip.tokens.codes for clip in clips if clip.tokens.model == model)
    corpus.problems |= {clip.id: "; ".join(clip.notes) for clip in clips if clip.notes}
    misfits = update_stats(corpus.stats, clips)
    corpus.problems |= misfits
    shown = list(corpus.stats)[:MOST_CURVES]
    for clip in clips:
        parameters = {} if clip.id in misfits else clip.parameters
        for name, each in parameters.items():
            if each.kind == "circular":
                around = corpus.angles.setdefault(name, np.zeros(ANGLE_BINS, np.int64))
                around += _around(each)
            elif each.kind == "categorical" and name not in corpus.labels:
                corpus.labels[name] = label_names(each)
        corpus.rows.append(_row(clip, source.split(clip.id), parameters, shown))


def update_stats(stats: CorpusStats, clips: Sequence[ClipData]) -> dict[str, str]:
    """Add the parameters of clips to statistics; return clip -> why its parameters do not fit."""
    joined = _joined([clip.parameters for clip in clips])
    if joined is not None:
        piece = CorpusStats()
        try:
            piece.update(joined)
            piece.clips = len(clips)
            stats.merge(piece)
            return {}
        except StatsError:
            pass  # adding clips one by one finds the one that does not fit
    misfits = {}
    for clip in clips:
        try:
            stats.update(clip.parameters)
        except StatsError as error:
            misfits[clip.id] = str(error)
    return misfits


def _joined(clips: Sequence[Mapping[str, Parameter]]) -> dict[str, Parameter] | None:
    """Join the parameters of several clips as if of one clip; None if their descriptions differ."""
    infos = {name: each.info for name, each in clips[0].items()} if clips else {}
    if any({name: each.info for name, each in clip.items()} != infos for clip in clips):
        return None
    return {
        name: Parameter.from_info(info, np.concatenate([clip[name].values for clip in clips]))
        for name, info in infos.items()
    }


def _row(
    clip: ClipData, split: str, parameters: Mapping[str, Parameter], shown: Sequence[str]
) -> ClipRow:
    return ClipRow(
        clip.id,
        split,
        clip.duration_s,
        clip.tokens.model,
        len(clip.tokens.codes),
        {name: _typical(each) for name, each in parameters.items()},
        _missing(parameters),
        {
            name: curve_points(parameters[name].values, parameters[name].kind == "categorical")
            for name in shown
            if name in parameters
        },
    )


def _typical(parameter: Parameter) -> float:
    """Return the mean of a clip's values, or the most frequent label; NaN if it has no values."""
    values = np.asarray(parameter.values, np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan")
    if parameter.kind == "categorical":
        labels, counts = np.unique(values, return_counts=True)
        return float(labels[np.argmax(counts)])
    period = parameter.period
    if period is None:
        return float(values.mean())
    turn = np.exp(2j * np.pi * values / period).mean()
    low = parameter.min if parameter.declared and parameter.min is not None else 0.0
    return float((np.angle(turn) / (2 * np.pi) * period - low) % period + low)


def _missing(parameters: Mapping[str, Parameter]) -> float:
    count = sum(len(each.values) for each in parameters.values())
    missing = sum(int(np.isnan(each.values).sum()) for each in parameters.values())
    return missing / count if count else 0.0


def _around(parameter: Parameter) -> NDArray[np.int64]:
    """Return the counts of a circular parameter's values in even parts of its circle."""
    period = parameter.period or 1.0
    low = parameter.min if parameter.declared and parameter.min is not None else 0.0
    values = np.asarray(parameter.values, np.float64)
    part = np.mod(values[np.isfinite(values)] - low, period) / period
    bins = np.minimum((part * ANGLE_BINS).astype(np.int64), ANGLE_BINS - 1)
    return np.bincount(bins, minlength=ANGLE_BINS)
