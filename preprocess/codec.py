"""The codec: waveforms to tokens and back, by encodec's own network.

The only module that runs a model. `Codec.encode` and `Codec.decode` are encodec's
`EncodecModel.encode` and `.decode` with the weight norms folded once, in inference mode.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from preprocess.ecdc import Ecdc, EcdcError
from preprocess.errors import PreprocessError, UsageError
from preprocess.files import digest_file
from preprocess.frames import segment_frames
from preprocess.specs import CodecSpec, codec_spec
from preprocess.weights import find_weights, load_state

if TYPE_CHECKING:
    import torch

Wave = NDArray[np.float32]

# The demo codec's geometry is the 24 kHz one's; only its widths are smaller.
DEMO_FILTERS = 8
DEMO_DIMENSION = 32


class Codec:
    """One codec with its weights on one device.

    Attributes:
        spec: Its facts.
        ckpt: Hash of the weights' file, for provenance.
    """

    def __init__(self, spec: CodecSpec, model: Any, ckpt: str, device: torch.device) -> None:
        self.spec, self.ckpt = spec, ckpt
        self._model, self._device = model, device

    def encode(self, wav: Wave, bandwidth_kbps: float) -> Ecdc:
        """Encode one clip.

        Args:
            wav: float32 `[C, N]` at the codec's rate, full scale 1.0, N of at least 1.
            bandwidth_kbps: One of the codec's bandwidths.

        Returns:
            The tokens, codes `[K, T]`.

        Raises:
            UsageError: The codec has no such bandwidth.
            PreprocessError: `wav` has another number of channels, no samples, or NaN.
        """
        import torch

        k = self.spec.n_codebooks(bandwidth_kbps)
        self._check(wav)
        with torch.inference_mode():
            self._model.set_target_bandwidth(bandwidth_kbps)
            batch = torch.from_numpy(np.ascontiguousarray(wav, np.float32)).to(self._device)[None]
            encoded = self._model.encode(batch)
            codes = torch.cat([codes[0, :k] for codes, _ in encoded], dim=1).cpu().numpy()
            scales = None
            if self.spec.segment_samples is not None:
                scales = torch.cat([scale.reshape(1) for _, scale in encoded]).cpu().numpy()
        frames = segment_frames(wav.shape[1], self.spec)
        return Ecdc(self.spec.name, codes.astype(np.int16), wav.shape[1], frames, scales)

    def decode(self, ecdc: Ecdc) -> Wave:
        """Decode one clip to float32 `[C, N]`, N being its `audio_length`.

        Raises:
            EcdcError: The tokens were made by another codec.
        """
        import torch

        if ecdc.model != self.spec.name:
            raise EcdcError(f"tokens of {ecdc.model} cannot be decoded by {self.spec.name}")
        codes = torch.from_numpy(ecdc.codes.astype(np.int64)).to(self._device)[None]
        parts = torch.split(codes, ecdc.segment_frames, dim=2)
        scales: list[Any] = [None] * len(parts)
        if ecdc.scales is not None:
            scales = list(torch.from_numpy(ecdc.scales).to(self._device).reshape(-1, 1))
        with torch.inference_mode():
            wav = self._model.decode(list(zip(parts, scales, strict=True)))
        return np.ascontiguousarray(wav[0, :, : ecdc.audio_length].cpu().numpy())

    def _check(self, wav: Wave) -> None:
        if wav.ndim != 2 or wav.shape[0] != self.spec.channels or wav.shape[1] < 1:
            raise PreprocessError(
                f"{self.spec.name} takes audio [{self.spec.channels}, N], got {list(wav.shape)}"
            )
        if not np.isfinite(wav.sum(dtype=np.float64)):
            raise PreprocessError("the audio holds NaN or infinity")


def load_codec(name: str, weights: str | None = None, device: str = "auto") -> Codec:
    """Load a codec.

    Args:
        name: A key of `preprocess.specs.CODECS`.
        weights: See `preprocess.weights.find_weights`.
        device: `auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:1` and so on.

    Raises:
        UsageError: There is no such codec or device.
        WeightsError: The weights cannot be had or do not fit.
    """
    import torch

    spec = codec_spec(name)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        target = torch.device(device)
        torch.empty(0, device=target)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0][:120]
        raise UsageError(f"device {device} cannot be used: {reason}") from None
    model = build_model(spec)
    path = find_weights(spec, weights)
    load_state(path, model, spec)
    _fold_weight_norm(model)
    return Codec(spec, model.to(target).eval(), digest_file(path), target)


def build_model(spec: CodecSpec) -> Any:
    """Return the `encodec.EncodecModel` of `spec`, with random weights.

    Raises:
        UsageError: encodec has no such model.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates the weight norm that encodec uses
        from encodec import EncodecModel

        if spec.name == "encodec_24khz":
            return EncodecModel.encodec_model_24khz(pretrained=False)
        if spec.name == "encodec_48khz":
            return EncodecModel.encodec_model_48khz(pretrained=False)
        if spec.name == "encodec_24khz_demo":
            return _demo_model(spec)
    raise UsageError(f"{spec.name} tokens can be read, but this version has no model for it")


def _demo_model(spec: CodecSpec) -> Any:
    from encodec import EncodecModel
    from encodec.modules import SEANetDecoder, SEANetEncoder
    from encodec.quantization import ResidualVectorQuantizer

    net: dict[str, Any] = {
        "channels": spec.channels,
        "dimension": DEMO_DIMENSION,
        "n_filters": DEMO_FILTERS,
        "norm": "weight_norm",
        "causal": True,
    }
    quantizer = ResidualVectorQuantizer(
        dimension=DEMO_DIMENSION, n_q=spec.max_codebooks, bins=spec.codebook_size
    )
    return EncodecModel(
        SEANetEncoder(**net),
        SEANetDecoder(**net),
        quantizer,
        list(spec.codebooks),
        spec.sample_rate,
        spec.channels,
        name=spec.name,
    )


def _fold_weight_norm(model: Any) -> None:
    """Compute each normed weight once instead of at every call; the values are the same."""
    from torch.nn.utils import remove_weight_norm

    for module in model.modules():
        if hasattr(module, "weight_g"):
            remove_weight_norm(module)
