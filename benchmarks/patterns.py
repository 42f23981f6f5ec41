"""Codebook patterns of lengths that were not seen before, against audiocraft's pattern providers.

Usage: python -m benchmarks.patterns [--codebooks 4] [--frames 1500] [--lengths 50] [--batch 8]

Needs audiocraft's file `codebooks_patterns.py` alone: `pip install --no-deps audiocraft`.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from preprocess.train.patterns import pattern

PADDING = 1024
PROVIDERS = {"delay": "DelayedPatternProvider", "coarse_first": "CoarseFirstPattern"}


def audiocraft_patterns() -> ModuleType:
    """Import audiocraft's module of patterns without the package around it."""
    found = importlib.util.find_spec("audiocraft")
    if found is None or found.origin is None:
        raise SystemExit("audiocraft is not installed: pip install --no-deps audiocraft")
    file = Path(found.origin).parent / "modules/codebooks_patterns.py"
    spec = importlib.util.spec_from_file_location("codebooks_patterns", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def ours(name: str, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Return codes `[B, K, T]` in a pattern, and back."""
    order = pattern(name, codes.shape[1], codes.shape[2])
    laid_out = order.apply(codes, PADDING)
    return laid_out, order.invert(laid_out, PADDING)


def theirs(provider: Any, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the same by a provider; its first step, of the start, is left out."""
    order = provider.get_pattern(codes.shape[2])
    laid_out = order.build_pattern_sequence(codes, PADDING)[0]
    return laid_out[..., 1:], order.revert_pattern_sequence(laid_out, PADDING)[0]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codebooks", type=int, default=4)
    parser.add_argument("--frames", type=int, default=1500)
    parser.add_argument("--lengths", type=int, default=50)
    parser.add_argument("--batch", type=int, default=8)
    args = parser.parse_args()
    torch.set_num_threads(1)
    module = audiocraft_patterns()
    print(
        f"{args.batch} clips of {args.codebooks} codebooks, {args.lengths} lengths around "
        f"{args.frames} frames, each seen once; laid out and back"
    )
    for name, provider_name in PROVIDERS.items():
        provider = getattr(module, provider_name)(args.codebooks)
        seconds: dict[str, list[float]] = {"preprocess.train": [], "audiocraft": []}
        for extra in range(-1, args.lengths):  # the first one warms up
            shape = (args.batch, args.codebooks, args.frames + extra)
            codes = torch.randint(0, PADDING, shape)
            at = [time.process_time()]
            mine = ours(name, codes)
            at.append(time.process_time())
            other = theirs(provider, codes)
            at.append(time.process_time())
            if not all(torch.equal(a, b) for a, b in zip(mine, other, strict=True)):
                raise SystemExit(f"{name} of {list(shape)} differs from audiocraft's")
            if extra >= 0:
                for key, start, end in zip(seconds, at, at[1:], strict=False):
                    seconds[key].append(end - start)
        medians = {key: statistics.median(values) for key, values in seconds.items()}
        for key, median in medians.items():
            ratio = median / medians["preprocess.train"]
            print(f"{name:<14}{key:<20}{1000 * median:>10.3f} ms{ratio:>10.1f}x")


if __name__ == "__main__":
    main()
