"""Step 3: parameters from producers become the sidecars of every clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preprocess.audio import EXTENSIONS, AudioError
from preprocess.clip import Clip, Wave
from preprocess.config import AnnotateConfig, ModelConfig
from preprocess.dataset import find_tokens
from preprocess.ecdc import Ecdc, read_header
from preprocess.errors import UsageError
from preprocess.features import FeatureValue, SidecarError
from preprocess.files import digest_bytes, digest_file, find_files, require_folder
from preprocess.jobs import run_items
from preprocess.params import Producer, feature_names
from preprocess.provenance import is_current, provenance, settings_digest
from preprocess.report import Report, plural
from preprocess.sidecar import existing_paths, read_sidecar, write_sidecar
from preprocess.sidecar_format import Sidecar
from preprocess.temporaries import remove_stale


@dataclass(frozen=True)
class Annotated:
    """What became of one clip: its features' names, or that its sidecar was up to date."""

    names: tuple[str, ...] = ()
    current: bool = False


def annotate(
    root: Path,
    producers: Sequence[Producer],
    model: ModelConfig,
    config: AnnotateConfig,
    jobs: int,
) -> Report:
    """Write the sidecars of all clips under `root`.

    Features that an earlier run made and this one does not are dropped; features that were
    written by hand are kept.

    Raises:
        UsageError: `root` holds no tokens, there are no producers, or two of a name, or one needs audio and
            `config.audio_root` is missing.
    """
    report = Report("annotate", output=str(root))
    tokens = find_tokens(root)
    if not producers:
        raise UsageError("annotate: nothing to do: name at least one producer")
    feature_names(producers)
    for producer in producers:
        for note in producer.check_clips([rel.with_suffix("").as_posix() for rel in tokens]):
            report.note(note)
    if not config.dry_run:
        remove_stale(root)
    audio = _audio_index(producers, config)
    decoder = _lazy_decoder(model)
    rec = settings_digest(
        step="annotate",
        producers=[p.settings() for p in producers],
        dtype=config.dtype,
        mode=config.mode,
    )

    def step(rel: Path) -> Annotated:
        clip = _clip(root, rel, audio, decoder)
        return annotate_clip(clip, producers, rec, config)

    # A decoding model fills the cores by itself, and is not shared between threads.
    threads = 1 if any(p.needs_decoder for p in producers) else jobs
    names: dict[str, None] = {}
    for outcome in run_items(step, tokens, threads, "annotate"):
        if outcome.value is None:
            report.fail(root / outcome.item, outcome.message())
            continue
        report.done += not outcome.value.current
        report.current += outcome.value.current
        names.update(dict.fromkeys(outcome.value.names))
    details = (
        [f"{len(names)} {plural('parameter', len(names))} ({', '.join(names)})"] if names else []
    )
    if config.dry_run:
        details.append("dry run: nothing written")
    report.detail = ", ".join(details)
    return report.finish()


def annotate_clip(
    clip: Clip, producers: Sequence[Producer], rec: str, config: AnnotateConfig
) -> Annotated:
    """Write the sidecar of one clip, unless it is what these producers would write.

    Raises:
        SidecarError: Two producers make the same feature, or the features cannot be written.
    """
    tokens = digest_file(clip.path)
    audio = digest_file(clip.audio_path) if clip.audio_path else ""
    sources = [tokens, audio, *(producer.origin(clip) for producer in producers)]
    origin: dict[str, Any] = dict(provenance(digest_bytes("".join(sources).encode()), rec))
    # What an audit can compare without the audio or the producers.
    origin["tokens"] = tokens
    if audio:
        origin["audio"] = audio
    old = _stored(clip.path)
    if old and is_current(old.provenance, origin):
        return Annotated(current=True)
    features: dict[str, FeatureValue] = {}
    for producer in producers:
        for name, value in producer.features(clip).items():
            if name in features:
                raise SidecarError(f"{clip.path}: two producers make the feature {name!r}")
            features[name] = value
    ours = set(old.provenance.get("names", ())) if old else set()
    by_hand = set(old.features) - ours if old else set()
    # What an earlier run made goes, but for what append keeps; what was made by hand stays.
    kept = features.keys() if config.mode == "append" else ()
    drop = tuple(name for name in ours if name not in kept)
    if config.mode == "append":
        features = {name: value for name, value in features.items() if name not in by_hand}
    origin["names"] = list(features)
    if not config.dry_run:
        write_sidecar(
            clip.path,
            features,
            mode=config.mode,
            dtype=config.dtype,
            provenance=origin,
            drop=drop,
        )
    return Annotated(tuple(features))


def _stored(path: Path) -> Sidecar | None:
    if not all(part.exists() for part in existing_paths(path)):
        return None
    try:
        return read_sidecar(path)
    except SidecarError as error:
        raise SidecarError(f"{error}; delete it to annotate the clip anew") from None


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
        from preprocess.codec import load_codec

        if ecdc.model not in codecs:
            codecs[ecdc.model] = load_codec(ecdc.model, model.weights, model.device)
        return codecs[ecdc.model].decode(ecdc)  # type: ignore[no-any-return]

    return decode
