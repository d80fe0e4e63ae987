// Links to headings, texts to be copied, and pictures to be kept.
"use strict";

const addHeadingLinks = () => {
  const linked = "h2, h3, figcaption > p";
  for (const heading of document.querySelectorAll(linked.replaceAll(/(^|, )/g, "$1main "))) {
    const place = heading.closest("[id]");
    if (place.id === "content" || place.querySelector(linked) !== heading) continue;
    const link = make("a", { class: "anchor", href: `#${place.id}`, "aria-label": `copy the link to: ${heading.textContent}` }, "#");
    link.addEventListener("click", () => copy(`${location.href.split("#")[0]}#${encodeURI(place.id)}`, link));
    heading.append(" ", link);
  }
};

const addCopies = () => {
  for (const place of document.querySelectorAll("[data-copy]")) {
    const press = () => copy(place.textContent, pressed);
    const pressed = button("copy", press, { class: "copy", "aria-label": `copy ${place.dataset.copy}` });
    place.after(pressed);
  }
};

const addPictures = () => {
  for (const figure of document.querySelectorAll("figure[id]")) {
    const picture = figure.querySelector("img");
    const comma = picture.src.indexOf(",");
    const [kind, coded] = picture.src.slice(5, comma).split(";");
    const press = () => {
      const text = picture.src.slice(comma + 1);
      const name = `${figure.id.split("/").pop()}.${kind.split("/")[1].split("+")[0]}`;
      save(name, new Blob([coded ? bytesOf(text) : decodeURIComponent(text)], { type: kind }));
    };
    figure.querySelector("figcaption").append(button("download picture", press, { class: "download" }));
  }
};
