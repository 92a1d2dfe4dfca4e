// @ts-check
// The token view in the page: it draws what is seen, and asks Python for the rest.

/**
 * @typedef {import("./token_panels.js").Replay} Replay
 * @typedef {import("./token_panels.js").Desk} Desk
 */

const ROW = 20, RULER = 18, FRAME = 32, HEAD = 26, GAP = 14, AHEAD = 240, HELD = 400, MANY = 256;
const PANELS = ["Compare", "Mutate", "Merges", "Find", "Frames", "Save"];

/**
 * @param {Model} model
 * @param {HTMLElement} root
 * @param {Tools} tools
 */
function view(model, root, { ask, trouble, say }) {
  const uid = `bw-${Math.random().toString(36).slice(2, 9)}`;
  /** @type {Card} */
  let info = model.get("_card");
  /** @type {Map<string, Chunk>} */
  const held = new Map();
  /** @type {Set<string>} */
  const asked = new Set();
  /** @type {Map<string, HTMLElement>} */
  const drawn = new Map();
  /** @type {WeakMap<Element, Seen>} */
  const behind = new WeakMap();
  /** @type {Map<string, any>} */
  const known = new Map(Object.entries(model.get("_known") || {}));
  /** @type {Seen | null} */
  let focus = null;
  /** @type {Replay | null} */
  let replay = null;
  let panel = "", mine = "";
  let letter = 8, pad = 4, cols = 60, gutter = 84, block = 80, total = 0, tall = 0, wide = 800;
  /** @type {number[]} */
  let tops = [];
  /** @type {number[]} */
  let laneTops = [];
  /** @type {number[] | null} */
  let dragged = null;

  const title = make("h3", { class: "bw-title" });
  const bar = make("div", { class: "bw-tools", role: "group", "aria-label": "What to show" });
  const legend = make("div", { class: "bw-row bw-small bw-legend" });
  const lanesSaid = make("div", { class: "bw-row bw-quiet bw-lanes" });
  const notes = make("div", { class: "bw-quiet bw-notes" });
  const side = make("div", { class: "bw-region bw-panel", hidden: true });
  const space = make("div", { class: "bw-space" });
  const pane = make("div", {
    class: "bw-scroll", tabindex: 0, role: "listbox", "aria-multiselectable": "true",
    "aria-label": "Tokens: arrows move, Enter selects, Shift and arrows select on, Escape leaves",
  }, space);
  const details = make("div", { class: "bw-region bw-details" });
  root.append(make("div", { class: "bw-head" }, title, bar), side, lanesSaid, legend, pane, notes, details);

  // Words.
  const unit = () => info.unit;
  /** @param {number} at */
  const number = (at) => whole(at + info.offset);
  /** @param {number} start @param {number} end */
  const span = (start, end) =>
    end - start === 1 ? `${unit()} ${number(start)}` : `${unit()}s ${number(start)}–${number(end - 1)}`;
  /** @param {number} sequence */
  const length = (sequence) => info.sequences[sequence][1];
  /** @returns {number[] | null} */
  const range = () => dragged || model.get("_range");

  // The stretches that Python sends.
  /** @param {number} sequence @param {number} at */
  const chunkAt = (sequence, at) => held.get(`${sequence}/${Math.floor(at / info.chunk)}`);
  /** @param {number} sequence @param {number} start @param {number} end */
  function letters(sequence, start, end) {
    const chunk = chunkAt(sequence, Math.min(start, length(sequence) - 1)) || chunkAt(sequence, Math.max(0, end - 1));
    if (!chunk) return "";
    const cut = chunk.text.slice(Math.max(0, start - chunk.from), end - chunk.from);
    return typeof cut === "string" ? cut : cut.join("");
  }
  function takeOpening() {
    held.clear();
    asked.clear();
    for (const one of model.get("_opening").chunks || []) held.set(`${one.sequence}/${one.chunk}`, decode(one, one.parts));
  }
  /** @param {number} sequence @param {number} chunk */
  async function fetchChunk(sequence, chunk, quiet = false) {
    const key = `${sequence}/${chunk}`;
    if (held.has(key) || asked.has(key)) return;
    asked.add(key);
    try {
      const { content, buffers } = await ask("chunk", { sequence, chunk }, quiet);
      if (content.version !== info.version) return;
      held.set(key, decode(content, buffers));
      if (held.size > HELD) held.delete(held.keys().next().value || "");
      asked.delete(key);
      // What came ahead of its time draws nothing anew.
      if (pane.querySelector(".bw-await")) again();
      if (!asked.size) ahead();
    } catch (error) {
      asked.delete(key);
      trouble(error);
    }
  }
  /** What may be scrolled to next comes while nobody waits. */
  function ahead() {
    const [sequence, b] = rowAt(pane.scrollTop * stretch());
    if (!info.sequences.length) return;
    const here = Math.floor((b * cols) / info.chunk), last = Math.ceil(length(sequence) / info.chunk);
    for (let away = 1; away < MANY; away++)
      for (const chunk of [here + away, here - away])
        if (chunk >= 0 && chunk < last && !held.has(`${sequence}/${chunk}`)) {
          if (held.size < HELD) fetchChunk(sequence, chunk, true);
          return;
        }
  }

  // Geometry: blocks of equal height, each a ruler and its lanes for `cols` letters.
  const probe = make("span", { class: "bw-letters bw-probe" }, "0".repeat(100));
  pane.append(probe);
  /** Sizes count where there is something to see: a change of theme hides all for a moment. */
  function see() {
    if (!pane.clientWidth) return;
    [wide, tall, letter] = [pane.clientWidth, pane.clientHeight, probe.getBoundingClientRect().width / 100];
  }
  function measure() {
    see();
    gutter = wide < 560 ? 52 : 92;
    pad = info.special ? 4 * letter : 6;
    const room = Math.floor((wide - gutter - 2 * pad - 4) / letter);
    cols = Math.max(10, room > 20 ? room - (room % 10) : room);
    let y = RULER + (panel === "Mutate" ? ROW : 0);
    laneTops = info.lanes.map((lane) => {
      const top = y;
      y += lane.rows * ROW + 4;
      return top;
    });
    if (info.cuts) y += 8;
    block = y + info.frames.length * FRAME + GAP;
    total = 0;
    const heads = info.sequences.length > 1;
    tops = info.sequences.map((one) => {
      const top = total;
      total += (heads ? HEAD : 0) + Math.max(1, Math.ceil(one[1] / cols)) * block;
      return top;
    });
    // Browsers end at some 17 million pixels
    space.style.height = `${Math.min(total, 15e6)}px`;
    pane.style.maxHeight = `${model.get("height")}px`;
    // Asked once: while scrolling the question would lay the page out anew
    tall = pane.clientHeight || tall;
    for (const [name, row] of drawn) drop(name, row);
  }
  /** Pixels of the whole for one of the scroll bar: 1 unless it is too tall for a browser. */
  function stretch() {
    const most = Math.min(total, 15e6) - tall;
    return most > 0 ? (total - tall) / most : 1;
  }
  const heads = () => (info.sequences.length > 1 ? HEAD : 0);
  /** @param {number} y @returns {[number, number]} */
  function rowAt(y) {
    const s = Math.max(0, first(tops.length, (i) => tops[i] > y) - 1);
    const rows = Math.max(1, Math.ceil((info.sequences[s]?.[1] || 0) / cols));
    return [s, Math.min(rows - 1, Math.max(0, Math.floor((y - (tops[s] || 0) - heads()) / block)))];
  }
  /** @param {string} name @param {HTMLElement} row */
  function drop(name, row) {
    row.remove();
    drawn.delete(name);
  }

  // Drawing.
  function paint() {
    if (!info.sequences.length || !pane.isConnected) return;
    const factor = stretch(), top = pane.scrollTop * factor;
    const shift = pane.scrollTop - top;
    let [s, b] = rowAt(Math.max(0, top - AHEAD));
    const wanted = new Set();
    while (s < tops.length) {
      const y = tops[s] + heads() + b * block;
      if (y > top + tall + AHEAD) break;
      const name = `${s}/${b}`;
      wanted.add(name);
      let row = /** @type {HTMLElement} */ (drawn.get(name));
      if (!row) {
        drawn.set(name, (row = drawBlock(s, b)));
        space.append(row);
      }
      row.style.top = `${y + shift - (b ? 0 : heads())}px`;
      if ((b + 1) * cols < length(s)) b++;
      else [s, b] = [s + 1, 0];
    }
    for (const [name, row] of drawn) if (!wanted.has(name)) drop(name, row);
    const active = pane.querySelector(".bw-caret") || pane.querySelector(".bw-focus");
    if (active) {
      active.id = `${uid}-focus`;
      pane.setAttribute("aria-activedescendant", active.id);
    } else pane.removeAttribute("aria-activedescendant");
  }
  function again() {
    for (const [name, row] of drawn) drop(name, row);
    paint();
  }
  /** @param {string} kind @param {number} left @param {number} top @param {number} width @param {string} [words] @param {object} [more] */
  const box = (kind, left, top, width, words, more) =>
    make("span", { class: kind, style: `left:${left}px;top:${top}px;width:${width}px`, ...more }, words);

  /** @param {number} s @param {number} b */
  function drawBlock(s, b) {
    const a = b * cols, z = Math.min(length(s), a + cols);
    const track = make("div", { class: "bw-track", style: `left:${gutter}px` });
    /** @type {HTMLElement} */
    const row = make("div", { class: "bw-block", role: "presentation" }, track);
    const down = b ? 0 : heads();
    track.style.top = `${down}px`;
    row.style.height = `${block + down}px`;
    if (down) row.append(make("div", { class: "bw-name" }, `${info.sequences[s][0]} · ${many(length(s), unit())}`));
    /** @param {string} words @param {number} top @param {string} [more] */
    const label = (words, top, more) =>
      row.append(make("span", { class: "bw-label", style: `top:${top + down}px;width:${gutter - 6}px`, title: more || words }, words));
    const x = (/** @type {number} */ at) => pad + (at - a) * letter;

    for (let at = Math.ceil(a / 10) * 10; at < z; at += 10) track.append(box("bw-tick", x(at), 0, letter, number(at)));
    const [from, to] = [a, Math.max(a, z - 1)].map((at) => Math.floor(at / info.chunk));
    /** @type {Chunk[]} */
    const chunks = [];
    for (let c = from; c <= to; c++) {
      const chunk = held.get(`${s}/${c}`);
      if (chunk) chunks.push(chunk);
      else fetchChunk(s, c);
    }
    info.lanes.forEach((lane, i) => label(lane.label, laneTops[i] + 2, lane.said));
    if (chunks.length <= to - from) {
      track.append(make("span", { class: "bw-await" }, "Waiting for Python …"));
      return row;
    }
    if (panel === "Mutate" && panels) panels.draw(track, s, a, z, x);
    info.lanes.forEach((lane, i) => {
      const mine = replay && replay.sequence === s && replay.lane === i ? replay : null;
      if (mine) mine.draw(track, a, z, x);
      drawLane(track, chunks, s, i, a, z, x, mine);
    });
    let y = (laneTops.at(-1) ?? RULER) + (info.lanes.at(-1)?.rows || 1) * ROW + 4;
    if (info.cuts) {
      if (chunks.some((chunk) => chunk.agreed.length)) label("shared cuts", y - 4, "Where all tokenizers cut");
      for (const chunk of chunks) for (const at of chunk.agreed) if (at > a && at <= z) track.append(box("bw-agree", x(at) - 1, y, 2));
      y += 8;
    }
    info.frames.forEach((frame, i) => {
      label(`${gutter < 60 ? "" : "frame "}${frame > 0 ? "+" : "−"}${Math.abs(frame)}`, y + 8);
      const seen = new Set();
      for (const chunk of chunks) {
        const { start, protein } = chunk.frames[i];
        for (let c = Math.max(0, Math.floor((a - start) / 3)); c < protein.length; c++) {
          const at = start + 3 * c, left = Math.max(at, a), right = Math.min(at + 3, z);
          if (at >= z) break;
          if (right <= left || seen.has(at)) continue;
          seen.add(at);
          const ends = (at < a ? " bw-from" : "") + (at + 3 > z ? " bw-on" : "");
          track.append(box(`bw-codon bw-letters${protein[c] === "*" ? " bw-stop" : ""}${ends}`, x(left), y, (right - left) * letter, letters(s, left, right)));
          if (at + 1 >= a && at + 1 < z) track.append(box("bw-amino bw-letters", x(at + 1), y + 15, letter, protein[c]));
        }
      }
      y += FRAME;
    });
    drawMarks(track, s, a, z, x);
    return row;
  }

  /**
   * @param {HTMLElement} track @param {Chunk[]} chunks @param {number} s @param {number} i @param {number} a
   * @param {number} z @param {Across} x @param {Replay | null} mine
   */
  function drawLane(track, chunks, s, i, a, z, x, mine) {
    const end = z === length(s);
    /** @type {Token[]} */
    const lead = [], tail = [];
    let last = -1;
    for (const chunk of chunks) {
      const lane = chunk.lanes[i];
      for (let j = first(lane.n, (k) => lane.ints[2 * lane.n + k] >= a); j < lane.n; j++) {
        const t = token(lane, j);
        if (t.start > z || (t.start === z && !(end && t.start === t.end))) break;
        if (t.index <= last || (t.end === a && t.start < t.end)) continue;
        last = t.index;
        if (t.start === t.end) {
          if (t.special && t.start === 0 && t.index < 4) lead.push(t);
          else if (t.special && end && t.start === z) tail.push(t);
          else track.append(piece(s, i, t, x(t.start) - letter / 2, letter, "bw-zero", /^\s*$/.test(t.note) ? "↵" : "▾"));
          continue;
        }
        if (mine && t.start >= mine.start && t.end <= mine.end) continue;
        const left = Math.max(t.start, a), right = Math.min(t.end, z);
        const kind = (t.start < a ? "bw-from " : "") + (t.end > z ? "bw-on" : "");
        track.append(piece(s, i, t, x(left), (right - left) * letter, kind, letters(s, left, right)));
      }
    }
    lead.forEach((t, k) => track.append(piece(s, i, t, (k * pad) / lead.length, pad / lead.length - 3, "bw-chip", t.note)));
    tail.forEach((t, k) => track.append(piece(s, i, t, x(z) + 3 + (k * pad) / tail.length, pad / tail.length - 3, "bw-chip", t.note)));
  }

  /** @param {number} s @param {number} i @param {Token} t @param {number} left @param {number} width @param {string} kind @param {string} words */
  function piece(s, i, t, left, width, kind, words) {
    const here = focus?.sequence === s && focus.lane === i && focus.token.index === t.index;
    const names = ["bw-t bw-letters", kind, t.special && "bw-special", t.unknown && "bw-unknown", t.changed && "bw-changed", here && "bw-focus"];
    /** @param {string} end */
    const gap = (end) => +(t.end > t.start && !kind.includes(end));
    const color = model.get("color"), tokens = color === "token", chosen = range();
    const share = tokens || t.special ? NaN : valued(info.scales[color], color, t, letters(s, t.start, t.end)), none = share !== share;
    const node = box(names.filter(Boolean).join(" "), left + gap("bw-from"), laneTops[i] + t.row * ROW, width - gap("bw-from") - gap("bw-on"), words, {
      role: "option", "aria-label": described(s, i, t),
      "aria-selected": String(!!chosen && chosen[0] === s && t.start < chosen[2] && t.end > chosen[1]),
    });
    const hue = tokens ? info.hues[t.hue] : info.viridis[Math.round(share * (info.viridis.length - 1))];
    node.style.setProperty("--bw-hue", t.special || (none && !tokens) ? "transparent" : hue);
    if (!none && kind !== "bw-zero") node.append(make("i", { class: "bw-bar", style: `width:${Math.round(share * 100)}%` }));
    behind.set(node, { sequence: s, lane: i, token: t });
    return node;
  }
  /** @param {number} s @param {number} i @param {Token} t */
  function described(s, i, t) {
    const shown = t.special || t.start === t.end ? t.note : letters(s, t.start, t.end);
    const where = t.end > t.start ? span(t.start, t.end) : "no letters";
    return `${shown.trim() || "line break"}, ${info.lanes[i].label}, ${where}${t.unknown ? ", unknown: " + t.note : ""}${t.changed ? ", changed" : ""}`;
  }

  /** @param {HTMLElement} track @param {number} s @param {number} a @param {number} z @param {Across} x */
  function drawMarks(track, s, a, z, x) {
    const chosen = range();
    if (chosen && chosen[0] === s && chosen[1] < z && chosen[2] > a) {
      const left = Math.max(chosen[1], a), right = Math.min(chosen[2], z);
      const mark = box("bw-chosen", x(left) - 1, RULER - 3, (right - left) * letter + 2);
      mark.style.height = `${block - RULER - GAP + 6}px`;
      track.append(mark);
    }
    for (const [q, start, end, strand] of model.get("_found").places || [])
      if (q === s && start < z && end > a) {
        const left = Math.max(start, a), right = Math.min(end, z);
        track.append(box("bw-found", x(left), RULER - 5, (right - left) * letter, strand < 0 ? "◂" : "▸"));
      }
  }

  // What is known of a token, at the foot of the card.
  /** @param {Seen} one @param {boolean} [aloud] */
  function tell(one, aloud) {
    const { sequence: s, lane: i, token: t } = one;
    const lane = info.lanes[i];
    if (!lane) return;
    const text = t.special || t.start === t.end ? t.note : letters(s, t.start, t.end);
    const key = `${lane.label}/${t.id}`, more = known.get(key);
    details.replaceChildren(make("b", { class: "bw-letters" }, text.length > 40 ? text.slice(0, 40) + "…" : text.trim() || "↵"), " ",
      make("span", { class: "bw-quiet" }, `${info.lanes.length > 1 ? lane.label + " · " : ""}${told(info, t, text, span(t.start, t.end), more)}`));
    if (aloud) say(details.textContent || "");
    if (!more) {
      known.set(key, { rank: 0, words: 0, merges: [] });
      ask("about", { lane: lane.label, token: t.id }).then(({ content }) => {
        known.set(key, content);
        if (shown === one) tell(one);
      }, () => known.delete(key));
    }
    shown = one;
  }
  /** @type {any} */
  let shown = null;
  function tellNothing() {
    shown = null;
    const chosen = range();
    details.replaceChildren(make("span", { class: "bw-quiet" },
      !info.sequences.length ? info.notes[0] || ""
        : chosen ? `Selected: ${span(chosen[1], chosen[2])}${info.sequences.length > 1 ? " of " + info.sequences[chosen[0]][0] : ""}, ${many(chosen[2] - chosen[1], "letter")}. ${info.there}`
          : info.hint));
  }

  // Pointing, dragging and keys.
  /** @param {string} event @param {(event: any) => void} act */
  const on = (event, act) => pane.addEventListener(event, act);
  /** @param {PointerEvent | MouseEvent} event @returns {{sequence: number, at: number} | null} */
  function spot(event) {
    const y = (event.clientY - space.getBoundingClientRect().top - pane.scrollTop) + pane.scrollTop * stretch();
    const [sequence, b] = rowAt(y);
    if (!info.sequences.length || !length(sequence)) return null;
    const left = event.clientX - space.getBoundingClientRect().left - gutter - pad;
    const a = b * cols, z = Math.min(length(sequence), a + cols);
    return { sequence, at: Math.max(a, Math.min(z - 1, a + Math.floor(left / letter))) };
  }
  /** @param {number[] | null} chosen */
  function choose(chosen) {
    dragged = null;
    mine = String(chosen);
    model.set("_range", chosen);
    model.save_changes();
    again();
    tellNothing();
  }
  /** @type {{sequence: number, at: number, one: any, moved: boolean} | null} */
  let grip = null;
  on("pointerdown", (event) => {
    // The scroll bar
    if (event.button || (event.target === pane && event.offsetX > pane.clientWidth)) return;
    const at = spot(event);
    if (!at) return;
    const node = /** @type {Element} */ (event.target).closest(".bw-t");
    const old = range();
    if (event.shiftKey && old && old[0] === at.sequence) {
      choose([at.sequence, Math.min(old[1], at.at), Math.max(old[2], at.at + 1)]);
      return;
    }
    grip = { ...at, one: node && behind.get(node), moved: false };
    pane.setPointerCapture(event.pointerId);
  });
  on("pointermove", (event) => {
    if (!grip) return;
    const at = spot(event);
    if (!at || at.sequence !== grip.sequence || (at.at === grip.at && !grip.moved)) return;
    grip.moved = true;
    dragged = [grip.sequence, Math.min(grip.at, at.at), Math.max(grip.at, at.at) + 1];
    again();
    tellNothing();
  });
  on("pointerup", () => {
    const held_ = grip;
    grip = null;
    if (!held_) return;
    pane.focus({ preventScroll: true });
    if (held_.moved && dragged) return choose(dragged);
    if (panel === "Mutate" && panels) panels.point(held_);
    else if (held_.one) {
      focus = held_.one;
      const { start, end } = held_.one.token;
      choose(end > start ? [held_.one.sequence, start, end] : null);
      tell(held_.one);
    } else choose(null);
  });
  on("pointercancel", () => {
    grip = dragged = null;
    again();
  });
  let pointed = "";
  on("mouseover", (event) => {
    const one = behind.get(/** @type {Element} */ (event.target).closest(".bw-t") || root);
    // Drawn anew under a pointer at rest: nobody's wish to read about it.
    if (pointed !== (pointed = `${event.screenX},${event.screenY}`) && one && !grip) tell(one);
  });
  /** @param {number} s @param {number} at */
  function show(s, at) {
    const y = tops[s] + heads() + Math.floor(Math.max(0, at) / cols) * block;
    const top = pane.scrollTop * stretch();
    if (y < top || y + block > top + pane.clientHeight) pane.scrollTop = Math.max(0, y - 8) / stretch();
    again();
  }
  /** The token of a lane by its index, near a letter. @param {number} s @param {number} i @param {number} index @param {number} near @returns {Token | null} */
  function byIndex(s, i, index, near) {
    for (const at of [near, near + info.chunk, near - info.chunk]) {
      const lane = chunkAt(s, Math.max(0, Math.min(at, length(s) - 1)))?.lanes[i];
      if (lane && index >= lane.first && index < lane.first + lane.n) return token(lane, index - lane.first);
    }
    const c = Math.floor(Math.max(0, near) / info.chunk);
    for (const chunk of [c + 1, c - 1]) if (chunk >= 0 && chunk * info.chunk < length(s)) fetchChunk(s, chunk);
    return null;
  }
  /** The token of a lane at a letter. @param {number} s @param {number} i @param {number} at @returns {Token | null} */
  function byLetter(s, i, at) {
    const lane = chunkAt(s, at)?.lanes[i];
    if (!lane || !lane.n) return null;
    return token(lane, Math.min(lane.n - 1, first(lane.n, (k) => lane.ints[2 * lane.n + k] > at)));
  }
  /** @param {number} s @param {number} i @param {Token | null} t */
  function look(s, i, t) {
    if (!t) return;
    focus = { sequence: s, lane: i, token: t };
    show(s, Math.min(t.start, length(s) - 1));
    tell(focus, true);
  }
  on("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !info.sequences.length) return;
    if (keyed(event)) {
      event.preventDefault();
      event.stopPropagation();
    }
  });
  /** @param {KeyboardEvent} event */
  function keyed(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key] || 0, lanes = { ArrowDown: 1, ArrowUp: -1 }[event.key] || 0;
    if (event.key === "Escape") {
      if (range()) choose(null);
      else pane.blur();
      return true;
    }
    if (panel === "Mutate" && panels && panels.key(event, step, lanes)) return true;
    if (!focus) {
      if (!step && !lanes && event.key !== "Enter") return false;
      const [s, b] = rowAt(pane.scrollTop * stretch());
      look(s, 0, b ? byLetter(s, 0, b * cols) : byIndex(s, 0, 0, 0));
      return true;
    }
    const { sequence: s, lane: i, token: t } = focus;
    const old = range();
    if (event.key === "Enter") {
      if (t.end > t.start) choose([s, t.start, t.end]);
      tell(focus, true);
    } else if (step) {
      const next = byIndex(s, i, t.index + step, t.start);
      if (!next) {
        const other = s + step;
        if (other >= 0 && other < tops.length) look(other, i, step > 0 ? byIndex(other, i, 0, 0) : byLetter(other, i, length(other) - 1));
      } else {
        if (event.shiftKey && next.end > next.start)
          choose(old && old[0] === s ? [s, Math.min(old[1], next.start), Math.max(old[2], next.end)] : [s, Math.min(t.start, next.start), Math.max(t.end, next.end)]);
        look(s, i, next);
      }
    } else if (lanes) {
      const lane = i + lanes;
      if (lane >= 0 && lane < info.lanes.length) look(s, lane, byLetter(s, lane, Math.min(t.start, length(s) - 1)));
      else look(s, i, byLetter(s, i, Math.max(0, Math.min(length(s) - 1, t.start + lanes * cols))));
    } else if (event.key === "Home" || event.key === "End") look(s, i, event.key === "Home" ? byIndex(s, i, 0, 0) : byLetter(s, i, length(s) - 1));
    else return false;
    return true;
  }

  // The panels come from Python when the first is opened: none can do without it.
  /** @param {string} verb @param {Record<string, any>} given */
  const act = (verb, given) => {
    trouble("");
    return ask(verb, given).catch(trouble);
  };
  const here = () => range()?.[0] ?? focus?.sequence ?? 0;
  /** @type {Desk} */
  const desk = {
    model, side, ask, act, trouble, here, range, choose, show, again, letters, length, span, number, many, whole, box, say,
    info: () => info, cols: () => cols, pitch: () => [letter, RULER], top: (/** @type {number} */ lane) => laneTops[lane],
    play: (/** @type {Replay | null} */ r) => (replay = r), reopen: () => openPanel(panel),
  };
  /** @type {Record<string, any> | null} */
  let panels = null;
  async function fetchPanels() {
    side.replaceChildren(make("span", { class: "bw-quiet" }, "Waiting for Python …"));
    const { content } = await ask("module", { stem: "token_panels" });
    panels = (await biollmImported(content.text))(desk);
    openPanel(panel);
  }
  /** @param {Element} node */
  const named = (node) => node.getAttribute("aria-label") || node.textContent;
  /** @param {string} name */
  function openPanel(name) {
    if (panels) panels.rest(name);
    const active = document.activeElement, had = active && side.contains(active) ? named(active) : "";
    const mutate = (panel === "Mutate") !== (name === "Mutate");
    panel = name;
    side.hidden = !name;
    try {
      if (name && panels) panels[name]();
      else if (name) fetchPanels().catch(trouble);
    } catch (error) {
      trouble(error);
    }
    if (had) ([...side.querySelectorAll("button,input,select")].find((node) => named(node) === had && !node.disabled) || pane).focus({ preventScroll: true });
    for (const node of bar.querySelectorAll("[aria-expanded]")) node.setAttribute("aria-expanded", String(node.textContent === name));
    if (mutate) measure();
    again();
  }

  // The whole card. The bar is made once, so that whoever stands in it stays there.
  const pick = make("select", { onchange: () => {
    model.set("color", pick.value);
    model.save_changes();
  } });
  bar.append(make("label", { class: "bw-check" }, "Colour", pick), ...(model.get("_alone") ? [] : PANELS).map((name) => button(name, () => {
    trouble("");
    openPanel(panel === name ? "" : name);
  }, { "aria-expanded": "false" })));
  function words() {
    title.textContent = info.title;
    const color = model.get("color");
    pick.replaceChildren(...info.colours.map(([name, said]) => make("option", { value: name, selected: name === color }, said)));
    lanesSaid.hidden = info.lanes.length < 2 || !info.sequences.length;
    lanesSaid.replaceChildren(...info.lanes.map((lane) => make("span", {}, make("b", {}, lane.label), ` ${lane.said}`)));
    const scale = info.scales[color];
    legend.hidden = !info.sequences.length;
    legend.replaceChildren(...(scale
      ? [`${scale.label}: ${scale.low_said}`, make("span", { class: "bw-scale", style: `background:linear-gradient(90deg,${info.viridis.join(",")})` }), scale.high_said, info.bars]
      : [info.same]), ...info.keys.map((key) => make("span", { class: `bw-key bw-${key}` }, key)));
    notes.hidden = !info.notes.length || !info.sequences.length;
    const said = info.notes.map((note) => make("p", {}, note));
    notes.replaceChildren(...said.slice(0, 4), said.length > 4 ? make("details", {}, make("summary", {}, many(said.length - 4, "more note")), ...said.slice(4)) : "");
    pane.hidden = !info.sequences.length;
  }
  function renew() {
    info = model.get("_card");
    takeOpening();
    if (!model.get("_alone")) known.clear();
    words();
    measure();
    if (focus && info.sequences[focus.sequence] && info.lanes[focus.lane]) {
      const near = byLetter(focus.sequence, focus.lane, Math.min(focus.token.start, length(focus.sequence) - 1));
      focus = near && { ...focus, token: near };
    } else focus = null;
    openPanel(panel);
    tellNothing();
  }
  /** Once before the next picture, however often it is called. @param {() => void} act */
  const later = (act) => {
    let soon = 0;
    return () => {
      cancelAnimationFrame(soon);
      soon = requestAnimationFrame(() => {
        try {
          act();
        } catch (error) {
          trouble(error);
        }
      });
    };
  };
  const changes = later(renew);
  const recolor = later(() => {
    words();
    again();
  });
  const moved = later(() => {
    const chosen = model.get("_range");
    if (chosen && String(chosen) !== mine) show(chosen[0], chosen[1]);
    else again();
    if (!shown) tellNothing();
    if (panel === "Mutate" || panel === "Save") openPanel(panel);
  });
  const found = later(() => {
    say(model.get("_found").words || "");
    openPanel(panel);
  });
  /** @type {[string, () => void][]} */
  const ears = [["change:_opening", changes], ["change:color", recolor], ["change:_range", moved], ["change:_found", found]];
  for (const [event, hear] of ears) model.on(event, hear);
  let frame = 0;
  on("scroll", () => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(paint);
  });
  let size = "";
  const fit = later(() => {
    if (size !== (size = `${wide} ${letter}`)) measure();
    paint();
  });
  const sized = new ResizeObserver(() => {
    see();
    fit();
  });
  sized.observe(pane);
  sized.observe(probe); // a change of theme takes the font away and brings another
  renew();
  const soon = setTimeout(ahead, 300);
  return () => {
    clearTimeout(soon);
    if (panels) panels.rest("");
    sized.disconnect();
    for (const [event, hear] of ears) model.off(event, hear);
  };
}

export default {
  /** @param {{model: Model, el: HTMLElement}} given */
  render: ({ model, el }) => card(model, el, "Token view", (root, tools) => view(model, root, tools)),
};
