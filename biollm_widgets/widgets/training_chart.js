// @ts-check
// The charts of a training run, drawn by hand in SVG: loss, one metric and the learning rate over one axis of steps.

/**
 * @typedef {[number, number, number | null, number | null, number | null, number | null, number | null]} Point its first
 *   and last step, loss, lowest and highest loss, learning rate, length of the gradient
 * @typedef {{step: number, epoch?: number | null, values: Record<string, number | null>, confusion?: number[][] | null,
 *   best?: boolean}} Evaluation
 * @typedef {{name: string, every: number, points: Point[], evaluations: Evaluation[], test?: Evaluation | null,
 *   checkpoints: number[], labels?: string[] | null}} Run
 * @typedef {{serial: number, kind: string, title: string, line: string, share: number | null, phase: string, live: boolean, doing: string,
 *   notice: {kind: string, words: string[], code?: string} | null, hints: string[], buttons: string[],
 *   steps: number | null, metrics: string[], names: Record<string, string>, runs: Run[],
 *   settings: {header: string[], rows: string[][], different: number[]}, said: string[]}} Shot what Python says of a run
 * @typedef {{shot: Shot, zoom: number[] | null, metric: string, log: boolean,
 *   wide: number, chosen: Evaluation | null}} Scene what there is to draw
 * @typedef {{x: number, y: number, run: number, evaluation: Evaluation}} Spot an evaluation in the picture
 * @typedef {{left: number, right: number, bottom: number, height: number, low: number, high: number, end: number,
 *   metricTop: number, canLog: boolean, broken: boolean, x: (step: number) => number, step: (x: number) => number,
 *   places: number[], spots: Spot[], dots: (step: number) => [number, number, string][]}} Drawn where things came to be
 * @typedef {[number, number, number]} Where x and y, and the value
 * @typedef {{top: number, bottom: number, y: (value: number) => number}} Plot
 */

const LOSS = 172, METRIC = 96, RATE = 44, ABOVE = 24;

/** @param {string} tag @param {Record<string, any>} props @param {...Child} children @returns {any} */
function mark(tag, props, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(props)) if (value != null) node.setAttribute(name, String(value));
  node.append(...children.map((child) => child || ""));
  return node;
}

/** @param {any} value @returns {value is number} */
const real = (value) => typeof value === "number" && Number.isFinite(value);
/** @param {number} value */
const counted = (value) => value.toLocaleString("en");
/** @param {string} words */
const tidy = (words) => words.replace(/\.?0*e\+?/, "e").replace(/^-/, "−");

/** A value as people write it: 0.41, 12.3, 2.1e-5. @param {number | null | undefined} value @param {number} [more] digits besides */
function said(value, more = 0) {
  if (!real(value)) return "not a number";
  const size = Math.abs(value);
  if (!size) return "0";
  if (size >= 1e5 || size < 1e-3) return tidy(value.toExponential(1 + more));
  return tidy(value.toFixed(more + [100, 10, 0.1, 0.01, 0].findIndex((least, i) => size >= least || i > 3)));
}

/** Round distances: about `count` of them from low to high. @param {number} low @param {number} high @param {number} count */
function pitch(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((k) => k * power >= rough * 0.999) || 10);
}

/** @param {number} low @param {number} high @param {number} by @returns {number[]} */
function multiples(low, high, by) {
  const all = [];
  for (let i = Math.ceil(low / by - 1e-6); i <= high / by + 1e-6 && all.length < 99; i++) all.push(Number((i * by).toPrecision(12)));
  return all;
}

/** @param {number} low @param {number} high @param {number} by @returns {[number, string][]} */
function ticks(low, high, by) {
  const place = Math.floor(Math.log10(by) + 1e-9);
  return multiples(low, high, by).map((value) => {
    const size = Math.floor(Math.log10(Math.abs(value) || 1) + 1e-9);
    return [value, !value ? "0" : tidy(size > 3 || place < -4 ? value.toExponential(Math.max(0, size - place)) : value.toFixed(Math.max(0, -place)))];
  });
}

/** Ticks of a logarithmic axis. @param {number} low @param {number} high @returns {[number, string][]} */
function decades(low, high) {
  const [from, to] = [low, high].map(Math.log10), powers = multiples(from, to, Math.max(1, Math.ceil((to - from) / 6)));
  return powers[1] === undefined ? ticks(low, high, pitch(low, high, 3)) : powers.map((power) => ticks(10 ** power, 10 ** power, 10 ** power)[0]);
}

/** The marker of a run: each has its own shape. @param {number} run @param {number} x @param {number} y @param {number} r */
function shape(run, x, y, r) {
  return `M${x},${y}` + [`m${-r},0a${r},${r} 0 1 0 ${2 * r},0a${r},${r} 0 1 0 ${-2 * r},0`, "m-1,-1h2v2h-2z", "m0,-1.3l1.3,1.3l-1.3,1.3l-1.3,-1.3z",
    "m0,-1.2l1.2,2.2h-2.4z", "m0,1.2l1.2,-2.2h-2.4z", "m-1.2,-1l2.4,2v-2l-2.4,2z"][run % 6].replace(/-?[\d.]+/g, (n) => (run % 6 ? String(Number(n) * r) : n));
}

/** Of what colour a run's line is. @param {Shot} shot @param {number} run @param {boolean} [evaluated] */
const hue = (shot, run, evaluated) => `var(--bt-run${shot.runs.length > 1 ? run % 6 : Number(!!evaluated)})`;
/** @param {Run} run @returns {Evaluation[]} */
const evaluationsOf = ({ evaluations, test }) => (test ? [...evaluations, test] : evaluations);
/** Where a point stands: a log line at its step, the mean of several amid them. @param {Run} run @param {Point} point */
const placeOf = ({ every }, [from, to]) => (every > 1 ? (from + to) / 2 : to);

/**
 * A line through what is known: it breaks where nothing is, and a value alone is a dot.
 * @param {(Where | null)[]} places @returns {[string, Where[]]}
 */
function trace(places) {
  let path = "", joined = false;
  /** @type {Where[]} */
  const alone = [];
  places.forEach((place, i) => {
    const known = !!place && real(place[1]); // not below the end of a logarithmic axis
    if (known && !joined && !places[i + 1]) alone.push(place);
    if (known) path += `${joined ? "L" : "M"}${place[0].toFixed(1)},${place[1].toFixed(1)}`;
    joined = known;
  });
  return [path, alone];
}

/** Those of rising places that leave room for each other. @param {number[]} places @param {number} room */
const apart = (places, room) => places.reduce((kept, place) => (place - (kept.at(-1) ?? -Infinity) < room ? kept : [...kept, place]), /** @type {number[]} */ ([]));

/** @template T @param {T[]} all @param {number} step @param {(one: T) => number} where @returns {T | undefined} */
function nearest(all, step, where) {
  let best, least = Infinity;
  for (const one of all) {
    const away = Math.abs(where(one) - step);
    if (away < least) [best, least] = [one, away];
  }
  return best;
}

/** Draw it all anew. @param {SVGElement} svg @param {Scene} scene @returns {Drawn} */
function drawCharts(svg, { shot, zoom, metric, log, wide, chosen }) {
  const { runs } = shot, many = runs.length > 1, roomy = wide >= 440;
  const left = 48, right = Math.max(left + 80, wide - (roomy ? 100 : 12));

  // The axis of steps, and what is in sight.
  let begin = Infinity, end = shot.steps || 1;
  for (const run of runs) {
    const known = [run.points[0]?.[0], run.points.at(-1)?.[1], ...evaluationsOf(run).map(({ step }) => step)].filter(real);
    begin = Math.min(begin, ...known);
    end = Math.max(end, ...known);
  }
  const [low, high] = zoom || [begin > end / 2 && begin < end ? begin : 0, end];
  const x = (/** @type {number} */ step) => left + ((step - low) / (high - low)) * (right - left);
  const inside = (/** @type {number} */ step) => step >= low && step <= high;
  const sights = runs.map((run) => ({ seen: run.points.filter((point) => inside(placeOf(run, point))), tests: evaluationsOf(run).filter(({ step }) => inside(step)) }));
  const values = (/** @type {string} */ name) => sights.flatMap(({ tests }) => tests.map((one) => one.values[name]));
  const losses = [...values("loss"), ...sights.flatMap(({ seen }, i) => seen.flatMap((point) => point.slice(2, runs[i].every > 1 ? 5 : 3)))].filter(real).sort((a, b) => a - b);
  const scores = values(metric).filter(real), rates = sights.flatMap(({ seen }) => seen.map((point) => point[5])).filter(real);
  const hasScores = runs.some((run) => evaluationsOf(run).some((one) => real(one.values[metric])));
  const bent = log && losses[0] > 0;

  const back = mark("g", {}), lines = mark("svg", { x: left, y: 0, width: right - left }), notes = mark("g", {}), front = mark("g", {});
  /** @type {Spot[]} */
  const spots = [];
  /** @type {((step: number) => [number, number, string] | null)[]} */
  const finders = [];
  /** @param {number} px @param {number} py @param {string} words @param {string} kind */
  const text = (px, py, words, kind) => notes.append(mark("text", { x: px, y: py, class: kind }, words));
  /** @param {Element} layer @param {string} d @param {string} kind @param {string} [style] */
  const path = (layer, d, kind, style) => layer.append(mark("path", { d, class: kind, style, transform: layer === lines ? `translate(${-left})` : null }));

  const steps = ticks(low, high, Math.max(1, pitch(low, high, (right - left) / (roomy ? 96 : 72))));
  /** A plot with its grid. @param {number} top @param {number} tall @param {number} a @param {number} z @param {[number, string][]} marks @param {boolean} [log] @returns {Plot} */
  function plot(top, tall, a, z, marks, log) {
    const bottom = top + tall, f = log ? Math.log10 : (/** @type {number} */ v) => v;
    const y = (/** @type {number} */ v) => bottom - ((f(v) - f(a)) / (f(z) - f(a))) * tall;
    for (const [value, words] of marks) {
      path(back, `M${left},${Math.round(y(value)) + 0.5}H${right}`, "bt-grid");
      text(left - 8, y(value) + 4, words, "bt-end");
    }
    for (const [step] of steps) path(back, `M${Math.round(x(step)) + 0.5},${top}V${bottom}`, "bt-grid");
    path(back, `M${left},${bottom + 0.5}H${right}`, "bt-axis");
    return { top, bottom, y };
  }
  /** A span of values made wide enough and its ends round. @param {number} a @param {number} z @param {number} least @param {number} count @returns {[number, number, [number, string][]]} */
  function round(a, z, least, count) {
    if (z - a < least) [a, z] = [(a + z - least) / 2, (a + z + least) / 2];
    const by = pitch(a, z, count), from = Math.floor(a / by + 1e-6) * by, to = Math.ceil(z / by - 1e-6) * by;
    return [from, to, ticks(from, to, by)];
  }
  /** @type {{x: number, y: number, words: string}[]} */
  let ends = [];
  /** Names at the ends of the lines, one below the other. @param {Plot} plot */
  function label({ top, bottom }) {
    ends.sort((a, b) => a.y - b.y);
    ends.forEach((one, i) => (one.y = Math.max(one.y, i ? ends[i - 1].y + 13 : top + 4)));
    ends.reverse().forEach((one, i) => (one.y = Math.min(one.y, i ? ends[i - 1].y - 13 : bottom - 2)));
    // Beside the markers there, too
    if (roomy) for (const one of ends) text(Math.max(one.x, ...spots.map((spot) => spot.x).filter((px) => px < one.x + 12)) + 12, one.y + 4, one.words, "bt-name");
    ends = [];
  }
  const shown = (/** @type {Where | null} */ place) => !!place && place[0] > left - 1 && place[0] < right + 1;
  /** A column of the points as a line; where it ends. @param {Plot} plot @param {number} i @param {number} column */
  function curve({ y }, i, column) {
    const run = runs[i], colour = hue(shot, i);
    /** @param {Point | undefined} point @returns {Where | null} */
    const there = (point) => (point && real(point[column]) ? [x(placeOf(run, point)), y(point[column]), point[column]] : null);
    const places = run.points.map(there), [d, alone] = trace(places), last = places.filter(shown).at(-1);
    path(lines, d, "bt-curve", `stroke:${colour}`);
    if (last && column === 2) alone.push(last);
    for (const [px, py] of alone.filter(shown)) path(front, shape(0, px, py, 3), "", `fill:${colour}`);
    finders.push((step) => {
      const place = there(nearest(sights[i].seen, step, (point) => placeOf(run, point)));
      return place && [place[0], place[1], colour];
    });
    return last;
  }
  /** Evaluations: a dashed line, a marker each. @param {Plot} plot @param {number} i @param {string} name */
  function tests({ top, y }, i, name) {
    const run = runs[i], colour = hue(shot, i, true), during = run.evaluations;
    /** @param {Evaluation} one @returns {Where | null} */
    const there = ({ step, values }) => (real(values[name]) ? [x(step), y(values[name]), values[name]] : null);
    path(lines, trace(during.map(there))[0], "bt-curve bt-dashed", `stroke:${colour}`);
    for (const one of sights[i].tests) {
      const place = there(one), test = one === run.test;
      if (!place) continue;
      const [px, py] = place;
      path(front, shape(i, px, py, test ? 5 : during.length > 40 ? 2 : 3.5), test ? "bt-hollow" : "", `${test ? "stroke" : "fill"}:${colour}`);
      if (one === chosen) path(front, shape(0, px, py, 7), "bt-ring");
      if (test || (one.best && !many && (name !== "loss" || !hasScores))) text(px, py + (test || py < top + 12 ? 20 : -10), test ? "test" : "best", "bt-middle bt-name");
      spots.push({ x: px, y: py, run: i, evaluation: one });
    }
    return during.map(there).filter(shown).at(-1);
  }

  const most = losses[losses.length - 1] || 0, air = (most / losses[0]) ** 0.04 * 1.02;
  const [a, z, marks] = !losses.length ? [0, 1, []] : bent ? [losses[0] / air, most * air, decades(losses[0] / air, most * air)]
    : round(losses[0], most, Math.max(Math.abs(losses[0]), Math.abs(most)) * (zoom ? 0.004 : 0.1) || 1, 4);
  const loss = plot(ABOVE, LOSS, a, z, marks, bent);
  text(left, ABOVE - 10, bent ? "loss, log scale" : "loss", "bt-topic");
  let broken = false;
  runs.forEach((run, i) => {
    if (run.every > 1) {
      /** @param {number} column */
      const rim = (column) => trace(run.points.map((point) => (real(point[3]) && real(point[4]) && real(loss.y(point[3])) ? [x(placeOf(run, point)), loss.y(/** @type {number} */ (point[column])), 0] : null)))[0].split("M").slice(1);
      const floor = rim(3);
      path(lines, rim(4).map((d, k) => `M${d}L${floor[k].split("L").reverse().join("L")}Z`).join(""), "bt-band", `fill:${hue(shot, i)}`);
    }
    const last = curve(loss, i, 2), tested = tests(loss, i, "loss");
    const at = last || tested;
    if (many && at) ends.push({ x: at[0], y: at[1], words: run.name.length > 15 ? `${run.name.slice(0, 14)}…` : run.name });
    if (!many && last) ends.push({ x: last[0], y: last[1], words: `training ${said(last[2])}` });
    if (!many && tested) ends.push({ x: last && last[0] - tested[0] < 96 ? Math.max(last[0], tested[0]) : tested[0], y: tested[1], words: `evaluation ${said(tested[2])}` });
    const lost = sights[i].seen.filter((point) => !real(point[2]));
    if (lost[0]) broken = true;
    for (const px of apart(run.checkpoints.filter(inside).map(x), 6)) path(front, `M${px},${loss.bottom + 2}l4,6h-8z`, "bt-kept");
    for (const px of apart(lost.map((point) => x(placeOf(run, point))), 10)) path(front, `M${px - 4},${loss.bottom - 4}l8,8m0,-8l-8,8`, "bt-cross");
  });
  label(loss);
  if (!losses.length) text((left + right) / 2, ABOVE + LOSS / 2, broken ? "The loss is not a number." : "Nothing was logged in this stretch.", "bt-middle");
  let { bottom } = loss, metricTop = 0;

  // The metric: from 0 to 1 where it lives there; zoomed, what is in sight.
  if (hasScores) {
    metricTop = bottom + 10;
    let [a, z] = scores.length ? [Math.min(...scores), Math.max(...scores)] : [0, 1];
    if (!zoom && a >= -1 && z <= 1) [a, z] = [Math.min(0, a), 1];
    const scored = plot(metricTop + 28, METRIC, ...round(a, z, Math.abs(a) * 0.01 || 0.01, 3));
    runs.forEach((_, i) => {
      const last = tests(scored, i, metric);
      if (last && !many) ends.push({ x: last[0], y: last[1], words: `${shot.names[metric] || metric} ${said(last[2])}` });
    });
    label(scored);
    bottom = scored.bottom;
  }
  if (runs.some(({ points }) => points.some((point) => real(point[5])))) {
    const most = Math.max(0, ...rates) * 1.08 || 1, low = Math.min(0, ...rates);
    text(left, bottom + 20, "learning rate", "bt-topic");
    const rate = plot(bottom + 28, RATE, low, most, ticks(low, most, pitch(low, most, 2)));
    runs.forEach((_, i) => curve(rate, i, 5));
    bottom = rate.bottom;
  }

  const room = counted(high | 0).length * 7;
  for (const px of apart(steps.map(([step]) => x(step)), room + 8)) text(Math.min(px, wide - room / 2), bottom + 16, counted(Math.round(low + ((px - left) / (right - left)) * (high - low))), "bt-middle");
  text(right, bottom + 30, "step", "bt-end");
  const height = bottom + 36;
  lines.setAttribute("height", height);
  svg.setAttribute("height", String(height));
  svg.setAttribute("width", String(wide));
  svg.replaceChildren(back, lines, notes, front);
  return {
    left, right, bottom, height, low, high, end, metricTop, broken, spots, x,
    canLog: losses[0] > 0 && most > 20 * losses[losses.length >> 1],
    places: [...new Set(sights.flatMap(({ seen, tests }, i) => [...seen.map((point) => placeOf(runs[i], point)), ...tests.map(({ step }) => step)]))].sort((a, b) => a - b),
    step: (px) => low + ((px - left) / (right - left)) * (high - low),
    dots: (step) => finders.map((find) => find(step)).filter((dot) => dot !== null),
  };
}

/** What a confusion matrix adds up to. @param {number[][]} matrix matrix[is][said] */
function summed(matrix) {
  /** @param {number[]} row */
  const sum = (row) => row.reduce((all, n) => all + n, 0);
  /** @param {number[]} a @param {number[]} b */
  const dot = (a, b) => sum(a.map((n, k) => n * b[k]));
  const is = matrix.map(sum), told = matrix.map((_, k) => sum(matrix.map((row) => row[k])));
  const all = sum(is), right = sum(matrix.map((row, k) => row[k])), most = Math.max(...is);
  // Matthews' correlation for any number of classes: Gorodkin 2004, Computational Biology and Chemistry 28, 367.
  const spread = Math.sqrt(all * all - dot(told, told)) * Math.sqrt(all * all - dot(is, is));
  return { is, all, accuracy: right / all, mcc: spread ? (right * all - dot(told, is)) / spread : 0, majority: is.indexOf(most), share: most / all };
}

/** A confusion matrix as a table. @param {number[][]} matrix @param {string[]} labels */
function drawMatrix(matrix, labels) {
  const { is } = summed(matrix), tiny = matrix.length > 8, names = matrix.map((_, k) => labels[k] ?? String(k));
  /** @param {string} scope @param {number} k @param {string} words */
  const head = (scope, k, words) => make("th", { scope, title: names[k], "aria-label": tiny && names[k] }, make("span", {}, words));
  return make("table", { class: tiny ? "bt-tiny" : "" },
    make("thead", {}, make("tr", {}, make("td"), make("th", { scope: "colgroup", colspan: matrix.length }, "said:")),
      make("tr", {}, make("th", {}, "is:"), ...names.map((name, k) => head("col", k, tiny ? String(k + 1) : name)))),
    make("tbody", {}, ...matrix.map((row, i) => make("tr", {}, head("row", i, tiny ? `${i + 1} ${names[i]}` : names[i]), ...row.map((count, k) => {
      const share = is[i] ? count / is[i] : 0, percent = `${Math.round(share * 100)} %`;
      return make("td", { title: `${counted(count)} of ${counted(is[i])} that are ${names[i]}: said ${names[k]} (${percent})`, class: i === k ? "bt-right" : "",
        style: `--bt-share:${share * (tiny ? 100 : 45)}%`, "aria-label": tiny && counted(count) }, !tiny && counted(count), matrix.length < 5 && make("small", {}, percent));
    })))));
}
