// @ts-check
// A widget in a page of its own, without Jupyter: `to_html` puts this behind the widget's module, whose default export is
// called `widget` there, and beside the state that the widget had.

/** @type {{render: (given: {model: Model, el: HTMLElement}) => any}} */
// @ts-ignore: given by the module in front
const shown = widget;

/** Bytes travel as base64 in the page's JSON. @param {string} _ @param {any} value */
const revive = (_, value) =>
  value && typeof value.$bytes === "string" ? new DataView(Uint8Array.from(atob(value.$bytes), (letter) => letter.charCodeAt(0)).buffer) : value;
const state = JSON.parse(document.getElementById("state")?.textContent || "{}", revive);
/** @type {Record<string, ((...given: any[]) => void)[]>} */
const listeners = {};
/** @type {Model} */
const model = {
  get: (name) => state[name],
  set(name, value) {
    state[name] = value;
    for (const hear of listeners[`change:${name}`] || []) hear();
  },
  save_changes() {},
  on: (event, hear) => void (listeners[event] ||= []).push(hear),
  off() {},
  send() {},
};
shown.render({ model, el: /** @type {HTMLElement} */ (document.getElementById("live")) });

export {};
