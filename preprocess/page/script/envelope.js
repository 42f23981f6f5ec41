// The waveform of a part of a clip, from its samples: what is drawn of the whole is too coarse for it.
(function (EncHF) {
  "use strict";
  const POINTS = 2500;

  // {x, low, high} of an AudioBuffer from `start` to `end` in seconds; single samples if there are few.
  EncHF.envelope = function (buffer, start, end, scale) {
    const rate = buffer.sampleRate;
    const first = Math.max(0, Math.floor(start * rate));
    const last = Math.min(buffer.length, Math.ceil(end * rate) + 1);
    const count = Math.min(POINTS, last - first);
    const x = new Float64Array(count);
    const low = new Float32Array(count).fill(Infinity);
    const high = new Float32Array(count).fill(-Infinity);
    for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
      const samples = buffer.getChannelData(channel);
      for (let i = 0; i < count; i++) {
        const from = first + Math.floor((i * (last - first)) / count);
        const to = first + Math.floor(((i + 1) * (last - first)) / count);
        x[i] = from / rate;
        for (let at = from; at < to; at++) {
          const value = samples[at] / scale;
          if (value < low[i]) low[i] = value;
          if (value > high[i]) high[i] = value;
        }
      }
    }
    return { x, low, high };
  };
})((window.EncHF = window.EncHF || {}));
