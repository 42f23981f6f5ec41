// A page of a few clips: the choice of clip, and the moment in the address.
(function (EncHF) {
  "use strict";
  const { el } = EncHF;

  // In a notebook, the page is a frame without its own address.
  EncHF.hasAddress = location.protocol !== "about:";

  // Address -> {clip, t, x: [from, to], sound}; invalid values become null.
  EncHF.readMoment = function (hash) {
    const given = new URLSearchParams(hash.replace(/^#/, ""));
    const seconds = (text) => (/^\d+(\.\d+)?$/.test(text) ? Number(text) : null);
    const view = /^(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)$/.exec(given.get("x") || "");
    const t = seconds(given.get("t") || "");
    return {
      clip: given.get("clip"),
      sound: given.get("sound"),
      t,
      x: view && Number(view[1]) < Number(view[2]) ? [Number(view[1]), Number(view[2])] : null,
    };
  };

  EncHF.writeMoment = function ({ clip, t, x, sound }) {
    const parts = new URLSearchParams({ clip, t: t.toFixed(3), x: x.map((s) => s.toFixed(3)).join("-") });
    if (sound) parts.set("sound", sound);
    return `#${parts}`;
  };

  // Returns the clip with its sounds in base64 in place of the elements that hold them.
  EncHF.withSounds = function (clip) {
    const sounds = clip.sounds.map((sound) => ({ ...sound, data: document.getElementById(sound.data).textContent }));
    return { ...clip, sounds };
  };

  EncHF.copyLink = async function (button) {
    EncHF.page.writeAddress();
    let said = "Link copied";
    try {
      await navigator.clipboard.writeText(location.href);
    } catch {
      said = "Link is in the address bar";
    }
    const before = button.textContent;
    button.textContent = said;
    setTimeout(() => { button.textContent = before; }, 1500);
  };

  EncHF.Page = class {
    constructor(root) {
      const read = (id) => JSON.parse(document.getElementById(id).textContent);
      this.stages = read("stages");
      this.ids = read("clips");
      this.sample = document.getElementById("total") ? `, a sample of ${read("total").toLocaleString("en")}` : "";
      this.readClip = (index) => EncHF.withSounds(read(`clip-${index}`));
      this.players = [new EncHF.Player(), new EncHF.LongPlayer()];
      this.choice = el("select", { "aria-label": "Clip", onchange: () => this.open(this.choice.selectedIndex) },
        ...this.ids.map((id) => el("option", { dir: "auto" }, id)));
      this.section = el("section", { class: "clip", "aria-label": "Clip" });
      root.replaceChildren(this.bar(), this.section, this.keys());
      this.view = new EncHF.ClipView(this.section, this.players, () => this.remember());
      document.addEventListener("keydown", (event) => this.key(event));
      window.addEventListener("hashchange", () => this.restore());
      EncHF.page = this;
      this.opened = this.restore();
    }

    get player() {
      return this.view.player;
    }

    bar() {
      const button = (text, label, onclick) => el("button", { type: "button", "aria-label": label, title: label, onclick }, text);
      const several = this.ids.length > 1;
      this.count = el("span", { class: "count" });
      return el("header", {}, el("h1", {}, document.title),
        el("div", { class: "choice" }, several ? button("‹", "Previous clip ([)", () => this.turn(-1)) : "",
          this.choice, several ? button("›", "Next clip (])", () => this.turn(1)) : "", this.count),
        button("◐", "Switch between dark and light", () => EncHF.switchTheme()));
    }

    keys() {
      const rows = EncHF.KEYS.map(([key, does]) => el("div", {}, el("dt", {}, el("kbd", {}, key)), el("dd", {}, does)));
      return el("details", { class: "keys" }, el("summary", {}, "Keys, mouse and touch"),
        el("p", {}, "Click anywhere to play from there. Drag to select a loop. Turn the wheel with Ctrl to zoom, or with Shift to "
          + "move; dragging the time line also moves. On a touch screen, drag to move, pinch to zoom, and press Select before you drag to select."),
        el("dl", {}, ...rows));
    }

    async open(index, moment = {}) {
      this.index = index;
      this.quiet = true;
      this.choice.selectedIndex = index;
      this.count.textContent = `${index + 1} of ${this.ids.length}${this.sample}`;
      const clip = this.readClip(index);
      await this.view.show(clip, this.stages[clip.stage]);
      if (this.view.clip !== clip) return; // another was opened in the meantime
      if (moment.sound && clip.sounds.some((sound) => sound.name === moment.sound)) this.view.choose(moment.sound);
      if (moment.x) this.view.setView(...moment.x);
      if (moment.t !== null && moment.t !== undefined) await this.player.seek(moment.t);
      this.quiet = false;
      this.view.update();
    }

    turn(by) {
      const count = this.ids.length;
      return this.open((this.index + by + count) % count);
    }

    restore() {
      if (location.hash === this.written) return Promise.resolve();
      const moment = EncHF.readMoment(location.hash);
      const index = Math.max(0, this.ids.indexOf(moment.clip));
      return this.open(index, moment);
    }

    remember() {
      if (this.quiet || !this.view.stage) return;
      clearTimeout(this.waiting);
      // Browsers limit address changes to about a hundred in 30 seconds.
      this.waiting = setTimeout(() => this.writeAddress(), 300);
    }

    writeAddress() {
      clearTimeout(this.waiting);
      if (!EncHF.hasAddress) return;
      history.replaceState(null, "", EncHF.writeMoment({
        clip: this.ids[this.index], t: this.player.time(), x: this.view.stage.view, sound: this.player.chosen,
      }));
      this.written = location.hash;
    }

    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const target = event.target;
      if (target.closest("input, select, textarea, summary")) return;
      if (target.closest("button") && (event.key === " " || event.key === "Enter")) return;
      const turns = { "[": -1, "]": 1 };
      if (event.key in turns) this.turn(turns[event.key]);
      else if (!this.view.key(event)) return;
      event.preventDefault();
    }
  };
})((window.EncHF = window.EncHF || {}));
