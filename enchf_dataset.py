"""EnCodec tokens with parameters aligned frame by frame, as a Hugging Face dataset.

    load_dataset("./enchf_dataset.py", data_dir="ecdc", trust_remote_code=True)  # datasets 3.x

    import enchf_dataset                                                         # any datasets
    load_dataset("enchf", data_dir="ecdc")

The default config `auto` keeps the tokens as stored. A named config for each codec and bandwidth,
such as `encodec_24khz_6kbps`, reduces them to that bandwidth.
"""

from dataclasses import dataclass
from dataclasses import fields
from itertools import islice
from typing import Any

import datasets

from preprocess import __version__
from preprocess.dataset.arrow import rows_table
from preprocess.dataset.clips import DatasetError
from preprocess.core.flags import validate
from preprocess.dataset.options import RowOptions
from preprocess.dataset.options import check_options
from preprocess.dataset.options import mutable_fields
from preprocess.dataset.clips import find_clips
from preprocess.dataset.splits import find_splits
from preprocess.dataset.options import resolved
from preprocess.dataset.datasets_private import register_builder
from preprocess.core.errors import PreprocessError
from preprocess.core.errors import UsageError
from preprocess.dataset.rows import batch_rows
from preprocess.dataset.rows import clip_row
from preprocess.dataset.arrow import lists
from preprocess.dataset.survey import read_schema
from preprocess.dataset.survey import survey
from preprocess.dataset.schema import dataset_features
from preprocess.dataset.schema import describe
from preprocess.shards.loading import content_digest
from preprocess.shards.loading import open_shards
from preprocess.tokens.specs import CODECS


_Options: Any = mutable_fields(RowOptions)


@dataclass
class EncHFConfig(_Options, datasets.BuilderConfig):
    """How to make a dataset from a folder of tokens or shards; the options are `RowOptions`."""

    @property
    def options(self):
        """The checked options.

        Raises:
            UsageError: An option is invalid.
        """
        given = {field.name: getattr(self, field.name) for field in fields(RowOptions)}
        options = validate(RowOptions, given)
        check_options(options)
        return options

    def create_config_id(self, config_kwargs, custom_features=None):
        """Return the cache key, which includes the resolved folder, its content and our version.

        Without these, `datasets` returns outdated rows for an edited folder, and another project's
        rows for a relative `data_dir`:
        https://github.com/huggingface/datasets/blob/3.6.0/src/datasets/builder.py#L122
        """
        config_kwargs = dict(config_kwargs, enchf_version=__version__)
        # `load_dataset("enchf", data_dir=...)` lists these itself; the manifest is more precise.
        config_kwargs.pop("data_files", None)
        if self.data_dir is not None:
            folder = resolved(self.data_dir)
            config_kwargs["data_dir"] = str(folder)
            cond_root = self.options.sidecar_root(folder)
            if self.cond_root is not None:
                config_kwargs["cond_root"] = str(cond_root)
            config_kwargs["manifest"] = content_digest(folder, self.suffix, cond_root)
        return super().create_config_id(config_kwargs, custom_features)


def _configs():
    yield EncHFConfig(name="auto", description="the tokens as stored")
    for spec in CODECS.values():
        for kbps in spec.codebooks:
            yield EncHFConfig(
                name=f"{spec.name}_{kbps:g}kbps",
                description=f"{spec.name} tokens at {kbps:g} kbps",
                codec=spec.name,
                bandwidth=kbps,
            )


class EncHFError(DatasetError, datasets.exceptions.DatasetGenerationError):
    """A clip cannot become a row. `datasets` hides the reason of any other type of error."""


class EncHFDataset(datasets.ArrowBasedBuilder, datasets.GeneratorBasedBuilder):
    """One row per clip: `codes [K, T]` and parameters `[T]`.

    A `GeneratorBasedBuilder` that also yields its rows as Arrow tables: `datasets` writes and
    streams what `_generate_tables` yields, and `_generate_examples` yields the same rows one by
    one.
    """

    BUILDER_CONFIG_CLASS = EncHFConfig
    BUILDER_CONFIGS = list(_configs())
    DEFAULT_CONFIG_NAME = "auto"
    # Set by `preprocess build`: a check that each clip must pass, and the schema of all clips.
    check: Any = None
    surveyed: Any = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not isinstance(self.info.features, datasets.Features):
            raise UsageError(
                "features= is a schema for `datasets`; choose parameters with parameters=[...]"
            )

    def _info(self):
        if self.config.data_dir is None:
            raise ValueError("data_dir is missing; expected the folder with the .ecdc files")
        options = self._options = self.config.options
        self._root = resolved(self.config.data_dir)
        self._shards = open_shards(self._root, options)
        if self._shards is not None:
            self._schema = self._shards.schema
            return self._described()
        self._clips = find_clips(self._root, options)
        self._schema = read_schema(self._root, self._clips, options)
        return self._described()

    def _described(self):
        return datasets.DatasetInfo(
            description=describe(self._schema), features=dataset_features(self._schema)
        )

    def _split_generators(self, dl_manager):
        if self._shards is None:
            # Here and not in `_info`: this runs only when rows are made, not when they are cached.
            self._schema = self.surveyed or survey(
                self._root, self._clips, self._schema, self._options
            )
            self.info.update(self._described())
            splits = find_splits(self._root, self._clips.tokens, self._options)
        else:
            splits = self._shards.splits()
        # `num_proc` splits this list into shards.
        return [
            datasets.SplitGenerator(name=name, gen_kwargs={"clips": clips})
            for name, clips in splits.items()
        ]

    def _prepare_split(self, split_generator, check_duplicate_keys=False, **kwargs):
        # `datasets` asks a GeneratorBasedBuilder to check keys; ours are paths and cannot repeat.
        return super()._prepare_split(split_generator, **kwargs)

    def _generate_examples(self, clips):
        if self._shards is not None:
            for _, table in self._generate_tables(clips):
                for row in table.to_pylist():
                    yield row["id"], row
            return
        for row in self._rows(clips):
            yield row["id"], lists(row)

    def _generate_tables(self, clips):
        if self._shards is not None:
            try:
                yield from self._shards.tables(clips, self.info.features.arrow_schema)
            except PreprocessError as error:
                raise EncHFError(str(error)) from None
            return
        rows, size = self._rows(clips), batch_rows(self._root, self._clips)
        while batch := list(islice(rows, size)):
            yield batch[0]["id"], rows_table(batch, self.info.features.arrow_schema)

    def _rows(self, clips):
        described, prefix = set(self._clips.described), self._options.audio_prefix
        cond_root, check = self._clips.cond_root, self.check
        try:
            for rel in clips:
                known = rel in described
                yield clip_row(self._root, rel, self._schema, known, prefix, cond_root, check)
        except PreprocessError as error:
            raise EncHFError(str(error)) from None


if __name__ == "enchf_dataset":  # not in the copy that `datasets` 3 makes of a script
    register_builder("enchf", __name__)
