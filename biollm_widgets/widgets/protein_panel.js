// @ts-check
// The card in which proteins are asked for, seen growing and judged. What the model would write next, what is known of
// one design, and the files to take away are parts of their own, which come when they are first opened.

/**
 * @typedef {{text: string, p: string, ended: boolean}} Grown a sequence, and for each residue the digit of the
 *   probability with which its token was drawn: 9 for 1, 6 for a tenth, 3 for a hundredth; "-" for what was given
 * @typedef {{wrong: boolean, words: string, typed?: string}} Check a sentence beside a field
 * @typedef {{key: string, label: string, unit: string, help: string, kind: string, digits: number}} Column
 * @typedef {Record<string, any> & {index: number, name: string, why: string, flags: string, deceives: boolean}} Row
 * @typedef {Record<string, any> & {serial: number, phase: string, live: boolean, ask: Record<string, any>, checks: Record<string, Check>,
 *   growth: (Grown | null)[], table: {columns: Column[], rows: Row[], made: any, words: string}}} Shot
 * @typedef {{refresh?: () => void, clean?: () => void, open?: (index: number | null) => void, walk?: (index: number) => void,
 *   show?: (what: {design: number, position: number} | null) => void, wants?: () => number | null, given?: (answer: any) => void}} Part
 * @typedef {{ask: Tools["ask"], surely: Tools["ask"], trouble: Tools["trouble"], say: Tools["say"], alone: boolean, shot: () => Shot,
 *   put: (node: HTMLElement, words: string) => void, later: (act: () => void) => () => void,
 *   tinted: (text: string, p: string) => DocumentFragment, name: (index: number) => string,
 *   open: (door: string, given?: any) => void}} Desk what the card hands to its parts
 */

const LOST = 4000; // milliseconds without an answer before a question is asked again
const SILENT = 15; // seconds; Python says something every 5 while it is at work
const TYPING = 250; // milliseconds without a letter before what was typed is checked
const ROWS = 100, SHORT = 60; // rows of the table at first; residues of a sequence in a row
const PIECES = 160; // tinted pieces of a line that grows: what is before them has left the card anyway
const FEW = ["perplexity", "finished", "residues", "isoelectric_point", "charge", "gravy", "instability", "nearest_identity", "duplicate_of", "flags"];
/** @type {Record<string, [string, string]>} */
const CONTROLS = {
  generate: ["Generate", "Lets the model write with the settings as they stand."],
  cancel: ["Cancel", "Ends at the next token and keeps what is there."],
};
const NONE = { serial: -1, phase: "idle", live: false, title: "", line: "", doing: "", share: null, buttons: [], notice: null, model: {}, ask: {}, controls: [],
  authors: {}, checks: {}, growth: [], table: { columns: [], rows: [], made: null, words: "" }, composition: null };
/** What Python and the page share is not ours to change. @param {any} given @returns {Shot} */
const whole = (given) => ({ ...NONE, ...JSON.parse(JSON.stringify(given || {})) });

/** A text that changes only when it has to, so that whoever selects in it is not disturbed. @param {HTMLElement} node @param {string} words */
function put(node, words) {
  if (node.textContent !== words) node.textContent = words;
  node.hidden = !words;
}

/** Residues on the tints of their probabilities, a piece for each run of one digit. @param {string} text @param {string} p */
function tinted(text, p) {
  const pieces = document.createDocumentFragment();
  for (let start = 0, end = 0; start < text.length; start = end) {
    while (end < text.length && p[end] === p[start]) end++;
    pieces.append(make("span", { class: p[start] === "-" ? "bp-given" : `bp-p${p[start]}` }, text.slice(start, end)));
  }
  return pieces;
}

/** The values at which a slider stops; along a scale of logarithms each of them is another one. @param {any} control */
function stops({ low, high, step, scale, whole }) {
  const count = scale === "log" ? 100 : Math.round((high - low) / step);
  /** @type {number[]} */
  const found = [];
  for (let i = 0; i <= count; i++) {
    const value = scale === "log" ? low * (high / low) ** (i / count) : low + i * step;
    found.push(whole ? Math.round(value) : +value.toPrecision(6));
  }
  return found.filter((value, i) => value !== found[i - 1]);
}

/** @param {any} value @param {Column} column */
function shown(value, { kind, digits }) {
  if (value == null || value === "") return "";
  if (kind === "yes") return value ? "yes" : "no";
  if (typeof value !== "number") return String(value);
  return (value && Math.abs(value) < 10 ** -digits / 2 ? value.toPrecision(1) : value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })).replace("-", "−");
}

/** Rows in the order of a column; what has no value stands last. @param {Row[]} rows @param {string} key @param {boolean} down */
function sorted(rows, key, down) {
  const bare = (/** @type {any} */ value) => value == null || value === "";
  return [...rows].sort((one, other) => {
    const a = one[key], b = other[key];
    if (bare(a) || bare(b)) return +bare(a) - +bare(b);
    const order = typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
    return (down ? -order : order) || one.index - other.index;
  });
}

/**
 * @param {Model} model
 * @param {HTMLElement} root
 * @param {Tools} tools
 */
function view(model, root, { ask, trouble, say }) {
  const alone = !!model.get("_alone"), texts = model.get("_texts") || {};
  let shot = whole(model.get("_shot"));
  let heard = Date.now(), asking = 0, most = ROWS, all = false, pressed = false;
  const order = { key: "perplexity", down: false };

  /** @param {string} kind @param {...Child} children @returns {any} */
  const box = (kind, ...children) => make("div", { class: kind }, ...children);
  const title = make("h3", { class: "bw-title", tabindex: -1 });
  /** @type {[string, HTMLElement][]} */
  const buttons = Object.entries(CONTROLS).map(([verb, [words, title]]) => [verb, button(words, () => press(verb), { title, class: `bw-button bp-${verb}` })]);
  const fill = make("i"), bar = make("div", { class: "bp-progress", role: "progressbar", "aria-label": "Proteins" }, fill);
  const line = make("p", { class: "bw-quiet" }), doing = make("p", { class: "bw-quiet" }), silence = make("p", { class: "bw-news" }), notice = box("bp-notice");
  const about = make("p", { class: "bw-quiet bp-about" }), fields = box("bp-fields");
  const next = box("bw-region"), asked = box("bw-region bp-ask", fields);
  const growing = box("bw-region bp-growing"), tabled = box("bw-region bp-tabled");
  const side = box("bw-region bp-side"), details = box("bp-details");
  next.hidden = side.hidden = true;
  const door = (/** @type {string} */ name, /** @type {string} */ words) => button(words, () => toggle(name), { "data-door": name, "aria-expanded": "false", class: "bw-button" });
  const ahead = door("next", "What comes next");
  const doors = box("bw-tools bw-region", door("composition", "Composition"), alone ? "" : door("take", "Take away"));
  const authors = button("Authors' settings", () => settle("authors", {}), { title: "What ProtGPT2's authors sample with: top-k 950, penalty 1.2, nothing else." });
  if (!alone) asked.append(box("bw-tools", authors, ahead, about));
  root.append(box("bw-head", title, box("bw-tools", ...(alone ? [] : buttons.map(([, node]) => node)))), box("bp-state", bar, line, doing), silence, notice,
    alone ? "" : asked, next, growing, tabled, doors, side);

  // Asking. What is typed waits here; one question at a time goes to Python, and the newest text wins.
  /** @type {Map<string, string>} */
  const typed = new Map();
  /** What is on its way to Python: its fields show it, whatever is painted meanwhile. @type {Record<string, string>} */
  let underway = {};
  /** @type {Map<string, {field: HTMLInputElement, slider: HTMLInputElement | null, at: number[], check: HTMLElement}>} */
  const controls = new Map();
  let typing = 0;
  /** @type {Promise<boolean> | null} */
  let settling = null;
  let closed = false, woken = false;
  /** A question that does no harm when it is asked twice: without an answer it is asked again. @type {Tools["ask"]} */
  const surely = (verb, given, quiet) => new Promise((yes, no) => {
    let wait = LOST, timer = 0;
    const once = () => {
      if (closed) return;
      ask(verb, given, quiet).then(yes, no).finally(() => clearTimeout(timer));
      timer = window.setTimeout(once, wait);
      wait *= 2;
    };
    once();
  });
  /** @param {string} key @param {string} text @param {number} wait */
  function change(key, text, wait) {
    typed.set(key, text);
    clearTimeout(typing);
    typing = window.setTimeout(send, wait);
    wake();
  }
  /** Who begins to ask will need the model, and what a prompt costs is known only with it. */
  function wake() {
    if (woken || shot.model.loaded) return;
    woken = true;
    surely("ready", {}, true).then(({ content }) => {
      shot.model = content.model;
      shot.checks = content.checks;
      redraw();
    }).catch(trouble);
  }
  /** Whether Python took it. @param {string} verb @param {Record<string, any>} given @returns {Promise<boolean>} */
  function settle(verb, given) {
    trouble("");
    const ahead = parts.get("protein_sampling");
    underway = given.changes || {};
    return (settling = surely(verb, { ...given, explore: next.hidden ? null : ahead?.wants?.() }).then(({ content }) => {
      shot.ask = content.ask;
      shot.checks = content.checks;
      ahead?.given?.(content);
      redraw();
      return true;
    }).catch((error) => {
      // What was not taken stays in the fields, and is sent with what is typed next.
      for (const [key, text] of Object.entries(given.changes || {})) if (!typed.has(key)) typed.set(key, text);
      trouble(error);
      return false;
    }).then((taken) => {
      settling = null;
      underway = {};
      if (taken && typed.size) send();
      return taken;
    }));
  }
  function send() {
    clearTimeout(typing);
    if (settling || !typed.size) return settling;
    const changes = Object.fromEntries(typed);
    typed.clear();
    return settle("settings", { changes });
  }
  /** All that was typed is with Python; whether it is. */
  async function sent() {
    for (let question = send(); question; question = send()) if (!(await question)) return false;
    return true;
  }
  /** @param {any} control */
  function field({ key, label, unit, help, whole, ...span }) {
    const id = `${model.get("_twin")}-${key}`, many = key === "prompt", at = many || key === "seed" ? [] : stops({ whole, ...span });
    const check = make("p", { class: "bp-check", id: `${id}-check`, role: "status" }), hint = make("p", { class: "bw-small", id: `${id}-help` }, help);
    const props = { id, "data-key": key, "aria-describedby": `${id}-check ${id}-help`, autocomplete: "off", spellcheck: "false" };
    const slider = at.length ? make("input", { type: "range", min: 0, max: at.length - 1, step: 1, "data-key": key, "aria-label": label, oninput: () => {
      const value = at[+slider.value];
      input.value = String(value);
      slider.ariaValueText = `${value} ${unit}`.trim();
      change(key, input.value, 0);
    } }) : null;
    const input = make(many ? "textarea" : "input", many ? { ...props, rows: 2 } : { ...props, type: "text", inputmode: whole ? "numeric" : "decimal" });
    input.addEventListener("input", () => change(key, input.value, TYPING));
    input.addEventListener("change", send);
    if (!many) input.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => event.key === "Enter" && send());
    controls.set(key, { field: input, slider, at, check });
    fields.append(box(many ? "bp-prompt" : "bp-field", box("bp-label", make("label", { for: id }, label), many ? "" : input, unit ? make("span", { class: "bw-small" }, unit) : ""), many ? input : "", slider || "", check, hint));
  }
  function paintAsk() {
    if (alone) return;
    if (!controls.size && shot.controls.length) {
      field({ key: "prompt", label: "Start with", unit: "", help: "The first residues, or a pasted FASTA record; empty for proteins from scratch." });
      shot.controls.forEach(field);
    }
    for (const [key, { field, slider, at, check }] of controls) {
      const found = shot.checks[key] || { wrong: false, words: "" }, value = shot.ask[key];
      put(check, found.words);
      check.classList.toggle("bp-wrong", found.wrong);
      field.ariaInvalid = String(found.wrong);
      if (typed.has(key) || key in underway) continue;
      const words = found.typed ?? String(value ?? "");
      if (field.value !== words && !field.matches(":focus")) field.value = words;
      if (!slider || slider.matches(":active")) continue;
      const place = at.findIndex((stop) => stop >= value);
      slider.value = String(place < 0 ? at.length - 1 : place);
      slider.ariaValueText = words;
    }
    put(about, shot.model.words || "");
  }

  // Steering.
  /** @param {string} verb */
  async function press(verb) {
    const node = /** @type {any} */ (buttons.find(([name]) => name === verb))[1];
    if (node.ariaDisabled) return;
    trouble("");
    node.ariaDisabled = "true"; // not `disabled`, which would take the focus away
    try {
      if (verb === "generate" && !(await sent())) {
        node.ariaDisabled = null;
        return;
      }
      pressed = verb === "generate";
      await ask(verb);
    } catch (error) {
      node.ariaDisabled = null;
      trouble(error);
    }
  }

  // What Python says.
  /** @param {() => boolean} act what changes the shot, and whether it could */
  function take(act) {
    const { phase, buttons: had, title } = shot;
    if (!act()) return askAll();
    if (phase !== shot.phase || String(had) !== String(shot.buttons)) for (const [, node] of buttons) node.ariaDisabled = null;
    if (phase !== shot.phase || (title !== shot.title && !shot.live)) say(shot.title);
    redraw();
  }
  /** @param {any} given */
  const replace = (given) => take(() => {
    shot = whole(given);
    lines.clear();
    tabledBy = null;
    return true;
  });
  /** @param {any} news */
  const merge = ({ grow = [], ...news }) => {
    Object.assign(shot, news);
    for (const [i, text, p, ended] of grow) {
      const one = shot.growth[i];
      if (!one) return false;
      shot.growth[i] = { text: one.text + text, p: one.p + p, ended };
    }
    return true;
  };
  function askAll() {
    // A question may be lost: then it is asked again.
    if (Date.now() - asking < LOST) return;
    asking = Date.now();
    ask("shot", {}, true).then(({ content }) => content.shot.serial >= shot.serial && replace(content.shot)).catch(trouble).finally(() => (asking = 0));
  }
  /** @param {any} content */
  const hear = ({ fresh, news }) => {
    heard = Date.now();
    try {
      if (fresh) replace(fresh);
      if (news?.serial > shot.serial) take(() => news.serial === shot.serial + 1 && merge(news));
    } catch (error) {
      trouble(error);
    }
  };
  const changed = () => model.get("_shot")?.serial > shot.serial && replace(model.get("_shot"));
  function listen() {
    const seconds = Math.round((Date.now() - heard) / 1000);
    put(silence, alone || seconds < SILENT || !shot.live ? ""
      : `No word from Python for ${seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`}: its kernel is busy or gone. What was written until then is shown.`);
    if (asking) askAll();
  }

  // Drawing.
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
  let noticed = "";
  function words() {
    put(title, shot.title);
    const gone = buttons.some(([verb, node]) => !shot.buttons.includes(verb) && node.matches(":focus"));
    for (const [verb, node] of buttons) node.hidden = alone || !shot.buttons.includes(verb);
    // Who pressed a button that is gone stands at the next one.
    if (gone) (buttons.find(([, node]) => !node.hidden)?.[1] || title).focus({ preventScroll: true });
    const percent = Math.round(100 * (shot.share || 0));
    bar.hidden = shot.share === null;
    fill.style.width = `${percent}%`;
    bar.ariaValueNow = percent;
    bar.ariaValueText = shot.line || shot.doing || `${percent} %`;
    put(line, shot.line);
    put(doing, shot.doing);
    if (noticed !== (noticed = JSON.stringify(shot.notice))) {
      notice.dataset.kind = shot.notice?.kind || "";
      notice.replaceChildren(...(shot.notice?.words || []).map((/** @type {string} */ words) => make("p", {}, words)));
    }
    listen();
  }
  /** What the tints mean. */
  const legend = () => box("bw-row bp-legend", make("span", { class: "bw-small" }, "Each residue by the probability with which it was drawn:"), ...[[0, "0.001"], [3, "0.01"], [6, "0.1"], [9, "1"]].map(([digit, words]) =>
    make("span", { class: `bp-sample bp-p${digit}` }, String(words))), make("span", { class: "bw-small" }, "underlined: below 0.7 %; slanted: given"));
  const name = (/** @type {number} */ index) => shot.table.rows.find((row) => row.index === index)?.name || `design_${index + 1}`;
  /** Lines that grow: residues are added to what stands there. @type {Map<number, {node: HTMLElement, text: HTMLElement, state: HTMLElement, length: number}>} */
  const lines = new Map();
  function paintGrowth() {
    const here = !shot.table.rows.length && shot.growth.some(Boolean);
    growing.hidden = !here && !!shot.table.rows.length;
    if (!here) {
      lines.clear();
      growing.replaceChildren(make("p", { class: "bw-quiet" }, alone ? "Nothing was generated." : "Choose how to begin above, then press Generate: all proteins grow here at once, token after token."));
      growing.hidden = !!shot.table.rows.length || shot.live;
      return;
    }
    if (!lines.size) growing.replaceChildren(legend());
    shot.growth.forEach((one, i) => {
      if (!one) return;
      let own = lines.get(i);
      if (!own) {
        const text = box("bp-tail"), state = make("span", { class: "bw-small" });
        own = { node: box("bp-line", make("span", { class: "bw-small" }, String(i + 1)), box("bp-seq", text), state), text, state, length: 0 };
        lines.set(i, own);
        growing.append(own.node);
      }
      if (own.length < one.text.length) {
        own.text.append(tinted(one.text.slice(own.length), one.p.slice(own.length)));
        while (own.text.childElementCount > PIECES) own.text.firstChild?.remove();
        own.length = one.text.length;
      }
      put(own.state, `${one.text.length.toLocaleString("en")} residues${one.ended ? ", ended" : shot.live ? "" : ", cut off"}`);
    });
    // Who pressed the button looks for what it does.
    if (pressed && shot.live) growing.scrollIntoView({ block: "nearest" });
    pressed = pressed && !shot.live;
    const unseen = shot.growth.filter((one) => !one).length;
    if (unseen && !growing.querySelector(".bp-more")) growing.append(make("p", { class: "bw-small bp-more" }, `${unseen.toLocaleString("en")} more grow unseen; all of them are judged.`));
  }

  /** @type {any} */
  let tabledBy = null;
  /** @type {number | null} */
  let opened = null;
  function paintTable() {
    const { columns, rows, words } = shot.table;
    tabled.hidden = !rows.length;
    if (!rows.length || tabledBy === shot.table) return;
    if (!rows.some((row) => row.index === opened)) opened = null;
    tabledBy = shot.table;
    const focus = /** @type {any} */ (document.activeElement)?.dataset?.sort;
    const seen = columns.filter(({ key }) => all || (FEW.includes(key) && rows.some((row) => row[key] != null && row[key] !== "")));
    const again = () => {
      tabledBy = null;
      paintTable();
    };
    const head = [{ key: "index", label: "design", unit: "", help: "In the order in which they were made.", kind: "number", digits: 0 }, ...seen].map((column) =>
      make("th", { scope: "col", class: `bp-${column.kind} bp-col-${column.key}`, "aria-sort": order.key === column.key && (order.down ? "descending" : "ascending") },
        button(column.unit ? `${column.label}, ${column.unit}` : column.label, () => {
          order.down = order.key === column.key && !order.down;
          order.key = column.key;
          again();
        }, { title: column.help, class: "bp-sort", "data-sort": column.key })));
    const body = make("tbody");
    for (const row of sorted(rows, order.key, order.down).slice(0, most)) {
      const one = shot.growth[row.index], text = one?.text || "", given = (one?.p || "").search(/[^-]/), start = given > SHORT / 2 ? given - 6 : 0;
      const opener = alone ? row.name : button(row.name, () => {
        opened = opened === row.index ? null : row.index;
        again();
        tabled.querySelector(`[data-row="${row.index}"]`)?.focus();
      }, { class: "bp-opener", "data-row": row.index, "aria-expanded": String(opened === row.index), title: "What is known of it" });
      body.append(make("tr", { class: row.deceives && "bp-deceives" }, make("th", { scope: "row" }, opener), ...seen.map((column) =>
        make("td", { class: `bp-${column.kind} bp-col-${column.key}` }, column.key === "flags" && row.deceives ? make("b", {}, row.why) : shown(row[column.key], column))),
        make("td", { class: "bp-cell" }, box("bp-seq", start ? "…" : "", tinted(text.slice(start, start + SHORT), (one?.p || "").slice(start)), text.length > start + SHORT ? "…" : ""))));
      if (opened === row.index) body.append(make("tr", {}, make("td", { colspan: seen.length + 2, class: "bp-opened" }, details)));
    }
    const table = make("table", { "aria-label": "Proteins, judged" }, make("thead", {}, make("tr", {}, ...head, make("th", { scope: "col", class: "bp-text" }, "sequence"))), body);
    tabled.replaceChildren(
      box("bw-row", make("p", { class: "bw-quiet bp-words" }, words), button("All columns", () => {
        all = !all;
        again();
      }, { "aria-pressed": String(all) })),
      box(all ? "bp-scroll bp-all" : "bp-scroll", table), rows.length > most ? button(`Show ${Math.min(ROWS, rows.length - most)} more`, () => {
        most += ROWS;
        again();
      }) : "", legend());
    if (focus) /** @type {any} */ (tabled.querySelector(`[data-sort="${focus}"]`))?.focus();
    if (opened === null) return;
    const place = opened;
    // What is known is one part, which stands in one place.
    if (doors.querySelector("[data-door=composition]")?.ariaExpanded === "true") shut();
    details.replaceChildren(box("bw-tools", button("Token by token", () => toggle("next", place))), box("bp-known"));
    mount("protein_judging", details.lastChild).then((part) => part?.open?.(place));
  }
  function paint() {
    words();
    paintAsk();
    paintGrowth();
    paintTable();
    doors.hidden = !shot.table.rows.length;
    if (doors.hidden) shut();
    for (const part of parts.values()) part.refresh?.();
  }
  const redraw = later(paint);

  // The parts.
  /** @type {Map<string, Part>} */
  const parts = new Map();
  /** @type {Map<string, HTMLElement>} */
  const places = new Map();
  /** @param {string} door @param {any} [given] */
  const openDoor = (door, given) => void toggle(door, given, true);
  /** @type {Desk} */
  const desk = { ask, surely, trouble, say, alone, shot: () => shot, put, later, tinted, name, open: openDoor };
  /** A part in its place, sent when it is first needed. @param {string} stem @param {any} where @returns {Promise<Part | undefined>} */
  async function mount(stem, where) {
    try {
      let place = places.get(stem);
      if (!place) {
        place = box("bp-part", make("span", { class: "bw-quiet" }, "Waiting for Python …"));
        places.set(stem, /** @type {HTMLElement} */ (place));
        where.replaceChildren(place);
        const text = texts[stem] ?? (await ask("module", { stem })).content.text;
        const made = await biollmImported(text);
        place?.replaceChildren();
        parts.set(stem, made(desk, place));
      }
      if (place && place.parentElement !== where) where.replaceChildren(place);
      return parts.get(stem);
    } catch (error) {
      places.delete(stem);
      trouble(error);
      return undefined;
    }
  }
  function shut() {
    side.hidden = true;
    for (const node of doors.children) node.ariaExpanded = "false";
  }
  /** Open or shut what is behind a door. @param {string} door @param {any} [given] @param {boolean} [stay] */
  async function toggle(door, given, stay = false) {
    trouble("");
    if (door === "next") {
      next.hidden = given === undefined && !stay && !next.hidden;
      ahead.ariaExpanded = String(!next.hidden);
      if (next.hidden) return;
      wake();
      const part = await mount("protein_sampling", next);
      if (typeof given === "number") {
        part?.walk?.(given);
        next.scrollIntoView({ block: "nearest" });
      } else part?.show?.(given || null);
      return;
    }
    const node = [...doors.children].find((one) => one instanceof HTMLElement && one.dataset.door === door), was = node?.ariaExpanded === "true";
    shut();
    if (was && !stay) return;
    if (node) node.ariaExpanded = "true";
    side.hidden = false;
    if (door === "take") return void (await mount("protein_take", side))?.refresh?.();
    if (opened !== null) {
      opened = null;
      tabledBy = null;
      paintTable();
    }
    (await mount("protein_judging", side))?.open?.(null);
  }

  model.on("msg:custom", hear);
  model.on("change:_shot", changed);
  const clock = setInterval(listen, 5000);
  paint();
  if (!alone) askAll();
  return () => {
    closed = true;
    for (const part of parts.values()) part.clean?.();
    clearInterval(clock);
    clearTimeout(typing);
    model.off("msg:custom", hear);
    model.off("change:_shot", changed);
  };
}

export default {
  /** @param {{model: Model, el: HTMLElement}} given */
  render: ({ model, el }) => card(model, el, "Protein panel", (root, tools) => view(model, root, tools)),
};
