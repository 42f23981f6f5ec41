"""Producers that need no source: a constant, and a linear ramp over the clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from preprocess.params.base import Described, Number
from preprocess.params.clip import Clip
from preprocess.sidecar.parameters import ParameterValue


@dataclass(frozen=True, kw_only=True)
class Constant(Described):
    """The same value in every frame of every clip."""

    flag = "constant"
    value: Number

    def parameters(self, clip: Clip) -> Mapping[str, ParameterValue]:
        """Return the constant parameter `[T]`."""
        return self._with_text(np.full(clip.n_frames, self.value))


@dataclass(frozen=True, kw_only=True)
class Ramp(Described):
    """A ramp from `start` at the first frame to `end` at the latest frame, linear in time."""

    flag = "ramp"
    start: Number
    end: Number

    def parameters(self, clip: Clip) -> Mapping[str, ParameterValue]:
        """Return the ramp `[T]`."""
        times = clip.frame_starts_s
        whole = float(times.max()) or 1.0
        return self._with_text(self.start + (self.end - self.start) * times / whole)
