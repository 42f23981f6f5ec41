"""Subsets of a published dataset: the description of a saved dataset at one bandwidth.

`enchf.json` in a Hub repository describes all its subsets. The card is generated from it, so a push
of one subset keeps the others on the card.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preprocess.core.errors import PreprocessError, UsageError, nearest
from preprocess.core.untrusted import clipped, shown
from preprocess.dataset.clips import DatasetError
from preprocess.dataset.corpus import corpus_stats
from preprocess.dataset.schema import read_parameters
from preprocess.publish.listen_info import Listen
from preprocess.publish.stored_info import check_listen, check_subsets
from preprocess.shards.reading import INFO_NAME
from preprocess.sidecar.parameter_info import ParameterInfo
from preprocess.stats.corpus_stats import STATS_NAME, CorpusStats, read_stats
from preprocess.tokens.specs import CODECS, codec_spec

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

NEEDED = ("id", "codes", "model", "bandwidth_kbps", "fps", "sample_rate", "audio_length")
_INFO_VERSION = 1


@dataclass(frozen=True)
class Subset:
    """One subset, as `enchf.json` describes it.

    Attributes:
        model: Name of the codec.
        n_codebooks: K.
        bandwidth_kbps: The bandwidth in kbps that K codebooks give.
        fps: Frames per second.
        sample_rate: Sample rate of the audio in Hz.
        splits: Split -> its `clips` and `hours`.
        parameters: Name -> `units`, `doc_string`, `kind`, `min`, `max` (the declared range) and
            `statistics` of the split train.
        provenance: What the dataset was built from.
    """

    model: str
    n_codebooks: int
    bandwidth_kbps: float
    fps: int
    sample_rate: int
    splits: dict[str, dict[str, Any]]
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def clips(self) -> int:
        """Number of clips in all splits."""
        return sum(int(split["clips"]) for split in self.splits.values())

    @property
    def hours(self) -> float:
        """Hours of audio of all splits."""
        return sum(float(split["hours"]) for split in self.splits.values())


def describe_saved(folder: Path, saved: DatasetDict, origin: Mapping[str, Any]) -> Subset:
    """Return the description of a saved dataset at its own bandwidth.

    Args:
        folder: The dataset's folder; its `stats.json` is used if it exists.
        saved: The dataset.
        origin: What it was built from.

    Raises:
        DatasetError: It is not a dataset of tokens, has no rows, or mixes codecs or bandwidths.
    """
    from datasets import concatenate_datasets

    for name, rows in saved.items():
        missing = [column for column in NEEDED if column not in rows.column_names]
        if missing or not len(rows):
            what = f"lacks the column {missing[0]!r}" if missing else "has no rows"
            raise DatasetError(f"{folder}: split {name} {what}; build it with preprocess build")
    scalars = ["model", "bandwidth_kbps", "fps", "sample_rate"]
    together = concatenate_datasets([rows.select_columns(scalars) for rows in saved.values()])
    values = {name: together.unique(name) for name in scalars}
    for name, found in values.items():
        if len(found) > 1:
            raise DatasetError(f"{folder} mixes rows with {name} {', '.join(map(str, found))}")
    first = next(iter(saved.values()))
    rate = values["sample_rate"][0]
    return Subset(
        model=values["model"][0],
        n_codebooks=len(first[0]["codes"]),
        bandwidth_kbps=values["bandwidth_kbps"][0],
        fps=values["fps"][0],
        sample_rate=rate,
        splits={
            name: {"clips": len(rows), "hours": sum(rows["audio_length"]) / rate / 3600}
            for name, rows in saved.items()
        },
        parameters=_parameters(folder, saved, first),
        provenance=dict(origin),
    )


def _parameters(folder: Path, saved: DatasetDict, first: Dataset) -> dict[str, dict[str, Any]]:
    if (folder / STATS_NAME).exists():
        stats = read_stats(folder / STATS_NAME).get("train")
    else:
        stats = corpus_stats(saved["train"]) if "train" in saved else None
    return parameter_entries(read_parameters(first.features), stats)


def parameter_entries(
    parameters: Mapping[str, ParameterInfo], stats: CorpusStats | None
) -> dict[str, dict[str, Any]]:
    """Return descriptions of parameters with their statistics; see `Subset.parameters`."""
    entries = {name: asdict(parameter) for name, parameter in parameters.items()}
    for name, entry in entries.items():
        known = stats[name].to_dict() if stats and name in stats else {}
        keys = ("count", "nan_count", "min", "max", "mean", "std", "quantiles", "period", "labels")
        entry["statistics"] = {key: known[key] for key in keys if key in known}
    return entries


def subset_codebooks(name: str, whole: Subset) -> int:
    """Return K of the subset called `name`.

    A config of the builder, such as `encodec_24khz_6kbps`, slices the tokens to its bandwidth. Any
    other name keeps all codebooks.

    Raises:
        UsageError: The config has another codec or a higher bandwidth, or is misspelled.
    """
    configs = {
        f"{spec.name}_{kbps:g}kbps": (spec.name, k)
        for spec in CODECS.values()
        for kbps, k in spec.codebooks.items()
    }
    if name not in configs:
        if name.startswith(tuple(f"{codec}_" for codec in CODECS)) and name.endswith("kbps"):
            raise UsageError(f"there is no config {name!r}{nearest(name, configs)}")
        return whole.n_codebooks
    model, k = configs[name]
    if model != whole.model or k > whole.n_codebooks:
        raise UsageError(
            f"config {name!r} cannot be made from {whole.model} at {whole.bandwidth_kbps:g} kbps"
        )
    return k


def at_codebooks(whole: Subset, k: int) -> Subset:
    """Return the description of the same dataset sliced to `k` codebooks."""
    stored = asdict(whole)
    stored.update(n_codebooks=k, bandwidth_kbps=codec_spec(whole.model).bandwidth_kbps(k))
    return Subset(**stored)


def write_info(subsets: Mapping[str, Subset], listen: Listen | None = None) -> bytes:
    """Return the content of `enchf.json` for a repository."""
    stored: dict[str, Any] = {
        "version": _INFO_VERSION,
        "subsets": {n: asdict(s) for n, s in subsets.items()},
    }
    if listen is not None:
        stored["listen"] = listen.to_dict()
    return json.dumps(stored, indent=1, ensure_ascii=False).encode()


def read_info(data: bytes) -> dict[str, Subset]:
    """Return the subsets, by name, from the content of an `enchf.json`.

    Raises:
        PreprocessError: It is invalid, or from a later version.
    """
    with _readable():
        subsets = _stored(data)["subsets"]
        check_subsets(subsets)
        return {name: Subset(**entry) for name, entry in subsets.items()}


def read_listen(data: bytes) -> Listen | None:
    """Return what an `enchf.json` says of the subset to hear, None where there is none.

    Raises:
        PreprocessError: As `read_info` does.
    """
    with _readable():
        stored = _stored(data)
        if "listen" not in stored:
            return None
        check_listen(stored["listen"])
        return Listen.from_dict(stored["listen"])


def _stored(data: bytes) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(data)
    if stored["version"] != _INFO_VERSION:
        raise ValueError(f"version {shown(stored['version'])}")
    json.dumps(stored, ensure_ascii=False).encode()  # half of a surrogate pair cannot be written
    return stored


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise PreprocessError(
            f"{INFO_NAME} of the repository cannot be read ({clipped(error)}); delete it there to continue"
        ) from None
