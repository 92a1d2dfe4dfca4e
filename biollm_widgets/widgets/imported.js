// @ts-check
// How a page comes to a module that Python sent it as text. It is one function for all modules of a page, on its window:
// each of them is small, and sent again with every widget that is shown.

/**
 * What a module gives by default. A page keeps what it imported until it is left, so the same text is imported once.
 * @param {string} text
 * @returns {Promise<any>}
 */
function biollmImported(text) {
  /** @type {Map<string, Promise<any>>} */
  const known = (/** @type {any} */ (window).biollmParts ??= new Map());
  let made = known.get(text);
  if (!made) {
    const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    made = import(address).finally(() => URL.revokeObjectURL(address));
    known.set(text, made);
    made.catch(() => known.delete(text));
  }
  return made.then((part) => part.default);
}
/** @type {any} */ (window).biollmImported ??= biollmImported;
