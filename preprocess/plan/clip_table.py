"""What is known of each clip of a shard besides its row: one table for a part, one for a shard.

`finish` compares the clips of a corpus by these tables and reads no rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from preprocess.audit.fingerprints import Fingerprint
from preprocess.audit.summaries import ClipSummary, ParameterSummary
from preprocess.core.errors import PreprocessError
from preprocess.core.untrusted import clipped
from preprocess.plan.clip_maker import MadeClip
from preprocess.tokens.types import EcdcHeader

_PARAMETER = pa.struct(
    {
        "name": pa.string(),
        "units": pa.string(),
        "kind": pa.string(),
        "constant": pa.float64(),
        "is_meant": pa.bool_(),
        "numbers": pa.list_(pa.float64()),
        "declared": pa.list_(pa.float64()),
    }
)
SUMMARY = pa.struct(
    {
        "content": pa.string(),
        "model": pa.string(),
        "audio_length": pa.int64(),
        "n_codebooks": pa.int64(),
        "token_makers": pa.string(),
        "parameter_makers": pa.string(),
        "is_tied": pa.bool_(),
        "engine": pa.string(),
        "parameters": pa.list_(_PARAMETER),
        "hashes": pa.list_(pa.uint64()),
        "frames": pa.list_(pa.int32()),
    }
)
CLIP_TABLE = pa.schema(
    {
        "id": pa.string(),
        "key": pa.string(),
        "error": pa.string(),
        "seconds": pa.float64(),
        "parameters": pa.string(),
        "warnings": pa.list_(pa.list_(pa.string())),
        "notes": pa.list_(pa.string()),
        "summary": SUMMARY,
    }
)


def clip_table(made: Iterable[MadeClip], settings: str) -> pa.Table:
    """Return the table of clips, one row each, whether a clip failed or not.

    Args:
        made: The clips.
        settings: Hash of the settings; see `Making.digest`.
    """
    return pa.Table.from_pylist([_row(clip, settings) for clip in made], CLIP_TABLE)


def _row(made: MadeClip, settings: str) -> dict[str, Any]:
    infos = {name: json.loads(info.to_json()) for name, info in made.parameters.items()}
    return {
        "id": made.clip.id,
        "key": made.clip.key(settings),
        "error": made.error,
        "seconds": made.seconds,
        "parameters": json.dumps(infos, ensure_ascii=False),
        "warnings": [list(warning) for warning in made.warnings],
        "notes": list(made.notes),
        "summary": None if made.summary is None else _stored(made.summary),
    }


def _stored(summary: ClipSummary) -> dict[str, Any]:
    prints = summary.prints
    parameters = [
        {"name": name, **asdict(parameter)}
        for name, parameter in (summary.parameters or {}).items()
    ]
    return {
        "content": summary.content,
        "model": summary.header.model,
        "audio_length": summary.header.audio_length,
        "n_codebooks": summary.header.n_codebooks,
        "token_makers": json.dumps(summary.token_makers),
        "parameter_makers": json.dumps(summary.parameter_makers),
        "is_tied": summary.is_tied,
        "engine": summary.engine,
        "parameters": None if summary.parameters is None else parameters,
        "hashes": None if prints is None else prints.hashes,
        "frames": None if prints is None else prints.frames,
    }


def read_summaries(table: pa.Table) -> list[ClipSummary]:
    """Return the summaries of the clips of a table that did not fail.

    Raises:
        PreprocessError: The table is not one of `clip_table`.
    """
    try:
        rows = table.select(["id", "summary"]).to_pylist()
        return [_summary(row["id"], row["summary"]) for row in rows if row["summary"] is not None]
    except (ValueError, LookupError, TypeError, RecursionError, OverflowError) as error:
        raise PreprocessError(f"a table of clips cannot be read: {clipped(error)}") from None


def _summary(clip_id: str, stored: dict[str, Any]) -> ClipSummary:
    header = EcdcHeader(stored["model"], stored["audio_length"], stored["n_codebooks"])
    prints = None
    if stored["hashes"] is not None:
        hashes = np.array(stored["hashes"], np.uint64)
        prints = Fingerprint(hashes, np.array(stored["frames"], np.int32))
    listed: Sequence[dict[str, Any]] | None = stored["parameters"]
    parameters = None if listed is None else {p["name"]: _parameter(p) for p in listed}
    return ClipSummary(
        Path(f"{clip_id}.ecdc"),
        stored["content"],
        header,
        json.loads(stored["token_makers"]),
        json.loads(stored["parameter_makers"]),
        stored["is_tied"],
        parameters,
        stored["engine"],
        prints,
    )


def _parameter(stored: dict[str, Any]) -> ParameterSummary:
    numbers, declared = stored["numbers"], stored["declared"]
    return ParameterSummary(
        stored["units"],
        stored["kind"],
        stored["constant"],
        stored["is_meant"],
        None if numbers is None else (numbers[0], numbers[1], numbers[2], numbers[3]),
        None if declared is None else (declared[0], declared[1]),
    )
