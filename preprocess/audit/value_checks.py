"""Finds clips whose values match the other clips only under another name or in another unit.

Each parameter of each clip has four numbers: minimum, maximum, mean and standard deviation. A clip
is an outlier if they are far from those of nearly all clips. An outlier alone is not a finding,
because clips may differ. It becomes one if the numbers match after two columns are swapped, or
after a unit conversion. Unexplained outliers mean that the corpus is too varied to judge. So do many
similar findings: one clip in twenty may be a mistake, more are part of the corpus.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from preprocess.audit.summaries import ClipSummary, ParameterSummary

Values = NDArray[np.float64]

_FEWEST = 10
"""Fewest clips from which a parameter's usual values are known."""
_MOST_PART = 0.05
_FAR, _NEAR = 8.0, 4.0
"""A clip beyond `_FAR` usual deviations is an outlier; one within `_NEAR` matches."""
_LEAST_SCALE = 0.02
"""Least deviation, as a fraction of the usual width, so that rounding does not count."""
_MOST_PARAMETERS = 24
"""With more parameters than this, only neighbouring columns are compared."""


@dataclass(frozen=True)
class Usual:
    """A parameter's usual minimum, maximum, mean and standard deviation.

    Attributes:
        middle: Median of each over the clips `[4]`.
        scale: Deviation of each over the clips `[4]`, from the 10th and 90th percentiles.
    """

    middle: Values
    scale: Values

    @classmethod
    def of(cls, numbers: Values) -> Usual:
        """Return the usual numbers of clips `[N, 4]`."""
        low, middle, high = np.percentile(numbers, (10, 50, 90), axis=0)
        width = max(float(middle[1] - middle[0]), 1e-12 * float(np.abs(middle).max()), 1e-300)
        return cls(middle, np.maximum((high - low) / 2.563, _LEAST_SCALE * width))

    def distance(self, numbers: Values) -> Values:
        """Return the largest deviation of each clip's numbers `[N, 4]`, in units of `scale`, `[N]`."""
        away: Values = (np.abs(numbers - self.middle) / self.scale).max(axis=1)
        return away


@dataclass(frozen=True)
class Column:
    """One parameter in all clips that have it.

    Attributes:
        name: Its name.
        clips: Indices of the clips `[N]`.
        numbers: Minimum, maximum, mean and standard deviation in each clip `[N, 4]`.
        kind: Its kind in most clips.
        units: Its units in most clips.
        still: Whether it is constant in each clip `[N]`.
        seconds: Duration of each clip `[N]`, in seconds.
        usual: Its usual numbers.
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
    """Return a parameter of all clips, or None if too few clips have values."""
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
    """Yield the clip's index and both names for each pair of swapped columns."""
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
        if a.units == b.units:  # columns of a one-hot label are legitimately 0 or 1
            fits &= ~(a.still[of_a] & b.still[of_b])
        if not fits.any() or fits.sum() > most_odd(len(common)) or far.sum() > 2 * fits.sum():
            continue
        for index in common[fits].tolist():
            yield index, a.name, b.name


def most_odd(clips: int) -> int:
    """Return the largest number of clips, of `clips`, that may share a mistake."""
    return max(1, int(_MOST_PART * clips))


def declared_ranges(name: str, clips: Sequence[ClipSummary]) -> tuple[list[tuple[int, str]], str]:
    """Return the index and a message for each clip whose declared range differs from most.

    If no range has a majority, return no clips and a message about the whole corpus.
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
        return [], f"{text}, so the same value is normalized differently"
    return [
        (
            index,
            f"{name!r} is declared from {own[0]:g} to {own[1]:g}, in most clips from {low:g} to "
            f"{high:g}",
        )
        for index, own in ranges.items()
        if own != (low, high)
    ], ""
