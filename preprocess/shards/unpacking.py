"""Gives the files of clips back from the rows of a shard."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from preprocess.core.errors import PreprocessError
from preprocess.core.untrusted import clipped, shown
from preprocess.dataset.clips import DatasetError, clip_id
from preprocess.dataset.schema import Schema
from preprocess.shards.names import unsafe
from preprocess.shards.reading import ShardFolder, read_tables, readable
from preprocess.shards.rows import PROVENANCE, shard_schema
from preprocess.sidecar.raw import restore
from preprocess.sidecar.sidecar_format import TOKEN_SUFFIX, sidecar_paths
from preprocess.tokens.ecdc import pack_ecdc
from preprocess.tokens.frames import n_frames, segment_frames
from preprocess.tokens.specs import codec_spec
from preprocess.tokens.types import Ecdc, EcdcHeader

_BATCH_BYTES = 16 << 20


def check_ids(folder: ShardFolder) -> int:
    """Check that each clip has a name of its own within a folder; return the number of clips.

    Raises:
        DatasetError: An id could lead out of the folder or is there twice, or the shards have no
            provenance.
        PreprocessError: A shard cannot be read.
    """
    shared = Schema("encodec_24khz", 1, False, folder.parameters, folder.dtype)
    if folder.schema != shard_schema(shared):
        if PROVENANCE not in folder.schema.names:
            raise DatasetError(f"{folder.path} has no column {PROVENANCE!r}: pack did not make it")
        raise DatasetError(f"{folder.path} has other columns than pack writes")
    seen: set[str] = set()
    for split in folder.splits:
        for table in folder.tables(split, ["id"]):
            with readable(folder.path):
                clips = table["id"].to_pylist()
            for clip in clips:
                reason = unsafe(clip or "") or ("it is there twice" if clip in seen else "")
                if reason:
                    raise DatasetError(
                        f"{folder.path}: clip {shown(clip)} cannot be unpacked: {reason}"
                    )
                seen.add(clip)
    return len(seen)


@dataclass(frozen=True)
class Unpacker:
    """Writes the files of a shard's clips; can be sent to other processes.

    Attributes:
        output: The token folder.
        schema: The columns of the shards.
    """

    output: Path
    schema: pa.Schema

    def __call__(self, shard: Path) -> Counter[str]:
        """Write the files of all clips in a shard; return in what they differ -> number of clips.

        The caller has checked the ids, and that no other file is in the folder.

        Raises:
            PreprocessError: The shard is damaged, or a row is not that of a clip; it is named.
            OSError: A file exists, or cannot be written.
        """
        losses: Counter[str] = Counter()
        for table in read_tables(shard, self.schema, None, _BATCH_BYTES):
            for row in _rows(table):
                try:
                    self._write(row, losses)
                except PreprocessError as error:
                    raise PreprocessError(f"{shard}: clip {shown(row['id'])}: {error}") from None
        return losses

    def _write(self, row: dict[str, Any], losses: Counter[str]) -> None:
        if reason := unsafe(row["id"]):  # the shard has changed since its ids were checked
            raise DatasetError(reason)
        path = self.output / _token_name(row)
        header, data, whole = _tokens(row)
        files = {path: data}
        if not whole:
            losses[f"codebooks after the first {header.n_codebooks} were left out"] += 1
        provenance = row[PROVENANCE]
        if provenance["sidecar"]:
            array, meta, exact = restore(
                provenance["sidecar"], provenance["dtype"], row["features"], header
            )
            files.update(zip(sidecar_paths(path), (array, meta), strict=True))
            if not exact:
                losses["parameters were left out or rounded"] += 1
        path.parent.mkdir(parents=True, exist_ok=True)
        for target, content in files.items():
            with open(target, "xb") as file:  # names may be equal in another case
                file.write(content)


def _token_name(row: dict[str, Any]) -> str:
    """Return the path of a clip's token file: its own, if it has the usual suffix in any case."""
    clip, audio = str(row["id"]), str(row["audio"])
    if clip_id(audio) == clip and audio.lower() == f"{clip}{TOKEN_SUFFIX}".lower():
        return audio
    return f"{clip}{TOKEN_SUFFIX}"


def _tokens(row: dict[str, Any]) -> tuple[EcdcHeader, bytes, bool]:
    """Return header and content of a token file, and whether it has all codebooks."""
    codes, length, text = row["codes"], row["audio_length"], row[PROVENANCE]["tokens"]
    spec = codec_spec(row["model"])
    if not isinstance(length, int) or length < 1 or n_frames(length, spec) != codes.shape[1]:
        raise DatasetError(f"{codes.shape[1]} frames do not fit an audio_length of {length!r}")
    scales = None if spec.segment_samples is None else row["scales"]
    ecdc = Ecdc(spec.name, codes, length, segment_frames(length, spec), scales)
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise DatasetError("its provenance has no header of tokens")
    stated = fields.get("nc")
    whole = not (isinstance(stated, int) and stated > len(codes))
    if not whole:
        text = json.dumps({**fields, "nc": len(codes)})
    return ecdc.header, pack_ecdc(ecdc, text), whole


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Yield rows with numpy arrays: `codes` `[K, T]`, parameters and `scales` `[N]`."""
    arrays = {name: table.column(name).combine_chunks() for name in table.column_names}
    codes = _Lists(arrays["codes"])
    frames = _Lists(arrays["codes"].values)
    parameters: dict[str, _Lists] = {}
    if (struct := arrays.get("features")) is not None:
        for index in range(struct.type.num_fields):
            parameters[struct.type.field(index).name] = _Lists(struct.field(index))
    scales = _Lists(arrays["scales"])
    try:
        scalars = table.select(["id", "audio", "model", "audio_length", PROVENANCE]).to_pylist()
    except ValueError as error:
        raise DatasetError(f"a text is not UTF-8: {clipped(error)}") from None
    for at, row in enumerate(scalars):
        if any(row[name] is None for name in row) or None in row[PROVENANCE].values():
            raise DatasetError(f"clip {shown(row['id'])} has an empty column")
        row["codes"] = _matrix(codes, frames, at)
        row["features"] = {name: lists.values(at) for name, lists in parameters.items()}
        row["scales"] = scales.values(at)
        yield row


class _Lists:
    """The lists of an Arrow array, as slices of one numpy array."""

    def __init__(self, array: pa.ListArray) -> None:
        self.offsets = array.offsets.to_numpy()
        kind = array.type.value_type
        self._flat: NDArray[Any] = np.empty(0)
        if not pa.types.is_list(kind):
            self._flat = array.values.to_numpy(zero_copy_only=False)

    def values(self, at: int) -> NDArray[Any]:
        """Return list `at`."""
        return self.span(at, at + 1)

    def span(self, start: int, end: int) -> NDArray[Any]:
        """Return lists `start` to `end`, one after another."""
        return self._flat[int(self.offsets[start]) : int(self.offsets[end])]


def _matrix(codes: _Lists, frames: _Lists, at: int) -> NDArray[np.int16]:
    """Return the codes `[K, T]` of a row."""
    start, end = int(codes.offsets[at]), int(codes.offsets[at + 1])
    lengths = np.diff(frames.offsets[start : end + 1])
    if not len(lengths) or (lengths != lengths[0]).any():
        raise DatasetError("its codebooks have different numbers of codes")
    return frames.span(start, end).reshape(len(lengths), -1)
