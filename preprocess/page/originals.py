"""The audio that clips were encoded from, where it is at hand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from preprocess.audio.audio_files import EXTENSIONS, AudioError, read_audio
from preprocess.core.files import digest_file, walk_files
from preprocess.dataset.clips import clip_id
from preprocess.page.clip_data import ClipData

AUDIO_FOLDER = "normalized"
"""Where a recipe leaves the audio of the tokens, beside the folder of tokens or the dataset."""


@dataclass(frozen=True)
class Originals:
    """The audio that clips were encoded from, in a folder that mirrors their ids; None for none."""

    root: Path | None

    def add_sound(self, clip: ClipData) -> ClipData:
        """Return the clip with its original, where there is one of the length of its tokens."""
        path = self._paths.get(clip.id)
        if path is None:
            return clip
        spec, length = clip.tokens.header.spec, clip.tokens.audio_length
        try:
            wave = read_audio(path, spec.sample_rate, spec.channels)
        except AudioError as error:
            return clip.with_note(f"no original: {error}")
        if wave.shape[1] != length:
            return clip.with_note(
                f"no original: {path} has {wave.shape[1]:,} samples, its tokens {length:,}"
            )
        made_from = clip.tokens.extra.get("src")
        if made_from is not None and made_from != digest_file(path):
            clip = clip.with_note(f"{path} was changed after it was encoded")
        return clip.with_sound("original", wave)

    @cached_property
    def _paths(self) -> dict[str, Path]:
        if self.root is None:
            return {}
        return {clip_id(rel): self.root / rel for rel in walk_files(self.root, EXTENSIONS)}


def beside(path: Path) -> Path | None:
    """Return the folder of audio beside a folder of tokens or a dataset, None without one."""
    folder = path.absolute().parent / AUDIO_FOLDER
    return folder if folder.is_dir() else None
