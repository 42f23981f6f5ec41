"""The predecessor's token files: the encoder's output saved by `torch.save` as `.ecdc`.

They hold `audio_codes` of shape `[1, 1, K, T]`, `[1, K, T]` or `[K, T]`, and sometimes
`audio_length` and `audio_scales`. All were made with the 24 kHz codec. `preprocess.tokens.torch_file`
reads them without running code from the file or using much memory for a hostile one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from preprocess.core.untrusted import shown
from preprocess.tokens.frames import n_frames
from preprocess.tokens.specs import CODECS
from preprocess.tokens.torch_file import TorchFile, open_torch_file
from preprocess.tokens.torch_pickle import StoredTensor, TorchFileError
from preprocess.tokens.types import Ecdc, EcdcError

_SPEC = CODECS["encodec_24khz"]


def read_legacy(path: Path, lazy: bool = False) -> Ecdc:
    """Read a token file saved by `torch.save`; its codes become int16 `[K, T]`.

    Args:
        path: The file.
        lazy: Do not read the codes and return zeros instead, for callers that need only the header.

    Raises:
        EcdcError: The file is not of this kind, or its codes do not fit the 24 kHz codec.
    """
    try:
        with open_torch_file(path) as file:
            return _read(file, path, lazy)
    except TorchFileError as error:
        raise EcdcError(f"{path} {error}") from None


def _read(file: TorchFile, path: Path, lazy: bool) -> Ecdc:
    saved = file.value
    codes = saved.get("audio_codes") if isinstance(saved, dict) else None
    if not isinstance(codes, StoredTensor):
        raise EcdcError(f"{path} is a torch.save file without a tensor 'audio_codes'")
    kind, shape = np.dtype(codes.storage.kind), codes.shape
    if kind.kind not in "iu":
        raise EcdcError(f"{path} holds audio_codes of dtype {kind.name}; expected integers")
    file.check(codes)
    if not 2 <= len(shape) <= 4 or any(n != 1 for n in shape[:-2]) or 0 in shape:
        raise EcdcError(f"{path} holds audio_codes of shape {shown(list(shape))}; expected [K, T]")
    k, t = shape[-2:]
    if k > _SPEC.max_codebooks:
        raise EcdcError(
            f"{path} holds {shown(k)} codebooks; {_SPEC.name} has 1 to {_SPEC.max_codebooks}"
        )
    stored = saved.get("audio_length")
    if isinstance(stored, StoredTensor):
        stored = file.read(stored).tolist()
    length = _audio_length(stored, t, path)
    if lazy:
        return Ecdc(_SPEC.name, np.broadcast_to(np.int16(0), (k, t)), length, (t,))
    values = file.read(codes).reshape(k, t)
    if values.min() < 0 or values.max() >= _SPEC.codebook_size:
        raise EcdcError(f"{path} holds codes outside 0 to {_SPEC.codebook_size - 1}")
    return Ecdc(_SPEC.name, values.astype(np.int16), length, (t,))


def _audio_length(stored: Any, frames: int, path: Path) -> int:
    """Return the stored length in samples; if there is none, the longest one with `frames`."""
    if stored is None:
        return frames * _SPEC.hop
    if isinstance(stored, list) and len(stored) == 1:  # of a tensor [1]
        (stored,) = stored
    try:
        length = int(stored)
    except (TypeError, ValueError, OverflowError):
        raise EcdcError(
            f"{path} holds an audio_length of type {type(stored).__name__}; expected a number"
        ) from None
    if length < 1 or n_frames(length, _SPEC) != frames:
        raise EcdcError(
            f"{path} holds {frames} frames, which do not fit its audio_length of {shown(length)} samples"
        )
    return length
