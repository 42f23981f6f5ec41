"""Recipes: YAML files that describe the whole path from audio to dataset."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
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
from preprocess.steps.shards_config import ShardsConfig
from preprocess.storage.store import is_url
from preprocess.tokens.specs import codec_spec


def _location(value: Any) -> Any:
    """Return a URL as text, and any other text as a path."""
    return Path(value) if isinstance(value, str) and not is_url(value) else value


Location = Annotated[Path | str, BeforeValidator(_location)]
"""A folder on this machine, or a URL such as `s3://bucket/folder`."""


def _local(location: Path | str, what: str) -> Path:
    if isinstance(location, Path):
        return location
    raise UsageError(f"{what}: {location} is a URL, which requires `format: shards` in the recipe")


@dataclass(frozen=True, kw_only=True)
class Recipe(CodecConfig, ArrayConfig):
    """The settings of all steps, from a folder of audio to a saved dataset."""

    input: Annotated[Location, Field(description="folder with audio, or its URL")]
    output: Annotated[
        Location,
        Field(description="folder for the results, or its URL: normalized, ecdc and dataset"),
    ]
    format: Annotated[
        Literal["folder", "shards"],
        Field(
            description="folder: files for each clip and a saved dataset; shards: Parquet files "
            "that hold many clips each, made in parts on any number of machines"
        ),
    ] = "folder"
    jobs: Jobs = field(default_factory=cpu_count)
    prune: Annotated[
        bool, Field(description="delete the outputs of all steps whose source is gone")
    ] = False
    normalize: NormalizeConfig = field(default_factory=NormalizeConfig)
    encode: EncodeConfig = field(default_factory=EncodeConfig)
    annotate: tuple[Annotated[Producer, BeforeValidator(parse_producer)], ...] = ()
    audit: AuditConfig = field(default_factory=AuditConfig)
    build: BuildConfig = field(default_factory=BuildConfig)
    shards: ShardsConfig = field(default_factory=ShardsConfig)

    @property
    def input_folder(self) -> Path:
        """The input on this machine.

        Raises:
            UsageError: It is a URL.
        """
        return _local(self.input, "input")

    @property
    def output_folder(self) -> Path:
        """The output on this machine.

        Raises:
            UsageError: It is a URL.
        """
        return _local(self.output, "output")


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; paths in it are relative to the working folder, as on the command line.

    Raises:
        UsageError: The file cannot be read, is not valid YAML, or has an invalid key or value.
    """
    return parse_recipe(_text(path), f"recipe {path}")


def _text(path: Path) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(MAX_YAML_BYTES + 1)
    except OSError as error:
        raise UsageError(f"recipe {path}: {error.strerror}") from None
    except ValueError as error:  # of the encoding
        raise UsageError(f"recipe {path} cannot be read: {clipped(error)}") from None


def recipe_text(path: Path, **values: Any) -> str:
    """Return a recipe as YAML, with keys replaced by the `values` that are not None.

    Raises:
        UsageError: As `read_recipe` does.
    """
    data = _parsed(_text(path), f"recipe {path}")
    given = {key: str(value) for key, value in values.items() if value is not None}
    return yaml.safe_dump({**data, **given}, sort_keys=False, allow_unicode=True)


def parse_recipe(text: str, name: str) -> Recipe:
    """Return the recipe that a YAML text describes.

    Args:
        text: The text.
        name: Where the text is from, for messages.

    Raises:
        UsageError: It is not valid YAML, or has an invalid key or value.
    """
    data = _parsed(text, name)
    given = {key: value for key, value in data.items() if value is not None}  # `encode:` alone
    recipe = validate(Recipe, given, f"{name}: ")
    spec = codec_spec(recipe.codec)
    for kbps in (recipe.encode.bandwidth, recipe.build.bandwidth):
        if kbps is not None:
            spec.n_codebooks(kbps)
    return recipe


def _parsed(text: str, name: str) -> dict[str, Any]:
    try:
        data = load_yaml(text)
    except ValueError as error:
        raise UsageError(f"{name} cannot be read: {clipped(error)}") from None
    if not isinstance(data, dict):
        raise UsageError(f"{name}: expected keys and values")
    return data


def with_overrides(recipe: Recipe, **values: Any) -> Recipe:
    """Return `recipe` with fields replaced by the `values` that are not None."""
    return replace(recipe, **{key: value for key, value in values.items() if value is not None})
