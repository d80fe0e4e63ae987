// Draws the charts of the page with plotly.js, and fits them to the paper when it is printed.
"use strict";
{
  const PAPER_WIDTH = 680;

  const read = (name) => JSON.parse(document.getElementById(name + "-data").textContent);

  // Radio buttons, each of which changes the chart in its own way.
  const addChoices = (place, choices) => {
    const box = document.createElement("fieldset");
    const legend = document.createElement("legend");
    legend.textContent = "horizontal axis";
    box.className = "choices";
    box.append(legend);
    choices.forEach(({ label, data, layout }, index) => {
      const button = Object.assign(document.createElement("input"), {
        type: "radio",
        name: place.id,
        checked: index === 0,
      });
      button.addEventListener("change", () => Plotly.update(place, data, layout));
      const entry = document.createElement("label");
      entry.append(button, " " + label);
      box.append(entry);
    });
    place.before(box);
  };

  const places = document.querySelectorAll(".chart");
  const config = read("config");
  for (const place of places) {
    const { data, layout } = read(place.id);
    Plotly.newPlot(place, data, layout, config);
    if (layout.meta) addChoices(place, layout.meta);
  }

  const resize = (size) => places.forEach((place) => Plotly.relayout(place, size));
  window.addEventListener("beforeprint", () => resize({ width: PAPER_WIDTH, autosize: false }));
  window.addEventListener("afterprint", () => resize({ width: null, autosize: true }));
}
