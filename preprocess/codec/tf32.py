"""Whether a GPU may round the products of float32, set only while it computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Allow or forbid TF32 in convolutions and matrix products, and restore both flags after it.

    The flags belong to the process: code in other threads that uses a GPU meanwhile sees them.
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    cudnn.allow_tf32 = matmul.allow_tf32 = allowed
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before


def with_tf32(allowed: bool, items: Iterator[T]) -> Iterator[T]:
    """Yield `items`, each made under `tf32(allowed)`; between two of them the flags are restored."""
    while True:
        with tf32(allowed):
            try:
                item = next(items)
            except StopIteration:
                return
        yield item
