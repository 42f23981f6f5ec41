"""Codebook patterns of lengths that were not seen before, against audiocraft's pattern providers.

Usage: python -m benchmarks.patterns [--codebooks 4] [--frames 1500] [--lengths 50] [--batch 8]
    [--rounds 3]

Needs audiocraft's file `codebooks_patterns.py` alone: `pip install --no-deps audiocraft`.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from benchmarks.timing import print_ratios
from preprocess.train.patterns import pattern

Call = Callable[[Tensor], tuple[Tensor, Tensor]]

PADDING = 1024
OURS = "preprocess.train"
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
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    module = audiocraft_patterns()
    print(
        f"{args.batch} clips of {args.codebooks} codebooks and {args.frames} frames or more, "
        f"every length seen once; laid out and back, the best of {args.rounds} rounds of "
        f"{args.lengths} lengths"
    )
    for name, provider_name in PROVIDERS.items():
        provider = getattr(module, provider_name)(args.codebooks)
        calls: dict[str, Call] = {
            OURS: lambda codes, name=name: ours(name, codes),  # type: ignore[misc]
            "audiocraft": lambda codes, by=provider: theirs(by, codes),  # type: ignore[misc]
        }
        seconds: dict[str, list[float]] = {key: [] for key in calls}
        for round_ in range(args.rounds):
            first = args.frames + round_ * args.lengths
            shapes = [(args.batch, args.codebooks, first + n) for n in range(args.lengths)]
            clips = [torch.randint(0, PADDING, shape) for shape in shapes]
            for key, call in calls.items():
                seconds[key].append(timed(call, clips) / args.lengths)
            for codes in clips[:3]:
                results = [call(codes) for call in calls.values()]
                if not all(torch.equal(a, b) for a, b in zip(*results, strict=True)):
                    raise SystemExit(f"{name} of {list(codes.shape)} differs from audiocraft's")
        print_ratios({f"{name}, {k}": min(v) for k, v in seconds.items()}, f"{name}, {OURS}")


def timed(call: Call, clips: list[Tensor]) -> float:
    """Return the processor's seconds that a call takes for clips of as many lengths."""
    start = time.process_time()
    for codes in clips:
        call(codes)
    return time.process_time() - start


if __name__ == "__main__":
    main()
