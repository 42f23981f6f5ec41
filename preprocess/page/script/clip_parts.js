// The controls and labels around the tracks of a clip.
(function (EncHF) {
  "use strict";
  const { el } = EncHF;

  EncHF.KEYS = [
    ["Space", "play or pause"], ["← →", "back and forth; with Shift by one frame"],
    ["Home, End", "to the start, to the end"], ["A", "the other sound, at the same position"],
    ["L", "loop the selection, or what is in view"], ["Esc", "no selection"],
    ["+ −", "zoom"], ["0", "the whole clip"], ["[ ]", "clip before, clip after"],
  ];

  function button(text, label, action, more = {}) {
    return el("button", { type: "button", "aria-label": label, title: label, onclick: action, ...more }, text);
  }

  // Fills in the view's controls, and returns the bar that holds them.
  EncHF.transport = function (view) {
    view.playButton = button("▶", "Play (Space)", () => view.toggle(), { class: "play" });
    view.clock = el("output", { class: "clock", "aria-live": "off" });
    view.sounds = el("div", { class: "sounds", role: "group", "aria-label": "Sound (A)" });
    view.loopButton = button("Loop", "Loop the selection, or what is in view (L)", () => view.toggleLoop());
    view.selectButton = button("Select", "Select by dragging, on a touch screen", () => view.toggleSelecting(), { class: "touch" });
    const zooms = el("div", { class: "zooms", role: "group", "aria-label": "Zoom" },
      button("−", "Zoom out (-)", () => view.zoomBy(2)),
      button("+", "Zoom in (+)", () => view.zoomBy(0.5)),
      button("Whole", "Show the whole clip (0)", () => view.setView(0, view.clip.duration)));
    const link = button("Copy link", "Copy a link to this moment", () => EncHF.copyLink(link), { class: "link", hidden: !EncHF.hasAddress });
    return el("div", { class: "transport", role: "toolbar", "aria-label": "Playback" },
      view.playButton, view.clock, view.sounds, view.loopButton, view.selectButton, zooms, link);
  };

  EncHF.soundButtons = function (view, clip) {
    if (!clip.sounds.length) return ["no sound"];
    return clip.sounds.map(({ name, title }) => el("button", {
      type: "button", class: `sound ${name}`, "data-sound": name, title: `Hear the ${name} sound (A)`,
      onclick: () => view.choose(name),
    }, title));
  };

  EncHF.facts = (clip) =>
    clip.facts.map(([what, value]) => el("div", {}, el("dt", {}, what), el("dd", {}, value)));

  EncHF.trackHead = function (track) {
    const unit = track.unit ? el("span", { class: "unit" }, EncHF.name(track.unit)) : "";
    return [
      el("div", { class: "title", title: track.help }, EncHF.name(track.title), " ", unit),
      el("output", { class: "value", "aria-live": "off" }),
    ];
  };

  EncHF.trackSwitch = function (view, track) {
    const box = el("input", {
      type: "checkbox", checked: !view.hidden.has(track.name),
      onchange: () => view.switchTrack(track.name, box.checked),
    });
    return el("label", {}, box, " ", EncHF.name(track.title));
  };
})((window.EncHF = window.EncHF || {}));
