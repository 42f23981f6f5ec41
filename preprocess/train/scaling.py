"""Parameters as a model takes them: scaled, angles as sine and cosine, labels as ids or rows.

NaN never comes out: a value that is missing is 0 where its mask is False, and as an id of a label
the number of labels, as the padding of codes is the number of codes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.sidecar.parameter_info import ParameterInfo
from preprocess.stats import CorpusStats, denormalise, read_stats
from preprocess.train.settings import Categorical, Scale, TrainError

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Scaling:
    """How one parameter becomes rows.

    Attributes:
        name: Of the parameter.
        kind: `continuous`, `circular` or `categorical`.
        offset: What is subtracted.
        divisor: What the rest is divided by: of a circular parameter, its period.
        labels: Of a categorical parameter, its labels in order; empty where ids come as they are.
        onehot: Whether each label has a row of its own.
    """

    name: str
    kind: str = "continuous"
    offset: float = 0.0
    divisor: float = 1.0
    labels: tuple[int, ...] = ()
    onehot: bool = False

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of the rows that it becomes."""
        if self.kind == "circular":
            return f"{self.name}.sin", f"{self.name}.cos"
        if self.onehot:
            return tuple(f"{self.name}={label}" for label in self.labels)
        return (self.name,)


class Scaler:
    """Scales the raw values of several crops at once.

    Attributes:
        parts: How each parameter is scaled.
        names: Names of the rows, P of them.
    """

    def __init__(self, parts: tuple[Scaling, ...]) -> None:
        self.parts = parts
        self.names = tuple(row for part in parts for row in part.rows)
        self._plain = all(part.kind == "continuous" for part in parts)
        self._offset = np.array([part.offset for part in parts], np.float64)[:, None]
        self._divisor = np.array([part.divisor for part in parts], np.float64)[:, None]

    def __call__(self, raw: NDArray[np.floating[Any]]) -> tuple[Floats, Mask]:
        """Return float32 values and their mask, both `[B, P, T]`, of raw ones `[B, parameters, T]`.

        Raises:
            TrainError: A label is none of those known.
        """
        mask = ~np.isnan(raw)
        if self._plain:
            doubles = raw - self._offset
            doubles /= self._divisor
            scaled = doubles.astype(np.float32)
            if not mask.all():
                scaled[~mask] = 0
            return scaled, mask
        shape = (raw.shape[0], len(self.names), raw.shape[2])
        values, masks = np.zeros(shape, np.float32), np.zeros(shape, np.bool_)
        at = 0
        for index, part in enumerate(self.parts):
            rows = slice(at, at := at + len(part.rows))
            _fill(part, raw[:, index], mask[:, index], values[:, rows])
            masks[:, rows] = mask[:, index, None]
        return values, masks


def _fill(part: Scaling, raw: NDArray[Any], known: Mask, rows: Floats) -> None:
    """Write the rows `[B, rows, T]` of one parameter `[B, T]`."""
    if part.kind == "circular":
        angle = (raw.astype(np.float64) - part.offset) * (math.tau / part.divisor)
        rows[:, 0], rows[:, 1] = np.sin(angle), np.cos(angle)
    elif part.kind == "categorical":
        ids = _label_ids(part, raw, known)
        if part.onehot:
            rows[:] = ids[:, None] == np.arange(len(part.labels))[:, None]
        else:
            rows[:, 0] = ids
        return
    else:
        rows[:, 0] = (raw - part.offset) / part.divisor
    rows[~np.broadcast_to(known[:, None], rows.shape)] = 0


def _label_ids(part: Scaling, raw: NDArray[Any], known: Mask) -> NDArray[np.int64]:
    labels = np.array(part.labels, np.float64)
    filled = np.where(known, raw, labels[0])
    ids = np.minimum(np.searchsorted(labels, filled), len(labels) - 1)
    if (strange := labels[ids] != filled).any():
        raise TrainError(
            f"parameter {part.name!r} has the label {filled[strange][0]:g}, which is none of the "
            f"{len(labels)} known ones; were the statistics made of other clips?"
        )
    return np.where(known, ids, len(labels))


def find_stats(stats: Any) -> Mapping[str, Any] | None:
    """Return the statistics of the training split: of a `stats.json`, its splits, or itself.

    Raises:
        TrainError: There is no split `train` among several.
        StatsError: The file cannot be read.
    """
    if stats is None or isinstance(stats, CorpusStats):
        return stats
    splits = read_stats(Path(stats)) if isinstance(stats, str | Path) else stats
    if len(splits) == 1:
        return next(iter(splits.values()))
    if "train" not in splits:
        where = f"{stats}: " if isinstance(stats, str | Path) else ""
        raise TrainError(f"{where}there are statistics of {', '.join(splits)}, but not of train")
    return splits["train"]


def make_scaler(
    known: Mapping[str, ParameterInfo],
    stats: Mapping[str, Any] | None,
    scale: Scale = "minmax",
    categorical: Categorical = "ids",
) -> Scaler:
    """Return the scaler of parameters.

    Args:
        known: What the dataset says of each, in order.
        stats: Statistics of each over the training split; None to scale by declared ranges.
        scale: Of continuous parameters.
        categorical: What labels become.

    Raises:
        TrainError: A parameter has no statistics and no declared range, no value at all, or
            statistics of something else.
    """
    parts = []
    for name, facts in known.items():
        if stats is not None:
            parts.append(_by_stats(name, facts, stats, scale, categorical))
        else:
            parts.append(_by_range(name, facts, scale, categorical))
    return Scaler(tuple(parts))


def _by_stats(
    name: str,
    facts: ParameterInfo,
    stats: Mapping[str, Any],
    scale: Scale,
    categorical: Categorical,
) -> Scaling:
    if name not in stats:
        have = ", ".join(stats) or "no parameter"
        raise TrainError(f"the statistics have {have}, but not {name!r}: are they of this dataset?")
    of = stats[name]
    if not of.count:
        raise TrainError(
            f"parameter {name!r} has no value in any frame (all are NaN); leave it out by parameters="
        )
    for what, mine, theirs in (("kind", facts.kind, of.kind), ("units", facts.units, of.units)):
        if mine != theirs and facts != ParameterInfo():
            raise TrainError(
                f"the statistics are of another dataset: their {name!r} has {what} {theirs!r}, "
                f"here it is {mine!r}"
            )
    _check_range(name, facts, of)
    if of.kind == "circular":
        return Scaling(name, "circular", of.declared_min or 0.0, of.period or math.tau)
    if of.kind == "categorical":
        if of.labels is None:
            raise TrainError(f"parameter {name!r} has too many labels for ids")
        return Scaling(
            name, "categorical", labels=tuple(sorted(of.labels)), onehot=categorical == "onehot"
        )
    if scale == "none":
        return Scaling(name)
    low, high = (float(denormalise(value, of, scale)) for value in (0.0, 1.0))
    return Scaling(name, "continuous", low, high - low)


def _check_range(name: str, facts: ParameterInfo, of: Any) -> None:
    """Refuse statistics of clips that declare a wider range than all clips of the dataset do."""
    for mine, theirs, sign in ((facts.min, of.declared_min, 1), (facts.max, of.declared_max, -1)):
        if mine is not None and theirs is not None and sign * (theirs - mine) < 0:
            raise TrainError(
                f"the statistics are of another dataset: their {name!r} reaches to {theirs:g} by "
                f"declaration, in this dataset to {mine:g}"
            )


def _by_range(name: str, facts: ParameterInfo, scale: Scale, categorical: Categorical) -> Scaling:
    if facts.kind == "circular":
        return Scaling(name, "circular", facts.min or 0.0, facts.period or math.tau)
    if scale == "none" and facts.kind == "continuous":
        return Scaling(name)
    if facts.min is None or facts.max is None or (scale == "zscore" and facts.kind == "continuous"):
        lacks = "zscore needs" if scale == "zscore" else "it declares no range, which needs"
        raise TrainError(
            f"parameter {name!r} has no statistics: {lacks} stats='.../stats.json' of the dataset, "
            f"or leave it out by parameters="
        )
    if facts.kind == "categorical":
        labels = tuple(range(math.ceil(facts.min), math.floor(facts.max) + 1))
        return Scaling(name, "categorical", labels=labels, onehot=categorical == "onehot")
    return Scaling(name, "continuous", facts.min, (facts.max - facts.min) or 1.0)
