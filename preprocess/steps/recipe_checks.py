"""What of a recipe can be checked before the first sound is read: a fault costs no hour of work."""

from __future__ import annotations

from pathlib import Path

from preprocess.core.errors import UsageError, nearest
from preprocess.core.files import find_files, require_folder, require_writable
from preprocess.dataset.options import RowOptions, check_options
from preprocess.dataset.splits import find_splits
from preprocess.params import parameter_names
from preprocess.steps.recipe import Recipe
from preprocess.tokens.specs import codec_spec


def check_recipe(recipe: Recipe) -> None:
    """Check folders, settings, names and weights of a recipe, as its steps would one by one.

    Raises:
        UsageError: A setting is wrong, or does not fit the names of the clips.
        DatasetError: A clip would be in no split.
        DiskError: The output cannot be written to.
        WeightsError: The weights cannot be had, or do not fit the codec.
    """
    require_folder(recipe.input, "input folder")
    require_writable(recipe.output)
    options = recipe.build.rows
    check_options(options)
    recipe.audit.has(Path("any"))
    _check_bandwidths(recipe)
    _check_names(recipe, options)
    _check_clips(recipe, options)
    _check_weights(recipe)


def _check_bandwidths(recipe: Recipe) -> None:
    spec, wanted = codec_spec(recipe.codec), recipe.build.bandwidth
    made = spec.n_codebooks(recipe.encode.bandwidth)
    if wanted is not None and spec.n_codebooks(wanted) > made:
        raise UsageError(
            f"build: bandwidth {wanted:g} is above that of encode, {recipe.encode.bandwidth:g}"
        )


def _check_names(recipe: Recipe, options: RowOptions) -> None:
    """Check that the parameters that are asked for will be made."""
    made = parameter_names(recipe.annotate)
    if made is None or (recipe.output / "ecdc").exists():  # there may be some that a user wrote
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
    """Check what depends on the clips' names: tables' rows, groups and split folders."""
    files = find_files(recipe.input, recipe.normalize.extensions)
    if not files:  # which normalize says
        return
    for producer in recipe.annotate:
        producer.check_clips([rel.with_suffix("").as_posix() for rel in files])
    rows = [rel.as_posix() for rel in files if options.recursive or len(rel.parts) == 1]
    find_splits(recipe.input, rows[: options.max_files], options)


def _check_weights(recipe: Recipe) -> None:
    from preprocess.codec.weights import find_weights

    path = find_weights(codec_spec(recipe.codec), recipe.weights)
    if recipe.weights is not None and path.is_file():
        from preprocess.codec.codec import load_codec

        load_codec(recipe.codec, recipe.weights, recipe.device)
