// The index of runs (filter, sort, tick two), the page of a run, and the comparison of two runs. No library, no request but the site's own files.
"use strict";

function element(tag, attributes, ...children) {
  const svg = ["svg", "polyline", "rect"].includes(tag);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function tableOf(head, rows, caption) {
  const top = element("tr", {}, ...head.map((name) => element("th", { scope: "col" }, name)));
  const lines = rows.map(([first, ...rest]) =>
    element("tr", {}, element("th", { scope: "row" }, first), ...rest.map((cell) => element("td", {}, String(cell ?? "")))));
  return element("div", { class: "wide" }, element("table", {}, element("caption", {}, caption), element("thead", {}, top), element("tbody", {}, ...lines)));
}

// The index

function startIndex(table) {
  const body = table.tBodies[0], field = document.getElementById("filter"), count = document.getElementById("count");
  const button = document.getElementById("compare"), rows = [...body.rows];
  table.tHead.rows[0].prepend(element("th", { scope: "col" }, "tick"));
  rows.forEach((row) => {
    const box = element("input", { type: "checkbox", "aria-label": `tick ${row.cells[0].textContent}` });
    box.addEventListener("change", () => { button.disabled = ticked().length !== 2; });
    row.prepend(element("td", {}, box));
  });
  const ticked = () => rows.filter((row) => row.querySelector("input").checked).map((row) => row.cells[1].textContent);
  button.addEventListener("click", () => {
    const [a, b] = ticked();
    location.href = `compare.html?a=${encodeURIComponent(a)}&b=${encodeURIComponent(b)}`;
  });
  const filter = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row) => {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    });
    count.textContent = `${shown} of ${rows.length} runs`;
  };
  field.addEventListener("input", filter);
  const known = new URLSearchParams(location.search).get("filter");
  if (known) field.value = known;
  filter();
  [...table.tHead.rows[0].cells].slice(1).forEach((cell, place) => {
    const name = cell.textContent, order = element("button", { type: "button" }, name);
    cell.replaceChildren(order);
    cell.setAttribute("aria-sort", "none");
    order.addEventListener("click", () => {
      const up = cell.getAttribute("aria-sort") !== "ascending", column = place + 1;
      [...table.tHead.rows[0].cells].slice(1).forEach((other) => other.setAttribute("aria-sort", "none"));
      cell.setAttribute("aria-sort", up ? "ascending" : "descending");
      rows.sort((x, y) => (up ? 1 : -1) * x.cells[column].textContent.localeCompare(y.cells[column].textContent, "en", { numeric: true }));
      body.append(...rows);
    });
  });
}

// The comparison

// Data stand in scripts: a page from disk may load these, and nothing else.
function load(id, file) {
  const whole = () => { // the recipe, which many runs share, stands in a file of its own
    const run = window.RUNS[id];
    return { ...run, config: { ...run.config, ...window.RECIPES[run.recipe] } };
  };
  if ((window.RUNS || {})[id]) return Promise.resolve(whole());
  return new Promise((resolve, reject) => {
    const script = element("script", { src: file });
    script.onload = () => resolve(whole());
    script.onerror = () => reject(new Error(`the data of ${id} can't be read`));
    document.head.append(script);
  });
}

// Quantile of Student's t for a two-sided 95 % interval: from a table, above it by Cornish and Fisher (four digits).
const QUANTILES = [NaN, 12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.306, 2.2622, 2.2281];
function quantile(df) {
  const z = 1.959964, z2 = z * z;
  return QUANTILES[df] || z + z * (z2 + 1) / (4 * df) + z * (5 * z2 * z2 + 16 * z2 + 3) / (96 * df ** 2)
    + z * (3 * z2 ** 3 + 19 * z2 * z2 + 17 * z2 - 15) / (384 * df ** 3);
}

// Mean difference over images, a - b; its interval takes the patients, not the images, as the units that vary.
function paired(a, b) {
  const n = a.scores.length, sums = new Map();
  let total = 0;
  a.scores.forEach((score, i) => {
    const d = (score - b.scores[i]) / 1000, patient = a.patients[i], [sum, images] = sums.get(patient) || [0, 0];
    sums.set(patient, [sum + d, images + 1]);
    total += d;
  });
  const mean = total / n, m = sums.size;
  let spread = 0;
  sums.forEach(([sum, images]) => { spread += (sum - images * mean) ** 2; });
  const half = m > 1 ? quantile(m - 1) * Math.sqrt(m / (m - 1) * spread) / n : NaN;
  return { mean, low: mean - half, high: mean + half, n, patients: m };
}

// A value by epoch, of one run or of two (line and dashes), with its ends in words.
function drawn(name, ...runs) {
  const all = runs.flat().filter((v) => v !== null), low = Math.min(...all), high = Math.max(...all);
  const width = Math.max(...runs.map((values) => values.length), 2) - 1, line = (values) => values.map((v, i) => [i, v]).filter(([, v]) => v !== null)
    .map(([i, v]) => `${(15 + 270 * i / width).toFixed(1)},${(110 - 95 * (v - low) / ((high - low) || 1)).toFixed(1)}`).join(" ");
  const short = (v) => (v === null || v === undefined ? "nothing" : Number(v).toPrecision(4));
  const ends = runs.map((values, i) => `${runs.length > 1 ? `${"ab"[i]} (${["line", "dashes"][i]}) ` : ""}from ${short(values[0])} to ${short(values[values.length - 1])}`);
  const svg = element("svg", { viewBox: "0 0 300 120", "aria-hidden": "true" });
  runs.forEach((values, i) => svg.append(element("polyline", { points: line(values), class: "ab"[i] })));
  return element("figure", { class: "curve" }, svg, element("figcaption", {}, `${name}: ${ends.join("; ")}`));
}

function curves(names, ...runs) {
  const some = names.filter((name) => name !== "epoch" && runs.every((run) => (run.epochs[name] || []).some((v) => v !== null)));
  return some.length ? element("div", { class: "curves" }, ...some.map((name) => drawn(name, ...runs.map((run) => run.epochs[name]))))
    : element("p", {}, "No epochs are kept.");
}

// A page of a run

function glance(run) {
  if (!run.scores) return element("p", {}, "It has no test predictions: a pretraining.");
  const values = run.scores.map((v) => v / 1000), low = Math.min(...values), high = Math.max(...values), counts = Array(10).fill(0);
  values.forEach((v) => { counts[Math.min(9, Math.floor(10 * (v - low) / ((high - low) || 1)))] += 1; });
  const svg = element("svg", { viewBox: "0 0 200 80", "aria-hidden": "true" }), top = Math.max(...counts);
  counts.forEach((n, i) => svg.append(element("rect", { x: 10 + 18 * i, y: 70 - 60 * n / top, width: 16, height: 60 * n / top })));
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  const said = `${values.length} test images of ${new Set(run.patients).size} patients, ${run.score}: mean ${mean.toFixed(3)}, from ${low.toFixed(3)} to ${high.toFixed(3)}`;
  const worst = [...values.keys()].sort((i, j) => run.better * (values[i] - values[j]) || i - j).slice(0, 10);
  return element("div", {}, element("figure", { class: "curve" }, svg, element("figcaption", {}, said)),
    tableOf(["image", "patient", "score"], worst.map((i) => [String(i + 1), run.patients[i] + 1, values[i]]), "The ten worst, by their place among the sorted ids"));
}

async function startRun(region) {
  const section = (name, ...children) => region.append(element("h2", {}, name), ...children);
  const listed = (values) => Object.entries(values).map(([name, value]) => [name, value ?? ""]);
  try {
    const run = await load(region.dataset.run, `data/${region.dataset.file}.js`);
    section("Results", tableOf(["metric", "value"], listed(run.metrics), "of the test images; val_ of validation"));
    section("Curves", curves(Object.keys(run.epochs), run));
    section("Predictions at a glance", glance(run));
    section("Config", tableOf(["setting", "value"], listed(run.config), "all that decides the run"));
  } catch (error) {
    region.append(element("p", { class: "warn" }, error.message));
  }
}

function compare(idA, idB, a, b) {
  const out = [element("h2", {}, "What differs in the config")];
  const keys = [...new Set([...Object.keys(a.config), ...Object.keys(b.config)])].filter((key) => a.config[key] !== b.config[key]);
  out.push(keys.length ? tableOf(["setting", "a", "b"], keys.map((key) => [key, a.config[key], b.config[key]]), `${keys.length} settings differ`)
    : element("p", {}, "Nothing."));
  out.push(element("h2", {}, "Results"));
  const metrics = Object.keys(a.metrics).filter((key) => key in b.metrics && typeof a.metrics[key] === "number" && typeof b.metrics[key] === "number");
  const short = (v) => Number(v.toPrecision(5));
  out.push(tableOf(["metric", "a", "b", "a - b"], metrics.map((k) => [k, short(a.metrics[k]), short(b.metrics[k]), short(a.metrics[k] - b.metrics[k])]), "metrics of both"));
  out.push(element("h2", {}, "Paired difference over the test images"));
  if (!a.scores || !b.scores) out.push(element("p", { class: "warn" }, "One of the runs has no test predictions."));
  else if (a.images !== b.images || a.score !== b.score) out.push(element("p", { class: "warn" }, "The runs were tested on different images, or by another score, so there are no pairs."));
  else {
    const d = paired(a, b), f = (v) => v.toFixed(4);
    const interval = Number.isFinite(d.low) ? `95 % interval ${f(d.low)} to ${f(d.high)}, over ${d.patients} patients` : "no interval: one patient";
    const side = a.better > 0 ? "more is better" : "less is better";
    out.push(element("p", { id: "paired" }, `${a.score}, a - b: ${f(d.mean)} (${interval}; ${d.n} images; ${side}). The interval is that of other patients, not of other runs.`));
  }
  out.push(element("h2", {}, "Curves"));
  out.push(curves(Object.keys(a.epochs), a, b));
  return out;
}

function startComparison(region) {
  const sides = ["a", "b"].map((id) => document.getElementById(id)), asked = new URLSearchParams(location.search);
  const show = async () => {
    if (sides.some((side) => !side.value)) return region.replaceChildren(element("p", {}, "Choose two runs."));
    try {
      const [a, b] = await Promise.all(sides.map((side) => load(side.value, `runs/data/${side.value}.js`)));
      region.replaceChildren(...compare(sides[0].value, sides[1].value, a, b));
    } catch (error) {
      region.replaceChildren(element("p", { class: "warn" }, error.message));
    }
  };
  sides.forEach((side) => {
    const wanted = asked.get(side.id);
    if (wanted && [...side.options].some((option) => option.value === wanted)) side.value = wanted;
    side.addEventListener("change", show);
  });
  show();
}

document.addEventListener("DOMContentLoaded", () => {
  const table = document.getElementById("runs"), region = document.getElementById("comparison");
  const run = document.getElementById("run");
  if (table) startIndex(table);
  if (region) startComparison(region);
  if (run) startRun(run);
});
