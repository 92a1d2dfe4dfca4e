// @ts-check
// The stretches of sequence that Python sends, as token_chunks.py writes them. Joined in front of token_view.js.

/**
 * @typedef {{index: number, id: number, start: number, end: number, times: number, note: string, special: boolean,
 *   unknown: boolean, changed: boolean, row: number, hue: number, score: number}} Token
 * @typedef {{first: number, notes: string[], ints: Int32Array, n: number, scores: Float32Array | null}} Lane
 * @typedef {{sequence: number, chunk: number, from: number, text: string | string[], lanes: Lane[], agreed: number[],
 *   frames: {start: number, protein: string}[]}} Chunk
 * @typedef {{low: number, high: number, label: string, low_said: string, high_said: string}} Scale
 * @typedef {{version: number, title: string, unit: string, dna: boolean, special: boolean, cuts: boolean, offset: number,
 *   chunk: number, sequences: [string, number][], lanes: {label: string, rows: number, said: string, bpe: boolean}[],
 *   scales: Record<string, Scale>, colours: [string, string][], keys: string[], notes: string[], hues: string[],
 *   viridis: string[], frames: number[], same: string, bars: string, hint: string, there: string}} Card what Python says
 *   of the whole view
 * @typedef {{sequence: number, lane: number, token: Token}} Seen
 * @typedef {(at: number) => number} Across where a letter stands in a row, in pixels
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

/** @param {string} text */
function gc(text) {
  const bases = text.toUpperCase().replace(/[^ACGT]/g, "");
  return bases ? bases.replace(/[AT]/g, "").length / bases.length : NaN;
}

/**
 * What is known of a token, in words. `where` is its place, `more` what Python said of its id.
 * @param {Card} info @param {Token} t @param {string} text @param {string} where @param {any} more
 */
function told(info, t, text, where, more) {
  const facts = [`id ${t.id}`];
  if (t.end > t.start) facts.push(`${where}, [${t.start}, ${t.end})`, `${many(t.end - t.start, "letter")} long`);
  else facts.push(t.special ? "special, no part of the sequence" : "white space in the text");
  const share = info.dna && t.end > t.start ? gc(text) : NaN;
  if (share === share) facts.push(`GC ${Math.round(share * 100)} %`);
  facts.push(t.times === 1 ? "once here" : t.times === 2 ? "twice here" : `${whole(t.times)} times here`);
  if (t.score === t.score) facts.push(`${info.scales.scores?.label || "score"} ${t.score.toPrecision(4)}`);
  if (t.unknown) facts.push(`unknown: ${t.note}`);
  if (t.changed) facts.push("changed by edits");
  if (more?.rank) facts.push(`rank ${whole(more.rank)} of ${whole(more.words)}`);
  if (more?.merges.length) facts.push(`built by ${many(more.merges.length, "merge")}: ${more.merges.slice(-8).join(", ")}`);
  return facts.join(" · ");
}

/**
 * Where a token stands on a scale, 0 to 1; NaN where there is no scale or the token has no such number.
 * @param {Scale | undefined} scale @param {string} color @param {Token} t @param {string} text
 */
function valued(scale, color, t, text) {
  if (!scale) return NaN;
  const raw = color === "length" ? t.end - t.start : color === "frequency" ? t.times : color === "gc" ? gc(text) : t.score;
  return scale.high > scale.low ? Math.min(1, Math.max(0, (raw - scale.low) / (scale.high - scale.low))) : raw === raw ? 0.5 : NaN;
}
