// @ts-check
// The card of a training run: it draws what Python says of it, as it says it, and passes on Pause, Go on and Stop. What
// is under the pointer and what the panels show are parts of their own, which come when this stands.

/**
 * @typedef {{zoom: number[] | null, rule: number | null, pinned: {run: number, step: number} | null, panel: string,
 *   finer: Map<number, {every: number, points: Point[]}>}} Place where someone looks: the stretch of steps in sight, the
 *   step of the rule, the evaluation whose matrix was chosen, the open panel, and finer points of the stretch
 * @typedef {{ask: Tools["ask"], trouble: Tools["trouble"], say: Tools["say"], alone: boolean, at: Place,
 *   svg: SVGElement, over: SVGElement, region: HTMLElement, reading: HTMLElement, above: HTMLElement,
 *   choice: HTMLElement, notice: HTMLElement, side: HTMLElement, doors: HTMLElement,
 *   shot: () => Shot, runs: () => Run[], drawn: () => Drawn | null, scores: (one: Evaluation, run: Run) => string,
 *   matrices: () => [Evaluation, number][], current: () => [Evaluation, number] | null, redraw: () => void,
 *   later: (act: () => void) => () => void, paintMatrix: () => void, put: (node: HTMLElement, words: string) => void,
 *   mark: typeof mark, real: typeof real, said: typeof said, counted: typeof counted, nearest: typeof nearest,
 *   placeOf: typeof placeOf, evaluationsOf: typeof evaluationsOf}} Desk what the card hands to its parts
 */

const SILENT = 15; // seconds; Python says something every 5 while it trains
const BUSY = ["training", "evaluating", "saving", "stopping"];
/** @type {Record<string, [string, string]>} */
const CONTROLS = {
  pause: ["Pause", "Waits after this step until you press Go on."],
  go_on: ["Go on", "Learns on from where it was paused."],
  stop: ["Stop and keep", "Ends after this step with a checkpoint: what was learned is kept, and training can go on from there."],
};
const NONE = { serial: 0, phase: "idle", live: false, share: null, notice: null, hints: [], buttons: [], steps: null, metrics: [], names: {}, runs: [],
  settings: { header: [], rows: [], different: [] }, said: [] };
/** What Python and the page share is not ours to change. @param {any} given @returns {Shot} */
const whole = (given) => ({ ...NONE, ...JSON.parse(JSON.stringify(given || {})) });

/** News put into a shot; false when something in front of it is missing. @param {any} shot @param {Record<string, any>} news */
function merge(shot, news) {
  for (const [name, value] of Object.entries(news)) {
    const run = ["points", "evaluations", "checkpoints", "test", "every"].includes(name), home = run ? shot.runs[value[0]] : shot;
    if (!home) return false;
    const list = name === "said" ? value : run && value[2] && value.slice(1);
    if (!list) home[name] = run ? value[1] : value;
    else if (list[0] > home[name].length) return false;
    else home[name].splice(list[0], Infinity, ...list[1]);
  }
  return true;
}

/** A text that changes only when it has to, so that whoever selects in it is not disturbed. @param {HTMLElement} node @param {string} words */
function put(node, words) {
  if (node.textContent !== words) node.textContent = words;
  node.hidden = !words;
}

/**
 * @param {Model} model
 * @param {HTMLElement} root
 * @param {Tools} tools
 */
function view(model, root, { ask, trouble, say }) {
  const alone = !!model.get("_alone"), texts = model.get("_texts") || {};
  let shot = whole(model.get("_shot"));
  /** @type {Place} */
  const at = { zoom: null, rule: null, pinned: null, panel: "", finer: new Map() };
  /** @type {Drawn | null} */
  let drawn = null;
  let metric = "", log = false, wide = 0, heard = Date.now(), asking = 0;

  /** @param {string} kind @param {...Child} children */
  const box = (kind, ...children) => make("div", { class: kind }, ...children);
  const title = make("h3", { class: "bw-title", tabindex: -1 }), line = make("span"), doing = make("p", { class: "bw-quiet bt-doing" });
  /** @type {[string, HTMLElement][]} */
  const controls = Object.entries(CONTROLS).map(([verb, [words, title]]) => [verb, button(words, () => press(verb), { title })]);
  const fill = make("i"), bar = make("div", { class: "bt-progress", role: "progressbar", "aria-label": "Training" }, fill);
  const silence = make("p", { class: "bw-news bt-silence" }), notice = box("bt-notice"), legend = box("bw-row bt-keys");
  const bent = button("Log scale", () => {
    log = !log;
    redraw();
  });
  const svg = mark("svg", { "aria-hidden": "true" }), over = mark("svg", { "aria-hidden": "true", class: "bt-over" });
  const region = make("div", { class: "bt-plots" }, svg, over);
  const pick = make("select", { "aria-label": "Metric of the evaluations", onchange: () => {
    metric = pick.value;
    redraw();
  } });
  const only = make("span", { class: "bt-topic" }), spot = make("span", { class: "bt-metric" }, pick, only);
  const reading = box("bt-reading"), empty = make("p", { class: "bt-empty bw-quiet" });
  const above = box("bw-row bt-above", legend, bent), charts = box("bt-charts", above, box("bt-frame", region, spot), reading);
  const which = make("span", { class: "bt-which" }), grid = box("bt-wide"), sums = make("p", { class: "bw-quiet" });
  const choice = box("bw-row", which), matrix = make("div", { class: "bt-matrix", role: "group", "aria-label": "Confusion matrix" }, choice, grid, sums);
  const hints = make("ul", { class: "bt-hints" }), side = make("div", { class: "bw-region bt-panel", hidden: true });
  const names = !alone ? ["Settings", "Table", "Printed", "Compare with…", "Save"] : texts.training_panels ? ["Settings", "Table", "Printed"] : [];
  const doors = make("div", { class: "bw-tools bw-region", role: "group", "aria-label": "More about this run" },
    ...names.map((name) => button(name, () => open(at.panel === name ? "" : name), { "aria-expanded": "false", class: "bw-button bt-door" })));
  root.append(box("bw-head", title, box("bw-tools", ...controls.map(([, node]) => node))), box("bt-state", box("bw-row bt-ahead", bar, line), doing), silence, notice,
    box("bt-body", charts, empty, matrix), hints, doors, side);

  // Steering.
  /** @param {string} verb */
  function press(verb) {
    const node = /** @type {any} */ (controls.find(([name]) => name === verb))[1];
    if (node.ariaDisabled) return;
    trouble("");
    // Not `disabled`, which would take the focus away.
    node.ariaDisabled = "true";
    ask(verb).catch((error) => {
      node.ariaDisabled = null;
      trouble(error);
    });
  }

  // What Python says.
  /** @param {() => boolean} change what changes the shot, and whether it could */
  function take(change) {
    const before = { ...shot, count: shot.runs[0]?.evaluations.length };
    if (!change()) return askAll();
    if (before.phase !== shot.phase || String(before.buttons) !== String(shot.buttons)) for (const [, node] of controls) node.ariaDisabled = null;
    reader?.announce(before);
    redraw();
  }
  /** @param {any} next */
  const replace = (next) => take(() => {
    shot = whole(next);
    at.finer.clear();
    reader?.sharpen();
    return true;
  });
  function askAll() {
    // A question may be lost: then it is asked again.
    if (Date.now() - asking < 4000) return;
    asking = Date.now();
    ask("shot", {}, true).then(({ content }) => content.shot.serial >= shot.serial && replace(content.shot)).catch(trouble).finally(() => (asking = 0));
  }
  /** @param {any} content */
  const hear = ({ fresh, news }) => {
    heard = Date.now();
    try {
      if (fresh) replace(fresh);
      if (news?.serial > shot.serial) take(() => news.serial === shot.serial + 1 && merge(shot, news));
    } catch (error) {
      trouble(error);
    }
  };
  const changed = () => model.get("_shot")?.serial > shot.serial && replace(model.get("_shot"));
  function listen() {
    const seconds = Math.round((Date.now() - heard) / 1000), kept = shot.runs[0]?.checkpoints.at(-1), was = silence.hidden;
    put(silence, alone || seconds < SILENT || !shot.live ? ""
      : `No word from Python for ${seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`}: its kernel is busy or gone. ${kept ? `The last checkpoint is step ${counted(kept)}.` : "There is no checkpoint yet."}`);
    if (was && !silence.hidden) say(silence.textContent);
    if (asking) askAll();
  }

  // Evaluations. The matrix is of the rule's, else of the chosen, else of the newest.
  /** @param {Evaluation} one @param {Run} run */
  const scores = (one, run) => `${one === run.test ? "test after training" : "evaluation"} at step ${counted(one.step)}: ${["loss", ...(shot.metrics.length < 4 && shot.runs.length < 2 ? shot.metrics : [metric])]
    .filter((name) => name in one.values).map((name) => `${shot.names[name] || name} ${said(one.values[name])}`).join(", ")}`;
  /** @returns {[Evaluation, number][]} */
  const matrices = () => shot.runs.flatMap((run, i) => evaluationsOf(run).filter(({ confusion }) => confusion?.length).map((one) => /** @type {[Evaluation, number]} */ ([one, i])));
  /** @returns {[Evaluation, number] | null} */
  function current() {
    const all = matrices(), { rule, pinned } = at, run = pinned?.run ?? all[0]?.[1], own = all.filter(([, i]) => i === run);
    return (rule !== null && own.filter(([{ step }]) => step <= rule).at(-1)) || own.find(([{ step }]) => step === pinned?.step) || own.at(-1) || all[0] || null;
  }
  /** @type {any} */
  let tabled = null;
  function paintMatrix() {
    reader?.chooser();
    const all = matrices(), here = current();
    matrix.hidden = !here;
    if (!here) return;
    const [one, i] = here, run = shot.runs[i], many = shot.runs.length > 1, counts = one.confusion || [], k = all.findIndex(([each]) => each === one);
    put(which, `${many ? `${run.name}, ` : ""}${one === run.test ? "test, " : ""}step ${counted(one.step)}${one.best ? ", the best" : !many && k && !all[k + 1] && one !== run.test ? ", the newest" : ""}`);
    if (tabled === one) return;
    tabled = one;
    const labels = run.labels || [], { accuracy, mcc, majority, share, all: sum } = summed(counts);
    grid.replaceChildren(drawMatrix(counts, labels));
    put(sums, sum ? `MCC ${said(mcc)}, accuracy ${said(accuracy)}; always saying ${labels[majority] ?? majority}: ${said(share)}` : "");
  }

  // Drawing.
  /** The runs as they are drawn: where someone looks closely, with finer points. */
  const runs = () => shot.runs.map((run, i) => {
    const fine = at.finer.get(i), last = fine?.points.at(-1);
    if (!fine || !last) return run;
    return { ...run, every: fine.every, points: [...run.points.filter((point) => point[1] < fine.points[0][0]), ...fine.points, ...run.points.filter((point) => point[0] > last[1])] };
  });
  /** Once before the next picture, however often it is called. @param {() => void} act */
  const later = (act) => {
    let soon = 0;
    return () => {
      cancelAnimationFrame(soon);
      soon = requestAnimationFrame(() => {
        try {
          act();
        } catch (error) {
          trouble(error);
        }
      });
    };
  };
  let noticed = "", hinted = "", keyed = "", offered = "";
  function words() {
    put(title, shot.title);
    const gone = controls.some(([verb, node]) => !shot.buttons.includes(verb) && node.matches(":focus"));
    for (const [verb, node] of controls) node.hidden = alone || !shot.buttons.includes(verb);
    // Who pressed a button that is gone stands at the next one.
    if (gone) (controls.find(([, node]) => !node.hidden)?.[1] || title).focus({ preventScroll: true });
    const percent = Math.round(100 * Math.max(0, Math.min(1, shot.share || 0)));
    bar.hidden = shot.share === null;
    bar.dataset.phase = shot.phase;
    fill.style.width = `${percent}%`;
    bar.ariaValueNow = percent;
    bar.ariaValueText = shot.line || `${percent} %`;
    put(line, shot.line || "");
    // While it learns the line is kept free, so that the charts do not jump.
    put(doing, shot.doing || (shot.phase === "paused" ? "Paused." : BUSY.includes(shot.phase) ? " " : ""));
    if (noticed !== (noticed = JSON.stringify(shot.notice))) {
      notice.dataset.kind = shot.notice?.kind;
      notice.replaceChildren(...(shot.notice?.words || []).map((words) => make("p", {}, words)), shot.notice?.code ? make("code", { tabindex: 0 }, shot.notice.code) : "");
      reader?.copying();
    }
    if (hinted !== (hinted = shot.hints.join("\n"))) hints.replaceChildren(...shot.hints.map((hint) => make("li", {}, make("b", {}, "Hint: "), hint)));
    listen();
  }
  /** What lines and marks mean. @param {Run[]} runs */
  function keys(runs) {
    const many = runs.length > 1, every = Math.max(...runs.map((run) => run.every));
    /** @type {[string, string, string?][]} */
    const all = many ? runs.map((run, i) => ["solid", run.name, hue(shot, i)]) : [];
    all.push(["solid", "training", many ? "" : hue(shot, 0)]);
    if (runs.some((run) => evaluationsOf(run).length)) all.push(["dashed", "evaluation", many ? "" : hue(shot, 0, true)]);
    if (every > 1) all.push(["shade", `lowest to highest of ${counted(every)} log lines`, many ? "" : hue(shot, 0)]);
    if (runs.some((run) => run.checkpoints.length)) all.push(["kept", "checkpoint"]);
    if (drawn?.broken) all.push(["cross", "not a number"]);
    if (keyed === (keyed = JSON.stringify(all))) return;
    legend.replaceChildren(...all.map(([kind, name, colour]) => make("span", { class: "bt-key" }, make("i", { class: `bt-sample bt-${kind}`, style: colour && `--bt-hue:${colour}` }), name)));
  }
  function paint() {
    words();
    const now = runs(), bare = now.every((run) => !run.points.length && !evaluationsOf(run).length);
    put(empty, !bare ? "" : shot.kind === "compare" || ["stopped", "finished", "failed"].includes(shot.phase) ? "No loss was logged." : "No loss yet: the first comes after the first logged step.");
    charts.hidden = bare;
    if (!bare && wide > 100) {
      if (!shot.metrics.includes(metric)) metric = shot.metrics[0] || "";
      drawn = drawCharts(svg, { shot: { ...shot, runs: now }, zoom: at.zoom, metric, log, wide, chosen: (matrices()[1] && current()?.[0]) || null });
      over.setAttribute("width", wide);
      over.setAttribute("height", drawn.height);
      bent.hidden = !drawn.canLog && !log;
      bent.ariaPressed = log;
      pick.hidden = !drawn.metricTop || !shot.metrics[1];
      put(only, drawn.metricTop && !shot.metrics[1] ? shot.names[metric] || metric : "");
      if (offered !== (offered = JSON.stringify([shot.metrics, shot.names]))) pick.replaceChildren(...shot.metrics.map((name) => make("option", { value: name }, shot.names[name] || name)));
      pick.value = metric;
      spot.style.transform = `translate(${drawn.left}px,${drawn.metricTop}px)`;
      keys(now);
      reader?.point();
    }
    paintMatrix();
    panels?.refresh();
  }
  const redraw = later(paint);

  // The parts.
  /** @type {Desk} */
  const desk = { ask, trouble, say, alone, at, svg, over, region, reading, above, choice, notice, side, doors, shot: () => shot, runs, drawn: () => drawn, scores, matrices, current,
    redraw, later, paintMatrix, put, mark, real, said, counted, nearest, placeOf, evaluationsOf };
  /** @type {any} */
  let reader = null;
  /** @type {any} */
  let panels = null;
  /** @param {string} stem @param {boolean} quiet */
  async function part(stem, quiet) {
    const text = texts[stem] ?? (await ask("module", { stem }, quiet)).content.text;
    return (await biollmImported(text))(desk);
  }
  /** @param {string} name */
  async function open(name) {
    trouble("");
    at.panel = name;
    side.hidden = !name;
    for (const node of doors.children) node.ariaExpanded = String(node.textContent === name);
    try {
      if (name && !panels) {
        side.replaceChildren(make("span", { class: "bw-quiet" }, "Waiting for Python …"));
        panels = await part("training_panels", false);
      }
      panels?.open();
    } catch (error) {
      trouble(error);
    }
  }

  model.on("msg:custom", hear);
  model.on("change:_shot", changed);
  const sized = new ResizeObserver(() => {
    if (wide !== (wide = charts.clientWidth || wide)) redraw();
  });
  sized.observe(charts);
  const clock = setInterval(listen, 5000);
  words();
  redraw();
  if (!alone) askAll();
  let closed = false;
  part("training_reading", true).then((made) => {
    if (closed) return made.clean();
    reader = made;
    reader.copying();
    redraw();
  }, trouble);
  return () => {
    closed = true;
    reader?.clean();
    panels?.clean();
    clearInterval(clock);
    sized.disconnect();
    model.off("msg:custom", hear);
    model.off("change:_shot", changed);
  };
}

export default {
  /** @param {{model: Model, el: HTMLElement}} given */
  render: ({ model, el }) => card(model, el, "Training progress", (root, tools) => view(model, root, tools)),
};
