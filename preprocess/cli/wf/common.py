"""Shared parts of the `wf-*` commands: flags, the clips of a shard, error handling."""

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
    """The locations of a clip's files.

    Attributes:
        tokens: The token file.
        beside: The token file's path under the sidecar folder.
        suffix: Suffix of the sidecars' arrays.
    """

    tokens: Path
    beside: Path
    suffix: str


def add_place_flags(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add the flags that locate tokens and sidecars."""
    parser.add_argument(
        "--audio-root", type=Path, required=required, help="folder with .ecdc files"
    )
    parser.add_argument(
        "--cond-root",
        type=Path,
        help="sidecar folder, a mirrored tree (default: the token folder)",
    )
    parser.add_argument("--suffix", default=ARRAY_SUFFIX, help="suffix of the sidecars' arrays")
    parser.add_argument("--shard-index", type=int, help="process only this shard, from 0")
    parser.add_argument("--shard-count", type=int, help="number of shards")


def places(args: argparse.Namespace) -> Iterator[Place]:
    """Remove leftovers of killed runs, then yield the file locations of each clip in the shard.

    Raises:
        UsageError: No token files found, or the suffix or shard is invalid.
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
    """Call `step` for every clip and count the results in `report`.

    Args:
        step: Returns whether it changed something.
        clips: The clips.
        report: Receives counts and failures.
        skip_errors: Whether to continue after an error.
    """
    for clip in clips:
        try:
            changed = step(clip)
        except (UsageError, DiskError):
            raise
        except Exception as error:  # collected, counted and reported
            report.fail(clip.tokens, Outcome(clip, None, error).message())
            if not skip_errors:
                report.note("stopped at the first error; use --skip-errors to continue")
                break
            continue
        report.done += changed
        report.current += not changed
    return report.finish()
