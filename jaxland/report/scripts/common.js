// What all parts of the page use: elements, numbers, files to keep, and the data that the page carries.
"use strict";

const make = (name, attributes = {}, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children);
  return element;
};

const draw = (name, attributes = {}, ...children) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};

// To some significant digits, without zeros at the end: 0.0033252, 1.2346e+5.
const rounded = (value, digits = 5) => {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return "0";
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  if (Number(exponent) < -4 || Number(exponent) >= digits) {
    return `${String(Number(mantissa))}e${exponent}`;
  }
  return String(Number(value.toPrecision(digits)));
};

const FRACTION = /^[+-]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?$/;
const NUMBER = /^([+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|nan|[+-]?inf)$/i;

// A cell of a table as it is shown: fractions to five digits, and a dash for nothing.
const shown = (text) => (FRACTION.test(text) ? rounded(Number(text)) : text || "—");

const counted = (count, what) => `${count.toLocaleString("en-US")} ${what}${count === 1 ? "" : "s"}`;

const quoted = (cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);

const csv = (columns, rows) =>
  [columns, ...rows].map((row) => row.map((cell) => quoted(String(cell ?? ""))).join(",")).join("\n") + "\n";

const save = (name, blob) => {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};

const saveTable = (name, columns, rows) => save(name, new Blob([csv(columns, rows)], { type: "text/csv" }));

const button = (text, press, attributes = {}) => make("button", { type: "button", onclick: press, ...attributes }, text);

// Says something to those who do not see the page.
const announce = (text) => {
  document.getElementById("spoken").textContent = text;
};

const copy = async (text, pressed) => {
  const before = pressed.textContent;
  try {
    await navigator.clipboard.writeText(text);
    pressed.textContent = "copied";
  } catch {
    const box = make("textarea", { readonly: true });
    box.value = text;
    pressed.after(box);
    box.select();
    pressed.textContent = document.execCommand("copy") ? "copied" : "not copied";
    box.remove();
  }
  announce(pressed.textContent);
  pressed.classList.add("copied");
  setTimeout(() => {
    pressed.textContent = before;
    pressed.classList.remove("copied");
  }, 1500);
};

const bytesOf = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

// The numbers of the page, which stand in it compressed.
const unpack = async () => {
  const packed = new Blob([bytesOf(document.getElementById("data").textContent)]);
  const stream = packed.stream().pipeThrough(new DecompressionStream("gzip"));
  const data = JSON.parse(await new Response(stream).text());
  for (const table of Object.values(data.tables)) table.rows = (table.cells[0] ?? []).map((_, row) => table.cells.map((column) => column[row]));
  return data;
};
