"""The codec: waveforms to tokens and back, by encodec's own network.

The only module that runs a model, with its weight norms folded once, in inference mode. A causal
codec encodes in exact blocks (`preprocess.streaming`).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from preprocess.ecdc import Ecdc, EcdcError
from preprocess.errors import PreprocessError, UsageError
from preprocess.files import digest_file
from preprocess.frames import segment_frames
from preprocess.specs import CodecSpec, codec_spec
from preprocess.streaming import CausalNetwork, Wave, reblock
from preprocess.weights import find_weights, load_state

if TYPE_CHECKING:
    import torch

BLOCK_S = 4
"""Seconds of audio that a causal codec runs on at once."""
LAST_S = 2
"""The last block is longer than this, and up to `BLOCK_S` longer: kernels sum in another order for
few frames; with blocks of 4 s, none of them short, codes came out as encodec's (the counts are in
`docs/design.md`)."""
# Name -> width of the latents, and the settings of SEANet, of models that encodec has no function
# for. The demo codec has the geometry of the 24 kHz one; 32 kHz is as in the configuration of
# facebook/encodec_32khz.
NETWORKS: dict[str, tuple[int, dict[str, Any]]] = {
    "encodec_24khz_demo": (32, {"n_filters": 8, "causal": True}),
    "encodec_32khz": (128, {"n_filters": 64, "ratios": [8, 5, 4, 4], "true_skip": True}),
}


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
        """Encode one clip; see `encode_blocks`, of which this is the case of a single block.

        Args:
            wav: float32 `[C, N]` at the codec's rate, full scale 1.0, N of at least 1.
            bandwidth_kbps: One of the codec's bandwidths.
        """
        return self.encode_blocks([wav], bandwidth_kbps)

    def encode_blocks(self, blocks: Iterable[Wave], bandwidth_kbps: float) -> Ecdc:
        """Encode one clip that arrives in blocks of any sizes.

        How it is cut does not matter: a causal codec runs on blocks of 4 s that are its own, with
        all that its layers remember, in the memory of such a block. One with segments needs the
        whole clip's audio, and the memory of one segment on top; the 32 kHz codec, which is
        neither, the memory of the whole clip.

        Args:
            blocks: float32 `[C, n]` at the codec's rate, full scale 1.0; together N of at least 1.
            bandwidth_kbps: One of the codec's bandwidths.

        Returns:
            The tokens, codes `[K, T]`.

        Raises:
            UsageError: The codec has no such bandwidth.
            PreprocessError: A block has another number of channels, or NaN, or all are empty.
        """
        import torch

        self.spec.n_codebooks(bandwidth_kbps)
        self._model.set_target_bandwidth(bandwidth_kbps)
        segmented = self.spec.segment_samples is not None
        run = self._encode_causal if self.spec.causal else self._encode_whole
        lengths: list[int] = []
        with torch.inference_mode():
            encoded = run(self._checked(block, lengths) for block in blocks)
        if not encoded:
            raise PreprocessError("the audio holds no samples")
        codes = torch.cat([codes[0] for codes, _ in encoded], dim=1).cpu().numpy()
        scales = torch.cat([s.reshape(1) for _, s in encoded]).cpu().numpy() if segmented else None
        length = sum(lengths)
        frames = segment_frames(length, self.spec)
        return Ecdc(self.spec.name, codes.astype(np.int16), length, frames, scales)

    def _encode_causal(self, blocks: Iterable[Wave]) -> list[Any]:
        encoder, model = CausalNetwork(self._model.encoder), self._model
        encoded = []
        rate = self.spec.sample_rate
        for block, last in reblock(blocks, BLOCK_S * rate, LAST_S * rate):
            embeddings = encoder.push(self._tensor(block), last)
            codes = model.quantizer.encode(embeddings, model.frame_rate, model.bandwidth)
            encoded.append((codes.transpose(0, 1), None))
        return encoded

    def _encode_whole(self, blocks: Iterable[Wave]) -> list[Any]:
        whole = [block for block in blocks if block.shape[1]]
        return self._model.encode(self._tensor(np.concatenate(whole, axis=1))) if whole else []

    def _tensor(self, wav: Wave) -> torch.Tensor:
        import torch

        return torch.from_numpy(np.ascontiguousarray(wav, np.float32)).to(self._device)[None]

    def decode(self, ecdc: Ecdc) -> Wave:
        """Decode one clip to float32 `[C, N]`, N being its `audio_length`.

        A causal codec decodes in blocks, as it encodes.

        Raises:
            EcdcError: The tokens were made by another codec.
        """
        import torch

        if ecdc.model != self.spec.name:
            raise EcdcError(f"tokens of {ecdc.model} cannot be decoded by {self.spec.name}")
        with torch.inference_mode():
            wav = self._decode_causal(ecdc) if self.spec.causal else self._decode_whole(ecdc)
        return np.ascontiguousarray(wav[:, : ecdc.audio_length])

    def _decode_whole(self, ecdc: Ecdc) -> Wave:
        import torch

        parts = torch.split(self._codes(ecdc.codes), ecdc.segment_frames, dim=2)
        scales: list[Any] = [None] * len(parts)
        if ecdc.scales is not None:
            scales = list(torch.from_numpy(ecdc.scales).to(self._device).reshape(-1, 1))
        wav: Wave = self._model.decode(list(zip(parts, scales, strict=True)))[0].cpu().numpy()
        return wav

    def _decode_causal(self, ecdc: Ecdc) -> Wave:
        decoder, fps = CausalNetwork(self._model.decoder), self.spec.fps
        parts = []
        for codes, last in reblock([ecdc.codes], BLOCK_S * fps, LAST_S * fps):
            latents = self._model.quantizer.decode(self._codes(codes).transpose(0, 1))
            parts.append(decoder.push(latents, last)[0].cpu().numpy())
        return np.concatenate(parts, axis=1)

    def _codes(self, codes: NDArray[np.int16]) -> torch.Tensor:
        import torch

        return torch.from_numpy(codes.astype(np.int64)).to(self._device)[None]

    def _checked(self, block: Wave, lengths: list[int]) -> Wave:
        """Return `block` if it is audio for this codec, and note its length."""
        if block.ndim != 2 or block.shape[0] != self.spec.channels:
            raise PreprocessError(
                f"{self.spec.name} takes audio [{self.spec.channels}, N], got {list(block.shape)}"
            )
        if not np.isfinite(block.sum(dtype=np.float64)):
            raise PreprocessError("the audio holds NaN or infinity")
        lengths.append(block.shape[1])
        return block


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
    if target.type == "cuda":
        # TF32, which cuDNN takes for convolutions by default, changes tokens.
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    model = build_model(spec)
    path = find_weights(spec, weights)
    load_state(path, model, spec)
    _fold_weight_norm(model)
    return Codec(spec, model.to(target).eval(), digest_file(path), target)


def build_model(spec: CodecSpec) -> Any:
    """Return the `encodec.EncodecModel` of `spec`, with random weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates the weight norm that encodec uses
        from encodec import EncodecModel

        if spec.name == "encodec_24khz":
            return EncodecModel.encodec_model_24khz(pretrained=False)
        if spec.name == "encodec_48khz":
            return EncodecModel.encodec_model_48khz(pretrained=False)
        return _assemble(spec, *NETWORKS[spec.name])


def _assemble(spec: CodecSpec, dimension: int, network: dict[str, Any]) -> Any:
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


def _fold_weight_norm(model: Any) -> None:
    """Compute each normed weight once instead of at every call; the values are the same."""
    from torch.nn.utils import remove_weight_norm

    for module in model.modules():
        if hasattr(module, "weight_g"):
            remove_weight_norm(module)
