"""Finds clips with values in another unit: a power of ten, radians for degrees, linear for dB.

Magnitudes are compared as logarithms, so that a factor becomes a distance:

    log10 of the peak    1.9 2.0 2.1 2.0 ...            5.0
                         |- most clips -|                a clip in Hz instead of kHz: 3 further
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from preprocess.audit.value_checks import Column, Usual, Values, most_odd

_PAD = 0.2
"""Tolerance beyond the magnitudes of nearly all clips, as log10: a factor of 1.6."""
_SHAPE_PAD = 0.25
_MOST_WIDTH = 0.5
"""The magnitudes of nearly all clips must span less than this fraction of the factor, as log10."""
_LEAST_SHAPES = 5
_TENS = tuple(range(1, 7))
_ANGLES = {
    "radians for degrees, or the other way round": np.log10(180 / np.pi),
    "turns for degrees, or the other way round": np.log10(360),
    "turns for radians, or the other way round": np.log10(2 * np.pi),
}
_ANGLE_UNITS = ("deg", "degree", "degrees", "\N{DEGREE SIGN}", "rad", "radian", "radians", "turns")
_DB_UNITS = ("db", "dbfs")
_LOWEST_DB, _HIGHEST_DB = -200.0, 60.0
_HIGHEST_LINEAR = 4.0
_DB_PAD = 3.0


class _Sizes(NamedTuple):
    """Magnitudes of N clips.

    Attributes:
        logs: log10 of peak and standard deviation `[N, 2]`.
        shapes: Minimum and mean as fractions of the peak `[N, 2]`.
    """

    logs: Values
    shapes: Values


def find_units(column: Column, read: Callable[[int], Values]) -> Iterator[tuple[int, str]]:
    """Yield the index and a message for each clip whose values are in another unit.

    Args:
        column: The parameter.
        read: Returns all its values in one clip, by the clip's index.
    """
    if column.kind == "categorical":
        return
    yield from _factors(column)
    yield from _decibels(column, read)


def _factors(column: Column) -> Iterator[tuple[int, str]]:
    if column.units.lower() in _DB_UNITS:
        return
    # A constant has no shape that tells another unit from another value.
    moving = ~column.still & (np.abs(column.numbers[:, :2]).max(axis=1) > 0)
    if moving.sum() < _LEAST_SHAPES * 2:
        return
    sizes = _sizes(column.numbers[moving])
    low, high = np.percentile(sizes.logs, (5, 95), axis=0)
    if moving.sum() < 20:  # 5% is less than one clip: drop the outermost clip on each side
        ordered = np.sort(sizes.logs, axis=0)
        low, high = ordered[1], ordered[-2]
    outside = (sizes.logs < low - _PAD) | (sizes.logs > high + _PAD)
    far = np.flatnonzero(outside.all(axis=1))
    near = ~outside.any(axis=1)
    if not len(far) or len(far) > most_odd(int(moving.sum())) or near.sum() < _LEAST_SHAPES:
        return
    shape_low, shape_high = sizes.shapes[near].min(axis=0), sizes.shapes[near].max(axis=0)
    indices = column.clips[moving]
    # A count of frames or seconds grows with the length of the clip.
    longer = np.abs(np.log10(column.seconds[moving] / np.median(column.seconds[moving])))
    for at in far.tolist():
        in_shape = (
            (sizes.shapes[at] >= shape_low - _SHAPE_PAD)
            & (sizes.shapes[at] <= shape_high + _SHAPE_PAD)
        ).all()
        for what, power in _candidates(column) if in_shape else ():
            moved = sizes.logs[at] + power
            narrow = (high - low < _MOST_WIDTH * abs(power)).all()
            if longer[at] > abs(power) / 2:
                continue
            if narrow and (moved >= low - _PAD / 2).all() and (moved <= high + _PAD / 2).all():
                text = f"{column.name!r} has magnitude {10 ** sizes.logs[at, 0]:.4g}, in most "
                text += f"clips {10 ** float(np.median(sizes.logs[near, 0])):.4g}: {what}?"
                yield int(indices[at]), text
                break


def _candidates(column: Column) -> Iterator[tuple[str, float]]:
    """Yield the possible mistakes, each with the log10 of the factor that corrects it."""
    if column.kind == "circular" or column.units.lower() in _ANGLE_UNITS:
        for what, power in _ANGLES.items():
            yield what, float(power)
            yield what, -float(power)
        return
    for ten in _TENS:
        for sign in (1, -1):
            yield f"{10**ten:,} times too {'small' if sign > 0 else 'large'}", float(sign * ten)


def _sizes(numbers: Values) -> _Sizes:
    peak = np.abs(numbers[:, :2]).max(axis=1)
    logs = np.log10(np.stack([peak, np.maximum(numbers[:, 3], 1e-300)], axis=1))
    shapes = np.stack([numbers[:, 0] / peak, numbers[:, 2] / peak], axis=1)
    return _Sizes(logs, shapes)


def _decibels(column: Column, read: Callable[[int], Values]) -> Iterator[tuple[int, str]]:
    """Yield the clips that are linear where most are in dB, or in dB where most are linear."""
    least, largest, mean = column.numbers[:, :3].T
    moving = ~column.still
    in_db = (mean < -1) & (least >= _LOWEST_DB) & (largest <= _HIGHEST_DB)
    linear = (least >= 0) & (largest <= _HIGHEST_LINEAR)
    wanted: NDArray[np.bool_]
    if in_db.mean() >= 0.9 and not (linear & in_db).any():
        odd, wanted, what = linear & moving, in_db, "linear, but is in dB in most clips"
        ways: tuple[Callable[[Values], Values], ...] = (_to_db(20), _to_db(10))
    elif linear.mean() >= 0.9 and column.units.lower() not in _DB_UNITS:
        odd, wanted, what = (
            in_db & moving & (largest <= 0),
            linear,
            "like dB, but is linear in most clips",
        )
        ways = (lambda db: 10 ** (db / 20), lambda db: 10 ** (db / 10))
    else:
        return
    if not odd.any() or odd.sum() > most_odd(len(odd)) or wanted.sum() < _LEAST_SHAPES * 2:
        return
    lowest = float(least[wanted].min())
    usual = Usual.of(column.numbers[wanted])
    low, high = np.percentile(mean[wanted], (2, 98))
    pad = max(_DB_PAD if wanted is in_db else 0.1 * (high - low), float(usual.scale[2]))
    for at in np.flatnonzero(odd).tolist():
        values = read(int(column.clips[at]))
        moved = [np.maximum(way(values), lowest) for way in ways]
        top = float(largest[wanted].max())
        if any(low - pad <= m.mean() <= high + pad and m.max() <= top + pad for m in moved):
            yield int(column.clips[at]), f"{column.name!r} looks {what}"


def _to_db(factor: float) -> Callable[[Values], Values]:
    return lambda values: factor * np.log10(np.maximum(values, 1e-10))
