"""Clips of a folder of token files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from preprocess.core.errors import PreprocessError
from preprocess.dataset.clips import clip_id, find_tokens
from preprocess.page.clip_data import ClipData
from preprocess.page.originals import Originals
from preprocess.sidecar.reading import existing_paths, read_sidecar
from preprocess.tokens.ecdc import read_ecdc


class FolderClips:
    """The clips of a folder of token files, with their sidecars."""

    def __init__(self, root: Path, originals: Originals, cond_root: Path | None = None) -> None:
        self.name, self._root, self._originals = str(root), root, originals
        self._cond_root = cond_root or root

    @cached_property
    def _paths(self) -> dict[str, str]:
        return {clip_id(rel.as_posix()): rel.as_posix() for rel in find_tokens(self._root)}

    @property
    def ids(self) -> Sequence[str]:
        """The ids of all clips."""
        return list(self._paths)

    def read(self, clip: str) -> ClipData:
        """Return a clip; see `ClipSource`."""
        rel = self._paths[clip]
        data = ClipData(clip, read_ecdc(self._root / rel))
        place = self._cond_root / rel
        if not any(part.exists() for part in existing_paths(place)):
            data = data.with_note("no sidecar: this clip has no parameters")
        else:
            try:
                sidecar = read_sidecar(place)
                data = data.with_parameters(sidecar.parameters)
            except PreprocessError as error:  # the rest is still worth a look
                data = data.with_note(f"no parameters: {error}")
        return self._originals.add_sound(data)
