"""Recipes: YAML files that describe the whole path from audio to dataset."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from preprocess.audit.audit_config import AuditConfig
from preprocess.codec.model_config import CodecConfig
from preprocess.core.errors import UsageError
from preprocess.core.flags import validate
from preprocess.core.jobs import cpu_count
from preprocess.core.settings import Jobs
from preprocess.core.untrusted import clipped
from preprocess.core.yaml_files import MAX_YAML_BYTES, load_yaml
from preprocess.params import Producer, parse_producer
from preprocess.sidecar.array_config import ArrayConfig
from preprocess.steps.build_config import BuildConfig
from preprocess.steps.encode_jobs import EncodeConfig
from preprocess.steps.normalize import NormalizeConfig
from preprocess.tokens.specs import codec_spec


@dataclass(frozen=True, kw_only=True)
class Recipe(CodecConfig, ArrayConfig):
    """The settings of all steps, from a folder of audio to a saved dataset."""

    input: Annotated[Path, Field(description="folder with audio")]
    output: Annotated[
        Path, Field(description="folder for the results: normalized, ecdc and dataset")
    ]
    jobs: Jobs = field(default_factory=cpu_count)
    prune: Annotated[
        bool, Field(description="delete the outputs of all steps whose source is gone")
    ] = False
    normalize: NormalizeConfig = field(default_factory=NormalizeConfig)
    encode: EncodeConfig = field(default_factory=EncodeConfig)
    annotate: tuple[Annotated[Producer, BeforeValidator(parse_producer)], ...] = ()
    audit: AuditConfig = field(default_factory=AuditConfig)
    build: BuildConfig = field(default_factory=BuildConfig)


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; paths in it are relative to the working folder, as on the command line.

    Raises:
        UsageError: The file cannot be read, is not valid YAML, or has an invalid key or value.
    """
    try:
        with open(path, encoding="utf-8") as file:
            data = load_yaml(file.read(MAX_YAML_BYTES + 1))
    except OSError as error:
        raise UsageError(f"recipe {path}: {error.strerror}") from None
    except ValueError as error:  # also of the encoding
        raise UsageError(f"recipe {path} cannot be read: {clipped(error)}") from None
    if not isinstance(data, dict):
        raise UsageError(f"recipe {path}: expected keys and values")
    given = {key: value for key, value in data.items() if value is not None}  # `encode:` alone
    recipe = validate(Recipe, given, f"recipe {path}: ")
    spec = codec_spec(recipe.codec)
    for kbps in (recipe.encode.bandwidth, recipe.build.bandwidth):
        if kbps is not None:
            spec.n_codebooks(kbps)
    return recipe


def with_overrides(recipe: Recipe, **values: Any) -> Recipe:
    """Return `recipe` with fields replaced by the `values` that are not None."""
    return replace(recipe, **{key: value for key, value in values.items() if value is not None})
