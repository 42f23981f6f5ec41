"""The settings of crops, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from preprocess.core.errors import PreprocessError, nearest

Scale = Literal["minmax", "zscore", "none"]
Categorical = Literal["ids", "onehot"]
Short = Literal["pad", "skip", "loop"]
Sample = Literal["clips", "frames", "tiles"]


class TrainError(PreprocessError, ValueError):
    """The dataset, its statistics or the settings cannot make crops; one line says why."""


@dataclass(frozen=True, kw_only=True)
class CropSettings:
    """Settings of crops.

    Attributes:
        frames: Length of a crop in frames; None for whole clips.
        codebooks: Number of codebooks to use, from the first; None for all.
        parameters: Names of the parameters to use, in this order; None for all.
        scale: Scaling of continuous parameters: `minmax` (0 to 1 over the declared range, else the
            measured one), `zscore`, or `none`.
        categorical: Form of labels: `ids` from 0, or `onehot` rows.
        seed: Determines every random choice.
        clips_per_crop: Number of clips that share a crop, each with an equal part of its frames.
        short: What to do with a clip that is shorter than a crop: `pad`, `skip` or `loop` it.
        sample: What to sample evenly: `clips`; `frames`, which draws a clip in proportion to its
            length; or `tiles`, which are consecutive and show every frame once per epoch.
        epoch_size: Number of crops in an epoch; None for one per clip (`clips`), as many as the
            frames fill (`frames`), or one per tile (`tiles`).
        times: Whether a crop includes the start of each frame in seconds.
    """

    frames: int | None = 256
    codebooks: int | None = None
    parameters: Sequence[str] | None = None
    scale: Scale = "minmax"
    categorical: Categorical = "ids"
    seed: int = 0
    clips_per_crop: int = 1
    short: Short = "pad"
    sample: Sample = "clips"
    epoch_size: int | None = None
    times: bool = False

    def __post_init__(self) -> None:
        if self.parameters is not None:  # a list could not be hashed
            object.__setattr__(self, "parameters", tuple(self.parameters))
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
            raise TrainError(
                f"frames=None takes whole clips; use sample='clips', not {self.sample!r}"
            )
        if self.frames is not None and self.frames % self.clips_per_crop:
            raise TrainError(
                f"clips_per_crop={self.clips_per_crop} does not divide frames={self.frames}"
            )
        if self.sample == "tiles" and self.epoch_size is not None:
            raise TrainError(
                f"sample='tiles' shows every frame once; leave out epoch_size={self.epoch_size}"
            )
