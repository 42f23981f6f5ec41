"""Provenance: every output records what it was made from, so that a resume never mixes versions.

Every step writes four keys into its output (`.ecdc` header, WAV comment, sidecar JSON, a
dataset's `enchf_build.json`), and skips an existing output only if the first three are what it
would write now:

    src   hash of the source content
    rec   hash of the settings
    ckpt  hash of the weights, if a model was used
    by    tool and version, for people

Token files also hold `norm`, the `rec` of the WAV file they were encoded from, so that a folder
of tokens with two levels is noticed.

Token files also hold `eng`, what computed them, such as `torch2.13-cpu-avx2-float32`
(`preprocess.codec.engine`). It is not part of `rec`: another engine uses the same settings, and
`on_engine_change` decides whether its tokens are kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from preprocess import __version__
from preprocess.core.files import digest_bytes

_TOOL = "enchf-dataset"
BY = f"{_TOOL} {__version__}"


def settings_digest(**settings: Any) -> str:
    """Return the hash of JSON-serializable settings; key order does not matter."""
    return digest_bytes(json.dumps(settings, sort_keys=True, allow_nan=False).encode())


def provenance(src: str, rec: str, ckpt: str | None = None) -> dict[str, str]:
    """Return the provenance keys of an output; `ckpt` only if there is one."""
    return {"src": src, "rec": rec, **({"ckpt": ckpt} if ckpt else {}), "by": BY}


def is_current(stored: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Whether an output with provenance `stored` is what `expected` would produce."""
    return all(stored.get(key) == expected.get(key) for key in ("src", "rec", "ckpt", "norm"))


def is_ours(stored: Mapping[str, Any]) -> bool:
    """Whether `stored` was written by one of our steps, of any version."""
    return "rec" in stored and str(stored.get("by", "")).startswith(f"{_TOOL} ")


def parse_provenance(comment: str) -> dict[str, Any]:
    """Return the provenance in an audio file's comment; empty if there is none."""
    try:
        stored = json.loads(comment)
    except (ValueError, RecursionError):
        return {}
    return stored if isinstance(stored, dict) else {}
