"use strict";

// Draws the plots of every target, in the order of the page.

const CONFIG = {
  responsive: true, displaylogo: false, scrollZoom: false,
  // By name, since among Plotly's own choice is one that opens its maker's site.
  modeBarButtons: [["toImage"], ["zoom2d", "pan2d"], ["zoomIn2d", "zoomOut2d", "resetScale2d"]],
};
const charts = JSON.parse(document.getElementById("charts").textContent);

document.querySelectorAll("section").forEach((section, target) => {
  section.querySelectorAll(".plot").forEach((place, at) => {
    const {data, layout} = charts[target][at];
    // A finger that moves over a plot scrolls the page.
    const dragmode = window.matchMedia("(pointer: coarse)").matches ? false : "zoom";
    Plotly.newPlot(place, data, {...layout, dragmode}, CONFIG);
  });
});
