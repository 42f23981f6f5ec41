// Binds the controls of index.html to the table.
"use strict";

var corpus = globalThis.corpus || (globalThis.corpus = {});

corpus.start = function () {
  const by = (id) => document.getElementById(id);
  const player = new corpus.Player(by("player"), () => table.draw(true));
  const table = new corpus.Table(by("table"), player);
  corpus.fillChoices(by);

  const number = (input) => (input.value.trim() === "" ? null : Number(input.value));
  let order; // of all rows: a filter keeps it, and sorts nothing
  const sort = () => {
    order = corpus.sortedRows(corpus.index, table.sorted.column, table.sorted.descending);
  };
  const update = () => {
    const wanted = {
      words: by("search").value.toLowerCase().split(/\s+/).filter(Boolean),
      split: Number(by("split").value),
      has: [by("sounds"), by("findings-only")].reduce(
        (bits, box) => bits | (box.checked ? Number(box.value) : 0),
        0,
      ),
      column: Number(by("column").value),
      low: number(by("low")),
      high: number(by("high")),
    };
    const rows = corpus.filterRows(corpus.index, order, wanted);
    table.show(rows);
    const all = corpus.index.count.toLocaleString("en");
    const found = rows.length.toLocaleString("en");
    by("count").textContent = rows.length === corpus.index.count ? `${all} clips` : `${found} of ${all} clips`;
    by("nothing").hidden = rows.length > 0;
  };
  table.onSort = () => {
    sort();
    update();
  };
  for (const id of ["search", "low", "high"]) by(id).addEventListener("input", update);
  for (const id of ["split", "sounds", "findings-only", "column"]) {
    by(id).addEventListener("change", update);
  }
  by("curve").addEventListener("change", () => {
    table.curve = Number(by("curve").value);
    table.draw(true);
  });
  by("filters").addEventListener("reset", () => setTimeout(update));
  by("filters").addEventListener("submit", (event) => event.preventDefault());
  // A finding in a clip without a page leads to the clip's row.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-row]");
    if (!link) return;
    event.preventDefault();
    by("filters").reset();
    update();
    const place = table.rows.indexOf(Number(link.dataset.row));
    table.choose(place);
    table.grid.scrollIntoView({ block: "nearest" });
    table.grid.focus({ preventScroll: true });
  });
  sort();
  update();
  corpus.table = table;
  document.documentElement.dataset.ready = "yes";
};

corpus.fillChoices = function (by) {
  const { splits, columns, curves } = corpus.index;
  const add = (select, text, value) => select.append(new Option(text, value));
  splits.forEach((name, at) => add(by("split"), name, at));
  columns.forEach((column, at) => add(by("column"), column.title, at));
  curves.forEach((curve, at) => add(by("curve"), curve.title, at + 1));
  add(by("curve"), "sound alone", 0);
  by("curve").value = curves.length ? 1 : 0;
};

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", corpus.start);
else corpus.start();
