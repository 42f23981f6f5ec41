"""Makes the rows of shards, and looks at each clip on the way: do all fit together?

Looking first, as the build step does, would read every file twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from preprocess.audit.mixing import Makings, add_tokens, parameter_makers
from preprocess.core.errors import PreprocessError
from preprocess.dataset.merging import merge_parameters
from preprocess.dataset.options import RowOptions
from preprocess.dataset.survey import merge_sidecar
from preprocess.shards.packing import Batch, Made, Packer
from preprocess.sidecar.parameter_info import ParameterInfo
from preprocess.sidecar.raw import RawSidecar, array_dtype
from preprocess.tokens.types import EcdcHeader


class WiderError(PreprocessError):
    """A sidecar has float64 values, for which the columns are too narrow."""


@dataclass
class Seen:
    """What some clips share.

    Attributes:
        parameters: Name -> description with the declared ranges of all of these clips.
        makings: What made each clip.
        tools: Weights, programs and engines of the tokens -> their names.
    """

    parameters: Mapping[str, ParameterInfo]
    makings: Makings = field(default_factory=Makings)
    tools: dict[str, set[str]] = field(default_factory=dict)

    def merge(self, other: Seen, path: Path) -> None:
        """Add what the clips of `other` share; a message names `path`.

        Raises:
            DatasetError: A parameter has another unit or kind.
        """
        self.parameters = merge_parameters(self.parameters, other.parameters, path)
        self.makings.merge(other.makings)
        for what, names in other.tools.items():
            self.tools.setdefault(what, set()).update(names)


@dataclass(frozen=True)
class RowMaker:
    """Makes the rows of batches and looks at their clips; can be sent to other processes.

    Attributes:
        packer: Makes the rows.
        options: The builder's options.
        auto: Whether a sidecar with float64 values may ask for wider columns.
    """

    packer: Packer
    options: RowOptions
    auto: bool

    def __call__(self, batch: Batch) -> tuple[Made, Seen]:
        """Return the rows of a batch and what its clips share.

        Raises:
            WiderError: With `auto`, a sidecar has float64 values and the columns do not.
            DatasetError: See `preprocess.shards.rows.packed_row` and
                `preprocess.dataset.survey.survey`.
        """
        schema = self.packer.schema
        narrow = self.auto and schema.dtype != "float64"
        seen = Seen(schema.parameters)

        def look(rel: str, path: Path, header: EcdcHeader, sidecar: RawSidecar | None) -> None:
            add_tokens(seen.makings, seen.tools, rel, header)
            if sidecar is None:
                return
            content = sidecar.sidecar
            seen.parameters = merge_sidecar(path, content, seen.parameters, self.options)
            names = [name for name in content.parameters if name in schema.parameters]
            seen.makings.add(rel, parameter_makers(content.records, names))
            if narrow and array_dtype(sidecar.dtype) == np.float64:
                raise WiderError(f"{path} has float64 values")

        return self.packer(batch, look), seen
