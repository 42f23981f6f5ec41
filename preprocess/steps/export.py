"""Exports tokens and sidecars in the format that another project's trainers read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preprocess.audit.audit_config import AuditConfig
from preprocess.audit.mixing import describe, parameter_makers, refuse_mixed, token_makings
from preprocess.audit.row_check import RowCheck
from preprocess.core.errors import UsageError
from preprocess.core.files import temporary_folder
from preprocess.core.progress import Progress
from preprocess.core.provenance import provenance, settings_digest
from preprocess.core.report import Report
from preprocess.dataset.clips import Clips, DatasetError, clip_id, find_clips, manifest_digest
from preprocess.dataset.options import RowOptions, check_options, row_options
from preprocess.dataset.quiet import quiet_datasets
from preprocess.dataset.rows import clip_row
from preprocess.dataset.schema import Schema
from preprocess.dataset.splits import find_splits
from preprocess.dataset.survey import read_schema, survey
from preprocess.publish import rnencodec
from preprocess.sidecar.parameter_info import ParameterInfo
from preprocess.sidecar.parameters import Parameter, measure
from preprocess.sidecar.precision import find_damage
from preprocess.sidecar.sidecar_format import Sidecar, sidecar_paths
from preprocess.stats.corpus_stats import CorpusStats
from preprocess.steps.export_config import EXPORT_TARGETS, ExportConfig
from preprocess.steps.saved_folder import SavedFolder, replace_folder, update_folder
from preprocess.tokens.ecdc import read_header

MARKER = "enchf_export.json"
"""File that records what an export was made from. Only a folder with this file is replaced."""
_TOKENS = "tokens"
_VERSION = 1


def export(
    root: Path, output: Path, config: ExportConfig, audit: AuditConfig | None = None
) -> Report:
    """Write the clips under `root` to `output` in the format of RNeNcodec's trainers.

    The export is made next to `output` and moved there once it is complete. Ranges are those that
    the clips declare, or else are measured over the split `train` (or the first split if there is
    no `train`).

    Args:
        root: The token folder.
        output: Folder for the export.
        config: Settings of the export.
        audit: The checks that each clip must pass; default: those of an audit.

    Raises:
        UsageError: `root` has no token files or no sidecars; `output` is inside `root` or contains
            it; or `output` exists and has files that `export` did not make.
        DatasetError: A clip has another codec or fewer codebooks than requested, does not match
            the others, fails a check, or has values that the trainers cannot read.
    """
    report = Report("export", output=str(output))
    audit = audit or AuditConfig()
    options = _options(config)
    clips = find_clips(root, options)
    if not clips.described:
        raise UsageError(f"no clip under {root} has a sidecar, which the trainers require")
    splits = find_splits(root, clips.tokens, options)
    if _TOKENS in splits:
        raise UsageError(f"a split cannot be called {_TOKENS!r}, the name of the token folder")
    origin = _origin(root, clips, config, options, audit)
    folder = SavedFolder(output, MARKER, (rnencodec.CONFIG_NAME,), "export")
    make = partial(_make, root, output, clips, splits, config, audit, origin)
    update_folder(report, root, folder, origin, splits, make)
    return report.finish()


def _options(config: ExportConfig) -> RowOptions:
    if config.codebooks is not None and config.bandwidth is not None:
        raise UsageError("codebooks and bandwidth exclude each other; give only one")
    if config.codebooks is not None and config.codebooks > rnencodec.SPEC.max_codebooks:
        most = rnencodec.SPEC.max_codebooks
        raise UsageError(
            f"codebooks: must be at most {most} for this codec, got {config.codebooks}"
        )
    # Slice by codebooks, since their number need not match a bandwidth of the codec. Keep float64
    # until float32 is known to hold the parameters.
    options = row_options(config, bandwidth=None, dtype="float64")
    check_options(options)
    return options


def _origin(
    root: Path, clips: Clips, config: ExportConfig, options: RowOptions, audit: AuditConfig
) -> dict[str, str]:
    """Return the provenance of an export: its files and settings."""
    return provenance(
        manifest_digest(root, config.suffix, clips.cond_root),
        settings_digest(
            step="export",
            version=_VERSION,
            root=str(root.resolve()),
            options={**dataclasses.asdict(options), "cond_root": str(clips.cond_root)},
            export=[config.codebooks, config.bandwidth, config.nan, config.allow_mixed],
            audit=repr(audit),
        ),
    )


def _make(
    root: Path,
    output: Path,
    clips: Clips,
    splits: Mapping[str, Sequence[str]],
    config: ExportConfig,
    audit: AuditConfig,
    origin: Mapping[str, str],
) -> list[str]:
    """Make the export and move it into place; return notes on it."""
    k = _check_tokens(root, clips, config)
    schema, mixed = _read_schema(root, clips, config, audit, k)
    measured_over = "train" if "train" in splits else next(iter(splits))
    measured = set(splits[measured_over])
    parameters = schema.parameters
    stats, constants = CorpusStats(), Constants(parameters)
    with temporary_folder(output) as scratch:
        new = Path(scratch, "dataset")
        with Progress("export", len(clips.tokens)) as progress:
            for rel in clips.tokens:
                path = root / rel
                row = clip_row(root, rel, schema, True, "", clips.cond_root, RowCheck(audit))
                values = {n: _as_float32(path, n, v) for n, v in row["features"].items()}
                if rel in measured:
                    described = {
                        n: Parameter.from_info(parameters[n], v) for n, v in values.items()
                    }
                    stats.update(described)
                values = {n: _without_nan(path, n, v, config.nan) for n, v in values.items()}
                constants.add(rel, values)
                target = new / _exported(rel)
                target.parent.mkdir(parents=True, exist_ok=True)
                rnencodec.write_tokens(target, row["codes"], row["audio_length"])
                np.save(sidecar_paths(target)[0], np.stack([*values.values()], axis=1))
                progress.update()
        norm = rnencodec.norms({name: stats[name] for name in parameters})
        meta = rnencodec.describe_sidecar(norm, parameters)
        for rel in clips.tokens:
            sidecar_paths(new / _exported(rel))[1].write_bytes(meta)
        config_json = rnencodec.conditioning_config(norm, parameters)
        (new / rnencodec.CONFIG_NAME).write_bytes(config_json)
        _save_rows(new, splits, constants.columns())
        stored = {**origin, "target": EXPORT_TARGETS[0], "tokens_subdir": _TOKENS}
        stored |= {"mixed": mixed} if mixed else {}
        (new / MARKER).write_text(json.dumps(stored, indent=2))
        replace_folder(new, output, Path(scratch, "old"))
    return _notes(norm, measured_over, mixed)


def _check_tokens(root: Path, clips: Clips, config: ExportConfig) -> int:
    """Return the number of codebooks to export, after checking that all clips have them.

    Raises:
        DatasetError: A clip has another codec or too few codebooks, or the clips differ.
    """
    wanted = config.codebooks
    if config.bandwidth is not None:
        wanted = rnencodec.SPEC.n_codebooks(config.bandwidth)
    found = 0
    for rel in clips.tokens:
        header = read_header(root / rel)
        if header.model != rnencodec.MODEL:
            raise DatasetError(
                f"{root / rel} was encoded by {header.model}, but RNeNcodec's trainers decode only "
                f"{rnencodec.MODEL}"
            )
        has = header.n_codebooks
        if wanted is not None and has < wanted:
            raise DatasetError(
                f"{root / rel} has {has} codebooks ({header.bandwidth_kbps:g} kbps), fewer than "
                f"the {wanted} requested ({rnencodec.SPEC.bandwidth_kbps(wanted):g} kbps)"
            )
        if wanted is None and found not in (0, has):
            raise DatasetError(
                f"{root / rel} has {has} codebooks, but the clips before it have {found}; export "
                f"those that all clips have with --codebooks {min(has, found)}"
            )
        found = has
    return wanted or found


def _read_schema(
    root: Path, clips: Clips, config: ExportConfig, audit: AuditConfig, k: int
) -> tuple[Schema, str]:
    """Return what all clips share, and a text on their mixtures, empty if there are none."""
    options = _options(config)
    makings, _ = token_makings(root, clips.tokens)

    def look(rel: str, sidecar: Sidecar) -> None:
        names = [n for n in sidecar.parameters if not options.parameters or n in options.parameters]
        makings.add(rel, parameter_makers(sidecar.records, names))

    schema = survey(root, clips, read_schema(root, clips, options), options, look)
    mixed = describe(makings.mixtures())
    if audit.fails("mixed") and not config.allow_mixed:
        refuse_mixed(root, mixed)
    return dataclasses.replace(schema, n_codebooks=k, slices=True), mixed


class Constants:
    """Collects parameters that are constant in every clip, for loaders that read them from rows."""

    def __init__(self, parameters: Mapping[str, ParameterInfo]) -> None:
        self._values: dict[str, dict[str, float]] = {n: {} for n in parameters if n != "audio"}

    def add(self, rel: str, values: Mapping[str, NDArray[np.floating]]) -> None:
        """Add the values `[T]` of a clip; drop the parameters that vary in it."""
        for name in list(self._values):
            if (values[name] == values[name][0]).all():
                self._values[name][rel] = float(values[name][0])
            else:
                del self._values[name]

    def columns(self) -> dict[str, dict[str, float]]:
        """Return name -> clip -> value."""
        return self._values


def _as_float32(path: Path, name: str, values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the values of a parameter `[T]` in float32, in which the trainers compute.

    Raises:
        DatasetError: float32 would damage a value.
    """
    measured = measure(values)
    low, high = measured["min"], measured["max"]
    damage = find_damage(values, "float32", 0.0 if low is None or high is None else high - low)
    if damage is not None:
        raise DatasetError(
            f"{path}: parameter {name!r}: {damage}, and the trainers compute in float32; subtract "
            f"a common offset from all values"
        )
    return values.astype(np.float32)


def _without_nan(
    path: Path, name: str, values: NDArray[np.float32], nan: float | None
) -> NDArray[np.float32]:
    missing = np.isnan(values)
    if not missing.any():
        return values
    if nan is None:
        raise DatasetError(
            f"{path}: parameter {name!r} is NaN at frame {int(np.argmax(missing))}, but the "
            f"trainers do not support NaN; choose a replacement value with --nan"
        )
    return np.where(missing, np.float32(nan), values)


def _exported(rel: str) -> str:
    """Return the path of a clip's token file in the export, for the column `audio`."""
    return f"{_TOKENS}/{clip_id(rel)}.ecdc"


def _save_rows(
    folder: Path, splits: Mapping[str, Sequence[str]], constants: Mapping[str, Mapping[str, float]]
) -> None:
    from datasets import Dataset, DatasetDict, Features, Value

    types = Features({"audio": Value("string"), **{n: Value("float64") for n in constants}})
    made = {}
    for split, rels in splits.items():
        columns: dict[str, Any] = {"audio": [_exported(rel) for rel in rels]}
        columns |= {name: [of[rel] for rel in rels] for name, of in constants.items()}
        made[split] = Dataset.from_dict(columns, features=types)
    with quiet_datasets():
        DatasetDict(made).save_to_disk(str(folder))


def _notes(
    norm: Mapping[str, Mapping[str, float | None]], measured_over: str, mixed: str
) -> list[str]:
    notes = [f"mixed: {mixed}"] if mixed else []
    if measured_over != "train":
        notes.append(f"no split train: ranges were measured over {measured_over}")
    for name, of in norm.items():
        moved = rnencodec.moved(of)
        if moved > rnencodec.MOST_MOVED:
            notes.append(
                f"parameter {name!r} ranges from {of['min']:.9g} to {of['max']:.9g}: the trainers "
                f"compute in float32 and add {rnencodec.LOADERS_ADD:g} to that range, which shifts "
                f"values by up to {moved:.2%} of it; scale it, or subtract a common offset"
            )
    return notes
