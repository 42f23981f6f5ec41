"""What all rows of a dataset share (codec, codebooks, parameters), and their declared columns.

A parameter's description (unit, kind, declared range, doc string) is stored as JSON in the `id` of
its `Value`: the only place in `DatasetInfo` that both `save_to_disk` and `push_to_hub` keep, in
Parquet and in the card's YAML, from 3.6 to the newest `datasets`. `read_parameters` reads it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from preprocess.sidecar.parameter_info import ParameterInfo
from preprocess.tokens.specs import CodecSpec, codec_spec

if TYPE_CHECKING:
    import datasets


@dataclass(frozen=True)
class Schema:
    """What all rows of a dataset share.

    Attributes:
        model: Name of the codec.
        n_codebooks: K of the rows.
        slices: Whether the user chose K, so that further codebooks are dropped; otherwise every
            file must have exactly K.
        parameters: Name -> description, in order.
        dtype: The dtype of the parameters' values.
    """

    model: str
    n_codebooks: int
    slices: bool
    parameters: Mapping[str, ParameterInfo]
    dtype: str = "float32"

    @property
    def spec(self) -> CodecSpec:
        """The codec's specification."""
        return codec_spec(self.model)

    @property
    def bandwidth_kbps(self) -> float:
        """The bandwidth in kbps that K codebooks give."""
        return self.spec.bandwidth_kbps(self.n_codebooks)


def dataset_features(schema: Schema) -> datasets.Features:
    """Return the declared columns; `features` is left out if there are no parameters."""
    from datasets import Features, Sequence, Value

    columns: dict[str, Any] = {
        "id": Value("string"),
        "audio": Value("string"),
        "codes": Sequence(Sequence(Value("int16"))),
        "features": {
            name: Sequence(Value(schema.dtype, id=parameter.to_json()))
            for name, parameter in schema.parameters.items()
        },
        "model": Value("string"),
        "bandwidth_kbps": Value("float64"),
        "fps": Value("int32"),
        "sample_rate": Value("int32"),
        "audio_length": Value("int64"),
        "n_frames": Value("int64"),
        "scales": Sequence(Value("float32")),
        "segment_frames": Sequence(Value("int32")),
    }
    if not schema.parameters:  # Parquet cannot hold a struct without fields
        del columns["features"]
    return Features(columns)


def read_parameters(features: datasets.Features) -> dict[str, ParameterInfo]:
    """Return the parameter descriptions, by name, from a dataset's declared columns.

    dataset = load_dataset("me/name")["train"]
    read_parameters(dataset.features)["pitch"].units
    """
    return {
        name: ParameterInfo.from_json(getattr(getattr(column, "feature", None), "id", None))
        for name, column in dict(features.get("features") or {}).items()
    }


def describe(schema: Schema) -> str:
    """Return a text that names the codec, the bandwidth, and each parameter with its unit."""
    spec = schema.spec
    lines = [
        f"EnCodec tokens of {schema.model} at {schema.bandwidth_kbps:g} kbps: codes [K, T] with "
        f"K = {schema.n_codebooks}, {spec.fps} frames per second."
    ]
    for name, parameter in schema.parameters.items():
        range_text = describe_range(parameter.min, parameter.max)
        units = ", ".join(t for t in (parameter.units, range_text) if t)
        text = f": {parameter.doc_string}" if parameter.doc_string else ""
        lines.append(f"- {name}{f' [{units}]' if units else ''}{text}")
    return "\n".join(lines)


def describe_range(low: float | None, high: float | None) -> str:
    """Return a range in words, or an empty string if neither end is known."""
    if low is None and high is None:
        return ""
    if low is None:
        return f"up to {high:g}"
    return f"from {low:g}" if high is None else f"{low:g} to {high:g}"
