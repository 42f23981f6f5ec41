"""The sidecar of one clip: what producers make of it, beside what is there already."""

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
    """How sidecars are written."""

    audio_root: Annotated[
        Path | None,
        Field(description="the normalized audio, mirroring the tokens; for audio parameters"),
    ] = None
    mode: Annotated[
        Literal["append", "overwrite", "replace-all"],
        Field(
            description="append: every parameter that is there stays as it is, and new ones are "
            "added; overwrite: those that this run makes are replaced, all others stay; "
            "replace-all: those of this run are the only ones afterwards, what was written by hand "
            "goes as well. A recipe that runs again also drops what it made before and no longer "
            "names"
        ),
    ] = "overwrite"
    cond_root: CondRoot = None
    prune: Prune = False
    dry_run: DryRun = False


@dataclass(frozen=True)
class AnnotatedClip:
    """What became of one clip.

    Attributes:
        names: The parameters that were made; empty where its sidecar was up to date.
        kept: Those of other runs, or written by hand, that stay beside them.
        current: Whether its sidecar was up to date.
        notes: What producers found worth attention, as `Clip.notes`.
    """

    names: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    current: bool = False
    notes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Run:
    """One run over all clips.

    Attributes:
        producers: What makes the parameters.
        settings: Hash of each producer's settings.
        owner: The recipe that runs; empty for a single command.
        config: How sidecars are written.
    """

    producers: Sequence[Producer]
    settings: Sequence[str]
    owner: str
    config: AnnotateConfig

    @classmethod
    def of(cls, producers: Sequence[Producer], config: AnnotateConfig, owner: str = "") -> Run:
        """Return the run of `producers`."""
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
    """Write the sidecar of one clip, but for what these producers have made already.

    Args:
        clip: The clip.
        target: What stands for its token file's path among the sidecars.
        run: Producers and settings.

    Raises:
        SidecarError: Two producers make the same parameter, or the parameters cannot be written.
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
    """Return the names of all parameters of the run, and those that had to be made, with records."""
    tokens = digest_file(clip.path)
    audio = digest_file(clip.audio_path) if clip.audio_path else ""
    claimed: set[str] = set()
    parameters: dict[str, ParameterValue] = {}
    records = []
    for producer, rec in zip(run.producers, run.settings, strict=True):
        src = digest_bytes("".join((tokens, audio, producer.origin(clip))).encode())
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
    return claimed, parameters, records


def _current(old: Sidecar | None, record: Record) -> tuple[str, ...] | None:
    """Return what the producer of `record` made of the same before, None if it has to run.

    A single command takes over what a recipe made; a recipe makes it anew, for it is its own then.
    """
    for known in old.records if old else ():
        same = (known.src, known.rec) == (record.src, record.rec)
        if same and record.owner in ("", known.owner):
            return known.names
    return None


def _dropped(sidecar: Sidecar, claimed: set[str], run: Run) -> list[str]:
    """Return which parameters of a sidecar the run drops, of those that it does not make."""
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
            f"{error}; --mode replace-all, or deleting it, annotates the clip anew"
        ) from None
