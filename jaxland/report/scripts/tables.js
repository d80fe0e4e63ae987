// Tables that can be sorted, searched, read a page at a time and kept as files.
"use strict";

const PAGES = [12, 50, 200];

const isNumber = (cell) => cell === "" || cell === null || NUMBER.test(String(cell).trim());
const numeric = (cell) => {
  const text = String(cell ?? "").trim().replaceAll(",", "").toLowerCase();
  return text === "" || text === "—" || text === "nan" ? NaN : Number(text.replace("inf", "Infinity"));
};

// By number where all cells are such; what is no number stands last either way.
const sorter = (cells, down) => {
  const sign = down ? -1 : 1;
  if (!cells.every(isNumber)) {
    const by = new Intl.Collator("en", { numeric: true });
    return (one, other) => sign * by.compare(String(cells[one]), String(cells[other])) || one - other;
  }
  const values = cells.map(numeric);
  return (one, other) => {
    const [a, b] = [values[one], values[other]];
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b) || one - other;
    return sign * (a - b) || one - other;
  };
};

// Headers that sort when they are pressed: upwards, downwards, and as it was.
const sortHeaders = (headers, sort) => {
  const arrow = { none: "", ascending: " ↑", descending: " ↓" };
  const after = { none: "ascending", ascending: "descending", descending: "none" };
  for (const [index, header] of headers.entries()) {
    const label = header.textContent;
    const sign = make("span", { class: "arrow", "aria-hidden": "true" });
    header.setAttribute("aria-sort", "none");
    header.replaceChildren(
      button(label, () => {
        const order = after[header.getAttribute("aria-sort")];
        for (const each of headers) {
          each.setAttribute("aria-sort", each === header ? order : "none");
          each.querySelector(".arrow").textContent = each === header ? arrow[order] : "";
        }
        sort(index, order);
      }, { title: "sort" }),
    );
    header.firstChild.append(sign);
  }
};

const searchBox = (what, search) => {
  const input = make("input", { type: "search", oninput: () => search(input.value.trim().toLowerCase()) });
  return make("label", { class: "search" }, `search ${what} `, input);
};

// columns, rows (text or numbers), total where there are more rows than these, name of its file.
const sheet = ({ columns, rows, total = rows.length, name, label = name }) => {
  const right = columns.map((_, index) => rows.every((row) => isNumber(row[index])));
  const texts = rows.map((row) => row.map((cell) => (typeof cell === "number" ? rounded(cell) : String(cell ?? ""))));
  let [order, size, page] = [[...rows.keys()], PAGES[0], 0];
  let [sorting, found] = [null, ""];
  const heads = columns.map((column, index) => make("th", { scope: "col", class: right[index] ? "number" : null }, column));
  const body = make("tbody");
  const count = make("span", { class: "count" });
  const caption = make("caption", { class: "unseen" }, label);
  const table = make("table", {}, caption, make("thead", {}, make("tr", {}, ...heads)), body);
  const turn = (by) => {
    page += by;
    fill();
    announce(count.textContent);
  };
  const [back, on] = [button("‹ previous", () => turn(-1)), button("next ›", () => turn(1))];
  const sizes = make("select", { "aria-label": "rows of a page", onchange: () => ((size = Number(sizes.value)), (page = 0), fill()) });
  sizes.append(...PAGES.map((each) => make("option", { value: each }, `${each} rows`)));
  const fill = () => {
    const last = Math.max(0, Math.ceil(order.length / size) - 1);
    page = Math.max(0, Math.min(page, last));
    const part = order.slice(page * size, (page + 1) * size);
    const cell = (text, index) => make("td", { class: right[index] ? "number" : null }, shown(text));
    body.replaceChildren(...part.map((row) => make("tr", {}, ...texts[row].map(cell))));
    const of = found ? ` of ${counted(rows.length, "row")}` : "";
    const cut = rows.length < total ? `; the file has ${total.toLocaleString("en-US")}` : "";
    const from = order.length ? `${page * size + 1} to ${page * size + part.length} of ` : "";
    count.textContent = `${from}${counted(order.length, "row")}${found ? " found" : ""}${of}${cut}`;
    back.disabled = page === 0;
    on.disabled = page === last;
    for (const each of [back, on, sizes]) each.hidden = rows.length <= PAGES[0];
  };
  const arrange = () => {
    order = [...rows.keys()].filter((row) => !found || texts[row].some((text) => text.toLowerCase().includes(found)));
    if (sorting) order.sort(sorter(rows.map((row) => row[sorting.index]), sorting.down));
    page = 0;
    fill();
  };
  sortHeaders(heads, (index, way) => {
    sorting = way === "none" ? null : { index, down: way === "descending" };
    arrange();
  });
  const search = searchBox("rows", (text) => {
    found = text;
    arrange();
    announce(count.textContent);
  });
  search.hidden = rows.length <= 3;
  const whole = rows.length < total ? "download these rows as CSV" : "download CSV";
  const keep = button(whole, () => saveTable(name.split("/").pop(), columns, rows), { class: "download" });
  fill();
  const scrolled = make("div", { class: "scrolled", tabindex: 0, role: "region", "aria-label": label }, table);
  return make("div", { class: "sheet-of-rows" }, make("div", { class: "tools" }, search, keep), scrolled, make("div", { class: "pager" }, back, count, on, sizes));
};

// Tables of the analysis: what stands in the page without scripts gives way; a turned one keeps its shape.
const addSheets = (tables) => {
  for (const place of document.querySelectorAll("[data-table]")) {
    const name = place.dataset.table;
    const table = tables[name];
    if (!table) continue;
    if (place.dataset.turned !== undefined) {
      const keep = button("download CSV", () => saveTable(name.split("/").pop(), table.columns, table.rows), { class: "download" });
      place.querySelector(".scrolled").before(make("div", { class: "tools" }, keep));
    } else {
      place.querySelector(".note")?.remove();
      place.querySelector(".scrolled").replaceWith(sheet({ ...table, name }));
    }
  }
};

// What a cell says, without the sign beside a verdict.
const said = (cell) => (cell.querySelector(".verdict")?.lastChild.textContent ?? cell.innerText).replaceAll(/\s+/g, " ").trim();

// Tables that stand in the page as they are: their rows are put in another order.
const sortWritten = () => {
  for (const table of document.querySelectorAll("table[data-sorted]")) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    if (rows.length < 2) continue;
    sortHeaders([...table.tHead.rows[0].cells], (index, way) => {
      const cells = rows.map((row) => said(row.cells[index]).replaceAll(/(\d),(?=\d{3})/g, "$1"));
      const order = [...rows.keys()];
      if (way !== "none") order.sort(sorter(cells, way === "descending"));
      body.append(...order.map((row) => rows[row]));
    });
  }
};

const searchClaims = () => {
  for (const table of document.querySelectorAll("table.claims")) {
    const rows = [...table.tBodies[0].rows];
    if (rows.length < 6) continue;
    const none = make("p", { class: "empty", hidden: true }, "No claim holds these words.");
    let text = "";
    const find = () => {
      table.hidden = false;
      for (const row of rows) row.classList.toggle("out", !row.textContent.toLowerCase().includes(text));
      none.hidden = rows.some((row) => row.offsetParent);
      table.hidden = !none.hidden;
    };
    const heads = [...table.tHead.rows[0].cells].map((head) => head.textContent.replace(/ [↑↓]$/, ""));
    const cells = () => rows.map((row) => [...row.cells].map(said));
    const keep = button("download CSV", () => saveTable("claims-as-shown.csv", heads, cells()), { class: "download" });
    table.before(make("div", { class: "tools" }, searchBox("claims", (words) => ((text = words), find())), keep));
    table.after(none);
    table.closest("section").addEventListener("change", find); // of the verdicts that are shown
  }
};
