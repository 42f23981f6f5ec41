// Starts Bokeh after the first picture of the page: its script takes longer than all of ours.
(function (EncHF) {
  "use strict";
  let started = null;

  // Resolves once Bokeh is there. The element `bokeh` holds its script, or the script's address.
  EncHF.bokeh = function () {
    started = started || painted().then(() => start(document.getElementById("bokeh")));
    return started;
  };

  function painted() {
    return new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  }

  function start(held) {
    const script = document.createElement("script");
    if (!held.dataset.src) {
      script.textContent = held.textContent;
      document.head.append(script); // runs it at once
      return null;
    }
    return new Promise((resolve, reject) => {
      script.onload = resolve;
      script.onerror = () => reject(new Error(`cannot read ${script.src}`));
      script.src = held.dataset.src;
      document.head.append(script);
    });
  }
})((window.EncHF = window.EncHF || {}));
