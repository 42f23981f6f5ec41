"""Counts of the labels of a categorical parameter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_LABELS = 1024
"""A categorical parameter of more labels is not counted label by label."""


def label_counts(values: NDArray[np.float64]) -> Counter[int] | None:
    """Return how often each label occurs in `values` `[N]`, None if there are too many labels."""
    labels, counts = np.unique(values, return_counts=True)
    if len(labels) > MAX_LABELS:
        return None
    return Counter({int(label): int(n) for label, n in zip(labels, counts, strict=True)})


def stored_labels(stored: Mapping[str, Any]) -> Counter[int] | None:
    """Return the counts that `stats.json` holds of a parameter, None where there are none."""
    labels = stored.get("labels")
    if labels is None:
        return None if stored["kind"] == "categorical" else Counter()
    return Counter({int(label): int(n) for label, n in labels.items()})
