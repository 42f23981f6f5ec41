"""The `.ecdc` container: reads and writes Meta's format, bit for bit.

    offset 0    4     5          9           9 + h
           |ECDC| 0  | h        | JSON      | segment 0     | segment 1 ...
            magic u8  u32 big-e.  h bytes     [scale] codes

The JSON header is `{"m": model, "al": audio length, "nc": codebooks, "lm": false}`. Meta's reader
ignores further keys, so we store the provenance there. A segment holds its scale as a big-endian
float32 (48 kHz codec only), then its codes time-major (`for t: for k`), packed least significant
bit first (`preprocess.tokens.bits`) and padded to a byte. The number of frames in a segment follows
from `al` in integer arithmetic (`preprocess.tokens.frames`). encodec 0.1.1 uses floats and cannot read
74 of the lengths under 20 s, the first being 6,720 samples; this reader can.

Format: `encodec/binary.py` and `encodec/compress.py` of facebookresearch/encodec.
"""

from __future__ import annotations

import json
import math
import os
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from preprocess.core.errors import PreprocessError
from preprocess.core.files import digest_bytes, digest_file, write_bytes
from preprocess.core.untrusted import open_regular, shown
from preprocess.tokens.bits import pack, packed_size, unpack
from preprocess.tokens.frames import n_frames, segment_frames, segment_runs
from preprocess.tokens.legacy import read_legacy
from preprocess.tokens.specs import CODECS, codec_spec
from preprocess.tokens.types import Ecdc, EcdcError, EcdcHeader, StoredEcdc

MAGIC = b"ECDC"
VERSION = 0
_PREFIX = struct.Struct("!4sBI")
_SCALE = struct.Struct("!f")
MAX_HEADER_BYTES = 1 << 16
"""A header is about 100 bytes; a larger claim is refused."""


def read_header(path: str | Path) -> EcdcHeader:
    """Read the header of a token file, without its codes.

    Raises:
        EcdcError: The file is not a readable `.ecdc`, or its length does not match its header.
        OSError: The file cannot be opened.
    """
    path = Path(path)
    with _open(path) as file:
        if not _is_legacy(file):
            return _read_meta_header(file, path)[0]
    return read_legacy(path, lazy=True).header


def read_ecdc(path: str | Path) -> Ecdc:
    """Read the tokens of one clip from Meta's format or the predecessor's `torch.save` format.

    Raises:
        EcdcError: The file is not a readable `.ecdc`, or its length does not match its header.
        OSError: The file cannot be opened.
    """
    path = Path(path)
    with _open(path) as file:
        if not _is_legacy(file):
            header = _read_meta_header(file, path)[0]
            return _parse_payload(file.read(payload_size(header)), header)
    return read_legacy(path)


def read_stored(path: str | Path) -> StoredEcdc:
    """Read the tokens of one clip, the text of its header and the hash of its file.

    Raises as `read_ecdc` does.
    """
    path = Path(path)
    with _open(path) as file:
        if not _is_legacy(file):
            header, text = _read_meta_header(file, path)
            payload = file.read(payload_size(header))
            digest = digest_bytes(_PREFIX.pack(MAGIC, VERSION, len(text)) + text + payload)
            ecdc = _parse_payload(payload, header)
            try:
                exact = not _has_padding_bits(payload, ecdc)
                return StoredEcdc(ecdc, text.decode(), exact, digest)
            except UnicodeDecodeError:  # JSON may also be UTF-16
                return StoredEcdc(ecdc, _header_text(ecdc), False, digest)
    ecdc = read_legacy(path)
    return StoredEcdc(ecdc, _header_text(ecdc), False, digest_file(path))


def pack_ecdc(ecdc: Ecdc, text: str) -> bytes:
    """Return the content of a token file whose header is `text`, the JSON of one with these tokens.

    Raises:
        EcdcError: The tokens do not fit their codec, or `text` is not their header.
    """
    _check(ecdc)
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise EcdcError("the header is not JSON") from None
    stored = _parse_header(fields, Path("the header"))
    found = (stored.model, stored.audio_length, stored.n_codebooks)
    expected = (ecdc.model, ecdc.audio_length, len(ecdc.codes))
    if found != expected:
        raise EcdcError(
            f"the header states model, samples, codebooks {found}; the tokens have {expected}"
        )
    return _container(ecdc, text.encode())


def write_ecdc(path: str | Path, ecdc: Ecdc) -> None:
    """Write the tokens of one clip as Meta's `.ecdc`, atomically.

    Raises:
        EcdcError: The tokens do not fit their codec; nothing is written.
        DiskError: The disk is full or read-only, or permission is denied.
    """
    _check(ecdc)
    text = _header_text(ecdc).encode()
    if len(text) > MAX_HEADER_BYTES:
        raise EcdcError(
            f"{path}: the header is {len(text):,} bytes; at most {MAX_HEADER_BYTES:,} are allowed"
        )
    write_bytes(Path(path), _container(ecdc, text))


def _header_text(ecdc: Ecdc) -> str:
    k, length = int(ecdc.codes.shape[0]), int(ecdc.audio_length)
    return json.dumps({"m": ecdc.model, "al": length, "nc": k, "lm": False, **ecdc.extra})


def _container(ecdc: Ecdc, text: bytes) -> bytes:
    """Return the content of a token file; the tokens and the header have been checked."""
    spec = CODECS[ecdc.model]
    parts = [_PREFIX.pack(MAGIC, VERSION, len(text)), text]
    start = 0
    for segment, frames in enumerate(ecdc.segment_frames):
        if ecdc.scales is not None:
            parts.append(_SCALE.pack(ecdc.scales[segment]))
        parts.append(pack(ecdc.codes[:, start : start + frames].T.reshape(-1), spec.bits))
        start += frames
    return b"".join(parts)


def _open(path: Path) -> BinaryIO:
    try:
        return open_regular(path)
    except PreprocessError as error:
        raise EcdcError(str(error)) from None


def _is_legacy(file: BinaryIO) -> bool:
    magic = file.read(len(MAGIC))
    file.seek(0)
    return magic.startswith((b"PK\x03\x04", b"\x80"))  # a zip archive, or a bare pickle


def _read_meta_header(file: BinaryIO, path: Path) -> tuple[EcdcHeader, bytes]:
    """Return the header and its text."""
    prefix = file.read(_PREFIX.size)
    if len(prefix) < _PREFIX.size or not prefix.startswith(MAGIC):
        raise EcdcError(f"{path} is not an .ecdc file (it does not start with {MAGIC.decode()})")
    _, version, size = _PREFIX.unpack(prefix)
    if version != VERSION:
        raise EcdcError(f"{path} is .ecdc version {version}; only version {VERSION} is supported")
    if size > MAX_HEADER_BYTES:
        raise EcdcError(
            f"{path} claims a header of {size:,} bytes; at most {MAX_HEADER_BYTES:,} are allowed"
        )
    text = file.read(size)
    if len(text) < size:
        raise EcdcError(f"{path} is truncated within its header")
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise EcdcError(f"{path} has a header that is not JSON") from None
    header = _parse_header(fields, path)
    # Check the size before allocating for a claimed length, and also for callers that read only
    # the header, so that they do not accept a truncated file.
    expected, actual = payload_size(header), os.fstat(file.fileno()).st_size - file.tell()
    if actual != expected:
        what = "is truncated" if actual < expected else "is too long"
        wanted = f"{expected:,}" if expected < 1 << 64 else "more than any file's"
        raise EcdcError(f"{path} {what}: expected {wanted} bytes of codes, got {actual:,}")
    return header, text


def _parse_header(fields: Any, path: Path) -> EcdcHeader:
    if not isinstance(fields, dict):
        raise EcdcError(f"{path} has a header that is not a JSON object")
    model, length, k = (fields.pop(key, None) for key in ("m", "al", "nc"))
    if not isinstance(model, str) or model not in CODECS:
        raise EcdcError(f"{path} uses the unknown codec {shown(model)}; known: {', '.join(CODECS)}")
    if type(length) is not int or length < 1:
        raise EcdcError(f"{path} claims an audio length of {shown(length)} samples")
    most = CODECS[model].max_codebooks
    if type(k) is not int or not 1 <= k <= most:
        raise EcdcError(f"{path} claims {shown(k)} codebooks; {model} has 1 to {most}")
    if fields.pop("lm", False):
        raise EcdcError(f"{path} was compressed with the language model, which is not supported")
    return EcdcHeader(model, length, k, fields)


def payload_size(header: EcdcHeader) -> int:
    """Return the number of bytes after the header, in constant time for any claimed length."""
    spec, k = header.spec, header.n_codebooks
    scale = _SCALE.size if spec.segment_samples is not None else 0
    return sum(
        run.repeats * (scale + packed_size(run.frames * k, spec.bits))
        for run in segment_runs(header.audio_length, spec)
    )


def _parse_payload(payload: bytes, header: EcdcHeader) -> Ecdc:
    """Return the tokens; `payload` is all that follows the header, of the size that this states."""
    data = memoryview(payload)
    spec, k = header.spec, header.n_codebooks
    frames = segment_frames(header.audio_length, spec)
    codes = np.empty((sum(frames), k), np.int16)
    scales = np.empty(len(frames), np.float32) if spec.segment_samples is not None else None
    at = start = 0
    for segment, count in enumerate(frames):
        if scales is not None:
            (scales[segment],) = _SCALE.unpack_from(data, at)
            at += _SCALE.size
        size = packed_size(count * k, spec.bits)
        codes[start : start + count] = unpack(data[at : at + size], count * k, spec.bits).reshape(
            count, k
        )
        at, start = at + size, start + count
    return Ecdc(
        header.model,
        np.ascontiguousarray(codes.T),
        header.audio_length,
        frames,
        scales,
        header.extra,
    )


def _has_padding_bits(payload: bytes, ecdc: Ecdc) -> bool:
    """Whether a file with these bytes after its header would not be written with the same again.

    Bits after the last code of a segment are zero in every known writer. A NaN can have many bits.
    """
    if ecdc.scales is not None and not all(map(math.isfinite, ecdc.scales)):
        return True
    bits, k = ecdc.header.spec.bits, len(ecdc.codes)
    scale = 0 if ecdc.scales is None else _SCALE.size
    end = len(payload)
    for frames in reversed(ecdc.segment_frames):
        used = frames * k * bits % 8
        if used and payload[end - 1] >> used:
            return True
        end -= scale + packed_size(frames * k, bits)
    return False


def _check(ecdc: Ecdc) -> None:
    spec, codes = codec_spec(ecdc.model), ecdc.codes
    taken = [key for key in ("m", "al", "nc", "lm") if key in ecdc.extra]
    if taken:
        raise EcdcError(f"extra must not contain {taken[0]!r}, a key of the header")
    if ecdc.audio_length < 1:
        raise EcdcError(f"audio_length must be at least 1 sample, got {ecdc.audio_length}")
    if codes.ndim != 2 or not 1 <= codes.shape[0] <= spec.max_codebooks:
        raise EcdcError(
            f"codes must be [K, T] with K from 1 to {spec.max_codebooks}, got {list(codes.shape)}"
        )
    total = n_frames(ecdc.audio_length, spec)  # constant time; checked before the segments
    if codes.shape[1] != total or ecdc.segment_frames != segment_frames(ecdc.audio_length, spec):
        raise EcdcError(
            f"{ecdc.audio_length} samples of {spec.name} are {total} frames; got "
            f"{codes.shape[1]} frames in {len(ecdc.segment_frames)} segments"
        )
    if not np.issubdtype(codes.dtype, np.integer):
        raise EcdcError(f"codes must be integers, got {codes.dtype}")
    if codes.min() < 0 or codes.max() >= spec.codebook_size:
        raise EcdcError(
            f"codes must be 0 to {spec.codebook_size - 1}, got {codes.min()} to {codes.max()}"
        )
    if spec.segment_samples is None:
        if ecdc.scales is not None:
            raise EcdcError(f"{spec.name} has no scales")
    elif ecdc.scales is None or ecdc.scales.shape != (len(ecdc.segment_frames),):
        got = None if ecdc.scales is None else ecdc.scales.shape
        raise EcdcError(f"{spec.name} needs a scale for each segment, got {got}")
