// Arrays in a page's JSON: {t: type, s: shape, d: base64 of little-endian bytes}.
(function (EncHF) {
  "use strict";
  const TYPES = {
    uint8: Uint8Array, int16: Int16Array, int32: Int32Array,
    float32: Float32Array, float64: Float64Array,
  };

  EncHF.bytes = function (base64) {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
    const text = atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return bytes;
  };

  // A typed array for one dimension, Bokeh's own kind for two; lists of either; the rest as it is.
  EncHF.array = function (value) {
    if (Array.isArray(value)) return value.map(EncHF.array);
    if (value === null || typeof value !== "object" || !("t" in value)) return value;
    const flat = new TYPES[value.t](EncHF.bytes(value.d).buffer);
    if (value.s.length === 1) return flat;
    const { ndarray } = Bokeh.require("core/util/ndarray");
    return ndarray(flat.buffer, { dtype: value.t, shape: value.s });
  };

  // The last index whose value is at most `x` in ascending `values`; -1 if there is none.
  EncHF.lastAtMost = function (values, x) {
    let low = 0, high = values.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (values[middle] <= x) low = middle + 1; else high = middle;
    }
    return low - 1;
  };
})((window.EncHF = window.EncHF || {}));
