r"""Estimates the lag between two curves by normalised cross-correlation of their changes.

    sound       __/\_____/\/\____      level of each frame
    parameter   ____/\_____/\/\__      the same, two frames late: lag +2

Correlating the changes ignores slow drifts that both curves share. Frame-to-frame steps are clipped
at four times their usual size; otherwise a single loud attack would correlate at any lag.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

MAX_LAG_S = 2.0
"""Largest lag to search for, ahead and behind."""
LEVEL_FLOOR_DB = 60.0
"""Levels further below their peak than this are not compared, because noise floors differ."""
_FEWEST_CHANGES = 12
_LEAST_ALIKE, _SURELY_ALIKE = 0.6, 0.95
_NOT_HERE = 0.5
"""A level is shifted if its correlation at lag 0 is below this fraction of that at the best lag."""
_EXACT = 0.1
"""Or if 1 - correlation at the best lag is below this fraction of that at lag 0."""
_ELSEWHERE = 0.85
"""Correlation at all other lags must be below this fraction; otherwise the sound repeats."""
ATTACK_S = 0.15
"""A note may become audible this long after its gate."""
_FEWEST_ONSETS = 4
_ONSETS_NOT_HERE = 0.2
_ONSET_RISE_DB = 6.0


class Lag(NamedTuple):
    """The lag of one curve behind another, with correlations.

    Attributes:
        frames: Lag in frames, positive if behind.
        there: Correlation at that lag, up to 1.
        here: Correlation at lag 0.
    """

    frames: int
    there: float
    here: float


def level_lag(parameter: Values, level_db: Values, max_lag: int) -> Lag | None:
    """Return the lag of a level parameter behind the sound's level, or None if there is no clear lag.

    Args:
        parameter: The parameter `[T]` in dB; NaN counts as its minimum.
        level_db: Level of the sound `[T]` in dB.
        max_lag: Largest lag to search for, in frames.
    """
    known = np.isfinite(parameter)
    if known.sum() < 2 * _FEWEST_CHANGES:
        return None
    filled = np.where(known, parameter, np.nanmin(parameter[known]))
    a, b = _changes(_floored(filled)), _changes(_floored(level_db))
    if min(_events(a), _events(b)) < _FEWEST_CHANGES:
        return None
    lags, alike = _correlations(a, b, min(max_lag, len(a) // 2))
    at = int(np.argmax(alike))
    lag, there, here = int(lags[at]), float(alike[at]), float(alike[len(lags) // 2])
    width = _width(b, len(lags) // 2)
    freely = min(_events(a), _events(b)) / width  # effective number of independent steps
    significant = min(_SURELY_ALIKE, max(_LEAST_ALIKE, 5 / np.sqrt(freely)))
    exact = 1 - there < _EXACT * (1 - here)  # only the level itself fits this closely
    if not lag or there < significant or not (here < _NOT_HERE * there or exact):
        return None
    elsewhere = alike[np.abs(lags - lag) > width]
    if not len(elsewhere) or elsewhere.max() > _ELSEWHERE * there:
        return None
    return Lag(lag, there, here)


def onset_lag(begins: Values, level_db: Values, max_lag: int, attack: int) -> Lag | None:
    """Return the lag of note onsets behind the sound's attacks, or None if there is no clear lag.

    In a regular rhythm several lags fit; this picks the shortest, and returns None if the attack
    time explains it.

    Args:
        begins: 1 in each frame `[T]` in which a note begins, else 0.
        level_db: Level of the sound `[T]` in dB.
        max_lag: Largest lag to search for, in frames.
        attack: Frames that a sound may take to rise after its note begins.
    """
    rises = np.maximum(0.0, np.diff(_floored(level_db), prepend=level_db[:1]))
    heard = np.where(rises >= _ONSET_RISE_DB, 1.0, 0.0)
    heard[1:] *= heard[:-1] == 0  # count an attack of several frames once, at its first
    if min(begins.sum(), heard.sum()) < _FEWEST_ONSETS:
        return None
    whole = float(np.sqrt(begins.sum() * heard.sum()))
    lags = np.arange(-max_lag, max_lag + 1)
    alike = np.array([_overlap_sum(begins, heard, lag) for lag in lags.tolist()]) / whole
    best = float(alike.max())
    near = lags[alike >= best - 1.5 / whole]
    lag = int(near[np.argmin(np.abs(near))])
    there, here = float(alike[lag + max_lag]), float(alike[max_lag])
    if -attack <= lag <= 0 or there < _LEAST_ALIKE or here > _ONSETS_NOT_HERE * there:
        return None
    return Lag(lag, there, here)


def _floored(level_db: Values) -> Values:
    return np.maximum(level_db, float(level_db.max()) - LEVEL_FLOOR_DB)


def _changes(values: Values) -> Values:
    """Return the steps from frame to frame `[T - 1]`, with large steps clipped."""
    steps = np.diff(values)
    usual = 1.4826 * float(np.median(np.abs(steps - np.median(steps))))
    return np.clip(steps, -4 * usual, 4 * usual) if usual > 0 else steps


def _width(steps: Values, most: int) -> int:
    """Return the lag in frames at which a curve's steps stop resembling themselves."""
    lags, own = _correlations(steps, steps, most)
    unlike = np.flatnonzero(own[len(lags) // 2 :] < _NOT_HERE)
    return int(unlike[0]) if len(unlike) else most + 1


def _events(steps: Values) -> float:
    """Return the effective number of steps: all of them if they are equally large."""
    power = np.square(steps - steps.mean())
    fourth = float(np.square(power).sum())
    return float(power.sum()) ** 2 / fourth if fourth > 0 else 0.0


def _correlations(a: Values, b: Values, most: int) -> tuple[NDArray[np.int64], Values]:
    """Return the lags, and the correlation of the overlapping parts at each lag."""
    lags = np.arange(-most, most + 1)
    return lags, np.array([_pearson(*_overlap(a, b, lag)) for lag in lags.tolist()])


def _overlap(a: Values, b: Values, lag: int) -> tuple[Values, Values]:
    """Return the parts of `a` and `b` that overlap if `a` is `lag` frames behind."""
    if lag >= 0:
        return a[lag:], b[: len(b) - lag]
    return a[:lag], b[-lag:]


def _overlap_sum(a: Values, b: Values, lag: int) -> float:
    left, right = _overlap(a, b, lag)
    return float(np.dot(left, right))


def _pearson(a: Values, b: Values) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt(np.dot(a, a) * np.dot(b, b)))
    return float(np.dot(a, b)) / size if size > 1e-12 else 0.0
