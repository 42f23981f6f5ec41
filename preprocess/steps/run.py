"""Runs every step of a recipe, in order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from preprocess.audit.audit_config import AuditConfig
from preprocess.audit.findings import CHECKS
from preprocess.codec.model_config import ModelConfig
from preprocess.core.locks import only_run
from preprocess.core.report import Report, plural
from preprocess.sidecar.sidecar_format import ARRAY_SUFFIX, META_SUFFIX, TOKEN_SUFFIX
from preprocess.steps.annotate_clip import AnnotateConfig
from preprocess.steps.outputs import refuse_nested
from preprocess.steps.recipe import Recipe
from preprocess.steps.recipe_checks import check_recipe


def run_recipe(recipe: Recipe, path: Path | None = None) -> Iterator[Report]:
    """Run every step of a recipe and yield its report; current outputs stay unchanged.

    If a step fails for some files, the next step continues with the others. Build does not run if
    annotate failed for a clip or the audit found an error.

    Args:
        recipe: The recipe.
        path: The recipe's file; another run of the same file replaces its parameters.

    Raises:
        PreprocessError: `check_recipe` finds a mistake before the first step, or a step cannot
            start; steps that ran before have been reported. Or another run has the same output.
    """
    recipe = check_recipe(recipe)
    normalized, ecdc = recipe.output_folder / "normalized", recipe.output_folder / "ecdc"
    dataset = recipe.output_folder / "dataset"
    for output in (normalized, ecdc, dataset):
        refuse_nested(recipe.input_folder, output)  # before the first step begins
    with only_run(recipe.output_folder / ".run.lock", recipe.output_folder):
        yield from _run_steps(_pruning(recipe) if recipe.prune else recipe, path)


def _run_steps(recipe: Recipe, path: Path | None) -> Iterator[Report]:
    from preprocess.steps.annotate import annotate
    from preprocess.steps.audit import as_built, audit
    from preprocess.steps.build import build
    from preprocess.steps.encode import encode
    from preprocess.steps.normalize import normalize

    normalized, ecdc = recipe.output_folder / "normalized", recipe.output_folder / "ecdc"
    dataset = recipe.output_folder / "dataset"
    model = ModelConfig(weights=recipe.weights, device=recipe.device)
    report = normalize(recipe.input_folder, normalized, recipe.codec, recipe.normalize, recipe.jobs)
    yield report
    if not report.done + report.current:  # every file failed, and was reported
        return
    report = encode(normalized, ecdc, recipe, recipe.encode)
    yield report
    if not report.done + report.current:
        return
    checks = _checks(recipe)
    if recipe.annotate:
        config, owner = _annotate_config(recipe, normalized), recipe_owner(path, ecdc)
        annotated = annotate(ecdc, recipe.annotate, model, config, recipe.jobs, owner)
        yield annotated
        audited = audit(ecdc, as_built(checks, recipe.build, has_sidecars=True), recipe.jobs)[0]
        yield audited
        why = _why_not_build(annotated, audited, dataset)
        if why:
            yield Report("build", skipped=why)
            return
    yield build(ecdc, dataset, recipe.build, checks)


def _checks(recipe: Recipe) -> AuditConfig:
    """Return the audit's settings; if the build allows mixed clips, a mixture is not an error."""
    if not recipe.build.allow_mixed:
        return recipe.audit
    failing = tuple(c for c in CHECKS if c != "mixed" and recipe.audit.fails(c))
    return replace(recipe.audit, fail_on=failing)


def _annotate_config(recipe: Recipe, normalized: Path) -> AnnotateConfig:
    return AnnotateConfig(
        audio_root=normalized,
        cond_root=recipe.build.cond_root,
        dtype=recipe.dtype,
        max_error=recipe.max_error,
        prune=recipe.prune,
    )


def _pruning(recipe: Recipe) -> Recipe:
    return replace(
        recipe,
        normalize=replace(recipe.normalize, prune=True),
        encode=replace(recipe.encode, prune=True),
    )


def _why_not_build(annotated: Report, audited: Report, dataset: Path) -> str:
    """Return why this run cannot build a dataset, or an empty string if it can."""
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
    old = f"; {dataset} is from an earlier run" if reasons and dataset.exists() else ""
    return " and ".join(reasons) + old


def _clip(path: str) -> str:
    """Return the path of a clip's file without its suffix."""
    for suffix in (ARRAY_SUFFIX, META_SUFFIX):
        path = path.removesuffix(suffix)
    return path.removesuffix(TOKEN_SUFFIX)


def recipe_owner(path: Path | None, ecdc: Path) -> str:
    """Return the name that marks parameters as made by a recipe.

    The name is the recipe's path relative to the token folder. It stays the same if the project
    moves, and differs between two recipes that write to the same folder.
    """
    if path is None:
        return "recipe"
    return f"recipe {Path(os.path.relpath(path.resolve(), ecdc.resolve())).as_posix()}"
