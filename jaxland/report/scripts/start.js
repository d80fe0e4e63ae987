// Makes the page what it is with scripts; without them it says what it can.
"use strict";

const start = async () => {
  document.body.classList.add("alive");
  addHeadingLinks();
  addCopies();
  addPictures();
  addClaimLinks();
  addFolds();
  sortWritten();
  searchClaims();
  if (!document.getElementById("data")) return;
  if (typeof DecompressionStream === "undefined") {
    for (const note of document.querySelectorAll(".needs-newer")) note.hidden = false;
    return;
  }
  const { charts, fits, tables } = await unpack();
  addSheets(tables);
  const place = document.getElementById("picked");
  const picker = place && fits ? new Picker(place, fits, tables) : null;
  if (charts.histogram) drawCharts(charts, picker && ((mark) => picker.choose(mark.ensemble, mark.fit.fit)));
  document.body.dataset.ready = "";
};

start();
