// The page of ProteinPanel.

/** @type {any} */
const widget = {
  render({ model, el }) {
    el.textContent = model.get("_shot").title;
  },
};
export default widget;
