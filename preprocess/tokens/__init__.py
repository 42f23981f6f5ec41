"""Tokens on disk and in time: the `.ecdc` container, codec facts, frames. Does not use torch."""

from preprocess.tokens.ecdc import read_ecdc, read_header, write_ecdc
from preprocess.tokens.specs import CODECS, CodecSpec, codec_spec
from preprocess.tokens.types import Ecdc, EcdcError, EcdcHeader

__all__ = [
    "CODECS",
    "CodecSpec",
    "Ecdc",
    "EcdcError",
    "EcdcHeader",
    "codec_spec",
    "read_ecdc",
    "read_header",
    "write_ecdc",
]
