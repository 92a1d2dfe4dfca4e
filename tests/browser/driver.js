// What the tests do to a notebook from inside its page, with the application's own commands.
window.bio = (() => {
  const app = () => window.jupyterapp;
  const panel = () => {
    const widget = app()?.shell?.currentWidget;
    return widget?.sessionContext && widget.content?.model ? widget : null;
  };
  const cells = () => panel().content.model.sharedModel;
  return {
    panel,
    /** The notebook is drawn and its kernel, or the want of one, is settled. */
    ready() {
      const here = panel();
      return Boolean(here?.context.isReady && here.sessionContext.isReady && here.sessionContext.session?.kernel?.status === "idle");
    },
    /** Add a cell at the end, run it, and give its number when it is done. */
    async run(source) {
      const number = cells().cells.length;
      cells().insertCell(number, { cell_type: "code", source, metadata: { trusted: true } });
      panel().content.activeCellIndex = number;
      panel().content.deselectAll();
      await app().commands.execute("notebook:run-cell");
      // Where a single letter is a command: what a widget's own keys have to hold their own against.
      await app().commands.execute("notebook:enter-command-mode");
      return number;
    },
    /** Write a cell anew, or add it at the end. */
    put(number, source) {
      if (number < cells().cells.length) cells().cells[number].setSource(source);
      else cells().insertCell(number, { cell_type: "code", source, metadata: { trusted: true } });
    },
    async clear() {
      await app().commands.execute("notebook:clear-all-cell-outputs");
    },
    /** Run a cell that is there once more. */
    async runAgain(number) {
      panel().content.activeCellIndex = number;
      panel().content.deselectAll();
      await app().commands.execute("notebook:run-cell");
      await app().commands.execute("notebook:enter-command-mode");
    },
    /** A kernel that begins anew behind the same notebook. */
    async restart() {
      await panel().sessionContext.restartKernel();
    },
    /** Close the notebook, not its kernel, and open it again. */
    async closeAndOpen(name) {
      await app().commands.execute("application:close");
      await app().commands.execute("docmanager:open", { path: name, factory: "Notebook" });
    },
    /** Add cells at the end and run them one after the other; the number of the first, while they run. */
    start(sources) {
      const first = cells().cells.length;
      sources.forEach((source, i) => cells().insertCell(first + i, { cell_type: "code", source, metadata: { trusted: true } }));
      panel().content.activeCellIndex = first;
      panel().content.deselectAll();
      app().commands.execute("notebook:run-all-below").then(() => app().commands.execute("notebook:enter-command-mode"));
      return first;
    },
    /** Whether a cell has been run to its end. */
    done(number) {
      const { executionState, executionCount } = panel().content.widgets[number].model;
      return executionState === "idle" && executionCount !== null;
    },
    /** Whether a cell is still at work; a kernel that lets clicks through meanwhile calls itself idle. */
    atWork() {
      return panel().content.widgets.some(({ model }) => model.executionState === "running");
    },
    /** The notebook is drawn and speaks with its kernel, which may be busy. */
    open() {
      const here = panel();
      return Boolean(here?.context.isReady && ["busy", "idle"].includes(here.sessionContext.session?.kernel?.status));
    },
    /** The button of the notebook's own toolbar. */
    async interrupt() {
      await app().commands.execute("kernelmenu:interrupt");
    },
    /** From now on, note each message that the kernel sends to a widget in this page. */
    listen() {
      const heard = (window.bio.heard = []);
      panel().sessionContext.session.kernel.anyMessage.connect((_, { msg, direction }) => {
        const type = msg.header.msg_type;
        if (direction !== "recv" || !["comm_msg", "update_display_data"].includes(type)) return;
        const content = msg.content.data?.content || {};
        heard.push({ at: Date.parse(msg.header.date), type, kind: Object.keys(content)[0] || "", size: JSON.stringify(msg.content).length });
      });
    },
    async runAll() {
      await app().commands.execute("notebook:run-all-cells");
    },
    /** What each cell printed or raised, as text. */
    said(number) {
      const outputs = panel().content.widgets[number].model.outputs.toJSON();
      return outputs.map((o) => (o.output_type === "error" ? `${o.ename}: ${o.evalue}` : [o.text ?? o.data?.["text/plain"] ?? ""].flat().join(""))).join("\n");
    },
    failed(number) {
      return panel().content.widgets[number].model.outputs.toJSON().some((o) => o.output_type === "error");
    },
    /** The JSON of a Python expression, worked out in the kernel and seen by no cell. */
    async ask(expression) {
      const kernel = panel().sessionContext.session.kernel;
      const asked = { v: `__import__("json").dumps(${expression})` };
      const reply = await kernel.requestExecute({ code: "", user_expressions: asked, silent: true, store_history: false }).done;
      const got = reply.content.user_expressions.v;
      if (got.status !== "ok") throw new Error(`${got.ename}: ${got.evalue}`);
      return got.data["text/plain"];
    },
    /** Run Python in the kernel without a cell. */
    async tell(code) {
      const reply = await panel().sessionContext.session.kernel.requestExecute({ code, silent: false, store_history: false }).done;
      if (reply.content.status !== "ok") throw new Error(`${reply.content.ename}: ${reply.content.evalue}`);
    },
    forget(from) {
      cells().deleteCellRange(from, cells().cells.length);
    },
    /** Whether the notebook's outputs are trusted: it was run here, or someone said so. */
    trusted() {
      return [...panel().content.model.cells].filter((cell) => cell.type === "code").every((cell) => cell.trusted);
    },
    async save() {
      await panel().context.save();
    },
    async endKernel() {
      await panel().sessionContext.shutdown();
    },
    async theme(name) {
      await app().commands.execute("apputils:change-theme", { theme: name });
    },
  };
})();
