// The table of a clip's parameters.
(function (EncHF) {
  "use strict";
  const { el, number } = EncHF;
  const COLUMNS = ["parameter", "unit", "kind", "declared range", "min", "mean", "max", "std", "NaN", "meaning"];

  EncHF.statistics = function (clip) {
    if (!clip.parameters.length) return "";
    const cell = (value) => el("td", {}, typeof value === "number" ? number(value) : EncHF.name(value || ""));
    const rows = clip.parameters.map((p) => el("tr", {},
      el("th", { scope: "row" }, EncHF.name(p.name)),
      ...[p.unit, p.kind, p.declared, p.min, p.mean, p.max, p.std, p.missing, p.meaning].map(cell)));
    const heads = COLUMNS.map((text) => el("th", { scope: "col" }, text));
    return el("table", {}, el("caption", {}, "Parameters of this clip"),
      el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...rows));
  };
})((window.EncHF = window.EncHF || {}));
