// The figures larger, and as files: one by one, or all in one archive.
"use strict";

// Name, kind and bytes of the picture of a figure, which the page holds as text.
const pictureOf = (figure) => {
  const picture = figure.querySelector("img");
  const comma = picture.src.indexOf(",");
  const [kind, coded] = picture.src.slice(5, comma).split(";");
  const text = picture.src.slice(comma + 1);
  const bytes = coded ? bytesOf(text) : new TextEncoder().encode(decodeURIComponent(text));
  return { name: `${figure.id.split("/").pop()}.${kind.split("/")[1].split("+")[0]}`, kind, bytes };
};

const REMAINDERS = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit += 1) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  return rest;
});
const crc32 = (bytes) => ~bytes.reduce((rest, byte) => (rest >>> 8) ^ REMAINDERS[(rest ^ byte) & 255], -1) >>> 0;

const littleEndian = (...fields) =>
  fields.flatMap(([value, size]) => Array.from({ length: size }, (_, at) => Math.floor(value / 256 ** at) % 256));

// A ZIP archive of files that stand in it as they are (APPNOTE 6.3: local headers, central directory, its end), with
// names in UTF-8 and the first day that the format knows.
const zipped = (files) => {
  const [parts, central] = [[], []];
  let [offset, listed] = [0, 0];
  const DAY = 33;
  for (const { name, bytes } of files) {
    const called = new TextEncoder().encode(name);
    const common = [[20, 2], [0x800, 2], [0, 2], [0, 2], [DAY, 2], [crc32(bytes), 4], [bytes.length, 4], [bytes.length, 4], [called.length, 2], [0, 2]];
    const local = Uint8Array.from(littleEndian([0x04034b50, 4], ...common));
    const entry = Uint8Array.from(littleEndian([0x02014b50, 4], [20, 2], ...common, [0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]));
    parts.push(local, called, bytes);
    central.push(entry, called);
    offset += local.length + called.length + bytes.length;
    listed += entry.length + called.length;
  }
  const count = [files.length, 2];
  const end = littleEndian([0x06054b50, 4], [0, 2], [0, 2], count, count, [listed, 4], [offset, 4], [0, 2]);
  return new Blob([...parts, ...central, Uint8Array.from(end)], { type: "application/zip" });
};

// The picture as large as the window allows, on a phone larger, to be moved about; Escape leads back.
const enlarge = (figure) => {
  const picture = figure.querySelector("img");
  const large = make("img", { src: picture.src, alt: picture.alt });
  const name = figure.querySelector("figcaption p").textContent.replace(/ #$/, "");
  const close = button("close", () => shown.close());
  const sheet = make("div", { class: "sheet", tabindex: 0, role: "region", "aria-label": name }, large);
  const shown = make("dialog", { class: "enlarged", "aria-label": name }, make("div", { class: "tools" }, make("b", {}, name), close), sheet);
  shown.addEventListener("close", () => shown.remove());
  document.body.append(shown);
  shown.showModal();
  const high = innerHeight - sheet.getBoundingClientRect().top - 40;
  const fitting = Math.min(sheet.clientWidth - 24, (high * picture.naturalWidth) / picture.naturalHeight);
  large.style.width = `${Math.round(Math.max(fitting, 900))}px`;
};

const addPictures = () => {
  const figures = [...document.querySelectorAll("figure[id]")];
  for (const figure of figures) {
    const caption = figure.querySelector("figcaption");
    const press = () => {
      const { name, kind, bytes } = pictureOf(figure);
      save(name, new Blob([bytes], { type: kind }));
    };
    const of = figure.id.split("/").pop();
    const larger = button("enlarge", () => enlarge(figure), { class: "larger", "aria-label": `enlarge ${of}` });
    const keep = button("download picture", press, { class: "download", "aria-label": `download picture ${of}` });
    caption.append(make("div", { class: "tools" }, larger, keep));
    figure.querySelector("img").addEventListener("click", () => enlarge(figure));
  }
  if (figures.length < 2) return;
  const all = button(`download all ${figures.length} pictures (zip)`, () => save("figures.zip", zipped(figures.map(pictureOf))), { class: "download" });
  document.querySelector("#figures > h2").after(make("div", { class: "tools" }, all));
};
