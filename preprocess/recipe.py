"""Recipes: one YAML file describes the whole path from audio to dataset."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from preprocess.config import AnnotateConfig, ModelConfig, Recipe
from preprocess.errors import UsageError
from preprocess.flags import validate
from preprocess.report import Report
from preprocess.specs import codec_spec


class _UniqueKeyLoader(yaml.SafeLoader):
    """A safe loader that refuses a key that stands twice, instead of taking the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        merge = "tag:yaml.org,2002:merge"  # `<<: *other` may stand more than once
        keys = [self.construct_object(k, deep=True) for k, _ in node.value if k.tag != merge]
        twice = [key for i, key in enumerate(keys) if key in keys[:i]]
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {twice[0]!r} stands twice", node.start_mark
            )
        return super().construct_mapping(node, deep)


def read_recipe(path: Path) -> Recipe:
    """Read a recipe; paths in it are relative to the working folder, as on the command line.

    Raises:
        UsageError: The file does not exist, is no YAML, or has a key or value that is wrong.
    """
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeyLoader)  # noqa: S506, a SafeLoader
    except OSError as error:
        raise UsageError(f"recipe {path}: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = " ".join(str(error).split())
        raise UsageError(f"recipe {path} cannot be read: {problem[:300]}") from None
    if not isinstance(data, dict):
        raise UsageError(f"recipe {path}: expected keys and values")
    given = {key: value for key, value in data.items() if value is not None}  # `encode:` alone
    recipe = validate(Recipe, given, f"recipe {path}: ")
    spec = codec_spec(recipe.codec)
    for kbps in (recipe.encode.bandwidth, recipe.build.bandwidth):
        if kbps is not None:
            spec.n_codebooks(kbps)
    return recipe


def run_recipe(recipe: Recipe) -> Iterator[Report]:
    """Run every step of a recipe and yield its report; outputs that are up to date are left.

    A step works on all that the one before it made, also where that failed for some files.

    Raises:
        PreprocessError: What `check_recipe` finds, before the first step; or a step cannot begin,
            and the ones before it have been reported.
    """
    from preprocess.recipe_checks import check_recipe
    from preprocess.steps.annotate import annotate
    from preprocess.steps.audit import audit
    from preprocess.steps.build import build
    from preprocess.steps.encode import encode
    from preprocess.steps.normalize import normalize

    check_recipe(recipe)
    normalized, ecdc = recipe.output / "normalized", recipe.output / "ecdc"
    model = ModelConfig(weights=recipe.weights, device=recipe.device)
    report = normalize(recipe.input, normalized, recipe.codec, recipe.normalize, recipe.jobs)
    yield report
    if not report.done + report.current:  # every file failed, and was reported
        return
    report = encode(normalized, ecdc, recipe, recipe.encode)
    yield report
    if not report.done + report.current:
        return
    if recipe.annotate:
        config = AnnotateConfig(audio_root=normalized)
        yield annotate(ecdc, recipe.annotate, model, config, recipe.jobs)
        yield audit(ecdc, recipe.audit, recipe.jobs)[0]
    yield build(ecdc, recipe.output / "dataset", recipe.build)


def with_overrides(recipe: Recipe, **values: Any) -> Recipe:
    """Return `recipe` with fields replaced, those that are not None."""
    return replace(recipe, **{key: value for key, value in values.items() if value is not None})
