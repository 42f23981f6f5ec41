"""The training loss of the demo codec: waveform, treble-weighted spectra, log-mel."""

import torch
from model import SPEC
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks

WINDOWS_SAMPLES = (128, 512, 2048)
MEL_BANDS = {512: 40, 2048: 80}
# With a floor of 1e-5 training never leaves silence.
MEL_FLOOR = 1e-3


class ReconstructionLoss(nn.Module):
    """Distance between two batches of audio, each term relative to the target's own size."""

    def __init__(self) -> None:
        super().__init__()
        for n in WINDOWS_SAMPLES:
            self.register_buffer(f"window_{n}", torch.hann_window(n))
            # Treble gets up to three times the weight: small networks otherwise drop it, because
            # most of the energy is below 4 kHz.
            self.register_buffer(f"slope_{n}", torch.linspace(1, 3, n // 2 + 1)[:, None])
        for n, bands in MEL_BANDS.items():
            filters = melscale_fbanks(
                n // 2 + 1, 0.0, SPEC.sample_rate / 2, bands, SPEC.sample_rate
            )
            self.register_buffer(f"mel_{n}", filters.T)

    def forward(self, target: Tensor, output: Tensor, perceptual: bool) -> tuple[Tensor, Tensor]:
        """Return the loss, and the relative L1 distance of the waveforms to monitor progress.

        Args:
            target: Audio, float32 `[B, N]`.
            output: The codec's output, float32 `[B, N]`.
            perceptual: Add the log-mel and signal-to-noise terms, which help only a codec that
                already produces sound.
        """
        gauge = relative_l1(target, output)
        # The difference of neighbours emphasizes treble by 6 dB per octave.
        loss = gauge + 0.3 * relative_l1(target.diff(dim=-1), output.diff(dim=-1))
        if perceptual:
            noise = (target - output).pow(2).mean(-1) / target.pow(2).mean(-1)
            loss = loss + 0.1 * (noise + 1e-2).log().mean()
        for n in WINDOWS_SAMPLES:
            x, y = self._magnitude(target, n), self._magnitude(output, n)
            slope = self.get_buffer(f"slope_{n}")
            loss = loss + 2 / 3 * ((x - y).abs() * slope).mean() / (x * slope).mean()
            if perceptual and n in MEL_BANDS:
                filters = self.get_buffer(f"mel_{n}")
                a, b = ((filters @ v + MEL_FLOOR).log10() for v in (x, y))
                loss = loss + (a - b).abs().mean() / len(MEL_BANDS)
        return loss, gauge.detach()

    def _magnitude(self, x: Tensor, n: int) -> Tensor:
        window = self.get_buffer(f"window_{n}")
        return torch.stft(x, n, n // 4, window=window, return_complex=True).abs()


def relative_l1(target: Tensor, output: Tensor) -> Tensor:
    """Return the mean absolute error divided by the mean absolute target."""
    return (target - output).abs().mean() / target.abs().mean()
