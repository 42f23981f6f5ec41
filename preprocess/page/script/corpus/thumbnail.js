// A row's picture: how loud the sound is, and one parameter's curve over it.
"use strict";

var corpus = globalThis.corpus || (globalThis.corpus = {});

corpus.MISSING = 255;

corpus.drawThumbnail = function (canvas, sound, curve, isLabel, colours) {
  const scale = globalThis.devicePixelRatio || 1;
  const width = canvas.clientWidth || 120;
  const height = canvas.clientHeight || 30;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  if (sound) corpus.drawSound(pen, sound, width, height, colours.sound);
  if (curve) corpus.drawCurve(pen, curve, isLabel, width, height, colours.curve);
};

corpus.drawSound = function (pen, points, width, height, colour) {
  const step = width / points.length;
  pen.fillStyle = colour;
  points.forEach((value, at) => {
    if (value === corpus.MISSING) return;
    const tall = Math.max(1, (value / 254) * height);
    pen.fillRect(at * step, (height - tall) / 2, Math.max(1, step - 0.5), tall);
  });
};

corpus.drawCurve = function (pen, points, isLabel, width, height, colour) {
  const step = width / points.length;
  const y = (value) => height - 2 - (value / 254) * (height - 4);
  pen.strokeStyle = colour;
  pen.lineWidth = 1.5;
  pen.beginPath();
  let drawing = false;
  points.forEach((value, at) => {
    if (value === corpus.MISSING) {
      drawing = false;
      return;
    }
    const x = at * step;
    if (!drawing) pen.moveTo(x, y(value));
    else if (!isLabel) pen.lineTo(x + step / 2, y(value));
    if (isLabel || !drawing) {
      pen.lineTo(x, y(value));
      pen.lineTo(x + step, y(value));
    }
    drawing = true;
  });
  pen.stroke();
};
