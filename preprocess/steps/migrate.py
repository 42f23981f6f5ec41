"""A predecessor's tree in the current formats: Meta's `.ecdc`, sidecars of version 3.

Says what it would do, and does it when asked to write. Each original is kept under its name with
`.orig` behind it, unless told otherwise. Codes and values stay what they are, bit for bit.

Old sidecars state a range and not whether it was declared. A clip whose values fill its declared
range looks as if it was measured, so all clips are asked first: what one of them declares, every
clip that states the same does.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from preprocess.core.errors import DiskError, PreprocessError
from preprocess.core.files import atomic_path, find_files
from preprocess.core.jobs import Outcome
from preprocess.core.report import Report
from preprocess.core.settings import Settings
from preprocess.core.temporaries import remove_stale
from preprocess.dataset.clips import find_tokens
from preprocess.sidecar.parameters import Parameter, ParameterValue, SidecarError
from preprocess.sidecar.reading import existing_paths, read_sidecar
from preprocess.sidecar.sidecar_format import ARRAY_SUFFIX, SCHEMA_VERSION, sidecar_paths
from preprocess.sidecar.writing import write_sidecar
from preprocess.steps.outputs import refuse_nested
from preprocess.tokens.ecdc import MAGIC, read_ecdc, read_header, write_ecdc

KEPT_SUFFIX = ".orig"

Range = tuple[str, float | None, float | None]
"""Name, min and max of a parameter."""


@dataclass(frozen=True, kw_only=True)
class MigrateConfig(Settings):
    """How an old tree is rewritten."""

    write: Annotated[bool, Field(description="do it; without this, say what would be done")] = False
    keep_originals: Annotated[
        bool, Field(description="keep what is rewritten, with .orig behind its name")
    ] = True
    cond_root: Annotated[
        Path | None,
        Field(description="folder with the sidecars, mirroring the tokens; they move beside those"),
    ] = None
    take_codec_fps: Annotated[
        bool,
        Field(description="replace a sidecar's frame rate that is not the codec's; else an error"),
    ] = False
    rename: Annotated[
        tuple[Annotated[str, Field(pattern=r"^.+=[A-Za-z_]\w*$")], ...],
        Field(description="parameters to rename, as OLD=NEW"),
    ] = ()

    def renamed(self, name: str) -> str:
        """Return the new name of a parameter."""
        pairs = (pair.rpartition("=") for pair in self.rename)
        return next((new for old, _, new in pairs if old == name), name)


@dataclass(frozen=True)
class Plan:
    """What migrating one clip means.

    Attributes:
        rel: The token file, relative to the root.
        tokens: Whether it is a `torch.save` file.
        sidecar: What stands for its path at the sidecar to rewrite; None where there is none to.
        version: Version of that sidecar.
        declared: Name and ends of each range that it declares beyond doubt.
        fps: The frame rate that it states, and the codec's that takes its place; None where they
            agree.
    """

    rel: Path
    tokens: bool
    sidecar: Path | None
    version: int = 0
    declared: frozenset[Range] = frozenset()
    fps: tuple[float, int] | None = None

    def lines(self) -> list[str]:
        """Return what there is to do, a line a file."""
        lines = [f"{self.rel}: torch.save -> .ecdc"] if self.tokens else []
        if self.sidecar is not None:
            array = sidecar_paths(self.rel)[0]
            if self.version != SCHEMA_VERSION:
                lines.append(f"{array}: version {self.version} -> {SCHEMA_VERSION}")
            if self.fps is not None:
                lines.append(f"{array}: {self.fps[0]:g} -> {self.fps[1]} frames per second")
        return lines


def migrate(root: Path, config: MigrateConfig) -> tuple[Report, list[str]]:
    """Rewrite, or with `config.write` off plan to rewrite, all old files of a tree.

    Returns:
        A report, and a line for each file that was or would be rewritten.

    Raises:
        UsageError: `root` holds no tokens, or lies in `config.cond_root` or around it.
    """
    report = Report("migrate", output=str(root))
    if config.cond_root is not None and config.cond_root.resolve() != root.resolve():
        refuse_nested(config.cond_root, root)  # sidecars move from one to the other
    lines: list[str] = []
    tokens = find_tokens(root)
    if config.write:
        remove_stale(root)
    adopted = _adopted(config.cond_root or root, tokens)
    plans = []
    for rel in tokens:
        try:
            plans.append(_plan(root, rel, adopted.get(rel), config))
        except (PreprocessError, OSError) as error:
            report.fail(root / rel, Outcome(rel, None, error).message())
    declared = frozenset().union(*(plan.declared for plan in plans))
    for plan in plans:
        try:
            if config.write:
                _migrate_clip(root, plan, config, declared)
        except DiskError:
            raise
        except (PreprocessError, OSError) as error:
            report.fail(root / plan.rel, Outcome(plan.rel, None, error).message())
            continue
        lines += plan.lines()
        report.done += bool(plan.lines())
        report.current += not plan.lines()
    where = config.cond_root or root
    claimed = {sidecar_paths(at)[0] for rel in tokens for at in (rel, adopted.get(rel, rel))}
    for array in find_files(where, [ARRAY_SUFFIX]):
        if array not in claimed:
            report.note(
                f"{where / array} belongs to no token file, or not to one alone; left alone"
            )
    if not config.write:
        report.detail = "dry run: nothing written, --write does it"
    elif config.keep_originals:
        report.detail = f"originals kept as *{KEPT_SUFFIX}"
    return report.finish(), lines


def _adopted(where: Path, tokens: list[Path]) -> dict[Path, Path]:
    """Return clip -> the path whose sidecar is its own under a name that was cut too short.

    The predecessor's second writer named the sidecar of `take.1.ecdc` `take.cond.npy`, and that of
    `take.2.ecdc` the same. Where only one clip can be meant, it is that clip's.
    """
    by_short: dict[Path, list[Path]] = {}
    for rel in tokens:
        if Path(rel.stem).suffix:
            by_short.setdefault(rel.with_name(Path(rel.stem).stem + rel.suffix), []).append(rel)
    known = set(tokens)
    return {
        clips[0]: short
        for short, clips in by_short.items()
        if len(clips) == 1
        and short not in known
        and (where / sidecar_paths(short)[0]).exists()
        and not (where / sidecar_paths(clips[0])[0]).exists()
    }


def _plan(root: Path, rel: Path, adopted: Path | None, config: MigrateConfig) -> Plan:
    with open(root / rel, "rb") as file:
        is_old = file.read(len(MAGIC)) != MAGIC
    header = read_header(root / rel)
    source = (config.cond_root or root) / (adopted or rel)
    if not any(part.exists() for part in existing_paths(source)):
        return Plan(rel, is_old, None)
    sidecar = read_sidecar(source)
    if sidecar.n_frames != header.n_frames:
        raise SidecarError(
            f"{sidecar_paths(source)[0]} has {sidecar.n_frames} frames, but {root / rel} has "
            f"{header.n_frames}"
        )
    declared = frozenset(
        (name, f.min, f.max) for name, f in sidecar.parameters.items() if f.declared
    )
    fps = None
    if sidecar.fps is not None and sidecar.fps != header.spec.fps:
        fps = (sidecar.fps, header.spec.fps)
        if not config.take_codec_fps:
            raise SidecarError(
                f"{sidecar_paths(source)[0]} states {fps[0]:g} frames per second, but {root / rel} "
                f"has {fps[1]}; --take-codec-fps where the values are right and that number is wrong"
            )
    if sidecar.version == SCHEMA_VERSION and source == root / rel and fps is None:
        return Plan(rel, is_old, None, declared=declared)
    beside = sidecar_paths(root / rel)[0]
    if source != root / rel and beside.exists():
        raise SidecarError(f"{sidecar_paths(source)[0]} and {beside} are both its sidecar")
    for name in sidecar.parameters:
        if not config.renamed(name).isidentifier():
            raise SidecarError(
                f"{source}: parameter {name!r} needs a name of letters, digits and underscores; "
                f"--rename {name!r}=..."
            )
    return Plan(rel, is_old, source, sidecar.version, declared, fps)


def _migrate_clip(
    root: Path, plan: Plan, config: MigrateConfig, declared: frozenset[Range]
) -> None:
    path = root / plan.rel
    if plan.tokens:
        ecdc = read_ecdc(path)
        if config.keep_originals:
            _keep(path)
        write_ecdc(path, ecdc)
    if plan.sidecar is None:
        return
    old = read_sidecar(plan.sidecar)
    originals = existing_paths(plan.sidecar)
    targets = sidecar_paths(path)
    parameters = {
        config.renamed(name): _given(f, f.declared or (name, f.min, f.max) in declared)
        for name, f in old.parameters.items()
    }
    if len(parameters) < len(old.parameters):
        raise SidecarError(f"{plan.sidecar}: two parameters would have the same name")
    if config.keep_originals:
        for part in originals:
            _keep(part)
    dtype: Any = next((f.values.dtype.name for f in old.parameters.values()), "auto")
    records = [
        replace(record, names=tuple(map(config.renamed, record.names))) for record in old.records
    ]
    write_sidecar(path, parameters, mode="replace-all", dtype=dtype, records=records)
    for part in originals:
        if part not in targets:
            part.unlink(missing_ok=True)


def _given(parameter: Parameter, declared: bool) -> ParameterValue:
    """Return a parameter as a writer gives it; mean and std stay what they were stated to be."""
    keys = ("min", "max", "mean", "std") if declared else ("mean", "std")
    return {
        "values": parameter.values,
        "units": parameter.units,
        "doc_string": parameter.doc_string,
        "kind": parameter.kind,
        "nan": parameter.nan,
        "source": parameter.source,
        **{key: getattr(parameter, key) for key in keys},
    }


def _keep(path: Path) -> None:
    """Copy an original to its kept name, which must be free or hold the same.

    Raises:
        SidecarError: It is not.
    """
    kept = path.with_name(path.name + KEPT_SUFFIX)
    if kept.exists():
        if kept.read_bytes() == path.read_bytes():  # as after an interrupted run
            return
        raise SidecarError(f"{kept} exists already; move it away first")
    with atomic_path(kept) as temporary:
        shutil.copy2(path, temporary)
