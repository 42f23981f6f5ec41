"""Clips of a folder of token files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from preprocess.core.errors import PreprocessError
from preprocess.dataset.clips import clip_id, find_tokens
from preprocess.dataset.splits import by_folder
from preprocess.page.clip_data import ClipData
from preprocess.page.originals import Originals
from preprocess.sidecar.reading import existing_paths, read_sidecar
from preprocess.tokens.ecdc import read_ecdc


class FolderClips:
    """The clips of a folder of token files, with their sidecars."""

    def __init__(self, root: Path, originals: Originals, cond_root: Path | None = None) -> None:
        self.name, self.root, self._originals = str(root), root, originals
        self.cond_root = cond_root or root

    @cached_property
    def _paths(self) -> dict[str, str]:
        return {clip_id(rel.as_posix()): rel.as_posix() for rel in find_tokens(self.root)}

    @property
    def ids(self) -> Sequence[str]:
        """The ids of all clips."""
        return list(self._paths)

    def path(self, clip: str) -> Path:
        """Return the token file of a clip."""
        return self.root / self._paths[clip]

    def split(self, clip: str) -> str:
        """Return the split folder of a clip; `train` where there are none, as `build` has it."""
        return self._splits.get(self._paths[clip], "(none)" if self._splits else "train")

    @cached_property
    def _splits(self) -> dict[str, str]:
        splits, _ = by_folder(list(self._paths.values()))
        return {rel: name for name, rels in splits.items() for rel in rels}

    def read(self, clip: str, with_original: bool = True) -> ClipData:
        """Return a clip; see `ClipSource`."""
        rel = self._paths[clip]
        data = ClipData(clip, read_ecdc(self.root / rel))
        place = self.cond_root / rel
        if not any(part.exists() for part in existing_paths(place)):
            data = data.with_note("no sidecar: this clip has no parameters")
        else:
            try:
                sidecar = read_sidecar(place)
                data = data.with_parameters(sidecar.parameters)
            except PreprocessError as error:  # the rest is still worth a look
                data = data.with_note(f"no parameters: {error}")
        return self._originals.add_sound(data) if with_original else data
