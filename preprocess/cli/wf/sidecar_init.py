"""`wf-sidecar-init`: writes an empty sidecar for every clip, which `wf-sidecar-add` fills."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from preprocess.cli.wf.common import Place, add_place_flags, for_each, places
from preprocess.core.errors import PreprocessError, printable
from preprocess.core.files import write_bytes
from preprocess.core.parser import OneLineParser
from preprocess.core.report import Report, exit_status, print_report
from preprocess.sidecar.parameters import SidecarError
from preprocess.sidecar.precision import FLOATS, Dtype
from preprocess.sidecar.reading import existing_paths, read_sidecar
from preprocess.sidecar.sidecar_format import Sidecar, sidecar_paths
from preprocess.sidecar.writing import write_sidecar
from preprocess.tokens.ecdc import read_header

_COLUMNS = ("rel_ecdc", "rel_cond", "frames", "D", "fps", "codebooks")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = OneLineParser(prog="wf-sidecar-init", description="Write empty sidecars.")
    add_place_flags(parser)
    parser.add_argument("--dtype", choices=FLOATS, default="float16")
    parser.add_argument("--overwrite", action="store_true", help="empty existing sidecars")
    parser.add_argument("--manifest-csv", type=Path, help="write a list of the clips to this file")
    parser.add_argument("--skip-errors", action="store_true", help="continue after an error")
    args = parser.parse_args(arguments)

    def run() -> int:
        rows: list[tuple[object, ...]] = []

        def step(clip: Place) -> bool:
            changed = init_sidecar(clip, args.dtype, args.overwrite)
            rows.append(_row(clip, args.audio_root, args.cond_root or args.audio_root))
            return changed

        report = Report("init", output=str(args.cond_root or args.audio_root))
        for_each(step, places(args), report, args.skip_errors)
        if args.manifest_csv is not None:
            out = io.StringIO()
            csv.writer(out, lineterminator="\n").writerows([_COLUMNS, *rows])
            write_bytes(args.manifest_csv, out.getvalue().encode())
        print_report(report)
        return 0 if report.ok else 1

    return exit_status(parser.prog, run)


def init_sidecar(clip: Place, dtype: Dtype, overwrite: bool) -> bool:
    """Write an empty sidecar unless one exists; return whether it was written.

    Raises:
        SidecarError: The existing sidecar has another number of frames, or cannot be read.
    """
    parts = existing_paths(clip.beside, clip.suffix)
    if any(part.exists() for part in parts) and not overwrite:
        frames, expected = _stored(clip).n_frames, read_header(clip.tokens).n_frames
        if frames != expected:
            raise SidecarError(f"{parts[0]} has {frames} frames, but {clip.tokens} has {expected}")
        return False
    write_sidecar(
        clip.tokens, {}, mode="replace-all", dtype=dtype, beside=clip.beside, suffix=clip.suffix
    )
    return True


def _stored(clip: Place) -> Sidecar:
    try:
        return read_sidecar(clip.beside, clip.suffix)
    except PreprocessError as error:
        raise SidecarError(f"{error}; use --overwrite to replace it") from None


def _row(clip: Place, audio_root: Path, cond_root: Path) -> tuple[object, ...]:
    header = read_header(clip.tokens)
    sidecar = _stored(clip)
    array = sidecar_paths(clip.beside, clip.suffix)[0]
    return (
        printable(clip.tokens.relative_to(audio_root).as_posix()),
        printable(array.relative_to(cond_root).as_posix()),
        header.n_frames,
        len(sidecar.parameters),
        header.spec.fps,
        header.n_codebooks,
    )
