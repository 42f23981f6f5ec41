"""Measure pages of clips in a browser: size, time to open, and lag of the cursor.

python -m benchmarks.page [CHROMIUM]
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from preprocess.page.clip_data import ClipData
from preprocess.page.clip_page import bokeh_script, clip_page
from preprocess.sidecar.parameters import check_parameter
from preprocess.tokens.frames import segment_frames
from preprocess.tokens.specs import codec_spec
from preprocess.tokens.types import Ecdc

SECONDS = 30
ROUNDS = 5
# Difference in ms between the position that the page draws and what the sound card gets. The sound
# is a ramp, so each sample gives its own position.
LAG = """async () => {
  const player = EncHF.page.player, lags = [];
  await player.play(1);
  await new Promise((r) => setTimeout(r, 500));
  const samples = new Float32Array(probe.fftSize);
  for (let i = 0; i < 60; i++) {
    await new Promise((r) => requestAnimationFrame(r));
    EncHF.page.view.placed(); // what the page does in each frame
    probe.getFloatTimeDomainData(samples);
    const rendered = samples[samples.length - 1] / 0.9 * player.duration;
    const queued = player.context.currentTime - player.heard();
    lags.push(1000 * (Number(EncHF.page.view.playhead.dataset.time) - (rendered - queued)));
  }
  player.pause();
  return lags;
}"""
PROBE = """
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...rest) {
  if (!(target instanceof AudioDestinationNode)) return connect.call(this, target, ...rest);
  window.probe = window.probe || new AnalyserNode(this.context, { fftSize: 256 });
  connect.call(window.probe, target);
  return connect.call(this, window.probe);
};
"""


def make_clip(model: str, noisy: bool) -> ClipData:
    """Return a clip of 30 s with six parameters and two sounds, noise or a ramp."""
    spec = codec_spec(model)
    samples = SECONDS * spec.sample_rate
    frames = segment_frames(samples, spec)
    rng = np.random.default_rng(0)
    codes = rng.integers(0, spec.codebook_size, (max(spec.codebooks.values()), sum(frames)))
    scales = None if spec.segment_samples is None else np.ones(len(frames), np.float32)
    tokens = Ecdc(model, codes.astype(np.int16), samples, frames, scales)
    values = {
        f"p{index}": check_parameter(f"p{index}", {"values": rng.standard_normal(sum(frames))})
        for index in range(6)
    }
    ramp = np.linspace(0, 0.9, samples, dtype=np.float32)
    shape = (spec.channels, samples)
    waves = [rng.uniform(-0.5, 0.5, shape) if noisy else np.broadcast_to(ramp, shape)] * 2
    sounds = dict(zip(("original", "decoded"), (w.astype(np.float32) for w in waves), strict=True))
    return ClipData(model, tokens, values, sounds)


def main() -> None:
    """Print a line for each figure."""
    chromium = sys.argv[1] if len(sys.argv) > 1 else shutil.which("chromium")
    shared = len(bokeh_script().encode())
    print(f"script of Bokeh, shared by all clips: {shared / 1e6:.2f} MB")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        flags = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        for model, noisy in (
            ("encodec_24khz", False), ("encodec_24khz", True), ("encodec_48khz", True),
        ):  # fmt: skip
            clip = make_clip(model, noisy)
            path = Path(folder, "page.html")
            path.write_text(clip_page([clip], model), encoding="utf-8")
            size = path.stat().st_size - shared
            opened = [open_ms(browser, path) for _ in range(ROUNDS)]
            painted, drawn = (statistics.median(each) for each in zip(*opened, strict=True))
            sound = "noise" if noisy else "a ramp"
            print(
                f"{model}, {SECONDS} s of {sound}: {size / 1e6:.2f} MB without the script; text and "
                f"controls after {painted:.0f} ms, all tracks after {drawn:.0f} ms"
            )
            if not noisy:
                lags = cursor_lags(browser, path)
                middle, most = np.quantile(np.abs(lags), (0.5, 0.95))
                print(
                    f"cursor and sound: {middle:.1f} ms apart in the median of 60 frames, "
                    f"at most {most:.1f} ms in 57 of them"
                )
        browser.close()


def open_ms(browser: object, path: Path) -> tuple[float, float]:
    """Return the milliseconds from the start of the navigation to the first paint and all tracks."""
    page = browser.new_page()  # type: ignore[attr-defined]
    page.goto(path.as_uri())
    drawn = page.evaluate(
        "EncHF.page.opened.then(() => new Promise((r) => requestAnimationFrame(() => "
        "requestAnimationFrame(() => r(performance.now())))))"
    )
    painted = page.evaluate(
        "performance.getEntriesByName('first-contentful-paint').map((paint) => paint.startTime)"
    )
    page.close()
    return float(painted[0]), float(drawn)


def cursor_lags(browser: object, path: Path) -> list[float]:
    """Return the lag of the playhead behind the sound, in ms, in each of 60 frames."""
    page = browser.new_page()  # type: ignore[attr-defined]
    page.add_init_script(PROBE)
    page.goto(path.as_uri())
    page.evaluate("EncHF.page.opened")
    lags = page.evaluate(LAG)
    page.close()
    return [float(lag) for lag in lags]


if __name__ == "__main__":
    main()
