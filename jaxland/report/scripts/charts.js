// The histogram of all losses and the fits one by one; what is marked in the one stands out in the other.
"use strict";

const chartPlace = (name) => document.getElementById(name);

// Buttons above a chart, and below it a table of what is drawn.
const tools = (place, ...parts) => place.before(make("div", { class: "tools" }, ...parts));

const numbersBelow = (place, columns, rows, name) => {
  const before = place.parentElement.querySelector(":scope > .numbers");
  const box = make("details", { class: "numbers", open: Boolean(before?.open) || null }, make("summary", {}, "numbers of this chart"));
  box.addEventListener("toggle", () => box.open && box.children.length === 1 && box.append(sheet({ columns, rows, name })));
  before?.remove();
  place.after(box);
};

const choices = (title, name, labels, choose) => {
  const entry = (label, index) => {
    const input = make("input", { type: "radio", name, onchange: () => choose(index) });
    input.checked = index === 0;
    return make("label", {}, input, ` ${label}`);
  };
  return make("fieldset", { class: "choices" }, make("legend", {}, title), ...labels.map(entry));
};

const drawHistogram = (data, brushed) => {
  const place = chartPlace("histogram");
  const { measures } = data;
  let [measure, whole] = [measures[0], false];
  const seriesOf = ({ column, label, series }) =>
    series.map(({ name, look, fits, bins }) => ({
      name: `${name} (${counted(fits, "fit")})`,
      look,
      kind: "bars",
      marks: bins.map(([low, high, count]) => ({
        low,
        high,
        x: low > 0 ? Math.sqrt(low * high) : (low + high) / 2,
        y: (100 * count) / fits,
        count,
        text: () => [
          name,
          `${counted(count, "fit")}, ${((100 * count) / fits).toFixed(2)} %`,
          `${column === "loss" ? column : label} ${rounded(low, 4)} to ${rounded(high, 4)}`,
        ],
      })),
    }));
  const x = () => ({ label: measure.label, scale: measure.scale, range: whole ? undefined : measure.middle });
  const y = { label: "share of the fits per bin", scale: "linear", suffix: " %", floor: 0 };
  const marked = (range) => brushed(range, measure);
  const plot = new Plot(place, { x: x(), y, series: seriesOf(measure), dragging: "brush", brushed: brushed && marked });
  const numbers = () => {
    const rows = measure.series.flatMap(({ name, bins }) => bins.map((bin) => [name, ...bin]));
    numbersBelow(place, ["ensemble", "low", "high", "fits"], rows, `histogram-of-${measure.column}.csv`);
  };
  const view = (index) => {
    whole = Boolean(index);
    plot.show({ x: x() });
  };
  const count = (index) => {
    measure = measures[index];
    if (plot.brush) plot.setBrush(null);
    plot.hidden.clear();
    plot.show({ x: x(), series: seriesOf(measure) });
    numbers();
  };
  const counts = measures.length < 2 ? [] : [choices("counted", "counted", measures.map(({ label }) => label), count)];
  tools(place, ...counts, choices("shown", "losses-shown", ["the middle 99.9 %", "all"], view));
  numbers();
  return plot;
};

const FIELDS = ["fit", "status", "loss", "initial_loss", "best_loss", "best_step"];

// Columns of what validation found, where it was.
const judgedOf = (series) => Object.keys(series).filter((name) => /^(best_|stopped_step$)/.test(name) && !FIELDS.includes(name));
const metricsOf = (series) => judgedOf(series).filter((name) => !["best_validation", "best_validation_step", "stopped_step"].includes(name));
const fieldsOf = (series) => [...FIELDS, ...judgedOf(series)];
const fitAt = (series, index) => Object.fromEntries(fieldsOf(series).map((name) => [name, series[name][index]]));
const fitsOf = (series) => series.fit.map((_, index) => fitAt(series, index));

const tellFit = (name, fit) => [
  `fit ${fit.fit}, ${name}`,
  `status ${fit.status}`,
  `loss ${told(fit.loss)}`,
  `initial loss ${told(fit.initial_loss)}`,
  `best loss ${told(fit.best_loss)} at step ${fit.best_step}`,
  ...(fit.best_validation === undefined ? [] : [`validation loss ${told(fit.best_validation)} at step ${fit.best_validation_step}`]),
  ...metricsOf(fit).map((metric) => `${metric.slice(5)} there ${told(fit[metric])}`),
  ...(fit.stopped_step >= 0 ? [`stopped at step ${fit.stopped_step}`] : []),
];
const told = (loss) => (loss === null ? "none" : rounded(loss, 6));

const drawScatter = (data, pick) => {
  const place = chartPlace("scatter");
  let [across, up] = [data.axes[0], data.upright[0]];
  const series = () =>
    data.series.flatMap((each) => {
      const marked = (fit) => ({
        x: fit[across.column] ?? null,
        y: fit.status === "diverged" ? up.row : (fit[up.column] ?? null),
        fit,
        ensemble: each.name,
        text: () => [...tellFit(each.name, fit), ...(pick ? ["press to see it below"] : [])],
      });
      const all = fitsOf(each);
      const parts = [false, true].map((crossed) => ({
        name: each.name + (crossed ? ", diverged" : ""),
        look: each.look,
        crossed,
        kind: "points",
        marks: all.filter((fit) => (fit.status === "diverged") === crossed).map(marked),
      }));
      return parts.filter((part) => part.marks.length);
    });
  const axis = ({ label, scale }) => ({ label, scale });
  const axes = () => ({ x: axis(across), y: axis(up), series: series() });
  const plot = new Plot(place, { ...axes(), pick });
  const turn = (index) => {
    across = data.axes[index];
    plot.show(axes());
  };
  const raise = (index) => {
    up = data.upright[index];
    plot.show(axes());
  };
  const named = (all) => all.map((each) => each.label);
  tools(
    place,
    choices("horizontal axis", "across", named(data.axes), turn),
    ...(data.upright.length < 2 ? [] : [choices("vertical axis", "up", named(data.upright), raise)]),
    button("show all", () => plot.zoom()),
  );
  const columns = [...new Set(data.series.flatMap(fieldsOf))];
  const rows = data.series.flatMap((each) => fitsOf(each).map((fit) => [each.name, ...columns.map((name) => fit[name])]));
  numbersBelow(place, ["ensemble", ...columns], rows, "fits-one-by-one.csv");
  return plot;
};

// What is marked in the histogram, in the scatter and in a line below.
const drawCharts = (charts, pick) => {
  let scatter = null;
  const note = make("p", { class: "note", id: "marked" });
  const brushed = (range, measure) => {
    const inside = ({ fit }) => Number.isFinite(fit[measure.column]) && fit.status !== "diverged" && fit[measure.column] >= range[0] && fit[measure.column] <= range[1];
    scatter?.select(range && inside);
    note.textContent = "";
    if (!range) return announce("nothing is marked");
    const share = charts.scatter.series.map((each) => {
      const count = fitsOf(each).filter((fit) => inside({ fit })).length;
      return `${count.toLocaleString("en-US")} of ${counted(each.fit.length, "fit")} of ${each.name}`;
    });
    const what = measure.column === "loss" ? "Loss" : measure.label[0].toUpperCase() + measure.label.slice(1);
    note.textContent = `${what} ${rounded(range[0], 4)} to ${rounded(range[1], 4)}: ${share.join(", ")} below.`;
    announce(note.textContent);
  };
  const histogram = drawHistogram(charts.histogram, charts.scatter && brushed);
  histogram.place.after(note);
  if (charts.scatter) scatter = drawScatter(charts.scatter, pick);
};
