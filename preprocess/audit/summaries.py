"""What the audit keeps of one clip to compare it with all others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from preprocess.audit.findings import Finding
from preprocess.audit.fingerprints import Fingerprint
from preprocess.audit.mixing import Makers, parameter_makers
from preprocess.dataset.splits import SPLIT_FOLDERS
from preprocess.sidecar.parameters import Parameter, measure
from preprocess.sidecar.records import Record, makers
from preprocess.sidecar.sidecar_format import Sidecar
from preprocess.tokens.types import EcdcHeader


@dataclass(frozen=True)
class ParameterSummary:
    """The facts about one parameter of one clip that the audit compares across clips.

    Attributes:
        units: Its unit.
        kind: Its kind.
        constant: Its value if all frames, at least two, have the same; else None.
        is_meant: Whether it is meant to be constant: made by the producer `constant`, or with a
            declared range of one value.
        numbers: Minimum, maximum, mean and standard deviation; None if it has no values.
        declared: Its declared range as (minimum, maximum); None if it has none.
    """

    units: str
    kind: str
    constant: float | None
    is_meant: bool = False
    numbers: tuple[float, float, float, float] | None = None
    declared: tuple[float, float] | None = None


@dataclass(frozen=True)
class ClipSummary:
    """The facts about one clip that the audit compares across clips.

    Attributes:
        rel: The token file, relative to the token folder.
        content: Hash of its tokens, without their header.
        header: The tokens' header, without provenance.
        token_makers: What made its tokens; see `preprocess.audit.mixing`.
        parameter_makers: What made its parameters.
        is_tied: Whether the sidecar names the tokens it was written for.
        parameters: By name; None if the clip has no readable sidecar.
        engine: What computed the tokens; empty if unknown.
        prints: Fingerprint of its codes; None if it is compared with no other clip.
    """

    rel: Path
    content: str
    header: EcdcHeader
    token_makers: Makers = field(default_factory=dict)
    parameter_makers: Makers = field(default_factory=dict)
    is_tied: bool = True
    parameters: Mapping[str, ParameterSummary] | None = None
    engine: str = ""
    prints: Fingerprint | None = None

    @property
    def split(self) -> str | None:
        """The split whose folder the clip is in, or None."""
        return split_of(self.rel)


def split_of(rel: Path) -> str | None:
    """Return the split whose folder a clip is in, or None."""
    return SPLIT_FOLDERS.get(rel.parts[0]) if len(rel.parts) > 1 else None


@dataclass(frozen=True)
class Checked:
    """The findings in one clip, and its summary; the summary is None if its tokens are unreadable."""

    findings: list[Finding] = field(default_factory=list)
    summary: ClipSummary | None = None


def with_sidecar(summary: ClipSummary, sidecar: Sidecar) -> ClipSummary:
    """Return the summary of a clip with its parameters and the producers that made them."""
    made_by = makers(sidecar.records)
    parameters = {
        name: _summary(parameter, made_by.get(name, Record()))
        for name, parameter in sidecar.parameters.items()
    }
    is_tied = all(name in made_by and made_by[name].tokens for name in parameters)
    made = parameter_makers(sidecar.records, parameters)
    return replace(summary, parameter_makers=made, is_tied=is_tied, parameters=parameters)


def _summary(parameter: Parameter, record: Record) -> ParameterSummary:
    values = parameter.values
    same = len(values) > 1 and bool((values == values[0]).all())
    is_meant = record.producer == "constant" or (
        parameter.declared and parameter.min == parameter.max
    )
    value = float(values[0]) if same else None
    measured = parameter.measured or measure(values)
    numbers = tuple(measured.get(key) for key in ("min", "max", "mean", "std"))
    declared = (parameter.min, parameter.max) if parameter.declared else (None, None)
    return ParameterSummary(
        parameter.units,
        parameter.kind,
        value,
        is_meant,
        None if None in numbers else numbers,  # type: ignore[arg-type]
        None if None in declared else declared,  # type: ignore[arg-type]
    )
