"use strict";

// Draws each plot when it comes near to being seen, and lets a connection's legend switch subflows and marks in all of
// its plots.

const TOUCHED = window.matchMedia("(pointer: coarse)");
const TEXT = "#1a1a1a";
const CONFIG = {
  responsive: true, displaylogo: false, doubleClick: "reset+autosize",
  // By name: Plotly's own choice has a button that sends the plot to its maker.
  modeBarButtons: [["toImage"], ["zoom2d", "pan2d"], ["zoomIn2d", "zoomOut2d", "resetScale2d"]],
};
const AHEAD = "800px";
// Under the pointer octets are told one by one, though axes count in thousands and millions.
const EXACT = ",.0f";

// Plotly takes a subset of HTML in its texts, and names from a capture are no HTML.
function plain(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

// Segments are one line with gaps: from `y` to `top`, then nothing.
function segments(series) {
  const x = [], y = [];
  for (let at = 0; at < series.x.length; at += 1) {
    x.push(series.x[at], series.x[at], null);
    y.push(series.y[at], series.top[at], null);
  }
  // Simplified, a line loses segments that are shorter than a pixel.
  return {x, y, mode: "lines", line: {width: 2, color: series.colour, simplify: false}};
}

function marks(series, y) {
  const open = series.symbol.endsWith("-open");
  const size = series.outlined ? 7 : series.labels.length ? 9 : 5;
  const marker = {symbol: series.symbol, size, color: series.colour};
  marker.line = {width: open ? 1 : series.outlined ? 0.5 : 0, color: series.outlined ? TEXT : series.colour};
  return {x: series.x, y, mode: "markers", marker};
}

function line(series) {
  const shape = series.shape === "steps" ? "hv" : "linear";
  return {
    // A line through one value does not show.
    x: series.x, y: series.y, mode: series.x.length > 1 ? "lines" : "markers", marker: {color: series.colour},
    line: {width: 1.6, color: series.colour, shape, dash: series.dash ? "dash" : "solid"},
  };
}

// What Plotly draws for a series; each knows by `meta` what switches it.
function traces(series) {
  const drawn = [];
  if (series.shape === "segments") {
    drawn.push(segments(series));
    if (series.role !== "data") drawn.push(marks(series, series.top));
  } else {
    drawn.push(series.shape === "points" ? marks(series, series.y) : line(series));
  }
  const hover = {name: plain(series.name), hoverlabel: {namelength: -1}};
  if (series.labels.length) Object.assign(hover, {text: series.labels.map(plain), hoverinfo: "x+text"});
  const meta = {subflow: series.subflow, role: series.role};
  // What belongs to a subflow is in the legend of the connection.
  const showlegend = series.subflow === null;
  return drawn.map((trace) => ({type: "scatter", showlegend, meta, ...hover, ...trace}));
}

function moments(plot) {
  const style = {width: 1, dash: "dot", color: TEXT};
  const shapes = plot.moments.map(([x]) => ({type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, line: style}));
  const annotations = plot.moments.map(([x, kind, text]) => ({
    x, yref: "paper", y: 1, yanchor: "bottom", showarrow: false, text: plain(kind),
    hovertext: plain(text), font: {size: 10, color: TEXT},
  }));
  return {shapes, annotations};
}

function layout(plot) {
  const axis = {color: TEXT, gridcolor: "#dddddd", zerolinecolor: "#bbbbbb", exponentformat: "SI"};
  const large = plot.large ? {} : {exponentformat: "none"};
  const lanes = plot.lanes.length ? {tickvals: plot.lanes.map((_, at) => at), ticktext: plot.lanes} : {};
  return {
    font: {color: TEXT}, paper_bgcolor: "#ffffff", plot_bgcolor: "#ffffff", hovermode: "closest",
    margin: {l: plot.lanes.length ? 110 : 60, r: 12, t: 44, b: 44},
    // A finger that moves over a plot scrolls the page; two buttons of the plot zoom.
    dragmode: TOUCHED.matches ? false : "zoom",
    xaxis: {...axis, title: {text: plain(plot.x)}, hoverformat: plot.overTime ? ".6f" : EXACT},
    yaxis: {
      ...axis, title: {text: plot.lanes.length ? "" : plain(plot.y)}, rangemode: plot.lanes.length ? "normal" : "tozero",
      hoverformat: plot.large ? EXACT : ".3f", ...large, ...lanes,
    },
    legend: {orientation: "h", x: 0, y: 1, yanchor: "bottom"},
    ...moments(plot),
  };
}

// Keys that zoom, and pan by a part of what is shown.
const ZOOMS = {"+": 0.5, "=": 0.5, "-": 2};
const PANS = {ArrowLeft: ["xaxis", -0.25], ArrowRight: ["xaxis", 0.25], ArrowDown: ["yaxis", -0.25], ArrowUp: ["yaxis", 0.25]};

function moved([low, high], zoom, pan) {
  const middle = (low + high) / 2 + pan * (high - low), half = (high - low) / 2 * zoom;
  return [middle - half, middle + half];
}

// What a key changes of a plot's layout; nothing for other keys.
function keyed(place, key) {
  const axes = Object.fromEntries(["xaxis", "yaxis"].map((name) => [name, place.layout[name].range]));
  const all = place.overTime ? {"xaxis.range": place.whole} : {"xaxis.autorange": true};
  if (key === "0") return {...all, "yaxis.autorange": true};
  if (key in ZOOMS) return {"xaxis.range": moved(axes.xaxis, ZOOMS[key], 0)};
  if (key in PANS) return {[`${PANS[key][0]}.range`]: moved(axes[PANS[key][0]], 1, PANS[key][1])};
  return null;
}

class Connection {
  constructor(details) {
    this.details = details;
    this.hidden = new Set();
    this.drawn = [];
    const margin = Number(details.dataset.seconds) / 50;
    this.whole = [-margin, Number(details.dataset.seconds) + margin];
    this.time = {range: this.whole, autorange: false};
    this.plots = null;
    this.places = [...details.querySelectorAll(".plot")];
    for (const button of details.querySelectorAll(".legend button")) {
      button.addEventListener("click", () => this.toggle(button));
    }
    const near = new IntersectionObserver((seen) => {
      for (const one of seen) if (one.isIntersecting) this.draw(one.target);
    }, {rootMargin: AHEAD});
    for (const place of this.places) near.observe(place);
    window.addEventListener("beforeprint", () => { if (details.open) this.places.forEach((one) => this.draw(one)); });
  }

  draw(place) {
    if (this.drawn.includes(place)) return;
    this.drawn.push(place);
    this.plots ??= JSON.parse(this.details.querySelector("script").textContent);
    const plot = this.plots[this.places.indexOf(place)];
    place.shown = plot.series.flatMap(traces);
    place.overTime = plot.overTime;
    place.whole = this.whole;
    for (const trace of place.shown) trace.visible = this.visible(trace);
    const shown = layout(plot);
    if (plot.overTime) Object.assign(shown.xaxis, this.time);
    Plotly.newPlot(place, place.shown, shown, {...CONFIG, toImageButtonOptions: {filename: place.id}});
    if (plot.overTime) place.on("plotly_relayout", (change) => this.follow(place, change));
    place.addEventListener("keydown", (event) => {
      const change = event.ctrlKey || event.metaKey || event.altKey ? null : keyed(place, event.key);
      if (!change) return;
      event.preventDefault();
      Plotly.relayout(place, change);
    });
  }

  visible(trace) {
    return !this.hidden.has(`subflow ${trace.meta.subflow}`) && !this.hidden.has(trace.meta.role);
  }

  toggle(button) {
    const pressed = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(pressed));
    if (pressed) this.hidden.delete(button.dataset.switches);
    else this.hidden.add(button.dataset.switches);
    for (const place of this.drawn) {
      Plotly.restyle(place, {visible: place.shown.map((trace) => this.visible(trace))});
    }
  }

  // All plots over time show the same time.
  follow(source, change) {
    if (this.following) return;
    const range = change["xaxis.range"] ?? [change["xaxis.range[0]"], change["xaxis.range[1]"]];
    if (change["xaxis.autorange"]) this.time = {autorange: true};
    else if (range[0] !== undefined) this.time = {range, autorange: false};
    else return;
    const update = Object.fromEntries(Object.entries(this.time).map(([name, value]) => [`xaxis.${name}`, value]));
    this.following = true;
    const others = this.drawn.filter((place) => place !== source && place.overTime);
    Promise.all(others.map((place) => Plotly.relayout(place, update))).finally(() => { this.following = false; });
  }
}

for (const details of document.querySelectorAll("details.connection")) new Connection(details);
