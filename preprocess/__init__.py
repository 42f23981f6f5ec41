"""From a folder of sounds to a Hugging Face dataset of EnCodec tokens with aligned parameters."""

__version__ = "0.1.0"
