"""A `transformers.Trainer` that is fed by `AlignedCrops`, and resumes exactly.

    CropTrainer(model, args, train_dataset=crops).train(resume_from_checkpoint=True)

Trainer's own checkpoints say how many steps are done, which is where to go on: batch `n` of an epoch
is the same in any world. The state of the batches is stored with them, so that a checkpoint of another
dataset or of other settings is an error.
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
    """A Trainer whose training batches are those of an `ElasticLoader`.

    A batch over all ranks has `per_device_train_batch_size` times the number of processes crops:
    keep that number, by the first factor, where a run goes on in another world.

    Args:
        *args: Of `Trainer`.
        **options: Of `Trainer`; `train_dataset` is an `AlignedCrops`.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("data_collator", collate)
        super().__init__(*args, **options)
        self._crop_loader: ElasticLoader | None = None
        self.add_callback(CropPlace())

    def get_train_dataloader(self) -> ElasticLoader:
        """Return the loader of the training batches, one and the same at every call."""
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
    """Stores the state of the batches in `trainer_state.json`, and compares it at a resume."""

    def __init__(self) -> None:
        self.batches: dict[str, Any] = {}

    def state(self) -> dict[str, Any]:
        """Return what is stored with a checkpoint."""
        return {"args": {}, "attributes": {"batches": self.batches}}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Refuse a checkpoint of other batches."""
        stored = state.stateful_callbacks.get(type(self).__name__)
        if state.global_step and isinstance(stored, dict):
            kwargs["train_dataloader"].load_state_dict(stored["attributes"]["batches"])
        if state.global_step and args.ignore_data_skip:
            raise TrainError(
                "ignore_data_skip=True would repeat batches; leave it out: skipping reads nothing here"
            )

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Go to the start of Trainer's epoch: Trainer itself skips the batches that are done."""
        loader = kwargs["train_dataloader"]
        loader.place = (int((state.epoch or 0) + 1e-6), 0)
        loader.batch_sampler.seek(*loader.place)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Note which batches are done."""
        loader, every = kwargs["train_dataloader"], args.gradient_accumulation_steps
        epoch, step = divmod(state.global_step, -(-len(loader) // every))
        self.batches = loader.batch_sampler.state_at(epoch, step * every)
