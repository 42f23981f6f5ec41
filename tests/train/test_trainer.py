"""`transformers.Trainer` and Lightning are fed by crops, and go on exactly behind a checkpoint."""

from __future__ import annotations

import json
from contextlib import suppress

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from transformers import PretrainedConfig, PreTrainedModel, TrainerCallback, TrainingArguments

from preprocess.train import AlignedCrops, CropTrainer, ElasticLoader, TrainError
from tests.train.test_elastic import names, reference

BATCH = 8


class Tiny(PreTrainedModel):
    """A model of one weight that notes what it was given."""

    config_class = PretrainedConfig

    def __init__(self, config=None):
        super().__init__(config or PretrainedConfig())
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen = []
        self.post_init()

    def forward(self, codes, parameters, mask, parameter_mask, starts, ids):
        self.seen.append(names({"ids": ids, "starts": starts}))
        return {"loss": ((self.weight - parameters) ** 2).mean()}


class StopAt(TrainerCallback):
    """Ends a training behind a step, as a kill would."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = state.global_step >= self.step


def train(crops, folder, stop=None, resume=False, **options):
    arguments = TrainingArguments(
        **{
            "output_dir": str(folder),
            "per_device_train_batch_size": BATCH,
            "num_train_epochs": 3,
            "save_steps": 2,
            "report_to": [],
            "disable_tqdm": True,
            "use_cpu": True,
            "logging_steps": 1000,
            **options,
        }
    )
    model = Tiny()
    callbacks = [StopAt(stop)] if stop else []
    trainer = CropTrainer(model, arguments, train_dataset=crops, callbacks=callbacks)
    trainer.train(resume_from_checkpoint=resume)
    return model.seen


@pytest.mark.parametrize(("stop", "workers"), [(4, 0), (6, 0), (8, 1)])
def test_trainer_goes_on_behind_its_checkpoint(crops, tmp_path, stop, workers):
    seen = train(crops, tmp_path, stop, dataloader_num_workers=workers)
    rest = train(crops, tmp_path, resume=True, dataloader_num_workers=workers)
    assert seen + rest == reference(crops, 3)
    state = json.loads((tmp_path / f"checkpoint-{stop}/trainer_state.json").read_text())
    place = state["stateful_callbacks"]["CropPlace"]["attributes"]["batches"]
    assert (place["epoch"], place["batch"]) == divmod(stop, 6)


def test_trainer_accumulates_and_goes_on(crops, tmp_path):
    options = {"gradient_accumulation_steps": 2, "save_steps": 1}
    seen = train(crops, tmp_path, 4, **options)
    rest = train(crops, tmp_path, resume=True, **options)
    assert seen + rest == reference(crops, 3)


def test_a_checkpoint_of_other_crops_is_an_error(crops, some_dataset, tmp_path):
    train(crops, tmp_path, 4)
    other = AlignedCrops(some_dataset, frames=32)
    with pytest.raises(TrainError, match="frames was 64 and is 32"):
        train(other, tmp_path, resume=True)
    with pytest.raises(TrainError, match="ignore_data_skip=True would repeat batches"):
        train(crops, tmp_path, resume=True, ignore_data_skip=True)


class Killed(Exception):
    """Ends a training in the middle of a step."""


class Module(lightning.LightningModule):
    """The same for Lightning."""

    def __init__(self, stop=None):
        super().__init__()
        self.weight, self.seen, self.stop = torch.nn.Parameter(torch.zeros(1)), [], stop

    def training_step(self, batch, index):
        if self.global_step == self.stop:
            raise Killed
        self.seen.append(names(batch))
        return ((self.weight - batch["parameters"]) ** 2).mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(crops, folder, stop=None, checkpoint=None, workers=0):
    module = Module(stop)
    trainer = lightning.Trainer(
        max_epochs=3,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        callbacks=[ModelCheckpoint(folder, "{step}", every_n_train_steps=2, save_top_k=-1)],
    )
    loader = ElasticLoader(crops, BATCH, num_workers=workers)
    with suppress(Killed):
        trainer.fit(module, loader, ckpt_path=checkpoint)
    return module.seen


@pytest.mark.parametrize(("stop", "workers"), [(4, 0), (6, 0), (8, 1)])
def test_lightning_goes_on_behind_its_checkpoint(crops, tmp_path, stop, workers):
    seen = fit(crops, tmp_path, stop + 1, workers=workers)
    assert len(seen) == stop + 1
    rest = fit(crops, tmp_path, checkpoint=tmp_path / f"step={stop}.ckpt", workers=workers)
    assert seen[:stop] + rest == reference(crops, 3)


def test_lightning_refuses_a_checkpoint_of_other_crops(crops, some_dataset, tmp_path):
    fit(crops, tmp_path, 5)
    with pytest.raises(TrainError, match="frames was 64 and is 32"):
        fit(AlignedCrops(some_dataset, frames=32), tmp_path, checkpoint=tmp_path / "step=4.ckpt")
