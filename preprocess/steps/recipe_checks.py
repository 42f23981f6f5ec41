"""Checks a recipe before the first step, so that mistakes show up at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from preprocess.core.errors import UsageError, nearest
from preprocess.core.files import find_files, require_folder, require_writable
from preprocess.dataset.options import RowOptions, check_options
from preprocess.dataset.splits import find_splits
from preprocess.params import parameter_names
from preprocess.steps.recipe import Recipe
from preprocess.tokens.specs import codec_spec


def check_recipe(recipe: Recipe) -> Recipe:
    """Check the folders, settings, names and weights of a recipe, as its steps would later.

    Returns:
        The recipe with prepared producers: their files are read and their code is imported.

    Raises:
        UsageError: A setting is invalid, or does not match the names of the clips.
        DatasetError: A clip would be outside all splits.
        DiskError: The output folder cannot be written to.
        WeightsError: The weights cannot be found or downloaded, or do not match the codec.
    """
    require_folder(recipe.input_folder, "input folder")
    require_writable(recipe.output_folder)
    recipe = replace(recipe, annotate=tuple(producer.prepare() for producer in recipe.annotate))
    options = recipe.build.rows
    check_options(options)
    recipe.audit.has(Path("any"))
    _check_bandwidths(recipe)
    _check_names(recipe, options)
    _check_clips(recipe, options)
    _check_weights(recipe)
    return recipe


def _check_bandwidths(recipe: Recipe) -> None:
    spec, wanted = codec_spec(recipe.codec), recipe.build.bandwidth
    made = spec.n_codebooks(recipe.encode.bandwidth)
    if wanted is not None and spec.n_codebooks(wanted) > made:
        raise UsageError(
            f"build: bandwidth {wanted:g} exceeds encode: bandwidth {recipe.encode.bandwidth:g}"
        )


def _check_names(recipe: Recipe, options: RowOptions) -> None:
    """Check that the recipe makes the parameters that it requests."""
    made = parameter_names(recipe.annotate)
    if made is None or (recipe.output_folder / "ecdc").exists():  # sidecars may hold others
        return
    asked = {
        "build: parameters": options.parameters,
        "build: require_parameters": options.require_parameters,
        "audit: require": recipe.audit.require,
    }
    for key, names in asked.items():
        for name in names:
            if name not in made:
                hint = nearest(name, made) or f"; they make {', '.join(made) or 'none'}"
                raise UsageError(f"{key}: no producer makes {name!r}{hint}")


def _check_clips(recipe: Recipe, options: RowOptions) -> None:
    """Check settings that depend on the clips' names: table rows, groups and split folders."""
    files = find_files(recipe.input_folder, recipe.normalize.extensions)
    if not files:  # normalize reports this
        return
    for producer in recipe.annotate:
        producer.check_clips([rel.with_suffix("").as_posix() for rel in files])
    rows = [rel.as_posix() for rel in files if options.recursive or len(rel.parts) == 1]
    find_splits(recipe.input_folder, rows[: options.max_files], options)


def _check_weights(recipe: Recipe) -> None:
    from preprocess.codec.weights import find_weights

    path = find_weights(codec_spec(recipe.codec), recipe.weights)
    if recipe.weights is not None and path.is_file():
        from preprocess.codec.codec import load_codec

        load_codec(recipe.codec, recipe.weights, recipe.device)
