// @ts-check
// What is under the rule of the charts, in words, and how pointer and keys move it and zoom. Python sends this module,
// with base.js before it, as soon as the card of a training run stands.

/** @typedef {import("./training_progress.js").Desk} Desk */

const TOP = 24; // of the first chart

/** Listens to the charts; `point` brings rule and words up to date, `sharpen` asks for finer points. @param {Desk} desk */
export default function reading(desk) {
  const { ask, say, at, svg, over, region, reading, above, choice, notice, shot, runs, drawn, scores, matrices, current, redraw, later, paintMatrix, put } = desk;
  const { mark, real, said, counted, nearest, placeOf, evaluationsOf } = desk;
  const back = button("Whole run", () => see(null), { hidden: true });
  above.append(back);
  const before = button("‹", () => turn(-1), { "aria-label": "The evaluation before" }), after = button("›", () => turn(1), { "aria-label": "The next evaluation" });
  choice.append(before, after);
  for (const [name, value] of Object.entries({ tabindex: "0", role: "application",
    "aria-label": "Charts: arrows move the rule, Home and End go to the ends, plus and minus zoom, 0 shows the whole run, Enter keeps an evaluation's matrix, Escape leaves" })) region.setAttribute(name, value);
  /** Whether the keys put the rule where it is. */
  let keyed = false;
  /** @type {number[] | null} */
  let dragged = null;
  let grip = -1, asked = 0, soon = 0;
  const listening = new AbortController();

  // Words.
  /** What is known of a run at a step. @param {Run} run @param {number} step */
  function tell(run, step) {
    const point = nearest(run.points, step, (one) => placeOf(run, one)), words = [];
    const most = point ? Math.max(step, point[1]) : step, test = evaluationsOf(run).filter((one) => one.step <= most).at(-1);
    if (point) {
      const [from, to, loss, low, high, rate, gradient] = point, spread = real(low) && real(high) && low < high ? ` (${said(low)} to ${said(high)})` : "";
      words.push(`step ${from < to ? `${counted(from)}–` : ""}${counted(to)}: training loss ${real(loss) ? said(loss) + spread : "is not a number"}`);
      if (real(rate)) words.push(`learning rate ${said(rate)}`);
      if (real(gradient) && shot().runs.length < 2) words.push(`gradient norm ${said(gradient)}`);
      if (run.checkpoints.some((kept) => kept >= from && kept <= to)) words.push("checkpoint");
    }
    if (test) words.push(scores(test, run));
    return `${shot().runs.length > 1 ? `${run.name}, ` : ""}${words.join(" · ")}`;
  }

  /** What a screen reader is told without asking. @param {Shot & {count?: number}} old what was */
  function announce(old) {
    const now = shot(), run = now.runs[0], words = now.hints.filter((hint) => !old.hints.includes(hint)).map((hint) => `Hint: ${hint}`);
    if (run?.evaluations.length > (old.count ?? 0)) words.unshift(`${scores(/** @type {Evaluation} */ (run.evaluations.at(-1)), run)}.`);
    if (old.phase !== now.phase) words.unshift(...(now.notice?.words || [now.doing]));
    if (words.join("")) say(words.join(" "));
  }
  /** The line of a notice can be taken along. */
  function copying() {
    const code = notice.querySelector("code");
    if (!code) return;
    const done = make("span", { class: "bw-quiet", role: "status" });
    const row = make("div", { class: "bw-row" });
    code.replaceWith(row);
    row.append(code, button("Copy", () => {
      getSelection()?.selectAllChildren(code);
      const shut = () => (done.textContent = "The clipboard is closed here; the line is selected, press Ctrl+C or Cmd+C.");
      navigator.clipboard ? navigator.clipboard.writeText(code.textContent || "").then(() => (done.textContent = "Copied."), shut) : shut();
    }), done);
  }

  // The evaluation whose matrix is shown.
  function chooser() {
    const all = matrices(), here = current(), k = all.findIndex(([one]) => one === here?.[0]);
    before.hidden = after.hidden = !all[1];
    before.ariaDisabled = k > 0 ? null : "true";
    after.ariaDisabled = all[k + 1] ? null : "true";
  }
  /** @param {number} by */
  function turn(by) {
    const all = matrices(), here = current(), next = all[all.findIndex(([one]) => one === here?.[0]) + by];
    if (!next) return;
    // At the newest it goes on with what comes.
    at.pinned = next === all.at(-1) && shot().runs.length < 2 ? null : { run: next[1], step: next[0].step };
    at.rule = null;
    redraw();
    say(scores(next[0], shot().runs[next[1]]));
  }

  // The rule.
  function point() {
    const here = drawn();
    if (!here) return;
    // Another run, which is not as long
    if (at.zoom && at.zoom[0] >= here.end) see(null);
    if (at.rule !== null && !here.places.includes(at.rule)) at.rule = nearest(here.places, at.rule, (place) => place) ?? null;
    const step = at.rule, { bottom } = here;
    over.replaceChildren();
    if (dragged) over.append(mark("rect", { x: Math.min(...dragged), y: TOP, width: Math.abs(dragged[1] - dragged[0]), height: bottom - TOP, class: "bt-drag" }));
    if (step !== null)
      over.append(mark("path", { d: `M${Math.round(here.x(step)) + 0.5},${TOP - 4}V${bottom}`, class: "bt-line" }),
        ...here.dots(step).map(([cx, cy, colour]) => mark("circle", { cx, cy, r: 4, class: "bt-dot", style: `fill:${colour}` })));
    const lines = step === null ? ["Point at the charts, or go to them with Tab and the arrows, to read them; drag to zoom."] : runs().map((run) => tell(run, step));
    while (reading.children.length > lines.length) reading.lastElementChild?.remove();
    lines.forEach((words, i) => put(/** @type {HTMLElement} */ (reading.children[i] || reading.appendChild(make("p"))), words));
    reading.classList.toggle("bw-quiet", step === null);
    // Nothing below jumps when words come and go
    reading.style.minHeight = `${Math.max(2, shot().runs.length) * 19 + 4}px`;
    if (back.matches(":focus") && !at.zoom) region.focus({ preventScroll: true });
    back.hidden = !at.zoom;
  }
  const pointed = later(() => {
    point();
    paintMatrix();
  });
  /** @param {number | null} step @param {boolean} [aloud] */
  function go(step, aloud = false) {
    if (step === at.rule && keyed === aloud) return;
    const was = current()?.[0];
    at.rule = step;
    keyed = aloud;
    if (aloud && step !== null) say(runs().map((run) => tell(run, step)).join(". "));
    // The evaluation that is shown in the matrix wears a ring
    if (current()?.[0] !== was) redraw();
    else pointed();
  }

  // Zoom.
  /** @param {number[] | null} next */
  function see(next) {
    const here = drawn();
    if (next && here) {
      const span = Math.max(2, next[1] - next[0]), from = Math.max(0, Math.min(next[0], here.end - span));
      next = span >= here.end ? null : [from, from + span];
    }
    at.zoom = next;
    at.finer.clear();
    sharpen();
    redraw();
  }
  /** Ask for finer points of the stretch in sight, once it has come to rest. */
  function sharpen() {
    const mine = ++asked;
    clearTimeout(soon);
    if (desk.alone || !at.zoom) return;
    const [start, end] = at.zoom;
    soon = window.setTimeout(() => shot().runs.forEach(({ every }, run) => {
      if (every > 1)
        ask("range", { run, start: Math.floor(start), end: Math.ceil(end) }, true).then(({ content }) => {
          if (mine !== asked || !content.points?.length) return;
          at.finer.set(run, content);
          redraw();
        }, () => {});
    }), 150);
  }
  /** @param {number} factor */
  function scale(factor) {
    const here = drawn();
    if (!here) return;
    const { low, high } = here, middle = at.rule ?? (low + high) / 2;
    see([middle - (middle - low) * factor, middle + (high - middle) * factor]);
  }

  // Pointer and keys.
  /** @param {EventTarget} node @param {string} event @param {(event: any, here: Drawn) => void} act */
  const on = (node, event, act) => node.addEventListener(event, (given) => {
    const here = drawn();
    if (here) act(given, here);
  }, { signal: listening.signal });
  /** @param {PointerEvent} event @returns {[number, number]} */
  function spot(event) {
    const box = svg.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }
  /** The evaluation there. @param {Drawn} here @param {[number, number]} place */
  const marker = (here, [x, y]) => here.spots.find((one) => Math.hypot(one.x - x, one.y - y) < 12 && one.evaluation.confusion?.length);
  /** @param {Drawn} here @param {number} x */
  const held = (here, x) => Math.max(here.left, Math.min(here.right, x));
  on(region, "pointerdown", (event, here) => {
    if (event.button) return;
    grip = held(here, spot(event)[0]);
    region.setPointerCapture(event.pointerId);
  });
  on(region, "pointermove", (event, here) => {
    const place = spot(event), x = held(here, place[0]), step = nearest(here.places, here.step(x), (each) => each) ?? null;
    if (grip >= 0 && (dragged || Math.abs(x - grip) > 6)) dragged = [grip, x];
    region.style.cursor = marker(here, place) ? "pointer" : "";
    if (dragged) {
      at.rule = step;
      pointed();
    } else if (place[0] > here.left - 24) go(step);
    else if (!keyed) go(null);
  });
  on(region, "pointerup", (event, here) => {
    const far = dragged, one = grip >= 0 && marker(here, spot(event));
    [dragged, grip] = [null, -1];
    if (far) return see([Math.min(...far), Math.max(...far)].map(here.step));
    if (one) at.pinned = { run: one.run, step: one.evaluation.step };
    redraw();
  });
  on(region, "pointercancel", () => {
    [dragged, grip] = [null, -1];
    pointed();
  });
  on(region, "pointerleave", (event) => event.pointerType === "mouse" && grip < 0 && !keyed && go(null));
  on(region, "blur", () => keyed && go(null));
  on(region, "dblclick", () => see(null));
  on(region, "keydown", (event, here) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { places, low, high } = here, by = { ArrowRight: 1, ArrowLeft: -1 }[/** @type {string} */ (event.key)] || 0;
    if (by) {
      const next = at.rule === null ? (by > 0 ? 0 : places.length - 1) : places.indexOf(at.rule) + by * (event.shiftKey ? 10 : 1);
      if (at.zoom && !(next in places)) see(at.zoom.map((step) => step + (by * (high - low)) / 2));
      go(places[Math.max(0, Math.min(places.length - 1, next))] ?? null, true);
    } else if (event.key === "Home" || event.key === "End") go(places.at(event.key === "Home" ? 0 : -1) ?? null, true);
    else if (event.key === "+" || event.key === "=") scale(0.5);
    else if (event.key === "-") scale(2);
    else if (event.key === "0") see(null);
    else if (event.key === "Enter") {
      const one = at.rule !== null && current();
      if (one) at.pinned = { run: one[1], step: one[0].step };
      redraw();
    } else if (event.key === "Escape") {
      go(null);
      region.blur();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return {
    point, sharpen, announce, copying, chooser,
    clean() {
      clearTimeout(soon);
      listening.abort();
    },
  };
}
