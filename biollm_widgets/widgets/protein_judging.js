// @ts-check
// What is known of one design, and what one or all are made of beside natural proteins.

/** @typedef {import("./protein_panel.js").Desk} Desk */
/** @typedef {{shares: (number | null)[], errors: (number | null)[], n_residues: number, n_sequences?: number, words: string}} Made */

const HEIGHT = 72, WIDE = 28, FOOT = 16; // of the bars; one residue; the letters
const NAMES = { A: "alanine", C: "cysteine", D: "aspartate", E: "glutamate", F: "phenylalanine", G: "glycine", H: "histidine", I: "isoleucine", K: "lysine", L: "leucine",
  M: "methionine", N: "asparagine", P: "proline", Q: "glutamine", R: "arginine", S: "serine", T: "threonine", V: "valine", W: "tryptophan", Y: "tyrosine" };
const counted = (/** @type {number} */ number) => number.toLocaleString("en");
const percent = (/** @type {number | null} */ share) => share === null ? "none" : `${(100 * share).toFixed(1)} %`;

/** @param {string} tag @param {Record<string, any>} props @param {...Child} children */
function mark(tag, props, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(props)) node.setAttribute(name, String(value));
  for (const child of children) if (child) node.append(child);
  return node;
}

/**
 * Bars of what something is made of, with the standard error of each, and a line at each residue's share in natural proteins.
 * @param {Made} made @param {string} letters @param {number[]} background
 */
function drawn({ shares, errors, n_residues, n_sequences }, letters, background) {
  const top = 1.05 * Math.max(0.01, ...background, ...shares.map((share, i) => (share ?? 0) + (errors[i] ?? 0)));
  const y = (/** @type {number} */ share) => HEIGHT * (1 - Math.min(share, top) / top), bars = [];
  for (const [i, letter] of [...letters].entries()) {
    const share = shares[i] ?? 0, error = errors[i] ?? 0, x = i * WIDE, title = `${letter}, ${NAMES[/** @type {keyof typeof NAMES} */ (letter)] || letter}: ${percent(shares[i])}, ${percent(background[i])} in natural proteins`;
    bars.push(mark("g", {}, mark("title", {}, title), mark("rect", { x: x + 4, y: 0, width: WIDE - 8, height: HEIGHT + FOOT, class: "bp-hit" }),
      mark("rect", { x: x + 6, y: y(share), width: WIDE - 12, height: HEIGHT - y(share), class: "bp-share" }),
      mark("path", { d: `M${x + WIDE / 2} ${y(share + error)}V${y(Math.max(0, share - error))}`, class: "bp-error" }),
      mark("path", { d: `M${x + 2} ${y(background[i])}h${WIDE - 4}`, class: "bp-natural" }), mark("text", { x: x + WIDE / 2, y: HEIGHT + 13, "text-anchor": "middle" }, letter)));
  }
  const width = letters.length * WIDE, of = `n = ${counted(n_residues)} residues of ${counted(n_sequences ?? 1)} protein${n_sequences === 1 || !n_sequences ? "" : "s"}`;
  const words = [...letters].map((letter, i) => `${letter} ${percent(shares[i])} (${percent(background[i])})`).join(", ");
  return make("figure", { class: "bp-figure" }, make("div", { class: "bp-scroll" }, mark("svg", { width, height: HEIGHT + FOOT, viewBox: `0 0 ${width} ${HEIGHT + FOOT}`, role: "img", "aria-label": `${of}; in brackets natural proteins: ${words}` }, ...bars)),
    make("figcaption", { class: "bw-small" }, make("span", { class: "bp-key bp-share" }), ` share, thin line: standard error; `, make("span", { class: "bp-key bp-natural" }), ` natural proteins (Swiss-Prot); ${of}`));
}

/** @param {Desk} desk @param {HTMLElement} place */
export default (desk, place) => {
  /** @type {number | null} */
  let here = null;
  let seen = "";
  const box = make("div", { class: "bp-judged" });
  const path = make("input", { type: "text", "aria-label": "FASTA file of known proteins, where Python runs", placeholder: "known_proteins.fasta", autocomplete: "off", spellcheck: "false" });
  const said = make("span", { class: "bw-quiet", role: "status" });
  const compare = () => {
    desk.trouble("");
    desk.ask("references", { path: path.value }).then(({ content }) => desk.put(said, content.words), (error) => desk.put(said, error.message));
  };
  path.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => event.key === "Enter" && compare());
  const known = make("div", { class: "bw-row" }, make("span", {}, "Compare with known proteins: a FASTA file where Python runs,"), path, button("Compare", compare, { title: "Looks for the nearest to each design; about a second a design." }), said);
  place.append(box, desk.alone ? "" : known);

  /** @param {number | null} index */
  function open(index) {
    here = index;
    const { composition, table } = desk.shot();
    seen = stamp();
    if (index === null) {
      if (composition) box.replaceChildren(make("p", { class: "bp-finding" }, composition.all.words), drawn(composition.all, composition.letters, composition.background));
      return;
    }
    box.replaceChildren(make("span", { class: "bw-quiet" }, "Waiting for Python …"));
    const row = table.rows.find((row) => row.index === index);
    desk.ask("design", { design: index }).then(({ content }) => {
      if (here !== index) return;
      const { facts, why, flags, text, nearest, composition: own } = content, grown = desk.shot().growth[index];
      box.replaceChildren(
        why ? make("p", { class: "bp-why" }, why) : "", flags && flags !== why ? make("p", {}, make("b", {}, "Look at: "), flags) : "",
        make("dl", { class: "bp-facts" }, ...facts.map((/** @type {string[]} */ [label, value, help]) => make("div", { title: help }, make("dt", {}, label), make("dd", {}, value)))),
        nearest ? make("p", {}, make("b", {}, "Nearest known protein: "), nearest.words) : "",
        make("div", { class: "bp-whole", tabindex: 0, role: "group", "aria-label": `Sequence of ${row?.name || "the design"}` }, grown ? desk.tinted(grown.text, grown.p) : text),
        make("p", { class: "bw-quiet" }, own.words), composition ? drawn(own, composition.letters, composition.background) : "");
    }, (error) => {
      if (here === index) box.replaceChildren(make("p", {}, error.message));
    });
  }
  /** What stands here is of this. */
  const stamp = () => JSON.stringify([here, desk.shot().table.made, desk.shot().table.columns.length, desk.shot().composition?.all?.words]);
  return {
    open,
    refresh() {
      if (desk.shot().table.rows.length && seen !== stamp()) open(here);
    },
  };
};
