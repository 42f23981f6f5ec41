"""Code for the dataset card that decodes rows to audio."""

from __future__ import annotations

from preprocess.tokens.specs import codec_spec

_ENCODEC = """import torch
from encodec import EncodecModel

model = EncodecModel.{function}()
row = dataset[0]
codes = torch.tensor(row["codes"])[None]  # [1, K, T]
"""


_ONE_SEGMENT = """audio = model.decode([(codes, None)])[0, :, : row["audio_length"]]  # [C, N]"""


_SEGMENTS = """parts = torch.split(codes, row["segment_frames"], dim=2)
scales = [torch.tensor([[scale]]) for scale in row["scales"]]
audio = model.decode(list(zip(parts, scales)))[0, :, : row["audio_length"]]  # [C, N]"""


_TRANSFORMERS = """import torch
from transformers import EncodecModel

model = EncodecModel.from_pretrained("facebook/encodec_32khz")
row = dataset[0]
codes = torch.tensor(row["codes"])[None, None]  # [1, 1, K, T]
audio = model.decode(codes, [None]).audio_values[0, :, : row["audio_length"]]  # [C, N]"""


_OURS = """from preprocess.codec.playback import decode_row  # the enchf-dataset package

audio = decode_row(dataset[0])  # float32 [C, N]"""


def decode_snippet(model: str) -> str:
    """Return lines of Python that decode `dataset[0]` to `audio`, float `[C, N]`."""
    if model == "encodec_24khz":
        return _ENCODEC.format(function="encodec_model_24khz") + _ONE_SEGMENT
    if codec_spec(model).segment_samples is not None:
        return _ENCODEC.format(function="encodec_model_48khz") + _SEGMENTS
    return _TRANSFORMERS if model == "encodec_32khz" else _OURS
