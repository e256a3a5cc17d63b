// Draws the frames of a lesson. All numbers and texts come ready in the page; this script places them.
"use strict";
const L = JSON.parse(document.getElementById("lesson").textContent);
const W = L.words;
const state = { at: 0, data: 0, reveal: false };
const INK = "#1f2933", SOFT = "#66727f", FAINT = "#c3ccd6", MISS = "#b34700", GRID = "#e8ecf1";
const $ = (id) => document.getElementById(id);
const frame = () => L.frames[state.at];
const shown = () => frame().shown[state.data % frame().shown.length];
const picture = () => frame().pictures[state.data % frame().pictures.length];

// ---- small tools -----------------------------------------------------------------------------
function add(parent, tag, attributes = {}, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}
function html(parent, tag, text, cls) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (cls) node.className = cls;
  parent.append(node);
  return node;
}
const local = (number) => String(number).replace("-", "−").replace(".", W.decimal);
function ticks([low, high], count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high + 1e-9 * step; k++) found.push(Number((k * step).toPrecision(6)) || 0);
  return found;
}
// An empty plot of a panel's size: scales, a grid, tick labels; `box` are the margins.
function plot(id, label, xRange, yRange, box = {}) {
  const place = document.querySelector(`#${id} .plot`);
  const width = Math.max(place.clientWidth, 200), height = Math.max(place.clientHeight, 140);
  const b = { left: 40, right: 10, top: 12, bottom: 32, ...box };
  place.replaceChildren();
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  place.append(svg);
  const x = (v) => b.left + ((v - xRange[0]) / (xRange[1] - xRange[0])) * (width - b.left - b.right);
  const y = (v) => height - b.bottom - ((v - yRange[0]) / (yRange[1] - yRange[0])) * (height - b.top - b.bottom);
  return { svg, x, y, width, height, b, xRange, yRange };
}
function xAxis(p, values, name, write = local) {
  for (const v of values) {
    add(p.svg, "line", { x1: p.x(v), x2: p.x(v), y1: p.b.top, y2: p.height - p.b.bottom, stroke: GRID });
    add(p.svg, "text", { x: p.x(v), y: p.height - p.b.bottom + 14, "text-anchor": "middle" }, write(v));
  }
  if (name) add(p.svg, "text", { x: p.width - p.b.right, y: p.height - 4, "text-anchor": "end" }, name);
}
function yAxis(p, values, name, write = local) {
  for (const v of values) {
    add(p.svg, "line", { x1: p.b.left, x2: p.width - p.b.right, y1: p.y(v), y2: p.y(v), stroke: GRID });
    add(p.svg, "text", { x: p.b.left - 5, y: p.y(v) + 4, "text-anchor": "end" }, write(v));
  }
  if (name) add(p.svg, "text", { x: 2, y: 10, class: "strong" }, name);
}
const SHAPES = [
  (r) => `M${-r},0A${r},${r} 0 1 0 ${r},0A${r},${r} 0 1 0 ${-r},0Z`, (r) => `M${-r},${-r}H${r}V${r}H${-r}Z`,
  (r) => `M0,${-1.3 * r}L${1.3 * r},0L0,${1.3 * r}L${-1.3 * r},0Z`, (r) => `M0,${-1.2 * r}L${1.2 * r},${r}H${-1.2 * r}Z`,
];
function mark(parent, series, x, y, r = 4.5) {
  add(parent, "path", { d: SHAPES[series % 4](r), transform: `translate(${x},${y})`, fill: colour(series), stroke: "#fff" });
}
const colour = (series) => L.colours[series % L.colours.length];
const dashes = (series) => ["", "6 3", "2 3", "8 3 2 3"][series % 4];
const within = (p, x, y) => x >= p.xRange[0] && x <= p.xRange[1] && y >= p.yRange[0] && y <= p.yRange[1];
const path = (points) => points.map(([a, b], i) => `${i ? "L" : "M"}${a.toFixed(1)},${b.toFixed(1)}`).join("");

// ---- one data set ----------------------------------------------------------------------------
const PICTURES = { panel: drawPanel, cutoff: drawCutoff, instrument: drawInstrument, scatter: drawScatter };
function drawData() {
  const one = picture();
  $("which").textContent = W.number.replace("{replicate}", shown().replicate);
  const note = document.querySelector("#data figcaption");
  // The key's lines take room from the plot: with their height known, the second pass fits.
  for (const height of ["", null]) {
    note.style.minHeight = height ?? `${note.offsetHeight}px`;
    note.replaceChildren();
    PICTURES[L.kind](one, note);
  }
}
function key(note, text, look) {
  const item = html(note, "span");
  const svg = add(item, "svg", { width: 18, height: 10, "aria-hidden": "true" });
  add(svg, look.r ? "circle" : "line", look.r ? { cx: 9, cy: 5, ...look } : { x1: 0, x2: 18, y1: 5, y2: 5, "stroke-width": 2, ...look });
  item.append(` ${text}  `);
}
function drawPanel(one, note) {
  const p = plot("data", W.one, [one.x[0] - 0.3, one.x[one.x.length - 1] + 0.3], L.axes.y, { top: 20 });
  const span = ticks(p.xRange, 7).filter((v) => Number.isInteger(v));
  xAxis(p, span, W.period);
  yAxis(p, ticks(p.yRange, 5), W.outcome);
  const level = (v) => p.y(Math.min(Math.max(v, p.yRange[0]), p.yRange[1]));
  const line = (values, look) => add(p.svg, "path", { d: path(values.map((v, i) => [p.x(one.x[i]), level(v)])), fill: "none", ...look });
  for (const unit of one.faint) line(unit, { stroke: FAINT });
  const tones = ["#0072B2", "#D55E00", "#8C6D1F", "#CC79A7", "#009E73"];
  one.lines.forEach((group, i) => {
    const treated = group.adopted > 0 && group.adopted <= one.x[one.x.length - 1];
    const tone = treated ? tones[1 + (i - 1) % 4] : tones[0];
    if (treated) add(p.svg, "line", { x1: p.x(group.adopted - 0.5), x2: p.x(group.adopted - 0.5), y1: p.b.top, y2: p.height - p.b.bottom, stroke: tone, "stroke-dasharray": "2 3" });
    line(group.y, { stroke: tone, "stroke-width": 2.2 });
    group.y.forEach((v, k) => add(p.svg, "circle", { cx: p.x(one.x[k]), cy: p.y(v), r: one.x.length > 12 ? 2 : 3, fill: tone }));
    key(note, treated ? W.treated.replace("{when}", group.adopted) : W.never, { stroke: tone });
    if (state.reveal) line(one.without[i], { stroke: tone, "stroke-width": 2, "stroke-dasharray": "5 4" });
  });
  if (state.reveal) key(note, W.without, { stroke: SOFT, "stroke-dasharray": "5 4" });
}
function drawCutoff(one, note) {
  const p = plot("data", W.one, L.axes.x, L.axes.y, { top: 20, bottom: 70 });
  xAxis(p, [], "");
  yAxis(p, ticks(p.yRange, 5), W.outcome);
  for (const v of ticks(p.xRange, 6)) add(p.svg, "text", { x: p.x(v), y: p.height - 4, "text-anchor": "middle" }, local(v));
  if (L.marks === "window") {
    const h = L.settings[state.at], left = Math.max(p.x(one.cutoff - h), p.b.left), right = Math.min(p.x(one.cutoff + h), p.width - p.b.right);
    add(p.svg, "rect", { x: left, width: right - left, y: p.b.top, height: p.height - p.b.bottom - p.b.top, fill: "#fbf3e6" });
  }
  one.x.forEach((v, i) => within(p, v, one.y[i]) && add(p.svg, "circle", { cx: p.x(v), cy: p.y(one.y[i]), r: 1.6, fill: "#8fa3b5" }));
  for (const [a, b] of one.bins) within(p, a, b) && add(p.svg, "circle", { cx: p.x(a), cy: p.y(b), r: 4, fill: a < one.cutoff ? "#0072B2" : "#D55E00", stroke: "#fff" });
  for (const side of one.fits || []) add(p.svg, "path", { d: path(side.map(([a, b]) => [p.x(a), p.y(b)])), fill: "none", stroke: INK, "stroke-width": 2 });
  if (state.reveal && one.moved.length) {
    for (const i of one.moved) add(p.svg, "circle", { cx: p.x(one.x[i]), cy: p.y(one.y[i]), r: 5, fill: "none", stroke: MISS, "stroke-width": 2 });
    key(note, W.crossed, { r: 4, fill: "none", stroke: MISS, "stroke-width": 2 });
  }
  const [start, width, counts] = one.bars, floor = p.height - 18, most = Math.max(...counts);
  counts.forEach((c, k) => {
    const a = Math.max(p.x(start + k * width), p.b.left), b = Math.min(p.x(start + (k + 1) * width), p.width - p.b.right);
    if (b > a) add(p.svg, "rect", { x: a + 0.5, width: Math.max(b - a - 1, 0.5), y: floor - 38 * c / most, height: 38 * c / most, fill: start + k * width < one.cutoff - width / 2 ? "#9ec3dd" : "#eab38a" });
  });
  const stroke = (v, look) => add(p.svg, "line", { x1: p.x(v), x2: p.x(v), y1: p.b.top, y2: floor, stroke: INK, ...look });
  stroke(one.cutoff, { "stroke-dasharray": "4 3" });
  if (L.marks === "mark") stroke(one.cutoff + L.settings[state.at], { stroke: MISS, "stroke-width": 2 });
  key(note, W.untreated_points, { r: 4, fill: "#0072B2" });
  key(note, W.treated_points, { r: 4, fill: "#D55E00" });
  html(note, "span", `▂▅▃ ${W.rows_counted}`);
}
// A part of a plot from one share of its width to another, with scales of its own.
function inset(whole, left, right, xRange, yRange) {
  const b = { left: left * whole.width + 34, right: (1 - right) * whole.width + 6, top: 16, bottom: 32 };
  const x = (v) => b.left + ((v - xRange[0]) / (xRange[1] - xRange[0])) * (whole.width - b.left - b.right);
  const y = (v) => whole.height - b.bottom - ((v - yRange[0]) / (yRange[1] - yRange[0])) * (whole.height - b.top - b.bottom);
  return { ...whole, b, x, y, xRange, yRange };
}
function drawInstrument(one) {
  const whole = plot("data", W.one, [0, 1], [0, 1]);
  const half = (column, values, range, name, left) => {
    const p = inset(whole, left, left + 0.5, L.axes.x, range);
    xAxis(p, ticks(p.xRange, 3), W.instrument);
    yAxis(p, ticks(range, 4));
    add(p.svg, "text", { x: p.b.left - 30, y: 10, class: "strong" }, name);
    one.x.forEach((v, i) => within(p, v, values[i]) && add(p.svg, "circle", { cx: p.x(v), cy: p.y(values[i]), r: 1.6, fill: "#8fa3b5" }));
    const means = one.means.map((m) => [p.x(m[0]), p.y(m[column])]);
    add(p.svg, "path", { d: path(means), fill: "none", stroke: "#0072B2", "stroke-width": 2 });
    for (const [a, b] of means) add(p.svg, "circle", { cx: a, cy: b, r: 4, fill: "#0072B2", stroke: "#fff" });
  };
  half(1, one.d, L.axes.d, W.treatment, 0);
  half(2, one.y, L.axes.y, W.outcome, 0.5);
}
function drawScatter(one, note) {
  const p = plot("data", W.one, L.axes.x, L.axes.y, { top: 20 });
  xAxis(p, ticks(p.xRange, 6), L.x_name);
  yAxis(p, ticks(p.yRange, 5), W.outcome);
  one.x.forEach((v, i) => !within(p, v, one.y[i]) ? 0 : one.by[i]
    ? add(p.svg, "rect", { x: p.x(v) - 2.5, y: p.y(one.y[i]) - 2.5, width: 5, height: 5, fill: "#D55E00", "fill-opacity": 0.8 })
    : add(p.svg, "circle", { cx: p.x(v), cy: p.y(one.y[i]), r: 2.6, fill: "#0072B2", "fill-opacity": 0.75 }));
  if (one.by.some((v) => v)) {
    key(note, W.untreated_points, { r: 4, fill: "#0072B2" });
    key(note, W.treated_points, { r: 4, fill: "#D55E00" });
  }
}

// ---- what an analyst sees --------------------------------------------------------------------
function drawAnswers() {
  const place = $("answers"), one = shown();
  place.replaceChildren();
  const table = html(place, "table"), head = html(html(table, "thead"), "tr"), body = html(table, "tbody");
  const columns = [W.method, W.estimate, W.interval.replace("{level}", 100 * L.level)];
  if (state.reveal) columns.push(W.holds);
  for (const name of columns) html(head, "th", name).scope = "col";
  one.answers.forEach((answer, i) => {
    const row = html(body, "tr");
    html(row, "th", L.methods[i]).scope = "row";
    if (answer.reason && !answer.limits && !answer.estimate) { html(row, "td", `${W.no_answer}: ${answer.reason}`, "why").colSpan = 3; return; }
    html(row, "td", answer.estimate || "–");
    html(row, "td", (answer.limits || "–").replaceAll("; ", ";\u00a0"));
    if (state.reveal) html(row, "td", answer.limits ? (answer.covers ? W.yes : W.no) : "–", answer.covers ? "" : "no");
  });
  const line = html(place, "p");
  if (!L.diagnostic) { line.textContent = W.no_test; return; }
  line.append(`${L.diagnostic}: ${one.p || ""}, `);
  html(line, "span", one.alarm === null ? W.no_answer : one.alarm ? W.alarm : W.no_alarm, one.alarm ? "alarm" : "");
}

// ---- many data sets --------------------------------------------------------------------------
function drawSpread() {
  const series = frame().series, p = plot("spread", frame().many, L.edges, [0, series.length], { left: 12, top: 14, bottom: 22 });
  xAxis(p, ticks(L.edges, 6), "");
  const most = Math.max(...L.frames.flatMap((f) => f.series.flatMap((s) => s.counts.map((c) => c / Math.max(1, s.answered)))));
  series.forEach((s, i) => {
    const base = p.y(series.length - 1 - i) - 2, room = (p.y(0) - p.y(1)) * 0.82, bin = (L.edges[1] - L.edges[0]) / s.counts.length;
    const tops = s.counts.flatMap((c, k) => [k, k + 1].map((e) => [p.x(L.edges[0] + e * bin), base - (room * c) / Math.max(1, s.answered) / most]));
    add(p.svg, "path", { d: `${path([[p.x(L.edges[0]), base], ...tops, [p.x(L.edges[1]), base]])}Z`, fill: colour(i), "fill-opacity": 0.3, stroke: colour(i) });
    add(p.svg, "line", { x1: p.x(s.truth[0]), x2: p.x(s.truth[0]), y1: base - room, y2: base, stroke: INK, "stroke-width": 3 });
    if (!s.counts.some((c) => c)) add(p.svg, "text", { x: p.width - p.b.right, y: base - 12, "text-anchor": "end" }, W.limits_only);
    const centre = s.scores[s.moments ? "bias" : "median_bias"][0];
    if (centre !== null) mark(p.svg, i, Math.min(Math.max(p.x(s.truth[0] + Number(centre)), p.b.left), p.width - p.b.right), base - 5, 5.5);
    s.beyond.forEach((count, side) => count && add(p.svg, "text", { x: side ? p.width - p.b.right : p.b.left, y: base - 12, "text-anchor": side ? "end" : "start" }, side ? `${count} ▸` : `◂ ${count}`));
  });
}
function drawZip() {
  const series = frame().series, gap = 12, p = plot("zip", W.intervals.replace("{count}", series[0].limits.length), [0, series.length], [0, 1], { left: 10, right: 4, top: 4, bottom: 20 });
  const wide = p.x(1) - p.x(0) - gap, here = shown().replicate;
  series.forEach((s, i) => {
    const left = p.x(i), x = (v) => left + Math.min(Math.max((v - L.edges[0]) / (L.edges[1] - L.edges[0]), 0), 1) * wide;
    for (const v of ticks(L.edges, series.length > 2 ? 2 : 3).filter((t) => x(t) > left + 12 && x(t) < left + wide - 12)) add(p.svg, "text", { x: x(v), y: p.height - 5, "text-anchor": "middle" }, local(v));
    const step = (p.height - p.b.top - p.b.bottom) / s.limits.length;
    s.limits.forEach(([low, high, outside, covers], k) => {
      if (low === null) return;
      const y = p.b.top + (k + 0.5) * step, look = { y1: y, y2: y, stroke: covers ? colour(i) : MISS, "stroke-width": covers ? 1.1 : 2.4, "stroke-opacity": covers ? 0.6 : 1 };
      const ends = [low, high].map((v) => x(v === "inf" ? L.edges[1] : v === "-inf" ? L.edges[0] : v));
      const parts = outside ? [[left, ends[0]], [ends[1], left + wide]] : ends[0] <= ends[1] ? [ends] : [];
      for (const [a, b] of parts) add(p.svg, "line", { x1: a, x2: Math.max(b, a + 1), ...look });
      if (s.rows[k] === here) add(p.svg, "circle", { cx: left - 4, cy: y, r: 3, fill: "none", stroke: INK, "stroke-width": 1.5 });
    });
    add(p.svg, "line", { x1: x(s.truth[0]), x2: x(s.truth[0]), y1: p.b.top, y2: p.height - p.b.bottom, stroke: INK, "stroke-width": 2.5 });
  });
}
// A measure along the slider: equal steps, as the slider has them.
function along(id, label, yRange, write, values) {
  const last = L.frames.length - 1, p = plot(id, label, [-0.25, last + 0.25], yRange, { left: 46, bottom: 22 });
  const some = L.frames.map((_, i) => i).filter((i) => last < 8 || i % 2 === 0);
  yAxis(p, ticks(yRange, 5), "", write);
  add(p.svg, "rect", { x: p.x(state.at) - 13, width: 26, y: p.b.top, height: p.height - p.b.top - p.b.bottom, fill: "#fbf3e6" });
  xAxis(p, some, "", (i) => L.frames[i].at);
  return p;
}
function curve(p, series, found) {
  const shift = (series - (frame().series.length - 1) / 2) * 5, points = [];
  found.forEach(([value, low, high], i) => {
    if (value === null) return;
    const x = p.x(i) + shift, y = p.y(value);
    points.push([x, y]);
    add(p.svg, "line", { x1: x, x2: x, y1: p.y(low), y2: p.y(high), stroke: colour(series), "stroke-width": 1.6 });
  });
  add(p.svg, "path", { d: path(points), fill: "none", stroke: colour(series), "stroke-width": 1.6, "stroke-dasharray": dashes(series) });
  for (const [x, y] of points) mark(p.svg, series, x, y);
}
function drawBias() {
  const name = L.frames.every((f) => f.series.every((s) => s.moments)) ? "bias" : "median_bias";
  const found = frame().series.map((_, i) => L.frames.map((f) => {
    const [value, error] = f.series[i].scores[name].map((v) => (v === null ? null : Number(v)));
    return [value, value - 2 * (error || 0), value + 2 * (error || 0)];
  }));
  const all = found.flat().filter((v) => v[0] !== null).flatMap((v) => [v[1], v[2]]).concat(0);
  const low = Math.min(...all), high = Math.max(...all), pad = 0.08 * (high - low) || 1;
  const p = along("bias", W[name], [low - pad, high + pad], local);
  add(p.svg, "line", { x1: p.b.left, x2: p.width - p.b.right, y1: p.y(0), y2: p.y(0), stroke: INK, "stroke-width": 2 });
  found.forEach((values, i) => curve(p, i, values));
}
function drawCoverage() {
  const p = along("coverage", W.coverage, [0, 100], (v) => W.percent.replace("{value}", v));
  add(p.svg, "line", { x1: p.b.left, x2: p.width - p.b.right, y1: p.y(100 * L.level), y2: p.y(100 * L.level), stroke: INK, "stroke-width": 2 });
  const share = ([value, , low, high]) => (value === null ? [null] : [100 * value, 100 * low, 100 * high]);
  if (L.diagnostic) {
    const points = L.frames.map((f, i) => [p.x(i), p.y(100 * f.diagnostic[0])]);
    L.frames.forEach((f, i) => add(p.svg, "line", { x1: p.x(i), x2: p.x(i), y1: p.y(100 * f.diagnostic[2]), y2: p.y(100 * f.diagnostic[3]), stroke: SOFT }));
    add(p.svg, "path", { d: path(points), fill: "none", stroke: SOFT, "stroke-dasharray": "1 4", "stroke-width": 2.5 });
    for (const [x, y] of points) add(p.svg, "path", { d: "M-4,-4L4,4M-4,4L4,-4", transform: `translate(${x},${y})`, stroke: SOFT, "stroke-width": 2 });
  }
  frame().series.forEach((_, i) => curve(p, i, L.frames.map((f) => share(f.series[i].scores.coverage))));
}

// ---- moving ----------------------------------------------------------------------------------
function drawFrame() {
  $("at").textContent = frame().at;
  $("slider").setAttribute("aria-valuetext", frame().at);
  $("verdict").textContent = frame().verdict;
  $("code").textContent = frame().code;
  document.querySelector("#spread h2").textContent = frame().many;
  for (const row of document.querySelectorAll("#numbers tbody tr")) row.classList.toggle("here", row.dataset.setting === L.plain[state.at]);
  drawSpread(); drawBias(); drawCoverage(); drawOne();
}
function drawOne() {
  $("data-code").textContent = frame().data_code.replace("@", shown().replicate);
  drawData(); drawAnswers(); drawZip();
  history.replaceState(null, "", `#${state.at}.${state.data}`);
}
function step(by) {
  state.data = (state.data + by + frame().shown.length) % frame().shown.length;
  drawOne();
}
document.querySelectorAll(".key").forEach((place, i) => {
  const svg = add(place, "svg", { viewBox: "0 0 18 14", "aria-hidden": "true" });
  add(svg, "line", { x1: 0, x2: 18, y1: 7, y2: 7, stroke: colour(i), "stroke-width": 1.6, "stroke-dasharray": dashes(i) });
  mark(svg, i, 9, 7);
});
$("slider").addEventListener("input", (event) => { state.at = Number(event.target.value); drawFrame(); });
$("next").addEventListener("click", () => step(1));
$("previous").addEventListener("click", () => step(-1));
$("reveal").addEventListener("change", (event) => { state.reveal = event.target.checked; drawOne(); });
addEventListener("beforeprint", () => { for (const fold of document.querySelectorAll("details")) fold.open = true; });
let waiting = 0;
addEventListener("resize", () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(drawFrame); });
const [at, data] = location.hash.slice(1).split(".").map(Number);
state.at = L.frames[at] ? at : 0;
state.data = data > 0 ? data : 0;
$("slider").value = state.at;
drawFrame();
