"""Writes the sidecar of one clip: merges the producers' parameters with the existing ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from preprocess.core.files import digest_bytes, digest_file
from preprocess.core.provenance import BY, settings_digest
from preprocess.core.settings import CondRoot, DryRun, Prune
from preprocess.params import Producer
from preprocess.params.clip import Clip
from preprocess.sidecar.array_config import ArrayConfig
from preprocess.sidecar.parameters import ParameterValue, SidecarError
from preprocess.sidecar.reading import existing_paths, read_sidecar
from preprocess.sidecar.records import Record
from preprocess.sidecar.sidecar_format import Sidecar
from preprocess.sidecar.writing import Mode, write_sidecar


@dataclass(frozen=True, kw_only=True)
class AnnotateConfig(ArrayConfig):
    """Settings of the annotate step."""

    audio_root: Annotated[
        Path | None,
        Field(description="folder of the normalized audio, for producers that measure it"),
    ] = None
    mode: Annotated[
        Literal["append", "overwrite", "replace-all"],
        Field(
            description="append: keep every existing parameter and add new ones; overwrite: replace "
            "the parameters that this run makes and keep all others; replace-all: keep only the "
            "parameters of this run, even if you wrote others yourself. A recipe that runs again "
            "also drops the parameters that it made before and no longer names"
        ),
    ] = "overwrite"
    cond_root: CondRoot = None
    prune: Prune = False
    dry_run: DryRun = False


@dataclass(frozen=True)
class AnnotatedClip:
    """The result for one clip.

    Attributes:
        names: The parameters that were made; empty if the sidecar was up to date.
        kept: The other parameters, from other runs or the user, that were kept.
        current: Whether the sidecar was up to date.
        notes: The producers' notes for the user; see `Clip.notes`.
    """

    names: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    current: bool = False
    notes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Run:
    """One run over all clips.

    Attributes:
        producers: The producers.
        settings: Hash of each producer's settings.
        owner: A stable name of the recipe; empty for a single command.
        config: Settings of the step.
    """

    producers: Sequence[Producer]
    settings: Sequence[str]
    owner: str
    config: AnnotateConfig

    @classmethod
    def of(cls, producers: Sequence[Producer], config: AnnotateConfig, owner: str = "") -> Run:
        """Return a run of `producers`, with their settings hashed."""
        settings = [
            settings_digest(
                step="annotate",
                producer=producer.settings(),
                dtype=config.dtype,
                max_error=config.max_error,
            )
            for producer in producers
        ]
        return cls(producers, settings, owner, config)


def annotate_clip(clip: Clip, target: Path, run: Run) -> AnnotatedClip:
    """Write the sidecar of one clip, running only the producers whose parameters are not current.

    Args:
        clip: The clip.
        target: The token file's path under the sidecar folder.
        run: The run.

    Raises:
        SidecarError: Two producers make the same parameter, a source changed during the run, or
            the parameters cannot be written.
    """
    mode = run.config.mode
    old = _stored(target, mode)
    claimed, parameters, records = _make(clip, old, run)
    kept = tuple(name for name in old.parameters if name not in claimed) if old else ()
    drop = partial(_dropped, claimed=claimed, run=run)
    dropped = drop(old) if old else []
    if mode == "append" and old and not parameters.keys() - old.parameters.keys():
        return AnnotatedClip(kept=kept, current=True)
    if old and not records and not dropped:
        return AnnotatedClip(kept=kept, current=True)
    if not run.config.dry_run:
        write_sidecar(
            clip.path,
            parameters,
            mode=mode if old is None or mode == "append" else "overwrite",
            dtype=run.config.dtype,
            max_error=run.config.max_error,
            records=records,
            drop=drop,
            beside=target,
        )
    left = tuple(name for name in kept if name not in dropped)
    return AnnotatedClip(tuple(parameters), left, notes=tuple(clip.notes))


def _make(
    clip: Clip, old: Sidecar | None, run: Run
) -> tuple[set[str], dict[str, ParameterValue], list[Record]]:
    """Return the names of all the run's parameters, and the newly made ones with their records."""
    sources = tokens, audio, origins = _sources(clip, run)
    claimed: set[str] = set()
    parameters: dict[str, ParameterValue] = {}
    records = []
    for producer, rec, origin in zip(run.producers, run.settings, origins, strict=True):
        src = digest_bytes("".join((tokens, audio, origin)).encode())
        record = Record((), tokens, audio, producer.flag, run.owner, src, rec, BY)
        names = _current(old, record)
        if names is None:
            made = producer.parameters(clip)
            records.append(replace(record, names=tuple(made)))
            parameters.update(made)
            names = tuple(made)
        for name in names:
            if name in claimed:
                raise SidecarError(f"{clip.path}: two producers make the parameter {name!r}")
        claimed.update(names)
    if records and _sources(clip, run) != sources:
        raise SidecarError(
            f"{clip.path}: its tokens, its audio or a producer's file changed during the run; run "
            f"again"
        )
    return claimed, parameters, records


def _sources(clip: Clip, run: Run) -> tuple[str, str, list[str]]:
    """Return the hashes of a clip's tokens, its audio, and each producer's sources for it."""
    audio = digest_file(clip.audio_path) if clip.audio_path else ""
    return digest_file(clip.path), audio, [producer.origin(clip) for producer in run.producers]


def _current(old: Sidecar | None, record: Record) -> tuple[str, ...] | None:
    """Return the parameters that a producer already made from the same sources, or None.

    A single command accepts parameters that a recipe made. A recipe makes parameters of another
    owner again, so that it owns them.
    """
    for known in old.records if old else ():
        same = (known.src, known.rec) == (record.src, record.rec)
        if same and record.owner in ("", known.owner):
            return known.names
    return None


def _dropped(sidecar: Sidecar, claimed: set[str], run: Run) -> list[str]:
    """Return the parameters of a sidecar that the run neither makes nor keeps."""
    if run.config.mode == "append":
        return []
    if run.config.mode == "replace-all":
        return [name for name in sidecar.parameters if name not in claimed]
    mine = (r.names for r in sidecar.records if run.owner and r.owner == run.owner)
    return [name for names in mine for name in names if name not in claimed]


def _stored(target: Path, mode: Mode) -> Sidecar | None:
    if not all(part.exists() for part in existing_paths(target)):
        return None
    try:
        return read_sidecar(target)
    except SidecarError as error:
        if mode == "replace-all":
            return None
        raise SidecarError(
            f"{error}; use --mode replace-all, or delete the sidecar, to annotate the clip again"
        ) from None
