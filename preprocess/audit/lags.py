r"""By how much one curve lies behind another: normalised cross-correlation of their changes.

    sound       __/\_____/\/\____      level of each frame
    parameter   ____/\_____/\/\__      the same, two frames late: lag +2
    changes     of both, so that a slow drift that they share says nothing about time

Steps of frame to frame are cut at four times their usual size: one loud attack alone would else
find its like at any lag.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

MAX_LAG_S = 2.0
"""How far apart sound and parameter are looked for."""
LEVEL_FLOOR_DB = 60.0
"""How far below its peak a level is still compared; noise floors differ."""
_FEWEST_CHANGES = 12
_LEAST_ALIKE, _SURELY_ALIKE = 0.6, 0.95
_NOT_HERE = 0.5
"""At no lag, a shifted level is less than this part as much alike as at its own lag."""
_EXACT = 0.1
"""Or what is left unlike at its own lag is less than this part of what is unlike at none."""
_ELSEWHERE = 0.85
"""At all other lags, it is less than this part as much alike; else the sound repeats itself."""
ATTACK_S = 0.15
"""How long after its gate a note may be heard to begin."""
_FEWEST_ONSETS = 4
_ONSETS_NOT_HERE = 0.2
_ONSET_RISE_DB = 6.0


class Lag(NamedTuple):
    """How far a curve lies behind another, and how alike they are there and where they are.

    Attributes:
        frames: Behind if positive, ahead if negative.
        there: Correlation at that lag, up to 1.
        here: Correlation as they are.
    """

    frames: int
    there: float
    here: float


def level_lag(parameter: Values, level_db: Values, max_lag: int) -> Lag | None:
    """Return how far a level parameter lies behind the sound's level; None where it does not.

    Args:
        parameter: In dB `[T]`; NaN has no part.
        level_db: Of the sound `[T]`.
        max_lag: The most frames to look for.
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
    freely = min(_events(a), _events(b)) / width  # steps that do not follow from those before
    significant = min(_SURELY_ALIKE, max(_LEAST_ALIKE, 5 / np.sqrt(freely)))
    exact = 1 - there < _EXACT * (1 - here)  # as only the level itself can be, a frame away
    if not lag or there < significant or not (here < _NOT_HERE * there or exact):
        return None
    elsewhere = alike[np.abs(lags - lag) > width]
    if not len(elsewhere) or elsewhere.max() > _ELSEWHERE * there:
        return None
    return Lag(lag, there, here)


def onset_lag(begins: Values, level_db: Values, max_lag: int, attack: int) -> Lag | None:
    """Return how far the beginnings of notes lie behind those in the sound; None if they do not.

    Of a regular rhythm many lags fit; the shortest of them is returned, and none if that may be
    an attack.

    Args:
        begins: 1 in each frame `[T]` in which a note begins, else 0.
        level_db: Of the sound `[T]`.
        max_lag: The most frames to look for.
        attack: For how many frames a sound may rise after its note has begun.
    """
    rises = np.maximum(0.0, np.diff(_floored(level_db), prepend=level_db[:1]))
    heard = np.where(rises >= _ONSET_RISE_DB, 1.0, 0.0)
    heard[1:] *= heard[:-1] == 0  # an attack of several frames begins in its first
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
    """Return the steps from frame to frame `[T - 1]`, the large ones cut."""
    steps = np.diff(values)
    usual = 1.4826 * float(np.median(np.abs(steps - np.median(steps))))
    return np.clip(steps, -4 * usual, 4 * usual) if usual > 0 else steps


def _width(steps: Values, most: int) -> int:
    """Return after how many frames a curve's steps are unlike those before."""
    lags, own = _correlations(steps, steps, most)
    unlike = np.flatnonzero(own[len(lags) // 2 :] < _NOT_HERE)
    return int(unlike[0]) if len(unlike) else most + 1


def _events(steps: Values) -> float:
    """Return how many steps carry the curve's changes: all, if they are equally large."""
    power = np.square(steps - steps.mean())
    fourth = float(np.square(power).sum())
    return float(power.sum()) ** 2 / fourth if fourth > 0 else 0.0


def _correlations(a: Values, b: Values, most: int) -> tuple[NDArray[np.int64], Values]:
    """Return the lags, and the correlation of what overlaps at each of them."""
    lags = np.arange(-most, most + 1)
    return lags, np.array([_pearson(*_overlap(a, b, lag)) for lag in lags.tolist()])


def _overlap(a: Values, b: Values, lag: int) -> tuple[Values, Values]:
    """Return what of `a` and `b` meets if `a` lies `lag` behind."""
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
