// @ts-check
// What the three widgets share in the page. Python sends this file and a widget's own joined as one ES module, so these
// are plain functions: nothing is imported, and nothing is fetched.

/**
 * What anywidget gives: the state that Python and the page share, and a line for messages.
 * @typedef {{
 *   get(name: string): any, set(name: string, value: any): void, save_changes(): void,
 *   on(event: string, hear: (...given: any[]) => void): void,
 *   off(event: string, hear: (...given: any[]) => void): void,
 *   send(content: any): void
 * }} Model
 * @typedef {{content: any, buffers: DataView[]}} Answer
 * @typedef {Node | string | null | false | undefined} Child
 * @typedef {{ask: (verb: string, given?: Record<string, any>, quiet?: boolean) => Promise<Answer>,
 *   trouble: (error: unknown) => void, say: (words: string) => void}} Tools what a card gives to what draws in it
 */

/**
 * An element with its properties, listeners and children. Text becomes a text node, whatever is in it.
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...Child} children
 * @returns {any}
 */
function make(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === false || value == null) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") /** @type {any} */ (node)[name] = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child || child === "") node.append(child);
  return node;
}

/** @param {string} words @param {(event: Event) => void} act @param {Record<string, any>} [props] */
function button(words, act, props = {}) {
  return make("button", { type: "button", class: "bw-button", onclick: act, ...props }, words);
}

/**
 * Questions to Python, each with its answer. `news` is told, in words, when Python keeps silent and when it answers.
 * @param {Model} model
 * @param {(words: string) => void} news
 */
function speaker(model, news) {
  /** @type {Map<string, {yes: (answer: Answer) => void, no: (error: Error) => void, timer: number}>} */
  const waiting = new Map();
  const me = Math.random().toString(36).slice(2); // two views of one widget hear the same line
  let count = 0;
  /** @param {any} content @param {DataView[]} buffers */
  const hear = (content, buffers) => {
    const question = waiting.get(content.answer);
    if (!question) return;
    waiting.delete(content.answer);
    clearTimeout(question.timer);
    news("");
    if (content.error) question.no(new Error(content.error));
    else question.yes({ content, buffers: buffers || [] });
  };
  model.on("msg:custom", hear);
  return {
    /** `quiet`: nobody waits for this one. @param {string} verb @param {Record<string, any>} [given] @param {boolean} [quiet] @returns {Promise<Answer>} */
    ask(verb, given = {}, quiet = false) {
      return new Promise((yes, no) => {
        // In a page of its own a widget has what it has.
        if (model.get("_alone")) return;
        const number = `${me}-${++count}`;
        const silent = () =>
          news("Python has not answered yet: its kernel is busy or gone. If that lasts, run the cell again.");
        waiting.set(number, { yes, no, timer: quiet ? 0 : window.setTimeout(silent, 5000) });
        try {
          model.send({ ...given, ask: verb, number });
        } catch {
          waiting.delete(number);
          silent();
        }
      });
    },
    close() {
      for (const { timer } of waiting.values()) clearTimeout(timer);
      model.off("msg:custom", hear);
    },
  };
}

/**
 * The card of a widget, with the line in which its errors are said. `draw` fills it and returns what cleans up.
 * The saved picture of the same widget is hidden once there is something to see here.
 * @param {Model} model
 * @param {HTMLElement} el
 * @param {string} name
 * @param {(card: HTMLElement, tools: Tools) => () => void} draw
 */
function card(model, el, name, draw) {
  const waits = make("p", { class: "bw-news", role: "status", hidden: true });
  const wrong = make("p", { class: "bw-trouble", role: "alert", hidden: true });
  const said = make("p", { class: "bw-unseen", role: "status", "aria-live": "polite" });
  const root = make("section", { class: "biollm", "aria-label": name }, wrong, waits, said);
  /** @param {HTMLElement} line @param {string} words */
  const show = (line, words) => {
    line.textContent = words;
    line.hidden = !words;
  };
  const line = speaker(model, (words) => show(waits, words));
  /** @param {unknown} error */
  const trouble = (error) => {
    const words = error instanceof Error ? error.message : String(error ?? "");
    show(wrong, words);
    // What is no answer of Python's is a mistake of this page: Python keeps it for whoever mends it.
    if (error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError) {
      show(wrong, `This view made a mistake (${words}). Run its cell again; view.troubles has the details.`);
      line.ask("trouble", { words: `${error.name}: ${words}`, where: error.stack || "" }).catch(() => {});
    }
  };
  let timer = 0;
  /** Screen readers hear at most one sentence a second. @param {string} words */
  const say = (words) => {
    clearTimeout(timer);
    timer = window.setTimeout(() => (said.textContent = words), 1000);
  };
  el.append(root);
  // A notebook moves its own selection at arrows that come to it.
  root.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => event.ctrlKey || event.metaKey || event.stopPropagation());
  const free = shortcuts(root);
  let clean = () => {};
  let restore = () => {};
  try {
    clean = draw(root, { ask: line.ask, trouble, say });
    restore = hideTwin(model.get("_twin"));
  } catch (error) {
    trouble(error);
  }
  return () => {
    clearTimeout(timer);
    clean();
    restore();
    free();
    line.close();
    // What was handed out last: a page keeps it until it is told.
    URL.revokeObjectURL(/** @type {any} */ (root).handed || "");
    root.remove();
  };
}

/**
 * JupyterLab hears keys before anyone else: "a" in a cell's output would insert a cell. Its own way to say "not here" is
 * an attribute; keys with Ctrl or Cmd (save, for one) stay its own.
 * @param {HTMLElement} root
 */
function shortcuts(root) {
  /** @param {KeyboardEvent} event */
  const first = (event) => {
    const at = /** @type {Element} */ (event.target);
    // On the very element: a notebook in command mode takes the keys of whatever has the focus, before its surroundings
    if (root.contains(at)) at.toggleAttribute("data-lm-suppress-shortcuts", !event.ctrlKey && !event.metaKey);
  };
  window.addEventListener("keydown", first, true);
  return () => window.removeEventListener("keydown", first, true);
}

/**
 * Hide the saved picture, an output of its own just before the widget; a rule rather than a style of that element,
 * because notebooks draw outputs anew. The names are JupyterLab's (and Notebook's) and VS Code's boxes for one output.
 * @param {string} name
 */
function hideTwin(name) {
  if (!/^[\w-]+$/.test(name || "")) return () => {};
  const boxes = [`.jp-OutputArea-child:has(.${name})`, `.output_container:has(.${name})`, `.${name}`];
  const rule = make("style", {}, `${boxes.join(",")}{display:none!important}`);
  document.head.append(rule);
  return () => rule.remove();
}
