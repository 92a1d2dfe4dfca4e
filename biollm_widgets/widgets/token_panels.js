// @ts-check
// The panels of the token view: compare, mutate, replay the merges, find, choose reading frames, take away. Python sends
// this module, with base.js before it, when the first panel is opened.

/**
 * @typedef {(track: HTMLElement, a: number, z: number, x: (at: number) => number) => void} Drawer
 * @typedef {{sequence: number, lane: number, start: number, end: number, starts: Int32Array, gone: Int32Array,
 *   ranks: Int32Array, steps: number, step: number, draw: Drawer}} Replay a replay of merges: `gone` is the step at
 *   which the border in front of a starting piece goes, 0 for never
 * @typedef {{
 *   model: Model, side: any, info: () => any, here: () => number, cols: () => number, pitch: () => number[],
 *   ask: (verb: string, given?: Record<string, any>) => Promise<Answer>, trouble: (error: unknown) => void,
 *   act: (verb: string, given: Record<string, any>) => Promise<Answer | void>, top: (lane: number) => number,
 *   range: () => number[] | null, choose: (chosen: number[] | null) => void, reopen: () => void,
 *   show: (sequence: number, at: number) => void, again: () => void, play: (replay: Replay | null) => void,
 *   letters: (sequence: number, start: number, end: number) => string, length: (sequence: number) => number,
 *   span: (start: number, end: number) => string, number: (at: number) => string,
 *   many: (count: number, noun: string) => string, whole: (value: number) => string,
 *   say: (words: string) => void, box: (kind: string, left: number, top: number, width: number, words?: string) => any
 * }} Desk what the view hands to its panels
 */

/** @param {Desk} desk @returns {Record<string, any>} */
export default function panels(desk) {
  const { model, side, ask, act, trouble, range, choose, show, again, letters, length, span, number, many, whole, info, box } = desk;
  let playing = 0, place = 0, sought = "", kindSought = "motif", written = "", spoken = "";
  /** The letter that Mutate works on. @type {{sequence: number, at: number} | null} */
  let caret = null;
  /** @type {Replay | null} */
  let replay = null;
  const here = () => caret?.sequence ?? desk.here();
  /** @param {string} kind @param {...any} given */
  const edit = (kind, ...given) => act("edit", { sequence: here(), kind, given });
  /** @param {string} head @param {...Child} rows */
  const fill = (head, ...rows) => side.replaceChildren(make("b", {}, head), ...rows.filter(Boolean).map((row) => row || ""));
  /** @param {...Child} parts */
  const line = (...parts) => make("div", { class: "bw-row" }, ...parts);
  /** @param {any} words */
  const quiet = (words) => make("p", { class: "bw-quiet" }, words);
  side.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Escape") return;
    const opener = side.parentNode.querySelector('[aria-expanded="true"]');
    opener?.focus();
    opener?.click();
    event.stopPropagation();
  });

  /** @type {Record<string, any>} */
  const all = {
    /** The panel closes or another opens. @param {string} name */
    rest(name) {
      clearInterval(playing);
      playing = 0;
      if (name !== "Merges") desk.play((replay = null));
      if (name !== "Mutate") caret = null;
    },
    /** @param {{sequence: number, at: number}} spot */
    point({ sequence, at }) {
      caret = { sequence, at };
      desk.reopen();
    },
    /** @param {KeyboardEvent} event @param {number} step @param {number} rows @returns {boolean} whether the key was for Mutate */
    key(event, step, rows) {
      if (event.shiftKey) return false;
      if (!caret) {
        // With the keys alone: the first arrow goes to the selection, or to the first letter.
        if ((!step && !rows) || !length(here())) return false;
        caret = { sequence: here(), at: range()?.[1] ?? 0 };
        desk.reopen();
        show(caret.sequence, caret.at);
      } else if (step || rows) {
        caret.at = Math.max(0, Math.min(length(caret.sequence) - 1, caret.at + step + rows * desk.cols()));
        desk.reopen();
        show(caret.sequence, caret.at);
      } else if (event.key === "Delete" || event.key === "Backspace") edit("delete", caret.at, caret.at + 1);
      else if (/^[a-z]$/i.test(event.key)) edit("change", caret.at, event.key.toUpperCase());
      else return false;
      return true;
    },
    /** The letters themselves, to click. @param {HTMLElement} track @param {number} s @param {number} a @param {number} z @param {(at: number) => number} x */
    draw(track, s, a, z, x) {
      const [width, top] = desk.pitch();
      Array.from(letters(s, a, z)).forEach((base, k) => {
        const here = caret && caret.sequence === s && caret.at === a + k;
        const letter = box(`bw-base bw-letters${here ? " bw-caret" : ""}`, x(a + k), top, width, base);
        // What the keys are at, for those who hear the page.
        if (here) for (const [name, value] of [["role", "option"], ["aria-selected", "true"], ["aria-label", `${info().unit} ${number(a + k)}, ${base}`]]) letter.setAttribute(name, value);
        track.append(letter);
      });
    },
    Compare() {
      const table = make("table", {});
      const finding = make("p", { role: "status" });
      const adds = info().offered.map((/** @type {string} */ name) => button(`Add ${name}`, () => act("lane", { add: name })));
      const takes = info().lanes.length > 1 ? info().lanes.map((/** @type {any} */ lane) => button(`Take ${lane.label} away`, () => act("lane", { remove: lane.label }))) : [];
      fill("Other tokenizers on the same ruler", line(...adds, ...takes), finding, make("div", { class: "bw-wide" }, table));
      if (info().sequences.length)
        ask("compare", { sequence: here() }).then(({ content }) => {
          finding.textContent = content.said.join(" ");
          /** @param {string} tag @param {string[]} cells */
          const cells = (tag, cells) => make("tr", {}, ...cells.map((cell) => make(tag, {}, cell)));
          table.append(make("thead", {}, cells("th", content.head)), make("tbody", {}, ...content.rows.map((/** @type {string[]} */ row) => cells("td", row))));
        }, trouble);
    },
    Mutate() {
      const s = here(), old = range(), chosen = old && old[0] === s ? old : null, spot = caret && caret.sequence === s && caret.at < length(s) ? caret.at : null;
      const edits = info().edits[s];
      if (edits && spoken !== (spoken = edits.summary)) desk.say(edits.summary);
      const base = spot === null ? "" : letters(s, spot, spot + 1);
      const alphabet = info().dna ? "ACGTN" : "ACDEFGHIKLMNPQRSTVWY";
      const typed = make("input", { type: "text", size: 12, maxlength: 1000, class: "bw-letters", "aria-label": "Letters to insert", placeholder: "letters", spellcheck: "false", value: written,
        // Kept while someone points at the place for them.
        oninput: () => (written = typed.value), onkeydown: (/** @type {KeyboardEvent} */ e) => e.key === "Enter" && insert() });
      const insert = () => {
        const put = typed.value.trim();
        if (!put) return trouble("Type the letters to insert first.");
        written = "";
        edit("insert", spot === null ? length(s) : spot, put);
      };
      const part = chosen ? chosen.slice(1) : [0, length(s)], which = chosen ? "the selection" : "all";
      fill(spot === null ? `Click a ${info().unit}, or go to it with the arrows, and choose or type another.` : `${info().unit === "base" ? "Base" : "Residue"} ${number(spot)} is ${base}`,
        spot !== null && line("Change to", ...Array.from(alphabet).map((to) => button(to, () => edit("change", spot, to), { disabled: to === base, "aria-label": `Change to ${to}` })),
          button("Delete it", () => edit("delete", spot, spot + 1))),
        line(typed, button(spot === null ? "Insert at the end" : "Insert before it", insert),
          chosen && button("Delete the selection", () => edit("delete", ...part)),
          info().dna && button(`Reverse complement ${which}`, () => edit("reverse_complement", ...part)),
          button(`Lower case ${which}`, () => edit("lower_case", ...part)),
          button("Undo", () => edit("undo"), { disabled: !edits }), button("Start again", () => edit("reset"), { disabled: !edits })),
        edits && make("p", { class: "bw-summary" }, edits.summary),
        edits && make("ul", { class: "bw-quiet" }, ...edits.lanes.map((/** @type {string} */ words) => make("li", {}, words))),
        edits && make("details", { class: "bw-quiet" }, make("summary", {}, many(edits.log.length, "edit")), edits.log.join("; ")));
    },
    Merges() {
      const lanes = info().lanes.map((/** @type {any} */ lane, /** @type {number} */ i) => ({ ...lane, i })).filter((/** @type {any} */ lane) => lane.bpe);
      if (!lanes.length || !info().sequences.length) return fill("Merges", quiet("None of these tokenizers is BPE, so no merges made their tokens. Give TokenView a BPE tokenizer, DNABERT-2's for instance."));
      const pick = make("select", { "aria-label": "Tokenizer", onchange: () => start(Number(pick.value)) }, ...lanes.map((/** @type {any} */ lane) => make("option", { value: String(lane.i) }, lane.label)));
      const slide = make("input", { type: "range", min: "0", max: "0", "aria-label": "Merges done", oninput: () => go(Number(slide.value)) });
      const words = make("p", { class: "bw-step" }), note = make("span", { class: "bw-quiet" });
      const play = button("Play", () => {
        if (playing) return stop();
        const r = replay;
        if (!r) return;
        if (r.step >= r.steps) go(0);
        play.textContent = "Pause";
        playing = window.setInterval(() => (r.step < r.steps ? go(r.step + Math.max(1, Math.round(r.steps / 200))) : stop()), 350);
      });
      const stop = () => {
        clearInterval(playing);
        playing = 0;
        play.textContent = "Play";
      };
      /** @param {number} step */
      const go = (step) => {
        const r = replay;
        if (!r) return;
        r.step = Math.max(0, Math.min(r.steps, step));
        slide.value = String(r.step);
        words.textContent = stepSaid(r);
        slide.setAttribute("aria-valuetext", words.textContent || "");
        again();
      };
      /** @param {number} lane */
      const start = async (lane) => {
        const s = here(), chosen = range();
        const [from, to] = chosen && chosen[0] === s ? chosen.slice(1) : [0, Math.min(length(s), info().replayed)];
        try {
          const { content, buffers } = await ask("merges", { sequence: s, lane: info().lanes[lane].label, start: from, end: to });
          const [starts, gone, ranks] = buffers.map((part) => new Int32Array(part.buffer.slice(part.byteOffset, part.byteOffset + part.byteLength)));
          /** @type {Replay} */
          const mine = { ...content, sequence: s, lane, starts, gone, ranks, step: 0, draw: (track, a, z, x) => drawReplay(track, mine, a, z, x) };
          desk.play((replay = mine));
          slide.max = String(content.steps);
          note.textContent = `${span(content.start, content.end)}${content.end - content.start < length(s) ? "; select others to replay those" : ""}`;
          go(0);
        } catch (error) {
          trouble(error);
        }
      };
      fill("How BPE joined letters into tokens", line(pick, button("Back", () => go((replay?.step || 0) - 1)), play, button("Next", () => go((replay?.step || 0) + 1)), slide, note), words);
      start(lanes[0].i);
    },
    Find() {
      const found = model.get("_found"), places = found.places || [];
      const kind = make("select", { "aria-label": "What to find" }, make("option", { value: "motif" }, "motif"), make("option", { value: "token" }, "token"));
      const what = make("input", { type: "text", size: 18, class: "bw-letters", "aria-label": "Motif or token", spellcheck: "false", placeholder: "TATAAT or [UNK]", value: sought, onkeydown: (/** @type {KeyboardEvent} */ e) => e.key === "Enter" && search() });
      kind.value = kindSought;
      const search = () => {
        [sought, kindSought, place] = [what.value, kind.value, 0];
        act("find", { what: sought, kind: kindSought });
      };
      const next = (/** @type {number} */ step) => {
        place = (place + step + places.length) % places.length;
        const [s, start, end] = places[place];
        if (end > start) choose([s, start, end]);
        show(s, start);
      };
      fill("Find", line(kind, what, button("Find", search), places.length > 1 && button("Previous", () => next(-1)), places.length > 1 && button("Next", () => next(1)), make("span", {}, found.words || "")),
        quiet(info().dna ? "A motif may use IUPAC letters (N is any base) and is looked for on both strands. A token is its text, its name or its id." : "In a motif X is any residue. A token is its text, its name or its id."));
    },
    Frames() {
      if (!info().dna) return fill("Frames", quiet("Reading frames are of DNA; these are proteins."));
      fill("Reading frames, codon by codon", line(...[1, 2, 3, -1, -2, -3].map((frame) => {
        const said = `${frame > 0 ? "+" : "−"}${Math.abs(frame)}`;
        // What the model holds, not what Python has answered: two quick clicks are two frames. The name keeps the focus.
        const box = make("input", { type: "checkbox", "aria-label": `Frame ${said}`, checked: model.get("frames").includes(frame), onchange: () => {
          const now = model.get("frames").filter((/** @type {number} */ f) => f !== frame);
          model.set("frames", box.checked ? [...now, frame] : now);
          model.save_changes();
        } });
        return make("label", { class: "bw-check" }, box, said);
      })), quiet("+ reads the strand as written, − the other strand. * is a stop."));
    },
    Save() {
      const shelf = make("div", { class: "bw-row" });
      const kinds = { svg: "Picture (SVG)", png: "Picture (PNG)", fasta: range() ? "Selection (FASTA)" : "Sequence (FASTA)", tsv: "Tokens (TSV)" };
      fill("Take away", line(...Object.entries(kinds).map(([kind, words]) => button(words, () =>
        act("export", { kind }).then((answer) => {
          if (!answer) return;
          const { content, buffers } = answer, bytes = new Uint8Array(buffers[0].buffer.slice(buffers[0].byteOffset, buffers[0].byteOffset + buffers[0].byteLength));
          hand(shelf, content.name, content.kind, content.text ? new TextDecoder().decode(bytes) : bytes);
        })))), shelf);
    },
  };
  /** @param {HTMLElement} track @param {Replay} r @param {number} a @param {number} z @param {(at: number) => number} x */
  function drawReplay(track, r, a, z, x) {
    const n = r.starts.length, [width] = desk.pitch();
    /** @param {number} k */
    const kept = (k) => k === 0 || !r.gone[k] || r.gone[k] > r.step;
    for (let i = 0, next = 1; i < n && r.starts[i] < z; i = next) {
      for (next = i + 1; next < n && !kept(next); ) next++;
      const start = r.starts[i], end = next < n ? r.starts[next] : r.end;
      const left = Math.max(start, a), right = Math.min(end, z);
      if (right <= left) continue;
      const fresh = r.step && r.gone.subarray(i + 1, next).includes(r.step);
      const ends = (start < a ? " bw-from" : "") + (end > z ? " bw-on" : ""), gap = Number(start >= a);
      const node = box(`bw-t bw-letters bw-played${fresh ? " bw-fresh" : ""}${next === i + 1 ? " bw-single" : ""}${ends}`, x(left) + gap, desk.top(r.lane), (right - left) * width - gap - Number(end <= z), letters(r.sequence, left, right));
      node.style.setProperty("--bw-hue", next > i + 1 ? info().hues[Math.min(7, next - i - 1)] : "transparent");
      track.append(node);
    }
  }
  /** @param {Replay} r */
  function stepSaid(r) {
    if (!r.step) return `Before the first of ${many(r.steps, "merge")}: single letters.`;
    const middle = r.gone.indexOf(r.step);
    const kept = (/** @type {number} */ k) => k <= 0 || k >= r.starts.length || !r.gone[k] || r.gone[k] >= r.step;
    let left = middle - 1, right = middle + 1;
    while (!kept(left)) left--;
    while (!kept(right)) right++;
    const a = r.starts[left], m = r.starts[middle], z = right < r.starts.length ? r.starts[right] : r.end;
    const [one, two] = [letters(r.sequence, a, m), letters(r.sequence, m, z)];
    return `Step ${whole(r.step)} of ${whole(r.steps)}: ${one} + ${two} became ${one}${two} at ${span(a, z)}, merge ${whole(r.ranks[r.step - 1] + 1)} of the tokenizer's list.`;
  }
  return all;
}
