"""Statistics of a dataset's parameters, computed from its Arrow columns without its sidecars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from preprocess.dataset.schema import read_parameters
from preprocess.sidecar.parameter_info import ParameterInfo
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
        stats.merge(table_stats(table, described))
    return stats


def table_stats(table: pa.Table, parameters: Mapping[str, ParameterInfo]) -> CorpusStats:
    """Return the statistics of each parameter over all frames of a table of rows.

    Args:
        table: Rows, with the column `features`.
        parameters: Description of each parameter.

    Raises:
        StatsError: A value is infinite.
    """
    stats = CorpusStats()
    if parameters and len(table):
        struct = table.column("features").combine_chunks()
        struct = pa.concat_arrays(struct.chunks) if isinstance(struct, pa.ChunkedArray) else struct
        stats.update(  # all clips at once: ten times as fast
            {
                name: Parameter.from_info(
                    info, np.asarray(struct.field(name).flatten().to_numpy(zero_copy_only=False))
                )
                for name, info in parameters.items()
            }
        )
    stats.clips = len(table)
    return stats
