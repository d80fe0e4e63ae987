// The histogram of all losses and the fits one by one; what is marked in the one stands out in the other.
"use strict";

const chartPlace = (name) => document.getElementById(name);

// Buttons above a chart, and below it a table of what is drawn.
const tools = (place, ...parts) => place.before(make("div", { class: "tools" }, ...parts));

const numbersBelow = (place, columns, rows, name) => {
  const before = place.nextElementSibling?.matches(".numbers") ? place.nextElementSibling : null;
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
  const series = data.series.map(({ name, look, fits, bins }) => ({
    name: `${name} (${counted(fits, "fit")})`,
    look,
    kind: "bars",
    marks: bins.map(([low, high, count]) => ({
      low,
      high,
      x: Math.sqrt(low * high),
      y: (100 * count) / fits,
      count,
      text: () => [
        name,
        `${counted(count, "fit")}, ${((100 * count) / fits).toFixed(2)} %`,
        `loss ${rounded(low, 4)} to ${rounded(high, 4)}`,
      ],
    })),
  }));
  const x = { label: "loss after training", scale: "log", range: data.middle };
  const y = { label: "share of the fits per bin", scale: "linear", suffix: " %", floor: 0 };
  const plot = new Plot(place, { x, y, series, dragging: "brush", brushed });
  const view = (index) => plot.show({ x: { ...x, range: index ? undefined : data.middle } });
  tools(place, choices("losses shown", "losses-shown", ["the middle 99.9 %", "all"], view));
  const rows = data.series.flatMap(({ name, bins }) => bins.map((bin) => [name, ...bin]));
  numbersBelow(place, ["ensemble", "low", "high", "fits"], rows, "histogram-of-losses.csv");
  return plot;
};

const FIELDS = ["fit", "status", "loss", "initial_loss", "best_loss", "best_step"];

const fitsOf = (series) => series.fit.map((_, index) => Object.fromEntries(FIELDS.map((name) => [name, series[name][index]])));

const tellFit = (name, fit) => [
  `fit ${fit.fit}, ${name}`,
  `status ${fit.status}`,
  `loss ${told(fit.loss)}`,
  `initial loss ${told(fit.initial_loss)}`,
  `best loss ${told(fit.best_loss)} at step ${fit.best_step}`,
];
const told = (loss) => (loss === null ? "none" : rounded(loss, 6));

const drawScatter = (data, pick) => {
  const place = chartPlace("scatter");
  const seriesFor = ({ column }) =>
    data.series.flatMap((each) => {
      const marked = (fit) => ({
        x: fit[column],
        y: fit.status === "diverged" ? data.row : fit.loss,
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
  const y = { label: "loss after training", scale: "log" };
  const plot = new Plot(place, { x: axis(data.axes[0]), y, series: seriesFor(data.axes[0]), pick });
  const turn = (index) => plot.show({ x: axis(data.axes[index]), series: seriesFor(data.axes[index]) });
  tools(
    place,
    choices("horizontal axis", "across", data.axes.map((each) => each.label), turn),
    button("show all", () => plot.zoom()),
  );
  const rows = data.series.flatMap((each) => fitsOf(each).map((fit) => [each.name, ...Object.values(fit)]));
  numbersBelow(place, ["ensemble", ...FIELDS], rows, "fits-one-by-one.csv");
  return plot;
};

// What is marked in the histogram, in the scatter and in a line below.
const drawCharts = (charts, pick) => {
  let scatter = null;
  const note = make("p", { class: "note", id: "marked" });
  const brushed = (range) => {
    const inside = (mark) => mark.fit.loss !== null && mark.fit.loss >= range[0] && mark.fit.loss <= range[1];
    scatter?.select(range && inside);
    note.textContent = "";
    if (!range) return announce("nothing is marked");
    const share = charts.scatter.series.map((each) => {
      const count = fitsOf(each).filter((fit) => inside({ fit })).length;
      return `${count.toLocaleString("en-US")} of ${counted(each.fit.length, "fit")} of ${each.name}`;
    });
    note.textContent = `Loss ${rounded(range[0], 4)} to ${rounded(range[1], 4)}: ${share.join(", ")} below.`;
    announce(note.textContent);
  };
  const histogram = drawHistogram(charts.histogram, charts.scatter && brushed);
  histogram.place.after(note);
  if (charts.scatter) scatter = drawScatter(charts.scatter, pick);
};
