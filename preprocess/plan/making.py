"""What decides the bytes of a clip's row: the recipe, its code and its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from preprocess.audit.audit_config import AuditConfig, ChecksConfig
from preprocess.codec.weights import find_weights
from preprocess.core.errors import UsageError
from preprocess.core.files import digest_file
from preprocess.core.provenance import settings_digest
from preprocess.dataset.options import RowOptions, check_options
from preprocess.dataset.schema import Schema
from preprocess.params import parameter_names
from preprocess.sidecar.parameter_info import ParameterInfo
from preprocess.steps.annotate_clip import AnnotateConfig, Run
from preprocess.steps.audit import as_built
from preprocess.steps.encode_jobs import tokens_digest
from preprocess.steps.normalize import normalize_digest
from preprocess.steps.recipe import Recipe
from preprocess.tokens.specs import CodecSpec, codec_spec

SHARD_VERSION = 1
"""Of the rows in a shard; another version makes all shards again."""
_OF_ROWS = ("codec", "bandwidth", "parameters", "require_parameters", "dtype", "audio_prefix")


@dataclass(frozen=True)
class Making:
    """How clips become rows of shards.

    Attributes:
        recipe: The recipe, with prepared producers.
        owner: A stable name of the recipe, stored with the parameters that it makes.
        weights: The file with the codec's weights.
    """

    recipe: Recipe
    owner: str
    weights: Path

    @classmethod
    def of(cls, recipe: Recipe, owner: str) -> Making:
        """Check a recipe, and return how it makes rows.

        Raises:
            UsageError: A setting is invalid, or does not go with shards.
            WeightsError: The weights cannot be found or downloaded.
        """
        _refuse_settings_of_folders(recipe)
        check_options(recipe.build)
        ready = replace(recipe, annotate=tuple(producer.prepare() for producer in recipe.annotate))
        parameter_names(ready.annotate)
        return cls(ready, owner, find_weights(codec_spec(recipe.codec), recipe.weights))

    @property
    def spec(self) -> CodecSpec:
        """The codec's specification."""
        return codec_spec(self.recipe.codec)

    @cached_property
    def checkpoint(self) -> str:
        """Hash of the weights."""
        return digest_file(self.weights)

    @property
    def run(self) -> Run:
        """The run of the recipe's producers."""
        config = AnnotateConfig(dtype=self.recipe.dtype, max_error=self.recipe.max_error)
        return Run.of(self.recipe.annotate, config, self.owner)

    @property
    def audit(self) -> AuditConfig:
        """The checks that every clip must pass."""
        return as_built(self.recipe.audit, self.recipe.build, bool(self.recipe.annotate))

    def digest(self) -> str:
        """Return the hash of everything but the audio that decides a row's bytes.

        The engine is not part of it: like `encode`, a run keeps the rows that another engine made.
        """
        recipe, audit = self.recipe, self.audit
        rows: dict[str, Any] = {key: getattr(recipe.build, key) for key in _OF_ROWS}
        return settings_digest(
            step="shards",
            version=SHARD_VERSION,
            normalize=normalize_digest(self.spec, recipe.normalize),
            encode=[tokens_digest(recipe.codec, recipe.encode), self.checkpoint],
            annotate=list(self.run.settings),
            owner=self.owner,
            rows=rows,
            checks=repr({f.name: getattr(audit, f.name) for f in fields(ChecksConfig)}),
            expect=[audit.expect_fps, audit.expect_dtype, list(audit.require)],
        )


def row_schema(recipe: Recipe, parameters: Mapping[str, ParameterInfo]) -> Schema:
    """Return the schema of a recipe's rows with these parameters."""
    spec, kbps = codec_spec(recipe.codec), recipe.build.bandwidth
    k = spec.n_codebooks(recipe.encode.bandwidth if kbps is None else kbps)
    return Schema(spec.name, k, kbps is not None, parameters, recipe.build.dtype)


def _refuse_settings_of_folders(recipe: Recipe) -> None:
    """Refuse settings that only files of single clips can follow."""
    default_rows, audit = RowOptions(), recipe.audit
    wrong = {
        "build: cond_root": recipe.build.cond_root is not None,
        "build: suffix": recipe.build.suffix != default_rows.suffix,
        "build: missing_sidecar": recipe.build.missing_sidecar != default_rows.missing_sidecar,
        "audit: cond_root": audit.cond_root is not None,
        "audit: against_audio": audit.against_audio is not None,
        "audit: shard_index": audit.shard_index is not None,
        "encode: suffix": recipe.encode.suffix != default_rows.suffix,
    }
    for name, is_set in wrong.items():
        if is_set:
            raise UsageError(f"{name} requires files for each clip, not `format: shards`")
