// Columns of all rows in memory, with filter, search and sort; this file does not use the document.
"use strict";

var corpus = globalThis.corpus || (globalThis.corpus = {});

// Numbers as base64 of little-endian float32, one value per row; NaN means no value.
corpus.floats = function (text) {
  return new Float32Array(corpus.bytes(text).buffer);
};

corpus.bytes = function (text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
};

// Reads the content of data/index.js; see preprocess/page/corpus_files.py.
corpus.takeIndex = function (stored) {
  const columns = stored.columns.map((column) => ({
    ...column,
    values: corpus.floats(column.values),
  }));
  corpus.index = {
    ...stored,
    columns,
    has: corpus.bytes(stored.has),
    split: corpus.bytes(stored.split),
    lower: stored.ids.map((id) => id.toLowerCase()),
  };
};

// Returns the numbers of the `rows` that match `wanted`, in order.
//   words: all must be part of the name; split: number or -1; has: bits of `has` that must be set;
//   column, low, high: the column's value must be from low to high, inclusive.
corpus.filterRows = function (index, rows, wanted) {
  const found = new Uint32Array(rows.length);
  const words = wanted.words;
  const values = wanted.column < 0 ? null : index.columns[wanted.column].values;
  const low = wanted.low === null ? -Infinity : wanted.low;
  const high = wanted.high === null ? Infinity : wanted.high;
  const bounded = values !== null && (wanted.low !== null || wanted.high !== null);
  let count = 0;
  for (const row of rows) {
    if (wanted.split >= 0 && index.split[row] !== wanted.split) continue;
    if ((index.has[row] & wanted.has) !== wanted.has) continue;
    // float32 has 7 digits, so compare the user's number with the same precision.
    if (bounded && !(values[row] >= Math.fround(low) && values[row] <= Math.fround(high))) continue;
    if (words.length && !words.every((word) => index.lower[row].includes(word))) continue;
    found[count++] = row;
  }
  return found.subarray(0, count);
};

// Returns the numbers of all rows, sorted by a column; -1 is the name and -2 the split. Rows without a
// value come last in both directions; equal rows stay in the order of their names.
corpus.sortedRows = function (index, column, descending) {
  const rows = Uint32Array.from({ length: index.count }, (_, row) => row); // rows are in the order of names
  const sign = descending ? -1 : 1;
  if (column === -1) return descending ? rows.reverse() : rows;
  const values = column === -2 ? index.split : index.columns[column].values;
  return rows.sort((a, b) => {
    const x = values[a];
    const y = values[b];
    if (x === y) return a - b;
    if (x !== x) return y !== y ? a - b : 1;
    if (y !== y) return -1;
    return x < y ? -sign : sign;
  });
};

// Formats a value for the table: labels by name, whole numbers in full, others with four digits or three
// decimals.
corpus.format = function (column, value) {
  if (value !== value) return "";
  if (column.labels && column.labels[value] !== undefined) return column.labels[value];
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  const small = Math.abs(value) < 1 && Math.abs(value) >= 0.001;
  return String(Number(small ? value.toFixed(3) : value.toPrecision(4)));
};
