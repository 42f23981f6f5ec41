"""Statistics of a dataset's parameters, computed from its Arrow columns without its sidecars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from preprocess.dataset.schema import read_parameters
from preprocess.sidecar.parameters import Parameter
from preprocess.stats.corpus_stats import CorpusStats

if TYPE_CHECKING:
    import datasets

_BATCH_BYTES = 64 << 20


def corpus_stats(rows: datasets.Dataset) -> CorpusStats:
    """Return the statistics of each parameter over all frames of `rows`, counting NaN separately.

    Raises:
        StatsError: A value is infinite.
    """
    stats = CorpusStats()
    described = read_parameters(rows.features)
    if not described or not len(rows):
        return stats
    columns = rows.select_columns(["features"]).with_format("arrow")
    batch = max(1, _BATCH_BYTES * len(rows) // max(1, columns.data.nbytes))
    for table in columns.iter(batch_size=min(batch, 1000)):
        struct = table.column("features").combine_chunks()
        parameters = {
            name: Parameter.from_info(
                info, np.asarray(struct.field(name).flatten().to_numpy(zero_copy_only=False))
            )
            for name, info in described.items()
        }
        piece = CorpusStats()
        piece.update(parameters)  # all clips of the batch at once: ten times as fast
        piece.clips = len(table)
        stats.merge(piece)
    return stats
