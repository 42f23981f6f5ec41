// Pointer and wheel over the tracks: click to play, drag to select, pinch or wheel to zoom.
(function (EncHF) {
  "use strict";
  const STILL_PX = 4;

  // `area` is the element; `view` answers timeAt(clientX), overRuler(target), and is told
  // clicked(t), selected(a, b), panned(pixels), zoomed(factor, t), hovered(event or null).
  EncHF.listenToPointers = function (area, view) {
    const down = new Map(); // pointer -> {x, y, at}
    let gesture = null; // "select", "pan" or "pinch"
    let spread = 0;

    area.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !view.isPlot(event.target)) return;
      down.set(event.pointerId, { x: event.clientX, last: event.clientX, at: view.timeAt(event.clientX) });
      gesture = null;
      if (down.size === 2) {
        gesture = "pinch";
        spread = apart();
      }
    });

    area.addEventListener("pointermove", (event) => {
      view.hovered(event);
      const start = down.get(event.pointerId);
      if (!start) return;
      if (gesture === null && Math.abs(event.clientX - start.x) > STILL_PX) {
        const pans = view.overRuler(event.target) || (event.pointerType === "touch" && !view.selecting);
        gesture = pans ? "pan" : "select";
        area.setPointerCapture(event.pointerId);
      }
      if (gesture === "pan") view.panned(event.clientX - start.last);
      if (gesture === "select") view.selected(start.at, view.timeAt(event.clientX), false);
      start.last = event.clientX;
      if (gesture === "pinch" && down.size === 2) {
        const now = apart();
        view.zoomed(spread / now, view.timeAt(middle()));
        spread = now;
      }
    });

    area.addEventListener("pointerup", (event) => {
      const start = down.get(event.pointerId);
      down.delete(event.pointerId);
      if (!start) return;
      if (gesture === null) view.clicked(view.timeAt(event.clientX));
      if (gesture === "select") view.selected(start.at, view.timeAt(event.clientX), true);
      if (down.size === 0) gesture = null;
    });

    area.addEventListener("pointercancel", (event) => {
      down.delete(event.pointerId);
      if (down.size === 0) gesture = null;
    });
    area.addEventListener("pointerleave", () => view.hovered(null));

    area.addEventListener("wheel", (event) => {
      if (!view.isPlot(event.target)) return;
      const across = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
      if (event.ctrlKey || event.metaKey) {
        view.zoomed(Math.exp(event.deltaY / 300), view.timeAt(event.clientX));
      } else if (Math.abs(across) > 0 && (event.shiftKey || Math.abs(across) > Math.abs(event.deltaY))) {
        view.panned(-across);
      } else {
        return; // the page scrolls
      }
      event.preventDefault();
    }, { passive: false });

    function apart() {
      const [a, b] = [...down.values()];
      return Math.max(10, Math.abs(a.last - b.last));
    }
    function middle() {
      const [a, b] = [...down.values()];
      return (a.last + b.last) / 2;
    }
  };
})((window.EncHF = window.EncHF || {}));
