// Columns of all rows in memory, and what is asked of them: filter, search, sort. No document here.
"use strict";

var corpus = globalThis.corpus || (globalThis.corpus = {});

// Numbers as base64 of little-endian float32, one value a row; NaN means no value.
corpus.floats = function (text) {
  return new Float32Array(corpus.bytes(text).buffer);
};

corpus.bytes = function (text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
};

// Reads what data/index.js holds; see preprocess/page/corpus_files.py.
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

// The numbers of those of `rows` that `wanted` asks for, in their order.
//   words: all must be part of the name; split: number or -1; has: bits of `has` that must be set;
//   column, low, high: the column's value must lie between these, ends included.
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
    // float32 has 7 digits: what a user types is compared with as many.
    if (bounded && !(values[row] >= Math.fround(low) && values[row] <= Math.fround(high))) continue;
    if (words.length && !words.every((word) => index.lower[row].includes(word))) continue;
    found[count++] = row;
  }
  return found.subarray(0, count);
};

// The numbers of all rows, sorted by a column, -1 for the name and -2 for the split. Rows without a
// value come last either way, equals stay in the order of their names.
corpus.sortedRows = function (index, column, descending) {
  const rows = Uint32Array.from({ length: index.count }, (_, row) => row); // they come by name
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

// A number as the table shows it: four digits, three of them behind the point, or a label's name.
corpus.format = function (column, value) {
  if (value !== value) return "";
  if (column.labels && column.labels[value] !== undefined) return column.labels[value];
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  const small = Math.abs(value) < 1 && Math.abs(value) >= 0.001;
  return String(Number(small ? value.toFixed(3) : value.toPrecision(4)));
};
