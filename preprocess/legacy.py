"""The predecessor's token files: a `torch.save` of the encoder's output, under the name `.ecdc`.

They hold `audio_codes` of shape `[1, 1, K, T]`, `[1, K, T]` or `[K, T]`, and sometimes
`audio_length` and `audio_scales`. They are read with `weights_only=True`, so that a hostile file
cannot run code, and they always were made with the 24 kHz codec. This is the only reader of
tokens that needs torch.
"""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from preprocess.ecdc import Ecdc, EcdcError
from preprocess.frames import n_frames
from preprocess.specs import CODECS

_SPEC = CODECS["encodec_24khz"]


def read_legacy(path: Path, lazy: bool = False) -> Ecdc:
    """Read a token file of the `torch.save` kind as `[K, T]` int16.

    Args:
        path: The file.
        lazy: Map the codes instead of reading them: for readers of the header alone.

    Raises:
        EcdcError: It is no such file, or its codes do not fit the 24 kHz codec.
    """
    checkpoint = _load(path, lazy)
    codes = checkpoint.get("audio_codes") if isinstance(checkpoint, dict) else None
    if codes is None or not hasattr(codes, "numpy"):
        raise EcdcError(f"{path} is a torch.save file without a tensor 'audio_codes'")
    dtype, shape = str(codes.dtype).removeprefix("torch."), tuple(codes.shape)
    if not dtype.startswith(("int", "uint")) or codes.is_sparse or codes.is_meta:
        raise EcdcError(f"{path} holds audio_codes of dtype {dtype}; expected dense integers")
    if codes.numel() * codes.element_size() > path.stat().st_size:
        raise EcdcError(f"{path} claims audio_codes of shape {list(shape)}, more than it holds")
    if not 2 <= len(shape) <= 4 or any(n != 1 for n in shape[:-2]) or 0 in shape:
        raise EcdcError(f"{path} holds audio_codes of shape {list(shape)}; expected [K, T]")
    k, t = shape[-2:]
    if k > _SPEC.max_codebooks:
        raise EcdcError(f"{path} holds {k} codebooks; {_SPEC.name} has 1 to {_SPEC.max_codebooks}")
    length = _audio_length(checkpoint.get("audio_length"), t, path)
    if lazy:
        return Ecdc(_SPEC.name, np.broadcast_to(np.int16(0), (k, t)), length, (t,))
    values = codes.detach().reshape(k, t).numpy()
    if values.min() < 0 or values.max() >= _SPEC.codebook_size:
        raise EcdcError(f"{path} holds codes outside of 0 to {_SPEC.codebook_size - 1}")
    return Ecdc(_SPEC.name, values.astype(np.int16), length, (t,))


def _load(path: Path, lazy: bool) -> Any:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tensor kinds that the predecessor never used
            return torch.load(
                path,
                map_location="cpu",
                weights_only=True,
                mmap=(lazy and zipfile.is_zipfile(path)) or None,
            )
    except FileNotFoundError:
        raise
    except Exception as error:  # torch raises its own, pickle's, zipfile's and RuntimeError
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise EcdcError(f"{path} is no readable torch.save file: {reason[:200]}") from None


def _audio_length(stored: Any, frames: int, path: Path) -> int:
    """Return the stored length in samples, or the longest one with that many frames."""
    if stored is None:
        return frames * _SPEC.hop
    try:
        length = int(stored)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise EcdcError(
            f"{path} holds an audio_length that is no number: {type(stored).__name__}"
        ) from None
    if length < 1 or n_frames(length, _SPEC) != frames:
        raise EcdcError(f"{path} holds {frames} frames and an audio_length of {length} samples")
    return length
