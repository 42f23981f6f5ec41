"""EnCodec tokens with parameters aligned frame by frame, as a Hugging Face dataset.

    load_dataset("./enchf_dataset.py", data_dir="ecdc", trust_remote_code=True)

The default config `auto` takes the tokens as they are; one named config per codec and bandwidth
slices to that bandwidth, such as `encodec_24khz_6kbps`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import datasets

from preprocess import __version__
from preprocess.dataset import clip_row
from preprocess.dataset import dataset_features
from preprocess.dataset import describe
from preprocess.dataset import find_splits
from preprocess.dataset import manifest_digest
from preprocess.dataset import read_schema
from preprocess.specs import CODECS


@dataclass
class EncHFConfig(datasets.BuilderConfig):
    """What to make of a folder of tokens.

    Attributes:
        codec: The codec that the tokens must be of; None for whichever they are.
        bandwidth_kbps: Bandwidth to slice to; None for that of the files.
        split_name: One split for all clips, instead of one for each split folder.
        audio_prefix: Folder that stands before the paths in the column `audio`.
    """

    codec: Optional[str] = None
    bandwidth_kbps: Optional[float] = None
    split_name: Optional[str] = None
    audio_prefix: str = ""

    def create_config_id(self, config_kwargs, custom_features=None):
        """Return the key of the cache: options, resolved folder, its content and our version.

        Without them `datasets` returns yesterday's rows of an edited folder, and another
        project's for a relative `data_dir`:
        https://github.com/huggingface/datasets/blob/3.6.0/src/datasets/builder.py#L122
        """
        config_kwargs = dict(config_kwargs, enchf_version=__version__)
        if self.data_dir is not None:
            folder = Path(self.data_dir).resolve()
            config_kwargs["data_dir"] = str(folder)
            config_kwargs["manifest"] = manifest_digest(folder)
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
    # A batch of 1,000 rows takes 4.5 GB at T = 300,000 and overflows Arrow's offsets.
    DEFAULT_WRITER_BATCH_SIZE = 16

    def _info(self):
        if self.config.data_dir is None:
            raise ValueError("EncHF needs data_dir, the folder with the .ecdc files")
        self._root = Path(self.config.data_dir).resolve()
        self._splits = find_splits(self._root, self.config.split_name)
        first = next(iter(self._splits.values()))[0]
        self._schema = read_schema(self._root, first, self.config.codec, self.config.bandwidth_kbps)
        return datasets.DatasetInfo(
            description=describe(self._schema), features=dataset_features(self._schema)
        )

    def _split_generators(self, dl_manager):
        # `num_proc` shards over the list.
        return [
            datasets.SplitGenerator(
                name=name, gen_kwargs={"clips": [rel.as_posix() for rel in clips]}
            )
            for name, clips in self._splits.items()
        ]

    def _generate_examples(self, clips):
        for rel in clips:
            row = clip_row(self._root, Path(rel), self._schema, self.config.audio_prefix)
            yield row["id"], row
