"""Step 3: writes the parameters that producers make to the sidecars of all clips."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from preprocess.audio.audio_files import EXTENSIONS, AudioError
from preprocess.codec.model_config import ModelConfig
from preprocess.core.errors import UsageError
from preprocess.core.files import find_files, require_folder
from preprocess.core.jobs import run_items
from preprocess.core.progress import Progress
from preprocess.core.report import Report, listed, plural
from preprocess.core.temporaries import remove_stale
from preprocess.dataset.clips import find_tokens
from preprocess.params import Producer, parameter_names
from preprocess.params.clip import Clip, Wave
from preprocess.sidecar.sidecar_files import finish_interrupted
from preprocess.steps.annotate_clip import AnnotateConfig, AnnotatedClip, Run, annotate_clip
from preprocess.steps.orphans import find_orphans
from preprocess.steps.outputs import report_leftovers
from preprocess.tokens.ecdc import read_header
from preprocess.tokens.types import Ecdc


def annotate(
    root: Path,
    producers: Sequence[Producer],
    model: ModelConfig,
    config: AnnotateConfig,
    jobs: int,
    owner: str = "",
) -> Report:
    """Write the sidecars of all clips under `root`.

    Parameters that this run does not make are kept; `config.mode` says what happens to the others.
    With an `owner`, parameters that the same owner made before but no longer names are dropped.

    Args:
        root: The token folder.
        producers: The producers.
        model: Weights and device of the codec, for producers that decode.
        config: Where audio and sidecars are, and how to write sidecars.
        jobs: Number of threads that work on clips.
        owner: A stable name of the recipe; empty for a single command.

    Raises:
        UsageError: `root` has no token files; there are no producers; two make the same parameter;
            one's source does not match the clips, or needs audio without `config.audio_root`.
    """
    report = Report("annotate", output=str(config.cond_root or root))
    tokens = find_tokens(root)
    producers = _ready(producers, tokens, report)
    if not config.dry_run:
        remove_stale(root)
        finish_interrupted(config.cond_root or root)
    audio = _audio_index(producers, config)
    decoder = lazy_decoder(model)
    run = Run.of(producers, config, owner)

    def step(rel: Path) -> AnnotatedClip:
        clip = _clip(root, rel, audio, decoder)
        return annotate_clip(clip, (config.cond_root or root) / rel, run)

    # Decoding already uses all cores, and threads must not share a model.
    threads = 1 if any(p.needs_decoder for p in producers) else jobs
    made: dict[Path, AnnotatedClip] = {}
    with Progress("annotate", len(tokens), at_once=threads) as progress:
        for outcome in run_items(step, tokens, threads):
            if outcome.value is None:
                report.fail(root / outcome.item, outcome.message())
                progress.update(failed=True)
            else:
                made[outcome.item] = outcome.value
                progress.update(current=outcome.value.current)
    _count(report, made, config.dry_run)
    _report_orphans(report, root, config)
    return report.finish()


def _ready(producers: Sequence[Producer], tokens: Sequence[Path], report: Report) -> list[Producer]:
    """Return prepared producers, after checking that they match the clips."""
    if not producers:
        raise UsageError("annotate: name at least one producer")
    ready = [producer.prepare() for producer in producers]
    parameter_names(ready)
    for producer in ready:
        for note in producer.check_clips([rel.with_suffix("").as_posix() for rel in tokens]):
            report.note(note)
    return ready


def _report_orphans(report: Report, root: Path, config: AnnotateConfig) -> None:
    orphans, notes = find_orphans(root, cond_root=config.cond_root)
    report_leftovers(report, orphans, config.prune, config.dry_run)
    report.notes += notes


def _count(report: Report, made: Mapping[Path, AnnotatedClip], dry_run: bool) -> None:
    """Report the numbers of clips, their parameters, and each note once."""
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


def _audio_index(producers: Sequence[Producer], config: AnnotateConfig) -> dict[str, list[Path]]:
    """Return clip id -> its audio files; empty without an audio root."""
    wanting = [p.flag for p in producers if p.needs_audio]
    if config.audio_root is None:
        if wanting:
            raise UsageError(
                f"{wanting[0]} with source=audio requires --audio-root; or use source=tokens"
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
        raise AudioError(
            f"{root / rel}: {' and '.join(map(str, candidates))} could both be its audio"
        )
    path = candidates[0] if candidates else None
    return Clip(name, root / rel, read_header(root / rel), path, decoder)


def lazy_decoder(model: ModelConfig) -> Callable[[Ecdc], Wave]:
    """Return a function that decodes tokens, and loads their codec at its first use."""
    codecs: dict[str, Any] = {}

    def decode(ecdc: Ecdc) -> Wave:
        from preprocess.codec.codec import load_codec

        if ecdc.model not in codecs:
            codecs[ecdc.model] = load_codec(ecdc.model, model.weights, model.device)
        return codecs[ecdc.model].decode(ecdc)  # type: ignore[no-any-return]

    return decode
