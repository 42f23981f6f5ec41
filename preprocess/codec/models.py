"""Builds encodec's models, including those that the package has no function for."""

from __future__ import annotations

import warnings
from typing import Any

from preprocess.codec.encodec_package import import_encodec
from preprocess.tokens.specs import CodecSpec

# Name -> latent width and SEANet settings of models that encodec has no function for. The demo
# codec has the geometry of the 24 kHz codec; 32 kHz follows the configuration of
# facebook/encodec_32khz.
NETWORKS: dict[str, tuple[int, dict[str, Any]]] = {
    "encodec_24khz_demo": (32, {"n_filters": 8, "causal": True}),
    "encodec_32khz": (128, {"n_filters": 64, "ratios": [8, 5, 4, 4], "true_skip": True}),
}


def build_model(spec: CodecSpec) -> Any:
    """Return the `encodec.EncodecModel` of `spec` with random weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates the weight norm that encodec uses
        import_encodec()
        from encodec import EncodecModel

        if spec.name == "encodec_24khz":
            return EncodecModel.encodec_model_24khz(pretrained=False)
        if spec.name == "encodec_48khz":
            return EncodecModel.encodec_model_48khz(pretrained=False)
        return _assemble(spec, *NETWORKS[spec.name])


def _assemble(spec: CodecSpec, dimension: int, network: dict[str, Any]) -> Any:
    import_encodec()
    from encodec import EncodecModel
    from encodec.modules import SEANetDecoder, SEANetEncoder
    from encodec.quantization import ResidualVectorQuantizer

    network = {"channels": spec.channels, "dimension": dimension, "norm": "weight_norm", **network}
    quantizer = ResidualVectorQuantizer(
        dimension=dimension, n_q=spec.max_codebooks, bins=spec.codebook_size
    )
    return EncodecModel(
        SEANetEncoder(**network),
        SEANetDecoder(**network),
        quantizer,
        list(spec.codebooks),
        spec.sample_rate,
        spec.channels,
        name=spec.name,
    )


def fold_weight_norm(model: Any) -> None:
    """Compute each normalized weight once instead of at every call; the values do not change."""
    from torch.nn.utils import remove_weight_norm

    for module in model.modules():
        if hasattr(module, "weight_g"):
            remove_weight_norm(module)
