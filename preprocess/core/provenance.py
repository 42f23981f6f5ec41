"""Provenance: what an output was made from, kept in the output, so that a resume cannot mix.

Every step writes four keys into what it makes (`.ecdc` header, WAV comment, sidecar JSON, a
dataset's `enchf_build.json`), and skips an output only when all but the last are what it would
write now:

    src   hash of the content it was made from
    rec   hash of the settings that shaped it
    ckpt  hash of the weights, where a model took part
    by    tool and version, for people

Token files also say what the audio before them was normalized by, `norm` (the WAV's `rec`), so
that two levels in one folder of tokens are seen there.

Token files also say what computed them, `eng`, such as `torch2.13-cpu-avx2-float32`
(`preprocess.codec.engine`). It is no part of `rec`: tokens of another engine are of the same settings,
and `on_engine_change` decides whether they stay.
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
    """Return the hash of settings that JSON can hold; the order of the keys does not matter."""
    return digest_bytes(json.dumps(settings, sort_keys=True, allow_nan=False).encode())


def provenance(src: str, rec: str, ckpt: str | None = None) -> dict[str, str]:
    """Return the keys that an output carries."""
    return {"src": src, "rec": rec, **({"ckpt": ckpt} if ckpt else {}), "by": BY}


def is_current(stored: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Whether an output that carries `stored` is the one that `expected` would make."""
    return all(stored.get(key) == expected.get(key) for key in ("src", "rec", "ckpt", "norm"))


def is_ours(stored: Mapping[str, Any]) -> bool:
    """Whether `stored` is what one of our steps writes into an output, of whatever version."""
    return "rec" in stored and str(stored.get("by", "")).startswith(f"{_TOOL} ")


def parse_provenance(comment: str) -> dict[str, Any]:
    """Return the provenance in the comment of an audio file, empty if there is none."""
    try:
        stored = json.loads(comment)
    except (ValueError, RecursionError):
        return {}
    return stored if isinstance(stored, dict) else {}
