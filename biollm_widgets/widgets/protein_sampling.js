// @ts-check
// What the model would write next, and what each setting makes of that; for the prompt, or for any place of a design.

/**
 * @typedef {{id: number, text: string, kind: string, before: number, after: number, cut_by: string, penalized: boolean, chosen: boolean}} Candidate
 * @typedef {{name: string, label: string, left: number, entropy: number}} Stage
 * @typedef {{candidates: Candidate[], stages: Stage[], vocabulary: number, before_rest: number, after_rest: number, finding: string}} Next
 * @typedef {{i: number, id: number, text: string, start: number, end: number, p: number | null, p_model: number | null, given: boolean}} Step
 */

const FEW = 12, MANY = 48; // of the likeliest tokens, before and after
const AFTER = ["growing", "loading"]; // phases after which the model has time again

/** A share in percent, small ones with their first digit. @param {number} share */
function percent(share) {
  const value = 100 * share;
  if (!value) return "0";
  if (value < 0.001) return "< 0.001";
  return value >= 99.95 ? "100" : value >= 10 ? value.toFixed(1) : value >= 1 ? value.toFixed(2) : value.toPrecision(2);
}
const counted = (/** @type {number} */ number) => number.toLocaleString("en");
/** A token as people say it. @param {{text: string, kind?: string}} token */
const spoken = ({ text, kind }) => kind === "end" ? "end of the protein" : kind === "line break" || /^\s+$/.test(text) ? "line break" : text;
/** @param {Candidate} one @param {boolean} penalty @param {number} rank by the model alone; 0 where it is not known */
const remark = (one, penalty, rank) => [one.chosen && (rank ? `chosen here: number ${rank} by the model alone` : "chosen here"), one.cut_by && `cut off by ${{ top_k: "top-k", top_p: "top-p", greedy: "taking the likeliest" }[one.cut_by] || one.cut_by}`,
  penalty && one.penalized && "penalised: stands in the text"].filter(Boolean).join("; ");

/** @typedef {import("./protein_panel.js").Desk} Desk */

/** @param {Desk} desk @param {HTMLElement} place */
export default (desk, place) => {
  /** @type {{design: number, position: number} | null} */
  let at = null;
  /** @type {Step[]} */
  let steps = [];
  let asking = false, again = false, log = false, asked = "", listed = FEW;
  /** @type {Next | null} */
  let next = null;

  const where = make("p", { class: "bp-topic", role: "status" }), back = button("Back to the prompt", () => show(null), { hidden: true });
  const finding = make("p", { class: "bp-finding" }), meaning = make("p", { class: "bw-small" }), stages = make("ol", { class: "bp-stages", "aria-label": "What each setting leaves" });
  const wait = make("p", { class: "bw-quiet", role: "status" });
  const scale = button("Log scale", () => {
    log = !log;
    scale.ariaPressed = String(log);
    paint();
  }, { "aria-pressed": "false", title: "Each step to the left is ten times less likely, so that the unlikely can be seen beside the likeliest." });
  const more = button("More tokens", () => {
    listed = listed === FEW ? MANY : FEW;
    more.ariaPressed = String(listed === MANY);
    ask();
  }, { "aria-pressed": "false", title: `The ${MANY} likeliest instead of ${FEW}.` });
  const body = make("tbody"), head = make("tr", {}, ...["token", "by the model alone, %", "with the settings, %", "what happened to it"].map((words, i) => make("th", { scope: "col", colspan: i === 1 || i === 2 ? 2 : 1 }, words)));
  const bars = make("table", { class: "bp-next", "aria-label": "Tokens that can come next" }, make("thead", {}, head), body);
  const walked = make("div", { class: "bp-walk", role: "listbox", tabindex: 0, "aria-label": "Tokens of the design; arrow keys go from one to the next", hidden: true });
  const chosen = make("p", { class: "bw-quiet" });
  place.append(make("div", { class: "bw-row" }, where, back, more, scale), walked, chosen, finding, stages, meaning, wait, make("div", { class: "bp-scroll" }, bars));

  /** How long a bar is, 0 to 1: of the likeliest, or in powers of ten down to a millionth. @param {number} share @param {number} most */
  const long = (share, most) => !share ? 0 : log ? Math.max(0.01, 1 + Math.log10(Math.max(share, 1e-6)) / 6) : share / most;
  /** @type {Map<string, {row: any, bars: any[], numbers: any[], remark: any}>} */
  const rows = new Map();
  /** One row for each token; what stands there is changed, not made anew. @param {string} key @param {string} name @param {boolean} code */
  function row(key, name, code) {
    let own = rows.get(key);
    if (!own) {
      const pair = [0, 1].map((k) => make("i", { class: `bp-bar bp-bar${k}` })), numbers = [0, 1].map(() => make("td")), remark = make("td", { class: "bp-text bw-small" });
      own = { row: make("tr", {}, make("th", { scope: "row", class: code ? "bp-code" : "" }, name), ...[0, 1].flatMap((k) => [numbers[k], make("td", { class: "bp-room" }, pair[k])]), remark), bars: pair, numbers, remark };
      rows.set(key, own);
    }
    return own;
  }
  function paint() {
    if (!next) return;
    const { candidates, stages: found, before_rest, after_rest, vocabulary } = next, first = found[0], last = found[found.length - 1];
    const most = Math.max(...candidates.flatMap(({ before, after }) => [before, after]), 1e-9), penalty = found.some(({ name }) => name === "repetition_penalty");
    /** @type {HTMLElement[]} */
    const order = [];
    /** @param {any} own @param {number} before @param {number} after @param {string} words @param {boolean} cut */
    const fill = (own, before, after, words, cut) => {
      [before, after].forEach((share, k) => {
        own.bars[k].style.width = `${100 * Math.min(1, long(share, most))}%`;
        desk.put(own.numbers[k], percent(share));
      });
      own.row.className = cut ? "bp-cut" : "";
      own.row.classList.toggle("bp-rest", words.endsWith("together"));
      desk.put(own.remark, words || " ");
      order.push(own.row);
    };
    for (const [place, one] of candidates.entries()) {
      const own = row(String(one.id), spoken(one), one.kind === "residues" || one.kind === "other");
      fill(own, one.before, one.after, remark(one, penalty, place < listed ? place + 1 : 0), !one.after);
      own.row.classList.toggle("bp-chosen", one.chosen);
    }
    const rest = vocabulary - candidates.length;
    if (rest > 0) fill(row("rest", "all others", false), Math.min(before_rest, 1), Math.min(after_rest, 1), `${counted(rest)} tokens together`, !after_rest);
    if (order.length !== body.children.length || order.some((node, i) => node !== body.children[i])) body.replaceChildren(...order);
    desk.put(finding, next.finding);
    stages.replaceChildren(...found.map(({ label, left, entropy }) => make("li", {}, make("b", {}, label), ` ${entropy.toFixed(1)} bits, ${counted(left)} ${left === 1 ? "token" : "tokens"}`)));
    const open = 2 ** last.entropy;
    desk.put(meaning, `${first.entropy.toFixed(1)} bits before and ${last.entropy.toFixed(1)} after: a choice of ${last.entropy.toFixed(1)} bits is as open as a throw among ${open < 10 ? open.toFixed(1) : counted(Math.round(open))} equally likely tokens.`);
  }
  /** @param {Next} found */
  function present(found) {
    next = found;
    desk.put(wait, "");
    bars.hidden = false;
    paint();
  }
  /** @param {string} words */
  function without(words) {
    next = null;
    desk.put(wait, words);
    for (const node of [finding, meaning]) desk.put(node, "");
    stages.replaceChildren();
    bars.hidden = true;
  }
  /** One question at a time; when it is answered, what is wanted by then is asked. */
  function ask() {
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    again = false;
    const wanted = key();
    // An answer to what is wanted no more is passed over.
    desk.surely("explore", { design: at?.design ?? null, position: at?.position ?? null, shown: listed }, true).then(({ content }) => {
      if (wanted === key()) present(content.next);
    }, (error) => {
      if (wanted === key()) without(error.message);
    }).then(() => {
      asking = false;
      if (again) ask();
    });
  }
  /** What the answer depends on. */
  function key() {
    const { ask, model, phase } = desk.shot(), { n, max_length, seed, ...rest } = ask;
    return JSON.stringify([at ? null : rest, at, listed, model.loaded, AFTER.includes(phase)]);
  }
  function refresh() {
    if (at && !desk.shot().table.rows.some(({ index }) => index === at?.design)) show(null);
    if (asked !== (asked = key())) ask();
  }

  // A design, token by token.
  function name() {
    const prompt = desk.shot().ask.prompt;
    desk.put(where, at ? `What could come as token ${at.position} of ${desk.name(at.design)}` : `What comes next, ${prompt ? "after the prompt" : "at the beginning of a protein"}`);
    back.hidden = !at;
  }
  /** @param {number} position */
  function go(position) {
    if (!at || !steps.length) return;
    at = { design: at.design, position: Math.max(1, Math.min(steps.length - 1, position)) };
    const step = steps[at.position];
    for (const [i, node] of [...walked.children].entries()) node.ariaSelected = String(i === at?.position);
    const node = /** @type {HTMLElement} */ (walked.children[at.position]);
    walked.setAttribute("aria-activedescendant", node.id);
    node.scrollIntoView({ block: "nearest" });
    const residues = step.end - step.start;
    desk.put(chosen, `${spoken({ text: step.text, kind: step.i === steps.length - 1 && !residues && !/^\s+$/.test(step.text) ? "end" : "" })}${residues ? `, residue${residues > 1 ? "s" : ""} ${step.start + 1}${residues > 1 ? `–${step.end}` : ""}` : ""}: ${step.given
      ? `given, not drawn${step.p_model === null ? "" : `; the model alone gives it ${percent(step.p_model)} %`}` : `drawn with ${percent(step.p ?? 0)} %; by the model alone ${percent(step.p_model ?? 0)} %`}.`);
    name();
    refresh();
  }
  /** @param {number} index */
  function walk(index) {
    desk.ask("walk", { design: index }).then(({ content }) => {
      steps = content.steps;
      walked.hidden = false;
      walked.replaceChildren(...steps.map((step, i) => {
        const digit = step.p === null ? "-" : String(Math.min(9, Math.max(0, Math.round(9 + 3 * Math.log10(Math.max(step.p, 1e-9))))));
        const text = step.end > step.start ? step.text : spoken({ text: step.text, kind: i === steps.length - 1 && !/^\s+$/.test(step.text) ? "end" : "" });
        return make("span", { id: `${place.id || "walk"}-${index}-${i}`, role: "option", "aria-selected": "false", class: `bp-token ${digit === "-" ? "bp-given" : `bp-p${digit}`}${step.end > step.start ? "" : " bp-mark"}`,
          onclick: () => go(i) }, text === "<|endoftext|>" ? "start" : text === "line break" ? "↵" : text === "end of the protein" ? "end" : text);
      }));
      at = { design: index, position: 1 };
      go(steps.findIndex((step) => !step.given) > 0 ? steps.findIndex((step) => !step.given) : 1);
      walked.focus({ preventScroll: true });
    }, desk.trouble);
  }
  walked.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    /** @type {Record<string, number>} */
    const to = { ArrowRight: (at?.position || 0) + 1, ArrowDown: (at?.position || 0) + 1, ArrowLeft: (at?.position || 0) - 1, ArrowUp: (at?.position || 0) - 1, Home: 1, End: steps.length - 1 };
    if (event.key === "Escape") show(null);
    else if (event.key in to) go(to[event.key]);
    else return;
    event.preventDefault();
  });
  /** @param {{design: number, position: number} | null} what */
  function show(what) {
    if (what) return walk(what.design);
    at = null;
    steps = [];
    walked.hidden = true;
    desk.put(chosen, "");
    name();
    if (asked !== (asked = key())) ask();
  }
  const known = () => {
    name();
    refresh();
  };
  known();
  return {
    refresh: known,
    show,
    walk,
    /** How many tokens a change of the settings is to bring along; none while a design is looked at. */
    wants: () => (at ? null : listed),
    /** The answer to a change of the settings. @param {{next?: Next, unexplored?: string}} answer */
    given(answer) {
      if (at || !(answer.next || answer.unexplored)) return;
      asked = key();
      again = false;
      if (answer.next) present(answer.next);
      else without(answer.unexplored || "");
    },
  };
};
