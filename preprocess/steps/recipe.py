"""Recipes: one YAML file describes the whole path from audio to dataset."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, Field

from preprocess.audit.audit_config import AuditConfig
from preprocess.audit.findings import CHECKS
from preprocess.codec.model_config import CodecConfig, ModelConfig
from preprocess.core.errors import UsageError
from preprocess.core.flags import validate
from preprocess.core.jobs import cpu_count
from preprocess.core.report import Report, plural
from preprocess.core.settings import Jobs
from preprocess.params import Producer, parse_producer
from preprocess.sidecar.array_config import ArrayConfig
from preprocess.sidecar.sidecar_format import ARRAY_SUFFIX, META_SUFFIX, TOKEN_SUFFIX
from preprocess.steps.annotate_clip import AnnotateConfig
from preprocess.steps.build import BuildConfig
from preprocess.steps.encode_jobs import EncodeConfig
from preprocess.steps.normalize import NormalizeConfig
from preprocess.steps.outputs import refuse_nested
from preprocess.tokens.specs import codec_spec


@dataclass(frozen=True, kw_only=True)
class Recipe(CodecConfig, ArrayConfig):
    """The whole path in one file: from a folder of audio to a saved dataset."""

    input: Annotated[Path, Field(description="folder with audio")]
    output: Annotated[
        Path, Field(description="folder for the results: normalized, ecdc and dataset")
    ]
    jobs: Jobs = field(default_factory=cpu_count)
    prune: Annotated[
        bool, Field(description="delete outputs of all steps whose source is gone")
    ] = False
    normalize: NormalizeConfig = NormalizeConfig()
    encode: EncodeConfig = EncodeConfig()
    annotate: tuple[Annotated[Producer, BeforeValidator(parse_producer)], ...] = ()
    audit: AuditConfig = AuditConfig()
    build: BuildConfig = BuildConfig()


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


def run_recipe(recipe: Recipe, path: Path | None = None) -> Iterator[Report]:
    """Run every step of a recipe and yield its report; outputs that are up to date are left.

    A step works on all that the one before it made, also where that failed for some files. Build
    does not run where annotate failed for a clip or the audit found an error.

    Args:
        recipe: What to run.
        path: The file that it was read from, whose parameters it replaces when it runs again.

    Raises:
        PreprocessError: What `check_recipe` finds, before the first step; or a step cannot begin,
            and the ones before it have been reported.
    """
    from preprocess.steps.annotate import annotate
    from preprocess.steps.audit import as_built, audit
    from preprocess.steps.build import build
    from preprocess.steps.encode import encode
    from preprocess.steps.normalize import normalize
    from preprocess.steps.recipe_checks import check_recipe

    check_recipe(recipe)
    normalized, ecdc = recipe.output / "normalized", recipe.output / "ecdc"
    dataset = recipe.output / "dataset"
    for output in (normalized, ecdc, dataset):
        refuse_nested(recipe.input, output)  # before the first step begins
    recipe = _pruning(recipe) if recipe.prune else recipe
    model = ModelConfig(weights=recipe.weights, device=recipe.device)
    report = normalize(recipe.input, normalized, recipe.codec, recipe.normalize, recipe.jobs)
    yield report
    if not report.done + report.current:  # every file failed, and was reported
        return
    report = encode(normalized, ecdc, recipe, recipe.encode)
    yield report
    if not report.done + report.current:
        return
    checks = recipe.audit
    if recipe.build.allow_mixed:
        checks = replace(
            checks, fail_on=tuple(c for c in CHECKS if c != "mixed" and checks.fails(c))
        )
    if recipe.annotate:
        cond_root = recipe.build.cond_root
        config = AnnotateConfig(
            audio_root=normalized,
            cond_root=cond_root,
            dtype=recipe.dtype,
            max_error=recipe.max_error,
            prune=recipe.prune,
        )
        owner = recipe_owner(path, ecdc)
        annotated = annotate(ecdc, recipe.annotate, model, config, recipe.jobs, owner)
        yield annotated
        audited = audit(ecdc, as_built(checks, recipe.build, has_sidecars=True), recipe.jobs)[0]
        yield audited
        why = _why_not_build(annotated, audited, dataset)
        if why:
            yield Report("build", skipped=why)
            return
    yield build(ecdc, dataset, recipe.build, checks)


def _pruning(recipe: Recipe) -> Recipe:
    return replace(
        recipe,
        normalize=replace(recipe.normalize, prune=True),
        encode=replace(recipe.encode, prune=True),
    )


def _why_not_build(annotated: Report, audited: Report, dataset: Path) -> str:
    """Return why there can be no dataset of this run, empty if there can."""
    reasons = []
    if annotated.failures:
        clips = len(annotated.failed)
        reasons.append(f"annotate failed for {clips:,} {plural('clip', clips)}")
    if audited.failures:
        errors, clips = len(audited.failures), len({_clip(path) for path in audited.failed})
        reasons.append(
            f"the audit found {errors:,} {plural('error', errors)} in {clips:,} "
            f"{plural('clip', clips)}"
        )
    old = f"; {dataset} is of an earlier run" if reasons and dataset.exists() else ""
    return " and ".join(reasons) + old


def _clip(path: str) -> str:
    """Return what the paths of a clip's files begin with."""
    for suffix in (ARRAY_SUFFIX, META_SUFFIX):
        path = path.removesuffix(suffix)
    return path.removesuffix(TOKEN_SUFFIX)


def recipe_owner(path: Path | None, ecdc: Path) -> str:
    """Return the name under which a recipe's parameters are its own.

    Its path as seen from the token folder: that stays as it is when a project moves, and differs
    for two recipes that write to one folder.
    """
    if path is None:
        return "recipe"
    return f"recipe {Path(os.path.relpath(path.resolve(), ecdc.resolve())).as_posix()}"


def with_overrides(recipe: Recipe, **values: Any) -> Recipe:
    """Return `recipe` with fields replaced, those that are not None."""
    return replace(recipe, **{key: value for key, value in values.items() if value is not None})
