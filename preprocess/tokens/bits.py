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
    padded = np.zeros(groups * group_bytes + 16, np.uint8)  # room for the last words
    used = min(len(data), groups * group_bytes)
    padded[:used] = np.frombuffer(data, np.uint8, used)
    out = np.empty((groups, per_group), np.int16)
    for j in range(per_group):
        byte, shift = divmod(j * bits, 8)
        # A code and its shift take at most 22 bits of the 32 that begin with its first byte.
        words = np.ndarray((groups,), "<u4", padded, byte, (group_bytes,))
        out[:, j] = (words >> np.uint32(shift)) & np.uint32((1 << bits) - 1)
    return out.reshape(-1)[:count]
