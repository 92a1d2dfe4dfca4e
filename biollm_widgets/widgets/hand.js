// @ts-check
// How a file made by Python reaches the learner. Joined, like base.js, into the modules that hand files out.

/**
 * A file for the learner: a download, and a box to copy from where downloads or the clipboard are closed.
 * @param {HTMLElement} place where the box goes
 * @param {string} name
 * @param {string} kind MIME type
 * @param {string | Uint8Array} data
 */
function hand(place, name, kind, data) {
  const card = /** @type {any} */ (place.closest("section"));
  if (!card) return; // shut meanwhile
  URL.revokeObjectURL(card.handed || "");
  card.handed = URL.createObjectURL(new Blob([/** @type {any} */ (data)], { type: kind }));
  const link = make("a", { download: name, class: "bw-link", href: card.handed }, `Download ${name}`);
  place.replaceChildren(link);
  if (typeof data === "string") {
    const shown = data.length > 200000 ? data.slice(0, 200000) : data;
    const box = make("textarea", { class: "bw-copy", rows: 5, readonly: true, "aria-label": `${name}, to copy`, value: shown });
    const done = make("span", { class: "bw-quiet", role: "status" }, data.length > shown.length ? "The box holds its first 200,000 letters; the file is whole." : "");
    const copy = button("Copy", async () => {
      box.select();
      try {
        await navigator.clipboard.writeText(shown);
        done.textContent = "Copied.";
      } catch {
        done.textContent = "The clipboard is closed here; the text is selected, press Ctrl+C or Cmd+C.";
      }
    });
    place.append(copy, done, box);
    box.focus();
    box.select();
  } else {
    place.append(make("img", { class: "bw-shot", alt: name, src: link.href }));
    link.focus();
  }
}
