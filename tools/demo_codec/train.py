r"""Train the demo codec: a fixed number of steps from fixed seeds.

    OMP_NUM_THREADS=1 MALLOC_ARENA_MAX=1 MALLOC_TOP_PAD_=500000000 \
    MALLOC_MMAP_THRESHOLD_=10000000000 MALLOC_TRIM_THRESHOLD_=100000000000 \
    python tools/demo_codec/train.py encodec_24khz_demo.safetensors

The MALLOC settings only save time: without them PyTorch spends up to half a step in page faults.

The order of the phases matters. On random crops a new autoencoder stays on the plateau "output
silence" for thousands of steps; on eight fixed crops it leaves it after a few hundred. So:

1. Train on eight crops without a quantizer until the relative L1 distance is below `ESCAPED`.
2. Double the pool every 100 steps; from 200 crops on, add the log-mel and noise terms.
3. At `FULL_POOL` crops, draw from the whole corpus and add the quantizer, with codebooks fitted
   by k-means.
4. For the last `FROZEN_SHARE` of the steps, fit the codebooks again, freeze them and the encoder,
   and train only the decoder: these steps are cheaper, and 24 kbps uses more of its last codebooks.

`--init WEIGHTS` continues from the weights of an earlier run instead. It starts at phase 3 and
needs a lower peak rate (`--rate 6e-4`), because Adam starts without its averages.
"""

import argparse
import math
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from corpus import PEAK, Clip, build_corpus
from losses import ReconstructionLoss
from model import DIMENSION, SPEC, EncodecModel, build, load_weights, save_weights
from torch import Tensor

CROP_SAMPLES = 38 * SPEC.hop
BATCH = 8
LEARNING_RATE = 1e-3
FIRST_POOL, FULL_POOL, PERCEPTUAL_POOL = 8, 8192, 200
ESCAPED = 0.85
FROZEN_SHARE = 0.2
# 6 kbps, which the demo uses, is the most frequent.
BANDWIDTHS_KBPS = (6.0, 3.0, 6.0, 12.0, 1.5, 6.0, 24.0, 6.0)
# Recordings are an eighth of the corpus but matter most.
SHARES = {"recording": 0.5, "midi": 0.2, "speech": 0.18, "synthetic": 0.12}
CHECKPOINT_STEPS, REPORT_STEPS = 1000, 100


class CropSampler:
    """Draws crops: first the kind of clip by `SHARES`, then the clip, then the position in it."""

    def __init__(self, clips: list[Clip], seed: int) -> None:
        self._clips = clips
        self._rng = np.random.default_rng(seed)
        kinds = np.array([clip.kind for clip in clips])
        # The square root makes short clips, which include the bright ones, more frequent.
        weights = np.sqrt([max(len(clip.samples), CROP_SAMPLES) for clip in clips])
        for kind, share in SHARES.items():
            weights[kinds == kind] *= share / weights[kinds == kind].sum()
        self._weights = weights / weights.sum()
        self._pool = [self._draw(0.04 * PEAK) for _ in range(FULL_POOL)]

    def batch(self, pool: int) -> Tensor:
        """Return float32 `[BATCH, 1, CROP_SAMPLES]`, from the first `pool` crops or from all."""
        crops = []
        for _ in range(BATCH):
            if pool < FULL_POOL:
                crop, low_db = self._pool[self._rng.integers(0, pool)], -6.0
            else:
                crop, low_db = self._draw(0.012 * PEAK), -12.0
            level = 0.1 * 10 ** (self._rng.uniform(low_db, 3.0) / 20)
            crops.append(crop * (level / np.sqrt(np.mean(crop**2))))
        return torch.from_numpy(np.stack(crops)).float()[:, None]

    def _draw(self, floor: float) -> np.ndarray:
        while True:
            samples = self._clips[self._rng.choice(len(self._clips), p=self._weights)].samples
            at = int(self._rng.integers(0, max(0, len(samples) - CROP_SAMPLES) + 1))
            crop = samples[at : at + CROP_SAMPLES]
            crop = np.pad(crop, (0, CROP_SAMPLES - len(crop)))
            if np.sqrt(np.mean(crop**2)) > floor:
                return crop


@torch.no_grad()
def fit_codebooks(model: EncodecModel, sampler: CropSampler, batches: int, rounds: int) -> None:
    """Fit each codebook to the residuals of the previous one by a few rounds of k-means."""
    latents = [model.encoder(sampler.batch(FULL_POOL)) for _ in range(batches)]
    residual = torch.cat(latents).permute(0, 2, 1).reshape(-1, DIMENSION)
    for layer in model.quantizer.vq.layers:
        book = layer._codebook
        book.embed.copy_(residual[torch.randperm(len(residual))[: SPEC.codebook_size]])
        for _ in range(rounds):
            nearest = torch.cdist(residual, book.embed).argmin(1)
            count = torch.bincount(nearest, minlength=SPEC.codebook_size).float()
            total = torch.zeros_like(book.embed).index_add_(0, nearest, residual)
            book.embed[count > 0] = total[count > 0] / count[count > 0, None]
        nearest = torch.cdist(residual, book.embed).argmin(1)
        count = torch.bincount(nearest, minlength=SPEC.codebook_size).float().clamp(min=1)
        book.cluster_size.copy_(count)
        book.embed_avg.copy_(book.embed * count[:, None])
        book.inited.fill_(1)
        residual = residual - book.embed[nearest]


@dataclass(frozen=True)
class Options:
    """The settings of one run, named like the command line's."""

    out: Path
    steps: int
    rate: float
    threads: int
    seed: int
    init: Path | None

    def __post_init__(self) -> None:
        """Check settings that would otherwise fail only at the first checkpoint."""
        if self.steps < 1:
            raise ValueError(f"--steps {self.steps}: expected at least 1")
        if not self.out.resolve().parent.is_dir():
            raise ValueError(f"{self.out}: the folder does not exist")


class Trainer:
    """The state of one training run."""

    def __init__(self, options: Options) -> None:
        torch.set_num_threads(options.threads)
        torch.manual_seed(options.seed)
        self.options = options
        self.sampler = CropSampler(build_corpus(), options.seed)
        self.model = build().train()
        self.loss = ReconstructionLoss()
        # None while on the plateau; a run with --init starts with the full pool.
        self.escaped_at: float | None = None
        if options.init:
            load_weights(options.init, self.model)
            self.escaped_at = -math.inf
        self.gauge = 1.0
        self.quantize = self.frozen = False
        self.parameters = [*self.model.encoder.parameters(), *self.model.decoder.parameters()]
        self.optimizer = torch.optim.Adam(self.parameters, lr=LEARNING_RATE, betas=(0.8, 0.99))

    def run(self) -> None:
        """Train for `options.steps` steps and save a checkpoint every `CHECKPOINT_STEPS`."""
        start = time.monotonic()
        for step in range(self.options.steps):
            pool = self.pool(step)
            self.advance(step, pool)
            loss = self.step(step, pool)
            if (step + 1) % REPORT_STEPS == 0:
                minutes = (time.monotonic() - start) / 60
                print(
                    f"{minutes:.1f} min, step {step + 1}, pool {pool}, "
                    f"relative L1 {self.gauge:.3f}, loss {loss:.3f}",
                    flush=True,
                )
            if (step + 1) % CHECKPOINT_STEPS == 0:
                self.save(step + 1)
        self.save(self.options.steps)

    def pool(self, step: int) -> int:
        """Return the number of crops to draw from; `FULL_POOL` means the whole corpus."""
        if self.escaped_at is None and self.gauge < ESCAPED:
            self.escaped_at = step
        if self.escaped_at is None:
            return FIRST_POOL
        doublings = min((step - self.escaped_at) / 100, math.log2(FULL_POOL / FIRST_POOL))
        return min(FULL_POOL, round(FIRST_POOL * 2**doublings))

    def advance(self, step: int, pool: int) -> None:
        """Enter the phase that starts at this step, if any."""
        if pool == FULL_POOL and not self.quantize:
            fit_codebooks(self.model, self.sampler, batches=8, rounds=6)
            self.quantize = True
        if self.quantize and not self.frozen and step >= self.options.steps * (1 - FROZEN_SHARE):
            fit_codebooks(self.model, self.sampler, batches=100, rounds=6)
            self.model.encoder.requires_grad_(False)
            self.model.quantizer.eval()
            self.frozen = True

    def step(self, step: int, pool: int) -> float:
        """Run one training step and return its loss."""
        # A quarter of the run at the full rate, then a cosine down to a fiftieth of it.
        progress = max(0.0, (step / self.options.steps - 0.25) / 0.75)
        rate = self.options.rate * (0.02 + 0.49 * (1 + math.cos(math.pi * progress)))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        audio = self.sampler.batch(pool)
        latent, penalty = self.model.encoder(audio), torch.zeros(1)
        if self.quantize:
            bandwidth = BANDWIDTHS_KBPS[step % len(BANDWIDTHS_KBPS)]
            result = self.model.quantizer(latent, SPEC.fps, bandwidth)
            latent, penalty = result.quantized, result.penalty
        output = self.model.decoder(latent)
        loss, gauge = self.loss(audio[:, 0], output[:, 0], pool > PERCEPTUAL_POOL)
        self.optimizer.zero_grad()
        (loss + 0.25 * penalty.mean()).backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 10.0)
        self.optimizer.step()
        self.gauge = 0.98 * self.gauge + 0.02 * gauge.item()
        return loss.item()

    def save(self, steps: int) -> None:
        """Write the current weights, after `steps` steps."""
        metadata = {
            "model": SPEC.name,
            "license": "MIT",
            "steps": str(steps),
            "seed": str(self.options.seed),
            "init": self.options.init.name if self.options.init else "random",
        }
        save_weights(self.options.out, self.model, metadata)


def main() -> None:
    """Train with the settings from the command line."""
    parser = argparse.ArgumentParser(description="Train the demo codec.")
    parser.add_argument("out", type=Path, help="where to write the weights (.safetensors)")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=LEARNING_RATE, help="peak learning rate")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--init", type=Path, help="start from these weights, not from scratch")
    # torch deprecates the weight norm that encodec uses, once for each of its layers.
    warnings.filterwarnings("ignore", category=FutureWarning)
    Trainer(Options(**vars(parser.parse_args()))).run()


if __name__ == "__main__":
    main()
