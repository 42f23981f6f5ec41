// Elements: text is always text, never markup, whatever a clip or a parameter is called.
(function (EncHF) {
  "use strict";

  // el("button", {class: "play", "aria-label": "Play", onclick: f}, "Play", child...)
  EncHF.el = function (name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (typeof value === "boolean") made.toggleAttribute(key, value);
      else made.setAttribute(key, value);
    }
    made.append(...children.filter((child) => child !== null && child !== ""));
    return made;
  };

  // A name of the user's: its direction of writing is its own.
  EncHF.name = (text) => EncHF.el("bdi", {}, text);
})((window.EncHF = window.EncHF || {}));
