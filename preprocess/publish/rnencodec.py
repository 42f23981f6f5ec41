"""Writes the files that the trainers of RNeNcodec (smilo7/RNeNcodec, lonce/RNeNcodec) read.

    OUT/dataset_dict.json, train/, ...       a DatasetDict with the column `audio`
    OUT/conditioning_config.json             the parameters of all clips
    OUT/tokens/a/take.1.ecdc                 torch.save of `audio_codes` int64 [1, 1, K, T]
    OUT/tokens/a/take.1.cond.npy             float32 [T, D]
    OUT/tokens/a/take.1.cond.json            names, ranges and statistics, the same for all clips

The trainers decode with `facebook/encodec_24khz`, and map each parameter from `min`..`max` to 0..1,
clipped. Depending on their version, they take the range from `norm` of the sidecar, `features` of
the sidecar or `features` of the configuration. Here all three hold the same values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.core.errors import PreprocessError
from preprocess.sidecar.parameter_info import ParameterInfo
from preprocess.stats.parameter_stats import ParameterStats, StatsError
from preprocess.stats.scaling import minmax_range
from preprocess.tokens.specs import CODECS

MODEL = "encodec_24khz"
SPEC = CODECS[MODEL]
CONFIG_NAME = "conditioning_config.json"

LOADERS_ADD = 1e-8
"""The loaders add this to the width of every range before dividing by it."""
MOST_MOVED = 1e-4
"""Largest error of the loaders' arithmetic, as a fraction of the range, that is not reported."""
_FLOAT32_STEP = 2.0**-23


def write_tokens(path: Path, codes: NDArray[np.integer], audio_length: int) -> None:
    """Write a token file in the format of the predecessor's encoder.

    Args:
        path: The file.
        codes: Codes `[K, T]`.
        audio_length: Length of the audio in samples.
    """
    import torch

    # Embedding lookups need int64. The 24 kHz codec has no scale: its list is [None].
    tensor = torch.from_numpy(codes.astype(np.int64))[None, None]
    saved = {"audio_codes": tensor, "audio_scales": [None], "audio_length": audio_length}
    torch.save(saved, path)


def norms(stats: Mapping[str, ParameterStats]) -> dict[str, dict[str, float | None]]:
    """Return `min`, `max`, `mean` and `std` of each parameter, in the order of the columns.

    `preprocess.stats.scaling.normalise` maps the same range, `min` to `max`, to 0..1. A range of
    zero width becomes 1 wide; otherwise the loaders would not scale its values at all (440 for
    440 Hz). `mean` and `std` are None for labels, and for angles that cancel out.

    Raises:
        PreprocessError: A parameter has no values.
    """
    made: dict[str, dict[str, float | None]] = {}
    for name, parameter in stats.items():
        try:
            low, high = minmax_range(parameter)
        except StatsError:
            raise PreprocessError(
                f"parameter {name!r} is NaN in all frames from which its range is measured"
            ) from None
        high = high if high != low else low + 1.0
        made[name] = {"min": low, "max": high, "mean": parameter.mean, "std": parameter.std}
    return made


def moved(norm: Mapping[str, float | None]) -> float:
    """Return the largest error of the loaders' arithmetic, as a fraction of the range.

    They subtract `min` in float32, which has seven digits, and divide by too large a width.
    """
    low, high = norm["min"] or 0.0, norm["max"] or 0.0
    width = abs(high - low)
    by_rounding = max(abs(low), abs(high)) * _FLOAT32_STEP / width
    return by_rounding + LOADERS_ADD / (width + LOADERS_ADD)


def describe_sidecar(
    norm: Mapping[str, Mapping[str, float | None]], parameters: Mapping[str, ParameterInfo]
) -> bytes:
    """Return the JSON of every sidecar: version 2, with the `names` and `norm` of version 1."""
    meta = {
        "schema_version": 2,
        "fps": SPEC.fps,
        "source_rate": SPEC.fps,
        "names": list(norm),
        "norm": {key: [n[key] for n in norm.values()] for key in ("min", "max", "mean", "std")},
        "features": {
            name: {
                **n,
                "units": parameters[name].units,
                "doc_string": parameters[name].doc_string,
                "kind": parameters[name].kind,
            }
            for name, n in norm.items()
        },
    }
    return _json(meta)


def conditioning_config(
    norm: Mapping[str, Mapping[str, float | None]], parameters: Mapping[str, ParameterInfo]
) -> bytes:
    """Return `conditioning_config.json`.

    `parameter_specs` can be copied into the loaders' own configuration. It holds no ranges because
    loaders that read ranges from sidecars refuse them there.
    """
    config: dict[str, Any] = {
        "schema_version": 1,
        "fps": SPEC.fps,
        "feature_names": list(norm),
        "num_features": len(norm),
        "parameter_specs": dict.fromkeys(norm),
        "features": {
            name: {
                "type": parameters[name].kind,
                "min": n["min"],
                "max": n["max"],
                "unit": parameters[name].units,
                "description": parameters[name].doc_string,
            }
            for name, n in norm.items()
        },
    }
    return _json(config)


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False).encode()
