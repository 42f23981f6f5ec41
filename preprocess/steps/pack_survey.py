"""Looks at all clips before any is packed: what they share, and whether they were made alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from preprocess.audit.mixing import Makings, parameter_makers, token_makings
from preprocess.core.process_pool import Processes
from preprocess.dataset.clips import Clips
from preprocess.dataset.merging import merge_parameters
from preprocess.dataset.options import RowOptions
from preprocess.dataset.rows import read_schema, survey
from preprocess.dataset.schema import Schema
from preprocess.sidecar.raw import stored_dtype
from preprocess.sidecar.sidecar_format import Sidecar

_CLIPS = 500
"""Number of clips that a process looks at together."""


@dataclass
class Survey:
    """What all clips share.

    Attributes:
        schema: Codec, codebooks, parameters with the declared ranges of all clips.
        makings: What made each clip.
        tools: Weights, programs and engines of the tokens -> their names.
        dtype: The dtype that holds the values of all sidecars, float32 at least.
    """

    schema: Schema
    makings: Makings
    tools: dict[str, set[str]]
    dtype: str = "float32"

    def merge(self, root: Path, other: Survey, clip: str) -> None:
        """Add what the clips of `other` share, of which the first is `clip`.

        Raises:
            DatasetError: A parameter has another unit or kind.
        """
        merged = merge_parameters(self.schema.parameters, other.schema.parameters, root / clip)
        self.schema = dataclasses.replace(self.schema, parameters=merged)
        self.makings.merge(other.makings)
        for what, names in other.tools.items():
            self.tools.setdefault(what, set()).update(names)
        self.dtype = max(self.dtype, other.dtype, key=("float32", "float64").index)


@dataclass(frozen=True)
class _Looker:
    """Looks at some of the clips; can be sent to other processes."""

    root: Path
    first: Schema
    options: RowOptions

    def __call__(self, clips: Clips) -> Survey:
        makings, tools = token_makings(self.root, clips.tokens)
        chosen = self.options.parameters

        def look(rel: str, sidecar: Sidecar) -> None:
            names = [n for n in sidecar.parameters if not chosen or n in chosen]
            makings.add(rel, parameter_makers(sidecar.records, names))

        schema = survey(self.root, clips, self.first, self.options, look)
        dtypes = {stored_dtype(clips.cond_root / rel) for rel in clips.described}
        named = {what: set(filter(None, names.split(", "))) for what, names in tools.items()}
        return Survey(schema, makings, named, "float64" if "float64" in dtypes else "float32")


def survey_clips(root: Path, clips: Clips, options: RowOptions, processes: Processes) -> Survey:
    """Return what all clips share; reads the headers of tokens and the metadata of sidecars.

    Raises:
        DatasetError: See `preprocess.dataset.rows.read_schema` and `survey`.
    """
    first = read_schema(root, clips, options)
    made = Survey(first, Makings(), {})
    parts = list(_parts(clips))
    looked = processes.run(_Looker(root, first, options), parts)
    for part, seen in zip(parts, looked, strict=True):
        made.merge(root, seen, part.tokens[0])
    return made


def _parts(clips: Clips) -> Iterator[Clips]:
    described = set(clips.described)
    for start in range(0, len(clips.tokens), _CLIPS):
        tokens = clips.tokens[start : start + _CLIPS]
        yield Clips(tokens, [rel for rel in tokens if rel in described], clips.cond_root)
