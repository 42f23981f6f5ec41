"""Step 3: parameters from producers become the sidecars of every clip."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from preprocess.audio.audio_files import EXTENSIONS, AudioError
from preprocess.config import AnnotateConfig, ModelConfig
from preprocess.core.errors import UsageError
from preprocess.core.files import digest_bytes, digest_file, find_files, require_folder
from preprocess.core.jobs import run_items
from preprocess.core.provenance import BY, settings_digest
from preprocess.core.report import Report, listed, plural
from preprocess.core.temporaries import remove_stale
from preprocess.dataset.clips import find_tokens
from preprocess.params import Producer, feature_names
from preprocess.params.clip import Clip, Wave
from preprocess.sidecar.features import FeatureValue, SidecarError
from preprocess.sidecar.records import Record
from preprocess.sidecar.sidecar import Mode, existing_paths, read_sidecar, write_sidecar
from preprocess.sidecar.sidecar_files import finish_interrupted
from preprocess.sidecar.sidecar_format import Sidecar
from preprocess.steps.orphans import find_orphans
from preprocess.steps.outputs import report_leftovers
from preprocess.tokens.ecdc import Ecdc, read_header


@dataclass(frozen=True)
class Annotated:
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


def annotate(
    root: Path,
    producers: Sequence[Producer],
    model: ModelConfig,
    config: AnnotateConfig,
    jobs: int,
    owner: str = "",
) -> Report:
    """Write the sidecars of all clips under `root`.

    Parameters that this run does not make stay, whoever made them; `config.mode` says what becomes
    of those that it makes. With an `owner`, those that the same owner made before and does not
    name any more are dropped.

    Args:
        root: The token folder.
        producers: What makes the parameters.
        model: The codec's weights, for producers that decode.
        config: Where audio and sidecars are, and how these are written.
        jobs: How many threads work on clips at once.
        owner: A stable name of the recipe that runs; empty for a single command.

    Raises:
        UsageError: `root` holds no tokens, there are no producers, two make one name, or one needs
            audio and `config.audio_root` is missing.
    """
    report = Report("annotate", output=str(config.cond_root or root))
    tokens = find_tokens(root)
    if not producers:
        raise UsageError("annotate: nothing to do: name at least one producer")
    feature_names(producers)
    for producer in producers:
        for note in producer.check_clips([rel.with_suffix("").as_posix() for rel in tokens]):
            report.note(note)
    if not config.dry_run:
        remove_stale(root)
        finish_interrupted(config.cond_root or root)
    audio = _audio_index(producers, config)
    decoder = _lazy_decoder(model)
    run = Run.of(producers, config, owner)

    def step(rel: Path) -> Annotated:
        clip = _clip(root, rel, audio, decoder)
        return annotate_clip(clip, (config.cond_root or root) / rel, run)

    # A decoding model fills the cores by itself, and is not shared between threads.
    threads = 1 if any(p.needs_decoder for p in producers) else jobs
    made: dict[Path, Annotated] = {}
    for outcome in run_items(step, tokens, threads, "annotate"):
        if outcome.value is None:
            report.fail(root / outcome.item, outcome.message())
        else:
            made[outcome.item] = outcome.value
    _count(report, made, config.dry_run)
    orphans, notes = find_orphans(root, cond_root=config.cond_root)
    report_leftovers(report, orphans, config.prune, config.dry_run)
    report.notes += notes
    return report.finish()


def annotate_clip(clip: Clip, target: Path, run: Run) -> Annotated:
    """Write the sidecar of one clip, but for what these producers have made already.

    Args:
        clip: The clip.
        target: What stands for its token file's path among the sidecars.
        run: Producers and settings.

    Raises:
        SidecarError: Two producers make the same feature, or the features cannot be written.
    """
    mode = run.config.mode
    old = _stored(target, mode)
    claimed, features, records = _make(clip, old, run)
    kept = tuple(name for name in old.features if name not in claimed) if old else ()
    drop = partial(_dropped, claimed=claimed, run=run)
    dropped = drop(old) if old else []
    if mode == "append" and old and not features.keys() - old.features.keys():
        return Annotated(kept=kept, current=True)
    if old and not records and not dropped:
        return Annotated(kept=kept, current=True)
    if not run.config.dry_run:
        write_sidecar(
            clip.path,
            features,
            mode=mode if old is None or mode == "append" else "overwrite",
            dtype=run.config.dtype,
            max_error=run.config.max_error,
            records=records,
            drop=drop,
            beside=target,
        )
    left = tuple(name for name in kept if name not in dropped)
    return Annotated(tuple(features), left, notes=tuple(clip.notes))


def _make(
    clip: Clip, old: Sidecar | None, run: Run
) -> tuple[set[str], dict[str, FeatureValue], list[Record]]:
    """Return the names of all features of the run, and those that had to be made, with records."""
    tokens = digest_file(clip.path)
    audio = digest_file(clip.audio_path) if clip.audio_path else ""
    claimed: set[str] = set()
    features: dict[str, FeatureValue] = {}
    records = []
    for producer, rec in zip(run.producers, run.settings, strict=True):
        src = digest_bytes("".join((tokens, audio, producer.origin(clip))).encode())
        record = Record((), tokens, audio, producer.flag, run.owner, src, rec, BY)
        names = _current(old, record)
        if names is None:
            made = producer.features(clip)
            records.append(replace(record, names=tuple(made)))
            features.update(made)
            names = tuple(made)
        for name in names:
            if name in claimed:
                raise SidecarError(f"{clip.path}: two producers make the feature {name!r}")
        claimed.update(names)
    return claimed, features, records


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
    """Return which features of a sidecar the run drops, of those that it does not make."""
    if run.config.mode == "append":
        return []
    if run.config.mode == "replace-all":
        return [name for name in sidecar.features if name not in claimed]
    mine = (r.names for r in sidecar.records if run.owner and r.owner == run.owner)
    return [name for names in mine for name in names if name not in claimed]


def _count(report: Report, made: Mapping[Path, Annotated], dry_run: bool) -> None:
    """Say in the report how many clips were done, which parameters they have, and notes once."""
    report.current = sum(one.current for one in made.values())
    report.done = len(made) - report.current
    names = list(dict.fromkeys(name for one in made.values() for name in one.names))
    kept = list(dict.fromkeys(name for one in made.values() for name in one.kept))
    details = []
    if names:
        details.append(f"{len(names)} {plural('parameter', len(names))} ({', '.join(names)})")
    if kept:
        details.append(f"kept {', '.join(kept)}")
    if dry_run:
        details.append("dry run: nothing written")
    report.detail = ", ".join(details)
    clips: dict[str, list[str]] = {}
    for rel, one in made.items():
        for what, detail in one.notes:
            clip_id = rel.with_suffix("").as_posix()
            clips.setdefault(what, []).append(f"{clip_id} ({detail})" if detail else clip_id)
    for what, ids in clips.items():
        report.note(f"{what}: {len(ids)} {plural('clip', len(ids))}: {listed(ids)}")


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


def _audio_index(producers: Sequence[Producer], config: AnnotateConfig) -> dict[str, list[Path]]:
    """Return the audio files by the id of their clip; empty where no producer reads audio."""
    wanting = [p.flag for p in producers if p.needs_audio]
    if config.audio_root is None:
        if wanting:
            raise UsageError(
                f"{wanting[0]} from the audio needs --audio-root; or take source=tokens"
            )
        return {}
    root = require_folder(config.audio_root, "audio root")
    index: dict[str, list[Path]] = {}
    for rel in find_files(root, EXTENSIONS):
        index.setdefault(rel.with_suffix("").as_posix(), []).append(root / rel)
    return index


def _clip(
    root: Path, rel: Path, audio: dict[str, list[Path]], decoder: Callable[[Ecdc], Wave]
) -> Clip:
    name = rel.with_suffix("").as_posix()
    candidates = audio.get(name, [])
    if len(candidates) > 1:
        raise AudioError(f"{root / rel}: {' and '.join(map(str, candidates))} both could be it")
    path = candidates[0] if candidates else None
    return Clip(name, root / rel, read_header(root / rel), path, decoder)


def _lazy_decoder(model: ModelConfig) -> Callable[[Ecdc], Wave]:
    """Return a function that decodes tokens, loading the codec they name at its first use."""
    codecs: dict[str, Any] = {}

    def decode(ecdc: Ecdc) -> Wave:
        from preprocess.codec.codec import load_codec

        if ecdc.model not in codecs:
            codecs[ecdc.model] = load_codec(ecdc.model, model.weights, model.device)
        return codecs[ecdc.model].decode(ecdc)  # type: ignore[no-any-return]

    return decode
