"""`wf-inspect`: a look at token files with their sidecars, in a folder or beside a built dataset."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from preprocess.dataset import quiet_datasets
from preprocess.ecdc import read_ecdc, read_header
from preprocess.errors import PreprocessError, UsageError, printable
from preprocess.files import find_files, require_folder
from preprocess.flags import OneLineParser
from preprocess.report import exit_status, plural
from preprocess.sidecar import existing_paths, read_sidecar
from preprocess.sidecar_format import TOKEN_SUFFIX, Sidecar

_MOST_PROBLEMS = 10


@dataclass(frozen=True)
class _Options:
    """What is shown of a clip: rows of parameters, as `dtype`, its tensors on `device`."""

    display_params: int
    dtype: str
    device: str | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = OneLineParser(prog="wf-inspect", description="Look at tokens and their parameters.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--tokens-root", type=Path, help="folder with .ecdc files and sidecars")
    source.add_argument("--hf-ds", type=Path, help="folder of a built dataset")
    parser.add_argument("--split", default="train", help="split of the dataset")
    parser.add_argument("--recursive", action="store_true", help="look into subfolders")
    parser.add_argument("--device", help="torch device to put the shown clips on")
    parser.add_argument("--dtype", choices=("float32", "float16"), default="float32")
    parser.add_argument("--show", type=int, default=3, help="how many clips to show (default: 3)")
    parser.add_argument("--display-params", type=int, default=0, help="rows of parameters to show")
    parser.add_argument("--indices", help="clips to show instead, such as 0,5,10 or 0:10:2")
    parser.add_argument("--verify", action="store_true", help="read all clips completely")
    args = parser.parse_args(arguments)
    return exit_status(parser.prog, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    clips = _dataset_clips(args.hf_ds, args.split) if args.hf_ds else _folder_clips(args)
    options = _Options(args.display_params, args.dtype, args.device)
    print(printable(f"{args.hf_ds or args.tokens_root}: {len(clips)} {plural('clip', len(clips))}"))
    if args.indices:
        problems = {}
        shown = parse_indices(args.indices, len(clips))
    else:
        problems = _summarize(clips, args.verify)
        shown = list(range(min(args.show, len(clips))))
    for index in shown:
        if index not in problems:
            lines = _describe(clips[index], options).splitlines()
            print(f"[{index}]", "\n".join(map(printable, lines)))
    if args.verify and not problems:
        print("verified: every clip has codes and a sidecar of the same length")
    return 1 if problems else 0


def parse_indices(text: str, count: int) -> list[int]:
    """Return the indices below `count` that `0,5,10` or `0:10:2` name, in that order.

    Raises:
        UsageError: It is neither.
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
    outside = [index for index in found if not 0 <= index < count]
    if outside:
        raise UsageError(f"--indices {text!r}: {outside[0]} is none of the {count} clips, from 0")
    return found


def _folder_clips(args: argparse.Namespace) -> list[Path]:
    root = require_folder(args.tokens_root, "token folder")
    clips = [root / rel for rel in find_files(root, [TOKEN_SUFFIX], args.recursive)]
    if not clips:
        hint = "" if args.recursive else "; --recursive looks into subfolders"
        raise UsageError(f"no tokens ({TOKEN_SUFFIX}) under {root}{hint}")
    return clips


def _dataset_clips(folder: Path, split: str) -> list[Path]:
    """Return the token files that a dataset names: relative to it, or to its folder `tokens`."""
    from datasets import load_from_disk

    require_folder(folder, "dataset")
    try:
        with quiet_datasets():
            dataset = load_from_disk(str(folder))
    except FileNotFoundError:
        raise UsageError(f"{folder} is no dataset that was saved to disk") from None
    if split not in dataset:
        raise UsageError(f"{folder} has no split {split!r}; it has {', '.join(map(str, dataset))}")
    names = [Path(name) for name in dataset[split]["audio"]]
    return [folder / n if (folder / n).exists() else folder / "tokens" / n for n in names]


def _summarize(clips: list[Path], verify: bool) -> dict[int, str]:
    """Print what the clips have in common, and return the problems by index."""
    codebooks, features, problems = set(), set(), {}
    for index, path in enumerate(clips):
        try:
            sidecar = _sidecar(path)
            header = read_ecdc(path).header if verify else read_header(path)
            codebooks.add(header.n_codebooks)
            if sidecar is None:
                if verify:
                    raise PreprocessError(f"{path} has no sidecar")
                continue
            features.add(len(sidecar.features))
            if sidecar.n_frames != header.n_frames:
                raise PreprocessError(
                    f"{path} has {header.n_frames} frames, its sidecar {sidecar.n_frames}"
                )
        except (PreprocessError, OSError) as error:
            problems[index] = str(error)
    print(f"codebooks: {sorted(codebooks)}, parameters: {sorted(features)}")
    for index, text in list(problems.items())[:_MOST_PROBLEMS]:
        print(printable(f"[{index}] problem: {text}"))
    if len(problems) > _MOST_PROBLEMS:
        print(f"{len(problems) - _MOST_PROBLEMS} more problems")
    return problems


def _sidecar(path: Path) -> Sidecar | None:
    parts = existing_paths(path)
    return read_sidecar(path) if any(part.exists() for part in parts) else None


def _describe(path: Path, options: _Options) -> str:
    ecdc, sidecar = read_ecdc(path), _sidecar(path)
    names = list(sidecar.features) if sidecar else []
    columns = [f.values.astype(options.dtype) for f in sidecar.features.values()] if sidecar else []
    cond = np.stack(columns, axis=1) if columns else np.zeros((ecdc.codes.shape[1], 0))
    k, frames = ecdc.codes.shape
    text = f"{printable(path.name)}: {ecdc.model}, codes [T={frames}, K={k}], parameters {names}"
    if options.device is not None:
        text += f" on {_on_device(ecdc.codes, cond, options.device)}"
    rows = cond[: max(0, options.display_params)]
    if names and len(rows):
        text += "\n      t  " + "  ".join(f"{name:>12}" for name in names)
        for frame, values in enumerate(rows):
            text += f"\n  {frame:5}  " + "  ".join(f"{float(value):12.6g}" for value in values)
    return text


def _on_device(codes: Any, cond: Any, device: str) -> str:
    """Move a clip to a device, as a training run would, and return where it is then."""
    import torch

    try:
        moved = [torch.as_tensor(array).to(device) for array in (codes, cond)]
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"--device {device}: {str(error).splitlines()[0]}") from None
    return str(moved[0].device)
