"""What is shown of one clip: tokens, parameters and sounds, wherever they lie.

    source                       tokens            parameters      original
    folder of .ecdc files        NAME.ecdc         sidecar         audio of that name, if any
    saved or pushed dataset      column `codes`    `features`      likewise

The decoded sound is made from the tokens, where the codec's weights are at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from preprocess.core.errors import PreprocessError
from preprocess.sidecar.parameters import Parameter
from preprocess.tokens.types import Ecdc

if TYPE_CHECKING:
    from preprocess.codec.codec import Codec

Wave = NDArray[np.float32]
SOUNDS = ("original", "decoded")
"""What a clip may sound like, in the order in which a page offers it."""


@dataclass(frozen=True, eq=False)
class ClipData:
    """One clip.

    Attributes:
        id: Its id, as the dataset's column `id` has it.
        tokens: Its tokens.
        parameters: Name -> parameter, values `[T]`.
        sounds: `original` or `decoded` -> float32 `[C, N]` at the codec's rate; without those that
            are not at hand.
        notes: What a viewer should know, such as why there is no sound.
    """

    id: str
    tokens: Ecdc
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    sounds: Mapping[str, Wave] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.tokens.header.duration_s

    def with_sound(self, name: str, wave: Wave) -> ClipData:
        """Return the clip with one sound more."""
        sounds = {**self.sounds, name: wave}
        return replace(self, sounds={key: sounds[key] for key in SOUNDS if key in sounds})

    def with_parameters(self, parameters: Mapping[str, Parameter]) -> ClipData:
        """Return the clip with those of `parameters` that have its length, and a note of others."""
        clip, frames = self, self.tokens.codes.shape[1]
        fitting = {name: each for name, each in parameters.items() if len(each.values) == frames}
        for name in parameters.keys() - fitting.keys():
            clip = clip.with_note(
                f"parameter {name!r} is not shown: it has {len(parameters[name].values):,} values, "
                f"and the clip {frames:,} frames"
            )
        return replace(clip, parameters=fitting)

    def with_note(self, text: str) -> ClipData:
        """Return the clip with one note more."""
        return replace(self, notes=(*self.notes, text))


class Decoder:
    """Decodes clips; a codec is loaded once, and one that cannot be had is asked for once.

    Args:
        weights: As in `preprocess.codec.codec.load_codec`.
        device: Likewise.
    """

    def __init__(self, weights: str | None = None, device: str = "auto") -> None:
        self._weights, self._device = weights, device
        self._codecs: dict[str, Codec | str] = {}

    def add_sound(self, clip: ClipData) -> ClipData:
        """Return the clip with its decoded sound, or with a note that says why there is none."""
        codec = self._codec(clip.tokens.model)
        if isinstance(codec, str):
            return clip.with_note(f"no decoded sound: {codec}")
        made_with = clip.tokens.extra.get("ckpt")
        if made_with not in (None, codec.ckpt):
            clip = clip.with_note(
                f"decoded with other weights ({codec.ckpt}) than those that made the tokens "
                f"({made_with})"
            )
        return clip.with_sound("decoded", codec.decode(clip.tokens))

    def _codec(self, model: str) -> Codec | str:
        """Return a codec, or why it cannot be had."""
        if model not in self._codecs:
            from preprocess.codec.codec import load_codec

            try:
                self._codecs[model] = load_codec(model, self._weights, self._device)
            except PreprocessError as error:
                self._codecs[model] = str(error)
        return self._codecs[model]


def level(wave: Wave) -> float:
    """Return the RMS of a sound `[C, N]`; 0 of silence."""
    return float(np.sqrt(np.mean(np.square(wave, dtype=np.float64)))) if wave.size else 0.0
