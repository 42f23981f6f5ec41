// The values of every track at a time, in words.
(function (EncHF) {
  "use strict";

  EncHF.number = function (value) {
    if (value === null || value === undefined || Number.isNaN(value)) return "NaN";
    const size = Math.abs(value);
    if (value !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(3);
    return String(Number(value.toPrecision(5)));
  };

  // The frame that is drawn at a time: its number, its segment, and its column there.
  EncHF.frameAt = function (clip, seconds) {
    const { starts, frames, hop, step } = clip.segments;
    const segment = Math.max(0, EncHF.lastAtMost(starts, seconds + 1e-9));
    const offset = Math.floor((seconds - starts[segment]) / hop + 1e-6);
    const column = Math.floor(Math.min(Math.max(0, offset), frames[segment] - 1) / step);
    let before = 0;
    for (let i = 0; i < segment; i++) before += frames[i];
    return { frame: before + column * step, segment, column };
  };

  const readers = {
    ruler: (stage, track, at) => `${at.toFixed(3)} s`,
    wave(stage, track, at, y, sound) {
      const columns = stage.columns(`wave:${sound}`);
      const i = columns ? EncHF.lastAtMost(columns.x, at) : -1;
      return i < 0 ? "" : `${EncHF.number(columns.low[i])} to ${EncHF.number(columns.high[i])}`;
    },
    spectrogram(stage, track, at, y, sound) {
      const columns = stage.columns(`spectrogram:${sound}`);
      if (!columns || !columns.image.length || y === null) return "";
      const image = columns.image[0];
      const [rows, count] = image.shape;
      const row = Math.min(rows - 1, Math.floor((y / track.range[1]) * rows));
      const column = Math.min(count - 1, Math.floor((at / columns.width[0]) * count));
      const below = (image[row * count + column] / 255 - 1) * track.decibels;
      const hertz = 700 * (10 ** (y / 2595) - 1);
      return `${Math.round(hertz)} Hz, ${(columns.peak_db[0] + below).toFixed(0)} dB`;
    },
    curve(stage, track, at) {
      const { x, y } = stage.columns(track.name);
      const i = EncHF.lastAtMost(x, at + 1e-9);
      if (i < 0) return "";
      if (stage.clip.segments.step === 1) return EncHF.number(y[i]);
      const first = i - (i % 2);
      return `${EncHF.number(y[first])} to ${EncHF.number(y[first + 1])}`;
    },
    spans(stage, track, at) {
      const { left, right, text, label } = stage.columns(track.name);
      const i = EncHF.lastAtMost(left, at + 1e-9);
      if (i < 0 || at >= right[i] + 1e-9) return "NaN";
      return String(label[i]) === text[i] ? text[i] : `${label[i]} ${text[i]}`;
    },
    tokens(stage, track, at, y) {
      const { frame, segment, column } = EncHF.frameAt(stage.clip, at);
      const image = stage.columns("tokens").image[segment];
      const [books, count] = image.shape;
      if (y === null) return `frame ${frame}`;
      const book = Math.min(books - 1, Math.max(0, Math.round(y) - 1));
      return `frame ${frame}, codebook ${book + 1}: ${image[book * count + column]}`;
    },
  };

  // What a track says at a time; `y` is the place of the pointer on its value axis, or null.
  EncHF.read = (stage, track, at, y, sound) => readers[track.kind](stage, track, at, y, sound);
})((window.EncHF = window.EncHF || {}));
