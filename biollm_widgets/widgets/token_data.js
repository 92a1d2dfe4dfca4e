// @ts-check
// The stretches of sequence that Python sends, as token_chunks.py writes them. Joined in front of token_view.js.

/**
 * @typedef {{index: number, id: number, start: number, end: number, times: number, note: string, special: boolean,
 *   unknown: boolean, changed: boolean, row: number, hue: number, score: number}} Token
 * @typedef {{first: number, notes: string[], ints: Int32Array, n: number, scores: Float32Array | null}} Lane
 * @typedef {{sequence: number, chunk: number, from: number, text: string | string[], lanes: Lane[], agreed: number[],
 *   frames: {start: number, protein: string}[]}} Chunk
 */

const SPECIAL = 1, UNKNOWN = 2, CHANGED = 4;
const written = new Intl.NumberFormat("en");

/** @param {any} content @param {DataView[]} parts @returns {Chunk} */
function decode(content, parts) {
  /** @param {DataView} part */
  const bytes = (part) => part.buffer.slice(part.byteOffset, part.byteOffset + part.byteLength);
  const lanes = content.lanes.map((/** @type {any} */ lane, /** @type {number} */ i) => {
    const ints = new Int32Array(bytes(parts[2 * i]));
    const scores = parts[2 * i + 1].byteLength ? new Float32Array(bytes(parts[2 * i + 1])) : null;
    return { ...lane, ints, n: ints.length / 6, scores };
  });
  // A letter beyond the basic plane is two units of a JavaScript string, and one letter for Python.
  const text = /[\ud800-\udfff]/.test(content.text) ? Array.from(content.text) : content.text;
  return { ...content, lanes, text };
}

/** @param {Lane} lane @param {number} i @returns {Token} */
function token(lane, i) {
  const { ints, n } = lane;
  const flags = ints[5 * n + i], note = ints[4 * n + i];
  return {
    index: lane.first + i, id: ints[i], start: ints[n + i], end: ints[2 * n + i], times: ints[3 * n + i],
    note: note < 0 ? "" : lane.notes[note], special: !!(flags & SPECIAL), unknown: !!(flags & UNKNOWN),
    changed: !!(flags & CHANGED), row: (flags >> 4) & 15, hue: (flags >> 8) & 7, score: lane.scores ? lane.scores[i] : NaN,
  };
}

/** The first place of a rising list at which `over` holds. @param {number} n @param {(i: number) => boolean} over */
function first(n, over) {
  let low = 0, high = n;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (over(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** @param {number} value */
const whole = (value) => written.format(value);
/** @param {number} count @param {string} noun */
const many = (count, noun) => `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;
