"""Draws that follow from a key: a permutation without a list, and numbers.

A permutation of `size` numbers is a Feistel network over pairs (l, r), l below a and r below b,
`number = l * b + r`:

    l, r  ->  l + hash(r) mod a, r  ->  l, r + hash(l) mod b  ->  ...

Each round can be undone, so different numbers stay different. `a * b` exceeds `size` by less than
`a + b`; what lands beyond `size` is put in again until it does not (cycle walking: Black and
Rogaway, "Ciphers with Arbitrary Finite Domains", 2002).
"""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
_ROUNDS = 6


def derive_keys(count: int, *parts: int | str) -> NDArray[np.uint64]:
    """Return `count` keys `[count]` that follow from `parts`."""
    text = "/".join(map(str, parts)).encode()
    words = [blake2b(text, digest_size=8, person=b"%16d" % i).digest() for i in range(count)]
    return np.frombuffer(b"".join(words), np.dtype("<u8")).astype(np.uint64)


def hashed(numbers: NDArray[np.uint64], key: np.uint64) -> NDArray[np.uint64]:
    """Return a hash of each number: the finaliser of splitmix64, after adding the key.

    Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
    """
    x = numbers + key
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


def draw(numbers: NDArray[np.integer[Any]], below: Numbers, key: np.uint64) -> Numbers:
    """Return for each of `numbers` a number from 0 up to, not including, that in `below`."""
    return (hashed(numbers.astype(np.uint64), key) % below.astype(np.uint64)).astype(np.int64)


class KeyedPermutation:
    """A permutation of the numbers below `size`, computed where it is asked for."""

    def __init__(self, size: int, *parts: int | str) -> None:
        self.size = size
        self._left = np.uint64(max(1, math.isqrt(max(size - 1, 0)) + 1))
        self._right = np.uint64(max(1, -(-size // int(self._left))))
        self._keys = derive_keys(_ROUNDS, "permutation", size, *parts)

    def __call__(self, numbers: Numbers) -> Numbers:
        """Return where each of `numbers`, all below `size`, goes."""
        found = self._once(numbers.astype(np.uint64))
        size = np.uint64(self.size)
        while (beyond := found >= size).any():
            found[beyond] = self._once(found[beyond])
        return found.astype(np.int64)

    def _once(self, numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
        left, right = numbers // self._right, numbers % self._right
        for at in range(0, _ROUNDS, 2):
            left = (left + hashed(right, self._keys[at]) % self._left) % self._left
            right = (right + hashed(left, self._keys[at + 1]) % self._right) % self._right
        return left * self._right + right
