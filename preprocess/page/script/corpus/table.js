// A table of any number of rows, of which only those in view are in the document.
"use strict";

var corpus = globalThis.corpus || (globalThis.corpus = {});

corpus.ROW_PX = 40;
corpus.MOST_PX = 8e6; // browsers cap the height of an element; beyond, a pixel is several rows

corpus.Table = class {
  // `grid` scrolls; in it lie the head's row and `body`, as tall as all rows together.
  constructor(grid, player) {
    this.grid = grid;
    this.head = grid.querySelector(".head");
    this.body = grid.querySelector(".body");
    this.player = player;
    this.rows = new Uint32Array(0);
    this.drawn = new Map(); // place in `rows` -> element
    this.active = -1;
    this.sorted = { column: -1, descending: false };
    this.curve = corpus.index.curves.length ? 1 : 0;
    this.onSort = () => {};
    this.makeHead();
    grid.addEventListener("scroll", () => this.draw());
    grid.addEventListener("keydown", (event) => this.onKey(event));
    new ResizeObserver(() => this.draw()).observe(grid);
    document.addEventListener("corpus-rows", () => this.draw(true));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw(true));
  }

  show(rows) {
    this.rows = rows;
    this.active = rows.length ? 0 : -1;
    const all = rows.length * corpus.ROW_PX;
    const tall = Math.min(all, corpus.MOST_PX);
    const inView = this.grid.clientHeight - this.head.offsetHeight;
    // How many rows' pixels one pixel of the scrollbar is.
    this.scale = all > tall ? (all - inView) / (tall - inView) : 1;
    this.body.style.height = `${tall}px`;
    this.grid.setAttribute("aria-rowcount", rows.length + 1);
    this.grid.scrollTop = 0;
    this.draw(true);
  }

  draw(again = false) {
    if (again) {
      // If the focused button were removed, the whole page would get the keyboard.
      if (this.body.contains(document.activeElement)) this.grid.focus({ preventScroll: true });
      for (const element of this.drawn.values()) element.remove();
      this.drawn.clear();
    }
    const top = this.grid.scrollTop;
    const first = Math.max(0, Math.floor((top * this.scale) / corpus.ROW_PX) - 4);
    const last = Math.min(
      this.rows.length,
      Math.ceil((top * this.scale + this.grid.clientHeight) / corpus.ROW_PX) + 4,
    );
    for (const [place, element] of this.drawn) {
      if (place >= first && place < last) continue;
      element.remove();
      this.drawn.delete(place);
    }
    for (let place = first; place < last; place++) {
      let element = this.drawn.get(place);
      if (!element) {
        element = this.makeRow(place);
        this.drawn.set(place, element);
        this.body.append(element);
        this.paint(element, this.rows[place]);
      }
      const y = place * corpus.ROW_PX - top * this.scale + top;
      element.style.transform = `translateY(${y}px)`;
    }
    this.markActive();
  }

  makeHead() {
    const columns = [
      { title: "play", hidden: true },
      { title: "sound and curve", hidden: true },
      { title: "clip", sort: -1 },
      { title: "split", sort: -2 },
      ...corpus.index.columns.map((column, sort) => ({ ...column, sort })),
    ];
    this.head.replaceChildren(
      ...columns.map((column) => {
        const cell = corpus.element("div", "cell", { role: "columnheader" });
        if (column.hidden) {
          cell.append(corpus.element("span", "unseen", {}, column.title));
          return cell;
        }
        const text = column.unit ? `${column.title} (${column.unit})` : column.title;
        const button = corpus.element("button", "", { title: column.about || text }, text);
        button.addEventListener("click", () => this.sortBy(column.sort));
        cell.dataset.sort = column.sort;
        cell.append(button);
        return cell;
      }),
    );
    const numbers = corpus.index.columns.length;
    const tracks = `46px 132px minmax(200px, 1fr) 90px repeat(${numbers}, 104px)`;
    this.grid.style.setProperty("--tracks", tracks);
    this.grid.style.setProperty("--least", `${468 + 104 * numbers}px`);
    this.markSorted();
  }

  sortBy(column) {
    const descending = this.sorted.column === column && !this.sorted.descending;
    this.sorted = { column, descending };
    this.markSorted();
    this.onSort();
  }

  markSorted() {
    for (const cell of this.head.children) {
      if (cell.dataset.sort === undefined) continue;
      const is = Number(cell.dataset.sort) === this.sorted.column;
      const way = this.sorted.descending ? "descending" : "ascending";
      cell.setAttribute("aria-sort", is ? way : "none");
    }
  }

  makeRow(place) {
    const row = this.rows[place];
    const index = corpus.index;
    const line = corpus.element("div", "row", {
      role: "row",
      id: `row-${place}`,
      "aria-rowindex": place + 2,
    });
    const cell = (...content) => {
      const made = corpus.element("div", "cell", { role: "gridcell" });
      made.append(...content);
      line.append(made);
      return made;
    };
    cell(this.makePlay(row));
    cell(corpus.element("canvas", "", { role: "img", "aria-label": this.pictureText(row) }));
    cell(this.makeName(row)).classList.add("name");
    cell(index.splits[index.split[row]]);
    for (const column of index.columns) {
      cell(corpus.format(column, column.values[row])).classList.add("number");
    }
    line.addEventListener("pointerdown", () => this.choose(place));
    return line;
  }

  makePlay(row) {
    const name = corpus.index.ids[row];
    const has = corpus.index.has[row] & corpus.HAS_SOUND;
    const plays = this.player.playing === row;
    const text = has ? `${plays ? "Pause" : "Play"} ${name}` : "No sound: this clip is not in the sample";
    const button = corpus.element("button", "play", { "aria-label": text, title: text });
    button.tabIndex = -1;
    button.disabled = !has;
    button.classList.toggle("plays", plays);
    button.addEventListener("click", () => this.player.toggle(row));
    return button;
  }

  makeName(row) {
    const name = corpus.index.ids[row];
    const has = corpus.index.has[row] & corpus.HAS_PAGE;
    const link = corpus.element(has ? "a" : "span", "", { title: name });
    link.append(corpus.element("bdi", "", {}, name));
    if (has) {
      link.href = corpus.pageOf(row);
      link.tabIndex = -1;
    }
    return link;
  }

  pictureText(row) {
    const name = this.curve ? corpus.index.curves[this.curve - 1].title : "";
    return [corpus.index.has[row] & corpus.HAS_SOUND ? "sound" : "", name].filter(Boolean).join(", ");
  }

  paint(element, row) {
    const canvas = element.querySelector("canvas");
    const style = getComputedStyle(this.grid);
    const colours = {
      sound: style.getPropertyValue("--sound"),
      curve: style.getPropertyValue("--curve"),
    };
    const curve = this.curve ? corpus.points(row, this.curve) : null;
    const isLabel = this.curve > 0 && corpus.index.curves[this.curve - 1].is_label;
    corpus.drawThumbnail(canvas, corpus.points(row, 0), curve, isLabel, colours);
  }

  choose(place) {
    if (!this.rows.length) return;
    this.active = Math.min(Math.max(place, 0), this.rows.length - 1);
    const room = this.grid.clientHeight - this.head.offsetHeight;
    const y = this.active * corpus.ROW_PX;
    const top = this.grid.scrollTop * this.scale;
    if (y < top) this.grid.scrollTop = y / this.scale;
    else if (y + corpus.ROW_PX > top + room) {
      this.grid.scrollTop = Math.ceil((y + corpus.ROW_PX - room) / this.scale);
    }
    this.draw();
  }

  markActive() {
    for (const [place, element] of this.drawn) {
      element.classList.toggle("active", place === this.active);
      element.setAttribute("aria-selected", place === this.active);
    }
    if (this.active < 0) this.grid.removeAttribute("aria-activedescendant");
    else this.grid.setAttribute("aria-activedescendant", `row-${this.active}`);
  }

  onKey(event) {
    if (event.target.closest(".head") || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.grid.clientHeight / corpus.ROW_PX) - 2);
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page };
    const row = this.rows[this.active];
    if (event.key in moves) this.choose(this.active + moves[event.key]);
    else if (event.key === "Home") this.choose(0);
    else if (event.key === "End") this.choose(this.rows.length - 1);
    else if (event.key === " " && row !== undefined) this.player.toggle(row);
    else if (event.key === "Enter" && corpus.index.has[row] & corpus.HAS_PAGE) {
      location.href = corpus.pageOf(row);
    } else return;
    event.preventDefault();
  }
};

corpus.element = function (kind, className, attributes, text) {
  const made = document.createElement(kind);
  if (className) made.className = className;
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
};
