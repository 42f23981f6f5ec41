// One player for all rows: starting one stops the other.
"use strict";

var corpus = globalThis.corpus || (globalThis.corpus = {});

corpus.HAS_PAGE = 1;
corpus.HAS_SOUND = 2;
corpus.HAS_FINDING = 4;
corpus.IS_OPUS = 8;

corpus.fileName = (row) => String(row).padStart(6, "0");
corpus.pageOf = (row) => `clips/${corpus.fileName(row)}.html`;
corpus.soundOf = (row) =>
  `audio/${corpus.fileName(row)}.${corpus.index.has[row] & corpus.IS_OPUS ? "ogg" : "flac"}`;

corpus.Player = class {
  constructor(bar, onChange) {
    this.bar = bar;
    this.audio = bar.querySelector("audio");
    this.link = bar.querySelector("a");
    this.row = -1;
    for (const event of ["play", "pause", "ended"]) this.audio.addEventListener(event, onChange);
  }

  get playing() {
    return this.audio.paused ? -1 : this.row;
  }

  toggle(row) {
    if (!(corpus.index.has[row] & corpus.HAS_SOUND)) return;
    if (this.playing === row) {
      this.audio.pause();
      return;
    }
    if (this.row !== row) {
      this.row = row;
      this.audio.src = corpus.soundOf(row);
      this.link.textContent = corpus.index.ids[row];
      this.link.href = corpus.pageOf(row);
      this.bar.hidden = false;
    }
    // Interrupted by the next row's: that is what was asked for.
    this.audio.play().catch(() => {});
  }
};
