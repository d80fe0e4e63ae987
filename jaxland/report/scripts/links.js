// Links to headings and claims, and texts to be copied.
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

// What is folded is shown to who asks for a place within it, chooses verdicts, or prints the page.
const addFolds = () => {
  const unfold = () => {
    const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let fold = place?.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    if (place?.closest("details")) place.scrollIntoView();
  };
  window.addEventListener("hashchange", unfold);
  unfold();
  const claims = document.querySelector("#claims details.folded");
  document.querySelector("#claims .tally")?.addEventListener("change", () => claims && (claims.open = true));
  let closed = [];
  window.addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details.folded:not([open])")];
    for (const fold of closed) fold.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const fold of closed) fold.open = false;
  });
};

// A claim may be left out of the list by its verdict or by a search: who asks for it sees all.
const addClaimLinks = () => {
  for (const link of document.querySelectorAll('a[href^="#claim-"]')) {
    link.addEventListener("click", () => {
      const search = document.querySelector("#claims input[type=search]");
      if (search) search.value = "";
      search?.dispatchEvent(new Event("input"));
      document.getElementById("show-all")?.click();
      document.getElementById(link.hash.slice(1))?.closest("details")?.setAttribute("open", "");
    });
  }
};
