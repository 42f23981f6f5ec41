"""Makes the rows of clips, with the functions that the steps use for files.

    normalize threads ---> encoder ---> finishing threads: .ecdc, sidecar, checks, row

Each clip's files are in a scratch folder on the worker's own disk until its row is made, so a row is
the one that `pack` makes from the files of the steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preprocess.audit.clip_checks import check_clip
from preprocess.audit.summaries import ClipSummary
from preprocess.codec.codec import Codec, load_codec
from preprocess.codec.model_config import ModelConfig
from preprocess.core.errors import DiskError
from preprocess.core.jobs import Outcome, attempt
from preprocess.dataset.clips import DatasetError
from preprocess.dataset.merging import merge_parameters
from preprocess.dataset.schema import Schema
from preprocess.dataset.survey import check_names
from preprocess.params.clip import Clip
from preprocess.plan.making import Making, row_schema
from preprocess.plan.plan_info import PlannedClip
from preprocess.shards.rows import packed_row
from preprocess.sidecar.parameter_info import ParameterInfo
from preprocess.sidecar.reading import existing_paths, read_description
from preprocess.steps.annotate import lazy_decoder
from preprocess.steps.annotate_clip import annotate_clip
from preprocess.steps.encode_jobs import made_by, made_from
from preprocess.steps.normalize import normalize_file
from preprocess.steps.verify import audio_blocks
from preprocess.storage.store import Entry, SourceChangedError, StorageError, Store
from preprocess.tokens.ecdc import write_ecdc

if TYPE_CHECKING:
    from preprocess.codec.encoding import Encoding
    from preprocess.codec.streaming import Wave

_STOPS = (DiskError, StorageError)
"""Errors that are not a clip's fault: the worker stops, and another attempt may succeed."""


@dataclass(frozen=True)
class MadeClip:
    """The result for one clip.

    Attributes:
        clip: The clip.
        row: Its row; None if it failed.
        error: Why it failed; empty if it did not.
        seconds: Length of its audio in seconds.
        parameters: Its parameters, by name.
        summary: What the audit compares with other clips; None if it failed.
        warnings: Findings that are no errors, as `(check, message)`.
        notes: Notes of `normalize` and of producers.
    """

    clip: PlannedClip
    row: dict[str, Any] | None = None
    error: str = ""
    seconds: float = 0.0
    parameters: Mapping[str, ParameterInfo] = field(default_factory=dict)
    summary: ClipSummary | None = None
    warnings: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()


class ClipMaker:
    """Makes the rows of clips.

    Args:
        making: How to make them.
        source: Where the audio is.
        jobs: Number of threads that normalize, and of threads that finish clips.
        device: The torch device of the encoder; None for the recipe's.
    """

    def __init__(self, making: Making, source: Store, jobs: int, device: str | None = None) -> None:
        recipe = making.recipe
        self._model = ModelConfig(weights=recipe.weights, device=device or recipe.device)
        self._making, self._source, self._jobs = making, source, jobs
        self._run, self._audit = making.run, making.audit
        # Decoding already uses all cores, and threads must not share a model.
        decodes = any(producer.needs_decoder for producer in recipe.annotate)
        self._finishers = 1 if decodes else jobs
        self._decoder = lazy_decoder(self._model)
        model = replace(recipe, device=self._model.device)
        self._made_by = made_by(making.checkpoint, model, recipe.encode)

    @cached_property
    def _codec(self) -> Codec:
        encode, recipe = self._making.recipe.encode, self._making.recipe
        model = (recipe.codec, self._model.weights, self._model.device)
        return load_codec(*model, precision=encode.precision, allow_tf32=encode.allow_tf32)

    def make(
        self, clips: Sequence[PlannedClip], scratch: Path, schema: Schema | None
    ) -> Iterator[MadeClip]:
        """Make the rows of clips and yield each when it is done, in any order.

        Args:
            clips: The clips.
            scratch: An empty folder on this machine's disk.
            schema: What all rows share; None takes the parameters of each clip as they are.

        Raises:
            DiskError: The disk cannot be written to.
            StorageError: The audio cannot be reached.
        """
        kbps = self._making.recipe.encode.bandwidth
        normalizers, finishers = ThreadPoolExecutor(self._jobs), ThreadPoolExecutor(self._finishers)
        waiting: list[Future[Outcome[PlannedClip, MadeClip]]] = []
        waits = True
        try:
            ready = [
                normalizers.submit(attempt, partial(self._normalize, scratch), c) for c in clips
            ]
            streams = (
                self._blocks(scratch, clip, at) for clip, at in zip(clips, ready, strict=True)
            )
            for encoding in self._codec.encode_streams(streams, kbps):
                clip = clips[encoding.index]
                notes = ready[encoding.index].result().value or ()
                finish = partial(self._finish, scratch, encoding, schema, notes)
                waiting.append(finishers.submit(attempt, finish, clip))
                while waiting and waiting[0].done():
                    yield self._result(scratch, waiting.pop(0).result())
            for future in waiting:
                yield self._result(scratch, future.result())
        except KeyboardInterrupt:  # the lease must be released before the process is ended
            waits = False
            raise
        finally:
            normalizers.shutdown(waits, cancel_futures=True)
            finishers.shutdown(waits, cancel_futures=True)

    def _normalize(self, scratch: Path, clip: PlannedClip) -> tuple[str, ...]:
        """Write a clip's normalized audio to the scratch folder, and return notes."""
        planned = Entry(clip.path, clip.size, clip.version)
        local = self._source.local(clip.path)
        source = local or scratch / "source" / clip.path
        if local is None:
            source.parent.mkdir(parents=True, exist_ok=True)
            self._source.fetch(clip.path, source, planned)
        config = self._making.recipe.normalize
        made = normalize_file(source, _wav(scratch, clip), self._making.spec, config)
        if local is None:
            source.unlink()
        elif self._source.entry(clip.path) != planned:
            raise SourceChangedError(
                f"{clip.path} has changed since the plan was made; run preprocess plan again"
            )
        return (made.note,) if made.note else ()

    def _blocks(
        self, scratch: Path, clip: PlannedClip, ready: Future[Outcome[Any, Any]]
    ) -> Iterator[Wave]:
        error = ready.result().error
        if error is not None:
            raise error
        yield from audio_blocks(_wav(scratch, clip), self._codec)

    def _finish(
        self,
        scratch: Path,
        encoding: Encoding,
        schema: Schema | None,
        notes: Sequence[str],
        clip: PlannedClip,
    ) -> MadeClip:
        """Write a clip's tokens and sidecar, check them, and return its row."""
        tokens, wav = scratch / "ecdc", _wav(scratch, clip)
        rel = Path(f"{clip.id}.ecdc")
        path = tokens / rel
        ecdc = encoding.result(self._making.spec)
        version, made_from_wav = made_from(wav)
        extra = {**self._made_by, "src": version.digest, **made_from_wav}
        ecdc = replace(ecdc, extra=extra)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_ecdc(path, ecdc)
        annotates = bool(self._making.recipe.annotate)
        described: dict[str, ParameterInfo] = {}
        if annotates:
            seen = Clip(clip.id, path, ecdc.header, wav, self._decoder)
            made = annotate_clip(seen, path, self._run)
            notes = [*notes, *(": ".join(filter(None, note)) for note in made.notes)]
            described = {n: d.info for n, d in read_description(path).parameters.items()}
        checked = check_clip(tokens, rel, self._audit)
        self._refuse(checked.findings)
        chosen = self._chosen(path, described, schema)
        row = packed_row(
            tokens, str(rel), schema or row_schema(self._making.recipe, chosen), annotates
        )
        _remove(path, wav)
        warnings = [(f.check, f.message) for f in checked.findings]
        seconds = ecdc.header.duration_s
        return MadeClip(clip, row, "", seconds, chosen, checked.summary, warnings, notes)

    def _refuse(self, findings: Sequence[Any]) -> None:
        failing = [f for f in findings if self._audit.fails(f.check)]
        if failing:
            text = "; ".join(f"{f.check}: {f.message}" for f in failing)
            raise DatasetError(text)

    def _chosen(
        self, path: Path, described: Mapping[str, ParameterInfo], schema: Schema | None
    ) -> dict[str, ParameterInfo]:
        """Return the parameters of a row, after checking that they fit those of other clips."""
        options = self._making.recipe.build.rows
        check_names(path, described, options)
        names = list(options.parameters) or list(described)
        if schema is not None:
            if not options.parameters and set(names) != set(schema.parameters):
                made, expected = (", ".join(n) or "none" for n in (names, schema.parameters))
                raise DatasetError(
                    f"{path}: has the parameters {made}; the plan expects {expected}"
                )
            merge_parameters(schema.parameters, described, path)
        return {name: described[name] for name in names}

    def _result(self, scratch: Path, outcome: Outcome[PlannedClip, MadeClip]) -> MadeClip:
        if isinstance(outcome.error, _STOPS):
            raise outcome.error
        made = outcome.value
        if made is None:
            made = MadeClip(outcome.item, error=outcome.message())
        # The paths of this machine mean nothing on another, and differ from run to run.
        clean = partial(
            _without_folders,
            [scratch / "ecdc", scratch / "normalized", scratch / "source", self._source],
        )
        return replace(
            made,
            error=clean(made.error),
            warnings=[(check, clean(text)) for check, text in made.warnings],
            notes=[clean(note) for note in made.notes],
        )


def _wav(scratch: Path, clip: PlannedClip) -> Path:
    return scratch / "normalized" / f"{clip.id}.wav"


def _remove(path: Path, wav: Path) -> None:
    for file in (path, wav, *existing_paths(path)):
        file.unlink(missing_ok=True)


def _without_folders(folders: Sequence[object], text: str) -> str:
    for folder in folders:
        text = text.replace(f"{folder}/", "")
    return text
