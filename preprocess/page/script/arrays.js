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

  // A typed array for one dimension, Bokeh's own kind for two.
  EncHF.array = function ({ t, s, d }) {
    const flat = new TYPES[t](EncHF.bytes(d).buffer);
    if (s.length === 1) return flat;
    const { ndarray } = Bokeh.require("core/util/ndarray");
    return ndarray(flat.buffer, { dtype: t, shape: s });
  };

  // `value` with the arrays that its {a: number} stand for.
  EncHF.unpack = function (value, arrays) {
    if (Array.isArray(value)) return value.map((each) => EncHF.unpack(each, arrays));
    if (value === null || typeof value !== "object") return value;
    if ("a" in value) return arrays[value.a];
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, EncHF.unpack(each, arrays)]));
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
