// The figures of a clip, filled with its columns, on one time axis.
(function (EncHF) {
  "use strict";

  EncHF.Stage = class {
    constructor(spec) {
      this.spec = spec;
      this.clip = null;
      this.views = null;
      // Bokeh changes its input, so give it a copy and keep the figures' JSON for the next stage.
      this.document = Bokeh.require("document").Document.from_json(structuredClone(spec.document));
      this.time = this.named("time");
    }

    // Draws the figures into the elements (track -> element). Figures filled beforehand are drawn only once.
    async embed(elements) {
      EncHF.colorModels(this.document);
      const tracks = Object.fromEntries(Object.entries(this.spec.roots).map(([track, id]) => [id, track]));
      const places = this.document.roots().map((root) => elements[tracks[root.id]]);
      this.views = await Bokeh.embed.add_document_standalone(this.document, document.body, places);
    }

    named(name) {
      return this.document.get_model_by_name(name);
    }

    figure(track) {
      return this.named(`figure:${track}`);
    }

    columns(source) {
      const found = this.named(`columns:${source}`);
      return found ? found.data : null;
    }

    // Fills the figures with a clip.
    fill(clip) {
      this.clip = clip;
      const columns = EncHF.unpack(clip.columns, clip.arrays.map(EncHF.array));
      for (const model of this.document.all_models) {
        const [kind, ...rest] = (model.name || "").split(":");
        if (kind !== "columns") continue;
        const source = rest.join(":");
        model.data = columns[source] ? withLabels(columns[source]) : emptied(model.data);
      }
      for (const track of clip.tracks) {
        const [start, end] = track.range;
        this.figure(track.name).y_range.setv({ start, end });
      }
      this.waves = Object.fromEntries(clip.sounds.map(({ name }) => [name, columns[`wave:${name}`]]));
      this.named("codes").setv({ low: 0, high: clip.codes.size - 1 });
      this.setView(0, clip.duration);
      this.fitLabels();
    }

    // Shows the pictures of a sound: its envelope in front, and only its spectrogram.
    show(sound) {
      const both = this.clip.sounds.length > 1;
      for (const renderer of this.figure("wave").renderers) {
        const mine = renderer.name === `sound:${sound}`;
        renderer.glyph.setv(renderer.glyph.type === "VArea"
          ? { fill_alpha: mine ? 0.9 : 0.3 } : { line_alpha: mine ? 0.9 : 0.3 });
        renderer.level = mine || !both ? "glyph" : "underlay";
      }
      for (const renderer of this.figure("spectrogram").renderers) {
        renderer.visible = renderer.name === `sound:${sound}`;
      }
    }

    get view() {
      return [this.time.start, this.time.end];
    }

    setView(start, end) {
      const { duration } = this.clip;
      const width = Math.min(Math.max(end - start, Math.min(0.005, duration)), duration);
      start = Math.min(Math.max(0, start), duration - width);
      this.time.setv({ start, end: start + width });
      this.fitLabels();
    }

    // Draws the visible waveform, from the samples if it is a small part of the clip.
    refine(sounds) {
      const [start, end] = this.view;
      const part = end - start < this.clip.duration / 2;
      for (const { name, buffer, scale } of sounds) {
        const source = this.named(`columns:wave:${name}`);
        if (part && buffer) source.data = EncHF.envelope(buffer, start, end, scale);
        else if (source.data !== this.waves[name]) source.data = this.waves[name];
      }
    }

    zoom(factor, around) {
      const [start, end] = this.view;
      this.setView(around - (around - start) * factor, around + (end - around) * factor);
    }

    // The box of a track's plot in its element, in pixels.
    box(track) {
      return this.views.find_one(this.figure(track)).frame.bbox;
    }

    // The horizontal position of the plots in their elements, in pixels: [left, width].
    frame() {
      const { left, width } = this.box("ruler");
      return [left, width];
    }

    // Aligns the plots of all tracks to the right of the widest axis numbers.
    align() {
      const tracks = Object.keys(this.spec.roots);
      const boxes = tracks.map((track) => this.box(track)).filter((box) => box.width > 0);
      const widest = Math.ceil(Math.max(...boxes.map((box) => box.left)));
      for (const figure of tracks.map((track) => this.figure(track))) {
        if (figure.min_border_left === widest) continue;
        figure.min_border_left = widest;
        this.views.find_one(figure).invalidate_layout(); // Bokeh before 3.9 does not on its own
      }
    }

    // Shows the labels of spans that are wide enough.
    fitLabels() {
      const [start, end] = this.view;
      const width = (this.views && this.frame()[1]) || 800;
      for (const track of this.clip.tracks.filter((each) => each.kind === "spans")) {
        const source = this.named(`columns:${track.name}`);
        const { left, right, text } = source.data;
        const shown = Array.from(text, (words, i) => {
          const visible = Math.min(right[i], end) - Math.max(left[i], start);
          const room = (visible / (end - start)) * width - 8;
          return 7 * words.length <= room ? words : "";
        });
        // The start of the text is always in view, even for a span that begins before it.
        const at = Array.from(left, (x) => Math.max(x, start));
        source.data = { ...source.data, shown, at };
      }
    }

    recolor() {
      EncHF.colorModels(this.document);
    }

    remove() {
      this.views.clear();
      this.document.clear();
      const at = Bokeh.documents.indexOf(this.document);
      if (at >= 0) Bokeh.documents.splice(at, 1);
    }
  };

  function withLabels(columns) {
    if (!("label" in columns)) return columns;
    const color = Array.from(columns.label, EncHF.labelColor);
    return { ...columns, color, shown: columns.label.map(() => ""), at: columns.left };
  }

  function emptied(data) {
    const entries = data instanceof Map ? [...data.keys()] : Object.keys(data);
    return Object.fromEntries(entries.map((key) => [key, []]));
  }
})((window.EncHF = window.EncHF || {}));
