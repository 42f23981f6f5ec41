"""Converts a predecessor's tree to the current formats: Meta's `.ecdc`, sidecars of version 3.

By default it only lists what it would do. Each original is kept with `.orig` appended to its name,
unless the user opts out. Codes and values stay bit-identical.

Old sidecars state a range, but not whether it was declared or measured. In a clip whose values fill
its declared range, the range looks measured. Therefore all clips are read first: a range that one
clip certainly declares counts as declared in every clip that states the same.
"""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from preprocess.core.errors import DiskError, PreprocessError
from preprocess.core.files import atomic_path, find_files
from preprocess.core.jobs import Outcome
from preprocess.core.locks import only_run
from preprocess.core.progress import Progress
from preprocess.core.report import Report
from preprocess.core.settings import Settings
from preprocess.core.temporaries import remove_stale
from preprocess.dataset.clips import find_tokens
from preprocess.sidecar.parameters import Parameter, ParameterValue, SidecarError
from preprocess.sidecar.reading import existing_paths, read_sidecar
from preprocess.sidecar.sidecar_format import ARRAY_SUFFIX, SCHEMA_VERSION, sidecar_paths
from preprocess.sidecar.writing import write_sidecar
from preprocess.steps.migrate_resume import KEPT_SUFFIX, finish_migration
from preprocess.steps.outputs import refuse_nested
from preprocess.tokens.ecdc import MAGIC, read_ecdc, read_header, write_ecdc

Range = tuple[str, float | None, float | None]
"""Name, min and max of a parameter."""


@dataclass(frozen=True, kw_only=True)
class MigrateConfig(Settings):
    """Settings of the migration."""

    write: Annotated[bool, Field(description="rewrite the files; default: only list them")] = False
    keep_originals: Annotated[
        bool, Field(description="keep the originals, with .orig appended to their names")
    ] = True
    cond_root: Annotated[
        Path | None,
        Field(
            description="folder with the sidecars, mirroring the token folder; migrate moves them "
            "next to the tokens"
        ),
    ] = None
    take_codec_fps: Annotated[
        bool,
        Field(description="replace a frame rate that differs from the codec's; default: fail"),
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
    """The changes to one clip.

    Attributes:
        rel: The token file, relative to the root.
        tokens: Whether it is a `torch.save` file, to be rewritten.
        sidecar: The token file's path under the sidecar folder; None if no sidecar needs rewriting.
        version: Version of that sidecar.
        declared: Name, minimum and maximum of each range that it certainly declares.
        fps: The frame rate that it states, and the codec's, which replaces it; None if they agree.
    """

    rel: Path
    tokens: bool
    sidecar: Path | None
    version: int = 0
    declared: frozenset[Range] = frozenset()
    fps: tuple[float, int] | None = None

    def lines(self) -> list[str]:
        """Return one line for each change."""
        lines = [f"{self.rel}: torch.save -> .ecdc"] if self.tokens else []
        if self.sidecar is not None:
            array = sidecar_paths(self.rel)[0]
            if self.version != SCHEMA_VERSION:
                lines.append(f"{array}: version {self.version} -> {SCHEMA_VERSION}")
            if self.fps is not None:
                lines.append(f"{array}: {self.fps[0]:g} -> {self.fps[1]} frames per second")
        return lines


def migrate(root: Path, config: MigrateConfig) -> tuple[Report, list[str]]:
    """Rewrite all old files of a tree, or only list them unless `config.write` is set.

    Returns:
        A report, and a line for each change that was or would be made.

    Raises:
        UsageError: `root` has no token files, or one of `root` and `config.cond_root` contains the
            other.
        LockError: Another migration rewrites the tree.
    """
    report = Report("migrate", output=str(root))
    if config.cond_root is not None and config.cond_root.resolve() != root.resolve():
        refuse_nested(config.cond_root, root)  # sidecars move from one to the other
    find_tokens(root)  # it must have some
    alone = only_run(root / ".migrate.lock", root) if config.write else nullcontext()
    with alone:
        lines = _migrate(root, config, report)
    if not config.write:
        report.detail = "dry run: nothing written, use --write to apply"
    elif config.keep_originals:
        report.detail = f"originals kept as *{KEPT_SUFFIX}"
    return report.finish(), lines


def _migrate(root: Path, config: MigrateConfig, report: Report) -> list[str]:
    """Return a line for each change."""
    lines: list[str] = []
    tokens = find_tokens(root)
    if config.write:
        remove_stale(root)
        finish_migration(root, config.cond_root or root, tokens)
    adopted = _adopted(config.cond_root or root, tokens)
    plans = []
    with Progress("migrate", len(tokens), phase="read") as progress:
        for rel in tokens:
            try:
                plans.append(_plan(root, rel, adopted.get(rel), config))
            except (PreprocessError, OSError) as error:
                report.fail(root / rel, Outcome(rel, None, error).message())
            progress.update()
    declared = frozenset().union(*(plan.declared for plan in plans))
    with Progress("migrate", len(plans)) as progress:
        for plan in plans:
            try:
                if config.write:
                    _migrate_clip(root, plan, config, declared)
            except DiskError:
                raise
            except (PreprocessError, OSError) as error:
                report.fail(root / plan.rel, Outcome(plan.rel, None, error).message())
                progress.update(failed=True)
                continue
            lines += plan.lines()
            progress.update(current=not plan.lines())
    report.add(progress)
    where = config.cond_root or root
    claimed = {sidecar_paths(at)[0] for rel in tokens for at in (rel, adopted.get(rel, rel))}
    for array in find_files(where, [ARRAY_SUFFIX]):
        if array not in claimed:
            report.note(
                f"{where / array} does not belong to exactly one token file; left unchanged"
            )
    return lines


def _adopted(where: Path, tokens: list[Path]) -> dict[Path, Path]:
    """Return clip -> the shortened path under which the predecessor wrote its sidecar.

    The predecessor's second writer used the name `take.cond.npy` for the sidecars of both
    `take.1.ecdc` and `take.2.ecdc`. If only one clip fits the name, the sidecar is that clip's.
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
                f"has {fps[1]}; use --take-codec-fps if the values are right and the rate is wrong"
            )
    if sidecar.version == SCHEMA_VERSION and source == root / rel and fps is None:
        return Plan(rel, is_old, None, declared=declared)
    beside = sidecar_paths(root / rel)[0]
    if source != root / rel and beside.exists():
        raise SidecarError(
            f"{root / rel} has two sidecars, {sidecar_paths(source)[0]} and {beside}"
        )
    for name in sidecar.parameters:
        if not config.renamed(name).isidentifier():
            raise SidecarError(
                f"{source}: the name of parameter {name!r} must be letters, digits and "
                f"underscores; use --rename {name!r}=..."
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
    """Return a parameter as a writer takes it, with its stated mean and std."""
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
    """Copy an original to its `.orig` name.

    Raises:
        SidecarError: That name exists with other content.
    """
    kept = path.with_name(path.name + KEPT_SUFFIX)
    if kept.exists():
        if kept.read_bytes() == path.read_bytes():  # from an interrupted run
            return
        raise SidecarError(f"{kept} already exists; move it first")
    with atomic_path(kept) as temporary:
        shutil.copy2(path, temporary)
