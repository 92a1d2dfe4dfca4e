// @ts-check
// The panels of a training run: settings, tables, printed lines, other runs laid over, files. Python sends this module,
// with base.js and hand.js before it, when the first of them is opened.

/** @typedef {import("./training_progress.js").Desk} Desk */

/**
 * The rows of a table made what they should be; those that are right stay, with whoever reads or selects there.
 * @param {HTMLTableSectionElement} body @param {string[][]} rows @param {number[]} [strong]
 */
function sync(body, rows, strong = []) {
  rows.forEach((cells, i) => {
    const key = JSON.stringify(cells), old = body.rows[i];
    if (old?.dataset.is === key) return;
    const row = make("tr", { "data-is": key, class: strong.includes(i) && "bt-strong" }, ...cells.map((cell, k) => make(k ? "td" : "th", k ? {} : { scope: "row" }, cell)));
    if (old) old.replaceWith(row);
    else body.append(row);
  });
  while (body.rows.length > rows.length) body.deleteRow(-1);
}

/** @param {Desk} desk */
export default function panels({ side, ask, trouble, doors, shot, at, put, real, said, counted, evaluationsOf }) {
  let typed = "", opened = "", shape = "", renewed = 0, wait = 0;
  let renew = () => {};
  const many = () => shot().runs.length > 1;
  /** @param {...Child} parts */
  const row = (...parts) => make("div", { class: "bw-row" }, ...parts);
  /** @param {string} words */
  const quiet = (words) => make("p", { class: "bw-quiet" }, words);
  /** @param {string} name @param {string[]} heads @param {HTMLElement} body */
  const table = (name, heads, body) => make("div", { class: "bt-wide bt-long", tabindex: 0, role: "region", "aria-label": name },
    make("table", {}, make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))), body));
  /** @param {number | null | undefined} value */
  const cell = (value) => (real(value) ? said(value, 2) : "–");
  /** @param {Run} run @param {string} step */
  const first = (run, step) => (many() ? [run.name, step] : [step]);

  /** Each fills the panel and returns what brings it up to date. @type {Record<string, () => (() => void)>} */
  const rooms = {
    Settings() {
      const body = make("tbody"), { header, rows } = shot().settings, two = header.length > 2;
      side.replaceChildren(rows.length ? table("Settings", two ? [...header, ""] : header, body) : quiet("No settings are known of this run."));
      return () => {
        const { rows, different } = shot().settings;
        sync(body, two ? rows.map((cells, i) => [...cells, different.includes(i) ? "differs" : ""]) : rows, two ? different : []);
      };
    },
    Table() {
      const body = make("tbody"), points = make("tbody"), run = many() ? ["run"] : [], { metrics, names } = shot(), shown = ["loss", ...metrics];
      const more = make("details", { ontoggle: () => refresh(true) }, make("summary", {}, "Every point of the training loss"),
        table("Points of the training loss", [...run, "step", "loss", "lowest", "highest", "learning rate", "gradient norm"], points));
      side.replaceChildren(table("Evaluations", [...run, "evaluated at step", "epoch", ...shown.map((name) => names[name] || name), "note"], body), more);
      return () => {
        sync(body, shot().runs.flatMap((run) => evaluationsOf(run).map((one) => [...first(run, counted(one.step)), real(one.epoch) ? said(one.epoch) : "–",
          ...shown.map((name) => cell(one.values[name])), one === run.test ? "test after training" : one.best ? "best" : ""])));
        if (more.open)
          sync(points, shot().runs.flatMap((run) => run.points.map(([from, to, loss, ...rest]) => [...first(run, from < to ? `${counted(from)}–${counted(to)}` : counted(to)), real(loss) ? cell(loss) : "not a number", ...rest.map(cell)])));
      };
    },
    Printed() {
      const text = make("pre", { class: "bt-long bt-printed", tabindex: 0, role: "region", "aria-label": "What was printed" });
      side.replaceChildren(text);
      return () => {
        const end = text.scrollTop + text.clientHeight > text.scrollHeight - 8;
        put(text, shot().said.join("\n") || "Nothing was printed.");
        if (end) text.scrollTop = text.scrollHeight;
      };
    },
    "Compare with…"() {
      const where = make("input", { type: "text", size: 32, class: "bt-folder", spellcheck: "false", autocomplete: "off", placeholder: "runs/coding", value: typed,
        oninput: () => (typed = where.value), onkeydown: (/** @type {KeyboardEvent} */ event) => event.key === "Enter" && lay() });
      const wrong = make("p", { class: "bt-wrong", role: "alert", hidden: true }), laid = row();
      /** @param {HTMLElement} node @param {string} verb @param {Record<string, any>} given */
      const act = async (node, verb, given) => {
        put(wrong, "");
        if (node.ariaDisabled) return;
        node.ariaDisabled = "true";
        try {
          await ask(verb, given);
          if (verb === "compare") where.value = typed = "";
        } catch (error) {
          put(wrong, error instanceof Error ? error.message : String(error));
        }
        node.ariaDisabled = null;
      };
      const lay = () => {
        const folder = where.value.trim();
        if (folder) act(go, "compare", { folder });
        else put(wrong, "Type the folder of another run first: the one that its Trainer wrote to.");
      };
      const go = button("Lay over", lay);
      side.replaceChildren(row(make("label", { class: "bw-row" }, "Folder of another run", where), go), wrong, laid);
      let known = "";
      return () => {
        const names = shot().runs.map((run) => run.name);
        if (known === (known = JSON.stringify(names))) return;
        const had = laid.matches(":focus-within");
        laid.replaceChildren(...names.slice(1).map((name, i) => {
          const away = button(`Take ${name} away`, () => act(away, "forget", { run: i + 1 }));
          return away;
        }));
        if (had) (laid.querySelector("button") || where).focus();
      };
    },
    Save() {
      const shelf = row(), kinds = { svg: "Picture (SVG)", png: "Picture (PNG)", csv: "Numbers (CSV)", json: "All of it (JSON)" };
      side.replaceChildren(row(...Object.entries(kinds).map(([kind, name]) => button(name, async () => {
        trouble("");
        try {
          const { content, buffers } = await ask("file", { kind }), part = buffers[0];
          hand(shelf, content.name, content.kind, part ? new Uint8Array(part.buffer.slice(part.byteOffset, part.byteOffset + part.byteLength)) : content.text);
        } catch (error) {
          trouble(error);
        }
      }))), shelf);
      return () => {};
    },
  };

  const columns = () => JSON.stringify([shot().metrics, shot().names, shot().settings.header, many(), !shot().settings.rows.length]);
  function open() {
    opened = at.panel;
    if (!opened) return;
    shape = columns();
    renew = rooms[opened]();
    refresh(true);
  }
  /** What is open comes up to date once a second. @param {boolean} [now] */
  function refresh(now) {
    clearTimeout(wait);
    if (!at.panel || opened !== at.panel) return;
    const left = renewed + 1000 - Date.now();
    if (!now && left > 0) {
      wait = window.setTimeout(refresh, left);
      return;
    }
    renewed = Date.now();
    // Other columns: another table
    if (["Settings", "Table"].includes(opened) && shape !== columns()) open();
    else renew();
  }
  side.addEventListener("keydown", (event) => {
    const door = /** @type {HTMLElement | null} */ (doors.querySelector('[aria-expanded="true"]'));
    if (event.key !== "Escape" || !door) return;
    door.focus();
    door.click();
    event.stopPropagation();
  });
  return { open, refresh, clean: () => clearTimeout(wait) };
}
