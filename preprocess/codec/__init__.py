"""Waveforms to tokens and back."""

from preprocess.codec.codec import Codec, load_codec
from preprocess.codec.playback import decode, decode_row

__all__ = ["Codec", "decode", "decode_row", "load_codec"]
