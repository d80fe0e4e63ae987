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

const traceOf = (ensemble, index) => {
  const count = ensemble.steps.length;
  const view = new DataView(ensemble.traced.buffer, 4 * index * count, 4 * count);
  return ensemble.steps.map((_, at) => view.getFloat32(4 * at, true));
};

class Picker {
  constructor(place, fits, tables) {
    Object.assign(this, { place, tables, ensembles: fits.ensembles });
    for (const each of this.ensembles) {
      if (each.outputs) each.bytes = bytesOf(each.outputs);
      if (each.losses) each.traced = bytesOf(each.losses);
    }
    this.names = make("select", { id: "picked-ensemble", onchange: () => this.start() });
    this.names.append(...this.ensembles.map((each, index) => make("option", { value: index }, each.name)));
    this.number = make("input", { type: "number", min: 0, id: "picked-fit", list: "fits-to-pick", onchange: () => this.ask() });
    this.list = make("datalist", { id: "fits-to-pick" });
    this.said = make("p", { class: "note", "aria-live": "polite" });
    const label = (text, input) => make("label", {}, `${text} `, input);
    const bar = make("div", { class: "tools" }, label("ensemble", this.names), label("fit", this.number), this.list);
    for (const name of ["best", "median", "worst"]) {
      bar.append(button(name, () => this.pick(this.ensemble.fit.indexOf(this.ensemble.named[name])), { "data-pick": name }));
    }
    bar.append(
      button("‹ previous", () => this.pick(this.index - 1)),
      button("next ›", () => this.pick(this.index + 1)),
      button("any", () => this.pick(Math.floor(Math.random() * this.ensemble.fit.length))),
    );
    this.facts = make("dl", { class: "facts" });
    this.functions = this.chart("function", "What it computes");
    this.training = this.chart("trace", "Its loss in training");
    this.rows = make("div", { class: "rows" });
    this.pair = make("div", { class: "pair" }, this.functions.parentElement, this.training.parentElement);
    place.replaceChildren(bar, this.said, this.facts, this.pair, this.rows);
    this.start();
  }

  chart(id, title) {
    const place = make("div", { class: "chart", id, "data-title": title });
    make("div", {}, make("h4", {}, title), place);
    return place;
  }

  get ensemble() {
    return this.ensembles[this.names.value];
  }

  start() {
    this.pick(this.ensemble.fit.indexOf(this.ensemble.named.best));
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
    this.number.value = fit;
    this.ask();
    document.getElementById("fit").scrollIntoView();
  }

  pick(index, said = false) {
    const { ensemble } = this;
    this.index = (Math.max(index, -1) + ensemble.fit.length) % ensemble.fit.length;
    const fit = Object.fromEntries(FIELDS.map((name) => [name, ensemble[name][this.index]]));
    if (!said) this.said.textContent = `${counted(ensemble.fit.length, "fit")} of ${ensemble.name} to choose from.`;
    this.number.value = fit.fit;
    this.list.replaceChildren(...ensemble.fit.map((number) => make("option", { value: number })));
    for (const pressed of this.place.querySelectorAll("[data-pick]")) {
      pressed.disabled = !ensemble.fit.includes(ensemble.named[pressed.dataset.pick]);
      pressed.setAttribute("aria-pressed", String(ensemble.named[pressed.dataset.pick] === fit.fit));
    }
    const fact = (name, text) => make("div", {}, make("dt", {}, name), make("dd", {}, text));
    this.facts.replaceChildren(
      fact("fit", `${fit.fit} of ${ensemble.name}`),
      fact("status", fit.status),
      fact("loss before training", told(fit.initial_loss)),
      fact("loss after training", told(fit.loss)),
      fact("best loss", fit.best_loss === null ? "none" : `${told(fit.best_loss)} at step ${fit.best_step}`),
    );
    this.drawFunction(ensemble, fit);
    this.drawTrace(ensemble, fit);
    this.pair.hidden = this.functions.parentElement.hidden && this.training.parentElement.hidden;
    this.drawRows(ensemble, fit);
  }

  drawFunction(ensemble, fit) {
    const outputs = ensemble.outputs ? outputsOf(ensemble, this.index) : null;
    this.functions.parentElement.hidden = !outputs;
    if (!outputs) return;
    const line = outputs.map((y, at) => {
      const x = ensemble.x[at];
      return { x, y, text: () => [`x ${rounded(x, 4)}`, `output ${rounded(y, 4)}`] };
    });
    const data = ensemble.data.x.map((x, at) => ({ x, y: ensemble.data.y[at], text: () => [] }));
    const series = [
      { name: "data", look: -1, kind: "points", size: 1.8, mute: true, marks: data },
      { name: `fit ${fit.fit}`, look: Number(this.names.value), kind: "line", marks: line },
    ].filter((each) => each.marks.length);
    new Plot(this.functions, { x: { label: "x" }, y: { label: "output" }, series, height: 320 });
  }

  drawTrace(ensemble, fit) {
    this.training.parentElement.hidden = !ensemble.losses;
    if (!ensemble.losses) return;
    const marks = traceOf(ensemble, this.index).map((loss, at) => {
      const step = ensemble.steps[at];
      const good = Number.isFinite(loss) && loss > 0;
      return { x: step, y: good ? loss : null, text: () => [`step ${step}`, `loss ${rounded(loss, 5)}`] };
    });
    const series = [{ name: "loss", look: Number(this.names.value), kind: "line", marks }];
    new Plot(this.training, { x: { label: "step" }, y: { label: "loss", scale: "log" }, series, height: 320 });
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
