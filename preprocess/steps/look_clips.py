"""Clips shown as text: token files with their sidecars, or a dataset's rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from preprocess.core.errors import PreprocessError, UsageError
from preprocess.core.files import find_files, require_folder
from preprocess.core.untrusted import is_inside
from preprocess.dataset.saved import load_saved
from preprocess.page.clip_sources import ClipSource
from preprocess.page.folder_clips import FolderClips
from preprocess.sidecar.reading import existing_paths, read_sidecar
from preprocess.sidecar.sidecar_format import TOKEN_SUFFIX, Sidecar
from preprocess.steps.built_dataset import MARKER
from preprocess.steps.saved_folder import read_marker, tokens_subdir
from preprocess.tokens.ecdc import read_ecdc, read_header


@dataclass(frozen=True)
class Content:
    """The content of a clip.

    Attributes:
        name: Name of the token file.
        model: Name of the codec.
        codes: Codes `[K, T]`.
        parameters: Name -> values `[T]`; None without a sidecar.
    """

    name: str
    model: str
    codes: NDArray[Any]
    parameters: Mapping[str, NDArray[Any]] | None


@dataclass(frozen=True)
class Shape:
    """The number of codebooks of a clip, and of its parameters, None without a sidecar."""

    codebooks: int
    parameters: int | None


class Clip(Protocol):
    """A clip from any source; both methods raise `PreprocessError` or `OSError` if it is bad."""

    def shape(self, whole: bool) -> Shape:
        """Return its shape; with `whole`, also read the codes and require parameters."""

    def read(self) -> Content:
        """Return its content."""


@dataclass(frozen=True)
class FileClip:
    """A token file with its sidecar."""

    path: Path

    def shape(self, whole: bool) -> Shape:
        """Return its shape; see `Clip`."""
        sidecar = self._sidecar()
        header = read_ecdc(self.path).header if whole else read_header(self.path)
        if sidecar is None:
            if whole:
                raise PreprocessError(f"{self.path} has no sidecar")
            return Shape(header.n_codebooks, None)
        if sidecar.n_frames != header.n_frames:
            raise PreprocessError(
                f"{self.path} has {header.n_frames} frames, but its sidecar has {sidecar.n_frames}"
            )
        return Shape(header.n_codebooks, len(sidecar.parameters))

    def read(self) -> Content:
        """Return its content; see `Clip`."""
        ecdc, sidecar = read_ecdc(self.path), self._sidecar()
        if sidecar is None:
            return Content(self.path.name, ecdc.model, ecdc.codes, None)
        parameters = {name: parameter.values for name, parameter in sidecar.parameters.items()}
        return Content(self.path.name, ecdc.model, ecdc.codes, parameters)

    def _sidecar(self) -> Sidecar | None:
        parts = existing_paths(self.path)
        return read_sidecar(self.path) if any(part.exists() for part in parts) else None


@dataclass(frozen=True)
class SourceClip:
    """A clip of any source of pages."""

    source: ClipSource
    id: str

    def shape(self, whole: bool) -> Shape:
        """Return its shape, see `Clip`."""
        content = self.read()
        if content.parameters is None and whole:
            raise PreprocessError(f"{content.name} has no parameters")
        parameters = None if content.parameters is None else len(content.parameters)
        return Shape(len(content.codes), parameters)

    def read(self) -> Content:
        """Return what it holds, see `Clip`."""
        clip = self.source.read(self.id, with_original=False)
        parameters = {name: each.values for name, each in clip.parameters.items()}
        return Content(self.id, clip.tokens.model, clip.tokens.codes, parameters or None)


@dataclass(frozen=True)
class RowClip:
    """A row of a dataset that `build` made."""

    rows: Any
    index: int

    def shape(self, whole: bool) -> Shape:
        """Return its shape; see `Clip`."""
        content = self.read()
        k, frames = content.codes.shape
        if content.parameters is None:
            if whole:
                raise PreprocessError(f"{content.name} has no parameters")
            return Shape(k, None)
        for name, values in content.parameters.items():
            if len(values) != frames:
                raise PreprocessError(
                    f"{content.name} has {frames} frames, but its {name} has {len(values)}"
                )
        return Shape(k, len(content.parameters))

    def read(self) -> Content:
        """Return its content; see `Clip`."""
        row = self.rows[self.index]
        parameters = {name: np.asarray(v) for name, v in (row.get("features") or {}).items()}
        there = any(len(values) for values in parameters.values())  # empty without a sidecar
        codes = np.stack(row["codes"])
        return Content(Path(row["audio"]).name, row["model"], codes, parameters if there else None)


def source_clips(source: ClipSource) -> list[Clip]:
    """Return the clips of a source; token files by their headers alone, where that is enough."""
    if isinstance(source, FolderClips) and source.cond_root == source.root:
        return [FileClip(source.path(clip)) for clip in source.ids]
    return [SourceClip(source, clip) for clip in source.ids]


def folder_clips(folder: Path, recursive: bool) -> list[Clip]:
    """Return the token files in a folder.

    Raises:
        UsageError: The folder does not exist or has no token files.
    """
    root = require_folder(folder, "token folder")
    clips = [root / rel for rel in find_files(root, [TOKEN_SUFFIX], recursive)]
    if not clips:
        hint = "" if recursive else "; use --recursive to search subfolders"
        raise UsageError(f"no token files ({TOKEN_SUFFIX}) under {root}{hint}")
    return [FileClip(path) for path in clips]


def dataset_clips(folder: Path, split: str) -> tuple[list[Clip], str]:
    """Return the clips of a saved dataset, and a note if they are rows rather than token files.

    The column `audio` names the token files, relative to the dataset or to its folder `tokens`. A
    dataset built with `--materialize none` has no token files, but its rows hold the same content.

    Raises:
        UsageError: `folder` is not a saved dataset, or has no such split.
    """
    require_folder(folder, "dataset")
    dataset = load_saved(folder)
    if split not in dataset:
        raise UsageError(f"{folder} has no split {split!r}; it has {', '.join(map(str, dataset))}")
    rows = dataset[split]
    if _has_rows_alone(folder):
        formatted = rows.with_format("numpy")
        clips: list[Clip] = [RowClip(formatted, index) for index in range(len(rows))]
        return clips, "the dataset was built without token files: showing its rows"
    names = [Path(name) for name in rows["audio"] if is_inside(str(name))]
    if len(names) < len(rows):
        raise UsageError(f"{folder}: a row names a token file outside of the dataset's folder")
    paths = [folder / n if (folder / n).exists() else folder / "tokens" / n for n in names]
    return [FileClip(path) for path in paths], ""


def _has_rows_alone(folder: Path) -> bool:
    """Whether `build` made this dataset without a folder of token files."""
    made_by = read_marker(folder, MARKER)
    return bool(made_by) and not (folder / tokens_subdir(made_by)).is_dir()
