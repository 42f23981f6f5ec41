// One clip: its display, and the actions of pointers, buttons and keys.
(function (EncHF) {
  "use strict";
  const { el } = EncHF;
  EncHF.ClipView = class {
    // `players` has one for short clips and one for long; `onMoment` is called when the position, view
    // or sound changes.
    constructor(root, players, onMoment) {
      Object.assign(this, { root, players, onMoment, stage: null, selecting: false, hover: null });
      this.player = players[0];
      this.hidden = new Set(); // names of hidden tracks
      for (const player of players) player.onChange = () => this.update();
      EncHF.onTheme(() => this.stage && this.stage.recolor());
      this.tick();
      new ResizeObserver(() => this.stage && this.resized()).observe(root);
    }

    // Shows a clip; the figures stay if the previous clip has the same tracks.
    async show(clip, spec) {
      this.player.stop();
      this.player = this.players[clip.duration > EncHF.LONG_S ? 1 : 0];
      const decoded = this.player.load(clip.sounds, clip.rate, clip.duration);
      this.clip = clip;
      if (this.stage && this.stage.spec === spec) {
        this.describe(clip);
        this.fill(this.stage, clip);
      } else {
        if (this.stage) this.stage.remove();
        this.stage = null;
        this.build(spec);
        this.describe(clip);
        this.root.inert = true; // its actions need the figures
        await EncHF.bokeh();
        if (this.clip !== clip) return; // another was opened in the meantime
        const stage = new EncHF.Stage(spec);
        this.fill(stage, clip);
        await stage.embed(this.plots);
        if (this.clip !== clip) return void stage.remove();
        this.stage = stage;
        this.root.inert = false;
      }
      this.stage.align();
      this.stage.fitLabels();
      decoded.then(() => this.viewChanged());
      this.update();
    }

    fill(stage, clip) {
      stage.fill(clip);
      stage.show(this.player.chosen);
    }

    build(spec) {
      this.plots = {};
      this.heads = {};
      this.rows = {};
      this.playhead = el("div", { class: "playhead" });
      this.ghost = el("div", { class: "ghost", hidden: true });
      this.region = el("div", { class: "region", hidden: true });
      this.tracks = el("div", {
        class: "tracks", tabindex: "0", role: "slider", "aria-label": "Position in the clip",
        "aria-valuemin": "0", "aria-orientation": "horizontal",
      });
      for (const track of Object.keys(spec.roots)) {
        this.heads[track] = el("div", { class: "head" });
        this.plots[track] = el("div", { class: "plot", style: `min-height: ${spec.heights[track]}px` });
        this.rows[track] = el("div", { class: `track ${track.split(":")[0]}` }, this.heads[track], this.plots[track]);
        this.tracks.append(this.rows[track]);
      }
      this.tracks.append(this.region, this.ghost, this.playhead);
      this.facts = el("dl", { class: "facts" });
      this.notes = el("ul", { class: "notes" });
      this.switches = el("div", { class: "switches", role: "group", "aria-label": "Tracks" });
      this.table = el("div", { class: "statistics" });
      this.root.replaceChildren(EncHF.transport(this), this.facts, this.notes, this.switches, this.tracks, this.table);
      EncHF.listenToPointers(this.tracks, this);
    }

    // Fills in the text about a clip.
    describe(clip) {
      this.tracks.setAttribute("aria-valuemax", String(clip.duration));
      this.facts.replaceChildren(...EncHF.facts(clip));
      this.notes.replaceChildren(...clip.notes.map((note) => el("li", {}, EncHF.name(note))));
      this.notes.hidden = !clip.notes.length;
      const shown = new Map(clip.tracks.map((track) => [track.name, track]));
      for (const name of Object.keys(this.rows)) {
        this.rows[name].hidden = !shown.has(name) || this.hidden.has(name);
        const track = shown.get(name);
        if (track) this.heads[name].replaceChildren(...EncHF.trackHead(track));
      }
      this.switches.replaceChildren(...clip.tracks.filter((t) => t.kind !== "ruler").map((t) => EncHF.trackSwitch(this, t)));
      this.table.replaceChildren(EncHF.statistics(clip));
      this.sounds.replaceChildren(...EncHF.soundButtons(this, clip));
    }

    // Time and place.
    frame() {
      const [left, width] = this.stage.frame();
      return [this.plots.ruler.offsetLeft + left, width];
    }

    timeAt(clientX) {
      const [left, width] = this.frame();
      const [start, end] = this.stage.view;
      const x = clientX - this.tracks.getBoundingClientRect().left - left;
      return Math.min(Math.max(0, start + (x / width) * (end - start)), this.clip.duration);
    }

    place(seconds) {
      const [left, width] = this.frame();
      const [start, end] = this.stage.view;
      return left + ((seconds - start) / (end - start)) * width;
    }

    isPlot(target) {
      return target.closest(".plot") !== null;
    }

    overRuler(target) {
      return target.closest(".track.ruler") !== null;
    }

    // Actions of pointers.
    clicked(seconds) {
      const { loop } = this.player;
      if (loop && (seconds < loop[0] || seconds > loop[1])) this.player.loop = null;
      this.tracks.focus({ preventScroll: true });
      this.player.position = seconds;
      this.player.play(seconds);
      this.update();
    }

    selected(from, to, done) {
      const [start, end] = from < to ? [from, to] : [to, from];
      this.draft = done ? null : [start, end];
      if (done && end - start > 0.01) {
        this.player.setLoop([start, end]);
        if (!this.player.playing) this.player.seek(start);
      }
      this.update();
    }

    panned(pixels) {
      const [start, end] = this.stage.view;
      const by = (-pixels / this.frame()[1]) * (end - start);
      this.setView(start + by, end + by);
    }

    zoomed(factor, around) {
      this.stage.zoom(factor, around);
      this.viewChanged();
    }

    hovered(event) {
      this.hover = event && this.isPlot(event.target) ? event : null;
      this.readings();
    }

    // Actions of buttons and keys.
    toggleSelecting() {
      this.selecting = !this.selecting;
      this.update();
    }

    switchTrack(name, on) {
      this.hidden[on ? "delete" : "add"](name);
      this.rows[name].hidden = !on;
    }

    toggle() {
      if (this.player.playing) this.player.pause();
      else this.player.play();
    }

    choose(name) {
      this.player.choose(name);
      this.stage.show(name);
      this.onMoment();
    }

    other() {
      const names = this.clip.sounds.map((sound) => sound.name);
      if (names.length > 1) this.choose(names[(names.indexOf(this.player.chosen) + 1) % names.length]);
    }

    toggleLoop() {
      this.player.setLoop(this.player.loop ? null : [...this.stage.view]);
    }

    zoomBy(factor) {
      const [start, end] = this.stage.view;
      const at = this.player.time();
      this.zoomed(factor, at >= start && at <= end ? at : (start + end) / 2);
    }

    setView(start, end) {
      this.stage.setView(start, end);
      this.viewChanged();
    }

    viewChanged() {
      this.placed();
      cancelAnimationFrame(this.refining);
      this.refining = requestAnimationFrame(() => this.stage.refine(this.player.sounds));
      this.onMoment();
    }

    step(direction, byFrame) {
      const [start, end] = this.stage.view;
      const seconds = byFrame ? this.clip.segments.hop : (end - start) / 50;
      this.player.seek(this.player.time() + direction * seconds);
    }

    // Handles a key; returns whether it has an action.
    key(event) {
      if (!this.stage) return false;
      const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      const actions = {
        " ": () => this.toggle(), a: () => this.other(), l: () => this.toggleLoop(),
        ArrowLeft: () => this.step(-1, event.shiftKey), ArrowRight: () => this.step(1, event.shiftKey),
        Home: () => this.player.seek(0), End: () => this.player.seek(this.clip.duration),
        "+": () => this.zoomBy(0.5), "=": () => this.zoomBy(0.5), "-": () => this.zoomBy(2),
        0: () => this.setView(0, this.clip.duration), Escape: () => this.player.setLoop(null),
      };
      if (!actions[name]) return false;
      actions[name]();
      return true;
    }

    // The display.
    update() {
      const { player } = this;
      this.playButton.textContent = player.playing ? "❚❚" : "▶";
      this.playButton.setAttribute("aria-label", player.playing ? "Pause (Space)" : "Play (Space)");
      this.playButton.disabled = !player.sounds.length || player.error !== null;
      this.loopButton.setAttribute("aria-pressed", String(player.loop !== null));
      this.selectButton.setAttribute("aria-pressed", String(this.selecting));
      for (const button of this.sounds.querySelectorAll("button")) {
        button.setAttribute("aria-pressed", String(button.dataset.sound === player.chosen));
      }
      if (player.error) this.clock.textContent = player.error;
      this.placed();
      this.readings();
      if (!player.playing) this.onMoment();
    }

    placed() {
      if (!this.stage) return;
      const at = this.player.time();
      const [left, width] = this.frame();
      const x = this.place(at);
      this.playhead.style.transform = `translateX(${x}px)`;
      this.playhead.hidden = x < left - 1 || x > left + width + 1;
      this.playhead.dataset.time = String(at);
      if (!this.player.error) this.clock.textContent = `${at.toFixed(3)} / ${this.clip.duration.toFixed(3)} s`;
      this.tracks.setAttribute("aria-valuenow", at.toFixed(3));
      this.tracks.setAttribute("aria-valuetext", `${at.toFixed(3)} seconds`);
      const loop = this.draft || this.player.loop;
      this.region.hidden = !loop;
      if (loop) {
        const from = Math.max(left, this.place(loop[0])), to = Math.min(left + width, this.place(loop[1]));
        this.region.style.left = `${from}px`;
        this.region.style.width = `${Math.max(0, to - from)}px`;
      }
    }

    readings() {
      if (!this.stage) return;
      const pointed = this.hover;
      const at = pointed ? this.timeAt(pointed.clientX) : this.player.time();
      this.ghost.hidden = !pointed;
      if (pointed) this.ghost.style.transform = `translateX(${this.place(at)}px)`;
      const over = pointed && pointed.target.closest(".track");
      for (const track of this.clip.tracks) {
        if (this.rows[track.name].hidden) continue;
        const y = over === this.rows[track.name] ? this.valueAt(track, pointed.clientY) : null;
        const value = this.heads[track.name].querySelector(".value");
        value.textContent = EncHF.read(this.stage, track, at, y, this.player.chosen);
      }
    }

    valueAt(track, clientY) {
      const box = this.stage.box(track.name);
      const y = clientY - this.plots[track.name].getBoundingClientRect().top;
      const [low, high] = track.range;
      return high - ((y - box.top) / box.height) * (high - low);
    }

    tick() {
      if (this.stage && this.player.playing) {
        const at = this.player.time();
        const [start, end] = this.stage.view;
        if (!this.player.loop && (at > end || at < start)) this.setView(at, at + end - start);
        this.placed();
        if (!this.hover) this.readings();
      }
      requestAnimationFrame(() => this.tick());
    }

    resized() {
      this.stage.align();
      this.stage.fitLabels();
      this.placed();
    }
  };
})((window.EncHF = window.EncHF || {}));
