// Thumbnails come in chunks of rows, each a script of its own that is loaded when it is scrolled to:
// a page that was opened as a file may load scripts, but not fetch.
"use strict";

var corpus = globalThis.corpus || (globalThis.corpus = {});

corpus.chunks = new Map(); // number -> bytes, or null while it is loading
corpus.MOST_CHUNKS = 64;

// Called by each chunk's script.
corpus.takeRows = function (number, text) {
  corpus.chunks.set(number, corpus.bytes(text));
  document.dispatchEvent(new CustomEvent("corpus-rows", { detail: number }));
};

// The points of a row's curve, 0 for the sound; null where its chunk is still to come.
corpus.points = function (row, curve) {
  const index = corpus.index;
  const number = Math.floor(row / index.chunk);
  const bytes = corpus.chunks.get(number);
  if (bytes === undefined) corpus.loadChunk(number);
  if (!bytes) return null;
  const each = index.points;
  const at = ((row % index.chunk) * (index.curves.length + 1) + curve) * each;
  return bytes.subarray(at, at + each);
};

corpus.loadChunk = function (number) {
  for (const old of corpus.chunks.keys()) {
    if (corpus.chunks.size < corpus.MOST_CHUNKS) break;
    if (corpus.chunks.get(old)) corpus.chunks.delete(old);
  }
  corpus.chunks.set(number, null);
  const script = document.createElement("script");
  script.src = `data/rows-${String(number).padStart(5, "0")}.js`;
  script.onload = script.onerror = () => script.remove();
  document.head.append(script);
};
