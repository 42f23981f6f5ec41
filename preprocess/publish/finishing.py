"""The end of a shards folder: its card, index, statistics and marker, made without its rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from preprocess.core.files import write_bytes
from preprocess.dataset.schema import Schema
from preprocess.publish.card import About, make_card
from preprocess.publish.parquet import Shards
from preprocess.publish.subset import Subset, parameter_entries, write_info
from preprocess.shards.names import FOLDER
from preprocess.shards.reading import INFO_NAME, shard_features
from preprocess.stats.corpus_stats import STATS_NAME, CorpusStats, stats_bytes

CARD_NAME = "README.md"
MARKER = "enchf_shards.json"
"""File that records what a shards folder was made from; written last."""
FINISHED = (CARD_NAME, INFO_NAME, STATS_NAME)


@dataclass(frozen=True)
class SplitFacts:
    """Sums over the clips of a split, which merge over its shards.

    Attributes:
        clips: Number of clips.
        samples: Samples of audio, per channel.
        num_bytes: Size of the rows in Arrow, as `ShardWriter.num_bytes`.
        file_bytes: Size of the shards.
    """

    clips: int = 0
    samples: int = 0
    num_bytes: int = 0
    file_bytes: int = 0

    def __add__(self, other: SplitFacts) -> SplitFacts:
        """Return the sums over the clips of both."""
        mine, theirs = asdict(self), asdict(other)
        return SplitFacts(**{name: mine[name] + theirs[name] for name in mine})


def subset_name(model: str, bandwidth_kbps: float) -> str:
    """Return the name of a subset: that of the builder's config for codec and bandwidth."""
    return f"{model}_{bandwidth_kbps:g}kbps"


def finish_files(
    name: str,
    schema: Schema,
    splits: Mapping[str, SplitFacts],
    stats: Mapping[str, CorpusStats],
    provenance: Mapping[str, Any],
    card: str | None = None,
) -> dict[str, bytes]:
    """Return the files of a finished folder besides its shards; the marker is the last.

    Args:
        name: Name of the folder, for the card.
        schema: What all rows share; its parameters have the declared ranges of all clips.
        splits: Split -> its sums, in the order of the card.
        stats: Split -> statistics of its parameters; the card shows those of `train`.
        provenance: What the rows were made from: texts under the names that the card shows.
        card: The card that the folder had; text outside of the generated part is kept.

    Raises:
        PreprocessError: The YAML of `card` cannot be read.
    """
    spec = schema.spec
    subset = Subset(
        model=schema.model,
        n_codebooks=schema.n_codebooks,
        bandwidth_kbps=schema.bandwidth_kbps,
        fps=spec.fps,
        sample_rate=spec.sample_rate,
        splits={
            split: {"clips": facts.clips, "hours": facts.samples / spec.sample_rate / 3600}
            for split, facts in splits.items()
        },
        parameters=parameter_entries(schema.parameters, stats.get("train")),
        provenance=dict(provenance),
    )
    subsets = {subset_name(schema.model, schema.bandwidth_kbps): subset}
    files = {
        split: Shards([], facts.clips, facts.num_bytes, FOLDER, facts.file_bytes)
        for split, facts in splits.items()
    }
    features = shard_features(dict(schema.parameters), schema.dtype)
    text = make_card(card, About(name), subsets, dict.fromkeys(subsets, files), features)
    stored = {**provenance, "splits": {split: asdict(facts) for split, facts in splits.items()}}
    return {
        STATS_NAME: stats_bytes(stats),
        INFO_NAME: write_info(subsets),
        CARD_NAME: text.encode(),
        MARKER: json.dumps(stored, indent=2, ensure_ascii=False).encode(),
    }


def finish_folder(
    folder: Path,
    schema: Schema,
    splits: Mapping[str, SplitFacts],
    stats: Mapping[str, CorpusStats],
    provenance: Mapping[str, Any],
    name: str | None = None,
    card: str | None = None,
) -> None:
    """Write card, index, statistics and marker beside the shards; see `finish_files`.

    Args:
        folder: The shards folder.
        schema: What all rows share.
        splits: Split -> its sums.
        stats: Split -> statistics of its parameters.
        provenance: What the rows were made from.
        name: Name of the folder for the card, if not its own.
        card: The card that the folder had, if not the one in it.

    Raises:
        DiskError: The disk is full or read-only, or permission is denied.
        PreprocessError: The YAML of the card cannot be read.
    """
    there = folder / CARD_NAME
    if card is None and there.exists():
        card = there.read_text(encoding="utf-8", errors="replace")
    made = finish_files(name or folder.resolve().name, schema, splits, stats, provenance, card)
    for path, content in made.items():
        write_bytes(folder / path, content)
