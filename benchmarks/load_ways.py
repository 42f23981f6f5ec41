"""The loaders that `benchmarks.load` compares; all return crops of the same shapes.

Each opens its folder and returns an endless iterator of batches of codes int64 `[B, K, T]` and values
float32 `[B, P, T]` from 0 to 1, at random places.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from benchmarks import load_data

FRAMES, BATCH = 256, 32
_LOW = np.array([[low] for low, _ in load_data.RANGES.values()], np.float32)
_SPAN = np.array([[high - low] for low, high in load_data.RANGES.values()], np.float32)


def ours(folder: Path, workers: int) -> Iterator[Any]:
    """`AlignedCrops` over the memory-mapped dataset."""
    from datasets import Dataset as Rows

    from preprocess.train import AlignedCrops, ElasticLoader

    crops = AlignedCrops(Rows.load_from_disk(folder), frames=FRAMES)
    return _repeat(ElasticLoader(crops, BATCH, num_workers=workers))


class _Rows(Dataset):
    """Rows through a format of `datasets`, sliced."""

    def __init__(self, folder: Path, kind: str) -> None:
        from datasets import Dataset as Rows

        rows = Rows.load_from_disk(folder)
        self.rows = rows.with_format(kind, columns=["codes", "features"])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: int) -> tuple[torch.Tensor, torch.Tensor]:
        row = self.rows[at]
        values = row["features"].values()
        return _cut(row["codes"], values)


class _Files(Dataset):
    """The predecessor's loader: three files per item, and a list of every start frame."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.glob("*.ecdc"))
        self.starts = []
        for index, path in enumerate(self.paths):
            length = np.load(path.with_suffix(".cond.npy"), mmap_mode="r").shape[0]
            self.starts += [(index, start) for start in range(length - FRAMES + 1)]

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, at: int) -> tuple[torch.Tensor, torch.Tensor]:
        index, start = self.starts[at]
        path = self.paths[index]
        codes = torch.load(path, weights_only=True)["audio_codes"][0, 0]
        values = np.load(path.with_suffix(".cond.npy"))
        norms = json.loads(path.with_suffix(".cond.json").read_text())["features"]
        part = values[start : start + FRAMES].T.astype(np.float32)
        for row, norm in zip(part, norms.values(), strict=True):
            row -= norm["min"]
            row /= norm["max"] - norm["min"]
        return codes[:, start : start + FRAMES].clone(), torch.from_numpy(part)


def datasets_numpy(folder: Path, workers: int) -> Iterator[Any]:
    """The numpy format of `datasets`."""
    return _repeat(_shuffled(_Rows(folder, "numpy"), workers))


def datasets_torch(folder: Path, workers: int) -> Iterator[Any]:
    """The torch format of `datasets`."""
    return _repeat(_shuffled(_Rows(folder, "torch"), workers))


def predecessor(folder: Path, workers: int) -> Iterator[Any]:
    """One `torch.load`, one `np.load` and one JSON file per item."""
    return _repeat(_shuffled(_Files(folder), workers))


def webdataset(folder: Path, workers: int) -> Iterator[Any]:
    """Tars of `.npy`, in their own order within a shuffle buffer of 500 clips."""
    import webdataset as wds

    shards = sorted(map(str, folder.glob("*.tar")))
    made = (
        wds.WebDataset(shards, shardshuffle=len(shards), nodesplitter=None, empty_check=False)
        .shuffle(500)
        .decode()
        .map(lambda item: _cut(item["codes.npy"], item["values.npy"]))
    )
    return _repeat(DataLoader(made, BATCH, num_workers=workers))


def litdata(folder: Path, workers: int) -> Iterator[Any]:
    """LitData's chunks, shuffled."""
    from litdata import StreamingDataLoader, StreamingDataset

    class Crops(StreamingDataset):
        def __getitem__(self, at: Any) -> Any:
            item = super().__getitem__(at)
            return _cut(item["codes"], item["values"])

    made = Crops(str(folder), shuffle=True)
    return _repeat(StreamingDataLoader(made, batch_size=BATCH, num_workers=workers))


Write = Callable[[Path, int, int], None]
WAYS: dict[str, tuple[Callable[[Path, int], Iterator[Any]], str, Write]] = {
    "ours": (ours, "arrow", load_data.write_arrow),
    "datasets, numpy": (datasets_numpy, "arrow", load_data.write_arrow),
    "datasets, torch": (datasets_torch, "arrow", load_data.write_arrow),
    "predecessor": (predecessor, "files", load_data.write_predecessor),
    "WebDataset": (webdataset, "tars", load_data.write_tars),
    "LitData": (litdata, "litdata", load_data.write_litdata),
}
"""Name -> function that opens it, folder of its format, and function that writes the folder."""


def _cut(codes: Any, values: Iterable[Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a crop of codes `[K, T]` and of P value arrays `[T]`, scaled."""
    start = random.randrange(max(1, codes.shape[1] - FRAMES + 1))
    part = np.stack([np.asarray(v[start : start + FRAMES], np.float32) for v in values])
    cut = torch.as_tensor(codes[:, start : start + FRAMES]).long()
    return cut, torch.from_numpy((part - _LOW) / _SPAN)


def _shuffled(rows: Dataset, workers: int) -> DataLoader:
    return DataLoader(rows, BATCH, shuffle=True, num_workers=workers)


def _repeat(loader: Iterable[Any]) -> Iterator[Any]:
    while True:
        for batch in loader:
            if isinstance(batch, dict):
                yield batch["codes"], batch["parameters"]
            else:
                yield tuple(batch)
