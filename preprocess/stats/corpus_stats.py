"""Statistics of parameters over a corpus: from streams, mergeable between shards, NaN-aware.

    stats = CorpusStats()
    for path in token_files:
        stats.update(read_sidecar(path).features)
    write_stats(root / "stats.json", {"train": stats})

A clip's own statistics stand in its sidecar (`preprocess.sidecar.features.measure`); these are what a
model is trained with. A circular feature (an angle, a phase) has a circular mean and standard
deviation: the mean of 350 and 10 degrees is 0, not 180.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from preprocess.core.files import write_bytes
from preprocess.sidecar.features import Feature
from preprocess.stats.feature_stats import FeatureStats, StatsError

__all__ = ["STATS_NAME", "CorpusStats", "FeatureStats", "StatsError", "read_stats", "write_stats"]

STATS_NAME = "stats.json"
STATS_VERSION = 2
_MAX_STATS_BYTES = 64 << 20


class CorpusStats(Mapping[str, FeatureStats]):
    """Statistics of every parameter of a corpus: a mapping name -> `FeatureStats`.

    Attributes:
        clips: How many clips it has seen.
    """

    def __init__(self) -> None:
        self.clips = 0
        self._features: dict[str, FeatureStats] = {}

    def __getitem__(self, name: str) -> FeatureStats:
        return self._features[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._features)

    def __len__(self) -> int:
        return len(self._features)

    def update(self, features: Mapping[str, Feature]) -> None:
        """Add the features of one clip, as `preprocess.sidecar.reading.read_sidecar` returns them.

        Raises:
            StatsError: A value is infinite, or a feature's kind, unit or period is not that of
                the clips before; nothing was added then.
        """
        piece = CorpusStats()
        piece.clips = 1
        for name, feature in features.items():
            declared = (feature.min, feature.max) if feature.declared else (None, None)
            stats = FeatureStats(
                units=feature.units, declared_min=declared[0], declared_max=declared[1]
            )
            try:
                stats.update(feature.values, feature.kind, feature.period)
            except StatsError as error:
                raise StatsError(f"feature {name!r}: {error}") from None
            piece._features[name] = stats
        self.merge(piece)

    def merge(self, other: CorpusStats) -> None:
        """Add all that `other` has seen.

        Raises:
            StatsError: A feature's kind, unit or period differs; nothing was added then.
        """
        for name, stats in other.items():
            try:
                self._features.get(name, FeatureStats()).check_fits(stats)
            except StatsError as error:
                raise StatsError(f"feature {name!r}: {error}") from None
        for name, stats in other.items():
            self._features.setdefault(name, FeatureStats()).merge(stats)
        self.clips += other.clips

    def to_dict(self) -> dict[str, Any]:
        """Return the statistics as JSON can hold them."""
        features = {name: stats.to_dict() for name, stats in self.items()}
        return {"clips": self.clips, "features": features}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> CorpusStats:
        """Return the statistics that `to_dict` stored.

        Raises:
            StatsError: They are not of that form.
        """
        stats = cls()
        try:
            stats.clips = int(stored["clips"])
            for name, entry in stored["features"].items():
                stats._features[str(name)] = FeatureStats.from_dict(entry)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StatsError(f"these are no statistics of a corpus: {error}") from None
        return stats


def write_stats(path: Path, splits: Mapping[str, CorpusStats]) -> None:
    """Write the statistics of each split to a JSON file, whole or not at all."""
    stored = {
        "version": STATS_VERSION,
        "splits": {name: stats.to_dict() for name, stats in splits.items()},
    }
    write_bytes(path, json.dumps(stored, allow_nan=False).encode())


def read_stats(path: Path) -> dict[str, CorpusStats]:
    """Return the statistics of each split that `write_stats` wrote.

    Raises:
        StatsError: The file is missing, or none of these.
    """
    try:
        if path.stat().st_size > _MAX_STATS_BYTES:
            raise StatsError(f"{path} is larger than {_MAX_STATS_BYTES >> 20} MiB")
        stored = json.loads(path.read_bytes())
        if stored["version"] != STATS_VERSION:
            raise StatsError(
                f"{path} is of version {stored['version']}, not {STATS_VERSION}: write it again, "
                f"by preprocess stats or, beside a dataset, by preprocess build"
            )
        splits = stored["splits"].items()
        return {str(name): CorpusStats.from_dict(entry) for name, entry in splits}
    except StatsError as error:
        text = str(error)
        raise StatsError(text if text.startswith(str(path)) else f"{path}: {text}") from None
    except OSError as error:
        raise StatsError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        raise StatsError(f"{path} holds no statistics") from None
