"""The demo codec's architecture, and its weights as float16 safetensors."""

import os
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save

from preprocess.codec.encodec_package import import_encodec
from preprocess.codec.models import NETWORKS, build_model
from preprocess.tokens.specs import codec_spec

EncodecModel = import_encodec().EncodecModel
SPEC = codec_spec("encodec_24khz_demo")
DIMENSION = NETWORKS[SPEC.name][0]
# State that only codebook training uses.
TRAINING_BUFFERS = ("cluster_size", "embed_avg", "inited")


def build() -> EncodecModel:
    """Return the codec with random weights: EnCodec 24 kHz with 8 filters instead of 32."""
    return build_model(SPEC)


def save_weights(path: Path, model: EncodecModel, metadata: dict[str, str]) -> None:
    """Write the weights as float16, atomically."""
    state = {
        name: tensor.detach().half().contiguous()
        for name, tensor in model.state_dict().items()
        if name.rsplit(".", 1)[-1] not in TRAINING_BUFFERS
    }
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(save(state, {"format": "pt", **metadata}))
    os.replace(temporary, path)


def load_weights(path: Path, model: EncodecModel) -> EncodecModel:
    """Load weights that `save_weights` wrote, as float32, into `model` and return it.

    Raises:
        ValueError: The file lacks a weight or has an unknown one.
    """
    state = {name: tensor.float() for name, tensor in load_file(path).items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    missing = [name for name in missing if name.rsplit(".", 1)[-1] not in TRAINING_BUFFERS]
    if missing or unexpected:
        raise ValueError(f"{path}: missing {missing}, unexpected {unexpected}")
    for layer in model.quantizer.vq.layers:
        # Otherwise encodec replaces the codebook by k-means at the first training batch.
        layer._codebook.inited.fill_(1)
    return model


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata in the header of a weights file."""
    with safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})


def random_codec(seed: int = 0) -> EncodecModel:
    """Return a codec of the same shape whose weights and codebooks are seeded noise."""
    torch.manual_seed(seed)
    model = build().eval()
    for layer in model.quantizer.vq.layers:
        torch.nn.init.kaiming_uniform_(layer._codebook.embed)
        layer._codebook.inited.fill_(1)
    return model
