"""Windows cover a clip exactly, and a long clip needs little memory."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocess.codec.codec import Codec
from preprocess.codec.network import Parts
from preprocess.codec.reference import seeded_model
from preprocess.codec.runner import Runner
from preprocess.codec.streaming import Step, Track, Windows, run_clip
from preprocess.core.errors import PreprocessError
from preprocess.tokens.specs import codec_spec
from preprocess.tokens.types import Ecdc


@settings(deadline=None, max_examples=200)
@given(
    steps=st.integers(1, 3_000),
    unit=st.integers(1, 7),
    reach=st.tuples(st.integers(0, 6), st.integers(0, 6)),
    cuts=st.lists(st.integers(0, 3_000), max_size=8),
    eager=st.booleans(),
)
def test_what_windows_keep_is_the_clip(steps, unit, reach, cuts, eager):
    """For a part that returns its input's frames, in whatever blocks the clip arrives."""
    clip = torch.arange(steps, dtype=torch.float32)[None, None]
    windows = Windows(unit, unit, reach, size=40)
    found = []
    blocks = torch.tensor_split(clip, sorted(min(cut, steps) for cut in cuts), dim=2)
    for block in blocks:
        windows.push(block)
        if eager:
            found += windows.pop_all()
    windows.ended = True
    found += windows.pop_all()
    kept = [window.x[..., window.kept] for window in found]
    assert torch.equal(torch.cat(kept, dim=2), clip)
    assert not windows.pending
    length = (sum(reach) + 40) * unit
    assert all(window.x.shape[2] == length for window in found[:-1])
    if steps > (40 + 32) * unit:
        assert kept[-1].shape[2] > 32 * unit, "a last window of few frames runs other kernels"


@pytest.mark.parametrize("name", ["encodec_24khz", "encodec_32khz"])
@pytest.mark.parametrize("side", ["encoder", "decoder"])
def test_windows_reach_as_far_as_the_layers_do(name, side):
    """With a halo of `reach` the kept frames are the whole clip's, without one they are not."""
    model, hop = seeded_model(name), codec_spec(name).hop
    parts = Parts(getattr(model, side), hop)
    frames, (before, after) = (
        60,
        parts.receptive_last if side == "decoder" else parts.receptive_first,
    )
    unit, out_unit = (hop, 1) if side == "encoder" else (1, hop)
    part = parts.first if side == "encoder" else parts.last
    channels = 1 if side == "encoder" else parts.recurrent.size
    x = 0.1 * torch.randn(1, channels, frames * unit, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        whole = part(x.clone())[..., 20 * out_unit : 40 * out_unit]

        def cut(first, last):
            y = part(x[..., first * unit : last * unit].clone())
            return y[..., (20 - first) * out_unit : (40 - first) * out_unit]

        scale = float(whole.abs().max())
        assert (cut(20 - before, 40 + after) - whole).abs().max() <= 1e-5 * scale
        assert (cut(20, 40 + after) - whole).abs().max() > 1e-5 * scale, "no halo is too little"
    assert (after == 0) == codec_spec(name).causal


@pytest.mark.parametrize("frames", [149, 150, 151, 300, 307])
@pytest.mark.parametrize("name", ["encodec_24khz", "encodec_32khz"])
def test_decoding_in_windows_gives_the_whole_clips_audio(name, frames):
    model, spec = seeded_model(name), codec_spec(name)
    codec = Codec(spec, model, "", torch.device("cpu"))
    codes = np.random.default_rng(frames).integers(0, 1024, (4, frames), np.int16)
    with torch.no_grad():
        expected = model.decode([(torch.from_numpy(codes.astype(np.int64))[None], None)])[0]
    ecdc = Ecdc(name, codes, frames * spec.hop - 7, (frames,))
    blocks = list(codec.decode_blocks(ecdc))
    assert max(block.shape[1] for block in blocks) <= 160 * spec.hop
    decoded = codec.decode(ecdc)
    assert decoded.shape == (1, frames * spec.hop - 7)
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), decoded)
    scale = float(expected.abs().max())
    np.testing.assert_allclose(decoded, expected[:, :-7].numpy(), atol=1e-5 * scale)


def test_clips_of_any_lengths_share_the_lstm_and_keep_their_states():
    """A clip at its end used to lengthen the run, and the states of the others with it."""
    parts = Parts(seeded_model("encodec_24khz").encoder, 320)
    rng = torch.Generator().manual_seed(0)
    clips = [torch.randn(1, 1, 320 * n, generator=rng) * 0.1 for n in (155, 300, 129, 420)]
    with torch.inference_mode():
        alone = [torch.cat(list(run_clip(parts, [clip], 320, 1)), dim=2) for clip in clips]
        tracks = [Track(parts, 320, 1) for _ in clips]
        for track, clip in zip(tracks, clips, strict=True):
            track.first.push(clip)
            track.first.ended = True
        together = [[] for _ in clips]
        while any(track.first.pending for track in tracks):
            going_on = [i for i, track in enumerate(tracks) if track.first.pending]
            windows = [[tracks[i].first.pop()] for i in going_on]
            step = Step(parts, [tracks[i] for i in going_on], windows, Runner(2))
            step.recur()
            for i, new in zip(going_on, step.finish(), strict=True):
                together[i] += new
    for own, expected in zip(together, alone, strict=True):
        assert torch.equal(torch.cat(own, dim=2), expected)


def test_a_run_that_does_not_fit_into_a_gpu_is_halved():
    sizes = []

    def part(x):
        if x.shape[0] > 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        sizes.append(x.shape[0])
        return 2 * x

    windows = Windows(1, 1, (0, 0), size=40)
    clip = torch.arange(400.0)[None, None]
    windows.push(clip)
    windows.ended = True
    runner = Runner(16)
    results = runner.run(part, windows.pop_all())
    assert torch.equal(torch.cat(results, dim=2), 2 * clip)
    assert max(sizes) == 2
    assert runner.rows == 2, "the next step need not find it out again"

    def never(x):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    windows.push(clip)
    with pytest.raises(PreprocessError, match="one window of audio does not fit"):
        Runner(16).run(never, windows.pop_all())


LONG = """
import resource, sys, numpy as np
from preprocess.codec.codec import Codec, load_codec
from preprocess.tokens.specs import codec_spec
from preprocess.codec.reference import seeded_model
import torch
torch.set_num_threads(1)
name, kbps = sys.argv[1], float(sys.argv[2])
spec = codec_spec(name)
codec = (
    load_codec(name, device="cpu") if name.endswith("demo")
    else Codec(spec, seeded_model(name), "", torch.device("cpu"))
)
rng = np.random.default_rng(0)
shape = (spec.channels, spec.sample_rate)
blocks = lambda s: (0.1 * rng.standard_normal(shape).astype(np.float32) for _ in range(s))
def there_and_back(seconds):
    ecdc = codec.encode_blocks(blocks(seconds), kbps)
    return sum(block.shape[1] for block in codec.decode_blocks(ecdc)) / spec.sample_rate
there_and_back(int(sys.argv[3]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(there_and_back(int(sys.argv[4])))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1000)
"""


@pytest.mark.parametrize(
    ("name", "kbps", "short", "long"),
    [
        ("encodec_24khz_demo", 1.5, 20, 150),
        ("encodec_32khz", 2.2, 6, 14),
        ("encodec_48khz", 3, 8, 16),
    ],
)
def test_a_long_clip_needs_no_more_memory_than_a_short_one(name, kbps, short, long):
    """encodec takes 16 MB a second with the full model: 58 GB for an hour."""
    command = [sys.executable, "-c", LONG, name, str(kbps), str(short), str(long)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, megabytes = run.stdout.split()
    assert float(seconds) == long
    assert int(megabytes) < 60, f"{long} s took {megabytes} MB more than {short} s"
