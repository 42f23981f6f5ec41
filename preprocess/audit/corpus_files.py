"""Where the audit finds what its summaries of clips do not hold: values and codes, clip by clip."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from preprocess.sidecar.reading import existing_paths, read_pair
from preprocess.sidecar.sidecar_format import ARRAY_SUFFIX
from preprocess.tokens.ecdc import read_ecdc


class CorpusFiles(Protocol):
    """Reads single clips of a corpus."""

    def codes(self, rel: Path) -> NDArray[np.int16]:
        """Return the first codebook's codes `[T]` of the clip with token file `rel`."""

    def values(self, rel: Path, name: str) -> NDArray[np.float64]:
        """Return the values `[T]` of a parameter of that clip."""


@dataclass(frozen=True)
class FolderFiles:
    """A folder of tokens and sidecars.

    Attributes:
        root: The token folder.
        cond_root: The sidecar folder; None if the sidecars are next to the tokens.
        suffix: Suffix of the sidecars' arrays.
    """

    root: Path
    cond_root: Path | None = None
    suffix: str = ARRAY_SUFFIX

    def codes(self, rel: Path) -> NDArray[np.int16]:
        """Return the first codebook's codes `[T]` of a clip."""
        codes: NDArray[np.int16] = read_ecdc(self.root / rel).codes[0]
        return codes

    def values(self, rel: Path, name: str) -> NDArray[np.float64]:
        """Return the values `[T]` of a parameter of a clip."""
        sidecar = read_pair(*existing_paths((self.cond_root or self.root) / rel, self.suffix))
        return sidecar.parameters[name].values.astype(np.float64)
