"""A `transformers.Trainer` that trains on `AlignedCrops` and resumes exactly.

    CropTrainer(model, args, train_dataset=crops).train(resume_from_checkpoint=True)

Trainer's own checkpoints count the steps that are done, and that count determines where to continue:
batch `n` of an epoch is the same for any number of processes. A checkpoint also stores the state of the
batches, so that resuming with another dataset or other settings is an error.
"""

from __future__ import annotations

from typing import Any

from preprocess.codec.encodec_package import import_before_torchaudio
from preprocess.train.batch import collate
from preprocess.train.elastic import ElasticLoader
from preprocess.train.settings import TrainError

_trainer: Any = import_before_torchaudio("transformers.trainer")
_callbacks: Any = import_before_torchaudio("transformers.trainer_callback")


class CropTrainer(_trainer.Trainer):
    """A Trainer that takes its training batches from an `ElasticLoader`.

    The number of crops in a batch over all ranks is `per_device_train_batch_size` times the number of
    processes. To continue a run with another number of processes, change
    `per_device_train_batch_size` so that the product stays the same.

    Args:
        *args: Arguments of `Trainer`.
        **options: Options of `Trainer`; `train_dataset` is an `AlignedCrops`.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("data_collator", collate)
        super().__init__(*args, **options)
        self._crop_loader: ElasticLoader | None = None
        self.add_callback(CropPlace())

    def get_train_dataloader(self) -> ElasticLoader:
        """Return the loader of the training batches; every call returns the same one."""
        if self._crop_loader is None:
            args = self.args
            self._crop_loader = ElasticLoader(
                self.train_dataset,
                args.train_batch_size * args.world_size,
                drop_last=args.dataloader_drop_last,
                rank=args.process_index,
                world_size=args.world_size,
                collate_fn=self.data_collator,
                num_workers=args.dataloader_num_workers,
                pin_memory=args.dataloader_pin_memory,
                persistent_workers=args.dataloader_persistent_workers,
                prefetch_factor=args.dataloader_prefetch_factor,
            )
        return self._crop_loader


class CropPlace(_callbacks.TrainerCallback, _callbacks.ExportableState):
    """Stores the state of the batches in `trainer_state.json`, and checks it on resume."""

    def __init__(self) -> None:
        self.batches: dict[str, Any] = {}

    def state(self) -> dict[str, Any]:
        """Return the content to store with a checkpoint."""
        return {"args": {}, "attributes": {"batches": self.batches}}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Reject a checkpoint of other batches."""
        stored = state.stateful_callbacks.get(type(self).__name__)
        if state.global_step and isinstance(stored, dict):
            kwargs["train_dataloader"].load_state_dict(stored["attributes"]["batches"])
        if state.global_step and args.ignore_data_skip:
            raise TrainError(
                "ignore_data_skip=True would repeat batches; leave it out, because skipping reads no data here"
            )

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Go to the start of Trainer's epoch; Trainer itself skips the batches that are done."""
        loader = kwargs["train_dataloader"]
        loader.place = (int((state.epoch or 0) + 1e-6), 0)
        loader.batch_sampler.seek(*loader.place)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Record which batches are done."""
        loader, every = kwargs["train_dataloader"], args.gradient_accumulation_steps
        epoch, step = divmod(state.global_step, -(-len(loader) // every))
        self.batches = loader.batch_sampler.state_at(epoch, step * every)
