"""Sets whether a GPU may round float32 products (TF32), only while it computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Allow or forbid TF32 in convolutions and matrix products; restore both flags afterwards.

    The flags apply to the whole process, including other threads that use a GPU at that time.
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    cudnn.allow_tf32 = matmul.allow_tf32 = allowed
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before


def with_tf32(allowed: bool, items: Iterator[T]) -> Iterator[T]:
    """Yield `items`, each computed under `tf32(allowed)`; the flags are restored in between."""
    while True:
        with tf32(allowed):
            try:
                item = next(items)
            except StopIteration:
                return
        yield item
