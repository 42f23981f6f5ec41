"""Values of one clip that fit the other clips only under another name or in another unit.

Of each parameter of each clip four numbers are known: least, largest, mean and deviation. A clip is
an outlier if they lie far outside of those of nearly all clips. That alone is no finding, for a
clip may be as it likes. It is one where they fit once two columns are exchanged, or all values are
scaled as a mistaken unit would. Outliers that nothing explains make a corpus too varied to tell,
and so do many of a kind: one clip in twenty may be a mistake, more are a part of the corpus.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from preprocess.audit.clip_checks import ClipSummary, ParameterSummary

Values = NDArray[np.float64]

_FEWEST = 10
"""Clips that have a parameter, for its usual values to be known."""
_MOST_PART = 0.05
_FAR, _NEAR = 8.0, 4.0
"""How many usual deviations away a clip is an outlier, and up to how many it fits."""
_LEAST_SCALE = 0.02
"""A deviation is at least this part of the usual width: rounding is no difference."""
_MOST_PARAMETERS = 24
"""Parameters of which pairs are compared; of more, those that are neighbours alone."""


@dataclass(frozen=True)
class Usual:
    """What is usual of a parameter: middle and deviation `[4]` of least, largest, mean, deviation.

    Attributes:
        middle: Medians over the clips.
        scale: Deviations, from the 10th and 90th percentile.
    """

    middle: Values
    scale: Values

    @classmethod
    def of(cls, numbers: Values) -> Usual:
        """Return what is usual of clips `[N, 4]`."""
        low, middle, high = np.percentile(numbers, (10, 50, 90), axis=0)
        width = max(float(middle[1] - middle[0]), 1e-12 * float(np.abs(middle).max()), 1e-300)
        return cls(middle, np.maximum((high - low) / 2.563, _LEAST_SCALE * width))

    def distance(self, numbers: Values) -> Values:
        """Return how many deviations clips `[N, 4]` are away, at the worst of their numbers."""
        away: Values = (np.abs(numbers - self.middle) / self.scale).max(axis=1)
        return away


@dataclass(frozen=True)
class Column:
    """One parameter in all clips that have it.

    Attributes:
        name: Its name.
        clips: Indices of the clips `[N]`.
        numbers: Least, largest, mean and deviation of each `[N, 4]`.
        kind: Its kind in most clips.
        units: Its units in most clips.
        still: Whether it is the same in all frames of each clip `[N]`.
        seconds: How long each clip lasts `[N]`.
        usual: What is usual of it.
    """

    name: str
    clips: NDArray[np.int64]
    numbers: Values
    kind: str
    units: str
    still: NDArray[np.bool_]
    seconds: Values
    usual: Usual


def collect_column(name: str, clips: Sequence[ClipSummary]) -> Column | None:
    """Return a parameter of all clips, None where too few have values."""
    found: list[ParameterSummary] = []
    indices = []
    for index, clip in enumerate(clips):
        parameter = (clip.parameters or {}).get(name)
        if parameter is not None and parameter.numbers is not None:
            found.append(parameter)
            indices.append(index)
    if len(found) < _FEWEST:
        return None
    numbers = np.array([parameter.numbers for parameter in found], np.float64)
    kind, units = (
        Counter(getattr(parameter, key) for parameter in found).most_common(1)[0][0]
        for key in ("kind", "units")
    )
    still = numbers[:, 0] == numbers[:, 1]
    seconds = np.array([clips[index].header.duration_s for index in indices])
    return Column(name, np.array(indices), numbers, kind, units, still, seconds, Usual.of(numbers))


def find_swapped(columns: Sequence[Column]) -> Iterator[tuple[int, str, str]]:
    """Yield the index and both names where two columns of a clip have changed places."""
    pairs: Iterable[tuple[Column, Column]] = combinations(columns, 2)
    if len(columns) > _MOST_PARAMETERS:
        pairs = pairwise(columns)
    for a, b in pairs:
        common, of_a, of_b = np.intersect1d(a.clips, b.clips, return_indices=True)
        if len(common) < _FEWEST:
            continue
        x, y = a.numbers[of_a], b.numbers[of_b]
        far = (a.usual.distance(x) > _FAR) & (b.usual.distance(y) > _FAR)
        fits = far & (b.usual.distance(x) < _NEAR) & (a.usual.distance(y) < _NEAR)
        if a.units == b.units:  # one of several labels is 1, the others are 0
            fits &= ~(a.still[of_a] & b.still[of_b])
        if not fits.any() or fits.sum() > most_odd(len(common)) or far.sum() > 2 * fits.sum():
            continue
        for index in common[fits].tolist():
            yield index, a.name, b.name


def most_odd(clips: int) -> int:
    """Return how many clips at most a mistake is in."""
    return max(1, int(_MOST_PART * clips))


def declared_ranges(name: str, clips: Sequence[ClipSummary]) -> tuple[list[tuple[int, str]], str]:
    """Return index and message of the clips whose declared range is not that of most.

    Where no range is that of most, there are none, and a message on the whole corpus instead.
    """
    ranges: dict[int, tuple[float, float]] = {}
    for index, clip in enumerate(clips):
        parameter = (clip.parameters or {}).get(name)
        if parameter is not None and parameter.declared is not None:
            low, high = parameter.declared
            if low < high:
                ranges[index] = (float(f"{low:.5g}"), float(f"{high:.5g}"))
    counts = Counter(ranges.values())
    if len(counts) < 2:
        return [], ""
    (low, high), most = counts.most_common(1)[0]
    if 2 * most <= len(ranges):
        text = f"{name!r} has {len(counts)} declared ranges in {len(ranges)} clips"
        return [], f"{text}, so that the same value is normalized differently"
    return [
        (
            index,
            f"{name!r} is declared from {own[0]:g} to {own[1]:g}, in most clips from {low:g} to "
            f"{high:g}",
        )
        for index, own in ranges.items()
        if own != (low, high)
    ], ""
