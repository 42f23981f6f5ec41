"""Counts of the labels of a categorical parameter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.stats.stored_numbers import stored_count

MAX_LABELS = 1024
"""Labels are not counted for a categorical parameter with more than this."""


def label_counts(values: NDArray[np.float64]) -> Counter[int] | None:
    """Count each label in `values` `[N]`; return None if there are more than `MAX_LABELS`."""
    labels, counts = np.unique(values, return_counts=True)
    if len(labels) > MAX_LABELS:
        return None
    return Counter({int(label): int(n) for label, n in zip(labels, counts, strict=True)})


def stored_labels(stored: Mapping[str, Any]) -> Counter[int] | None:
    """Return a parameter's label counts from `stats.json`; None if they were not counted."""
    labels = stored.get("labels")
    if labels is None:
        return None if stored["kind"] == "categorical" else Counter()
    if len(labels) > MAX_LABELS:
        raise ValueError(f"{len(labels):,} labels; at most {MAX_LABELS:,} are counted")
    return Counter({int(label): stored_count(n) for label, n in labels.items()})
