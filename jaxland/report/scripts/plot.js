// A chart with two axes: bars, points and lines, under the pointer and by keyboard.
"use strict";

const PAPER_WIDTH = 680;
const NEAR = 30; // pixels within which the pointer finds a point

const linearTicks = (low, high, count) => {
  const least = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= least * (1 - 1e-9));
  const first = Math.ceil(low / step - 1e-9);
  const ticks = Math.max(0, Math.floor(high / step + 1e-9) - first + 1);
  return Array.from({ length: ticks }, (_, index) => Number(((first + index) * step).toPrecision(12)));
};

const logTicks = (low, high, count) => {
  const decades = Math.log10(high / low);
  if (decades < 1) return linearTicks(low, high, count);
  const every = Math.ceil(decades / count);
  const parts = 3 * decades <= count ? [1, 2, 5] : [1];
  const powers = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
    if (power % every === 0) powers.push(power);
  }
  return powers.flatMap((power) => parts.map((part) => Number(`${part}e${power}`))).filter((t) => t >= low && t <= high);
};

// Powers of ten on either side of zero, as many as there is room for.
const symlogTicks = (low, high, count, least) => {
  const powers = Array.from({ length: 700 }, (_, index) => index - 340).filter((power) => 10 ** power > 2 * least);
  const sides = [-1, 1].flatMap((sign) => powers.map((power) => [power, Number(`${sign}e${power}`)]));
  const inside = sides.filter(([, tick]) => tick >= low && tick <= high);
  const every = Math.max(1, Math.ceil(inside.length / count));
  const kept = inside.filter(([power]) => power % every === 0).map(([, tick]) => tick);
  return [...kept, ...(low <= 0 && high >= 0 ? [0] : [])].sort((one, other) => one - other);
};

// Of a symmetric logarithmic axis `least` is where it turns from linear to logarithmic.
const BENT = {
  linear: () => [(value) => value, (value) => value],
  log: () => [Math.log10, (value) => 10 ** value],
  symlog: (least) => [(value) => Math.asinh(value / least), (place) => least * Math.sinh(place)],
};

const scaled = (scale, [low, high], from, to, least) => {
  const [bend, unbend] = BENT[scale ?? "linear"](least);
  const ticks = { log: logTicks, symlog: symlogTicks }[scale] ?? linearTicks;
  const factor = (to - from) / (bend(high) - bend(low));
  return {
    at: (value) => from + (bend(value) - bend(low)) * factor,
    value: (place) => unbend(bend(low) + (place - from) / factor),
    ticks: (count) => ticks(low, high, count, least),
  };
};

// The bounds of some values, with room beside them.
const spanned = (values, scale, room = 0.04, least = 1) => {
  const log = scale === "log";
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (Number.isFinite(value) && (!log || value > 0)) [low, high] = [Math.min(low, value), Math.max(high, value)];
  }
  if (low > high) return log ? [0.1, 1] : [0, 1];
  if (log) {
    const beside = Math.max(room * Math.log10(high / low), 0.01);
    return [Math.max(low * 10 ** -beside, 1e-308), Math.min(high * 10 ** beside, 1e308)];
  }
  if (scale === "symlog") {
    const [bend, unbend] = BENT.symlog(least);
    const beside = room * (bend(high) - bend(low)) || 1;
    return [unbend(bend(low) - beside), unbend(bend(high) + beside)];
  }
  const beside = room * (high - low) || Math.abs(low) / 10 || 1;
  return [low - beside, high + beside];
};

const SYMBOLS = [
  (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`,
  (x, y, r) => `M${x} ${y - 1.2 * r}l${1.2 * r} ${1.2 * r}l${-1.2 * r} ${1.2 * r}l${-1.2 * r} ${-1.2 * r}z`,
  (x, y, r) => `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}z`,
  (x, y, r) => `M${x} ${y - 1.2 * r}l${1.2 * r} ${2.2 * r}h${-2.4 * r}z`,
  (x, y, r) => `M${x - r} ${y}h${2 * r}M${x} ${y - r}v${2 * r}`,
  (x, y, r) => `M${x} ${y + 1.2 * r}l${1.2 * r} ${-2.2 * r}h${-2.4 * r}z`,
];
const CROSS = (x, y, r) => `M${x - r} ${y - r}l${2 * r} ${2 * r}M${x - r} ${y + r}l${2 * r} ${-2 * r}`;
const symbolOf = (series) => (series.crossed ? CROSS : SYMBOLS[Math.max(series.look, 0) % SYMBOLS.length]);
const kindOf = (series) => (series.dashed ? `${series.kind} dashed` : series.kind);
const lookOf = (series) => (series.look < 0 ? "plain" : `look-${series.look % 8}`);

// options: x and y (label, scale, least, range, suffix), series (name, look, kind, marks), dragging ("zoom" or "brush"),
// pick(mark), brushed(range or null). A mark has x, y, low and high where it is a bar, and text, its lines.
class Plot {
  constructor(place, options) {
    Object.assign(this, { place, hidden: new Set(), focus: -1, brush: null, keep: null, dragging: "zoom", ...options });
    this.whole = { x: this.x, y: this.y };
    this.svg = draw("svg", { "aria-hidden": "true" });
    this.told = make("div", { class: "told", hidden: true });
    this.canvas = make("div", { class: "canvas" }, this.svg, this.told);
    this.legend = make("div", { class: "legend" });
    place.replaceChildren(this.legend, this.canvas);
    place.plot = this;
    const named = { role: "application", tabindex: 0, "aria-describedby": "keys", "aria-label": `chart: ${place.dataset.title}` };
    for (const [key, value] of Object.entries(named)) place.setAttribute(key, value);
    this.addLegend();
    this.addPointer();
    place.addEventListener("keydown", (event) => this.press(event));
    place.addEventListener("blur", () => this.point([]));
    new ResizeObserver(() => this.canvas.clientWidth !== this.width && this.draw()).observe(this.canvas);
    window.addEventListener("beforeprint", () => this.draw(PAPER_WIDTH));
    window.addEventListener("afterprint", () => this.draw());
    this.draw();
  }

  addLegend() {
    this.legend.replaceChildren();
    if (this.series.length < 2) return;
    for (const [index, series] of this.series.entries()) {
      const mark = draw("svg", { width: 14, height: 14, class: lookOf(series), "aria-hidden": "true" });
      const shape = { bars: "M1 1h12v12h-12z", line: "M0 7h14" }[series.kind] ?? symbolOf(series)(7, 7, 4);
      mark.append(draw("path", { d: shape, class: kindOf(series) }));
      const press = () => {
        this.hidden[this.hidden.has(index) ? "delete" : "add"](index);
        entry.setAttribute("aria-pressed", String(!this.hidden.has(index)));
        this.draw();
      };
      const entry = button(mark, press, { "aria-pressed": String(!this.hidden.has(index)), title: "show or hide" });
      entry.append(series.name);
      this.legend.append(entry);
    }
  }

  get drawn() {
    return this.series.filter((_, index) => !this.hidden.has(index));
  }

  show(changes) {
    Object.assign(this, changes);
    if (changes.series) this.addLegend();
    if (changes.x || changes.y) this.whole = { x: this.x, y: this.y };
    this.focus = -1;
    this.draw();
  }

  zoom(x, y) {
    this.x = { ...this.whole.x, ...(x && { range: x }) };
    this.y = { ...this.whole.y, ...(y && { range: y }) };
    this.draw();
  }

  draw(paper) {
    const width = paper || this.canvas.clientWidth;
    if (!width) return;
    this.width = width;
    const height = this.height ?? (width < 600 ? 300 : 380);
    const marks = this.drawn.flatMap((series) => series.marks);
    const ends = (mark) => (mark.low === undefined ? [mark.x] : [mark.low, mark.high]);
    const xRange = this.x.range ?? spanned(marks.flatMap(ends), this.x.scale);
    const seen = marks.filter((mark) => ends(mark)[0] <= xRange[1] && ends(mark).at(-1) >= xRange[0]);
    const yRange = this.y.range ?? spanned([...seen.map((mark) => mark.y), ...(this.y.also ?? [])], this.y.scale, 0.04, this.y.least);
    if (this.y.floor !== undefined && !this.y.range) yRange[0] = this.y.floor;
    const bottom = height - 48;
    const v = scaled(this.y.scale, yRange, bottom, 10, this.y.least);
    const rows = v.ticks(Math.max(3, Math.floor(bottom / 55))).map((tick) => [v.at(tick), rounded(tick, 4) + (this.y.suffix ?? "")]);
    const left = 30 + 7.2 * Math.max(1, ...rows.map(([, text]) => text.length));
    const h = scaled(this.x.scale, xRange, left, width - 14);
    const columns = h.ticks(Math.max(2, Math.floor((width - left) / 80))).map((tick) => [h.at(tick), rounded(tick, 4)]);
    const clip = `clip-${this.place.id}`;
    this.box = { h, v, left, right: width - 14, top: 10, bottom };
    this.over = draw("g", { class: "over", "clip-path": `url(#${clip})` });
    this.marks = draw("g", { "clip-path": `url(#${clip})` }, ...this.drawn.map((series) => this.drawSeries(series)));
    const label = (text, attributes) => draw("text", attributes, text);
    const middle = (left + width - 14) / 2;
    this.svg.replaceChildren(
      draw("clipPath", { id: clip }, draw("rect", { x: left, y: 4, width: width - 8 - left, height: bottom - 3 })),
      ...rows.map(([y]) => draw("path", { class: "grid", d: `M${left} ${y}H${width - 14}` })),
      ...columns.map(([x]) => draw("path", { class: "grid", d: `M${x} 10V${bottom}` })),
      draw("path", { class: "axis", d: `M${left} 10V${bottom}H${width - 14}` }),
      ...rows.map(([y, text]) => label(text, { class: "tick", x: left - 6, y: y + 4, "text-anchor": "end" })),
      ...columns.map(([x, text]) => label(text, { class: "tick", x, y: bottom + 17, "text-anchor": "middle" })),
      label(this.x.label, { class: "title across", x: middle, y: height - 6, "text-anchor": "middle" }),
      label(this.y.label, { class: "title", transform: `translate(13 ${bottom / 2 + 5}) rotate(-90)`, "text-anchor": "middle" }),
      this.marks,
      this.over,
    );
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.setAttribute("width", width);
    this.svg.setAttribute("height", height);
    this.drawBrush();
    this.point([]);
  }

  drawSeries(series) {
    const { h, v, bottom } = this.box;
    const group = draw("g", { class: lookOf(series) });
    if (series.kind === "line") {
      const way = series.marks.map((mark) => (mark.y === null ? "" : `${h.at(mark.x).toFixed(2)} ${v.at(mark.y).toFixed(2)}`));
      const d = way.map((at, index) => at && `${index && way[index - 1] ? "L" : "M"}${at}`).join("");
      group.append(draw("path", { class: kindOf(series), d }));
    }
    for (const mark of series.marks) {
      if (series.kind === "bars") {
        const [x, width, y] = [h.at(mark.low), h.at(mark.high) - h.at(mark.low), v.at(mark.y)];
        group.append(draw("rect", { class: "bars", x, y, width: Math.max(width, 1), height: Math.max(bottom - y, 1) }));
      } else if (series.kind !== "line") {
        const at = this.place_of(mark);
        if (!at) continue;
        if (series.kind === "stems") group.append(draw("path", { class: "stem", d: `M${at[0]} ${v.at(0)}V${at[1]}` }));
        const faint = this.keep && !this.keep(mark) ? " faint" : "";
        group.append(draw("path", { class: `points${faint}`, d: symbolOf(series)(...at, series.size ?? 3.4) }));
      }
    }
    return group;
  }

  // Where a mark lies, in pixels; nothing for one that a logarithmic axis has no place for.
  place_of(mark) {
    const at = [this.box.h.at(mark.x), this.box.v.at(mark.y)];
    return mark.x !== null && mark.y !== null && at.every(Number.isFinite) ? at : null;
  }

  select(keep) {
    this.keep = keep;
    this.draw();
  }

  // Groups of marks that are told together, from left to right.
  stops() {
    const groups = new Map();
    for (const series of this.drawn.filter((each) => !each.mute)) {
      for (const mark of series.marks) {
        const at = this.place_of(mark);
        if (!at || at[0] < this.box.left - 1 || at[0] > this.box.right + 1) continue;
        const key = ["points", "stems"].includes(series.kind) ? mark : series.kind === "bars" ? mark.low : mark.x;
        groups.set(key, [...(groups.get(key) ?? []), mark]);
      }
    }
    return [...groups.values()].sort((one, other) => this.place_of(one[0])[0] - this.place_of(other[0])[0]);
  }

  found(x, y) {
    const stops = this.stops();
    const bars = stops.filter(([mark]) => mark.low !== undefined);
    if (bars.length) return bars.find(([mark]) => this.box.h.at(mark.low) <= x && x < this.box.h.at(mark.high)) ?? [];
    const lines = this.drawn.some((series) => ["line", "stems"].includes(series.kind));
    const far = ([mark]) => {
      const [left, top] = this.place_of(mark);
      return lines ? Math.abs(left - x) : Math.hypot(left - x, top - y);
    };
    const nearest = stops.reduce((best, stop) => (best && far(best) <= far(stop) ? best : stop), null);
    return nearest && far(nearest) <= NEAR ? nearest : [];
  }

  // Shows what is known of some marks.
  point(marks) {
    this.pointed = marks;
    this.over.querySelectorAll(".ring").forEach((ring) => ring.remove());
    this.told.hidden = !marks.length;
    if (!marks.length) return;
    for (const mark of marks) {
      const [x, y] = this.place_of(mark);
      this.over.append(draw("circle", { class: "ring", cx: x, cy: y, r: 7 }));
    }
    this.told.replaceChildren(...marks.map((mark) => make("p", {}, ...mark.text().map((line) => make("span", {}, line)))));
    const [x, y] = this.place_of(marks[0]);
    const limit = this.canvas.clientWidth - this.told.offsetWidth - 4;
    this.told.style.left = `${Math.max(0, Math.min(x + 14, limit))}px`;
    const above = y - this.told.offsetHeight - 12;
    this.told.style.top = `${above > 0 ? above : y + 14}px`;
  }

  drawBrush() {
    this.over.querySelector(".brush")?.remove();
    if (!this.brush) return;
    const [from, to] = this.brush.map(this.box.h.at);
    const { top, bottom } = this.box;
    this.over.prepend(draw("rect", { class: "brush", x: from, y: top, width: Math.max(to - from, 1), height: bottom - top }));
  }

  setBrush(range) {
    this.brush = range;
    this.drawBrush();
    this.brushed?.(range);
  }

  addPointer() {
    let start = null;
    const at = (event) => {
      const box = this.svg.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    const dragged = ([x, y]) => {
      const [left, right] = [Math.min(start[0], x), Math.max(start[0], x)].map(this.box.h.value);
      const [high, low] = [Math.min(start[1], y), Math.max(start[1], y)].map(this.box.v.value);
      return { across: [left, right], up: [low, high] };
    };
    this.svg.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.pointerType === "touch") return;
      start = at(event);
      this.svg.setPointerCapture(event.pointerId);
    });
    this.svg.addEventListener("pointermove", (event) => {
      const now = at(event);
      if (start && Math.abs(now[0] - start[0]) > 4) {
        this.point([]);
        if (this.dragging === "brush") this.setBrush(dragged(now).across);
        else {
          this.over.querySelector(".frame")?.remove();
          const [x, y] = [Math.min(start[0], now[0]), Math.min(start[1], now[1])];
          const size = { width: Math.abs(now[0] - start[0]), height: Math.abs(now[1] - start[1]) };
          this.over.append(draw("rect", { class: "frame", x, y, ...size }));
        }
      } else if (!start) this.point(this.found(...now));
    });
    this.svg.addEventListener("pointerup", (event) => {
      const [begun, now] = [start, at(event)];
      if (event.pointerType === "touch") {
        const before = this.pointed[0];
        this.point(this.found(...now));
        if (before && this.pointed.length === 1 && this.pointed[0] === before) this.pick?.(before);
      }
      if (!begun) return;
      const range = dragged(now);
      start = null;
      this.over.querySelector(".frame")?.remove();
      if (Math.abs(now[0] - begun[0]) > 4) {
        if (this.dragging === "zoom" && Math.abs(now[1] - begun[1]) > 4) this.zoom(range.across, range.up);
      } else {
        this.point(this.found(...now));
        if (this.brush) this.setBrush(null);
        else if (this.pointed.length === 1) this.pick?.(this.pointed[0]);
      }
    });
    this.svg.addEventListener("pointerleave", (event) => start || event.pointerType === "touch" || this.point([]));
    this.svg.addEventListener("dblclick", () => this.zoom());
  }

  press(event) {
    if (event.target !== this.place || event.ctrlKey || event.metaKey || event.altKey) return;
    const stops = this.stops();
    const steps = { ArrowRight: 1, ArrowLeft: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
    if (event.key in steps && stops.length) {
      const before = this.focus;
      const first = this.focus < 0 && [1, 10].includes(steps[event.key]);
      const next = first ? 0 : this.focus + steps[event.key];
      this.focus = Math.max(0, Math.min(next, stops.length - 1));
      this.point(stops[this.focus]);
      announce(this.told.innerText);
      if (event.shiftKey && this.dragging === "brush") {
        this.anchor = this.brush && before >= 0 ? this.anchor : Math.max(before, 0);
        const ends = [this.anchor, this.focus].sort((one, other) => one - other).map((index) => stops[index][0]);
        this.setBrush([ends[0].low, ends[1].high]);
      }
    } else if (event.key === "Enter" && this.pointed.length === 1) this.pick?.(this.pointed[0]);
    else if (event.key === "Escape") {
      this.point([]);
      if (this.brush) this.setBrush(null);
      this.zoom();
    } else return;
    event.preventDefault();
  }
}
