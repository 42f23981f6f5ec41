"""Crops of a stream, which has no length and no row numbers.

    dataset = load_dataset("me/sounds", split="train", streaming=True)
    crops = StreamedCrops(dataset.shuffle(seed=0, buffer_size=1_000), stats="stats.json")
    loader = DataLoader(crops, batch_size=32, collate_fn=collate)

The crop of a clip in an epoch depends only on the seed, the epoch and the clip's id, so it is the same
for any number of nodes, workers and shards. The stream determines the order of the clips.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from preprocess.dataset.schema import read_parameters
from preprocess.train.batch import Crop
from preprocess.train.cutting import Cutter, Spans
from preprocess.train.geometry import count_places, count_tiles, place_spans, select, tile_spans
from preprocess.train.permutation import derive_keys, draw, hashed
from preprocess.train.scaling import find_stats, make_scaler
from preprocess.train.settings import Categorical, CropSettings, Sample, Scale, Short, TrainError
from preprocess.train.source import Source

if TYPE_CHECKING:
    from datasets import IterableDataset

    from preprocess.stats import CorpusStats

Counts = NDArray[np.int64]
_COLUMNS = ("id", "codes", "features", "model", "n_frames", "audio_length")
_AT_ONCE = 32
"""Number of rows to cut together."""


class StreamedCrops(torch.utils.data.IterableDataset):
    """The crops of a stream, one after another.

    Shuffle the stream with `dataset.shuffle(seed, buffer_size)`, and split it among nodes with
    `datasets.distributed.split_dataset_by_node`; the workers of a `DataLoader` share its shards.

    Args:
        dataset: A stream of a dataset that this project wrote.
        frames: Length of a crop in frames. This and the other arguments are those of `AlignedCrops`.
        codebooks: Number of codebooks to use.
        parameters: Names of the parameters to use.
        stats: Statistics of the training split.
        scale: Scaling of continuous parameters.
        seed: Determines every random choice.
        short: What to do with a clip that is shorter than a crop.
        sample: `clips` for one crop per clip, `frames` for random crops in proportion to the clip's
            length, `tiles` for all consecutive crops.
        categorical: Form of labels.
        times: Whether a crop includes the start of each frame in seconds.

    Raises:
        TrainError: The stream is empty, or its first row cannot make crops.
    """

    def __init__(
        self,
        dataset: IterableDataset,
        frames: int | None = 256,
        codebooks: int | None = None,
        parameters: Sequence[str] | None = None,
        stats: CorpusStats | dict[str, CorpusStats] | str | Path | None = None,
        scale: Scale = "minmax",
        seed: int = 0,
        short: Short = "pad",
        sample: Sample = "clips",
        categorical: Categorical = "ids",
        times: bool = False,
    ) -> None:
        self.settings = CropSettings(
            frames=frames,
            codebooks=codebooks,
            parameters=parameters,
            scale=scale,
            categorical=categorical,
            seed=seed,
            short=short,
            sample=sample,
            times=times,
        )
        self.dataset = dataset.with_format("arrow")
        self._told = read_parameters(dataset.features or {})
        first = next(iter(self.dataset), None)
        if first is None:
            raise TrainError("the stream is empty: it has no clip to cut crops from")
        source = self._source(first)
        self._spec, self._all, self.n_codebooks = (
            source.spec,
            source.all_codebooks,
            source.codebooks,
        )
        self.scaler = make_scaler(source.known, find_stats(stats), scale, categorical)
        self._cutter = Cutter(self._all, self.n_codebooks, self.padding_id, self.scaler)
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    @property
    def padding_id(self) -> int:
        """Value of `codes` in padding: the number of codes in a codebook."""
        return self._spec.codebook_size

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the P rows of `parameters`."""
        return self.scaler.names

    def set_epoch(self, epoch: int) -> None:
        """Go to an epoch, which has other crops, and another order if the stream is shuffled."""
        self._epoch.fill_(epoch)
        self.dataset.set_epoch(epoch)

    def __iter__(self) -> Iterator[Crop]:
        rows = iter(self.dataset)
        while tables := list(islice(rows, _AT_ONCE)):
            table = pa.concat_tables(
                (t.select([n for n in _COLUMNS if n in t.column_names]) for t in tables),
                promote_options="permissive",
            )
            yield from self._cut(table)

    def _source(self, table: pa.Table) -> Source:
        return Source(table, self.settings.codebooks, self.settings.parameters, self._told)

    def _cut(self, table: pa.Table) -> Iterator[Crop]:
        source = self._source(table)
        if (source.spec, source.all_codebooks) != (self._spec, self._all):
            raise TrainError(
                f"clip {source.name(0)!r} has {source.spec.name} with {source.all_codebooks} "
                f"codebooks, but the first of the stream has {self._spec.name} with {self._all}"
            )
        clips, starts, lengths = self._spans(source)
        if not len(clips):
            return
        chunks, rows = source.rows.find(clips)
        frames = self.settings.frames or int(lengths.max())
        loop = self.settings.short == "loop"
        batch = self._cutter.cut(Spans(clips, chunks, rows, starts, lengths), frames, 1, loop)
        if self.settings.frames is None:
            batch.lengths = lengths.tolist()
        if self.settings.times:
            batch.tensors["times"] = source.times(clips, starts, lengths, frames, loop)
        yield from batch

    def _spans(self, source: Source) -> tuple[Counts, Counts, Counts]:
        """Return clip, first frame and length of each crop of some rows."""
        width, clips = self.settings.frames, np.arange(len(source))
        if width is None:
            return clips, np.zeros_like(clips), source.frames
        pieces, skip = source.pieces(None), self.settings.short == "skip"
        if self.settings.sample == "tiles":
            counts = count_tiles(pieces, width, skip)
            clips, tiles = _repeat(counts)
            return (clips, *tile_spans(select(pieces, clips), width, tiles, skip))
        places = count_places(pieces, width)
        keys = np.array([_key(source.name(clip)) for clip in clips.tolist()], np.uint64)
        start_key, count_key = derive_keys(2, "stream", self.settings.seed, int(self._epoch))
        counts = np.where((places == 0) & skip, 0, 1)
        if self.settings.sample == "frames":
            part = hashed(keys, count_key) / 2.0**64
            counts *= np.floor(source.frames / width + part).astype(np.int64)
        clips, number = _repeat(counts)
        at = draw(keys[clips] + number.astype(np.uint64), np.maximum(places[clips], 1), start_key)
        return (clips, *place_spans(select(pieces, clips), width, at))


def _key(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")


def _repeat(counts: Counts) -> tuple[Counts, Counts]:
    """Repeat each clip `counts` times; return the clips and the number of each repetition."""
    clips: Any = np.repeat(np.arange(len(counts)), counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    return clips, np.arange(len(clips)) - first
