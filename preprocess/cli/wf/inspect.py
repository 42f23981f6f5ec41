"""`wf-inspect`: shows token files with their sidecars, from a folder or a built dataset."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from preprocess.core.errors import UsageError, printable
from preprocess.core.parser import OneLineParser
from preprocess.core.report import exit_status, plural
from preprocess.steps.look import LookOptions, describe, summarize, summary_lines
from preprocess.steps.look_clips import dataset_clips, folder_clips


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = OneLineParser(prog="wf-inspect", description="Show tokens and their parameters.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--tokens-root", type=Path, help="folder with .ecdc files and sidecars")
    source.add_argument("--hf-ds", type=Path, help="folder of a built dataset")
    parser.add_argument("--split", default="train", help="split of the dataset")
    parser.add_argument("--recursive", action="store_true", help="search subfolders")
    parser.add_argument("--device", help="torch device to move the shown clips to")
    parser.add_argument("--dtype", choices=("float32", "float16"), default="float32")
    parser.add_argument("--show", type=int, default=3, help="number of clips to show (default: 3)")
    parser.add_argument(
        "--display-params", type=int, default=0, help="number of frames whose parameters to show"
    )
    parser.add_argument("--indices", help="show these clips instead, such as 0,5,10 or 0:10:2")
    parser.add_argument("--verify", action="store_true", help="read and check all clips completely")
    args = parser.parse_args(arguments)
    return exit_status(parser.prog, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    if args.hf_ds:
        clips, note = dataset_clips(args.hf_ds, args.split)
        _note(note)
    else:
        clips = folder_clips(args.tokens_root, args.recursive)
    options = LookOptions(args.display_params, args.dtype, args.device)
    print(printable(f"{args.hf_ds or args.tokens_root}: {len(clips)} {plural('clip', len(clips))}"))
    shown = list(range(min(args.show, len(clips))))
    if args.indices:
        shown, outside = parse_indices(args.indices, len(clips))
        if outside:
            _note(f"--indices: the clips are 0 to {len(clips) - 1}; ignored {outside}")
    problems = {}
    if args.verify or not args.indices:
        summary = summarize(clips, args.verify)
        problems = summary.problems
        print("".join(f"{line}\n" for line in summary_lines(summary)), end="")
    for index in shown:
        if index not in problems:
            lines = describe(clips[index].read(), options).splitlines()
            print(f"[{index}]", "\n".join(map(printable, lines)))
    if args.verify and not problems:
        print("verified: every clip has codes and parameters of the same length")
    return 1 if problems else 0


def _note(text: str) -> None:
    if text:
        print(printable(f"wf-inspect: note: {text}"), file=sys.stderr)


def parse_indices(text: str, count: int) -> tuple[list[int], list[int]]:
    """Parse indices such as `0,5,10` or `0:10:2`.

    Args:
        text: The indices.
        count: Number of clips.

    Returns:
        The valid indices and the invalid ones, without duplicates.

    Raises:
        UsageError: `text` has another form, or names no clip.
    """
    found: list[int] = []
    try:
        for part in text.split(","):
            if ":" in part:
                ends = [int(end) if end.strip() else None for end in part.split(":")]
                found += range(count)[slice(*ends)]
            else:
                found.append(int(part))
    except (ValueError, TypeError):
        raise UsageError(f"--indices {text!r} must be like 0,5,10 or 0:10:2") from None
    found = list(dict.fromkeys(found))
    inside = [index for index in found if 0 <= index < count]
    if not inside:
        raise UsageError(f"--indices {text!r} selects none of the clips 0 to {count - 1}")
    return inside, [index for index in found if index not in inside]
