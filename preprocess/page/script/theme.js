// Colours by their role, dark and light: Okabe and Ito's, which colour-blind people tell apart.
(function (EncHF) {
  "use strict";
  const LABELS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#999999"];
  const ROLES = {
    light: {
      text: "#33373d", grid: "#dfe2e6", surface: "#ffffff", original: "#d55e00",
      decoded: "#0072b2", curve: "#00805c", declared: "#56b4e9", missing: "#a8326e",
    },
    dark: {
      text: "#c9ced6", grid: "#343941", surface: "#181b20", original: "#e69f00",
      decoded: "#56b4e9", curve: "#2cc295", declared: "#56b4e9", missing: "#e39ac0",
    },
  };
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  let chosen = null; // by the switch; until then the system's

  EncHF.theme = () => chosen || (dark.matches ? "dark" : "light");
  EncHF.labelColor = (label) => LABELS[((label % LABELS.length) + LABELS.length) % LABELS.length];

  // Gives every model of a Bokeh document the colours that its tags ask for.
  EncHF.colorModels = function (document_) {
    const roles = ROLES[EncHF.theme()];
    for (const model of document_.all_models) {
      for (const tag of model.tags || []) {
        if (!tag.colors) continue;
        const entries = Object.entries(tag.colors).map(([name, role]) => [name, roles[role]]);
        model.setv(Object.fromEntries(entries));
      }
    }
  };

  const listeners = [];
  EncHF.onTheme = (listener) => listeners.push(listener);
  function changed() {
    document.documentElement.dataset.theme = EncHF.theme();
    for (const listener of listeners) listener();
  }
  EncHF.switchTheme = function () {
    chosen = EncHF.theme() === "dark" ? "light" : "dark";
    changed();
  };
  dark.addEventListener("change", changed);
  document.documentElement.dataset.theme = EncHF.theme();
})((window.EncHF = window.EncHF || {}));
