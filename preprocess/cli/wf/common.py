"""What the `wf-*` commands share: flags, the clips of a shard, one error a line."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from preprocess.core.errors import DiskError, UsageError
from preprocess.core.jobs import Outcome
from preprocess.core.report import Report
from preprocess.core.settings import ShardConfig
from preprocess.core.temporaries import remove_stale
from preprocess.dataset.clips import find_tokens
from preprocess.sidecar.sidecar_format import ARRAY_SUFFIX


@dataclass(frozen=True)
class Place:
    """Where a clip's files are.

    Attributes:
        tokens: The token file.
        beside: What stands for its path among the sidecars.
        suffix: What their arrays end in.
    """

    tokens: Path
    beside: Path
    suffix: str


def add_place_flags(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add the flags that say where tokens and sidecars are."""
    parser.add_argument(
        "--audio-root", type=Path, required=required, help="folder with .ecdc files"
    )
    parser.add_argument(
        "--cond-root", type=Path, help="folder of the sidecars, mirroring it (default: the same)"
    )
    parser.add_argument("--suffix", default=ARRAY_SUFFIX, help="ending of the sidecars' arrays")
    parser.add_argument("--shard-index", type=int, help="work on this shard alone, from 0")
    parser.add_argument("--shard-count", type=int, help="how many shards there are")


def places(args: argparse.Namespace) -> Iterator[Place]:
    """Remove what killed runs left, and yield where the files of each clip of the shard are.

    Raises:
        UsageError: There are no tokens, the suffix is none, or the shard is.
    """
    if not args.suffix.endswith(".npy") or "/" in args.suffix:
        raise UsageError(f"--suffix {args.suffix!r} must end in .npy")
    remove_stale(args.cond_root or args.audio_root)
    shard = ShardConfig(shard_index=args.shard_index, shard_count=args.shard_count)
    for rel in find_tokens(args.audio_root):
        if shard.has(rel):
            beside = (args.cond_root or args.audio_root) / rel
            yield Place(args.audio_root / rel, beside, args.suffix)


def for_each(
    step: Callable[[Place], bool], clips: Iterable[Place], report: Report, skip_errors: bool
) -> Report:
    """Call `step`, which returns whether it changed something, for every clip.

    The first error ends it, unless `skip_errors`.
    """
    for clip in clips:
        try:
            changed = step(clip)
        except (UsageError, DiskError):
            raise
        except Exception as error:  # collected, counted and reported
            report.fail(clip.tokens, Outcome(clip, None, error).message())
            if not skip_errors:
                report.note("stopped at the first error; --skip-errors goes on")
                break
            continue
        report.done += changed
        report.current += not changed
    return report.finish()
