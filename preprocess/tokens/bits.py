"""Pack codes into the bit stream of `.ecdc`, least significant bit first, as encodec does.

With 10 bits a code, four codes fill five bytes:

    byte      0          1          2          3          4
    bits   7......0   7......0   7......0   7......0   7......0
    code   0 0 0 0    1 1 .. 0   2 2 .. 1   3 3 .. 2   3 3 3 3

The pattern repeats with that period, so each column of a `[groups, codes in a group]` array needs
one shift: at most eight array operations for a file of any length.
Format: `encodec/binary.py` (`BitPacker`, `BitUnpacker`) of facebookresearch/encodec.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def packed_size(count: int, bits: int) -> int:
    """Return the size in bytes of `count` codes of `bits` bits, rounded up to a whole byte."""
    return -(-count * bits // 8)


def _period(bits: int) -> tuple[int, int]:
    """Return the number of codes and of bytes after which the pattern of shifts repeats."""
    codes = 8 // math.gcd(bits, 8)
    return codes, codes * bits // 8


def pack(codes: NDArray[np.integer], bits: int) -> bytes:
    """Pack codes `[n]`, each in `0 .. 2**bits - 1`, into `packed_size(n, bits)` bytes.

    `bits` is 1 to 16. The range of the codes is not checked.
    """
    per_group, group_bytes = _period(bits)
    groups = -(-codes.size // per_group)
    padded = np.zeros((groups, per_group), np.uint32)
    padded.reshape(-1)[: codes.size] = codes
    out = np.zeros((groups, group_bytes + 2), np.uint8)  # room for the group's last code
    for j in range(per_group):
        byte, shift = divmod(j * bits, 8)
        word = padded[:, j] << np.uint32(shift)
        for k in range(-(-(shift + bits) // 8)):
            out[:, byte + k] |= (word >> np.uint32(8 * k)).astype(np.uint8)
    return out[:, :group_bytes].tobytes()[: packed_size(codes.size, bits)]


def unpack(data: bytes | memoryview, count: int, bits: int) -> NDArray[np.int16]:
    """Unpack `count` codes of `bits` bits (1 to 15) from `data` as int16 `[count]`.

    The inverse of `pack`.

    Raises:
        ValueError: `data` is shorter than `packed_size(count, bits)`.
    """
    if len(data) < packed_size(count, bits):
        raise ValueError(f"{count} codes need {packed_size(count, bits)} bytes, got {len(data)}")
    per_group, group_bytes = _period(bits)
    groups = -(-count // per_group)
    padded = np.zeros(groups * group_bytes, np.uint8)
    used = min(len(data), padded.size)
    padded[:used] = np.frombuffer(data, np.uint8, used)
    columns = padded.reshape(groups, group_bytes)
    out = np.empty((groups, per_group), np.int16)
    for j in range(per_group):
        byte, shift = divmod(j * bits, 8)
        word = columns[:, byte].astype(np.uint32)
        for k in range(1, -(-(shift + bits) // 8)):
            word |= columns[:, byte + k].astype(np.uint32) << np.uint32(8 * k)
        out[:, j] = (word >> np.uint32(shift)) & np.uint32((1 << bits) - 1)
    return out.reshape(-1)[:count]
