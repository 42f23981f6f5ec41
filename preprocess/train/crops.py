"""Crops of a dataset: codes and parameters at the same frames, determined by a seed.

dataset = load_dataset("me/sounds", split="train")
crops = AlignedCrops(dataset, frames=256, stats="stats.json")
loader = DataLoader(crops, batch_size=32, collate_fn=collate)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from preprocess.train.batch import Crop, CropBatch
from preprocess.train.cutting import Cutter, Spans
from preprocess.train.drawing import Drawing, make_drawing
from preprocess.train.scaling import find_stats, make_scaler
from preprocess.train.settings import Categorical, CropSettings, Sample, Scale, Short
from preprocess.train.source import Source

if TYPE_CHECKING:
    from datasets import Dataset

    from preprocess.stats import CorpusStats

Counts = NDArray[np.int64]
Place = int | tuple[int, int]
"""A crop's number in the current epoch, or an epoch and the crop's number in it."""
_AHEAD = 1024
"""Crops to draw at once for consecutive batches, so that numpy's overhead per crop is small."""


class AlignedCrops(torch.utils.data.Dataset):
    """The crops of an epoch, as a map-style dataset that is already shuffled.

    Crop `i` of an epoch depends only on the seed, the epoch and `i`. The dataset keeps no list of
    places, and a crop reads only its own frames.

    Args:
        dataset: A dataset that this project wrote: a built folder, `load_dataset` of the script,
            or Parquet.
        frames: Length of a crop in frames; None for whole clips.
        codebooks: Number of codebooks to use, from the first; None for all.
        parameters: Names of the parameters to use, in this order; None for all.
        stats: Statistics of the training split, or the path of the `stats.json` that has them; None
            to scale by the ranges that the dataset declares.
        scale: Scaling of continuous parameters: `minmax`, `zscore` or `none`.
        seed: Determines every random choice.
        clips_per_crop: Number of clips that share a crop, each with an equal part of its frames.
        short: What to do with a clip that is shorter than a crop: `pad`, `skip` or `loop` it.
        sample: What to sample evenly: `clips`, `frames` or `tiles` (every frame once per epoch).
        epoch_size: Number of crops in an epoch; None to derive it from `sample`.
        categorical: Form of labels: `ids` from 0, or `onehot` rows.
        times: Whether a crop includes the start of each frame in seconds.

    Attributes:
        settings: The settings above, without the dataset and the statistics.
        epoch: The current epoch.

    Raises:
        TrainError: The dataset, the statistics or the settings cannot make crops.
    """

    def __init__(
        self,
        dataset: Dataset,
        frames: int | None = 256,
        codebooks: int | None = None,
        parameters: Sequence[str] | None = None,
        stats: CorpusStats | dict[str, CorpusStats] | str | Path | None = None,
        scale: Scale = "minmax",
        seed: int = 0,
        clips_per_crop: int = 1,
        short: Short = "pad",
        sample: Sample = "clips",
        epoch_size: int | None = None,
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
            clips_per_crop=clips_per_crop,
            short=short,
            sample=sample,
            epoch_size=epoch_size,
            times=times,
        )
        self.source = Source(dataset, self.settings.codebooks, self.settings.parameters)
        self.scaler = make_scaler(self.source.known, find_stats(stats), scale, categorical)
        self.drawing: Drawing = make_drawing(self.source, self.settings)
        self._cutter = Cutter(
            self.source.all_codebooks, self.n_codebooks, self.padding_id, self.scaler
        )
        # In shared memory, so that persistent workers see the next epoch.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self._ahead: tuple[tuple[int, int], Counts] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_ahead": None}

    @property
    def codec(self) -> str:
        """Name of the codec that made the rows."""
        return self.source.spec.name

    @property
    def n_codebooks(self) -> int:
        """K of a crop."""
        return self.source.codebooks

    @property
    def padding_id(self) -> int:
        """Value of `codes` in padding: the number of codes in a codebook."""
        return self.source.spec.codebook_size

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the P rows of `parameters`, such as `level`, `angle.sin`, `family=3`."""
        return self.scaler.names

    @property
    def epoch(self) -> int:
        """The current epoch."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Go to an epoch, in running workers, too."""
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return self.drawing.size

    def __getitem__(self, place: Place) -> Crop:
        """Return a crop: the keys of `collate`, without the first axis."""
        crop: Crop = self.__getitems__([place])[0]
        return crop

    def __getitems__(self, places: Sequence[Place]) -> CropBatch:
        """Return several crops, whose tensors are allocated together."""
        parts = self.settings.clips_per_crop
        spans = self._spans(*self._split(places))
        frames = self.settings.frames or int(spans.lengths.max(initial=1))
        loop = self.settings.short == "loop"
        batch = self._cutter.cut(spans, frames, parts, loop)
        if self.settings.frames is None:
            batch.lengths = spans.lengths.tolist()
        if self.settings.times:
            seconds = self.source.times(
                spans.clips, spans.starts, spans.lengths, frames // parts, loop
            )
            batch.tensors["times"] = seconds.reshape(len(places), frames)
        return batch

    def _spans(self, epochs: Counts, numbers: Counts) -> Spans:
        """Return the parts of the crops, in order."""
        found = self._drawn(epochs, numbers)
        chunks, rows = self.source.rows.find(found[0])
        return Spans(found[0], chunks, rows, found[1], found[2])

    def _drawn(self, epochs: Counts, numbers: Counts) -> Counts:
        """Return clip, first frame and length of each part of the crops, `[3, B * clips_per_crop]`."""
        parts, (block, at) = self.settings.clips_per_crop, divmod(int(numbers[0]), _AHEAD)
        if not (epochs == epochs[0]).all():
            found = np.empty((3, len(numbers), parts), np.int64)
            for epoch in dict.fromkeys(epochs.tolist()):
                mine = epochs == epoch
                drawn = self.drawing.spans(epoch, numbers[mine])
                found[:, mine] = np.reshape(drawn, (3, -1, parts))
            return found.reshape(3, -1)
        epoch, count = int(epochs[0]), len(numbers)
        if count < 8 or at + count > _AHEAD or (np.diff(numbers) != 1).any():
            return np.array(self.drawing.spans(epoch, numbers))
        if self._ahead is None or self._ahead[0] != (epoch, block):
            every = np.arange(block * _AHEAD, min((block + 1) * _AHEAD, len(self)))
            self._ahead = (epoch, block), np.array(self.drawing.spans(epoch, every))
        return self._ahead[1][:, at * parts : (at + count) * parts]

    def _split(self, places: Sequence[Place]) -> tuple[Counts, Counts]:
        """Return the epoch and the number of each place."""
        current, size = self.epoch, self.drawing.size
        pairs = [p if isinstance(p, tuple) else (current, p) for p in places]
        epochs, numbers = np.array(pairs, np.int64).reshape(-1, 2).T
        if numbers.min() < -size or numbers.max() >= size:
            raise IndexError(f"an epoch has {size} crops")
        return epochs, numbers % size
