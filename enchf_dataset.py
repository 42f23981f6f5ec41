"""EnCodec tokens with parameters aligned frame by frame, as a Hugging Face dataset.

    load_dataset("./enchf_dataset.py", data_dir="ecdc", trust_remote_code=True)  # datasets 3.x

    import enchf_dataset                                                         # any datasets
    load_dataset("enchf", data_dir="ecdc")

The default config `auto` takes the tokens as they are; one named config per codec and bandwidth
slices to that bandwidth, such as `encodec_24khz_6kbps`.
"""

import inspect
import sys
from dataclasses import dataclass
from typing import Any

import datasets

from preprocess import __version__
from preprocess.arrow import ArrowFeatures
from preprocess.dataset import RowOptions
from preprocess.dataset import check_options
from preprocess.dataset import find_clips
from preprocess.dataset import find_splits
from preprocess.dataset import manifest_digest
from preprocess.dataset import resolved
from preprocess.errors import PreprocessError
from preprocess.rows import batch_rows
from preprocess.rows import clip_row
from preprocess.rows import lists
from preprocess.rows import read_schema
from preprocess.rows import survey
from preprocess.schema import dataset_features
from preprocess.schema import describe
from preprocess.specs import CODECS


@dataclass
class EncHFConfig(RowOptions, datasets.BuilderConfig):
    """What to make of a folder of tokens; the options are those of `RowOptions`."""

    def create_config_id(self, config_kwargs, custom_features=None):
        """Return the key of the cache: options, resolved folder, its content and our version.

        Without them `datasets` returns yesterday's rows of an edited folder, and another
        project's for a relative `data_dir`:
        https://github.com/huggingface/datasets/blob/3.6.0/src/datasets/builder.py#L122
        """
        config_kwargs = dict(config_kwargs, enchf_version=__version__)
        # What `load_dataset("enchf", data_dir=...)` lists for itself; the manifest says it better.
        config_kwargs.pop("data_files", None)
        if self.data_dir is not None:
            folder = resolved(self.data_dir)
            config_kwargs["data_dir"] = str(folder)
            config_kwargs["manifest"] = manifest_digest(folder, self.suffix)
        return super().create_config_id(config_kwargs, custom_features)


def _configs():
    yield EncHFConfig(name="auto", description="the tokens as they are")
    for spec in CODECS.values():
        for kbps in spec.codebooks:
            yield EncHFConfig(
                name=f"{spec.name}_{kbps:g}kbps",
                description=f"{spec.name} tokens at {kbps:g} kbps",
                codec=spec.name,
                bandwidth_kbps=kbps,
            )


class EncHFDataset(datasets.GeneratorBasedBuilder):
    """One row a clip: `codes [K, T]` and parameters `[T]`."""

    BUILDER_CONFIG_CLASS = EncHFConfig
    BUILDER_CONFIGS = list(_configs())
    DEFAULT_CONFIG_NAME = "auto"
    DEFAULT_WRITER_BATCH_SIZE = 256  # at most; `_split_generators` lowers it for long clips

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # `features=[names]`, an option of ours, is also where datasets takes a whole schema.
        if not isinstance(self.info.features, datasets.Features):
            self.info.features = dataset_features(self._schema)

    def _info(self):
        if self.config.data_dir is None:
            raise ValueError("EncHF needs data_dir, the folder with the .ecdc files")
        check_options(self.config)
        self._root = resolved(self.config.data_dir)
        self._clips = find_clips(self._root, self.config)
        self._schema = read_schema(self._root, self._clips, self.config)
        return self._described()

    def _described(self):
        return datasets.DatasetInfo(
            description=describe(self._schema), features=dataset_features(self._schema)
        )

    def _split_generators(self, dl_manager):
        # Here and not in `_info`: this runs when rows are made, and not when they are cached.
        self._schema = survey(self._root, self._clips, self._schema, self.config)
        self.info.update(self._described())
        splits = find_splits(self._root, self._clips.tokens, self.config)
        self._writer_batch_size = min(self._writer_batch_size, batch_rows(self._root, self._clips))
        # `num_proc` shards over the list.
        return [
            datasets.SplitGenerator(name=name, gen_kwargs={"clips": clips})
            for name, clips in splits.items()
        ]

    def _generate_examples(self, clips):
        described, prefix = set(self._clips.described), self.config.audio_prefix
        for rel in clips:
            row = clip_row(self._root, rel, self._schema, rel in described, prefix)
            # Streamed rows are lists, as those of a prepared dataset are.
            yield row["id"], row if isinstance(self.info.features, ArrowFeatures) else lists(row)

    def _prepare_split_single(self, *args, **kwargs):
        """Write one shard, with rows that are Arrow already, and errors that are ours."""
        declared = self.info.features
        self.info.features = ArrowFeatures(declared)
        try:
            yield from super()._prepare_split_single(*args, **kwargs)
        except datasets.exceptions.DatasetGenerationError as error:
            if isinstance(error.__cause__, (PreprocessError, OSError)):
                raise error.__cause__ from None
            raise
        finally:
            self.info.features = declared


def _register():
    """Make `load_dataset("enchf", ...)` find this module, in every version of `datasets`.

    The table is where `load_dataset` looks for the formats that come with it:
    https://github.com/huggingface/datasets/blob/5.2.0/src/datasets/packaged_modules/__init__.py
    """
    from datasets import packaged_modules

    lines = inspect.getsource(sys.modules[__name__]).splitlines()
    digest = packaged_modules._hash_python_lines(lines)
    packaged_modules._PACKAGED_DATASETS_MODULES["enchf"] = (__name__, digest)


if __name__ == "enchf_dataset":  # and not the copy that `datasets` 3 makes of a script
    _register()
