"""The codec: waveforms to tokens and back, by encodec's own network.

`preprocess.codec.encoding` encodes and `preprocess.codec.decoding` decodes. Both use
`preprocess.codec.streaming` (long clips in windows), `preprocess.codec.layers` (which kernels run) and
`preprocess.codec.workers` (which threads run them).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from preprocess.codec.engine import engine_name, pick_device
from preprocess.codec.models import build_model, fold_weight_norm
from preprocess.codec.weights import find_weights, load_state
from preprocess.core.files import digest_file
from preprocess.core.jobs import cpu_count
from preprocess.tokens.specs import CodecSpec, codec_spec
from preprocess.tokens.types import Ecdc, EcdcError

if TYPE_CHECKING:
    import torch

    from preprocess.codec.encoders import SegmentEncoder, StreamEncoder
    from preprocess.codec.encoding import Encoding
    from preprocess.codec.network import Parts
    from preprocess.codec.quantizer import Quantizer
    from preprocess.codec.runner import Runner

T = TypeVar("T")
Wave = NDArray[np.float32]

CPU_ROWS = 1
"""Windows that share a run of the convolutions on a CPU; more would not fit into its caches."""
ROW_BYTES = 64 << 20
"""GPU memory in bytes that one window needs while it runs."""
CLIP_GROUP_THREADS = 4
"""Workers that one run of the LSTM keeps busy with convolutions. More workers open more clips."""


class Codec:
    """One codec with its weights on one device.

    Attributes:
        spec: Facts about the codec.
        ckpt: Hash of the weights file, for provenance.
        precision: Arithmetic of the encoder's network; `float32` gives encodec's codes.
        engine: What computes the codes, for provenance; codes of two engines may differ.
    """

    def __init__(
        self,
        spec: CodecSpec,
        model: Any,
        ckpt: str,
        device: torch.device,
        precision: str = "float32",
        allow_tf32: bool = False,
    ) -> None:
        self.spec, self.ckpt, self.precision = spec, ckpt, precision
        self.engine = engine_name(device, precision, allow_tf32)
        self._model, self._device, self._allow_tf32 = model, device, allow_tf32
        fold_weight_norm(model)

    def encode(self, wav: Wave, bandwidth_kbps: float) -> Ecdc:
        """Encode one clip; same as `encode_blocks` with a single block.

        Args:
            wav: float32 `[C, N]` at the codec's rate, full scale 1.0, N at least 1.
            bandwidth_kbps: One of the codec's bandwidths.

        Returns:
            The tokens, codes `[K, T]`.

        Raises:
            UsageError: The codec does not have this bandwidth.
            PreprocessError: The audio has another number of channels, holds NaN or infinity, or
                has no samples.
        """
        return self.encode_blocks([wav], bandwidth_kbps)

    def encode_blocks(self, blocks: Iterable[Wave], bandwidth_kbps: float) -> Ecdc:
        """Encode one clip that arrives in blocks of any sizes.

        The codes are those of `encodec.EncodecModel.encode`. They do not depend on the block sizes,
        on other clips encoded at the same time, or on the number of threads. Memory use is that of
        a few seconds of audio (`preprocess.codec.streaming`).

        Args:
            blocks: float32 `[C, n]` at the codec's rate, full scale 1.0; at least 1 sample in all.
            bandwidth_kbps: One of the codec's bandwidths.

        Returns:
            The tokens, codes `[K, T]`.

        Raises:
            UsageError: The codec does not have this bandwidth.
            PreprocessError: A block has another number of channels, or holds NaN or infinity, or
                all blocks are empty.
        """
        (clip,) = self.encode_streams([blocks], bandwidth_kbps, read_ahead=False)
        return clip.result(self.spec)

    def encode_batch(self, wavs: Sequence[Wave], bandwidth_kbps: float) -> list[Ecdc]:
        """Encode several clips `[C, N]` together; each gets the same codes as when encoded alone.

        Raises:
            UsageError: The codec does not have this bandwidth.
            PreprocessError: A clip has another number of channels, NaN, infinity, or no samples.
        """
        return self.encode_in_order(([wav] for wav in wavs), bandwidth_kbps, read_ahead=False)

    def encode_in_order(
        self, streams: Iterable[Iterable[Wave]], bandwidth_kbps: float, read_ahead: bool = True
    ) -> list[Ecdc]:
        """Encode clips as `encode_streams` does; return their tokens in the order of `streams`."""
        clips = self.encode_streams(streams, bandwidth_kbps, read_ahead)
        done = sorted(clips, key=lambda clip: clip.index)
        return [clip.result(self.spec) for clip in done]

    def encode_streams(
        self,
        streams: Iterable[Iterable[Wave]],
        bandwidth_kbps: float,
        read_ahead: bool = True,
        on_part: Callable[[float], None] | None = None,
    ) -> Iterator[Encoding]:
        """Encode any number of clips, several at a time, each in blocks as in `encode_blocks`.

        Args:
            streams: The blocks of each clip. An error that they raise fails only that clip.
            bandwidth_kbps: One of the codec's bandwidths.
            read_ahead: Read in separate threads, ahead of the model.
            on_part: Called with the seconds of audio that were encoded since the last call.

        Yields:
            Each clip when it is done, with its index in `streams`; `Encoding.result` returns its
            tokens.

        Raises:
            UsageError: The codec does not have this bandwidth.
        """
        return self._encode(streams, self.spec.n_codebooks(bandwidth_kbps), read_ahead, on_part)

    def _encode(
        self,
        streams: Iterable[Iterable[Wave]],
        n_codebooks: int,
        read_ahead: bool,
        on_part: Callable[[float], None] | None,
    ) -> Iterator[Encoding]:
        from preprocess.codec.encoding import encode_streams
        from preprocess.codec.recurrent import ROWS
        from preprocess.codec.runner import Runner
        from preprocess.codec.workers import Workers, worker_count

        threads = worker_count() if self._device.type == "cpu" else 0
        open_clips = max(ROWS * -(-threads // CLIP_GROUP_THREADS), self._rows)
        loaders = cpu_count() if read_ahead else 0
        with Workers(threads) as workers:
            runner = Runner(self._rows, workers)
            encoder = self._encoder(n_codebooks, runner)
            clips = encode_streams(encoder, streams, self.spec, open_clips, loaders, on_part)
            yield from self._under_flags(clips)
            self._rows = runner.rows

    def decode(self, ecdc: Ecdc) -> Wave:
        """Decode one clip to float32 `[C, N]`, where N is its `audio_length`.

        Raises:
            EcdcError: Another codec made the tokens.
        """
        wav = np.empty((self.spec.channels, ecdc.audio_length), np.float32)
        at = 0
        for block in self.decode_blocks(ecdc):
            wav[:, at : at + block.shape[1]] = block
            at += block.shape[1]
        return wav

    def decode_blocks(self, ecdc: Ecdc) -> Iterator[Wave]:
        """Decode one clip to float32 blocks `[C, n]`, in the memory of a few seconds of audio.

        Raises:
            EcdcError: Another codec made the tokens.
        """
        from preprocess.codec.decoding import decode_segments, decode_stream

        if ecdc.model != self.spec.name:
            raise EcdcError(f"{self.spec.name} cannot decode tokens of {ecdc.model}")
        run = decode_segments if self.spec.segment_samples else decode_stream
        return self._under_flags(run(self._decoder_parts, self._quantizer, ecdc, self.spec))

    def _under_flags(self, items: Iterator[T]) -> Iterator[T]:
        """Make `items` with the codec's TF32 setting; cuDNN uses TF32 by default, which changes codes."""
        from preprocess.codec.tf32 import with_tf32

        return with_tf32(self._allow_tf32, items) if self._device.type == "cuda" else items

    def codebooks(self) -> torch.Tensor:
        """Return the entries of all codebooks, float32 `[K, N, D]`, on the codec's device."""
        return self._quantizer.table()

    def _encoder(self, n_codebooks: int, runner: Runner) -> StreamEncoder | SegmentEncoder:
        from preprocess.codec.encoders import SegmentEncoder, StreamEncoder

        parts, quantizer = self._encoder_parts, self._quantizer
        if self.spec.segment_samples is not None:
            return SegmentEncoder(parts, quantizer, self.spec, n_codebooks, runner)
        return StreamEncoder(parts, quantizer, self.spec.hop, n_codebooks, runner)

    @cached_property
    def _encoder_parts(self) -> Parts:
        import torch

        from preprocess.codec.layers import LONG_SAMPLES
        from preprocess.codec.network import Parts

        network = self._model.encoder
        if self.precision != "float32":
            network = deepcopy(network).to(getattr(torch, self.precision))
        with torch.inference_mode():
            return Parts(network, self.spec.hop, self.spec.segment_samples or LONG_SAMPLES)

    @cached_property
    def _decoder_parts(self) -> Parts:
        import torch

        from preprocess.codec.layers import LONG_SAMPLES
        from preprocess.codec.network import Parts

        with torch.inference_mode():
            samples = self.spec.segment_samples or LONG_SAMPLES
            return Parts(self._model.decoder, self.spec.hop, samples)

    @cached_property
    def _quantizer(self) -> Quantizer:
        from preprocess.codec.quantizer import Quantizer

        return Quantizer(self._model.quantizer)

    @cached_property
    def _rows(self) -> int:
        """Number of windows that share a run of the convolutions."""
        import torch

        if self._device.type != "cuda":
            return CPU_ROWS
        free, _ = torch.cuda.mem_get_info(self._device)
        return int(np.clip(free // 2 // ROW_BYTES, 1, 64))


def load_codec(
    name: str,
    weights: str | None = None,
    device: str = "auto",
    precision: str = "float32",
    allow_tf32: bool = False,
) -> Codec:
    """Load a codec.

    Args:
        name: A key of `preprocess.tokens.specs.CODECS`.
        weights: See `preprocess.codec.weights.find_weights`.
        device: `auto` (a GPU if there is one), `cpu`, `cuda`, `cuda:1` and so on.
        precision: `float32`, or `bfloat16` for an encoder that rounds to 8 bits: its codes differ,
            and it is slower on a processor without bfloat16 arithmetic.
        allow_tf32: Let a GPU round float32 products to 10 bits; codes differ.

    Raises:
        UsageError: The codec is unknown, or the device cannot be used.
        WeightsError: The weights cannot be found or downloaded, or do not fit.
    """
    spec = codec_spec(name)
    target = pick_device(device)
    model = build_model(spec)
    path = find_weights(spec, weights)
    load_state(path, model, spec)
    return Codec(spec, model.to(target).eval(), digest_file(path), target, precision, allow_tf32)
