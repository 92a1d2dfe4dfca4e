// @ts-check
// What anywidget imports for each single widget, so it is no more than the way to what all of its kind have in common.
// JupyterLab (4.6) keeps each model that there ever was, closed or not, with its last view and what ends that: so the
// heaviest of its state goes with it, and a view that is over holds nothing.

export default {
  /** @param {{model: Model}} given */
  initialize: ({ model }) => () => model.set("_code", ""),
  /** @param {{model: Model, el: HTMLElement}} given */
  async render(given) {
    /** @type {(() => void) | null} */
    let end = (await biollmImported(given.model.get("_code"))).render(given);
    return () => {
      end?.();
      end = null;
    };
  },
};
