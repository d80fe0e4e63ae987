// One fit: its function, its losses on the way, and what the tables say of it.
"use strict";

// Numbers between the bounds of each fit, of which the page has the differences of their differences, in two bytes each.
const outputsOf = (ensemble, index) => {
  const count = ensemble.x.length;
  const [low, high] = [ensemble.low[index], ensemble.high[index]];
  if (low === null) return null;
  const view = new DataView(ensemble.bytes.buffer, 2 * index * count, 2 * count);
  let [value, change] = [0, 0];
  return ensemble.x.map((_, at) => {
    change = (change + view.getUint16(2 * at, true)) & 65535;
    value = (value + change) & 65535;
    return low + ((high - low) * value) / 65535;
  });
};

// Numbers of the fit in a row, of which there are so many: losses on the way.
const rowOf = (bytes, count, index) => {
  const view = new DataView(bytes.buffer, 4 * index * count, 4 * count);
  return Array.from({ length: count }, (_, at) => view.getFloat32(4 * at, true));
};

// The spectrum of the fit in a row of an ensemble, where the page holds it.
const spectrumOf = (ensemble, index) => {
  const row = ensemble.curved?.indexOf(index) ?? -1;
  if (row < 0) return null;
  const found = rowOf(ensemble.spectra, ensemble.spectra.byteLength / 4 / ensemble.curved.length, row);
  return found.every(Number.isFinite) ? found : null;
};

const judgedFacts = (fit) =>
  fit.best_validation === undefined
    ? []
    : [
        ["smallest validation loss", fit.best_validation === null ? "none" : `${told(fit.best_validation)} at step ${fit.best_validation_step}`],
        ...metricsOf(fit).map((name) => [`${name.slice(5)} there`, told(fit[name])]),
        ["trained", fit.stopped_step < 0 ? "to the end" : `until it was stopped at step ${fit.stopped_step}`],
      ];

class Picker {
  constructor(place, fits, tables) {
    Object.assign(this, { place, tables, ensembles: fits.ensembles });
    for (const each of this.ensembles) {
      if (each.outputs) each.bytes = bytesOf(each.outputs);
      if (each.losses) each.traced = bytesOf(each.losses);
      if (each.judged) each.judgedBytes = bytesOf(each.judged);
      each.metricBytes = Object.entries(each.metrics ?? {}).map(([name, text]) => [name, bytesOf(text)]);
      if (each.eigenvalues) each.spectra = bytesOf(each.eigenvalues);
    }
    this.names = make("select", { id: "picked-ensemble", onchange: () => this.begin() });
    this.names.append(...this.ensembles.map((each, index) => make("option", { value: index }, each.name)));
    this.number = make("input", { type: "number", min: 0, id: "picked-fit", list: "fits-to-pick", onchange: () => this.ask() });
    this.list = make("datalist", { id: "fits-to-pick" });
    this.said = make("p", { class: "note", "aria-live": "polite" });
    const label = (text, input) => make("label", {}, `${text} `, input);
    this.ranked = make("select", { id: "picked-rank", onchange: () => this.start() });
    this.ranking = label("ranked by", this.ranked);
    const bar = make("div", { class: "tools" }, label("ensemble", this.names), this.ranking, label("fit", this.number), this.list);
    this.named = ["least", "median", "largest"].map((which) => {
      const pressed = button("", () => this.pick(this.ensemble.fit.indexOf(this.rank[which])));
      pressed.dataset.which = which;
      return pressed;
    });
    bar.append(
      ...this.named,
      button("‹ previous", () => this.pick(this.index - 1)),
      button("next ›", () => this.pick(this.index + 1)),
      button("any", () => this.pick(Math.floor(Math.random() * this.ensemble.fit.length))),
    );
    this.facts = make("dl", { class: "facts" });
    this.functions = this.chart("function", "What it computes");
    this.training = this.chart("trace", "Its loss in training");
    this.metrics = this.chart("metrics", "Its metrics in training");
    this.knots = this.chart("knots", "Where it bends, and by how much");
    this.spectrum = this.chart("spectrum", "Its spectrum, the curvature of its loss");
    this.rows = make("div", { class: "rows" });
    this.charts = [this.functions, this.knots, this.training, this.metrics, this.spectrum];
    this.pair = make("div", { class: "pair" }, ...this.charts.map((each) => each.parentElement));
    place.replaceChildren(bar, this.said, this.facts, this.pair, this.rows);
    this.begin();
  }

  chart(id, title) {
    const place = make("div", { class: "chart", id, "data-title": title });
    make("div", {}, make("h4", {}, title), place);
    return place;
  }

  get ensemble() {
    return this.ensembles[this.names.value];
  }

  get rank() {
    return this.ensemble.ranks[this.ranked.value];
  }

  // Of another ensemble: it may be ranked by other numbers.
  begin() {
    this.ranked.replaceChildren(...this.ensemble.ranks.map(({ label }, index) => make("option", { value: index }, label)));
    this.ranking.hidden = this.ensemble.ranks.length < 2;
    this.start();
  }

  // Which of small and large is better is known of losses alone.
  start() {
    const names = this.rank.metric ? { least: "least", median: "median", largest: "largest" } : { least: "best", median: "median", largest: "worst" };
    for (const pressed of this.named) pressed.textContent = pressed.dataset.pick = names[pressed.dataset.which];
    this.pick(this.ensemble.fit.indexOf(this.rank[this.rank.metric ? "largest" : "least"]));
  }

  ask() {
    if (this.number.value === "") return;
    const number = Number(this.number.value);
    const index = this.ensemble.fit.indexOf(number);
    if (index >= 0) return this.pick(index);
    const near = this.ensemble.fit.reduce((one, other) => (Math.abs(other - number) < Math.abs(one - number) ? other : one));
    this.said.textContent = `Fit ${number} is not among the ${this.ensemble.fit.length} of ${this.ensemble.name} that this page holds; the next is ${near}.`;
    return this.pick(this.ensemble.fit.indexOf(near), true);
  }

  // Whether the page holds a fit; it is shown if so.
  choose(name, fit) {
    const which = this.ensembles.findIndex((each) => each.name === name);
    if (which < 0) return;
    this.names.value = which;
    this.begin();
    this.number.value = fit;
    this.ask();
    document.getElementById("fit").scrollIntoView();
  }

  pick(index, said = false) {
    const { ensemble } = this;
    this.index = (Math.max(index, -1) + ensemble.fit.length) % ensemble.fit.length;
    const fit = fitAt(ensemble, this.index);
    const then = fit.best_validation === undefined ? "" : ", at its smallest validation loss";
    for (const each of [this.functions, this.knots, this.spectrum]) each.previousElementSibling.textContent = `${each.dataset.title}${then}`;
    const without = ensemble.curved && !ensemble.curved.includes(this.index) ? " The page holds no spectrum of this one." : "";
    if (!said) this.said.textContent = `${counted(ensemble.fit.length, "fit")} of ${ensemble.name} to choose from.${without}`;
    this.number.value = fit.fit;
    this.list.replaceChildren(...ensemble.fit.map((number) => make("option", { value: number })));
    for (const pressed of this.named) {
      pressed.disabled = !ensemble.fit.includes(this.rank[pressed.dataset.which]);
      pressed.setAttribute("aria-pressed", String(this.rank[pressed.dataset.which] === fit.fit));
    }
    const fact = (name, text) => make("div", {}, make("dt", {}, name), make("dd", {}, text));
    this.facts.replaceChildren(
      fact("fit", `${fit.fit} of ${ensemble.name}`),
      fact("status", fit.status),
      fact("loss before training", told(fit.initial_loss)),
      fact("loss after training", told(fit.loss)),
      fact("best loss", fit.best_loss === null ? "none" : `${told(fit.best_loss)} at step ${fit.best_step}`),
      ...judgedFacts(fit).map(([name, text]) => fact(name, text)),
    );
    this.drawFunction(ensemble, fit);
    this.drawKnots(ensemble, fit);
    this.drawTrace(ensemble, fit);
    this.drawMetrics(ensemble, fit);
    this.drawSpectrum(ensemble, fit);
    this.pair.hidden = this.charts.every((each) => each.parentElement.hidden);
    this.drawRows(ensemble, fit);
  }

  // Draws in a place, below which the numbers can be read; without marks there is nothing to be seen of it.
  plot(place, options, columns, rows, name) {
    place.parentElement.hidden = !rows.length;
    if (!rows.length) return;
    if (place.plot) place.plot.show(options);
    else new Plot(place, { ...options, height: 320 });
    numbersBelow(place, columns, rows, name);
  }

  drawFunction(ensemble, fit) {
    const outputs = (ensemble.outputs && outputsOf(ensemble, this.index)) ?? [];
    const line = outputs.map((y, at) => {
      const x = ensemble.x[at];
      return { x, y, text: () => [`x ${rounded(x, 4)}`, `output ${rounded(y, 4)}`] };
    });
    const data = (ensemble.data?.x ?? []).map((x, at) => ({ x, y: ensemble.data.y[at], text: () => [] }));
    const series = [
      { name: ensemble.apart ? "points, some held out" : "data", look: -1, kind: "points", size: 1.8, mute: true, marks: data },
      { name: `fit ${fit.fit}`, look: Number(this.names.value), kind: "line", marks: line },
    ].filter((each) => each.marks.length);
    const rows = line.map(({ x, y }) => [x, y]);
    this.plot(this.functions, { x: { label: "x" }, y: { label: "output" }, series }, ["x", "output"], rows, `fit-${fit.fit}-function.csv`);
  }

  drawKnots(ensemble, fit) {
    const [knots, bends] = ensemble.knots?.[this.index] ?? [[], []];
    const marks = knots.map((x, at) => {
      const y = bends[at];
      return { x, y, text: () => [`knot ${at + 1} of ${knots.length}`, `x ${rounded(x, 4)}`, `slope changes by ${rounded(y, 4)}`] };
    });
    const series = [{ name: "knots", look: Number(this.names.value), kind: "stems", marks }];
    const x = { label: "x", range: ensemble.x && spanned(ensemble.x) };
    const y = { label: "change of the slope", also: [0] };
    const rows = marks.map((mark) => [mark.x, mark.y]);
    this.plot(this.knots, { x, y, series }, ["x", "change_of_slope"], rows, `fit-${fit.fit}-knots.csv`);
  }

  // Lines over the steps; what a fit has no number of, as after it stopped, is left out.
  drawTrace(ensemble, fit) {
    const look = Number(this.names.value);
    const line = (name, dashed, steps, values) => ({
      name,
      look,
      dashed,
      kind: "line",
      marks: values.map((value, at) => ({ x: steps[at], y: value > 0 && Number.isFinite(value) ? value : null, value, text: () => [name, `step ${steps[at]}`, rounded(value, 4)] })),
    });
    const series = [];
    if (ensemble.losses) series.push(line("training loss", false, ensemble.steps, rowOf(ensemble.traced, ensemble.steps.length, this.index)));
    if (ensemble.judged) series.push(line("validation loss", true, ensemble.judged_steps, rowOf(ensemble.judgedBytes, ensemble.judged_steps.length, this.index)));
    const rows = series.flatMap(({ name, marks }) => marks.filter(({ value }) => !Number.isNaN(value)).map(({ x, value }) => [name, x, value]));
    this.plot(this.training, { x: { label: "step" }, y: { label: series.length === 1 ? series[0].name : "loss", scale: "log" }, series }, ["what", "step", "loss"], rows, `fit-${fit.fit}-losses.csv`);
  }

  drawMetrics(ensemble, fit) {
    const series = ensemble.metricBytes.map(([name, bytes], at) => ({
      name,
      look: (Number(this.names.value) + at) % 8,
      kind: "line",
      marks: rowOf(bytes, ensemble.judged_steps.length, this.index).map((value, index) => {
        const step = ensemble.judged_steps[index];
        return { x: step, y: Number.isFinite(value) ? value : null, value, text: () => [name, `step ${step}`, rounded(value, 4)] };
      }),
    }));
    const rows = series.flatMap(({ name, marks }) => marks.filter(({ y }) => y !== null).map(({ x, y }) => [name, x, y]));
    const label = series.length === 1 ? series[0].name : "metric";
    this.plot(this.metrics, { x: { label: "step" }, y: { label }, series }, ["metric", "step", "value"], rows, `fit-${fit.fit}-metrics.csv`);
  }

  // On an axis that is linear near zero: eigenvalues that small are rounding.
  drawSpectrum(ensemble, fit) {
    const found = spectrumOf(ensemble, this.index) ?? [];
    const marks = found.map((value, at) => ({
      x: at + 1,
      y: value,
      text: () => [`eigenvalue ${at + 1} of ${found.length}`, rounded(value, 4)],
    }));
    const largest = Math.max(...found.map(Math.abs), 1e-300);
    const y = { label: "eigenvalue", scale: "symlog", least: 10 ** Math.floor(Math.log10(largest) - 7), also: [0] };
    const series = [{ name: "eigenvalues", look: Number(this.names.value), kind: "stems", size: 2.4, marks }];
    const rows = found.map((value, at) => [at + 1, value]);
    this.plot(this.spectrum, { x: { label: "eigenvalues, the least first" }, y, series }, ["number", "eigenvalue"], rows, `fit-${fit.fit}-spectrum.csv`);
  }

  // The rows of every table that has a column of fits, and tells of which ensemble they are if there are several.
  drawRows(ensemble, fit) {
    const found = Object.entries(this.tables).flatMap(([name, { columns, rows }]) => {
      const [of, number] = [columns.indexOf("ensemble"), columns.indexOf("fit")];
      if (number < 0 || (of < 0 && this.ensembles.length > 1)) return [];
      const own = rows.filter((row) => row[number] === String(fit.fit) && (of < 0 || row[of] === ensemble.name));
      return own.length ? [{ name, columns, rows: own }] : [];
    });
    const told = ({ name, columns, rows }) =>
      rows.length === 1
        ? make("dl", { class: "facts" }, ...columns.flatMap((column, at) => (["ensemble", "fit"].includes(column) ? [] : [make("div", {}, make("dt", {}, column), make("dd", {}, shown(rows[0][at])))])))
        : sheet({ columns, rows, name: `fit-${fit.fit}-${name.split("/").pop()}`, label: `${name}, fit ${fit.fit}` });
    this.rows.replaceChildren(...found.map((each) => make("div", {}, make("h4", {}, make("code", {}, each.name)), told(each))));
  }
}
