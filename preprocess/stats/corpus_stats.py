"""Statistics of parameters over a corpus: streaming, mergeable across shards, NaN-aware.

    stats = CorpusStats()
    for path in token_files:
        stats.update(read_sidecar(path).parameters)
    write_stats(root / "stats.json", {"train": stats})

A clip's own statistics are in its sidecar (`preprocess.sidecar.parameters.measure`); models are trained
with these. A circular parameter (an angle, a phase) has a circular mean and standard deviation: the
mean of 350 and 10 degrees is 0, not 180.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from preprocess.core.errors import PreprocessError
from preprocess.core.files import write_bytes
from preprocess.core.untrusted import clipped, open_regular, shown
from preprocess.sidecar.parameter_info import ParameterInfo
from preprocess.sidecar.parameters import Parameter
from preprocess.stats.parameter_stats import ParameterStats, StatsError
from preprocess.stats.stored_numbers import stored_count

__all__ = ["STATS_NAME", "CorpusStats", "ParameterStats", "StatsError", "read_stats", "write_stats"]

STATS_NAME = "stats.json"
STATS_VERSION = 2
_MAX_STATS_BYTES = 64 << 20


class CorpusStats(Mapping[str, ParameterStats]):
    """Statistics of every parameter of a corpus: a mapping name -> `ParameterStats`.

    Attributes:
        clips: Number of clips added.
    """

    def __init__(self) -> None:
        self.clips = 0
        self._parameters: dict[str, ParameterStats] = {}

    def __getitem__(self, name: str) -> ParameterStats:
        return self._parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def update(self, parameters: Mapping[str, Parameter]) -> None:
        """Add the parameters of one clip, as `preprocess.sidecar.reading.read_sidecar` returns them.

        Raises:
            StatsError: A value is infinite, or a parameter's kind, unit or period differs from
                that of earlier clips; nothing is added.
        """
        piece = CorpusStats()
        piece.clips = 1
        for name, parameter in parameters.items():
            declared = (parameter.min, parameter.max) if parameter.declared else (None, None)
            stats = ParameterStats(
                units=parameter.units, declared_min=declared[0], declared_max=declared[1]
            )
            try:
                stats.update(parameter.values, parameter.kind, parameter.period)
            except StatsError as error:
                raise StatsError(f"parameter {name!r}: {error}") from None
            piece._parameters[name] = stats
        self.merge(piece)

    def merge(self, other: CorpusStats) -> None:
        """Add the statistics of `other`.

        Raises:
            StatsError: A parameter's kind, unit or period differs; nothing is added.
        """
        for name, stats in other.items():
            try:
                self._parameters.get(name, ParameterStats()).check_fits(stats)
            except StatsError as error:
                raise StatsError(f"parameter {name!r}: {error}") from None
        for name, stats in other.items():
            self._parameters.setdefault(name, ParameterStats()).merge(stats)
        self.clips += other.clips

    def declare(self, parameters: Mapping[str, ParameterInfo]) -> None:
        """Set the declared ranges to those of `parameters`, which may cover more clips."""
        for name, stats in self.items():
            stats.declared_min, stats.declared_max = parameters[name].min, parameters[name].max

    def to_dict(self) -> dict[str, Any]:
        """Return the statistics as JSON values."""
        parameters = {name: stats.to_dict() for name, stats in self.items()}
        return {"clips": self.clips, "features": parameters}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> CorpusStats:
        """Return the statistics that `to_dict` stored.

        Raises:
            StatsError: The format is not that of `to_dict`.
        """
        stats = cls()
        try:
            stats.clips = stored_count(stored["clips"])
            for name, entry in stored["features"].items():
                stats._parameters[str(name)] = ParameterStats.from_dict(entry)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StatsError(f"invalid statistics of a corpus: {clipped(error)}") from None
        return stats


def write_stats(path: Path, splits: Mapping[str, CorpusStats]) -> None:
    """Write the statistics of each split to a JSON file, atomically.

    Raises:
        StatsError: A statistic is infinite.
        DiskError: The disk is full or read-only, or permission is denied.
    """
    try:
        content = stats_bytes(splits)
    except StatsError as error:
        raise StatsError(f"{path}: {error}") from None
    write_bytes(path, content)


def stats_bytes(splits: Mapping[str, CorpusStats]) -> bytes:
    """Return the content of the file that `write_stats` writes.

    Raises:
        StatsError: A statistic is infinite.
    """
    stored = {
        "version": STATS_VERSION,
        "splits": {name: stats.to_dict() for name, stats in splits.items()},
    }
    try:
        return json.dumps(stored, allow_nan=False).encode()
    except ValueError:  # squares of huge values, summed
        raise StatsError("a statistic is infinite; the values are too large") from None


def read_stats(path: Path) -> dict[str, CorpusStats]:
    """Return the statistics of each split that `write_stats` wrote.

    Raises:
        StatsError: The file is missing, too large, of another version, or invalid.
    """
    try:
        with open_regular(path) as file:
            if os.fstat(file.fileno()).st_size > _MAX_STATS_BYTES:
                raise StatsError(f"{path} is larger than {_MAX_STATS_BYTES >> 20} MiB")
            stored = json.loads(file.read())
        if stored["version"] != STATS_VERSION:
            raise StatsError(
                f"{path} is version {shown(stored['version'])}, not {STATS_VERSION}: rewrite it with "
                f"preprocess stats or, for a dataset, preprocess build"
            )
        splits = stored["splits"].items()
        return {str(name): CorpusStats.from_dict(entry) for name, entry in splits}
    except PreprocessError as error:
        text = str(error)
        raise StatsError(text if text.startswith(str(path)) else f"{path}: {text}") from None
    except OSError as error:
        raise StatsError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        raise StatsError(f"{path} is not a file of statistics") from None
