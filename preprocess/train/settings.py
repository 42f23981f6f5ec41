"""What crops to cut, as checked settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from preprocess.core.errors import PreprocessError, nearest

Scale = Literal["minmax", "zscore", "none"]
Categorical = Literal["ids", "onehot"]
Short = Literal["pad", "skip", "loop"]
Sample = Literal["clips", "frames", "tiles"]


class TrainError(PreprocessError, ValueError):
    """A dataset, its statistics or the settings do not make crops; one line says why."""


@dataclass(frozen=True, kw_only=True)
class CropSettings:
    """What crops to cut.

    Attributes:
        frames: Length of a crop; None for whole clips.
        codebooks: How many codebooks, from the first; None for all.
        parameters: Which parameters, in this order; None for all.
        scale: How continuous parameters are scaled: `minmax` (0 to 1 over the declared range, else
            the measured one), `zscore`, or `none`.
        categorical: Labels as `ids` from 0, or as `onehot` rows.
        seed: What all that is drawn follows from.
        clips_per_crop: How many clips share a crop, each with an equal part of its frames.
        short: A clip that is shorter than a crop: `pad` it, `skip` it, or `loop` it.
        sample: What is drawn evenly: `clips`; `frames`, so that a clip is drawn as often as it is
            long; or `tiles`, which lie side by side and show every frame once an epoch.
        epoch_size: Crops in an epoch; None for one a clip (`clips`), as many as the frames make
            (`frames`), or all (`tiles`).
        times: Whether a crop has the start of each frame in seconds.
    """

    frames: int | None = 256
    codebooks: int | None = None
    parameters: tuple[str, ...] | None = None
    scale: Scale = "minmax"
    categorical: Categorical = "ids"
    seed: int = 0
    clips_per_crop: int = 1
    short: Short = "pad"
    sample: Sample = "clips"
    epoch_size: int | None = None
    times: bool = False

    def __post_init__(self) -> None:
        for name in ("frames", "codebooks", "clips_per_crop", "epoch_size"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise TrainError(f"{name}={value!r} must be a whole number of at least 1")
        if type(self.seed) is not int:
            raise TrainError(f"seed={self.seed!r} must be a whole number")
        for name, known in (
            ("scale", get_args(Scale)),
            ("categorical", get_args(Categorical)),
            ("short", get_args(Short)),
            ("sample", get_args(Sample)),
        ):
            value = getattr(self, name)
            if value not in known:
                raise TrainError(
                    f"{name}={value!r} must be one of {', '.join(known)}"
                    f"{nearest(str(value), known)}"
                )
        self._check_together()

    def _check_together(self) -> None:
        if self.frames is None and self.clips_per_crop > 1:
            raise TrainError("frames=None takes whole clips, so clips_per_crop must be 1")
        if self.frames is None and self.sample != "clips":
            raise TrainError(f"frames=None takes whole clips, so sample={self.sample!r} cannot be")
        if self.frames is not None and self.frames % self.clips_per_crop:
            raise TrainError(
                f"clips_per_crop={self.clips_per_crop} does not divide frames={self.frames}"
            )
        if self.sample == "tiles" and self.epoch_size is not None:
            raise TrainError(
                f"sample='tiles' shows every frame once, so epoch_size={self.epoch_size} cannot be"
            )
