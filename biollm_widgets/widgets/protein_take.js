// @ts-check
// What can be taken away: the proteins, the table, the settings that make them again, and jobs for AlphaFold 3.

/** @typedef {import("./protein_panel.js").Desk} Desk */

/** @type {[string, string, string][]} */
const KINDS = [
  ["fasta", "FASTA", "The sequences, 60 residues a line, with the settings in each header."],
  ["csv", "CSV", "The whole table, all columns, as numbers."],
  ["alphafold3", "AlphaFold 3", "A .zip with one job file a design."],
  ["json", "Settings", "JSON that makes the same proteins again: bio.generate_again(\"settings.json\"), or biollm generate --settings settings.json."],
  ["png", "Picture", "What all are made of, and each by length and perplexity."],
];

/** @param {Desk} desk @param {HTMLElement} place */
export default (desk, place) => {
  const free = make("input", { type: "checkbox", onchange: () => handed.replaceChildren() }), handed = make("div", { class: "bp-handed" }), hint = make("p", { class: "bw-small" }, "Choose what to take; what each holds is said when you point at it.");
  const folder = make("input", { type: "text", value: "designs", "aria-label": "Folder to write into, where Python runs", autocomplete: "off", spellcheck: "false" });
  const written = make("p", { class: "bw-quiet", role: "status", hidden: true });
  /** @param {string} kind @param {string} words */
  function get(kind, words) {
    desk.trouble("");
    desk.put(hint, words);
    handed.replaceChildren(); // what was handed out before is not what was asked for now
    desk.ask("file", { kind, msa_free: free.checked }).then(({ content, buffers }) => {
      const bytes = buffers[0] && new Uint8Array(buffers[0].buffer, buffers[0].byteOffset, buffers[0].byteLength);
      hand(handed, content.name, content.kind, content.text ?? bytes);
      if (kind === "alphafold3") handed.querySelector("img")?.remove();
    }, desk.trouble);
  }
  function write() {
    desk.trouble("");
    desk.ask("write", { folder: folder.value, msa_free: free.checked }).then(({ content }) => desk.put(written, content.words), desk.trouble);
  }
  folder.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => event.key === "Enter" && write());
  place.append(
    make("div", { class: "bw-tools" }, ...KINDS.map(([kind, name, words]) => button(name, () => get(kind, words), { title: words, "data-kind": kind }))),
    make("label", { class: "bw-row" }, free, "AlphaFold 3 without relatives (MSA-free): it folds from the sequence alone, since a new protein may have no relatives to look for."),
    hint, handed,
    make("div", { class: "bw-row" }, make("span", {}, "Where the page cannot download, Python writes all of it into the folder"), folder, button("Write", write)), written);
  let made = JSON.stringify(desk.shot().table.made);
  return {
    refresh() {
      if (made === (made = JSON.stringify(desk.shot().table.made))) return;
      handed.replaceChildren();
      desk.put(written, "");
    },
  };
};
